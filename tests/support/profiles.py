"""Profiles of trainings, and the other sections that stages share: the competition's, and small ones."""

from typing import Any

from winnow.policy_search.label_check_training import Check
from winnow.representation.ensemble import Ensemble
from winnow.representation.network import Training
from winnow.representation.support import Support
from winnow.training.head import HeadProfile
from winnow.training.training import Profile
from winnow.transforms.views import PairViews, Ranges

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


HEAD = HeadProfile(epochs=10, most_steps=0, batch=8, learning_rate=1.0, momentum=0.9, ridge=1.0)
FINETUNE = profile(epochs=1)
SUPPORT = Support(neighbours=3, most_sound=0.02, relabel=0.9, stop=2.0)
NETWORK = Training(
    epochs=1,
    most_steps=0,
    batch=8,
    learning_rate=0.001,
    weight_decay=0.0,
    views=PairViews(shear=0.1, invert=0.2, shift=0.05, rotate_degrees=5.0, zoom=0.05, noise=0.05),
)
ENSEMBLE = Ensemble(seed=0, folds=2, repeats=1, junk=8, network=NETWORK)
LABEL_CHECK = Check(
    by="own",
    folds=2,
    images_per_class=8,
    images=2000,
    least_images=2,
    epochs=1,
    batch=8,
    learning_rate=0.001,
    share=0.2,
    look_share=0.2,
    views=Ranges(rotate_degrees=5.0, shift=0.05, zoom=0.05, shear=0.05),
    magnitudes=[0.5, 1.0],
    tolerance=0.1,
    confidence=0.95,
)
