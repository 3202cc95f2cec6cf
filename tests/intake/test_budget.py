"""The memory that is left, in a container too."""

from pathlib import Path

import psutil
import pytest

from winnow.intake.budget import available_memory

MB = 2**20


def write(folder: Path, limit: str, used: str, cache: str, *, most: str) -> Path:
    for name, value in {limit: most, used: str(700 * MB), cache: f"anon 5\n{KEYS[limit]} {200 * MB}\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value)
    return folder


VERSIONS = [
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
]
KEYS = {"memory.max": "inactive_file", "memory/memory.limit_in_bytes": "total_inactive_file"}


@pytest.mark.parametrize(("limit", "used", "cache"), VERSIONS)
def test_what_a_container_uses_is_not_left_and_its_cache_is(tmp_path: Path, limit: str, used: str, cache: str) -> None:
    assert available_memory(write(tmp_path, limit, used, cache, most=str(800 * MB))) == 300 * MB
    assert available_memory(write(tmp_path, limit, used, cache, most=str(100 * MB))) == 0


@pytest.mark.parametrize(("limit", "used", "cache"), VERSIONS)
def test_without_a_limit_it_is_the_machines(tmp_path: Path, limit: str, used: str, cache: str) -> None:
    found = available_memory(write(tmp_path, limit, used, cache, most="max"))
    assert found > 1000 * MB or found > psutil.virtual_memory().available / 2
