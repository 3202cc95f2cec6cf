"""Delivered images as squares: each as ``fit`` makes it, grey and colour apart, in parts that fit into memory."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.backbones import PLAIN
from tests.support.inputs import CARD
from winnow.backbone.card import Card
from winnow.backbone.resize import fit
from winnow.dataset.arrays import ArrayStore, write_rows
from winnow.dataset.images import encode_jpeg, write_dataset
from winnow.dataset.samples import samples_table
from winnow.model import squares as module
from winnow.model.inputs import Inputs
from winnow.model.squares import batches, squares
from winnow.pictures.decode import PIXEL_LIMIT, decode, stretch
from winnow.pipeline.messages import UserError

RNG = np.random.default_rng(0)


def dataset(folder: Path) -> dict[str, bytes]:
    """Photographs of several sizes, one of them grey, one turned by its EXIF."""
    contents = {}
    for number, shape in enumerate([(60, 90, 3), (80, 50, 1), (40, 40, 3), (70, 30, 3)]):
        contents[f"{number:016x}"] = encode_jpeg(RNG.integers(0, 256, shape, dtype=np.uint8))
    sink, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RNG.integers(0, 256, (30, 60, 3), dtype=np.uint8)).save(sink, "JPEG", exif=exif)
    contents["f" * 16] = sink.getvalue()
    rows = [
        {"id": one, "name": f"{one}.jpg", "split": "train", "label": "a", "given_label": "a", "origin": "source",
         "pixel_hash": one, "channels": 3, "width": 1, "height": 1, "group": one}
        for one in contents
    ]  # fmt: skip
    write_dataset(folder, samples_table(rows, ["a"]), images=contents.items())
    return contents


@pytest.mark.parametrize("card", [PLAIN, CARD])
def test_every_image_is_fitted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: Card) -> None:
    monkeypatch.setattr(module, "ARRAY_BYTES", 2 * 3 * card.pixels**2)
    contents = dataset(tmp_path / "set")
    write_rows(tmp_path / "pixels", squares(tmp_path / "set", list(contents), card))
    store = ArrayStore(tmp_path / "pixels")
    assert len(list((tmp_path / "pixels").glob("*.npy"))) == 3  # two and two in colour, one grey
    for one, content in contents.items():
        pixels = decode(content, max_pixels=PIXEL_LIMIT)
        expected = fit(
            pixels,
            card.pixels,
            card.resize,
            interpolation=card.interpolation,
            antialias=card.antialias,
            fill=card.fill(pixels.shape[-1]),
        )
        np.testing.assert_array_equal(store.row(one), expected)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    contents = dataset(tmp_path / "set")
    one = next(iter(contents))
    broken = contents | {one: contents[one][:-400]}
    rows: list[dict[str, object]] = [
        {"id": i, "name": i, "split": "train", "label": "a", "given_label": "a", "origin": "source", "group": i}
        for i in broken
    ]
    write_dataset(tmp_path / "broken", samples_table(rows, ["a"]), images=broken.items())
    with pytest.raises(UserError, match=f"the image of {one} is damaged"):
        list(squares(tmp_path / "broken", list(broken), PLAIN))


def test_batches_are_in_colour_and_hold_every_row_in_order() -> None:
    rows = [np.full((2, 2, channels), number, np.uint8) for number, channels in enumerate([3, 1, 1, 3, 3])]
    found = list(batches(rows, 2))
    assert [batch.shape for batch in found] == [(2, 2, 2, 3), (2, 2, 2, 3), (1, 2, 2, 3)]
    assert np.concatenate(found)[:, 0, 0].tolist() == [[n] * 3 for n in range(5)]


def test_small_images_are_those_of_the_analysis_shrunk(tmp_path: Path) -> None:
    contents = dataset(tmp_path / "set")
    write_rows(tmp_path / "pixels", squares(tmp_path / "set", list(contents), PLAIN))
    inputs = Inputs(PLAIN, tmp_path / "pixels", tmp_path / "features")
    small = inputs.small(tmp_path / "set", list(contents), 32)
    assert small.shape == (5, 32, 32, 3)
    store = ArrayStore(tmp_path / "pixels")
    for row, one in enumerate(contents):
        expected = np.broadcast_to(stretch(store.row(one), side=32), (32, 32, 3))
        np.testing.assert_array_equal(small[row], expected)
