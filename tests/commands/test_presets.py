"""Presets: the default is params.yaml itself, the others change what it has, and an option wins over them."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.imports import ROOT
from winnow.commands import run
from winnow.commands.checks import check_params
from winnow.commands.edited_params import changed_params, with_changes
from winnow.commands.presets import DEFAULT, closing_sentence, own_changes, preset_changes, preset_names, whole_method
from winnow.commands.repeats import shifted
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import read_params

PARAMS = read_params()
OTHERS = [name for name in preset_names() if name != DEFAULT]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return tmp_path / "params.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of presets with a default."""
    place = tmp_path / "presets"
    place.mkdir()
    (place / "glance.yaml").write_text("gate: {seeds: [0, 1]}\nmade: {}\n")
    return place


def test_there_are_presets_and_the_default_comes_first() -> None:
    assert preset_names()[0] == DEFAULT
    assert "published" in OTHERS


def test_params_as_committed_are_the_default_preset(file: Path) -> None:
    before = file.read_bytes()
    with changed_params(preset_changes(DEFAULT, PARAMS), file):
        pass
    assert file.read_bytes() == before


def test_the_default_has_exactly_the_keys_that_the_others_change() -> None:
    changed = {key for name in OTHERS for key in own_changes(name, PARAMS)}
    assert set(preset_changes(DEFAULT, PARAMS)) == changed


@pytest.mark.parametrize("name", OTHERS)
def test_a_preset_is_valid_and_the_default_brings_every_byte_back(file: Path, name: str) -> None:
    before = file.read_bytes()
    changes = preset_changes(name, PARAMS)
    with changed_params(changes, file):
        pass
    check_params(file)
    assert read_params(file) == with_changes(PARAMS, changes) != PARAMS
    comments = re.compile("#.*")
    assert comments.findall(file.read_text()) == comments.findall(before.decode())
    assert preset_changes(name, read_params(file)) == changes  # a second time
    with changed_params(preset_changes(DEFAULT, read_params(file)), file):
        pass
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", [DEFAULT, *OTHERS])
def test_every_value_of_a_preset_but_the_defaults_has_a_reason(name: str) -> None:
    """A comment on its line, or on that of a section around it."""
    lines = (ROOT / f"presets/{name}.yaml").read_text().splitlines()
    open_sections: dict[int, bool] = {}
    bare = []
    for before, line in zip(["", *lines], lines, strict=False):
        indent = len(line) - len(line.lstrip())
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        told = "#" in line or before.lstrip().startswith("#")
        open_sections = {at: said for at, said in open_sections.items() if at < indent}
        if line.endswith(":") or ": #" in line:
            open_sections[indent] = told
        elif not told and not any(open_sections.values()):
            bare.append(line)
    assert name == DEFAULT or not bare


@pytest.mark.parametrize("name", ["nope", "../params", "", "published.yaml", "a\nb"])
def test_an_unknown_preset_is_one_sentence_that_names_those_there_are(name: str) -> None:
    with pytest.raises(UserError) as caught:
        preset_changes(name, PARAMS)
    assert str(caught.value) == f"--preset must be one of {', '.join([DEFAULT, *OTHERS])}, got {name!r}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gate: {acept: always}", "presets/mine.yaml: gate.acept is unknown; params.yaml has here: seeds, profile"),
        ("gatte: {seeds: [0]}", "presets/mine.yaml: gatte is unknown; params.yaml has here: gate, made"),
        ("gate: {profile: {epochs: 1, batches: 2}}", "presets/mine.yaml: gate.profile.batches is unknown"),
        ("gate: 3", "presets/mine.yaml: gate must be a section, as in params.yaml"),
        ("gate: {seeds: {a: 1}}", "presets/mine.yaml: gate.seeds must be a value, as in params.yaml"),
        ("- 1", "presets/mine.yaml must hold sections of params.yaml, got '[1]'"),
        (
            "gate: {seeds: [0]}\ngate: {}",
            "presets/mine.yaml is not valid YAML: line 2, column 1 holds the key gate for",
        ),
        ("a: " + "[" * 50 + "]" * 50, "presets/mine.yaml is not valid YAML: line 1"),
        ("# " + "x" * 200_000, "presets/mine.yaml is larger than 128 KiB; correct it"),
    ],
)
def test_a_preset_that_does_not_fit_is_one_sentence_with_its_place(folder: Path, text: str, said: str) -> None:
    params = {"gate": {"seeds": [0, 1], "profile": {"epochs": 2}}, "made": {}}
    (folder / "mine.yaml").write_text(text + "\n")
    with pytest.raises(UserError) as caught:
        own_changes("mine", params, folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mapping_changes_the_keys_that_it_names_and_one_that_is_empty_by_default_is_whole(folder: Path) -> None:
    (folder / "mine.yaml").write_text("gate: {profile: {epochs: 1}}\nmade: {r1: {dataset: data/x}}\n")
    params: dict[str, Any] = {"gate": {"seeds": [0, 1], "profile": {"epochs": 2, "batch": 8}}, "made": {}}
    wanted = {"gate.profile.epochs": 1, "made": {"r1": {"dataset": "data/x"}}}
    assert own_changes("mine", params, folder) == wanted
    params["made"] = {"r2": {"dataset": "data/y"}}  # as another preset left it
    assert own_changes("mine", params, folder) == wanted
    assert preset_changes("glance", params, folder) == {"gate.seeds": [0, 1], "made": {}}


@pytest.mark.parametrize("first", OTHERS)
@pytest.mark.parametrize("then", OTHERS)
def test_a_preset_after_another_is_as_if_it_came_alone(file: Path, first: str, then: str) -> None:
    for name in (first, then):
        with changed_params(preset_changes(name, read_params(file)), file):
            pass
    assert read_params(file) == with_changes(PARAMS, preset_changes(then, PARAMS))


def test_what_params_lack_of_the_default_is_left_out_and_the_whole_method_does_without() -> None:
    fewer = read_params()
    del fewer["compare"]["arms"]["hydra-faa-inversion"]
    assert "compare.arms.hydra-faa-inversion" not in preset_changes("winnow", fewer)
    assert whole_method(fewer) == whole_method(PARAMS) == own_changes("winnow", PARAMS)
    assert "gate.seeds" not in whole_method(with_changes(PARAMS, {"gate.seeds": [7]}))


# --- the commands -------------------------------------------------------------------------------------------------


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """What a command writes into params.yaml; nothing runs, and no file changes."""
    seen: list[Mapping[str, Any]] = []

    @contextlib.contextmanager
    def record(changes: Mapping[str, Any], **_: object) -> Iterator[None]:
        seen.append(dict(changes))
        yield

    monkeypatch.setattr(run, "changed_params", record)
    monkeypatch.setattr(run, "one_run", contextlib.nullcontext)
    for name in ("restore_params", "sweep_root", "check_repository", "check_params", "check_classes", "print_table"):
        monkeypatch.setattr(run, name, lambda: None)
    monkeypatch.setattr(run, "check_source", lambda _: None)
    monkeypatch.setattr(run, "dvc", lambda *_: None)
    monkeypatch.setattr("winnow.commands.stages_alone.run_stages", lambda *_, **__: [])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return seen


def test_run_writes_the_preset_and_the_source(
    written: list[Mapping[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    run.main("run", ["--preset=published", "--source=/data/x.zip"])
    (changes,) = written
    assert changes == {**preset_changes("published", PARAMS), "dataset.source": "/data/x.zip"}
    said = "params.yaml has the values of presets/published.yaml, and other values of dataset.source for later runs"
    assert said in capsys.readouterr().out


def test_an_option_of_reproduce_wins_over_the_preset(written: list[Mapping[str, Any]]) -> None:
    run.main("reproduce", ["--preset=glance", "--seeds=3", "--profile=quick", "--rounds=1"])
    (changes,) = written
    assert preset_changes(DEFAULT, PARAMS)["compare.judged"] == ["baseline", "full"]
    assert list(PARAMS["compare"]["arms"]) == changes["compare.judged"][: len(PARAMS["compare"]["arms"])]
    assert (changes["compare.seeds"], changes["judge.profile"]) == ([0, 1, 2], "quick")
    assert changes["gate.accept"] == "unless_worse"


def test_reproduce_takes_the_whole_method_but_what_was_edited(
    written: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = own_changes("winnow", PARAMS)
    assert whole["gate.seeds"] != PARAMS["gate"]["seeds"]
    run.main("reproduce", ["--seeds=3", "--profile=quick", "--rounds=1"])
    assert {key: written[-1][key] for key in whole} == {**whole, "judge.profile": "quick"}
    edited = with_changes(PARAMS, {"gate.seeds": [7, 8, 9]})
    monkeypatch.setattr(run, "read_params", lambda: edited)
    run.main("reproduce", ["--seeds=3", "--profile=quick", "--rounds=1"])
    assert "gate.seeds" not in written[-1]
    assert written[-1]["gate.profile.most_steps"] == whole["gate.profile.most_steps"]


def test_repeats_shift_the_seeds_of_what_the_preset_leaves(
    written: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from winnow.commands import repeats

    asked: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []

    def two(count: int, once: Any, params: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        asked.append((params, given))
        once(shifted(with_changes(params, given), 1))

    monkeypatch.setattr(repeats, "run_repeats", two)
    run.main("reproduce", ["--preset=published", "--repeats=2", "--seeds=2", "--profile=quick", "--rounds=1"])
    (changes,) = written
    assert changes["search_policy.search.mixture"] is True
    assert (changes["augment.seed"], changes["compare.seeds"]) == (1000, [1000, 1001])
    assert asked[0][1]["gate.accept"] == "always"


def test_an_unknown_preset_ends_the_command_before_anything_is_written(written: list[Mapping[str, Any]]) -> None:
    with pytest.raises(SystemExit, match="run: --preset must be one of glance, "):
        run.main("run", ["--preset=nope"])
    assert written == []


def test_the_last_line_says_what_is_left_in_params_and_how_it_goes_back() -> None:
    back = "`git checkout params.yaml`"
    said = f"params.yaml has other values of a.b for later runs too; {back} undoes that."
    assert closing_sentence("", ["a.b"]) == said
    assert closing_sentence("published", []) == (
        f"params.yaml has the values of presets/published.yaml for later runs too; {back} undoes that; "
        "PRESET=glance sets those of the preset as delivered."
    )
    assert "PRESET" not in closing_sentence(DEFAULT, [])
