"""File names: a source's own where they can be, and suffixes that the installed loaders read."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from winnow.export.names import (
    DEVICES,
    FORBIDDEN,
    HUGGING_FACE,
    IMAGE_SUFFIXES,
    SUFFIXES,
    TORCHVISION,
    Exported,
    file_names,
    read_by_all,
    skipped,
    suffix_of,
)
from winnow.pictures.decode import FORMATS

ID = "0123456789abcdef"


def named(name: str, kind: str = "") -> str:
    return file_names([Exported(ID, "train/x", name, kind)])[ID]


@pytest.mark.parametrize(
    "name",
    [
        *("0001.png", "IMG_2041.JPG", "my test.jpeg", "val-1.png", "__x.png", "photo [1].tif", "class_0001.png"),
        *("v1.5.webp", "名 é.bmp", "e\u0301.png", "a#b%20.pgm", "=x.png", "-.png", "x" * 116 + ".png"),
    ],
)
def test_a_name_that_every_loader_reads_stays(name: str) -> None:
    assert read_by_all(name)
    assert named(f"train/x/deep/{name}") == name
    assert named(name, "GIF") == name  # loaders read a file by its content


@pytest.mark.parametrize(
    ("name", "kind", "wanted"),
    [
        ("0001", "PNG", "0001.png"),
        ("v1.5", "JPEG", "v1.5.jpg"),
        ("scan.dat", "TIFF", "scan.dat.tif"),
        ("photo.jfif", "JPEG", "photo.jpg"),
        ("photo.JPE", "MPO", "photo.jpg"),
        ("a.apng", "PNG", "a.png"),
        ("a.pnm", "PPM", "a.ppm"),
        ("a.gif", "PNG", "a.png"),
        ("photo.", "PNG", "photo..png"),
        # No suffix that torchvision reads is right for these.
        ("a.GIF", "GIF", "a.GIF"),
        ("a", "GIF", "a.gif"),
        ("a.jp2", "AVIF", "a.avif"),
        ("a.j2k", "JPEG2000", "a.j2k"),
        ("a.cur", "ICO", "a.cur.ico"),
        ("a.dib", "DIB", "a.dib"),
    ],
)
def test_a_suffix_that_a_loader_skips_becomes_one_of_the_format(name: str, kind: str, wanted: str) -> None:
    assert not read_by_all(name)
    assert named(f"x/{name}", kind) == wanted


@pytest.mark.parametrize(
    "name",
    [
        *(".hidden.png", "con.png", "LPT1.x.png", "a:b.png", "what?.png", "a\\b.png", " x.png", "a\nb.png"),
        *("\u202egnp.png", "x" * 117 + ".png", "\ud800.png", "a|b.png"),
    ],
)
def test_an_unsafe_name_becomes_the_id(name: str) -> None:
    assert named(name) == f"{ID}.png"
    assert named(".png", "PNG") == f"{ID}.png"
    assert named("", "JPEG") == f"{ID}.jpg"  # a copy
    assert named("a?.TIFF") == f"{ID}.tiff"


def test_names_alike_in_a_folder_have_their_ids() -> None:
    spelled = ["a/cat.png", "b/Cat.PNG", "c/cat.png", "é.png", "e\u0301.png", "dog.png"]
    images = [Exported(f"{n:016x}", "train/x", name, "") for n, name in enumerate(spelled)]
    images.append(Exported("f" * 16, "val/x", "cat.png", ""))
    assert list(file_names(images).values()) == [
        f"cat-{0:016x}.png",
        f"Cat-{1:016x}.PNG",
        f"cat-{2:016x}.png",
        f"é-{3:016x}.png",
        f"e\u0301-{4:016x}.png",
        "dog.png",
        "cat.png",
    ]


def test_a_copys_name_is_its_own_even_where_an_image_was_called_so() -> None:
    """As where an export became a source."""
    images = [Exported("a" * 16, "f", f"x/{ID}.png", ""), Exported(ID, "f", "", "PNG")]
    assert file_names(images) == {"a" * 16: f"{ID}-{'a' * 16}.png", ID: f"{ID}.png"}
    images.append(Exported("b" * 16, "f", f"y/{ID}-{'a' * 16}.png", ""))
    assert len(set(file_names(images).values())) == 3


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["a", "A", "a.png", "con.gif"]),
        max_size=8,
    ),
    st.sampled_from(list(SUFFIXES)),
)
def test_every_file_is_safe_and_no_two_are_one(names: list[str], kind: str) -> None:
    images = [Exported(f"{n:016x}", "f", name, kind) for n, name in enumerate(names)]
    found = list(file_names(images).values())
    assert len({unicodedata.normalize("NFC", name).casefold() for name in found}) == len(names)
    for name in found:
        assert name.isprintable()
        assert name.strip(" .") == name != ""
        assert not set(name) & (FORBIDDEN - set("[]"))
        assert not DEVICES.fullmatch(name)
        assert suffix_of(name) in {*TORCHVISION, *SUFFIXES[kind]}


def test_the_suffixes_are_those_of_the_installed_loaders() -> None:
    assert frozenset(IMG_EXTENSIONS) == TORCHVISION
    builder = pytest.importorskip("datasets.packaged_modules.imagefolder.imagefolder", exc_type=ImportError)
    assert IMAGE_SUFFIXES & set(builder.IMAGE_EXTENSIONS) == HUGGING_FACE


def test_every_format_that_prepare_decodes_has_the_suffixes_that_pil_gives_it() -> None:
    assert set(SUFFIXES) == {*FORMATS, "MPO"}
    registered = Image.registered_extensions()
    for kind, suffixes in SUFFIXES.items():
        assert {registered[suffix] for suffix in suffixes} <= {kind, "JPEG"}
    assert {suffix for suffix, kind in registered.items() if kind in SUFFIXES} <= IMAGE_SUFFIXES


def test_what_a_loader_skips_is_listed() -> None:
    files = ["a/x.png", "a/x.GIF", "b.d/x", "a/y.avif"]
    assert skipped(files) == {
        "torchvision's ImageFolder": ["a/x.GIF", "b.d/x", "a/y.avif"],
        "Hugging Face's imagefolder": ["b.d/x", "a/y.avif"],
    }
