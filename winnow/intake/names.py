"""The names of a source as a container lists them: checked, in one form, without what nobody delivers.

Names are paths inside the container with ``/`` between the parts, in Unicode's composed form (NFC), so that a folder
and its zip, made on any system, give the same names.

Skipped: CLUTTER, and all else whose name begins with a dot. A folder of that kind outside class folders with images
directly in it may be a class (``.net``): it is listed in ``hidden``, and ``winnow.intake.layout`` refuses it.
"""

import unicodedata

from winnow.pipeline.messages import UserError, shown

MAX_NAME_BYTES = 1024  # of a name in UTF-8; a system allows 255 for each part
MAX_PARTS = 64  # folders around a file, itself counted
MAX_NAMES = 1_000_000  # files and folders; listing so many takes about a gigabyte

# What systems, file managers and other programs leave behind. It is never a class, even if it holds pictures.
CLUTTER = frozenset({
    "__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir",
    ".AppleDouble", ".DS_Store", ".DocumentRevisions-V100", ".Spotlight-V100", ".TemporaryItems", ".Trash", ".Trashes",
    ".cache", ".dvc", ".fseventsd", ".git", ".hg", ".idea", ".ipynb_checkpoints", ".svn", ".thumbnails", ".venv",
    ".vscode",
})  # fmt: skip
CLUTTER_STARTS = ("._", ".Trash-")  # of macOS's second files and of the waste bins of other systems

# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg",
    ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
})
# fmt: on


class Names:
    """The names of one source, filled by its container."""

    def __init__(self, where: str) -> None:
        """``where``: the source as messages name it."""
        self.where = where
        self.files = dict[str, int]()  # name -> bytes
        self.folders = set[str]()  # every folder's name, empty ones too
        self.hidden = set[str]()  # folders whose name begins with a dot, with images directly in them

    def add_file(self, name: str, size: int) -> None:
        """A file, and the folders around it.

        Raises:
            UserError: the name is too long or too deep, occurs twice, or is one too many.
        """
        self._check(name)
        if name in self.files:
            raise UserError(f"{self.where} holds the name {shown(name)} twice; rename one of the two files")
        self.files[name] = size
        self._add_folders(folder_of(name))

    def add_folder(self, name: str) -> None:
        """A folder, and those around it.

        Raises:
            UserError: the name is too long or too deep, or one too many.
        """
        self._check(name)
        self._add_folders(name)

    def add_hidden(self, name: str) -> None:
        """A file that is skipped; its folder is noted where it may be a class.

        Raises:
            UserError: the name is too long or too deep.
        """
        folder = folder_of(name)
        if named_as_image(name) and may_be_class(folder):
            self._check(folder)
            self.hidden.add(folder)

    def _add_folders(self, folder: str) -> None:
        while folder and folder not in self.folders:  # those around a known one are known
            self.folders.add(folder)
            folder = folder_of(folder)

    def _check(self, name: str) -> None:
        if len(name) > MAX_NAME_BYTES // 4 and (size := len(name.encode())) > MAX_NAME_BYTES:
            raise UserError(
                f"{self.where}: the name {shown(name)} has {size:,} bytes, {MAX_NAME_BYTES:,} are allowed; shorten it"
            )
        if name.count("/") >= MAX_PARTS:
            raise UserError(
                f"{self.where}: {shown(name)} lies more than {MAX_PARTS - 1} folders deep; move it further up"
            )
        if len(self.files) + len(self.folders) >= MAX_NAMES:
            raise UserError(
                f"{self.where} holds more than {MAX_NAMES:,} files and folders; give a part of them as the source"
            )


def composed(name: str) -> str:
    """The name in composed form; bytes that are no text are escaped, since tables hold text only."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def folder_of(name: str) -> str:
    """The folder that holds a file or folder; "" for the source itself."""
    return name.rpartition("/")[0]


def is_skipped(part: str) -> bool:
    """Whether a part of a name makes all below it no part of the source."""
    return part.startswith(".") or part in CLUTTER


def may_be_class(folder: str) -> bool:
    """Whether a folder is hidden by its own name alone, and is not known as what a program leaves behind."""
    *around, last = folder.split("/")
    known = last in CLUTTER or last.startswith(CLUTTER_STARTS)
    return last.startswith(".") and not known and not any(map(is_skipped, around))


def suffix(name: str) -> str:
    """The suffix of a name's last part with its dot, as ``PurePath.suffix`` has it; "" where there is none."""
    last = name.rpartition("/")[2]
    dot = last.rfind(".")
    return last[dot:] if 0 < dot < len(last) - 1 else ""


def named_as_image(name: str) -> bool:
    """Whether a name ends as an image's does."""
    return suffix(name).lower() in IMAGE_SUFFIXES
