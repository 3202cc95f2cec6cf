"""Thumbnails of delivered bytes: size, aspect, upright, the pixels of a full decode, whatever the format."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from winnow.pictures import thumbnail as module
from winnow.pictures.decode import DAMAGED, EMPTY, UNKNOWN, UnreadableError, decode, upright_pixels
from winnow.pictures.thumbnail import thumbnail

LIMIT = 10**8


def scene(height: int, width: int) -> npt.NDArray[np.uint8]:
    """(H, W, 3): smooth, so that every way of reducing it gives nearly the same."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.stack([200 * x, 200 * y, 100 + 100 * np.sin(6 * x)], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format=kind, **options)
    return sink.getvalue()


COLOUR = Image.fromarray(scene(300, 400))
DELIVERED = {
    "png": encoded(COLOUR, "PNG"),
    "grey png": encoded(COLOUR.convert("L"), "PNG"),
    "palette gif": encoded(COLOUR, "GIF"),
    "alpha png": encoded(COLOUR.convert("RGBA"), "PNG"),
    "16 bits": encoded(Image.fromarray(scene(300, 400)[..., 0].astype(np.uint16) * 257), "PNG"),
    "tiff": encoded(COLOUR, "TIFF"),
    "cmyk tiff": encoded(COLOUR.convert("CMYK"), "TIFF"),
    "bmp": encoded(COLOUR, "BMP"),
    "webp": encoded(COLOUR, "WEBP", quality=95),
}


@pytest.mark.parametrize("kind", DELIVERED)
def test_it_is_the_full_decode_reduced(kind: str) -> None:
    whole = decode(DELIVERED[kind], max_pixels=LIMIT)
    plain = Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole)
    wanted = np.asarray(plain.resize((160, 120), Image.Resampling.BICUBIC, reducing_gap=2)).reshape(120, 160, -1)
    got = thumbnail(DELIVERED[kind], 160)
    assert got.dtype == np.uint8
    assert got.shape == wanted.shape
    assert (got == wanted).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_looks_as_its_full_decode_does(mode: str) -> None:
    content = encoded(Image.fromarray(scene(1500, 2000)).convert(mode), "JPEG", quality=95)
    whole = decode(content, max_pixels=LIMIT)
    plain = Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole)
    wanted = np.asarray(plain.resize((160, 120), Image.Resampling.BICUBIC)).reshape(120, 160, -1)
    got = thumbnail(content, 160)
    assert got.shape == wanted.shape
    assert np.abs(got.astype(int) - wanted).max() <= 4


@pytest.mark.parametrize(("width", "height", "decoded"), [(4000, 3000, (500, 375)), (600, 300, (600, 300))])
def test_a_large_jpeg_is_decoded_at_its_own_smaller_scale(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int, decoded: tuple[int, int]
) -> None:
    sizes: list[tuple[int, int]] = []

    def record(image: Image.Image) -> npt.NDArray[np.uint8]:
        sizes.append(image.size)
        return upright_pixels(image)

    monkeypatch.setattr(module, "upright_pixels", record)
    thumbnail(encoded(Image.new("RGB", (width, height)), "JPEG"), 160)
    assert sizes == [decoded]


@pytest.mark.parametrize(
    ("width", "height", "fitted"),
    [(400, 300, (160, 120)), (300, 400, (120, 160)), (1000, 7, (160, 1)), (5000, 3, (160, 1)), (161, 161, (160, 160))],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_aspect_is_kept(width: int, height: int, fitted: tuple[int, int], kind: str) -> None:
    small = thumbnail(encoded(Image.new("L", (width, height)), kind), 160)
    assert (small.shape[1], small.shape[0]) == fitted


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (20, 13), (160, 160)])
def test_a_small_image_keeps_its_own_pixels(kind: str, width: int, height: int) -> None:
    content = encoded(Image.fromarray(scene(height, width)), kind)
    assert (thumbnail(content, 160) == decode(content, max_pixels=LIMIT)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(scene(900, 1200)), kind, exif=exif, quality=95)
    upright = Image.fromarray(decode(content, max_pixels=LIMIT))
    got = thumbnail(content, 160)
    assert got.shape[:2] == ((120, 160) if orientation < 5 else (160, 120))
    wanted = np.asarray(upright.resize(got.shape[1::-1], Image.Resampling.BICUBIC))
    assert np.abs(got.astype(int) - wanted).max() <= 4


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", EMPTY), (b"no image", UNKNOWN), (DELIVERED["png"][: len(DELIVERED["png"]) // 2], DAMAGED)],
)
def test_bytes_that_give_no_pixels_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        thumbnail(content)


def test_a_side_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="side must be at least 1, got 0"):
        thumbnail(DELIVERED["png"], 0)
