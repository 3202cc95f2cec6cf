"""Spoilt inputs: a few hundred here, 100,000 by ``make fuzz``; and that the campaign finds what is wrong."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench.fuzz.__main__ as command
from bench.fuzz import campaign, checks
from bench.fuzz.campaign import Campaign, Child, Result, batches
from bench.fuzz.checks import Finding, check
from bench.fuzz.corpus import corpus
from bench.fuzz.inputs import CONTAINERS, IMAGES, TEXTS, TOGETHER, Input, input_of, kind_of
from bench.fuzz.mutation import WAYS, chunks
from bench.fuzz.tables import TABLES
from winnow.pictures.decode import decode
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError

SEED = 0


def some(kind: str, many: int, *, start: int = 0) -> list[int]:
    """Numbers from the first batch of a kind."""
    first = start + TOGETHER * next(batch for batch in range(50) if kind_of(batch) == kind)
    return list(range(first, first + many))


# --- the inputs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", corpus())
def test_every_file_of_the_corpus_is_sound(kind: str) -> None:
    assert len(set(corpus()[kind])) == len(corpus()[kind])
    for content in corpus()[kind]:
        assert decode(content, max_pixels=100_000).size > 0
        assert b"".join(chunks(content)) == content


@pytest.mark.parametrize("kind", TABLES)
def test_every_table_is_sound(kind: str, tmp_path: Path) -> None:
    (tmp_path / kind).write_bytes(TABLES[kind].content)
    TABLES[kind].read(tmp_path / kind)


def test_an_input_is_made_by_its_seed_and_number_alone() -> None:
    for kind in (IMAGES, CONTAINERS, TEXTS):
        first, second = some(kind, 2)
        assert input_of(SEED, second).kind == kind
        assert input_of(SEED, second) == input_of(SEED, second)
        assert input_of(SEED, first) != input_of(SEED, second)
    assert input_of(SEED, 0).content != input_of(SEED + 1, 0).content


def test_most_images_are_spoilt_in_every_way() -> None:
    made = [input_of(SEED, number) for number in some(IMAGES, TOGETHER)]
    sound = {content for contents in corpus().values() for content in contents}
    spoilt = [one for one in made if one.content not in sound]
    assert len(spoilt) > 0.9 * len(made)
    assert {one.way for one in made} >= set(WAYS)


# --- what is checked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "many", "start"), [(IMAGES, 128, 0), (CONTAINERS, 40, 0), (TEXTS, 60, 0)])
def test_spoilt_inputs_are_accepted_or_refused_with_a_sentence(kind: str, many: int, start: int) -> None:
    numbers = some(kind, many, start=start)
    with Campaign(SEED) as running:
        result = running.run(numbers)
    assert result.findings == []
    assert set(result.fates) == set(numbers)
    assert len(set(result.fates.values())) == 2


def sound_image(number: int = 1) -> Input:
    return Input(number, IMAGES, "PNG", "nothing", "a/1.png", corpus()["PNG"][0])


def found(inputs: Sequence[Input], place: Path) -> list[Finding]:
    return check(inputs, place, zipped=True, tell=lambda number: None).findings


def test_a_sound_image_is_no_finding(tmp_path: Path) -> None:
    assert found([sound_image()], tmp_path) == []


def broken(place: str, function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked, with that function between: it gets the real one first."""
    real = getattr(checks, place)
    monkeypatch.setattr(checks, place, lambda *given, **named: function(real, *given, **named))


def failing(*_: Any, **__: Any) -> None:
    raise KeyError("planted")


def refusing(*_: Any, **__: Any) -> None:
    raise UserError("planted")


@pytest.mark.parametrize(
    ("place", "function", "what", "number"),
    [
        ("ingest", failing, "KeyError", None),
        ("check_source", refusing, "UserError", None),
        ("ingest", lambda real, *given, **named: (real(*given, **named)[0][:1], []), "a sound image beside", None),
        ("ingest", lambda real, *given, **named: ([], [("a/1.png", "damaged")]), "a reason that is none", 1),
        ("ingest", lambda real, *given, **named: ([], []), "neither sample nor rejected", 1),
        ("suffix_of", failing, "KeyError", 1),
    ],
)
def test_what_is_wrong_with_an_image_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    function: Callable[..., Any],
    what: str,
    number: int | None,
) -> None:
    broken(place, function, monkeypatch)
    assert any(what in finding.what and finding.number == number for finding in found([sound_image()], tmp_path))


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda pixels: 255 - pixels, "the second decoding differs"),
        (lambda pixels: pixels.astype(np.int64), "the second decoding differs"),
        (lambda pixels: pixels[1:], "the second decoding differs"),
        (refusing, "accepted, then refused"),
    ],
)
def test_an_image_that_later_stages_see_otherwise_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], what: str
) -> None:
    def decoded(real: Callable[..., Any], content: bytes, file: Path, identifier: str) -> Any:
        pixels = real(content, file, identifier)
        return function(pixels) if file == Path("a/1.png") else pixels

    broken("decode_stored", decoded, monkeypatch)
    (finding,) = found([sound_image()], tmp_path)
    assert what in finding.what
    assert finding.number == 1


def test_what_a_library_prints_is_traced_to_the_image(tmp_path: Path) -> None:
    words = iter(["", "a warning of C"])
    outcome = check([sound_image()], tmp_path, zipped=True, tell=lambda number: None, said=lambda: next(words))
    assert outcome.findings == [Finding(1, "words on standard error", "a warning of C")]


@pytest.mark.parametrize(
    ("message", "what"), [("two\nlines", "more than one printable line"), ("x" * 2000, "more than 1500 characters")]
)
def test_what_is_no_sentence_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, what: str) -> None:
    def refuse(real: Callable[..., Any], one: Input, place: Path) -> None:
        raise UserError(message)

    broken("_check_table", refuse, monkeypatch)
    (finding,) = found([Input(3, TEXTS, "truth.csv", "bits flipped", "truth.csv", b"")], tmp_path)
    assert what in finding.what
    assert finding.number == 3


def test_a_table_that_says_something_else_unseen_is_found(tmp_path: Path) -> None:
    scores = TABLES["scores.parquet"].read
    TABLES["scores.parquet"].make(tmp_path / "sound")
    table = scores(tmp_path / "sound")
    write_table(tmp_path / "other", table.slice(1))
    other = (tmp_path / "other").read_bytes()
    findings = found([Input(4, TEXTS, "scores.parquet", "bits flipped", "scores.parquet", other)], tmp_path)
    assert [finding.number for finding in findings] == [4]


# --- the process that reads them --------------------------------------------------------------------------------


def child(code: str) -> Child:
    return Child([sys.executable, "-c", f"import sys; print('{{\"ready\": true}}', flush=True); {code}"])


@pytest.mark.parametrize(
    ("code", "words", "at"),
    [
        ("sys.stdin.read()", "hangs", None),
        ("sys.stdin.readline(); print('{\"at\": 7}', flush=True); sys.stdin.read()", "hangs", 7),
        ("sys.stdin.readline(); sys.exit(3)", "ends the process (exit code 3)", None),
    ],
)
def test_a_process_that_gives_no_answer_is_ended(code: str, words: str, at: int | None) -> None:
    started = child(code)
    assert started.ask(0, [7], 0.5) == (None, words, at)
    assert started.process.poll() is not None


def test_a_process_that_grows_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "MEMORY", 50_000_000)
    started = child("sys.stdin.readline(); held = bytearray(b'x') * 200_000_000; sys.stdin.read()")
    assert started.ask(0, [7], 60)[1] == "takes more than 50 MB"
    assert started.process.poll() is not None


class FakeChild:
    """In the place of the process: one of the inputs ends it."""

    fatal: int

    def ask(self, seed: int, numbers: Sequence[int], seconds: float) -> tuple[dict[str, Any] | None, str, int | None]:
        if self.fatal in numbers:
            alone = kind_of(numbers[0] // TOGETHER) != IMAGES
            return None, "ends the process", self.fatal if alone else None
        return {"fates": {str(number): "refused" for number in numbers}, "findings": [], "noise": ""}, "", None

    def close(self) -> None:
        pass


@pytest.mark.parametrize("kind", [IMAGES, CONTAINERS, TEXTS])
def test_a_crash_is_traced_to_its_input_and_the_rest_is_read(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = some(kind, TOGETHER)
    monkeypatch.setattr(FakeChild, "fatal", numbers[77], raising=False)
    monkeypatch.setattr(campaign, "Child", FakeChild)
    with Campaign(SEED) as running:
        result = running.run(numbers)
    assert [(one.number, one.what) for one in result.findings] == [(numbers[77], "ends the process")]
    assert set(result.fates) == set(numbers) - {numbers[77]}


# --- the command ------------------------------------------------------------------------------------------------


class FakeCampaign(Campaign):
    """Every input is accepted, and the one of number 5 is a finding."""

    def run(self, numbers: Sequence[int]) -> Result:
        findings = [Finding(5, "planted", "words")] if 5 in numbers else []
        return Result(dict.fromkeys(numbers, "accepted"), findings)


def test_a_run_that_was_stopped_goes_on_and_counts_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "Campaign", FakeCampaign)
    whole = command.run(300, SEED, 60, tmp_path / "whole")
    assert command.run(300, SEED, 0, tmp_path / "parts")["inputs"] == 0
    assert command.run(TOGETHER, SEED, 60, tmp_path / "parts")["inputs"] == TOGETHER
    parts = command.run(300, SEED, 60, tmp_path / "parts")
    assert {**parts, "seconds": 0} == {**whole, "seconds": 0}
    assert sum(row["inputs"] for row in whole["by_format"].values()) == 300
    assert whole["findings"] == {"planted": 1}
    one = input_of(SEED, 5)
    assert (tmp_path / "whole" / f"{SEED}-5" / Path(one.name).name).read_bytes() == one.content


def test_a_run_of_other_code_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "Campaign", FakeCampaign)
    command.run(TOGETHER, SEED, 60, tmp_path)
    monkeypatch.setattr(command, "digest", lambda paths: "another")
    assert command.run(TOGETHER, SEED, 0, tmp_path)["inputs"] == 0


def test_a_run_that_is_longer_reads_what_is_left() -> None:
    assert [len(numbers) for numbers in batches(300, 0)] == [256, 44]
    assert list(batches(300, 256)) == [list(range(256, 300))]
