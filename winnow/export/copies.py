"""The file of a copy, rendered at its parent's resolution from what was recorded of it."""

import io
from collections.abc import Iterator, Sequence

from PIL import Image

from winnow.dataset.images import encode_png
from winnow.pictures.decode import PIXEL_LIMIT, UnreadableError, check_header, decode, quiet
from winnow.pipeline.messages import UserError

JPEG_QUALITY = 95


JPEGS = ("JPEG", "MPO")  # the second is what several cameras and telephones write: a JPEG, and further pictures in it


def format_of(content: bytes, identifier: str) -> str:
    """The format of an image's bytes, as PIL calls it.

    Raises:
        UserError: they are damaged.
    """
    try:
        with quiet():
            return str(check_header(io.BytesIO(content), max_pixels=PIXEL_LIMIT).format)
    except UnreadableError as error:
        raise _damaged(identifier, error) from None


def copy_format(parent: str) -> str:
    """The format of a copy whose parent has that format."""
    return "JPEG" if parent in JPEGS else "PNG"


def rendered_copies(
    content: bytes, parent: str, copies: Sequence[tuple[str, str]], *, file_format: str
) -> Iterator[tuple[str, bytes]]:
    """Of each copy of an image its id and its file.

    Args:
        content: of the parent, as delivered.
        parent: its id.
        copies: of each its id and its recorded operations.
        file_format: JPEG or PNG.

    Raises:
        UserError: the parent's bytes are damaged, or a record is incomplete.
    """
    from winnow.augmentation.rendering import (
        read_steps,
        render,
    )  # PyTorch: seconds, which an export without copies saves

    try:
        with quiet():
            pixels = decode(content, max_pixels=PIXEL_LIMIT)  # (H, W, C)
    except UnreadableError as error:
        raise _damaged(parent, error) from None
    for identifier, operations in copies:
        try:
            changed = render(pixels, read_steps(operations))
        except ValueError as error:
            raise UserError(f"copy {identifier} cannot be rendered again: {error}; run `dvc repro`") from None
        if file_format == "PNG":
            yield identifier, encode_png(changed)
            continue
        sink = io.BytesIO()
        flat = changed[..., 0] if changed.shape[-1] == 1 else changed
        Image.fromarray(flat).save(sink, format="JPEG", quality=JPEG_QUALITY)
        yield identifier, sink.getvalue()


def _damaged(identifier: str, error: UnreadableError) -> UserError:
    return UserError(f"the stored image {identifier} cannot be read ({error}); run `dvc checkout --force`")
