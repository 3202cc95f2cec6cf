"""prepare counts the images whose files say where, by which device and by whom they were taken."""

from pathlib import Path

from PIL import Image

from tests.support.prepared import Prepared
from tests.support.sources import encoded, make_folder, noise_png, split_files


def test_positions_and_names_are_counted_once_an_image(tmp_path: Path) -> None:
    files = split_files()
    image = Image.effect_noise((9, 9), 60)
    place, both, name = Image.Exif(), Image.Exif(), Image.Exif()
    for one in (place, both):
        one[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)}
    for one in (both, name):
        one[0x013B] = "4711"
    for number, exif in enumerate((place, both, name)):
        files[f"train/a/private{number}.jpg"] = encoded(image.rotate(90 * number), "JPEG", exif=exif)
    files["test/a/private.png"] = encoded(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), exif=both)
    files["train/a/plain.png"] = noise_png(77)
    counts = Prepared(make_folder(tmp_path / "source", files), tmp_path / "out").counts
    assert counts["images_with_gps"] == 3
    assert counts["images_with_serial_number"] == 3


def test_a_source_without_has_none(tmp_path: Path) -> None:
    counts = Prepared(make_folder(tmp_path / "source", split_files()), tmp_path / "out").counts
    assert counts["images_with_gps"] == counts["images_with_serial_number"] == 0
