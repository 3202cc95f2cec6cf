"""The files that describe the project agree with one another."""

import re
import tomllib

import pytest
import yaml

from tests.support.imports import ROOT

PARTS = ["requirements", "requirements-dev", "requirements-remote", "requirements-engine", "requirements-bench"]


def normal(name: str) -> str:
    """A package's name as an index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(part: str) -> dict[str, str]:
    """Versions that a .in file asks for."""
    lines = (ROOT / f"{part}.in").read_text().splitlines()
    pins = [line.split("#")[0].strip() for line in lines if not line.startswith("#")]
    return {normal(name): version for name, version in (pin.split("==") for pin in pins)}


def compiled(part: str) -> dict[str, set[str]]:
    """What a .txt file installs: a package's versions with their markers, each with hashes."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / f"{part}.txt").read_text(), flags=re.MULTILINE)
    found: dict[str, set[str]] = {}
    for entry in re.split(r"\n(?! )", text.replace("\\\n", "\n").strip()):
        pin, *hashes = entry.splitlines()
        assert hashes, f"{part}.txt: {pin} has no hash"
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64} *", line) for line in hashes)
        name, version = pin.split("==", 1)
        found.setdefault(normal(name), set()).add(version.strip())
    return found


@pytest.mark.parametrize("part", PARTS)
def test_every_direct_requirement_is_compiled_as_asked(part: str) -> None:
    assert {name: compiled(part)[name] for name in direct(part)} == {n: {v} for n, v in direct(part).items()}


def test_no_package_has_two_versions_among_the_requirements() -> None:
    """A marker may be wider in one file than in another; the versions behind it may not differ."""
    versions: dict[str, set[frozenset[str]]] = {}
    for part in PARTS:
        for name, pins in compiled(part).items():
            versions.setdefault(name, set()).add(frozenset(pin.split(";")[0].strip() for pin in pins))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_citation_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
