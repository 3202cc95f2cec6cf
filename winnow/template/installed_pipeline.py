"""dvc.yaml for a repository in which the code is an installed package.

A stage of this repository depends on its script and on packages of winnow/, which are files of the repository. There,
each stage depends on its entry of winnow.lock instead, the digest of the same files as they are installed: an upgrade
reruns the stages whose code it changed and no others, and nothing but that file and the pin has to change in git.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from winnow.pipeline.files import digest
from winnow.pipeline.installed import code_digest, version
from winnow.pipeline.plain_yaml import read_plain_yaml
from winnow.pipeline.repository import CODE, MARK

OWN = re.compile(r"(stages/\w+\.py|winnow/\w+(\.py)?)")  # a dependency on code of this repository


def installed_pipeline(text: str) -> str:
    """A dvc.yaml whose stages depend on winnow.lock in place of code.

    Args:
        text: dvc.yaml of this repository.
    """
    yaml = _yaml()
    document = yaml.load(text)
    for name, stage in _stages(document):
        deps = [dep for dep in stage["deps"] if not OWN.fullmatch(dep)]
        if deps:
            stage["deps"][:] = deps
        else:
            del stage["deps"]
        entry = _on_one_line(CommentedMap({MARK: _on_one_line(CommentedSeq([f"stages.{name}"]))}))
        if "params" in stage:
            stage["params"].append(entry)
        else:
            stage.insert(list(stage).index("outs"), "params", _on_one_line(CommentedSeq([entry])))
    sink = io.StringIO()
    yaml.dump(document, sink)
    return sink.getvalue()


def mark_text(text: str, code: Path = CODE) -> str:
    """The text of winnow.lock: the version, the digest of all code, and that of each stage's.

    Args:
        text: dvc.yaml of this repository.
        code: the folder of the code.
    """
    digests = {
        name: digest([code / dep for dep in stage["deps"] if OWN.fullmatch(dep)])
        for name, stage in _stages(read_plain_yaml(text.encode()))
    }
    sink = io.StringIO()
    sink.write("# The Winnow that the outputs are of, and digests of its code. `winnow init --upgrade` writes it.\n")
    _yaml().dump({"winnow": {"version": version(code), "code": code_digest(code)}, "stages": digests}, sink)
    return sink.getvalue()


def _stages(document: Any) -> Iterator[tuple[str, Any]]:
    """Name and body of each stage, of one that is repeated too."""
    for name, stage in document["stages"].items():
        yield name, stage.get("do", stage)


def _on_one_line(collection: Any) -> Any:
    collection.fa.set_flow_style()
    return collection


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a long line stays one line
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
