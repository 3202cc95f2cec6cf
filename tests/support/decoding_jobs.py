"""What the children of a sandbox do with an image in tests: by its width, some misbehave."""

import os
import signal
import sys
import time
from typing import NoReturn

from PIL import Image

DIES, HANGS, GREEDY, KILLED, WRONG, LOUD = range(41, 47)


def act(image: Image.Image, content: bytes) -> list[int]:
    """The image's size, or what its width stands for."""
    if image.width == DIES:
        os._exit(3)
    if image.width == HANGS:
        time.sleep(10**6)
    if image.width == GREEDY:
        bytearray(2**32)
    if image.width == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if image.width == WRONG:
        _fail()
    if image.width == LOUD:
        os.write(2, b"from C")
        print("from Python", file=sys.stderr)
    return list(image.size)


def wait(image: Image.Image, content: bytes) -> NoReturn:
    """Never ends."""
    while True:
        time.sleep(10**6)


def _fail() -> NoReturn:
    raise KeyError("a mistake of ours")
