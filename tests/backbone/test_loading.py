from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from tests.support.backbones import batch, card_of
from winnow.backbone.loading import Backbone, finetunable, load_backbone
from winnow.backbone.packaged import LITE0, LITE0_MODEL, PACKAGE
from winnow.pipeline.messages import UserError


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return load_backbone(card_of(LITE0_MODEL, PACKAGE + LITE0), user_folder=Path("nowhere"))


def test_head_on_features_is_the_network_itself(lite0: Backbone) -> None:
    x = batch(3)
    network: Any = lite0.network
    with torch.inference_mode():
        assert lite0.dimensions == 1280
        assert torch.allclose(network.classifier(lite0.features(x)), network(x), atol=1e-5)
        assert torch.equal(lite0(x), lite0.features(x))


@pytest.mark.parametrize(
    ("model", "head", "dimensions"),
    [
        ("torchvision:resnet18", "fc", 512),
        ("torchvision:mobilenet_v3_small", "classifier.3", 1024),
        ("torchvision:densenet121", "classifier", 1024),
        ("torchvision:swin_t", "head", 768),
        ("timm:resnet10t", "fc", 512),
        ("timm:test_vit", "head", 64),
        ("timm:test_convnext", "head.fc", 64),
    ],
)
def test_likewise_of_other_architectures(model: str, head: str, dimensions: int, tmp_path: Path) -> None:
    pixels = 160 if "test" in model else 64
    backbone = load_backbone(card_of(model, pixels=pixels), user_folder=tmp_path)
    x = batch(2, pixels)
    with torch.inference_mode():
        features = backbone.features(x)
        assert features.shape == (2, backbone.dimensions) == (2, dimensions)
        assert torch.allclose(backbone.network.get_submodule(head)(features), backbone.network(x), atol=1e-4)
    assert not backbone.training
    assert not any(one.requires_grad for one in backbone.parameters())


def test_networks_without_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="squeezenet1_1 has no linear layer; give it a method features"):
        load_backbone(card_of("torchvision:squeezenet1_1"), user_folder=tmp_path)


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"test_vit takes no 100 x 100 images \(AssertionError: .*\); set pixels"):
        load_backbone(card_of("timm:test_vit", pixels=100), user_folder=tmp_path)


def test_competition_is_no_backbone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no backbone"):
        load_backbone(card_of("competition"), user_folder=tmp_path)


def test_whole_network_trains_with_a_fresh_head(tmp_path: Path) -> None:
    network = finetunable(card_of("torchvision:resnet18"), 5, torch.Generator().manual_seed(0), user_folder=tmp_path)
    assert network.training
    logits = network(batch(4))
    assert logits.shape == (4, 5)
    logits.sum().backward()
    unused = [name for name, one in network.named_parameters() if one.grad is None]
    assert unused == ["backbone.network.fc.weight", "backbone.network.fc.bias"]


def test_logits_are_the_head_on_the_pretrained_features(lite0: Backbone, tmp_path: Path) -> None:
    of = card_of(LITE0_MODEL, PACKAGE + LITE0)
    network = finetunable(of, 3, torch.Generator().manual_seed(0), user_folder=tmp_path).eval()
    x = batch(2)
    assert torch.allclose(network(x), network.head(lite0.features(x)), atol=1e-5)


def test_seed_decides_and_the_global_generator_does_not(tmp_path: Path) -> None:
    def state(seed: int) -> dict[str, Tensor]:
        torch.rand(seed + 1)
        generator = torch.Generator().manual_seed(seed)
        return finetunable(card_of("timm:test_resnet"), 3, generator, user_folder=tmp_path).state_dict()

    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, again, other = state(1), state(1), state(2)
    torch.manual_seed(0)
    assert all(torch.equal(one[name], again[name]) for name in one)
    for name in (
        "head.weight",
        "backbone.network.conv1.weight" if "backbone.network.conv1.weight" in one else "head.weight",
    ):
        assert not torch.equal(one[name], other[name])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("model", "library", "function", "error"),
    [
        ("torchvision:resnet18", torchvision.models, "get_model", URLError("no network")),
        ("timm:resnet18", timm, "create_model", RuntimeError("No pretrained weights exist")),
    ],
)
def test_weights_that_cannot_be_had_are_said_with_the_remedy(
    model: str, library: Any, function: str, error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(name: str, **wanted: object) -> nn.Module:
        assert wanted in ({"weights": "DEFAULT"}, {"pretrained": True})
        raise error

    monkeypatch.setattr(library, function, fail)
    with pytest.raises(
        UserError, match=f"default weights of {model} cannot be had .*give weights a file in models/user"
    ):
        load_backbone(card_of(model, "default"), user_folder=tmp_path)
