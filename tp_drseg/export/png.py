"""Masks and probability maps as grey PNG, at the size of the photograph."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tp_drseg._runtime.files import write_bytes
from tp_drseg.errors import OutputError


def save_mask(mask: npt.NDArray[np.bool_], path: str | os.PathLike[str]) -> Path:
    """Write a mask as 8-bit grey PNG: 0 is background, 255 is lesion.

    Args:
        mask: (H, W) bool.
        path: A name that ends in ``.png``.

    Returns:
        The path written.

    Raises:
        OutputError: The name does not end in ``.png``, or the file cannot be written.
    """
    return _save(encode_mask(mask), path)


def encode_mask(mask: npt.NDArray[np.bool_]) -> bytes:
    """Return a mask as the bytes of an 8-bit grey PNG: 0 is background, 255 is lesion.

    Args:
        mask: `(H, W)` bool.
    """
    # Run lengths suit a mask: half the time of the default, and a smaller file.
    return _encode(np.where(mask, np.uint8(255), np.uint8(0)), compress_type=zlib.Z_RLE)


def save_map(values: npt.NDArray[np.floating[Any]], path: str | os.PathLike[str]) -> Path:
    """Write values in [0, 1] as 8-bit grey PNG, scaled to 0..255 and rounded.

    Args:
        values: (H, W) float in [0, 1].
        path: A name that ends in ``.png``.

    Returns:
        The path written.

    Raises:
        OutputError: The name does not end in ``.png``, or the file cannot be written.
    """
    return _save(_encode(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)), path)


def _encode(grey: npt.NDArray[np.uint8], **options: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(grey).save(data, format="PNG", **options)
    return data.getvalue()


def _save(data: bytes, path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(
            f"{path} cannot be written: masks and maps are saved as PNG, since other formats may "
            "change their values. Let its name end in .png."
        )
    write_bytes(path, data)
    return path
