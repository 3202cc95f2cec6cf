"""The repository as DVC opens it, and what DVC says where it cannot."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from winnow.pipeline.messages import UserError, shown


def open_repository(root: Path, **options: Any) -> Any:
    """The repository as DVC opens it, without a word."""
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # what is missing is told once, here
    return Repo(str(root), **options)


def outputs_of(repository: Any) -> dict[str, str | None]:
    """The outputs that DVC caches: by path the checksum that dvc.lock has, if any."""
    outs = [out for out in repository.index.outs if out.use_cache]
    return {"/".join(out.index_key[1]): out.hash_info.value if out.hash_info else None for out in outs}


@contextlib.contextmanager
def readable(name: str, root: Path) -> Iterator[None]:
    """What DVC says of a revision that it cannot open, as one sentence with a remedy."""
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.scm import RevError, SCMError

    try:
        yield
    except RevError:
        raise UserError(
            f"{shown(name)} is no commit, branch, tag or experiment here; "
            "`git branch --all` and `dvc exp list` name them"
        ) from None
    except SCMError:
        raise UserError(
            "this is no git repository, so that it has no revisions to compare; run it in a clone"
        ) from None
    except NotDvcRepoError:
        if (root / ".dvc").is_dir():
            raise UserError(f"{name} has no dvc.lock; name a commit in which `dvc repro` has run") from None
        raise UserError("this is no DVC repository: it has no .dvc; run it in a clone of one") from None
    except ConfigError as error:
        raise UserError(f".dvc/config cannot be read ({error}); mend it with `dvc config`") from None
    except DvcException as error:
        words = " ".join(str(error).replace(f"{os.path.relpath(root)}/", "").split())
        raise UserError(
            f"{name}: DVC cannot read the pipeline ({words}); mend that file, or bring it back with `git checkout`"
        ) from None
