"""Zips and folders that lie: about names, sizes, links and what they are."""

import io
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from bench.fuzz.corpus import corpus
from bench.fuzz.mutation import NUMBERS, mutate

FEW = 6  # files of a container
NAMES = (
    "../out.png",
    "/out.png",
    "C:/out.png",
    "a\\..\\out.png",
    "a/../../out.png",
    "a/./b//c.png",
    "a/.net/x.png",
    "a/" + "n" * 255 + ".png",
    "a/" + "n" * 64_000 + ".png",
    "d/" * 1_200 + "x.png",
    "9" * 5_000 + "/x.png",
    "a/\N{COMBINING ACUTE ACCENT}e.png",
    "a/\x00x.png",
    "a/\n\x1b[31m.png",
    "=cmd|' /C calc'!A0/x.png",
    "a/x.png",  # there already
    "A/X.PNG",
    "train/a/x.png",
    "test/a/x.png",
    "a",
    "",
    ".",
    "truth.csv",
    "groups.csv",
    "params.yaml",
)


def sound_files() -> dict[str, bytes]:
    """A source of two classes, with which nothing is wrong."""
    images = corpus()["PNG"]
    return {f"{'ab'[n % 2]}/{'x' if n == 0 else n}.png": images[1 + n] for n in range(FEW)}


def _zip(files: list[tuple[zipfile.ZipInfo | str, bytes]], kind: int) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", kind) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return sink.getvalue()


def hostile_zip(draw: Random) -> tuple[str, bytes]:
    """A zip and what is wrong with it."""
    kind = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    files: list[tuple[zipfile.ZipInfo | str, bytes]] = list(sound_files().items())
    way = draw.choice(("directory", "directory", "directory", "bytes", "bytes", "name", "link", "bomb"))
    if way == "name":
        name = draw.choice(NAMES)
        known = {str(one) for one, _ in files}
        files.append((zipfile.ZipInfo(name if name not in known else f"{name}~"), files[0][1]))
        packed = _zip(files, kind)
        return "hostile name", packed.replace(f"{name}~".encode(), name.encode()) if name in known else packed
    if way == "link":
        link = zipfile.ZipInfo("a/link.png")
        link.external_attr = (draw.choice((stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK)) | 0o777) << 16
        files.append((link, draw.choice((b"/etc/passwd", b"x.png", b"../.."))))
        return "link or device", _zip(files, kind)
    if way == "bomb":
        files.append(("a/bomb.png", b"\0" * draw.choice((10_000, 1_000_000, 20_000_000))))
        return "bomb", _with_other_sizes(_zip(files, zipfile.ZIP_DEFLATED), draw)
    packed = _zip(files, kind)
    if way == "bytes":
        return mutate(packed, packed[::-1], draw)
    start = packed.rfind(b"PK\1\2") if draw.random() < 0.5 else packed.find(b"PK\1\2")
    changed, directory = mutate(packed[start:], packed, draw)
    return f"directory: {changed}", packed[:start] + directory


def _with_other_sizes(packed: bytes, draw: Random) -> bytes:
    """The zip whose directory says another size of its last file, half of the time."""
    start = packed.rfind(b"PK\1\2") + draw.choice((20, 24))  # packed, unpacked
    if draw.random() < 0.5:
        return packed
    return packed[:start] + draw.choice(NUMBERS).to_bytes(4, "little") + packed[start + 4 :]


def hostile_folder(place: Path, way: str, seed: bytes) -> None:
    """Make a folder with that fault."""
    for name, content in sound_files().items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    FOLDERS[way](place, Random(seed))


def _link_out(place: Path, draw: Random) -> None:
    (place / "a/link.png").symlink_to(draw.choice(("/etc/passwd", "/", "../../..", "/dev/zero")))


def _link_around(place: Path, draw: Random) -> None:
    (place / "a/link.png").symlink_to(draw.choice(("link.png", "x.png", "../a", "missing.png", "..")))


def _pipe(place: Path, draw: Random) -> None:
    os.mkfifo(place / draw.choice(("a/pipe.png", "a/pipe", "truth.csv", "groups.csv", "pipe.zip")))


def _pipe_as_source(place: Path, draw: Random) -> None:
    place.rename(place.with_name("moved"))
    os.mkfifo(place)


def _bytes_in_names(place: Path, draw: Random) -> None:
    name = draw.choice((b"\xff\xfe", b"\n", b"\x1b[31m", b"e\xcc\x81", b"a" * 250, b"=1+1", b"..."))
    path = os.fsencode(place / draw.choice("ab")) + b"/" + name + b".png"
    with open(path, "wb") as file:
        file.write(draw.choice(corpus()["PNG"]))


def _depth(place: Path, draw: Random) -> None:
    folder = place / "a"
    for _ in range(draw.choice((10, 70, 900))):
        folder /= "d"
    made = os.open(place / "a", os.O_RDONLY)
    for _ in folder.relative_to(place / "a").parts:  # one by one: the whole path may be longer than the system takes
        os.mkdir("d", dir_fd=made)
        below = os.open("d", os.O_RDONLY, dir_fd=made)
        os.close(made)
        made = below
    os.close(os.open("x.png", os.O_CREAT | os.O_WRONLY, dir_fd=made))
    os.close(made)


def _sparse(place: Path, draw: Random) -> None:
    with (place / draw.choice(("a/large.png", "truth.csv"))).open("wb") as file:
        file.write(draw.choice(corpus()["PNG"]) if draw.random() < 0.5 else b"")
        file.truncate(draw.choice((2**29 + 1, 3 * 2**30)))


def _other_names(place: Path, draw: Random) -> None:
    (place / "a").rename(place / draw.choice((".net", "9" * 250, "test", "Train", "b/a", "CON", "-rf")))


FOLDERS: dict[str, Callable[[Path, Random], None]] = {
    "link that leads outside": _link_out,
    "link that leads around": _link_around,
    "pipe": _pipe,
    "pipe as source": _pipe_as_source,
    "odd bytes in a name": _bytes_in_names,
    "depth": _depth,
    "sparse file": _sparse,
    "other name of a class": _other_names,
}
