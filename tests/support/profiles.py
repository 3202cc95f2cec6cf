"""Profiles of the judge's training: the competition's, and a small one."""

from typing import Any

from winnow.training.training import Profile

COMPETITION = Profile(epochs=100, batch=8, learning_rate=0.0001, schedule="constant", most_steps=0, precision="float32")


def profile(**changes: Any) -> Profile:
    fields: dict[str, Any] = {
        "epochs": 2,
        "batch": 8,
        "learning_rate": 0.001,
        "schedule": "constant",
        "most_steps": 0,
        "precision": "float32",
    }
    return Profile(**(fields | changes))
