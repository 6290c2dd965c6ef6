"""What a compressed frame says of its own size: a decoder takes memory for that, not for Rows."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

JPEG_2000_START: Final = b"\xff\x4f\xff\x51"
_FRAMES: Final = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, JPEG-LS
_ALONE: Final = {0x01, *range(0xD0, 0xD9)}  # markers without a length


class Declared(NamedTuple):
    """Size of a compressed image.

    Attributes:
        height: In px.
        width: In px.
        samples: Channels.
    """

    height: int
    width: int
    samples: int


def declared_size(stream: bytes) -> Declared:
    """Read the size from a JPEG, JPEG-LS or JPEG 2000 code stream.

    Raises:
        ValueError: It is none, or it is cut short.
    """
    try:
        if stream.startswith(JPEG_2000_START):  # PS: ISO/IEC 15444-1, A.5.1
            right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
            (samples,) = struct.unpack_from(">H", stream, 40)
            return Declared(bottom - top, right - left, samples)
        if stream.startswith(b"\xff\xd8"):  # ISO/IEC 10918-1, B.1
            return _jpeg_size(stream)
    except struct.error as error:
        raise ValueError("its compressed picture is cut short") from error
    raise ValueError("its compressed picture is none of JPEG, JPEG-LS and JPEG 2000")


def _jpeg_size(stream: bytes) -> Declared:
    at = 2
    while True:
        mark, kind = struct.unpack_from(">BB", stream, at)
        if mark != 0xFF:
            raise ValueError("its compressed picture is damaged")
        if kind == 0xFF:  # fill
            at += 1
        elif kind in _FRAMES:
            return Declared(*struct.unpack_from(">HHB", stream, at + 5))
        elif kind in _ALONE:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", stream, at + 2)[0]
