"""The edge between DVC and the algorithms: params in, paths in, files out.

Every stage ends with ``run_stage``. It reads the stage's sections of params.yaml strictly, takes every path from
the command line, and turns an error that a user can fix into one sentence.
"""

import argparse
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from winnow.pipeline.durable import sweep
from winnow.pipeline.installed import demand_same_code
from winnow.pipeline.lifeline import end_with_dvc
from winnow.pipeline.messages import UserError, failure_of_the_machine
from winnow.pipeline.params import load_params
from winnow.pipeline.repository import CODE

# By positional argument of a stage's main, its section of params.yaml and the section's type.
Sections = Mapping[str, tuple[str, Any]]


def run_stage(
    main: Callable[..., None], description: str | None, sections: Sections, *, edited_by_people: Sequence[str] = ()
) -> None:
    """Run a stage's ``main`` with its params and with the paths of the command line.

    DVC hashes the inputs of a stage only when it has ended. What people may edit meanwhile, the params, the code and
    files such as overrides.csv, must then be unchanged, else DVC would record the outputs as those of the edited files.

    Args:
        main: keyword-only arguments are the command line's options (``Path``, ``str`` or ``list[Path]``), each
            required; positional ones are the params.
        description: the stage's docstring, shown by ``--help``.
        sections: of the params that it reads.
        edited_by_people: the options whose files people edit.
    """
    stage = Path(sys.argv[0]).stem
    try:
        options = _options(main, description)
        end_with_dvc()
        demand_same_code()
        _sweep({name: value for name, value in options.items() if name not in edited_by_people})
        params = {name: load_params(section, kind) for name, (section, kind) in sections.items()}
        edited = _edits(sections, params, [*_own_modules(), *(options[name] for name in edited_by_people)])
        # Sums by BLAS and OpenMP depend on the number of threads: one, as in the workers.
        with threadpool_limits(1):
            main(**params, **options)
        if changed := edited():
            raise UserError(f"{changed} was changed while the stage ran, which read it before; run it again")
    except UserError as error:
        sys.exit(f"{stage}: {error}")
    except (OSError, MemoryError, RuntimeError) as error:
        if sentence := failure_of_the_machine(error):
            sys.exit(f"{stage}: {sentence}")
        raise
    except KeyboardInterrupt:
        sys.exit(f"{stage}: interrupted; nothing half-written is kept, run the same command again to go on")


def _options(main: Callable[..., None], description: str | None) -> dict[str, Any]:
    """The values of the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    hints = typing.get_type_hints(main)
    for name, parameter in inspect.signature(main).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            many = typing.get_origin(hints[name]) is list
            kind = typing.get_args(hints[name])[0] if many else hints[name]
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True, nargs="+" if many else None)
    return vars(parser.parse_args())


def _sweep(options: Mapping[str, Any]) -> None:
    """Remove what a killed run of this stage left beside its files and in its folders; DVC runs no other on them."""
    for value in options.values():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path):
                sweep(path.parent, path.name)
                sweep(path)


def _own_modules() -> list[Path]:
    """The project's modules that are loaded."""
    files = (Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None)))
    return sorted({file for file in files if any(file.is_relative_to(CODE / code) for code in ("winnow", "stages"))})


def _edits(sections: Sections, params: Mapping[str, Any], files: Sequence[Path]) -> Callable[[], str | None]:
    """A function that returns which of the sections and files has changed since now; None if none has."""
    before = {file: _content(file) for file in files}

    def edited() -> str | None:
        for name, (section, kind) in sections.items():
            if load_params(section, kind) != params[name]:
                return f"params.yaml: {section}"
        return next((str(file) for file in files if _content(file) != before[file]), None)

    return edited


def _content(file: Path) -> bytes | None:
    """The content of a file; None if it is missing."""
    return file.read_bytes() if file.exists() else None
