"""Pictures of a page: which bytes stand in the data URI, and that no bound is crossed."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from winnow.pictures.decode import UNKNOWN, UnreadableError
from winnow.pictures.embed import PNG_BYTES, Picture, embed, picture_uri
from winnow.pictures.thumbnail import SIDE

NOISE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format=kind, **options)
    return sink.getvalue()


def content_of(picture: Picture) -> tuple[str, bytes]:
    kind, _, text = picture.uri.removeprefix("data:image/").partition(";base64,")
    return kind, base64.b64decode(text)


@pytest.mark.parametrize("image", [Image.new("L", (64, 64)), Image.new("RGB", (160, 40)), Image.new("1", (9, 9))])
def test_a_small_plain_png_stays_as_it_is(image: Image.Image) -> None:
    assert embed(encoded(image)) == Picture(picture_uri(encoded(image)), *image.size)
    assert content_of(embed(encoded(image))) == ("png", encoded(image))


def oriented() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    "png",
    [
        encoded(Image.new("RGBA", (20, 10), (255, 0, 0, 128))),
        encoded(Image.new("L", (20, 10), 7), exif=oriented()),
        encoded(Image.new("L", (20, 10), 7), save_all=True, append_images=[Image.new("L", (20, 10), 200)]),
        encoded(Image.fromarray(np.full((10, 20), 30000, np.uint16))),
        encoded(Image.new("L", (20, 10)), transparency=0),
    ],
    ids=["alpha", "oriented", "animated", "16 bits", "transparent"],
)
def test_a_png_that_a_browser_would_show_otherwise_is_written_anew(png: bytes) -> None:
    kind, content = content_of(embed(png))
    assert kind == "png"
    assert content != png
    image = Image.open(io.BytesIO(content))
    assert image.mode in ("L", "RGB")
    assert getattr(image, "n_frames", 1) == 1
    assert not image.getexif()


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_tiny_images_of_other_formats_become_pngs_of_their_own_pixels(kind: str) -> None:
    picture = embed(encoded(Image.new("L", (32, 20), 99), kind))
    form, content = content_of(picture)
    assert form == "png"
    assert (picture.width, picture.height) == (32, 20)
    assert (np.asarray(Image.open(io.BytesIO(content)).convert("L")) == 99).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_photographs_become_small_webps(kind: str) -> None:
    delivered = encoded(Image.fromarray(NOISE), kind)
    picture = embed(delivered)
    form, content = content_of(picture)
    assert form == "webp"
    assert (picture.width, picture.height) == Image.open(io.BytesIO(content)).size == (SIDE, SIDE * 3 // 4)
    assert len(content) < len(delivered) / 4


def test_small_pngs_that_weigh_much_shrink_too() -> None:
    png = encoded(Image.fromarray(NOISE[:128, :128]))
    assert len(png) > PNG_BYTES
    kind, content = content_of(embed(png))
    assert kind == "webp"
    assert Image.open(io.BytesIO(content)).size == (128, 128)


@pytest.mark.parametrize("limit", [20_000, 6000, 2500, 400, 60])
@pytest.mark.parametrize("content", [encoded(Image.fromarray(NOISE)), encoded(Image.new("L", (64, 64)))])
def test_no_picture_is_larger_than_its_bound(content: bytes, limit: int) -> None:
    picture = embed(content, limit=limit)
    _, held = content_of(picture)
    assert len(held) <= limit
    assert Image.open(io.BytesIO(held)).size == (picture.width, picture.height)


def test_quality_goes_down_before_size() -> None:
    photograph = encoded(Image.fromarray(NOISE))
    large = len(content_of(embed(photograph))[1])
    picture = embed(photograph, limit=large - 1)
    assert (picture.width, picture.height) == (160, 120)
    assert embed(photograph, limit=400).width < 160


def test_a_bound_that_no_picture_meets_is_refused() -> None:
    with pytest.raises(ValueError, match="limit must leave room for a WebP of one pixel"):
        embed(encoded(Image.fromarray(NOISE)), limit=3)


def test_formats_that_start_programs_are_never_opened() -> None:
    with pytest.raises(UnreadableError, match=UNKNOWN):
        picture_uri(encoded(Image.new("L", (8, 8)), "EPS"))
