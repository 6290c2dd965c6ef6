"""A photograph as it enters the package: read once, its field of view found, its doubts said."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg.images.acquisition import Acquisition
from tp_drseg.images.doubt import fundus_doubt
from tp_drseg.images.field_of_view import FieldOfView, find_field_of_view
from tp_drseg.images.read import ImageSource, read_source
from tp_drseg.images.source import FileBytes


@dataclass(frozen=True, eq=False)
class FundusImage:
    """A colour fundus photograph.

    Attributes:
        pixels: ``(H, W, 3)`` uint8 RGB, upright.
        field_of_view: Where the retina is.
        name: What messages call it, such as ``The photograph '/data/a.jpg'``.
        doubt: What was left out in reading it, and why it may be no colour fundus photograph, as
            sentences on "it"; None where nothing speaks against it.
        file: The bytes that it was decoded from, with their hash; None for an array, a tensor or a
            PIL image.
        acquisition: Which eye, pixel spacing and camera, where a DICOM file says so; None else.
        unlike: The part of ``doubt`` that says why it may be no colour fundus photograph.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    field_of_view: FieldOfView = field(repr=False)
    name: str
    doubt: str | None
    file: FileBytes | None = field(repr=False)
    acquisition: Acquisition | None = None
    unlike: str | None = None

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the bytes that it was decoded from, in hexadecimal; None without a file."""
        return None if self.file is None else self.file.sha256


def read_fundus(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> FundusImage:
    """Read a colour fundus photograph and find its field of view.

    Nothing is warned of: what a warning would say is the result's ``doubt``.

    Args:
        source: As for :func:`~tp_drseg.images.read_image`.
        max_pixels: As there.

    Returns:
        The photograph, its field of view, and what speaks against it.

    Raises:
        ImageError: It cannot be read, or is black or uniform. The message names the file.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.images import read_fundus
        >>> image = np.zeros((64, 64, 3), np.uint8)
        >>> image[8:56, 8:56] = (190, 95, 40)
        >>> fundus = read_fundus(image)
        >>> fundus.field_of_view.diameter, fundus.doubt
        (48, None)
    """
    image = read_source(source, max_pixels=max_pixels)
    field_of_view = find_field_of_view(image.pixels, name=image.name)
    doubts = [f"It {note}" for note in image.notes]
    own = fundus_doubt(image.pixels, field_of_view, name="It")
    if own is not None:
        doubts.append(own)
    return FundusImage(
        image.pixels,
        field_of_view,
        image.name,
        " ".join(doubts) or None,
        image.file,
        image.acquisition,
        own,
    )
