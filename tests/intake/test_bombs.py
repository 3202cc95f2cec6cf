"""Files that ask for far more memory or time than they have bytes: each gets its reason, and the run goes on."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.support.bombs import declaring, icon, plain_png, plain_webp, profile_png, tagged_tiff, text_png
from tests.support.sources import encoded, make_folder
from winnow.pipeline.files import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")

MEGABYTES = 600  # of any process: more than its libraries take, less than any of the bombs would

BOMBS = {
    "webp": (plain_webp(12_000, 12_000), "too large"),
    "webp-largest": (plain_webp(16_383, 16_383), "too large"),
    "avif": (declaring("AVIF", 12_000), "too large"),
    "gif": (declaring("GIF", 60_000), "too large"),
    "jp2": (declaring("JPEG2000", 12_000), "too large"),
    "png-text": (text_png(80_000_000), "truncated or damaged"),
    "png-profile": (profile_png(300_000_000), "truncated or damaged"),
    "ico": (icon(plain_png(12_000, 12_000)), "too large"),
    "ico-in-colour": (icon(plain_png(8_000, 8_000, colour=True)), "takes too much memory to decode"),
    "good": (encoded(Image.new("RGB", (30, 20))), None),
}

SCRIPT = """
import json, re, resource, sys
from pathlib import Path
from winnow.intake.container import open_container
from winnow.intake.layout import Entry
from winnow.intake.reading import read_headers, read_images
from winnow.pictures.decode import UnreadableError

container = open_container(Path(sys.argv[1]))
entries = [Entry(name, name, "train", "a") for name in sorted(container.files)]
found = {}
for read in (read_headers, read_images):
    answers = read(container, entries, max_pixels=50_000_000)
    found[read.__name__] = {e.name: str(r) if isinstance(r, UnreadableError) else None for e, r in answers}
# Not ru_maxrss of this process, which it has from what started it.
own = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
peaks = [int(own[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
print(json.dumps([found, max(peaks) // 1024]))
"""


def answers(source: Path) -> dict[str, str | None]:
    """By name why it is no image, the same by headers and by decoding, in bounded memory."""
    command = [sys.executable, "-c", SCRIPT, str(source)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found, megabytes = json.loads(done.stdout)
    assert found["read_headers"] == found["read_images"]
    assert megabytes < MEGABYTES
    return dict(found["read_images"])


def test_bombs_get_their_reasons_in_bounded_memory(tmp_path: Path) -> None:
    files = {f"a/{name}": content for name, (content, _) in BOMBS.items()}
    folder = make_folder(tmp_path, files)
    with (folder / "a/sparse").open("wb") as file:
        file.write(BOMBS["webp"][0])
        file.truncate(3 * 2**30)
    expected = {f"a/{name}": reason for name, (_, reason) in BOMBS.items()}
    assert answers(folder) == expected | {"a/sparse": "too large"}


def test_a_tiff_of_many_tags_in_a_zip_ends(tmp_path: Path) -> None:
    """Each tag's value is a jump back, for which a zip is unpacked from the file's start."""
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/tags.tif", tagged_tiff(60_000))
    assert set(answers(path)) == {"a/tags.tif"}
