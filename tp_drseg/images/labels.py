"""Mask files, decoded as photographs are, but for their values rather than their colours."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg.errors import ImageError
from tp_drseg.images.decode import file_limit, load, no_memory, open_image
from tp_drseg.images.read import turn_upright
from tp_drseg.images.source import read_file


@dataclass(frozen=True, eq=False)
class Labels:
    """The values of a mask file.

    Attributes:
        pixels: ``(H, W)`` or ``(H, W, C)``, upright, in the file's own values.
        mode: What they are, in Pillow's words: ``"L"``, ``"P"``, ``"RGBA"`` and the like.
        palette: ``(256, 3)`` uint8 RGB, the colours of palette indexes; None for other modes.
        name: What messages call the file.
        sha256: Hash of the bytes that were decoded.
    """

    pixels: NDArray[Any] = field(repr=False)
    mode: str
    palette: NDArray[np.uint8] | None = field(repr=False)
    name: str
    sha256: str


def decode_labels(
    path: str | os.PathLike[str], size: tuple[int, int], *, max_pixels: int = MAX_PIXELS
) -> Labels:
    """Decode a mask file.

    Args:
        path: The file, of a format that photographs may have.
        size: Height and width of the photograph that it belongs to, upright.
        max_pixels: As for :func:`~tp_drseg.images.read_image`.

    Returns:
        Its values, turned as the file declares.

    Raises:
        ImageError: It cannot be read, or is of another size.
    """
    file = read_file(path, file_limit(max_pixels), what="mask")
    image, _ = open_image(file, max_pixels)
    if sorted(image.size) != sorted(size):  # before memory is taken
        raise _wrong_size(file.name, (image.height, image.width), size)
    orientation = load(image, file.name)
    try:
        pixels = turn_upright(np.asarray(image), orientation)
    except MemoryError as error:
        raise no_memory(file.name, image.height, image.width) from error
    if pixels.shape[:2] != tuple(size):
        raise _wrong_size(file.name, pixels.shape[:2], size)
    palette = None
    if image.mode in {"P", "PA"}:
        colours = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)[:256]
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[: len(colours)] = colours
    return Labels(pixels, image.mode, palette, file.name, file.sha256)


def _wrong_size(name: str, found: tuple[int, ...], size: tuple[int, int]) -> ImageError:
    return ImageError(
        f"{name} is {found[0]} x {found[1]} pixels (height x width), its photograph {size[0]} x "
        f"{size[1]}. Put the mask that was drawn on this very photograph here."
    )
