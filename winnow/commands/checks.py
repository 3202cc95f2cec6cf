"""Checks before anything runs: params, overrides, merge conflicts, and a dvc.lock that DVC was killed in writing.

DVC rewrites the whole lock in place after every stage, which takes some tenths of a second here. If it is killed while
it writes, only the beginning of the file is left, which it usually cannot read again.
"""

import importlib
import re
from collections.abc import Sequence
from pathlib import Path

from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
from voluptuous import Invalid

from winnow.pipeline.files import ROOT, write_bytes, write_csv
from winnow.pipeline.installed import demand_same_code
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import PARAMS, load_params, read_params
from winnow.pipeline.repository import CODE
from winnow.pipeline.stage import Sections

OVERRIDES, DECIDED, CHECKED = (ROOT / name for name in ("overrides.csv", "decided.csv", "checked.csv"))
USER = ROOT / "models/user"
LOCK, PIPELINE = ROOT / "dvc.lock", ROOT / "dvc.yaml"


def repair_lock(file: Path) -> bool:
    """Remove the last stage from a truncated lock; DVC runs that stage and what followed, or has them cached.

    A truncated lock that DVC can read is left alone: the stage lacks hashes, so DVC takes it for changed.

    Returns:
        Whether something had to be removed. A lock without one complete stage is deleted.

    Raises:
        UserError: it is damaged elsewhere than at its end.
    """
    if readable(content := file.read_bytes()):
        return False
    stages = [match.start() for match in re.finditer(rb"^  (?=\S)", content, re.MULTILINE)]
    if len(stages) < 2:
        file.unlink()
        return True
    whole = content[: stages[-1]]
    if not readable(whole):
        raise UserError(f"{file.name} is damaged, and not only at its end; `git checkout {file.name}` restores it")
    write_bytes(file, whole)
    return True


def readable(content: bytes) -> bool:
    """Whether DVC takes it for a lock."""
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(content.decode(), "dvc.lock"))
    except (UnicodeDecodeError, YAMLFileCorruptedError, Invalid):
        return False
    return True


def check_repository() -> None:
    """Stop before anything long if the repository's own files do not allow a run."""
    demand_same_code()
    check_merged()
    check_lock()
    check_sections()
    check_params()
    check_model()
    for file in (OVERRIDES, DECIDED, CHECKED):
        check_overrides(file)


def check_source(source: str) -> None:
    """Stop before anything long if no pipeline can start on the source."""
    from winnow.intake import source as intake

    limits = read_params()["prepare"]
    intake.check_source(
        intake.resolve_source(source), max_unreadable=limits["max_unreadable"], max_pixels=limits["max_image_pixels"]
    )


def check_model(file: Path = PARAMS) -> None:
    """Stop before anything long if the model is none, or the user's own code, weights or predictions are not there."""
    from winnow.backbone.choice import AUTO, request_of, resolve
    from winnow.backbone.loading import demand_files

    params = read_params(file)
    request = request_of(params)
    if request.model != AUTO:
        resolve(request)
        demand_files(request.model, request.weights, user_folder=USER)
    for name in ("predictions", "embeddings"):
        if not (ROOT / params[name]).is_file():
            raise UserError(f"params.yaml: {name} is {params[name]}, which is no file; correct its path")


def check_overrides(file: Path = OVERRIDES) -> None:
    """Stop before anything long if people's decisions cannot be read; a missing file is made again, without any."""
    from winnow.verdicts.decision_rows import HEADER, read_decision_rows

    if not file.exists():
        write_csv(file, HEADER, [])
        print(f"run: {file.name} was missing and is made again, empty; `git checkout {file.name}` brings rows back")
    read_decision_rows(file)


def check_merged(files: Sequence[Path] = (PARAMS, PIPELINE, LOCK)) -> None:
    """Stop if a merge left its marks in a file that DVC reads."""
    for file in files:
        content = b"\n" + file.read_bytes() if file.is_file() else b""
        if b"\n<<<<<<< " in content or b"\n>>>>>>> " in content:
            remedy = (
                "take one side whole (`git checkout --ours dvc.lock`): what it does not describe is run again"
                if file == LOCK
                else "choose between the marked lines"
            )
            raise UserError(f"{file.name} holds a merge conflict; {remedy}, then `git add {file.name}`")


def check_lock(root: Path = ROOT) -> None:
    """Repair a lock that DVC was killed in writing."""
    file = root / LOCK.name
    if not file.exists() or readable(file.read_bytes()):
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    try:
        with Repo(root) as repo, lock_repo(repo):  # another DVC may be writing it at this moment
            repaired = repair_lock(file)
    except DvcException as error:
        raise UserError(f"{file.name} cannot be read, and DVC is at work here: {error}") from None
    if repaired:
        print(f"run: {file.name} was cut short, as by a kill while DVC wrote it; the stages whole in it are kept")


def check_sections(params: Path = PARAMS, pipeline: Path = PIPELINE) -> None:
    """Stop if params.yaml has a section that no stage reads: most likely its name is misspelt."""
    text = pipeline.read_text(encoding="utf-8")
    stages = read_params(pipeline)["stages"]
    bodies = [stage.get("do", stage) for stage in stages.values()]
    read = [name for body in bodies for name in body.get("params", []) if isinstance(name, str)]  # not of other files
    known = {name.split(".")[0] for name in read}
    known |= set(re.findall(r"\$\{(\w+)", text)) - {"key", "item"}
    for section in read_params(params):
        if section not in known:
            raise UserError(f"{params.name}: section {section} is unknown; known: {', '.join(sorted(known))}")


def check_params(params: Path = PARAMS, pipeline: Path = PIPELINE) -> None:
    """Stop before anything long if a stage would reject its section of params.yaml, or sections do not go together."""
    from winnow.backbone.choice import request_of
    from winnow.commands.consistency import check_consistency

    for file in sorted((CODE / "stages").glob("[a-z]*.py")):
        sections: Sections = importlib.import_module(f"stages.{file.stem}").SECTIONS
        for section, kind in sections.values():
            load_params(section, kind, params)
    request_of(read_params(params))
    check_consistency(params, pipeline)


def check_classes(dataset: Path = ROOT / "data/prepared", decided: Path = DECIDED) -> None:
    """Stop before any training if a decision is invalid, or the classes that they leave cannot be augmented."""
    from winnow.augmentation.balance import demand_pairs
    from winnow.dataset.samples import read_samples
    from winnow.dataset.validation import deal_validation
    from winnow.pipeline.fields import NoneOrFew, Seed
    from winnow.verdicts.apply import with_overrides
    from winnow.verdicts.overrides_csv import overrides_of, read_overrides_csv

    decisions = overrides_of(read_overrides_csv(decided, dataset))
    samples, _ = with_overrides(read_samples(dataset), decisions, round_name="", stage="decided")
    validation = load_params("cleanse_influence.validation", NoneOrFew)
    samples = deal_validation(samples, per_class=validation, seed=load_params("cleanse_influence.seed", Seed))
    demand_pairs(samples, dataset)
