"""A Makefile with those targets of this repository that run a ``winnow`` command.

Messages and documents name them, so that they hold in a repository of the user's own too.
"""

import re

NOT_THERE = ("tour",)  # it needs a clone
RULE = re.compile(r"^(?P<name>[a-z-]+):(?P<needs>[^#\n]*)(?P<about>## .*\n)(?P<recipe>(?:\t.*\n)+)", re.MULTILINE)
HEAD = """\
# `make` alone lists the targets. Written by `winnow init`.
SHELL := /bin/bash
# The environment in .venv where there is one, else that which is active.
RUN := $(or $(wildcard .venv/bin/python),python)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
"""


def own_makefile(text: str) -> str:
    """The Makefile for a repository of the user's own.

    Args:
        text: Makefile of this repository.
    """
    rules = [rule for rule in RULE.finditer(text) if _is_kept(rule["name"], rule["recipe"])]
    names = " ".join(rule["name"] for rule in rules)
    kept = [f"{rule['name']}: {rule['about']}{rule['recipe']}" for rule in rules]
    goals = f".DEFAULT_GOAL := help\n.PHONY: {names}\n"
    shared = [
        _between(text, "# Quoted for the shell", "flag = "),
        _between(text, "OWN_SITE_CACHE :=", "OWN_SITE_CACHE :="),
    ]
    return "\n".join([HEAD, *shared, goals, *kept])


def _is_kept(name: str, recipe: str) -> bool:
    return name == "help" or ("-m winnow " in recipe and name not in NOT_THERE)


def _between(text: str, first: str, last: str) -> str:
    """The lines from the one that begins with ``first`` to the one that begins with ``last``."""
    start = text.index(f"\n{first}") + 1
    end = text.index("\n", text.index(f"\n{last}", start - 1) + 1)
    return text[start : end + 1]
