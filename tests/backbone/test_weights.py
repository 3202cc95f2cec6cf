from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.support.backbones import batch, card_of
from winnow.backbone import loading
from winnow.backbone.loading import load_backbone, weight_file
from winnow.backbone.weights import put_state, read_state
from winnow.pipeline.messages import UserError


@pytest.mark.parametrize("kind", ["pt", "pth", "safetensors", "checkpoint", "parallel"])
def test_every_kind_of_file_gives_the_weights(kind: str, tmp_path: Path) -> None:
    trained: Any = torchvision.models.resnet18(num_classes=4)
    state = trained.state_dict()
    file = tmp_path / f"w.{kind if kind in ('pt', 'safetensors') else 'pth'}"
    if kind == "safetensors":
        save_file(state, file)
    elif kind == "checkpoint":
        torch.save({"state_dict": state, "epoch": 3}, file)
    else:
        torch.save({f"module.{k}": v for k, v in state.items()} if kind == "parallel" else state, file)
    backbone = load_backbone(card_of("torchvision:resnet18", file.name), user_folder=tmp_path)
    trained.set_submodule("fc", nn.Identity())
    x = batch(2)
    assert torch.allclose(backbone.features(x), trained.eval()(x), atol=1e-5)


@pytest.mark.parametrize("classes", [4, 1000])
def test_timm_takes_files_with_its_own_or_another_head(classes: int, tmp_path: Path) -> None:
    trained: Any = timm.create_model("test_resnet", num_classes=classes)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    backbone = load_backbone(card_of("timm:test_resnet", "w.pt"), user_folder=tmp_path)
    x = batch(2)
    trained.eval()
    wanted = trained.forward_head(trained.forward_features(x), pre_logits=True)
    assert torch.allclose(backbone.features(x), wanted, atol=1e-5)


def test_a_file_without_the_head_fits(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet", num_classes=0).state_dict()
    torch.save(state, tmp_path / "w.pt")
    assert load_backbone(card_of("timm:test_resnet", "w.pt"), user_folder=tmp_path).dimensions > 0


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 4))

    def refused(change: dict[str, Tensor], without: str, message: str) -> None:
        state = {k: v for k, v in (network.state_dict() | change).items() if k != without}
        with pytest.raises(UserError, match=message):
            put_state(network, state, heads=("2",), file=Path("w.pt"))

    refused({}, "0.bias", "w.pt do not fit the model: the file lacks 0.bias; give weights of this model")
    refused({"5.weight": torch.ones(1)}, "", "has unknown 5.weight")
    refused({"0.weight": torch.ones(3, 5)}, "", "has another shape of 0.weight")
    many = {f"x{n}.weight": torch.ones(1) for n in range(6)}
    refused(many, "", "x0.weight, x1.weight, x2.weight, x3.weight and 2 more")


def test_files_that_hold_no_weights_are_refused(tmp_path: Path) -> None:
    for name, content in {"a.pt": b"no pickle", "b.safetensors": b"none", "e.pth": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="is damaged, or holds more than tensors; save the network's"):
            read_state(tmp_path / name)
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(UserError, match=r"whole.pt is damaged, or holds more than tensors"):
        read_state(tmp_path / "whole.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match="must hold tensors by name"):
        read_state(tmp_path / "list.pt")
    with pytest.raises(UserError, match="is missing; put the file there"):
        read_state(tmp_path / "gone.pt")
    with pytest.raises(UserError, match=r"must be a \.pt, \.pth or \.safetensors file"):
        read_state(tmp_path / "w.h5")


def test_files_lie_in_the_users_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "ROOT", tmp_path)
    folder = tmp_path / "models" / "user"
    wanted = folder / "nets" / "w.pt"
    for given in ("nets/w.pt", "models/user/nets/w.pt", str(wanted), "nets/../nets/w.pt"):
        assert weight_file(given, user_folder=folder) == wanted
    for outside in ("../w.pt", "/tmp/w.pt", "nets/../../w.pt"):
        with pytest.raises(UserError, match=f"must lie in .*user, got '{outside}'; copy the file there"):
            weight_file(outside, user_folder=folder)
