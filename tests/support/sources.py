"""Small sources for tests: images as bytes, and trees of them as folders or zips."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from winnow.intake.container import open_container
from winnow.pipeline.messages import UserError


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def noise_png(seed: int, *, side: int = 8, colour: bool = False) -> bytes:
    """A PNG whose pixels differ from those of every other seed."""
    shape = (side, side, 3) if colour else (side, side)
    return encoded(Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)))


def bare_files(per_class: int, classes: str = "abc", *, start: int = 0) -> dict[str, bytes]:
    """``<class>/<number>.png``, all different."""
    return {
        f"{label}/{number:03}.png": noise_png(start + 10_000 * position + number)
        for position, label in enumerate(classes)
        for number in range(per_class)
    }


def split_files() -> dict[str, bytes]:
    """A source with every split, two classes."""
    counts = {"train": 8, "val": 2, "label_book": 2, "test": 3}
    return {
        f"{split}/{name}": content
        for position, (split, count) in enumerate(counts.items())
        for name, content in bare_files(count, "ab", start=100 * position).items()
    }


def make_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def make_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def refused_container(path: Path) -> str:
    """The one line with which a source is refused."""
    with pytest.raises(UserError) as caught:
        open_container(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def central_headers(content: bytes) -> list[int]:
    """Where a zip's central directory entries start."""
    found, at = [], content.find(b"PK\x01\x02")
    while at >= 0:
        found.append(at)
        at = content.find(b"PK\x01\x02", at + 4)
    return found


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a source, by name."""
    container = open_container(path)
    read = {name: container.read(name) for name in container.files}
    container.close()
    return read
