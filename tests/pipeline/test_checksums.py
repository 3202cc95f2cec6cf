"""Damaged files are noticed: one flipped bit, and heavier damage, leave the content equal or end in a sentence."""

import errno
import io
import os
import random
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.dataset.arrays import ArrayStore, write_rows
from winnow.dataset.images import encode_png, stored_images, write_dataset
from winnow.dataset.samples import read_samples, samples_table
from winnow.pipeline.checksums import MARK, SEAL, DamagedError, verify
from winnow.pipeline.files import open_parquet, read_array, read_table, write_array, write_table
from winnow.pipeline.messages import UserError

IDS = [f"{number:016x}" for number in range(40)]
NUMBERS = np.random.default_rng(0)
SCORES = pa.table(
    {"id": IDS, "score": NUMBERS.random(40), "evidence": [IDS[: n % 3] for n in range(40)]},
    schema=pa.schema(
        [("id", pa.string()), ("score", pa.float64()), ("evidence", pa.list_(pa.field("element", pa.string())))],
        metadata={"made by": "a stage"},
    ),
)
SAMPLES = samples_table(
    [
        {"id": one, "name": f"train/vi/{n}.png", "split": "train", "label": "vi", "given_label": "iv"}
        for n, one in enumerate(IDS)
    ],
    ["iv", "vi"],
)
IMAGES = [(one, encode_png(NUMBERS.integers(0, 256, (8, 8, 1), dtype=np.uint8))) for one in IDS]
ROWS = NUMBERS.random((40, 6)).astype(np.float16)


@dataclass(frozen=True)
class Stored:
    """A file, and what is read from it."""

    file: Path
    read: Callable[[], object]


def table(folder: Path) -> Stored:
    write_table(folder / "scores.parquet", SCORES)
    return Stored(folder / "scores.parquet", lambda: _plain(read_table(folder / "scores.parquet")))


def column_of_table(folder: Path) -> Stored:
    write_table(folder / "scores.parquet", SCORES)
    schema = pa.schema([pa.field("score", pa.float64(), nullable=False), pa.field("id", pa.string())])
    return Stored(folder / "scores.parquet", lambda: _plain(read_table(folder / "scores.parquet", schema)))


def samples(folder: Path) -> Stored:
    write_dataset(folder, SAMPLES, images=IMAGES)
    return Stored(folder / "samples.parquet", lambda: _plain(read_samples(folder)))


def shard(folder: Path) -> Stored:
    write_dataset(folder, SAMPLES, images=IMAGES)
    (file,) = (folder / "images").iterdir()
    return Stored(file, lambda: stored_images(folder, IDS))


def shard_passed_on(folder: Path) -> Stored:
    write_dataset(folder / "a", SAMPLES, images=IMAGES)
    (file,) = (folder / "a/images").iterdir()

    def read() -> object:
        write_dataset(folder / "b", SAMPLES, shards_from=[folder / "a"])
        return stored_images(folder / "b", IDS)

    return Stored(file, read)


def array(folder: Path) -> Stored:
    write_rows(folder, [(IDS, ROWS)])
    (file,) = folder.glob("*.npy")

    def read() -> object:
        store = ArrayStore(folder)
        return [_exact(store.row(one)) for one in IDS]

    return Stored(file, read)


def _plain(found: pa.Table) -> object:
    return found.to_pydict(), found.schema.to_string(), found.schema.metadata


def _exact(row: npt.NDArray[np.float16]) -> object:
    return row.dtype.str, row.shape, row.tobytes()


STORED = [table, column_of_table, samples, shard, shard_passed_on, array]


def outcome(stored: Stored, content: bytes, number: int, whole: object) -> str:
    """What reading gives when the file has this content."""
    stored.file.write_bytes(content)
    os.utime(stored.file, ns=(number, number))  # the clock of file systems is coarse
    try:
        found = stored.read()
    except UserError as error:
        return "noticed" if re.fullmatch(".+ run `dvc .+`|.+ bring it back with `dvc .+`", str(error)) else str(error)
    return "equal" if found == whole else "other"


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("flips", [100, pytest.param(3000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("make", STORED)
def test_a_flipped_bit_is_noticed(tmp_path: Path, make: Callable[[Path], Stored], flips: int) -> None:
    """Random bits, and every bit of the last 12 bytes, which say where the footer and the checksum are."""
    stored, draws = make(tmp_path), random.Random(1)
    content, whole = stored.file.read_bytes(), stored.read()
    bits = 8 * len(content)
    chosen = [*draws.choices(range(bits), k=flips), *range(bits - 96, bits)]
    found = [outcome(stored, flipped(content, bit), number, whole) for number, bit in enumerate(chosen)]
    print(f"{make.__name__}: {found.count('noticed')} of {len(chosen)} noticed")
    mark = range(8 * content.index(MARK), 8 * (content.index(MARK) + len(MARK)))  # without it, a file as any other
    assert set(found) <= {"noticed", "equal"}
    assert {bit for bit, one in zip(chosen, found, strict=True) if one == "equal"} <= set(mark)
    assert outcome(stored, content, len(chosen), whole) == "equal"


def mutated(content: bytes, draws: random.Random) -> bytes:
    """Cut, blanked, repeated, doubled, overwritten or with many flipped bits."""
    start, length = draws.randrange(len(content)), draws.randrange(1, 200)
    some = content[start : start + length]
    return draws.choice(
        [
            content[:start],
            content[start:],
            content[:start] + bytes(len(some)) + content[start + length :],
            content[:start] + some + content[start:],
            content[:start] + content[start + length :],
            content[:start] + draws.randbytes(len(some)) + content[start + length :],
            content[:-12] + draws.randbytes(4) + content[-8:],
            b"",
            draws.randbytes(length),
        ]
    )


@pytest.mark.parametrize("mutations", [60, pytest.param(3000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("make", STORED)
def test_heavier_damage_is_a_sentence(tmp_path: Path, make: Callable[[Path], Stored], mutations: int) -> None:
    stored, draws = make(tmp_path), random.Random(2)
    content, whole = stored.file.read_bytes(), stored.read()
    found = [outcome(stored, mutated(content, draws), number, whole) for number in range(mutations)]
    print(f"{make.__name__}: {found.count('noticed')} of {mutations} noticed")
    assert set(found) <= {"noticed", "equal"}
    assert found.count("noticed") > mutations * 0.8  # what blanks zeros, or cuts the checksum off, changes no content


@pytest.mark.parametrize("mutations", [300, pytest.param(3000, marks=pytest.mark.campaign)])
def test_damage_without_our_checksum_is_no_other_error(tmp_path: Path, mutations: int) -> None:
    """Files of other programs and of earlier versions: pyarrow and numpy raise errors of many kinds."""
    sink, array_sink, draws = io.BytesIO(), io.BytesIO(), random.Random(3)
    pq.write_table(SCORES, sink)
    np.save(array_sink, ROWS)
    bare, named = sink.getvalue(), set[str]()
    for number in range(mutations):
        for name, content in (("t.parquet", bare), ("a.npy", array_sink.getvalue())):
            file = tmp_path / f"{number}-{name}"
            kind = number % 2
            file.write_bytes(mutated(content, draws) if kind else flipped(content, draws.randrange(8 * len(content))))
            try:
                if name == "a.npy":
                    np.array(read_array(file))
                else:
                    with open_parquet(file) as opened:
                        opened.read()
            except DamagedError as error:
                named.add(str(error)[:20])
            file.unlink()
    assert len(named) > 5


@pytest.mark.parametrize("error", [OverflowError, TypeError, pa.ArrowNotImplementedError, RecursionError])
def test_whatever_the_library_raises_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("two\nlines")

    write_table(tmp_path / "t.parquet", SCORES)
    write_rows(tmp_path, [(IDS, ROWS)])
    monkeypatch.setattr(pq, "ParquetFile", fail)
    with pytest.raises(UserError, match="is not a whole parquet table; run `dvc repro`"):
        read_table(tmp_path / "t.parquet")
    with pytest.raises(DamagedError, match="two lines"), open_parquet(tmp_path / "t.parquet"):
        pass
    monkeypatch.undo()
    store = ArrayStore(tmp_path)
    monkeypatch.setattr(np, "load", fail)
    with pytest.raises(UserError, match="is missing or damaged; run `dvc checkout"):
        store.row(IDS[0])


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EIO, "Input/output error")])
def test_full_memory_and_a_failing_disk_are_no_damage_of_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    write_table(tmp_path / "t.parquet", SCORES)
    monkeypatch.setattr(pq, "ParquetFile", fail)
    with pytest.raises(type(error)):
        read_table(tmp_path / "t.parquet")


def test_a_size_that_no_memory_holds_is_damage_where_nothing_says_that_the_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    pq.write_table(SCORES, tmp_path / "t.parquet")
    monkeypatch.setattr(pq, "ParquetFile", fail)
    with pytest.raises(UserError, match="is not a whole parquet table"):
        read_table(tmp_path / "t.parquet")


def test_other_programs_read_sealed_files_and_verify_their_pages(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", SCORES)
    write_array(tmp_path / "a.npy", ROWS)
    assert pq.read_table(tmp_path / "t.parquet", page_checksum_verification=True).equals(SCORES, check_metadata=True)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), ROWS)
    content = (tmp_path / "t.parquet").read_bytes()
    assert content.count(MARK) == 1
    page = content.index(b"\x28\xb5\x2f\xfd")  # where zstd begins
    (tmp_path / "t.parquet").write_bytes(flipped(content, 8 * page + 100))
    with pytest.raises(OSError, match="CRC checksum verification failed"):
        pq.read_table(tmp_path / "t.parquet", page_checksum_verification=True)


def test_a_file_without_a_mark_is_taken_as_it_is(tmp_path: Path) -> None:
    pq.write_table(SCORES, tmp_path / "t.parquet")
    np.save(tmp_path / "a.npy", ROWS)
    assert read_table(tmp_path / "t.parquet").equals(SCORES, check_metadata=True)
    np.testing.assert_array_equal(read_array(tmp_path / "a.npy"), ROWS)
    (tmp_path / "empty").touch()
    verify(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "none")


def test_a_checksum_is_computed_once_a_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_array(tmp_path / "a.npy", ROWS)
    content, crc32 = (tmp_path / "a.npy").read_bytes(), zlib.crc32
    read: list[int] = []

    def counted(some: bytes, total: int) -> int:
        read.append(len(some))
        return crc32(some, total)

    with monkeypatch.context() as patched:
        patched.setattr(zlib, "crc32", counted)
        for _ in range(3):
            verify(tmp_path / "a.npy")
    assert sum(read) == len(content) - SEAL
    (tmp_path / "b.npy").write_bytes(flipped(content, 1000))
    os.replace(tmp_path / "b.npy", tmp_path / "a.npy")
    with pytest.raises(DamagedError):
        verify(tmp_path / "a.npy")
