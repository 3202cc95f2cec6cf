import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from PIL import Image

from tests.support.bombs import text_png
from tests.support.decoding_jobs import DIES, GREEDY, HANGS, KILLED, LOUD, WRONG, act, wait
from tests.support.processes import ended, heed_interrupts
from tests.support.sources import encoded
from winnow.intake import sandbox as module
from winnow.intake.budget import Budget
from winnow.intake.decoder import ALONE, FAULT, FREE, PIXEL_BYTES, RESULT, Answer
from winnow.intake.sandbox import Sandbox
from winnow.pipeline.files import ROOT

MAX_PIXELS = 50_000_000


def sized(width: int, height: int = 5) -> bytes:
    return encoded(Image.new("L", (width, height)))


@contextlib.contextmanager
def opened(job: Callable[[Image.Image, bytes], object] | None = act) -> Iterator[Sandbox]:
    sandbox = Sandbox(job, max_pixels=MAX_PIXELS)
    try:
        yield sandbox
    finally:
        sandbox.close()


def no_more(begin: int, count: int) -> bytes:
    raise AssertionError("the whole file was sent")


def alone(sandbox: Sandbox, content: bytes) -> Answer:
    return sandbox.examine_alone(content, len(content), no_more)


def decoders(of: int) -> list[psutil.Process]:
    """Living children of a process that open images."""
    found = []
    for child in psutil.Process(of).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "winnow.intake.decoder" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_batch_is_answered_in_its_order() -> None:
    with opened() as sandbox:
        contents = [sized(3), b"", b"words", text_png(10**7), sized(9, 7)]
        assert sandbox.examine([(content, len(content)) for content in contents]) == [
            (RESULT, [3, 5]),
            (FAULT, "empty file"),
            (FAULT, "unknown image format"),
            (FAULT, "truncated or damaged"),
            (RESULT, [9, 7]),
        ]


@pytest.mark.parametrize(
    ("width", "reason"),
    [
        (DIES, "crashes the decoder"),
        pytest.param(
            GREEDY,
            "takes too much memory to decode",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone"),
        ),
        (HANGS, "takes too long to decode"),
    ],
)
def test_an_image_that_harms_its_decoder_costs_itself(width: int, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 1.0)
    monkeypatch.setattr(module, "PATIENCE", 3)
    with opened() as sandbox:
        batch = [sized(3), sized(width), sized(4)]
        for (kind, _), content in zip(sandbox.examine([(one, len(one)) for one in batch]), batch, strict=True):
            assert kind in (ALONE, RESULT)
            expected = (FAULT, reason) if content == batch[1] else (RESULT, [3 if content == batch[0] else 4, 5])
            assert alone(sandbox, content) == expected
        assert len(decoders(os.getpid())) <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_child_that_the_system_kills_is_no_fault_of_its_image() -> None:
    with opened() as sandbox, pytest.raises(MemoryError):
        alone(sandbox, sized(KILLED))


def test_an_image_that_hangs_is_ended_even_if_more_of_its_batch_than_a_socket_holds_is_to_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SECONDS", 1.0)
    monkeypatch.setattr(module, "PATIENCE", 2)
    large = sized(3) + bytes(60_000)  # behind the image's end
    batch = [sized(HANGS), large, large, large, large]
    with opened() as sandbox:
        assert sandbox.examine([(one, len(one)) for one in batch]) == [(ALONE, None)] * 5


def test_an_error_of_ours_comes_back_with_its_traceback() -> None:
    with opened() as sandbox, pytest.raises(RuntimeError, match=r"(?s)in a process that opens images:.*_fail.*mistake"):
        alone(sandbox, sized(WRONG))


def test_a_child_that_cannot_start_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    def local(image: Image.Image, content: bytes) -> None:
        """Not importable by name."""

    with opened(local) as sandbox, pytest.raises(RuntimeError, match="did not start; what it wrote stands above"):
        alone(sandbox, sized(3))
    assert "AttributeError" in capfd.readouterr().err


def test_what_libraries_write_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    content = encoded(Image.new("L", (8, 8)), "TIFF", compression="tiff_lzw")
    damaged = content[:12] + bytes([255]) * 4 + content[16:]
    with opened() as sandbox:
        assert alone(sandbox, sized(LOUD)) == (RESULT, [LOUD, 5])
        alone(sandbox, damaged)
    assert capfd.readouterr() == ("", "")


def test_a_large_image_waits_for_its_room_and_a_batch_leaves_it() -> None:
    side = int((2 * FREE / PIXEL_BYTES) ** 0.5)
    content = sized(side, side)
    with opened() as sandbox:
        with sandbox._pixels.hold(sandbox._pixels.total):
            assert sandbox.examine([(content, len(content)), (b"", 0)]) == [(ALONE, None), (FAULT, "empty file")]
            found: list[Answer] = []
            thread = threading.Thread(target=lambda: found.append(alone(sandbox, content)))
            thread.start()
            until(sandbox._pixels._turn.locked)  # it waits for its room
            assert not found
        thread.join()
        assert found == [(RESULT, [side, side])]


def test_of_a_header_no_more_is_read_than_it_takes() -> None:
    noisy = encoded(Image.effect_noise((600, 600), 90))
    asked: list[tuple[int, int]] = []

    def fetch(begin: int, count: int) -> bytes:
        asked.append((begin, count))
        return tiff[begin : begin + count]

    tiff = encoded(Image.effect_noise((600, 600), 90), "TIFF", compression="tiff_lzw")  # its tags stand at its end
    with opened(None) as sandbox:
        assert sandbox.examine([(noisy[:1000], len(noisy)), (tiff[:1000], len(tiff))]) == [
            (RESULT, None),
            (ALONE, None),
        ]
        assert sandbox.examine_alone(tiff[:1000], len(tiff), fetch) == (RESULT, None)
    assert sum(count for _, count in asked) < len(tiff)


def test_a_budget_is_never_passed_and_what_is_larger_has_it_alone() -> None:
    budget, used, most = Budget(100), 0, 0
    lock = threading.Lock()

    def take(count: int) -> None:
        nonlocal used, most
        for _ in range(30):
            with budget.hold(count):
                with lock:
                    used += min(count, 100)
                    most = max(most, used)
                time.sleep(0)
                with lock:
                    used -= min(count, 100)

    threads = [threading.Thread(target=take, args=(count,)) for count in (30, 40, 60, 250, 100, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used == 0
    assert 60 <= most <= 100


# --- none is left ---------------------------------------------------------------------------------------------------

SCRIPT = """
import io, sys
from PIL import Image
from tests.support.bombs import text_png
from tests.support.decoding_jobs import wait
from winnow.intake.sandbox import Sandbox

content = io.BytesIO()
Image.new("L", (3, 3)).save(content, "PNG")
sandbox = Sandbox(wait, max_pixels=100)
try:
    sandbox.examine([(content.getvalue(), len(content.getvalue()))])
finally:
    sandbox.close()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_their_parent(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    with ended(process):
        until(lambda: bool(decoders(process.pid)))
        children = decoders(process.pid)
        process.send_signal(number)
        process.wait(timeout=60)
        until(lambda: not any(child.is_running() for child in children))


def test_a_sandbox_that_is_closed_ends_who_waits() -> None:
    sandbox = Sandbox(wait, max_pixels=MAX_PIXELS)
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            alone(sandbox, sized(3))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: bool(decoders(os.getpid())))
    sandbox.close()
    thread.join()
    assert [type(error) for error in errors] == [module._ClosedError]
    assert not decoders(os.getpid())
