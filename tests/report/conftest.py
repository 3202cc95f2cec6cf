"""Fixtures of the tests of the report."""

from pathlib import Path

import pytest

from tests.support.runs import Run, verdict


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two dropped for their influence, one relabelled by its neighbours, one of its copies passed over."""
    made = Run(tmp_path)
    first, second, third, *_ = rows = made.suspects
    copied = made.copy_of(third)
    made.verdicts["r1", "cleanse_influence"] = [
        verdict(first, "drop", support=-2.0, reason="harms 2 label-book images", evidence=made.book[:2]),
        verdict(second, "drop", support=-5.0, reason="harms 6 label-book images", evidence=made.book),
        *(verdict(row) for row in rows[2:]),
    ]
    near = [rows[4]["id"], rows[5]["id"], copied["id"], "f" * 16]
    made.verdicts["r1", "cleanse_neighbours"] = [
        verdict(third, "relabel", label_after="ii", support=0.25, reason="all neighbours are ii", evidence=near),
        verdict(copied, "drop", reason="a copy"),
    ]
    made.refined = [row | ({"label": "ii"} if row is third else {}) for row in made.refined if row not in rows[:2]]
    return made
