"""Signals: those of a command end it as Ctrl-C does, unless whoever started it has them ignored."""

import os
import signal
from collections.abc import Iterator

import pytest

from winnow.commands.terminal import interrupt_on


@pytest.fixture
def hangup() -> Iterator[int]:
    """SIGHUP, whose handling is put back."""
    before = signal.getsignal(signal.SIGHUP)
    yield signal.SIGHUP
    signal.signal(signal.SIGHUP, before)


def test_a_hang_up_interrupts(hangup: int) -> None:
    signal.signal(hangup, signal.SIG_DFL)
    interrupt_on(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), hangup)


def test_under_nohup_it_does_not(hangup: int) -> None:
    signal.signal(hangup, signal.SIG_IGN)
    interrupt_on(signal.SIGHUP)
    os.kill(os.getpid(), hangup)
    assert signal.getsignal(hangup) is signal.SIG_IGN
