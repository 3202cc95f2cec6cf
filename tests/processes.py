"""The processes below another one, as they come and go."""

import contextlib

import psutil


def below(pid: int) -> list[psutil.Process]:
    """Its descendants; none once it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def commands_below(pid: int) -> list[list[str]]:
    """The command line of each descendant; one that ends in the meantime has none."""
    commands = []
    for child in below(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            commands.append(child.cmdline())
    return commands
