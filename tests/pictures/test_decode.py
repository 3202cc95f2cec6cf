import io
import os
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.support.bombs import plain_webp
from tests.support.sources import encoded, noise_png
from winnow.pictures import decode as module
from winnow.pictures.decode import UnreadableError, check_header, decode, quiet, stretch
from winnow.pictures.pixel_hash import pixel_hash

LIMIT = 1_000_000


def pixels_of(content: bytes) -> np.ndarray:
    with quiet():
        return decode(content, max_pixels=LIMIT)


def why_not(content: bytes) -> str:
    with pytest.raises(UnreadableError) as caught, quiet():
        decode(content, max_pixels=LIMIT)
    return str(caught.value)


def handmade_png(width: int, height: int, depth: int, kind: int, rows: list[bytes], transparent: bytes = b"") -> bytes:
    """A PNG by the specification's letter, for what PIL does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    tail = (chunk(b"tRNS", transparent) if transparent else b"") + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + tail


# --- grey and colour ------------------------------------------------------------------------------------------------


def test_grey_stays_one_channel_and_colour_three() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(grey))), grey[..., None])
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(colour))), colour)


def test_one_bit_is_black_and_white() -> None:
    image = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    np.testing.assert_array_equal(pixels_of(encoded(image))[..., 0], [[0, 255], [255, 0]])


def test_content_decides_not_the_format_that_a_name_would_promise() -> None:
    pixels = np.full((2, 2, 3), 9, np.uint8)
    for kind in ("PNG", "BMP", "TIFF", "PPM"):
        np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(pixels), kind)), pixels)
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(pixels), "WEBP", lossless=True)), pixels)


# --- deeper than eight bits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    deep = np.array([[0, 128, 129, 257, 32_768, 65_535]], np.uint16)
    # v * 255 / 65535 = v / 257: 0, 0.498, 0.502, 1, 127.502, 255
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(deep), kind))[..., 0], [[0, 0, 1, 1, 128, 255]])


def test_16_bit_big_endian_tiff() -> None:
    image = Image.frombytes("I;16B", (2, 1), np.array([[257, 65_535]], ">u2").tobytes())
    np.testing.assert_array_equal(pixels_of(encoded(image, "TIFF"))[..., 0], [[1, 255]])


def test_16_bit_colour_is_scaled() -> None:
    row = struct.pack(">6H", 0, 0x8080, 0xFFFF, 0x0101, 0xFEFE, 0x7F7F)
    np.testing.assert_array_equal(pixels_of(handmade_png(2, 1, 16, 2, [row])), [[[0, 128, 255], [1, 254, 127]]])


def test_16_bit_grey_with_a_transparent_level_is_white_there() -> None:
    content = handmade_png(3, 1, 16, 0, [struct.pack(">3H", 0, 1000, 25_700)], transparent=struct.pack(">H", 1000))
    np.testing.assert_array_equal(pixels_of(content)[..., 0], [[0, 255, 100]])


def test_a_transparent_level_is_no_value_of_12_bits() -> None:
    content = handmade_png(3, 1, 16, 0, [struct.pack(">3H", 0, 4095, 65_535)], transparent=struct.pack(">H", 65_535))
    np.testing.assert_array_equal(pixels_of(content)[..., 0], [[0, 255, 255]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_12_bits_in_a_16_bit_file_keep_their_levels(kind: str) -> None:
    deep = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    expected = np.rint(deep / 4095 * 255).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(deep), kind))[..., 0], expected)
    deep[0, 0] = 4096  # one more, and the range is that of 16 bits
    assert pixels_of(encoded(Image.fromarray(deep), kind)).max() == 16


def test_pgm_of_ten_bits_is_scaled_by_its_own_maximum() -> None:
    content = b"P5 3 1 1023\n" + np.array([0, 512, 1023], ">u2").tobytes()
    np.testing.assert_array_equal(pixels_of(content)[..., 0], [[0, 128, 255]])  # 512 / 1023 * 255 = 127.6


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.25, 1.0], [0, 64, 255]),  # [0, 1]: times 255
        ([0.0, 100.0, 255.0], [0, 100, 255]),  # [0, 255]: as they are
        ([0.0, 257.0, 65_535.0], [0, 1, 255]),  # [0, 65535]: by 257
        ([-1.0, 0.5, 4.0], [0, 76, 255]),  # none of these: 1.5 / 5 * 255 = 76.5, even
        ([70_000.0, 70_000.0, 70_000.0], [0, 0, 0]),  # flat
    ],
)
def test_float_tiff_takes_the_smallest_usual_range(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    np.testing.assert_array_equal(pixels_of(encoded(image, "TIFF"))[..., 0], [expected])


def test_32_bit_integers_have_no_range_of_one() -> None:
    image = Image.fromarray(np.array([[0, 1, 255]], np.int32))
    np.testing.assert_array_equal(pixels_of(encoded(image, "TIFF"))[..., 0], [[0, 1, 255]])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_unsupported(value: float) -> None:
    assert why_not(encoded(Image.fromarray(np.array([[0.0, value]], np.float32)), "TIFF")) == "unsupported pixel format"


# --- alpha over white -----------------------------------------------------------------------------------------------


def test_rgba_lies_over_white() -> None:
    image = Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], np.uint8))
    # alpha 51 = 0.2: 0.2 * colour + 0.8 * 255
    np.testing.assert_array_equal(pixels_of(encoded(image)), [[[10, 20, 30], [255, 255, 255], [204, 224, 244]]])


def test_alpha_of_a_tall_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 3, 4), dtype=np.uint8)
    alpha = pixels[..., 3:] / 255
    expected = np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha))
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(pixels))), expected)


def test_grey_with_alpha_lies_over_white_and_stays_grey() -> None:
    image = Image.fromarray(np.array([[[0, 255], [0, 0], [100, 51]]], np.uint8))
    assert image.mode == "LA"
    np.testing.assert_array_equal(pixels_of(encoded(image))[..., 0], [[0, 255, 224]])


def palette_image(colours: list[int]) -> Image.Image:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette(colours)
    return image


def test_palette_with_alpha_lies_over_white() -> None:
    content = encoded(palette_image([255, 0, 0, 0, 0, 0, 0, 0, 255]), transparency=bytes([51, 0, 255]))
    np.testing.assert_array_equal(pixels_of(content), [[[255, 204, 204], [255, 255, 255], [0, 0, 255]]])


def test_gif_with_a_transparent_index_is_white_there() -> None:
    content = encoded(palette_image([255, 0, 0, 0, 255, 0, 0, 0, 255]), "GIF", transparency=1)
    np.testing.assert_array_equal(pixels_of(content), [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]])


def test_palette_of_greys_is_grey() -> None:
    np.testing.assert_array_equal(
        pixels_of(encoded(palette_image([5, 5, 5, 9, 9, 9, 70, 70, 70])))[..., 0], [[5, 9, 70]]
    )


def test_rgb_and_grey_with_a_transparent_colour_are_white_there() -> None:
    rgb = handmade_png(2, 1, 8, 2, [bytes([1, 2, 3, 4, 5, 6])], transparent=struct.pack(">3H", 4, 5, 6))
    np.testing.assert_array_equal(pixels_of(rgb), [[[1, 2, 3], [255, 255, 255]]])
    grey = handmade_png(2, 1, 8, 0, [bytes([7, 8])], transparent=struct.pack(">H", 8))
    np.testing.assert_array_equal(pixels_of(grey)[..., 0], [[7, 255]])


# --- CMYK -----------------------------------------------------------------------------------------------------------


def test_cmyk_tiff_becomes_rgb() -> None:
    image = Image.frombytes("CMYK", (3, 1), bytes([0, 255, 255, 0, 255, 0, 0, 0, 0, 0, 0, 255]))
    np.testing.assert_array_equal(pixels_of(encoded(image, "TIFF")), [[[255, 0, 0], [0, 255, 255], [0, 0, 0]]])


def test_adobe_jpeg_stores_cmyk_inverted() -> None:
    content = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    assert b"Adobe" in content
    np.testing.assert_array_equal(pixels_of(content), np.broadcast_to(np.array([255, 0, 0]), (16, 16, 3)))


# --- orientation and frames -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    stored = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(stored, kind, exif=exif)
    stored.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(pixels_of(content)[..., 0], expected)


def test_a_phone_held_upright_gives_an_upright_picture() -> None:
    stored = np.zeros((8, 16), np.uint8)
    stored[:, 8:] = 255  # the sensor's right half
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored top row is the right-hand side
    upright = pixels_of(encoded(Image.fromarray(stored), "JPEG", quality=100, exif=exif))[..., 0]
    assert upright.shape == (16, 8)
    assert upright[:8].max() < 10
    assert upright[8:].min() > 245


def test_damaged_exif_costs_no_pixels() -> None:
    pixels = np.full((2, 2), 40, np.uint8)
    content = encoded(Image.fromarray(pixels), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(pixels_of(content)[..., 0], pixels)


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_of_several_frames_the_first_is_taken(kind: str, options: dict[str, bool]) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((200, 10, 10), (10, 200, 10))]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) == 2
    np.testing.assert_array_equal(pixels_of(content), np.asarray(frames[0]))


# --- what gives no pixels -------------------------------------------------------------------------------------------


def test_zero_bytes() -> None:
    assert why_not(b"") == "empty file"


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\0" * 1000, b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_or_starts_a_program_is_unknown(content: bytes) -> None:
    assert why_not(content) == "unknown image format"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"])
def test_truncated(kind: str) -> None:
    whole = encoded(Image.open(io.BytesIO(noise_png(1, side=32, colour=True))), kind)
    assert pixels_of(whole).shape == (32, 32, 3)
    assert why_not(whole[: len(whole) // 2]) == "truncated or damaged"


def test_damaged_in_the_middle() -> None:
    content = bytearray(noise_png(1, side=32))
    content[len(content) // 2] ^= 0xFF
    assert why_not(bytes(content)) == "truncated or damaged"


@pytest.mark.parametrize("side", [1001, 12_000, 40_000])  # over our limit, PIL's warning, PIL's error
def test_absurdly_large_is_refused_by_its_header(side: int) -> None:
    content = handmade_png(side, side, 8, 0, [b"\0"])  # hardly any pixels follow: decoding would say damaged
    assert why_not(content) == "too large"
    with pytest.raises(UnreadableError, match="too large"), quiet():
        check_header(io.BytesIO(content), max_pixels=LIMIT)


@pytest.mark.parametrize("size", [(1, 1), (300, 7), (16_383, 2)])
def test_a_webp_says_its_size_before_it_is_opened(size: tuple[int, int]) -> None:
    image, exif = Image.new("RGB", size), Image.Exif()
    exif[0x0112] = 1
    kinds: list[dict[str, Any]] = [{}, {"lossless": True}, {"exif": exif}, {"lossless": True, "exif": exif}]
    heads = [encoded(image, "WEBP", **kind)[: module.HEAD] for kind in kinds]
    assert {head[12:16] for head in heads} == {b"VP8 ", b"VP8L", b"VP8X"}
    assert [module.canvas_pixels(head) for head in heads] == [size[0] * size[1]] * 4
    assert module.canvas_pixels(encoded(image)[: module.HEAD]) == module.canvas_pixels(b"RIFF") == 0


def test_a_webp_too_large_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", None)  # which would take memory for the pixels
    assert why_not(plain_webp(12_000, 12_000)) == "too large"


@pytest.mark.parametrize("error", [MemoryError(), OSError("Out of memory when reading image file")])
def test_pixels_for_which_there_is_no_memory(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    content = encoded(Image.new("L", (4, 4)))
    with monkeypatch.context() as patched:
        patched.setattr("PIL.ImageFile.ImageFile.load", fail)
        assert why_not(content) == "takes too much memory to decode"
    monkeypatch.setattr(Image, "open", fail)
    assert why_not(content) == "takes too much memory to decode"


def test_the_limit_itself_is_allowed() -> None:
    content = encoded(Image.new("L", (1000, 1000)))
    assert pixels_of(content).shape == (1000, 1000, 1)


def test_lab_is_unsupported() -> None:
    assert why_not(encoded(Image.new("LAB", (2, 2)), "TIFF")) == "unsupported pixel format"


WHOLE = [
    encoded(Image.open(io.BytesIO(noise_png(3, side=12, colour=True))), kind)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "ICO")
]


@settings(max_examples=300)
@given(st.sampled_from(WHOLE), st.data())
def test_hostile_bytes_give_pixels_or_a_known_reason(whole: bytes, data: st.DataObject) -> None:
    content = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    reason, pixels = "", np.zeros((1, 1, 1), np.uint8)
    try:
        pixels = pixels_of(bytes(content))
    except UnreadableError as error:
        reason = str(error)
    assert reason in {"", module.UNKNOWN, module.DAMAGED, module.TOO_LARGE, module.UNSUPPORTED}
    assert (pixels.dtype, pixels.ndim) == (np.dtype(np.uint8), 3)
    assert pixels.shape[-1] in (1, 3)


def test_quiet_keeps_warnings_in_and_puts_filters_back() -> None:
    content = handmade_png(12_000, 9_000, 8, 0, [b"\0"])  # PIL warns of a bomb at 108 million pixels
    with quiet():
        check_header(io.BytesIO(content), max_pixels=module.PIXEL_LIMIT)
    with pytest.raises(UnreadableError):  # the tests' filter turns the warning into an error again
        check_header(io.BytesIO(content), max_pixels=module.PIXEL_LIMIT)


# --- hash and working size ------------------------------------------------------------------------------------------


def test_pixel_hash_sees_pixels_and_shape_and_nothing_else() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    same = pixels_of(encoded(Image.fromarray(pixels), "TIFF"))
    assert pixel_hash(pixels) == pixel_hash(same)
    others = [pixels.reshape(4, 1, 3), pixels.reshape(2, 6, 1), pixels ^ np.uint8(1)]
    assert len({pixel_hash(other) for other in [pixels, *others]}) == 4


def test_a_grey_picture_has_one_hash_however_it_is_stored() -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    kinds = {mode: pixels_of(encoded(Image.fromarray(grey).convert(mode), "PNG")) for mode in ("L", "RGB", "RGBA", "P")}
    assert {kind: pixels.shape[-1] for kind, pixels in kinds.items()} == {"L": 1, "RGB": 3, "RGBA": 3, "P": 1}
    assert len({pixel_hash(pixels) for pixels in kinds.values()}) == 1


def triangle_resize(line: np.ndarray, side: int) -> np.ndarray:
    """Bilinear with antialiasing by its definition: a triangle as wide as the shrinking, its weights summing to 1."""
    scale = len(line) / side
    reach = max(scale, 1.0)
    centres = (np.arange(side) + 0.5) * scale
    distance = np.abs(np.arange(len(line))[None] + 0.5 - centres[:, None])  # (side, length)
    weights = np.maximum(0, 1 - distance / reach)
    return (weights / weights.sum(axis=1, keepdims=True)) @ line


@pytest.mark.parametrize("shape", [(40, 30, 1), (7, 100, 3), (16, 16, 1)])
def test_stretch_is_antialiased_bilinear(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    rows = triangle_resize(pixels.astype(float).reshape(shape[0], -1), 16).reshape(16, *shape[1:])
    expected = triangle_resize(rows.swapaxes(0, 1).reshape(shape[1], -1), 16).reshape(16, 16, -1).swapaxes(0, 1)
    stretched = stretch(pixels, side=16)
    assert stretched.shape == (16, 16, shape[2])
    np.testing.assert_allclose(stretched, expected, atol=1.01)  # PIL rounds to 8 bits after each axis


def test_libtiff_writes_nothing_to_the_terminal_and_other_errors_still_do(capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(encoded(Image.effect_noise((64, 64), 90), "TIFF", compression="tiff_lzw"))
    content[40:400] = bytes(360)  # of the compressed strip
    with pytest.raises(UnreadableError):
        pixels_of(bytes(content))
    os.write(2, b"ours")
    assert capfd.readouterr() == ("", "ours")
