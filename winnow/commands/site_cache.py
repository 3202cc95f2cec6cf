"""DVC's site cache in a folder of the user's own.

    python -m winnow.commands.site_cache

DVC keeps what it remembers of files outside the repository, by default below /var/tmp/dvc, which every user of the
machine may write to, and unpickles what it finds there (diskcache, CVE-2025-69872): whoever writes there runs code as
whoever runs DVC. Every Winnow command names a folder of the user's own instead, to this process and those that it
starts, and writes it into .dvc/config.local, so that a ``dvc`` that the user types takes it as well.

The setting cannot be committed: DVC takes ``core.site_cache_dir`` literally, neither ``~`` nor a variable is expanded
in it, and a relative path would be another folder in every folder that DVC is run from.
"""

import os
import stat
import sys
from pathlib import Path

from dvc.config import Config, ConfigError

from winnow.commands.terminal import TROUBLE
from winnow.pipeline.messages import UserError

VARIABLE = "DVC_SITE_CACHE_DIR"
SETTING = "core.site_cache_dir"


def use_own_site_cache() -> Path:
    """Make DVC use a site cache that only this user can enter; the folder.

    What the variable or DVC's configuration names is taken, if it is such a folder; else one in the user's own cache.

    Raises:
        UserError: what is named belongs to somebody else, or others can enter it.
    """
    config = _config()
    given = os.environ.get(VARIABLE)
    configured = config["core"].get("site_cache_dir") if config else None
    folder, named_by = (given, VARIABLE) if given else (configured, SETTING)
    if not folder:
        folder, named_by = str(_default()), ""
    if not os.path.isabs(folder):
        raise UserError(f"{named_by} must be an absolute path, since DVC takes it as it is; got {folder}")
    _private(Path(folder), named_by)
    os.environ[VARIABLE] = folder
    if config and not named_by:
        _record(config, folder)
    return Path(folder)


def guard(name: str) -> None:
    """The same at the start of a command, which an error ends with one sentence and exit code 2."""
    try:
        use_own_site_cache()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(TROUBLE)


def _config() -> Config | None:
    """DVC's configuration here; None outside a repository, or where DVC will refuse it itself."""
    try:
        config = Config.from_cwd()
    except ConfigError:
        return None
    return config if config.dvc_dir else None


def _default() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(caches) if os.path.isabs(caches) else Path.home() / ".cache") / "winnow/dvc"


def _private(folder: Path, named_by: str) -> None:
    """Make the folder, or check that it is this user's and that nobody else can enter it."""
    where = f"{folder}, which {named_by} names," if named_by else str(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UserError(f"{where} cannot be DVC's site cache ({error.strerror}); name another in {VARIABLE}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UserError(
            f"{where} is not a folder of this user's, and DVC runs what others write into its site cache; "
            f"name another in {VARIABLE}"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UserError(
            f"{where} is open to other users, and DVC runs what others write into its site cache; remove it "
            "(DVC makes again what it needs), and it is made anew with mode 0700"
        )


def _record(config: Config, folder: str) -> None:
    """Write the folder into .dvc/config.local, which git ignores; a repository that is read-only keeps its own."""
    try:
        with config.edit("local") as settings:
            settings["core"]["site_cache_dir"] = folder
    except OSError:
        return
    print(f"winnow: DVC's site cache is {folder} from now on (.dvc/config.local)", file=sys.stderr)


if __name__ == "__main__":
    guard("winnow")
