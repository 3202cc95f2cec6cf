"""What a repository of the user's own consists of: its files, by path, before anything ran in it."""

from winnow.pipeline.repository import MARK
from winnow.template.delivered import delivered, delivered_in
from winnow.template.installed_pipeline import installed_pipeline, mark_text
from winnow.template.makefile import own_makefile
from winnow.template.pin import constraints, pinned_winnow
from winnow.verdicts.decision_rows import HEADER

BASE = ".delivered"  # the files as they were delivered: what an upgrade compares with
PIPELINE = "pipeline.yaml"  # dvc.yaml, as winnow/template/files has it
PLAIN = {  # file: as winnow/template/files names it
    "params.yaml": "params.yaml",
    ".gitignore": "gitignore",
    ".gitattributes": "gitattributes",
    ".dvcignore": "dvcignore",
    ".dvc/config": "dvc_config",
    "models/user/README.md": "models_user.md",
}
FOLDERS = {"presets": "presets", ".dvc/plots": "plots"}
DECISIONS = ("overrides.csv", "decided.csv", "checked.csv")
SIGNALS = ("predictions.csv", "embeddings.csv")  # of the user's own model


def kept_files() -> dict[str, str]:
    """Files that Winnow delivers and the user may edit; an upgrade merges both."""
    texts = {path: delivered(name) for path, name in PLAIN.items()}
    for path, folder in FOLDERS.items():
        texts |= {f"{path}/{name}": text for name, text in delivered_in(folder).items()}
    return texts | {
        "dvc.yaml": installed_pipeline(delivered(PIPELINE)),
        "Makefile": own_makefile(delivered("makefile")),
    }


def written_files(*, remote: bool) -> dict[str, str]:
    """Files that are Winnow's alone: an upgrade writes them anew.

    Args:
        remote: whether the packages of S3 remotes are wanted.
    """
    compiled = [delivered("requirements.txt"), *([delivered("requirements-remote.txt")] if remote else [])]
    return {MARK: mark_text(delivered(PIPELINE)), "constraints.txt": constraints(*compiled)}


def first_files(*, remote: bool) -> dict[str, str]:
    """Files that are the user's alone once they are there.

    Args:
        remote: as above.
    """
    pin = f"# The Winnow that this repository is of.\n{pinned_winnow(remote=remote)}\n"
    tables = dict.fromkeys(DECISIONS, ",".join(HEADER) + "\n") | dict.fromkeys(SIGNALS, "name\n")
    return {"requirements.txt": pin, "README.md": delivered("README.md"), **tables}


def base_path(path: str) -> str:
    """Where a file is kept as it was delivered; the suffix hides it from git and DVC."""
    return f"{BASE}/{path.removeprefix('.')}.delivered"
