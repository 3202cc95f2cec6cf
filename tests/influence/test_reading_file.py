"""A reading of a trajectory comes back from its file as it was."""

from pathlib import Path

import torch

from winnow.influence.hydra import Reading
from winnow.influence.reading_file import load_reading, save_reading


def test_a_reading_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    def state(number: int) -> dict[str, torch.Tensor]:
        kernel = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(number))
        return {"a.weight": kernel.to(memory_format=torch.channels_last), "a.seen": torch.tensor(number)}

    states = [state(number) for number in range(12)]  # as many as make the order of their names another one
    weights = torch.rand(11, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    written = Reading(states[11], [0.1, 1 / 3], states[:11], weights)
    save_reading(written, tmp_path / "t.safetensors")
    read = load_reading(tmp_path / "t.safetensors")
    assert read.rates == written.rates
    assert torch.equal(read.weights, weights)
    for one, other in zip([read.state, *read.checkpoints], [written.state, *written.checkpoints], strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in other)
