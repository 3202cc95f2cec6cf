"""Params refused where they are made, in the words in which a stage refuses them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import ValidationError

from winnow.pipeline.fields import refusal


@contextmanager
def refused_params(kind: type, message: str) -> Iterator[None]:
    """Demand that a ``kind`` is refused with a sentence that matches."""
    with pytest.raises(ValidationError) as caught:
        yield
    assert re.search(message, refusal(caught.value, kind)), refusal(caught.value, kind)
