"""Which project modules a script runs: the closure of its imports, read from the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("winnow", "stages")


def module_file(module: str) -> Path | None:
    """The file of a project module, or None for a foreign one."""
    if module.split(".")[0] not in PACKAGES:
        return None
    file = ROOT / Path(*module.split(".")).with_suffix(".py")
    return file if file.exists() else None


def direct_imports(file: Path) -> set[Path]:
    """Project modules that a file imports, wherever in it."""
    found: set[Path | None] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {module_file(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(module_file(node.module))
            found |= {module_file(f"{node.module}.{alias.name}") for alias in node.names}
    return {path for path in found if path is not None}


def import_closure(file: Path) -> set[str]:
    """The script and all project modules that it runs, as paths from the root."""
    todo, seen = [file], set()
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += direct_imports(current)
    return {path.relative_to(ROOT).as_posix() for path in seen}
