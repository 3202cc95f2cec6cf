"""YAML that people write, read within bounds: a slip, or a file that was made to do harm, is one sentence at once.

PyYAML alone lets errors of its constructors through (a month 13, a number of 5,000 digits), ends in a RecursionError
where collections are nested deeply, takes the last of two equal keys, and expands aliases without limit.
"""

import re
from collections.abc import Hashable, Iterator
from typing import Any

import yaml

MOST_BYTES = 128 * 1024  # of a file; params.yaml has about a tenth
MOST_DEPTH = 32  # of collections within each other
MOST_NODES = 10_000  # keys, values and collections, each counted as often as an alias repeats it
MOST_DIGITS = 40  # characters of a number
SHOWN = 300  # characters of a message

TOO_DEEP = f"collections within each other, deeper than {MOST_DEPTH}"
TOO_MANY = f"more than {MOST_NODES:,} keys and values, those counted that aliases repeat"

COLLECTIONS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
OTHERS = {TEXT, MERGE, "tag:yaml.org,2002:null", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}
UNUSABLE = frozenset(map(chr, (0, *range(0xD800, 0xE000))))  # NUL, and halves of a pair of UTF-16
PLAIN = COLLECTIONS | NUMBERS | OTHERS


RESOLVED = {  # as ruamel.yaml has them, by which DVC reads params.yaml; and the characters that each begins with
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.[0-9_]+([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
BASES = {"0b": 2, "0o": 8, "0x": 16}


class PlainYamlError(ValueError):
    """A text that is no YAML, or none within the bounds; the message says where and what."""


class _Loader(yaml.SafeLoader):
    """PyYAML's own, with bounds, and with the numbers and truth values of YAML 1.2, which DVC reads and writes."""

    depth, nodes = 0, 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node; checked on the way down: each level is a call within calls, and each node takes time."""
        self.depth += 1
        self.nodes += 1
        if self.depth > MOST_DEPTH or self.nodes > MOST_NODES:
            raise _error(self.peek_event(), TOO_DEEP if self.depth > MOST_DEPTH else TOO_MANY)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; what its constructor raises is an error at its place."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, OverflowError, LookupError) as error:
            raise _error(node, f"no valid {node.tag.rpartition(':')[2]} ({error})") from None


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """A number of YAML 1.2: 010 is ten."""
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
    base = BASES.get(digits[:2], 10)
    return sign * int(digits if base == 10 else digits[2:], base)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in RESOLVED]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, (_pattern, _first) in RESOLVED.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_plain_yaml(content: bytes) -> Any:
    """The content of a YAML file as plain Python values.

    Args:
        content: at most MOST_BYTES + 1 bytes of it, so that a longer file shows.

    Raises:
        PlainYamlError: no YAML in UTF-8, more than one document, or a file beyond the bounds: its size, its depth, the
            nodes that its aliases expand to, a number's digits; a key that is no text, or that occurs twice in one
            mapping; a value of a type that is no plain one.
    """
    if len(content) > MOST_BYTES:
        raise PlainYamlError(f"is larger than {MOST_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8-sig")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise PlainYamlError(f"is not UTF-8 ({error}); save it so") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise PlainYamlError(f"is not valid YAML: {_short(str(error))}") from None


def _check(root: yaml.Node) -> None:
    """Reject a node beyond the bounds, an alias counted as what it stands for."""
    todo, seen = [(root, 1)], 0
    while todo:
        node, depth = todo.pop()
        seen += 1
        if seen > MOST_NODES:
            raise _error(node, TOO_MANY)
        if depth > MOST_DEPTH:  # an alias to a collection that holds it, or a chain of them
            raise _error(node, TOO_DEEP)
        if node.tag not in PLAIN:
            raise _error(node, f"the type {node.tag.removeprefix('tag:yaml.org,2002:')}, which is not read here")
        if node.tag in NUMBERS and len(node.value) > MOST_DIGITS:
            raise _error(node, f"a number of {len(node.value):,} characters")
        if isinstance(node, yaml.ScalarNode) and any(letter in UNUSABLE for letter in node.value):
            raise _error(node, "a character that no path can have; take it out")
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        todo += [(child, depth + 1) for child in _children(node)]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_keys(node: yaml.MappingNode) -> None:
    """Each key is a text and occurs once: DVC rejects a second one when it rewrites the file, after hours perhaps."""
    keys: set[Hashable] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag not in (TEXT, MERGE):
            what = key.value if isinstance(key, yaml.ScalarNode) else "that is a collection"
            raise _error(key, f"the key {_short(what) or 'that is empty'}, which is no text; put it into quotes")
        if key.value in keys:
            raise _error(key, f"the key {_short(key.value)} for the second time; delete one of the two")
        keys.add(key.value)


def _error(at: Any, what: str) -> yaml.YAMLError:
    mark = at.start_mark
    return yaml.YAMLError(f"line {mark.line + 1}, column {mark.column + 1} holds {what}")


def _short(text: str) -> str:
    """A message of PyYAML's on one line, the middle of a long one left out."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN // 2]} ... {line[-SHOWN // 2 :]}"
