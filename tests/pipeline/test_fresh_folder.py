from pathlib import Path

import pytest

from winnow.pipeline.files import fresh_folder


def test_what_was_there_is_gone(tmp_path: Path) -> None:
    (tmp_path / "out/old").mkdir(parents=True)
    assert list(fresh_folder(tmp_path / "out").iterdir()) == []
    assert list(fresh_folder(tmp_path / "new/out").iterdir()) == []
    (tmp_path / "file").write_text("x")
    assert fresh_folder(tmp_path / "file").is_dir()


@pytest.mark.parametrize("target", ["there", "gone"])
def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/photo.png").write_bytes(b"x")
    (tmp_path / "out").symlink_to(target)
    fresh = fresh_folder(tmp_path / "out")
    assert not fresh.is_symlink()
    assert list(fresh.iterdir()) == []
    assert (tmp_path / "there/photo.png").read_bytes() == b"x"
    assert not (tmp_path / "gone").exists()
