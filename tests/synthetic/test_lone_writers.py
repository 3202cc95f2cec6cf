"""Writers of one image: how many images are theirs, and that they are as ambiguous as the others."""

import dataclasses

import numpy as np
import pytest

from tests.synthetic.test_settings import changed
from winnow.synthetic.hand import LETTERFORMS, lone_writer
from winnow.synthetic.setting import USUAL
from winnow.synthetic.source import Pool, plan_clean, writer_pool


def test_lone_writers_draw_their_share_and_each_is_another() -> None:
    clear = Pool(writer_pool(1, "train", 8, spread=0.3), inverted=0.0, spread=0.3)
    lone = dataclasses.replace(clear, setting=dataclasses.replace(USUAL, lone=0.4))
    plan = plan_clean("train", [20] * 10)
    assert np.mean(changed(plan, clear, lone)) == pytest.approx(0.4, abs=0.14)  # 4 standard errors of 200
    rng = np.random.default_rng(0)
    alone = [lone_writer(rng, 0.3) for _ in range(50)]
    assert len(set(alone)) == 50
    assert {hand.letterform for hand in alone} == set(LETTERFORMS)


def test_lone_writers_are_ambiguous_at_the_share_of_all() -> None:
    alone = dataclasses.replace(USUAL, lone=1.0)
    clear = Pool(writer_pool(1, "train", 8, spread=0.3), inverted=0.0, setting=alone, spread=0.3)
    half = dataclasses.replace(alone, ambiguous_hands=0.5, leaning=1.0, strength=1.0)
    plan = plan_clean("train", [20] * 10)
    share = np.mean(changed(plan, clear, dataclasses.replace(clear, setting=half)))
    assert share == pytest.approx(0.5, abs=0.14)  # 4 standard errors of 200
