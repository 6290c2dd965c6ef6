"""The values of a DICOM frame as RGB of 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.images.dicom.header import Header
from tp_drseg.images.dicom.pixels import Layout

_CHANNELS = ("Red", "Green", "Blue")


def rgb_image(values: NDArray[Any], layout: Layout, header: Header) -> Image.Image:
    """Turn the values of a frame into a picture.

    All bits that are stored count, from black to white, as for other photographs; windows for the
    screen and modality tables are left alone.

    Args:
        values: ``(H, W)`` or ``(H, W, C)``.
        layout: What they mean.
        header: Where a palette stands.

    Returns:
        In grey (``L``) or ``RGB``.

    Raises:
        ValueError: The palette is missing, cut short, or in segments.
    """
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    top = (1 << layout.stored) - 1
    if layout.photometric == "PALETTE COLOR":
        return Image.fromarray(_palette(header, top)[values & top])
    if layout.stored != 8 or layout.allocated != 8 or layout.photometric == "MONOCHROME1":
        levels = np.rint(np.linspace(0, 255, top + 1)).astype(np.uint8)
        if layout.photometric == "MONOCHROME1":  # its lowest value is white
            levels = levels[::-1]
        values = levels[values & top]
    values = np.ascontiguousarray(values)
    if layout.photometric in ("YBR_FULL", "YBR_FULL_422"):
        return Image.fromarray(values, mode="YCbCr").convert("RGB")
    return Image.fromarray(values)


def _palette(header: Header, top: int) -> NDArray[np.uint8]:
    """Return the colour of each value up to the highest, ``(top + 1, 3)``."""
    table = np.empty((top + 1, 3), np.uint8)
    for channel, name in enumerate(_CHANNELS):
        keyword = f"{name}PaletteColorLookupTable"
        described = header.integers(f"{keyword}Descriptor")
        data = header.raw(f"{keyword}Data")
        if len(described) != 3 or not data:
            raise ValueError(f"its palette of {name.lower()} is missing, or in segments")
        count, first, bits = described[0] or 1 << 16, described[1], described[2]
        if bits not in (8, 16) or len(data) < count * (2 if bits == 16 else 1):
            raise ValueError(f"its palette of {name.lower()} is cut short")
        if len(data) >= 2 * count:  # tables of 8 bits also come in words
            colours = np.frombuffer(data, "<u2", count) >> (bits - 8)
        else:
            colours = np.frombuffer(data, np.uint8, count)
        places = np.clip(np.arange(top + 1) - first, 0, count - 1)
        table[:, channel] = colours[places]
    return table
