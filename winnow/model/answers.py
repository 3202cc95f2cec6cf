"""Cross-fitting: what a model that was trained on some images says of others."""

import numpy as np
import numpy.typing as npt

from winnow.engine.jobs import Tick
from winnow.model.learner import Learner, Rows
from winnow.training.training import EVALUATION_BATCH, Labelled

AT_ONCE = 32 * EVALUATION_BATCH  # images that are evaluated at once: whole batches


def answers(
    data: Labelled, given: Rows, queried: Labelled, asked: Rows, classes: int, learner: Learner, seed: int, tick: Tick
) -> npt.NDArray[np.bool_]:
    """(n,) true where the model, trained to the last epoch, classifies an image that is asked about as it is labelled.

    A job for a worker. Rows are taken here, since whole arrays are shared by all jobs.

    Args:
        data: some of which is trained on.
        given: its rows that are.
        queried: images, some of which it is evaluated on.
        asked: n of their rows.
        classes: K.
        learner: how it is trained.
        seed: of weights and orders.
        tick: called once an epoch.
    """
    trained = learner.train(_rows(data, given), None, classes=classes, seed=seed, tick=tick)
    parts = (asked[start : start + AT_ONCE] for start in range(0, len(asked), AT_ONCE))  # as floats, all are many
    predicted = np.concatenate([learner.evaluate(trained, _rows(queried, part)).predicted for part in parts])
    right: npt.NDArray[np.bool_] = predicted == queried.labels[asked]
    return right


def _rows(data: Labelled, rows: Rows) -> Labelled:
    return Labelled(data.images[rows], data.labels[rows])
