"""YAML within bounds: whatever params.yaml holds, it is read or refused in one sentence, and soon."""

import time
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from tests.support.imports import ROOT
from winnow.commands.edited_params import changed_params
from winnow.pipeline.params import ParamsError, read_params
from winnow.pipeline.plain_yaml import MOST_BYTES, MOST_NODES, PlainYamlError, read_plain_yaml

LAUGHS = "a0: &a0 [x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20))
HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "a month 13": ("a: 2024-13-45", "line 1, column 4 holds no valid timestamp (month must be in 1..12)"),
    "5,000 digits": (f"a: {'9' * 5000}", "holds a number of 5,000 characters"),
    "5,000 hexadecimal digits": (f"a: 0x{'f' * 5000}", "holds a number of 5,002 characters"),
    "5,000 digits and a point": (f"a: 1{'0' * 5000}.0", "holds a number of 5,003 characters"),
    "lists in lists": (f"a: {'[' * 50_000}", "collections within each other, deeper than 32"),
    "mappings in mappings": (f"a: {'{a: ' * 20_000}", "collections within each other, deeper than 32"),
    "blocks in blocks": ("- " * 50_000, "collections within each other, deeper than 32"),
    "keys in keys": ("? " * 50_000, "collections within each other, deeper than 32"),
    "aliases that multiply": (LAUGHS, "keys and values, those counted that aliases repeat"),
    "merges that multiply": (LAUGHS.replace("[", "{<<: [").replace("]", "]}").replace("x", "{}"), "deeper than 32"),
    "a list within itself": ("a: &a [*a]", "deeper than 32"),
    "a mapping within itself": ("a: &a {b: *a}", "deeper than 32"),
    "an alias of 100,000 letters": (f"a: *{'x' * 100_000}", "found undefined alias"),
    "many values": (f"a: [{'1,' * 60_000}]", f"holds more than {MOST_NODES:,} keys and values"),
    "a key twice": ("a: 1\nb: 2\na: 3\n", "line 3, column 1 holds the key a for the second time"),
    "a key twice further down": ("x: {a: 1, b: {c: 1, c: 2}}", "line 1, column 21 holds the key c for the second time"),
    "a key that is a number": ("1: 2", "holds the key 1, which is no text; put it into quotes"),
    "a key that is nothing": ("null: 2", "holds the key null, which is no text"),
    "a key that is true": ("true: 2", "holds the key true, which is no text"),
    "a key that is a list": ("[a]: 2", "holds the key that is a collection, which is no text"),
    "a tab": ("a:\n\tb: 1", r"found character '\t'"),
    "NUL": ("a: b\0", "unacceptable character #x0000"),
    "NUL, escaped": (r'a: "b\0"', "holds a character that no path can have"),
    "half of a pair of UTF-16": (r'a: "\ud800"', "holds a character that no path can have"),
    "a Python object": ("a: !!python/object/apply:os.getcwd []", "the type python/object/apply:os.getcwd"),
    "a set": ("a: !!set {b}", "the type set, which is not read here"),
    "no number": ("a: !!int b", "holds no valid int"),
    "no truth": ("a: !!bool b", "holds no valid bool"),
    "an offset of four days": ("a: 2024-01-01 00:00:00+99:99", "holds no valid timestamp"),
    "two documents": ("a: 1\n---\nb: 2\n", "expected a single document"),
    "no end": (f"a: '{'x' * 100_000}", "while scanning a quoted scalar"),
    "100 MB": (f"a: 1\n#{'x' * 100_000_000}", "is larger than 128 KiB"),
    "no mapping": ("[1, 2]", "must hold sections, got [1, 2] (list)"),
    "a long list": (f"[{'1, ' * 5000}]", "must hold sections, got [1, 1, "),
    "Latin letters": ("a: é".encode("latin-1"), "is not UTF-8"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_sentence_at_once(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    file = tmp_path / "params.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    start = time.process_time()
    with pytest.raises(ParamsError) as caught:
        read_params(file)
    assert time.process_time() - start < 5  # a tenth of that here; unbounded, some take minutes, and some all memory
    assert message in str(caught.value)
    assert str(caught.value).startswith("params.yaml ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be read \(Is a directory\); bring it back with"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml"])
def test_sound_files_are_read_as_pyyaml_reads_them(file: str) -> None:
    content = (ROOT / file).read_bytes()
    assert read_plain_yaml(content) == yaml.safe_load(content)
    assert len(content) < MOST_BYTES / 3


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1, c: [1, 2]}\nd: *x\n",
        "a: &x {b: 1}\nd: {<<: *x, b: 2}\n",
        "a: .inf\nb: -.inf\nc: 2024-01-02\nd: null\n'1': true\n",
        "\ufeffa: é\n",
        "",
        "a: |\n  two\n  lines\n",
    ],
)
def test_what_people_write_stays_readable(text: str) -> None:
    assert read_plain_yaml(text.encode()) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "value",
    [
        "1e-05",
        "1E5",
        "-2.5e+3",
        "1e5x",
        "no",
        "yes",
        "On",
        "y",
        "True",
        "FALSE",
        "1:30",
        "1:30.5",
        "010",
        "0o17",
        "0x1F",
        "-0b101",
        "1_000",
        "+7",
        ".5",
        "-.inf",
        ".NaN",
        "1.",
        "~",
        "null",
        "2024-01-02x",
        "0x",
        ".",
    ],
)
def test_numbers_and_truth_values_are_those_that_dvc_reads(value: str) -> None:
    """DVC writes what it reads by ruamel.yaml, as do the commands that change params.yaml."""
    text = f"a: {value}\n"
    mine, theirs = read_plain_yaml(text.encode())["a"], YAML(typ="safe", pure=True).load(text)["a"]
    assert type(mine) is type(theirs)
    assert repr(mine) == repr(theirs)


@pytest.mark.parametrize("value", [1e-05, 1e22, -0.0, True, 8, "no", "1:30", "1e-05", "010", "0x10", ""])
def test_what_a_command_writes_is_read_as_it_was(tmp_path: Path, value: object) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("a: {b: 1} # why\n")
    with changed_params({"a.b": value}, file):
        assert read_params(file) == {"a": {"b": value}}


def test_what_was_read_once_is_not_changed_by_its_reader(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("a: {b: 1}\n")
    read_params(file)["a"]["b"] = 2
    assert read_params(file) == {"a": {"b": 1}}


def test_the_limits_are_where_they_say(tmp_path: Path) -> None:
    assert read_plain_yaml(f"{'[' * 32}{']' * 32}".encode()) is not None
    with pytest.raises(PlainYamlError, match="deeper than 32"):
        read_plain_yaml(f"{'[' * 33}{']' * 33}".encode())
    assert len(read_plain_yaml(f"[{'1,' * (MOST_NODES - 1)}]".encode())) == MOST_NODES - 1
    with pytest.raises(PlainYamlError, match="more than"):
        read_plain_yaml(f"[{'1,' * MOST_NODES}]".encode())
    assert read_plain_yaml(f"a: 1 #{' ' * (MOST_BYTES - 6)}".encode()) == {"a": 1}
    with pytest.raises(PlainYamlError, match="larger"):
        read_plain_yaml(f"a: 1 #{' ' * (MOST_BYTES - 5)}".encode())
    assert read_plain_yaml(b"a: " + b"9" * 40) == {"a": 10**40 - 1}
