"""The policy as a torchvision transform: what it draws, recorded and rendered, is what it gives."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from winnow.augmentation.policy import Policy, Step, draw_from_policy
from winnow.augmentation.rendering import read_steps, recorded, render
from winnow.augmentation.transform import PolicyTransform, strictest
from winnow.pipeline.files import write_json
from winnow.pipeline.messages import UserError

POLICY = Policy(
    ("shear_x", "rotate", "invert", "gaussian_noise", "cutout"),
    (
        (Step("rotate", 0.9, 0.8), Step("invert", 0.5, 0.4)),
        (Step("shear_x", 0.9, 0.7), Step("cutout", 0.6, 0.5)),
        (Step("gaussian_noise", 0.9, 0.5), Step("rotate", 0.5, 0.6)),
    ),
    {"rotate": {"cat": 0.5, "dog": 0.25}, "invert": {"cat": 0.0, "dog": 1.0}, "shear_x": {"cat": 1.0, "dog": 1.0}},
)
CLASSES = ["cat", "dog"]


@pytest.fixture
def transform(tmp_path: Path) -> PolicyTransform:
    write_json(tmp_path / "policy.json", POLICY.to_json())
    return PolicyTransform.load(str(tmp_path / "policy.json"), chained=1, classes=CLASSES)


def pixels(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 80, channels), dtype=np.uint8)


def kinds(image: np.ndarray) -> dict[str, Any]:
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())
    flat = image[..., 0] if image.shape[2] == 1 else image
    return {"PIL": Image.fromarray(flat), "tensor": tensor, "tv_tensor": tv_tensors.Image(tensor)}


def back(image: Any) -> np.ndarray:
    if isinstance(image, Image.Image):
        return np.atleast_3d(np.asarray(image))
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("label", [(), ("cat",), (1,), (torch.tensor(1),)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_drawn_steps_recorded_and_rendered_give_the_same_picture(
    transform: PolicyTransform, channels: int, label: tuple[Any, ...]
) -> None:
    changed = 0
    for seed in range(12):
        torch.manual_seed(seed)
        steps = read_steps(recorded(transform.draw(*label)))
        wanted = render(pixels(channels), steps)
        changed += bool((wanted != pixels(channels)).any())
        for kind, image in kinds(pixels(channels)).items():
            torch.manual_seed(seed)
            out = transform(image, *label)
            if label:
                out, same = out
                assert same is label[0]
            assert type(out) is type(image), kind
            np.testing.assert_array_equal(back(out), wanted)
    assert changed > 6


def test_the_argument_is_left_as_it_was(transform: PolicyTransform) -> None:
    images = kinds(pixels())
    for image in images.values():
        for _ in range(5):
            transform(image)
        np.testing.assert_array_equal(back(image), pixels())


def test_steps_are_the_policys_with_a_labels_limits(transform: PolicyTransform) -> None:
    torch.manual_seed(0)
    largest = {name: most_of(transform, label) for name, label in (("cat", ("cat",)), ("dog", (1,)), ("any", ()))}
    shear, noise, cutout = ("shear_x", 0.7), ("gaussian_noise", 0.5), ("cutout", 0.5)
    assert largest["cat"] == dict([("rotate", 0.5), shear, noise, cutout])
    assert largest["dog"] == dict([("rotate", 0.25), ("invert", 0.4), shear, noise, cutout])
    assert largest["any"] == dict([("rotate", 0.25), shear, noise, cutout])


def most_of(transform: PolicyTransform, label: tuple[Any, ...]) -> dict[str, float]:
    steps = [step for _ in range(600) for step in transform.draw(*label)]
    return {step.operation: max(abs(s.magnitude) for s in steps if s.operation == step.operation) for step in steps}


def test_chained_draws_are_those_of_the_policy() -> None:
    """As often as ``draw_from_policy`` itself gives an operation, within what chance allows."""
    chained, count = PolicyTransform(POLICY, chained=3), 3000
    torch.manual_seed(1)
    found = Counter(step.operation for _ in range(count) for step in chained.draw("dog"))
    plan = draw_from_policy(POLICY, ["dog"] * count, torch.Generator().manual_seed(2), chained=3)
    wanted = Counter(step.operation for steps in plan for step in steps)
    assert set(found) == set(wanted)
    for name, number in wanted.items():
        assert abs(found[name] - number) < 5 * number**0.5


def test_without_limits_every_class_is_free() -> None:
    free = PolicyTransform(replace(POLICY, limits={}), chained=1)
    torch.manual_seed(0)
    assert most_of(free, ("whatever",)) == most_of(free, ()) | {"rotate": 0.8}
    assert strictest(replace(POLICY, limits={"rotate": {}})).limits == {"rotate": {"": 1.0}}


class Images(Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, transform: v2.Compose) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image, label = self.transform(Image.fromarray(pixels()), index % 2)
        return image, label


def test_it_stands_in_a_compose_and_follows_the_global_seed(transform: PolicyTransform) -> None:
    compose = v2.Compose([transform, v2.Resize((32, 32)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    alone = compose(Image.fromarray(pixels()))
    assert alone.shape == (3, 32, 32)
    epochs = []
    for seed, workers in ((0, 0), (0, 0), (1, 0), (0, 2), (0, 2)):
        torch.manual_seed(seed)
        loader = DataLoader(Images(compose), batch_size=4, num_workers=workers)
        images, labels = zip(*loader, strict=True)
        assert torch.cat(labels).tolist() == [0, 1] * 4
        epochs.append(torch.cat(images))
    assert torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], epochs[2])
    assert torch.equal(epochs[3], epochs[4])
    assert not torch.equal(epochs[3][:4], epochs[3][4:])  # by two workers, which draw differently
    assert "sub_policies=3, chained=1" in repr(compose)


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (torch.zeros(3, 4, 4), (), r"uint8 tensor .* got float32 \(3, 4, 4\); put the policy before ToDtype"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), (), r"got uint8 \(2, 3, 4, 4\)"),
        (torch.zeros(4, 4, 4, dtype=torch.uint8), (), r"of 1 or 3 channels wanted"),
        (Image.new("RGBA", (4, 4)), (), "mode L or RGB wanted, got RGBA; convert it to RGB first"),
        (np.zeros((4, 4, 3), np.uint8), (), "a PIL image or a tensor wanted, got ndarray"),
        (Image.new("RGB", (4, 4)), ("cat", 1), "an image and its label wanted, got 3 values"),
    ],
)
def test_what_it_cannot_change_is_refused(
    transform: PolicyTransform, image: Any, label: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        transform(image, *label)


def test_labels_that_it_does_not_know_are_refused(transform: PolicyTransform) -> None:
    with pytest.raises(ValueError, match=r"knows no class 'class_0000'; known: cat, dog. An export calls a class"):
        transform.draw("class_0000")
    with pytest.raises(ValueError, match="label 2 is no index of 2 classes"):
        transform.draw(2)
    with pytest.raises(TypeError, match="label 1 is no class name; give `classes`"):
        PolicyTransform(POLICY, chained=1).draw(1)


def test_a_file_that_is_no_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        PolicyTransform.load(tmp_path / "policy.json", chained=1)
