"""A push says what else travels with the images."""

from pathlib import Path

import pytest

from winnow.commands.private import private_warning


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"images_with_gps": 0, "images_with_serial_number": 0}', ""),
        (
            '{"images_with_gps": 3, "images_with_serial_number": 0}',
            "warning: 3 images carry GPS positions, and whoever",
        ),
        (
            '{"images_with_gps": 3, "images_with_serial_number": 2}',
            "warning: 3 images carry GPS positions and 2 images carry serial numbers or names, and whoever",
        ),
        ('{"images_train": 3}', ""),
        ("[1]", ""),
        ("{", ""),
    ],
)
def test_the_counts_of_prepare_are_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "prepare.json").write_text(content)
    assert private_warning(tmp_path / "prepare.json")[: len(told) or None] == told


def test_before_any_run_nothing_is_told(tmp_path: Path) -> None:
    assert private_warning(tmp_path / "prepare.json") == ""
