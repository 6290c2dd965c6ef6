"""Pictures for the eye, such as overlays, as PNG, JPEG or TIFF."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from tp_drseg._runtime.files import write_bytes
from tp_drseg.errors import OutputError

# JPEG without chroma subsampling, or thin coloured lines would smear.
_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 90, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 90, "subsampling": 0}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
}


def check_picture_name(path: str | os.PathLike[str]) -> Path:
    """Return the path, if its ending says which format to write.

    Raises:
        OutputError: The ending is not one of .png, .jpg, .jpeg, .tif and .tiff.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise OutputError(
            f"{path} cannot be written: its name must end in one of {', '.join(_FORMATS)}."
        )
    return path


def save_picture(picture: Image.Image, path: str | os.PathLike[str]) -> Path:
    """Write a picture in the format that the name's ending asks for.

    Args:
        picture: An RGB or grey picture.
        path: A name that ends in .png, .jpg, .jpeg, .tif or .tiff.

    Returns:
        The path written.

    Raises:
        OutputError: The ending is another one, or the file cannot be written.
    """
    path = check_picture_name(path)
    write_bytes(path, encode_picture(picture, path.suffix))
    return path


def encode_picture(picture: Image.Image, suffix: str) -> bytes:
    """Return a picture as the bytes of a file with this ending.

    Encoding in memory is what makes a cut file impossible: Pillow takes a short write to a file
    for a whole one.

    Args:
        picture: An RGB or grey picture.
        suffix: One of `.png`, `.jpg`, `.jpeg`, `.tif` and `.tiff`, in either case.
    """
    format, options = _FORMATS[suffix.lower()]
    data = io.BytesIO()
    picture.save(data, format=format, **options)
    return data.getvalue()
