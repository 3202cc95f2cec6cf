"""The requirements of a repository of the user's own: Winnow as it is installed, and every package beneath it."""

import json
import re
import subprocess
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from winnow.pipeline.installed import version
from winnow.pipeline.repository import CODE

# An entry of a compiled requirements file: the pin with its marker, before the hashes.
PIN = re.compile(r"^(?P<pin>[A-Za-z0-9][^\n\\]*?) *\\?$", re.MULTILINE)


def pinned_winnow(*, remote: bool, code: Path = CODE) -> str:
    """The line of requirements.txt that installs the present Winnow.

    Args:
        remote: whether the packages of S3 remotes are wanted too.
        code: the folder of the code.
    """
    name = "winnow[remote]" if remote else "winnow"
    address = _clone_address(code) if (code / "pyproject.toml").is_file() else _installed_from()
    return f"{name} @ {address}" if address else f"{name}=={version(code)}"


def is_of_this_machine(pin: str) -> bool:
    """Whether nobody else can install from it."""
    return "file://" in pin


def uncommitted(code: Path = CODE) -> bool:
    """Whether the code is a clone with changes that no commit has, and a pin to a commit therefore lacks."""
    installed = ("winnow", "stages", "dvc.yaml", "pyproject.toml", "requirements.in", "requirements-remote.in")
    return bool(_git(code, "status", "--porcelain", "--", *installed))


def unpublished(code: Path = CODE) -> bool:
    """Whether the clone's origin, as far as the clone knows, lacks the commit that the pin names."""
    branches = ("branch", "--remotes", "--list", "origin/*", "--contains", "HEAD")
    return bool(_git(code, "remote", "get-url", "origin")) and not _git(code, *branches)


def constraints(*compiled: str) -> str:
    """Every package with its version, without the hashes, which pip would then ask of Winnow itself too.

    Args:
        compiled: texts of compiled requirements files.
    """
    pins = {match["pin"] for text in compiled for match in PIN.finditer(text)}
    return "\n".join(["# The versions that Winnow was tested with. Written by `winnow init`.", *sorted(pins)]) + "\n"


def _clone_address(code: Path) -> str:
    """Where pip finds the commit of a clone; empty where it is none."""
    commit, origin = _git(code, "rev-parse", "HEAD"), _git(code, "remote", "get-url", "origin")
    if not commit:
        return ""
    if (scp := re.fullmatch(r"(?P<host>[\w.-]+@[\w.-]+):(?P<path>[^/].*)", origin)) is not None:
        origin = f"ssh://{scp['host']}/{scp['path']}"
    elsewhere = urlsplit(origin).scheme in ("https", "http", "ssh", "git")
    return f"git+{_without_secret(origin) if elsewhere else code.as_uri()}@{commit}"


def _installed_from() -> str:
    """Where pip took an installed package from (PEP 610); empty where it was an index."""
    try:
        recorded = json.loads(metadata.distribution("winnow").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    address = _without_secret(recorded.get("url", ""))
    if commit := recorded.get("vcs_info", {}).get("commit_id"):
        return f"git+{address}@{commit}"
    if checksum := recorded.get("archive_info", {}).get("hashes", {}).get("sha256"):
        return f"{address}#sha256={checksum}"
    return address


def _without_secret(address: str) -> str:
    """An address without a password or a token, which a committed file would pass on."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(code: Path, *words: str) -> str:
    """What git says of the clone; empty where it is none, or git is not there."""
    if not (code / ".git").exists():
        return ""
    try:
        done = subprocess.run(["git", "-C", str(code), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
