"""The one frame of a DICOM photograph, decoded by the library that its transfer syntax needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.uid import RLELossless

from tp_drseg.errors import ImageError
from tp_drseg.images.decode import load, open_image
from tp_drseg.images.dicom import head as heads
from tp_drseg.images.dicom.codestream import declared_size
from tp_drseg.images.dicom.header import Parsed, name_of
from tp_drseg.images.dicom.rle import unpack_frame
from tp_drseg.images.source import FileBytes

_NATIVE: Final = (heads.IMPLICIT_LITTLE, heads.EXPLICIT_LITTLE, heads.DEFLATED)
_JPEG: Final = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 55))
_PLUGINS: Final = {  # of pydicom's: the one that reads all depths
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
}
TRANSFER_SYNTAXES: Final = (*_NATIVE, heads.EXPLICIT_BIG, *_JPEG, *_PLUGINS, str(RLELossless))
"""How a photograph may be written."""

_SECONDS: Final = 60  # for a frame; the largest takes a few

_GREY: Final = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True)
class Layout:
    """How the values of a frame lie in its bytes.

    Attributes:
        height: In px.
        width: In px.
        samples: 1 or 3.
        allocated: Bits that a value takes: 8 or 16.
        stored: Bits of them that count.
        photometric: What the values mean, such as ``MONOCHROME2``.
        is_planar: Whether each channel lies by itself.
    """

    height: int
    width: int
    samples: int
    allocated: int
    stored: int
    photometric: str
    is_planar: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values, little endian."""
        return np.dtype(f"<u{self.allocated // 8}")


def read_layout(parsed: Parsed) -> Layout:
    """Read how the values lie.

    Raises:
        ValueError: An element is missing, or has a value that no photograph has.
    """
    header = parsed.header
    layout = Layout(
        header.integer("Rows"),
        header.integer("Columns"),
        header.integer("SamplesPerPixel", 1),
        header.integer("BitsAllocated"),
        header.integer("BitsStored", header.integer("BitsAllocated")),
        header.text("PhotometricInterpretation"),
        header.integer("PlanarConfiguration", 0) == 1,
    )
    known = {1: _GREY, 3: _COLOUR}.get(layout.samples, ())
    if layout.photometric not in known:
        raise ValueError(
            f"its pixels are {layout.photometric or 'of no stated kind'} of {layout.samples} "
            "samples"
        )
    if layout.allocated not in (8, 16) or not 1 <= layout.stored <= layout.allocated:
        raise ValueError(f"its pixels have {layout.stored} bits in {layout.allocated}")
    if header.integer("PixelRepresentation", 0) != 0:
        raise ValueError("its pixels are signed numbers")
    return layout


def decode(
    parsed: Parsed, layout: Layout, name: str, max_pixels: int
) -> Image.Image | NDArray[Any]:
    """Decode the frame.

    Returns:
        An image whose colours are final where Pillow decodes them; else the values, ``(H, W)`` or
        ``(H, W, 3)``, of which the last bits count.

    Raises:
        ImageError: Its transfer syntax is not read, or Pillow cannot decode it.
        ValueError: It is cut short, or not of the size that the header says; decoders raise nearly
            anything else.
    """
    syntax = parsed.transfer_syntax
    if syntax in (*_NATIVE, heads.EXPLICIT_BIG):
        return _native(parsed, layout)
    if syntax not in (*_JPEG, *_PLUGINS, RLELossless) or not parsed.is_encapsulated:
        raise ImageError(
            f"{name} is written as {name_of(syntax)}, which is not read. Export it as JPEG, JPEG "
            "2000, RLE or uncompressed."
        )
    frame = get_frame(bytes(parsed.pixels), 0, number_of_frames=1)
    if syntax == RLELossless:
        return unpack_frame(
            frame, layout.height, layout.width, layout.samples, layout.allocated // 8
        )
    found = declared_size(frame)
    if found != (layout.height, layout.width, layout.samples):
        raise ValueError(
            f"its compressed picture is {found.width}x{found.height} px of {found.samples} "
            f"samples, its header says {layout.width}x{layout.height} px of {layout.samples}"
        )
    if syntax in _JPEG:
        return _jpeg(frame, layout, name, max_pixels)
    return _by_plugin(frame, parsed, layout)


def _native(parsed: Parsed, layout: Layout) -> NDArray[Any]:
    """Return the values that lie uncompressed in the file."""
    height, width, samples = layout.height, layout.width, layout.samples
    halved = layout.photometric == "YBR_FULL_422"
    count = height * width * (2 if halved else samples)
    if len(parsed.pixels) < count * layout.dtype.itemsize:
        raise ValueError("its pixels are cut short")
    order = ">" if parsed.transfer_syntax == heads.EXPLICIT_BIG else "<"
    kind = layout.dtype.newbyteorder(order)  # type: ignore[arg-type]
    if order == ">" and layout.allocated == 8 and parsed.are_words:
        values = np.frombuffer(parsed.pixels, np.uint16).byteswap().view(np.uint8)[:count]
    else:
        values = np.frombuffer(parsed.pixels, kind, count)
    if halved:  # two pixels share their colour: Y Y B R (PS3.3, C.7.6.3.1.2)
        if width % 2:
            raise ValueError("its pixels share colours by two in rows of odd length")
        pairs = values.reshape(height, width // 2, 4)
        full = np.empty((height, width, 3), values.dtype)
        full[..., 0] = pairs[..., :2].reshape(height, width)
        full[..., 1:] = np.repeat(pairs[..., 2:], 2, axis=1)
        return full
    if samples == 1:
        return values.reshape(height, width)
    if layout.is_planar:
        return values.reshape(samples, height, width).transpose(1, 2, 0)
    return values.reshape(height, width, samples)


def _jpeg(frame: bytes, layout: Layout, name: str, max_pixels: int) -> Image.Image:
    """Decode JPEG of 8 bits as any other JPEG: its own marks say what its colours are."""
    if layout.stored > 8:
        raise ImageError(
            f"{name} is lossy JPEG of {layout.stored} bits, which is not read. Export it with 8 "
            "bits, as JPEG 2000 or uncompressed."
        )
    image, _ = open_image(FileBytes(frame, name), max_pixels)
    is_unmarked = not {"jfif", "adobe_transform"} & image.info.keys()
    if layout.photometric == "RGB" and is_unmarked:  # only the header says so
        image.draft("YCbCr", image.size)
        load(image, name)
        return Image.frombytes("RGB", image.size, image.tobytes())
    load(image, name)
    return image


def _by_plugin(frame: bytes, parsed: Parsed, layout: Layout) -> NDArray[Any]:
    """Decode a frame in a process of its own, see `decoder.py`.

    Raises:
        ValueError: The process ended without a picture, or did not end.
    """
    asked = {
        "syntax": parsed.transfer_syntax,
        "plugin": _PLUGINS[parsed.transfer_syntax],
        "options": {
            "rows": layout.height,
            "columns": layout.width,
            "number_of_frames": 1,
            "samples_per_pixel": layout.samples,
            "bits_allocated": layout.allocated,
            "bits_stored": layout.stored,
            "photometric_interpretation": layout.photometric,
            "pixel_representation": 0,
            "planar_configuration": int(layout.is_planar),
            "pixel_keyword": "PixelData",
        },
    }
    program = Path(__file__).with_name("decoder.py")
    try:
        values = subprocess.run(
            [sys.executable, "-P", str(program)],  # not from the program's folder, but as ours
            input=json.dumps(asked).encode() + b"\n" + frame,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            timeout=_SECONDS,
            check=True,
        ).stdout
    except subprocess.CalledProcessError as error:
        raise ValueError("its compressed picture is damaged") from error
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"its picture is not decoded within {_SECONDS} seconds") from error
    count = layout.height * layout.width * layout.samples
    if len(values) != count * layout.dtype.itemsize:
        raise ValueError("its compressed picture has other bits than its header says")
    shape = (layout.height, layout.width, layout.samples)
    return np.frombuffer(values, layout.dtype).reshape(shape[: 2 if layout.samples == 1 else 3])
