"""The installed Winnow held against the one that a repository of the user's own was made with."""

import tomllib
from importlib import metadata
from pathlib import Path

from winnow.pipeline.files import ROOT, digest
from winnow.pipeline.messages import UserError
from winnow.pipeline.plain_yaml import MOST_BYTES, PlainYamlError, read_plain_yaml
from winnow.pipeline.repository import CODE, MARK

UPGRADE = "`winnow init --upgrade` makes this repository one of the Winnow that is installed"


def version(code: Path = CODE) -> str:
    """The version of the code: of the clone that it is, else of the package."""
    project = code / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version("winnow")


def code_digest(code: Path = CODE) -> str:
    """Digest of all code, equal in a clone and in a package that was built from it.

    The files that ``winnow init`` delivers are no code: in a clone they are links to params.yaml and others, which its
    user may edit without another repository being refused.
    """
    return digest([code / "winnow", code / "stages"], without=code / "winnow/template/files")


def demand_same_code(root: Path = ROOT, code: Path = CODE) -> None:
    """Stop where the installed code is not that of which winnow.lock says that it made the outputs.

    DVC compares with winnow.lock; with other code than it names, outputs would be recorded as those of the old code.

    Raises:
        UserError: the code differs, or winnow.lock cannot be read.
    """
    if root == code or not (root / MARK).is_file():
        return
    made_with = read_mark(root)
    if made_with["code"] == code_digest(code):
        return
    here, there = version(code), made_with["version"]
    differs = f"Winnow {here} is installed" if here != there else f"another build of Winnow {here} is installed"
    install = "`pip install --requirement requirements.txt --constraint constraints.txt` installs that one"
    raise UserError(f"{differs}, and {MARK} names {there}; {install}, {UPGRADE}")


def read_mark(root: Path) -> dict[str, str]:
    """What winnow.lock says of Winnow: ``version`` and ``code``.

    Raises:
        UserError: it cannot be read.
    """
    back = f"`git checkout {MARK}` brings it back"
    try:
        with (root / MARK).open("rb") as opened:
            content = read_plain_yaml(opened.read(MOST_BYTES + 1))
    except OSError as error:
        raise UserError(f"{MARK} cannot be read ({error.strerror}); {back}") from None
    except PlainYamlError as error:
        raise UserError(f"{MARK} {error}; {back}") from None
    told = content.get("winnow") if isinstance(content, dict) else None
    if not isinstance(told, dict) or not all(isinstance(told.get(key), str) for key in ("version", "code")):
        raise UserError(f"{MARK} must name Winnow's version and the digest of its code; {back}")
    return {key: told[key] for key in ("version", "code")}
