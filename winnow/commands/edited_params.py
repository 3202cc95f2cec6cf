"""params.yaml with other values while a run goes on, its comments and layout as they were."""

import copy
import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from winnow.pipeline.files import ROOT, write_bytes, write_json
from winnow.pipeline.json_files import read_json
from winnow.pipeline.params import PARAMS

KEPT = ROOT / ".dvc/tmp/winnow-params.json"  # params.yaml as it was before a repeat


def with_changes(params: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The params with some values changed, by dotted key."""
    changed: dict[str, Any] = copy.deepcopy(dict(params))
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = changed
        for name in sections:
            place = place[name]
        place[last] = value
    return changed


@contextmanager
def changed_params(changes: Mapping[str, Any], file: Path = PARAMS, *, keep: bool = True) -> Iterator[None]:
    """params.yaml with some values changed; restored if the block raises, unless it was edited meanwhile.

    Args:
        changes: new values by dotted key (``dataset.source``).
        file: the params file.
        keep: whether the changes stay when the block has ended well. If not, a copy of the file is kept beside it until
            then, from which ``restore_params`` restores it after a kill.
    """
    if not changes:
        yield
        return
    before = file.read_bytes()
    ours = edited_text(before.decode(), changes).encode()
    if not keep:
        write_json(KEPT, {"before": before.decode(), "ours": hashlib.sha256(ours).hexdigest()})
    write_bytes(file, ours)
    done = False
    try:
        yield
        done = keep
    finally:
        if not done and file.read_bytes() == ours:
            write_bytes(file, before)
        elif not done:
            print(f"run: {file.name} was edited meanwhile and is not restored; this run had set {', '.join(changes)}")
        if not keep:
            KEPT.unlink(missing_ok=True)


def edited_text(text: str, changes: Mapping[str, Any]) -> str:
    """The text of a params file with some values changed, by dotted key; its comments and layout stay."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a long line stays one line
    document = yaml.load(text)
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = document
        for name in sections:
            section = section[name]
        _set(section, last, value)
    sink = io.StringIO()
    yaml.dump(document, sink)
    return sink.getvalue()


def _set(section: Any, key: str, value: Any) -> None:
    """Give a key of a YAML mapping another value: what stands on one line stays there, one space before its comment."""
    before = section.get(key)
    own = isinstance(before, CommentedMap | CommentedSeq) and before.anchor.value is None  # no other key repeats it
    if own and isinstance(value, list):
        before[:] = value
    elif own and isinstance(value, dict) and (before.fa.flow_style() or not before):
        before.clear()
        before.update(value)
        before.fa.set_flow_style()
    else:
        section[key] = value
    for comments in (section.ca.items.get(key), getattr(getattr(before, "ca", None), "comment", None)):
        for token in comments or ():
            if token is not None and not isinstance(token, list):
                token.column = 0


def restore_params(file: Path = PARAMS) -> None:
    """Put back params.yaml as it was before a repeat that was killed, unless it was edited since."""
    if not KEPT.exists():
        return
    kept = read_json(KEPT)
    if hashlib.sha256(file.read_bytes()).hexdigest() == kept["ours"]:
        write_bytes(file, kept["before"].encode())
        print(f"run: {file.name} had the seeds of a repeat that was killed; it is restored")
    KEPT.unlink()
