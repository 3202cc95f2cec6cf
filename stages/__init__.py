"""The stages, scripts of `dvc.yaml`. One that is interrupted during its imports also ends with a sentence.

Nothing here changes an output, so no stage declares it as a dependency.
"""

import sys
from types import TracebackType


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted before anything was written; run the same command again to go on", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


if any(word.startswith(f"{__name__}.") for word in sys.orig_argv):  # a stage, and nothing that imports one
    sys.excepthook = _show
