"""The settings of the drawn source: what the hard one plants, that it stays legible, and what it leaves alone."""

import csv
import dataclasses
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.synthesise import Params, main
from tests.support.refusals import refused_params
from tests.synthetic.test_numerals import TINY
from winnow.pipeline.params import load_params
from winnow.synthetic.hand import Hand, hands
from winnow.synthetic.leaning import LEANINGS, Lean, leaning_strokes, leans_of
from winnow.synthetic.numerals import CLASSES, numeral_strokes
from winnow.synthetic.pen import Points
from winnow.synthetic.setting import USUAL, Setting
from winnow.synthetic.source import (
    Drawing,
    Pool,
    ambiguous_writers,
    draw,
    plan_clean,
    plan_faulty,
    writer_pool,
)

# Of the pixels of TINY's usual source, names and truth.csv, before there were settings.
USUAL_DIGEST = "d935ced266094ac735815dae515c8481736060fc806186f45e131ee5e8ca64b0"
HARD = Setting(ambiguous_hands=0.5, leaning=0.5, strength=1.0, confused=0.6, near_junk=0.8, filed=0.5, lone=0.0)
PAIRS = [(truth, label) for label, truths in LEANINGS.items() for truth in truths]
WRITERS = [dataclasses.replace(hand, letterform="plain") for hand in hands(np.random.default_rng(5), 60, spread=0.85)]


def digest_of(source: Path) -> str:
    """Of names, pixels and texts: PNGs of equal pixels differ from one release of zlib to the next."""
    found = hashlib.sha256()
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            found.update(name.encode())
            if name.endswith(".png"):
                pixels = np.asarray(Image.open(io.BytesIO(content)))
                found.update(repr(pixels.shape).encode())
                content = pixels.tobytes()
            found.update(content)
    return found.hexdigest()


def synthesised(folder: Path, setting: Setting) -> Path:
    params = dataclasses.replace(TINY, setting="chosen", settings={"other": USUAL, "chosen": setting})
    main(params, source=folder / "source.zip", sheet=folder / "sheet.png")
    return folder / "source.zip"


# --- the source ---------------------------------------------------------------------------------------------------


def test_the_usual_setting_is_that_of_params_and_draws_what_it_always_drew(tmp_path: Path) -> None:
    delivered = load_params("synthesise", Params)
    assert (delivered.setting, delivered.chosen) == ("usual", USUAL)
    assert digest_of(synthesised(tmp_path, delivered.chosen)) == USUAL_DIGEST


def test_the_hard_source_is_the_same_again_and_other_than_the_usual_one(tmp_path: Path) -> None:
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
    once, again = (synthesised(tmp_path / name, HARD) for name in ("once", "again"))
    assert once.read_bytes() == again.read_bytes()
    assert digest_of(once) != USUAL_DIGEST


def test_truth_of_the_hard_source_has_the_planted_shares_and_pairs(tmp_path: Path) -> None:
    with zipfile.ZipFile(synthesised(tmp_path, dataclasses.replace(HARD, confused=1.0))) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("truth.csv").decode())))
    pairs = [(row["label"], row["name"].split("/")[1]) for row in rows if row["noise"] == "0"]
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    assert (len(rows), len(wrong), len(rows) - len(pairs)) == (50, 5, 10)  # 0.1 and 0.2 of 50
    assert set(wrong) <= set(PAIRS)


def test_an_unknown_setting_is_refused() -> None:
    with refused_params(Params, "setting must be one of usual, got easy"):
        dataclasses.replace(TINY, setting="easy")


# --- the plan -----------------------------------------------------------------------------------------------------


def test_confused_labels_have_their_share_and_are_of_the_stated_pairs() -> None:
    plan = plan_faulty("train", [100] * 10, wrong_labels=0.5, junk=0.1, confused=0.6, seed=1)
    confused = [(drawing.truth, drawing.label) for drawing in plan if drawing.confused]
    assert len(confused) == 300
    assert set(confused) == set(PAIRS)  # 10 or more of each are expected
    assert sum(drawing.truth not in ("", drawing.label) for drawing in plan) == 500


def test_every_class_is_mistaken_and_no_numeral_for_itself() -> None:
    assert set(LEANINGS) == set(CLASSES)
    assert {truth for truth, _ in PAIRS} == set(CLASSES)
    assert all(truth != label for truth, label in PAIRS)
    assert leans_of("v") == ["ii", "iv", "vi", "x"]


def test_the_stated_share_of_writers_is_ambiguous() -> None:
    chosen = ambiguous_writers(1, "train", 20, 0.35)
    assert len(chosen) == 7
    assert chosen <= set(range(20))
    assert chosen != ambiguous_writers(2, "train", 20, 0.35)


# --- one drawing --------------------------------------------------------------------------------------------------


def changed(plan: list[Drawing], pool: Pool, other: Pool) -> list[bool]:
    """Which drawings differ between two pools of the same writers."""
    return [not np.array_equal(draw(drawing, pool, 1), draw(drawing, other, 1)) for drawing in plan]


def test_only_ambiguous_writers_lean_and_at_the_stated_share() -> None:
    writers = writer_pool(1, "train", 8, spread=0.3)
    clear = Pool(writers, inverted=0.0)
    plan = plan_clean("train", [20] * 10)
    nobody = dataclasses.replace(clear, setting=HARD)
    assert not any(changed(plan[::10], clear, nobody))
    everybody = dataclasses.replace(nobody, ambiguous=frozenset(range(8)))
    assert np.mean(changed(plan, clear, everybody)) == pytest.approx(0.5, abs=0.14)  # 4 standard errors of 200


def test_junk_near_the_classes_has_its_share() -> None:
    writers = writer_pool(1, "train", 8, spread=0.3)
    plan = [dataclasses.replace(drawing, truth="") for drawing in plan_clean("train", [20] * 10)]
    pools = Pool(writers, inverted=0.0), Pool(writers, inverted=0.0, setting=HARD)
    assert np.mean(changed(plan, *pools)) == pytest.approx(0.8, abs=0.11)  # 4 standard errors of 200


def test_junk_almost_the_numeral_of_its_folder_has_its_share() -> None:
    writers = writer_pool(1, "train", 8, spread=0.3)
    plan = [dataclasses.replace(drawing, truth="") for drawing in plan_clean("train", [20] * 10)]
    near = dataclasses.replace(HARD, near_junk=1.0, filed=0.0)
    pools = [Pool(writers, inverted=0.0, setting=dataclasses.replace(near, filed=filed)) for filed in (0.0, 0.7)]
    assert np.mean(changed(plan, pools[0], pools[1])) == pytest.approx(0.7, abs=0.13)  # 4 standard errors of 200


def test_a_confused_label_leans_whoever_wrote_it() -> None:
    pool = Pool(writer_pool(1, "train", 3, spread=0.3), inverted=0.0, setting=HARD)
    plain = Drawing("train", "v", 4, "x")
    assert changed([dataclasses.replace(plain, confused=True)], pool, pool) == [False]
    assert not np.array_equal(draw(plain, pool, 1), draw(dataclasses.replace(plain, confused=True), pool, 1))


# --- what stays legible -------------------------------------------------------------------------------------------


def leaning(truth: str, towards: str, hand: Hand, seed: int) -> list[Points]:
    """The strokes of an attempt that leans as far as any does."""
    return [stroke.points for stroke in leaning_strokes(truth, Lean(towards, 1.0), hand, np.random.default_rng(seed))]


def thickest(hand: Hand) -> float:
    """Width of this hand's line where it presses most, heights."""
    return 1.2 * hand.pen * (1 + hand.pressure)


@pytest.mark.parametrize(("truth", "towards"), PAIRS)
def test_every_form_can_draw_every_pair(truth: str, towards: str) -> None:
    for seed, hand in enumerate(hands(np.random.default_rng(0), 10, spread=0.85)):
        for strength in (0.0, 1.0):
            strokes = leaning_strokes(truth, Lean(towards, strength), hand, np.random.default_rng(seed))
            points = np.concatenate([stroke.points for stroke in strokes])
            assert np.isfinite(points).all()
            assert np.ptp(points, axis=0).max() < 4


def crossing_of(strokes: list[Points]) -> float:
    """Height above the line at which two strokes cross last."""
    heights = np.linspace(0.95, 0.05, 400)
    across = [np.interp(heights, stroke[:, 1], stroke[:, 0]) for stroke in strokes]
    return float(1 - heights[np.flatnonzero(np.diff(np.sign(across[0] - across[1])))[0]])


def test_strokes_of_a_v_cross_lower_than_those_of_any_x() -> None:
    low = [crossing_of(leaning("v", "x", hand, seed)) for seed, hand in enumerate(WRITERS)]
    high = [crossing_of(leaning("x", "v", hand, seed)) for seed, hand in enumerate(WRITERS)]
    assert np.mean(low) == pytest.approx(0.18, abs=0.02)
    assert np.mean(high) == pytest.approx(0.32, abs=0.02)
    assert max(low) < min(high)


def test_two_i_that_lean_together_leave_white_at_the_foot_and_a_v_does_not() -> None:
    for seed, hand in enumerate(WRITERS):
        left, right = (stroke[-1] for stroke in leaning("ii", "v", hand, seed))
        assert right[0] - left[0] > thickest(hand)
        down, foot, up = leaning("v", "ii", hand, seed)
        assert np.abs(foot[0] - down[-1]).max() < 0.06
        assert np.abs(foot[-1] - up[0]).max() < 0.06


def test_two_i_that_touch_at_the_top_leave_white_at_the_foot() -> None:
    for seed, hand in enumerate(WRITERS):
        left, right = leaning("ii", "i", hand, seed)
        assert right[-1, 0] - left[-1, 0] > thickest(hand)
        assert right[0, 0] - left[0, 0] < hand.pen + 0.06  # their ink meets, or nearly


@pytest.mark.parametrize("towards", ["v", "i"])
def test_with_serifs_too_two_i_leave_white_at_the_foot(towards: str) -> None:
    for seed, hand in enumerate(WRITERS):
        written = leaning("ii", towards, dataclasses.replace(hand, letterform="serif"), seed)
        feet = sorted(
            (stroke for stroke in written if stroke[:, 1].min() > 0.8), key=lambda stroke: stroke[:, 0].mean()
        )
        assert len(feet) == 2
        assert feet[0][:, 0].max() + hand.pen < feet[1][:, 0].min()


@pytest.mark.parametrize(("truth", "towards"), [pair for pair in PAIRS if LEANINGS[pair[1]][pair[0]] == "crossed_out"])
def test_a_crossed_out_i_is_the_only_stroke_too_many(truth: str, towards: str) -> None:
    hand = dataclasses.replace(WRITERS[0], sloppiness=0.0)
    kept = len(numeral_strokes(truth, hand, np.random.default_rng(0)))
    for seed in range(8):
        strokes = leaning(truth, towards, hand, seed)
        assert len(strokes) - kept in (2, 3)  # the i, and a zigzag or two strokes through it
        tall = [stroke for stroke in strokes if np.ptp(stroke[:, 1]) > 0.9]
        assert len(tall) == kept + 1


def test_a_strike_reaches_no_other_letter() -> None:
    for seed, hand in enumerate(WRITERS):
        strokes = leaning("ii", "iii", hand, seed)
        tall = [np.ptp(stroke[:, 1]) > 0.85 for stroke in strokes]
        others = [float(stroke[:, 0].mean()) for stroke, is_tall in zip(strokes, tall, strict=True) if is_tall]
        strike = np.concatenate([stroke for stroke, is_tall in zip(strokes, tall, strict=True) if not is_tall])
        reached = [at for at in others if strike[:, 0].min() < at < strike[:, 0].max()]
        assert len(reached) == 1
