"""Four times the input costs four times the work: what is quadratic costs sixteen times.

Calls are counted, and at most five times as many are allowed. Work inside one call shows only in processor time, which
is less exact: eight times as much is allowed there.
"""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.growth import calls, seconds
from tests.support.sources import make_folder, make_zip
from winnow.intake.container import open_container
from winnow.intake.groups import parse_groups
from winnow.intake.layout import lay_out
from winnow.intake.source import NOT_AN_IMAGE, Faults, open_source
from winnow.intake.truth import match_names, parse_truth, unknown_labels
from winnow.pipeline.messages import natural_order

COUNTED, TIMED = 5, 8


def counted(work: Callable[[int], Callable[[], Any]], size: int) -> float:
    small, large = calls(work(size)), calls(work(4 * size))
    return large / small


def grows_slowly(work: Callable[[int], Callable[[], Any]], size: int) -> bool:
    """Whether one of a few ratios is small: what is quadratic has none, and other processes spoil one at a time."""
    small, large = work(size), work(4 * size)
    return any(seconds(large) / seconds(small) < TIMED for _ in range(5))


def laid_out(names: Iterable[str]) -> Any:
    files = list(names)
    folders = {name[:place] for name in files for place, letter in enumerate(name) if letter == "/"}
    return lambda: lay_out(files, folders, "x")


@pytest.mark.parametrize("make", [make_folder, make_zip])
@pytest.mark.parametrize("kind", ["images", "sidecars", "folders", "hidden"])
def test_opening_and_laying_out(tmp_path: Path, make: Callable[..., Path], kind: str) -> None:
    forms = {
        "images": "{label}/{n}.png",
        "sidecars": "{label}/{n}.txt",
        "folders": "{label}/{n}/1.png",
        "hidden": "{label}/.{n}.txt",
    }

    def work(size: int) -> Callable[[], Any]:
        names = ["a/0.png", "b/0.png", *(forms[kind].format(label="ab"[n % 2], n=n) for n in range(1, size))]
        path = make(tmp_path / f"{size}", dict.fromkeys(names, b""))

        def action() -> None:
            container = open_container(path)
            lay_out(container.files, container.folders, "x", hidden=container.hidden)
            container.close()

        return action

    assert counted(work, 100) < COUNTED


def test_files_that_are_no_images(tmp_path: Path) -> None:
    def work(size: int) -> Callable[[], Any]:
        names = [f"{label}/{n}.{kind}" for label in "ab" for n in range(size) for kind in ("png", "txt")]
        path = make_zip(tmp_path / f"{size}.zip", dict.fromkeys(names, b""))

        def action() -> None:
            with open_source(path) as source:
                faults = Faults(source, 1.0)
                for entry in source.layout.entries:
                    faults.add(entry.name, "empty file" if entry.promises_image else NOT_AN_IMAGE)

        return action

    assert counted(work, 50) < COUNTED


def test_laying_out_many_classes() -> None:
    def work(size: int) -> Any:
        return laid_out(f"train/{n}/1.png" for n in range(size))

    assert grows_slowly(work, 3000)


@pytest.mark.parametrize("wrapped", [True, False])
def test_laying_out_deep_folders(wrapped: bool) -> None:
    def work(depth: int) -> Any:
        deep = "/".join(["d"] * depth)
        names = [f"{deep}/{label}/{n}.png" if wrapped else f"{label}/{deep}/{n}.png" for label in "ab" for n in "12345"]
        return lambda: lay_out(names, set(), "x")

    assert grows_slowly(work, 400)


def test_rows_of_truth_and_groups() -> None:
    def truth(size: int) -> Callable[[], Any]:
        text = "name,label,noise\n" + "".join(f"{n % 50}.png,a,0\n" for n in range(size))
        return lambda: parse_truth(io.BytesIO(text.encode()), "x", entries=size)

    def groups(size: int) -> Callable[[], Any]:
        text = "name,group\n" + "".join(f"{n}.png,{n % 7}\n" for n in range(size))
        return lambda: parse_groups(io.BytesIO(text.encode()), "x", entries=size)

    assert counted(truth, 200) < COUNTED
    assert counted(groups, 200) < COUNTED


def test_labels_of_truth_against_many_classes() -> None:
    def work(size: int) -> Callable[[], Any]:
        text = "name,label,noise\n" + "".join(f"{n}.png,{n},0\n" for n in range(size))
        truths = parse_truth(io.BytesIO(text.encode()), "x", entries=size)
        return lambda: unknown_labels(truths.values(), [str(n) for n in range(size)], "x")

    assert grows_slowly(work, 4000)


def test_names_by_their_ends() -> None:
    def many(size: int) -> Callable[[], Any]:
        names = [f"train/{n}/1.png" for n in range(size)]
        return lambda: match_names([f"{n}/1.png" for n in range(size)], names, "")

    def deep(depth: int) -> Callable[[], Any]:
        names = ["/".join([f"{n}", *["d"] * depth, "1.png"]) for n in range(50)]
        return lambda: match_names(["1.png", "d/1.png"], names, "")

    assert counted(many, 200) < COUNTED
    assert grows_slowly(deep, 1000)


def test_the_order_of_long_numbers() -> None:
    def work(size: int) -> Callable[[], Any]:
        return lambda: sorted(("7" * size + str(n) for n in range(100)), key=natural_order)

    assert grows_slowly(work, 20_000)
