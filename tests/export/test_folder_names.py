"""Folder names: a safe name stays, any other becomes one that no system and no loader takes amiss."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.export.names import DEVICES, FORBIDDEN, MAX_BYTES, SPLIT_WORDS, folder_names

SAFE = [
    "i",
    "viii",
    "Golden Retriever",
    "C++",
    "C# & co",
    "été",
    "名",
    "v1.5",
    "protest",
    "trainings",
    "a_b-c",
    "0",
    "-x",
    "_x",
]
UNSAFE = [
    *(
        "",
        " ",
        "..",
        ".",
        "...",
        ".hidden",
        "__pycache__",
        "x.",
        "x ",
        " x",
        "a/b",
        "a\\b",
        "/",
        "a:b",
        "a*b",
        "[ab]",
        "a?",
    ),
    *("con", "CON", "con.txt", "nul", "aux.tar.gz", "COM1", "lpt9", "a\nb", "a\0b", "\u202egnp", "e\u0301"),
    *(
        "test",
        "train",
        "Val",
        "dev-set",
        "my test",
        "eval_1",
        "training2go",
        "valid.2",
        "x" * (MAX_BYTES + 1),
        "class_0001",
        "Class_7",
    ),
]


@pytest.mark.parametrize("name", SAFE)
def test_a_safe_name_stays(name: str) -> None:
    assert folder_names([name]) == {name: name}


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_name_becomes_its_class_number(name: str) -> None:
    assert folder_names(["ok", name]) == {"ok": "ok", name: "class_0001"}


def test_names_alike_without_regard_to_case_or_width_are_told_apart() -> None:
    names = ["Cat", "cat", "CAT", "straße", "STRASSE", "ﬁ", "fi"]
    folders = folder_names(names)
    assert folders["Cat"] == "Cat"
    assert folders["straße"] == "straße"
    assert [folders[name] for name in ("cat", "CAT", "STRASSE", "fi")] == [f"class_{n:04d}" for n in (1, 2, 4, 6)]
    assert folder_names(["class_0001", "x"]) == {"class_0001": "class_0000", "x": "x"}


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(SAFE + UNSAFE), unique=True
    )
)
def test_every_folder_is_safe_and_no_two_are_one(names: list[str]) -> None:
    folders = list(folder_names(names).values())
    assert len({unicodedata.normalize("NFKC", folder).casefold() for folder in folders}) == len(names)
    for folder in folders:
        assert folder.isprintable()
        assert folder.strip(" .") == folder != ""
        assert not folder.startswith("__")
        assert not FORBIDDEN & set(folder)
        assert len(folder.encode()) <= MAX_BYTES
        assert not DEVICES.fullmatch(folder)
        assert not SPLIT_WORDS.search(folder)
        assert re.fullmatch(r"class_\d{4}", folder) or folder in names
