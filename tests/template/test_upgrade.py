"""An upgrade of a repository of one's own: delivered files, edited ones, conflicts, and a kill in between."""

from pathlib import Path
from unittest import mock

import pytest
import yaml

from winnow.pipeline.files import write_bytes
from winnow.pipeline.messages import UserError
from winnow.template import upgrade as upgrading
from winnow.template.contents import base_path, first_files, kept_files, written_files
from winnow.template.upgrade import upgrade
from winnow.template.writing import write_texts

TEXTS = kept_files()
PARAMS = TEXTS["params.yaml"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository as ``winnow init`` leaves it, of an older Winnow."""
    write_texts(tmp_path, TEXTS | {base_path(path): text for path, text in TEXTS.items()})
    write_texts(tmp_path, written_files(remote=False) | first_files(remote=False))
    mark = tmp_path / "winnow.lock"
    mark.write_text(mark.read_text().replace("version: ", "version: 0."))
    return tmp_path


def upgraded(root: Path, changes: dict[str, str]) -> str:
    """Upgrade to a Winnow that delivers some files with other texts."""
    with mock.patch.object(upgrading, "kept_files", return_value=TEXTS | changes):
        return upgrade(root)


def content(root: Path) -> dict[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


def test_where_nothing_was_delivered_anew_winnow_lock_alone_changes(root: Path) -> None:
    (root / "params.yaml").write_text(PARAMS.replace("most_sound: 0.02", "most_sound: 0.5"))
    before = content(root)
    assert upgrade(root).startswith("from Winnow 0.")
    after = content(root)
    assert {name for name in after if before.get(name) != after[name]} == {"winnow.lock"}
    assert yaml.safe_load(after["winnow.lock"]) == yaml.safe_load(written_files(remote=False)["winnow.lock"])


def test_new_settings_are_merged_with_edits(root: Path) -> None:
    (root / "params.yaml").write_text(PARAMS.replace("most_sound: 0.02", "most_sound: 0.5"))
    new = PARAMS.replace("strip_metadata: false", "strip_metadata: false\n  added: 3")
    told = upgraded(root, {"params.yaml": new, "presets/glance.yaml": "# another\n"})
    merged = yaml.safe_load((root / "params.yaml").read_text())
    assert merged["support"]["most_sound"] == 0.5
    assert merged["export"]["added"] == 3
    assert (root / "presets/glance.yaml").read_text() == "# another\n"
    assert "changed: params.yaml, presets/glance.yaml, winnow.lock" in told
    assert "conflict" not in told
    assert (root / base_path("params.yaml")).read_text() == new


def test_what_contradicts_an_edit_is_marked_and_named(root: Path) -> None:
    (root / "params.yaml").write_text(PARAMS.replace("most_sound: 0.02", "most_sound: 0.5"))
    told = upgraded(root, {"params.yaml": PARAMS.replace("most_sound: 0.02", "most_sound: 0.03")})
    assert "params.yaml has conflicts: choose between the marked lines" in told
    text = (root / "params.yaml").read_text()
    assert "<<<<<<< yours" in text
    assert "most_sound: 0.5" in text
    assert "most_sound: 0.03" in text


def test_a_file_that_was_removed_stays_so_and_a_new_one_comes(root: Path) -> None:
    (root / "presets/published.yaml").unlink()
    (root / "checked.csv").unlink()
    (root / "predictions.csv").write_text("name,a,b\n")
    told = upgraded(root, {"presets/published.yaml": "# another\n", "presets/new.yaml": "# new\n"})
    assert "presets/published.yaml was removed here and stays so" in told
    assert not (root / "presets/published.yaml").exists()
    assert (root / "presets/new.yaml").read_text() == "# new\n"
    assert (root / "checked.csv").exists()
    assert (root / "predictions.csv").read_text() == "name,a,b\n"


@pytest.mark.parametrize("calls", [0, 1, 3, 5])
def test_an_upgrade_that_was_killed_ends_as_if_it_had_not_been(
    root: Path, tmp_path_factory: pytest.TempPathFactory, calls: int
) -> None:
    """Killed before each of its first writes."""
    edited = PARAMS.replace("most_sound: 0.02", "most_sound: 0.5")
    changes = {"params.yaml": PARAMS.replace("copies: none", "copies: auto"), "Makefile": "# another\n"}
    (root / "params.yaml").write_text(edited)
    whole = tmp_path_factory.mktemp("whole")
    write_texts(whole, content(root))
    upgraded(whole, changes)
    left = [calls]

    def dying(path: Path, text: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        write_bytes(path, text)

    with mock.patch.object(upgrading, "write_bytes", dying), pytest.raises(KeyboardInterrupt):
        upgraded(root, changes)
    upgraded(root, changes)
    assert content(root) == content(whole)


def test_a_folder_that_init_did_not_make_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no repository that `winnow init` made: there is no winnow\.lock"):
        upgrade(tmp_path)
    assert not list(tmp_path.iterdir())
