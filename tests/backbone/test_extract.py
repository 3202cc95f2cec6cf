from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.backbones import PLAIN, card_of, images
from winnow.backbone.extract import extract
from winnow.backbone.loading import Backbone, load_backbone
from winnow.backbone.normalise import normalised
from winnow.backbone.packaged import LITE0, LITE0_MODEL, PACKAGE

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return load_backbone(card_of(LITE0_MODEL, PACKAGE + LITE0), user_folder=Path("nowhere"))


def test_features_do_not_depend_on_the_batches_but_for_rounding(lite0: Backbone) -> None:
    pixels = images(7)
    whole = np.concatenate([*extract(lite0, [pixels], PLAIN, CPU)])
    parts = np.concatenate([*extract(lite0, [pixels[:3], pixels[3:]], PLAIN, CPU)])
    assert whole.shape == (7, 1280)
    assert whole.dtype == np.float32
    assert np.allclose(whole, parts, atol=1e-4)
    with torch.inference_mode():
        direct = lite0.features(normalised(torch.from_numpy(pixels), PLAIN)).numpy()
    assert np.allclose(whole, direct, atol=1e-4)


def test_same_batch_same_bytes_also_from_read_only_memory(lite0: Backbone) -> None:
    pixels = images(2)
    locked = pixels.copy()
    locked.flags.writeable = False
    first, second = (next(extract(lite0, [one], PLAIN, CPU)) for one in (pixels, locked))
    assert first.tobytes() == second.tobytes()


def test_grey_is_taken_as_colour_and_gradients_stay_on_outside(lite0: Backbone) -> None:
    grey = images(2, channels=1)
    for found in extract(lite0, [grey], PLAIN, CPU):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert np.array_equal(found, next(extract(lite0, [grey.repeat(3, axis=-1)], PLAIN, CPU)))
