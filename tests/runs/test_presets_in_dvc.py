"""The pipeline that DVC makes of a preset."""

from pathlib import Path

import pytest

from tests.support.workspace import Workspace
from winnow.commands.presets import preset_changes, preset_names
from winnow.pipeline.params import read_params

NAME = "augment_inversion@r1"


@pytest.mark.parametrize("preset", preset_names())
def test_a_stage_of_the_published_table_is_in_its_preset_alone(tmp_path: Path, preset: str) -> None:
    commands = Workspace.new(tmp_path / "clone", preset_changes(preset, read_params())).commands()
    assert (NAME in commands) == (preset == "published")
    learned = "augment/inverted" if preset == "published" else "cleanse_influence/dataset"
    assert f"--dataset data/r1/{learned} " in commands["train_encoder@r1"]
    row = "augment_inversion/dataset" if preset == "published" else "augment/inverted"
    assert f"--dataset data/r1/{row} " in commands["arm@hydra-faa-inversion"]
    if preset == "published":
        assert "--dataset data/r1/augment/policy " in commands[NAME]
