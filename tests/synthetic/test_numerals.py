"""The drawn source: what is drawn, what is planted, and that equal seeds give equal bytes."""

import csv
import dataclasses
import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.synthesise import Params, main
from tests.support.refusals import refused_params
from winnow.synthetic.hand import hands
from winnow.synthetic.junk import KINDS
from winnow.synthetic.numerals import CLASSES, numeral_strokes
from winnow.synthetic.pen import Ink, Paper, Stroke, resample, scan, write
from winnow.synthetic.setting import USUAL
from winnow.synthetic.source import CONFUSABLE, Drawing, Pool, draw, plan_clean, plan_faulty, writer_pool

TINY = Params(
    seed=7,
    train_counts=[9, 4, 5, 6, 3, 4, 5, 6, 4, 4],
    label_book_counts=[1, 1, 2, 1, 2, 1, 1, 1, 1, 1],
    test_per_class=2,
    wrong_labels=0.1,
    junk=0.2,
    train_writers=6,
    test_writers=7,
    train_spread=0.3,
    test_spread=0.8,
    train_inverted=0.0,
    test_inverted=0.5,
    setting="usual",
    settings={"usual": USUAL},
)
STROKES = {"i": 1, "v": 1, "x": 2}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    main(TINY, source=folder / "source.zip", sheet=folder / "sheet.png")
    return folder / "source.zip"


def truth_of(source: Path) -> list[dict[str, str]]:
    with zipfile.ZipFile(source) as archive:
        return list(csv.DictReader(io.StringIO(archive.read("truth.csv").decode())))


# --- the zip ------------------------------------------------------------------------------------------------------


def test_same_seed_same_bytes_other_seed_other_bytes(source: Path, tmp_path: Path) -> None:
    main(TINY, source=tmp_path / "again.zip", sheet=tmp_path / "again.png")
    main(dataclasses.replace(TINY, seed=8), source=tmp_path / "other.zip", sheet=tmp_path / "other.png")
    assert (tmp_path / "again.zip").read_bytes() == source.read_bytes()
    assert (tmp_path / "again.png").read_bytes() == (source.parent / "sheet.png").read_bytes()
    assert (tmp_path / "other.zip").read_bytes() != source.read_bytes()


def test_every_folder_holds_its_count_and_nothing_else_is_there(source: Path) -> None:
    with zipfile.ZipFile(source) as archive:
        found = Counter(tuple(name.split("/")[:-1]) for name in archive.namelist())
    wanted = {("train", label): count for label, count in zip(CLASSES, TINY.train_counts, strict=True)}
    wanted |= {("label_book", label): count for label, count in zip(CLASSES, TINY.label_book_counts, strict=True)}
    wanted |= {("test", label): TINY.test_per_class for label in CLASSES}
    assert found == wanted | {(): 1}


def test_zip_says_nothing_of_clock_or_machine(source: Path) -> None:
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
    assert {(entry.date_time, entry.create_system, entry.external_attr) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 3, 0o644 << 16)
    }
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_images_are_grey_pngs(source: Path) -> None:
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                image = Image.open(io.BytesIO(archive.read(name)))
                assert (image.format, image.mode) == ("PNG", "L"), name


def test_truth_has_one_row_a_train_image_and_the_planted_shares(source: Path) -> None:
    rows = truth_of(source)
    with zipfile.ZipFile(source) as archive:
        train = [name for name in archive.namelist() if name.startswith("train/")]
    assert sorted(row["name"] for row in rows) == train
    junk = [row for row in rows if row["noise"] == "1"]
    wrong = [row for row in rows if row["noise"] == "0" and row["label"] != row["name"].split("/")[1]]
    assert {row["label"] for row in junk} == {""}
    assert {row["label"] for row in rows if row["noise"] == "0"} <= set(CLASSES)
    assert {row["noise"] for row in rows} == {"0", "1"}
    assert (len(rows), len(wrong), len(junk)) == (50, 5, 10)  # 0.1 and 0.2 of 50


# --- the plan -----------------------------------------------------------------------------------------------------


def test_clean_plan_shows_what_its_folder_says() -> None:
    plan = plan_clean("test", [2] * 10)
    assert [drawing.truth for drawing in plan] == [drawing.label for drawing in plan]
    assert [drawing.name for drawing in plan[:3]] == ["test/i/0000.png", "test/i/0001.png", "test/ii/0000.png"]


def test_without_faults_the_faulty_plan_is_the_clean_one() -> None:
    assert plan_faulty("train", [3] * 10, wrong_labels=0.0, junk=0.0, confused=0.0, seed=1) == plan_clean(
        "train", [3] * 10
    )


def test_mistakes_are_mostly_of_confusable_numerals() -> None:
    plan = plan_faulty("train", [1000] * 10, wrong_labels=1.0, junk=0.0, confused=0.0, seed=1)
    likely = np.mean([drawing.truth in CONFUSABLE[drawing.label] for drawing in plan])
    by_chance = np.mean([len(CONFUSABLE[label]) / 9 for label in CLASSES])
    assert likely == pytest.approx(0.85 + 0.15 * by_chance, abs=0.015)  # 4 standard errors of 10,000 draws
    assert all(drawing.truth != drawing.label for drawing in plan)


def test_numbers_do_not_tell_faults() -> None:
    plan = plan_faulty("train", [1000] * 10, wrong_labels=0.04, junk=0.07, confused=0.0, seed=1)
    faulty = np.array([drawing.number for drawing in plan if drawing.truth != drawing.label])
    assert len(faulty) == 1100
    assert faulty.mean() == pytest.approx(499.5, abs=4 * 288.7 / np.sqrt(1100))  # uniform over 0..999


# --- the writers --------------------------------------------------------------------------------------------------


def test_no_writer_draws_two_splits() -> None:
    pools = [set(writer_pool(1, split, 50, spread=1.0)) for split in ("train", "label_book", "test")]
    assert [len(pool) for pool in pools] == [50, 50, 50]
    assert len(set.union(*pools)) == 150


def test_a_pool_is_the_same_for_the_same_seed_and_begins_alike_when_longer() -> None:
    assert writer_pool(1, "train", 5, spread=0.3) == writer_pool(1, "train", 9, spread=0.3)[:5]


def test_spread_scales_geometry() -> None:
    narrow, wide = (hands(np.random.default_rng(0), 40, spread=spread) for spread in (0.25, 1.0))
    for habit in ("slant", "tilt"):
        ratio = np.ptp([getattr(hand, habit) for hand in narrow]) / np.ptp([getattr(hand, habit) for hand in wide])
        assert ratio == pytest.approx(0.25), habit
    assert {hand.tilt for hand in hands(np.random.default_rng(0), 5, spread=0.0)} == {0.0}


@pytest.mark.parametrize("text", [*CLASSES, "xiii"])
def test_a_plain_hand_writes_each_letter_in_its_strokes_from_left_to_right(text: str) -> None:
    hand = dataclasses.replace(hands(np.random.default_rng(0), 1, spread=0.0)[0], letterform="plain", sloppiness=0.0)
    strokes = numeral_strokes(text, hand, np.random.default_rng(1))
    assert len(strokes) == sum(STROKES[letter] for letter in text)
    letters = [letter for letter in text for _ in range(STROKES[letter])]
    centres = [float(stroke.points[:, 0].mean()) for stroke in strokes]
    for k in range(1, len(strokes)):
        assert letters[k - 1 : k + 1] == ["x", "x"] or centres[k] > centres[k - 1]


def test_bars_serifs_and_dots_are_added() -> None:
    extra = {}
    for form in ("plain", "bars", "serif", "lower"):
        hand = dataclasses.replace(hands(np.random.default_rng(0), 1, spread=0.0)[0], letterform=form)
        extra[form] = len(numeral_strokes("vi", hand, np.random.default_rng(1)))
    assert extra == {"plain": 2, "bars": 4, "serif": 6, "lower": 3}


# --- one drawing --------------------------------------------------------------------------------------------------


def test_a_drawing_depends_on_its_own_place_alone() -> None:
    pool = Pool(writer_pool(1, "train", 3, spread=0.3), inverted=0.0)
    first, again, next_one = (draw(Drawing("train", "iv", n, "iv"), pool, 1) for n in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert first.shape != next_one.shape or (first != next_one).any()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_junk_of_every_kind_is_about_one_height_tall(kind: object) -> None:
    hand = hands(np.random.default_rng(0), 1, spread=0.5)[0]
    for seed in range(20):
        strokes = kind(hand, np.random.default_rng(seed))  # type: ignore[operator]
        if strokes:
            points = np.concatenate([stroke.points for stroke in strokes])
            assert np.isfinite(points).all()
            assert np.ptp(points, axis=0).max() < 4


# --- pen and scanner ----------------------------------------------------------------------------------------------

PLAIN_INK = Ink(width=4.0, pressure=0.0, broken=0.0, dryness=0.0, grey=0.0)
PLAIN_PAPER = Paper(grey=255, shade=0, noise=0, blur=0, grid=0, specks=0, inverted=False)


def test_ink_covers_what_lies_within_half_a_width_of_the_stroke() -> None:
    stroke = Stroke(np.array([[10.0, 20.0], [50.0, 30.0]]))
    cover = write([stroke], (40, 60), PLAIN_INK, np.random.default_rng(0))
    y, x = np.mgrid[0:40, 0:60] + 0.5
    along = np.clip(((x - 10) * 40 + (y - 20) * 10) / (40**2 + 10**2), 0, 1)
    distance = np.hypot(x - 10 - 40 * along, y - 20 - 10 * along)
    assert (cover[distance < 1.0] == 1).all()
    assert (cover[distance > 3.5] == 0).all()


def test_broken_pen_leaves_less_ink_and_a_heavy_stroke_more() -> None:
    points = np.array([[5.0, 20.0], [95.0, 20.0]])

    def covered(ink: Ink, weight: float = 1.0) -> float:
        return float(write([Stroke(points, weight)], (40, 100), ink, np.random.default_rng(0)).sum())

    whole = covered(PLAIN_INK)
    assert covered(dataclasses.replace(PLAIN_INK, broken=0.4)) < 0.8 * whole
    assert covered(PLAIN_INK, weight=2.0) == pytest.approx(2 * whole, rel=0.15)


def test_plain_scan_is_ink_on_paper_and_its_inverse() -> None:
    cover = np.zeros((8, 9))
    cover[2:4, 3:6] = 1.0
    scanned = scan(cover, PLAIN_INK, PLAIN_PAPER, np.random.default_rng(0))
    np.testing.assert_array_equal(scanned, np.where(cover == 1, 0, 255))
    inverse = scan(cover, PLAIN_INK, dataclasses.replace(PLAIN_PAPER, inverted=True), np.random.default_rng(0))
    np.testing.assert_array_equal(inverse, 255 - scanned)


def test_resampling_keeps_ends_length_and_step() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 14.0]])
    dense = resample(points, 1.0)
    gaps = np.hypot(*np.diff(dense, axis=0).T)
    np.testing.assert_allclose(dense[[0, -1]], points[[0, -1]])
    np.testing.assert_allclose(gaps, 1.0)  # 15 long: fifteen steps of one, with the corner on a step


# --- params -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_counts": [1, 2]}, r"train_counts must have 10 or more items, got \[1, 2\]"),
        ({"label_book_counts": [0] * 10}, r"label_book_counts\[0\] must be at least 1, got 0"),
        ({"wrong_labels": 1.5}, r"wrong_labels must be at most 1\.0, got 1\.5"),
        ({"wrong_labels": 0.6, "junk": 0.6}, "must not exceed 1 together"),
        ({"test_writers": 0}, "test_writers must be at least 1, got 0"),
    ],
)
def test_impossible_params_are_refused(change: dict[str, object], message: str) -> None:
    with refused_params(Params, message):
        dataclasses.replace(TINY, **change)  # type: ignore[arg-type]
