"""Read a photograph, whatever form it comes in, into ``(H, W, 3)`` uint8 RGB, upright."""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, Union, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg._runtime.extras import require
from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg.errors import FundusWarning, ImageError
from tp_drseg.images.acquisition import Acquisition
from tp_drseg.images.decode import (
    MIN_SIDE,
    check_size,
    cut_short,
    file_limit,
    load,
    no_memory,
    open_image,
)
from tp_drseg.images.dicom.head import is_dicom
from tp_drseg.images.pixels import array_size, rgb_of_array, rgb_of_image
from tp_drseg.images.source import FileBytes, read_file, read_stream

if TYPE_CHECKING:
    from torch import Tensor

ImageSource: TypeAlias = Union[
    str,
    "os.PathLike[str]",
    bytes,
    bytearray,
    memoryview,
    BinaryIO,
    Image.Image,
    NDArray[Any],
    "Tensor",
    FileBytes,
]
"""What a photograph may come as: a path; a file's bytes, as they are or as ``read_file`` gives
them; a binary file, open; a PIL image; an array ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or
``(H, W, 4)``; or a tensor ``(3, H, W)``."""

DICOM_EXTRA: Final = "dicom"
DICOM_PACKAGES: Final = ("pydicom", "jpeg_ls", "pylibjpeg", "openjpeg", "gdcm")
"""What reading DICOM needs, of its extra."""

_WHAT: Final = "photograph"
_TURNS: Final = {  # of EXIF's orientations: mirrored first, then turned by quarters to the left
    1: (False, 0),
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 1),
    6: (False, 3),
    7: (True, 3),
    8: (False, 1),
}


@dataclass(frozen=True, eq=False)
class SourceImage:
    """A photograph as it was read.

    Attributes:
        pixels: ``(H, W, 3)`` uint8 RGB, upright.
        name: What messages call it.
        notes: What was left out or looks odd, sentences without the subject; mostly none.
        file: The bytes that the pixels come from, with their hash; None where there was no file.
        acquisition: Which eye, pixel spacing and camera, where a DICOM file says so; None else.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    name: str
    notes: tuple[str, ...]
    file: FileBytes | None = field(repr=False)
    acquisition: Acquisition | None = None


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a photograph, whatever form it comes in.

    - Files: JPEG, PNG, TIFF, BMP, WebP, PPM, told by their first bytes; never another format. Of
      several images the first is read. The orientation that EXIF or XMP declares is applied.
    - DICOM, with the extra ``dicom``: ophthalmic and VL photographs and secondary captures of one
      frame, told by their content too. Windows for the screen are left alone.
    - Colour: an embedded colour profile that is not sRGB is applied, so that the pixels are sRGB,
      as a viewer shows them; a profile that is damaged or does not fit is left out. Grey is
      repeated over the channels; palette, CMYK, YCbCr and Lab are converted. Transparent parts
      become black, as is the border of a fundus photograph; an alpha channel of nothing but 0,
      as old camera programs write it, is left out.
    - Depth: 16 bits are scaled by 1/257, not clipped; floats in ``[0, 1]`` by 255.

    Args:
        source: The path of a file; its bytes; an open binary file, read from where it stands and
            left open; a PIL image; an array ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or
            ``(H, W, 4)`` of uint8, uint16, bool, or floats in ``[0, 1]``, in RGB order; or a tensor
            ``(3, H, W)`` or ``(1, H, W)`` of these types, on any device.
        max_pixels: Refuse an image of more pixels than this, before memory is taken for them. It
            bounds the bytes of a file as well, to 8 a pixel and 16 MiB. Reading takes up to about
            20 bytes a pixel.

    Returns:
        ``(H, W, 3)`` uint8 RGB, upright; a copy, never a view of the source.

    Raises:
        ImageError: The image is missing, not readable, cut short, corrupt, of another format,
            smaller than 32 px on a side, larger than ``max_pixels``, or an array of a shape, type
            or range that is not accepted.
        MissingExtraError: It is a DICOM file, and the extra ``dicom`` is not installed.

    Warns:
        FundusWarning: Something was left out or looks odd: a colour profile, further images,
            values of 12 bits in 16.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.images import read_image
        >>> read_image(np.zeros((64, 48))).shape
        (64, 48, 3)
    """
    image = read_source(source, max_pixels=max_pixels)
    for note in image.notes:
        warnings.warn(f"{image.name} {note}", FundusWarning, stacklevel=2)
    return image.pixels


def read_source(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> SourceImage:
    """Read a photograph as :func:`read_image` does, without a warning.

    Args:
        source: As there.
        max_pixels: As there.

    Returns:
        Its pixels, its name, what there is to say of it, and its file's bytes.

    Raises:
        ImageError: As there.
    """
    limit = file_limit(max_pixels)
    if isinstance(source, str | os.PathLike):
        return _of_file(read_file(source, limit, what=_WHAT), max_pixels)
    if isinstance(source, FileBytes):
        return _of_file(source, max_pixels)
    if isinstance(source, bytes | bytearray | memoryview):
        if not len(source):
            raise ImageError("The photograph's bytes are empty. Read its file again.")
        return _of_file(FileBytes(bytes(source), "The photograph in memory"), max_pixels)
    if isinstance(source, np.ndarray):
        return _of_array(source, "The array", max_pixels)
    if isinstance(source, Image.Image):
        return _of_pil(source, max_pixels)
    if (values := _tensor_values(source)) is not None:
        return _of_array(values, "The tensor", max_pixels)
    if callable(getattr(source, "read", None)):
        return _of_file(read_stream(cast(BinaryIO, source), limit, what=_WHAT), max_pixels)
    raise ImageError(
        f"An image cannot be read from {type(source).__name__}. Give the path of a file, its "
        "bytes, an open file, a PIL image, a NumPy array or a tensor."
    )


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn ``(H, W)`` or ``(H, W, C)`` as an orientation of EXIF, from 1 to 8, asks for."""
    mirrored, quarters = _TURNS[orientation]
    shown = pixels[:, ::-1] if mirrored else pixels
    return np.ascontiguousarray(np.rot90(shown, quarters))


def _of_file(file: FileBytes, max_pixels: int) -> SourceImage:
    if is_dicom(file.data[:132]):
        return _of_dicom(file, max_pixels)
    image, notes = open_image(file, max_pixels)
    orientation = load(image, file.name)
    return _finish(image, file.name, notes, orientation, file)


def _of_dicom(file: FileBytes, max_pixels: int) -> SourceImage:
    require(DICOM_EXTRA, *DICOM_PACKAGES, what=f"{file.name} is a DICOM file.")
    from tp_drseg.images.dicom.read import read_dicom

    found = read_dicom(file, max_pixels)
    image = _finish(found.image, file.name, list(found.notes), 1, file)
    return replace(image, acquisition=found.acquisition)


def _of_pil(source: Image.Image, max_pixels: int) -> SourceImage:
    own = getattr(source, "filename", "")
    name = f"The PIL image of '{os.fsdecode(own)}'" if own else "The PIL image"
    check_size(source.height, source.width, name, max_pixels)
    try:
        source.load()
        declared = source.getexif().get(274, 1)
    except Exception as error:  # damaged data makes Pillow's decoders raise nearly anything
        raise cut_short(name, error) from error
    notes = []
    if getattr(source, "is_animated", False):
        notes.append("holds more than one image: only the one at hand is read.")
    return _finish(source, name, notes, declared if declared in _TURNS else 1, None)


def _finish(
    image: Image.Image, name: str, notes: list[str], orientation: int, file: FileBytes | None
) -> SourceImage:
    """Turn a decoded image into upright pixels."""
    _check_side(image.height, image.width, name)
    try:
        pixels = turn_upright(rgb_of_image(image, name, notes), orientation)
    except ImageError:
        raise
    except MemoryError as error:
        raise no_memory(name, image.height, image.width) from error
    except Exception as error:  # so does damaged data when its colours are converted
        raise cut_short(name, error) from error
    return SourceImage(pixels, name, tuple(notes), file)


def _of_array(values: NDArray[Any], name: str, max_pixels: int) -> SourceImage:
    height, width = array_size(values, name)
    check_size(height, width, name, max_pixels)
    _check_side(height, width, name)
    notes: list[str] = []
    return SourceImage(rgb_of_array(values, name, notes), name, tuple(notes), None)


def _tensor_values(source: object) -> NDArray[Any] | None:
    """Return the values of a tensor, channels last; None for what is none. No torch is imported."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(source, torch.Tensor):
        return None
    found = f"The tensor has shape {tuple(source.shape)} and dtype {source.dtype}"
    if source.ndim != 3 or source.shape[0] not in (1, 3):
        raise ImageError(
            f"{found}; accepted are (3, H, W) and (1, H, W), in RGB order, one image at a time."
        )
    try:
        values = source.detach().cpu()
        if values.dtype == torch.bfloat16:  # which NumPy lacks
            values = values.float()
        return cast("NDArray[Any]", values.permute(1, 2, 0).numpy())
    except (TypeError, RuntimeError) as error:  # sparse, quantised, of eight bits, without values
        raise ImageError(
            f"{found}, layout {source.layout}, device {source.device}: it has no plain values. "
            "Give a dense tensor of uint8 or floats."
        ) from error


def _check_side(height: int, width: int, name: str) -> None:
    if min(height, width) < MIN_SIDE:
        raise ImageError(
            f"{name} is {width}x{height} px: too small, at least {MIN_SIDE} px on each side are "
            "needed."
        )
