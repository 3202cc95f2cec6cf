"""One push or pull in the repository of this folder: ``python -m bench.transfer push|pull PLACE``.

Prints the seconds that DVC's own call took, without its start. This module imports nothing heavy, so that the whole
process takes as long as a ``dvc`` command.
"""

import sys
import time

from dvc.repo import Repo

from bench.s3_server import BUCKET, REMOTE


def transfer(action: str, place: str) -> float:
    """Seconds of a push to, or a pull from, a place in the bucket."""
    with Repo(config={"remote": {REMOTE: {"url": f"s3://{BUCKET}/{place}"}}}) as repo:
        call = {"push": repo.push, "pull": repo.pull}[action]
        start = time.perf_counter()
        call()
        return time.perf_counter() - start


if __name__ == "__main__":
    print(transfer(*sys.argv[1:]))
