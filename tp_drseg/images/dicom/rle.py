"""DICOM's run lengths, unpacked into memory of a known size.

pydicom unpacks whatever a segment holds before it looks at how much that was; two bytes of a file
may stand for 128.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MOST_SEGMENTS: Final = 15


def unpack_frame(
    frame: bytes, height: int, width: int, samples: int, sample_bytes: int
) -> NDArray[np.uint8 | np.uint16]:
    """Unpack one frame (PS3.5, annex G).

    Args:
        frame: Its bytes: 16 little-endian integers, then the segments, highest bytes first.
        height: In px.
        width: In px.
        samples: Channels.
        sample_bytes: 1 or 2.

    Returns:
        ``(height, width, samples)``.

    Raises:
        ValueError: It is cut short, or holds more or less than that.
    """
    if len(frame) < 64:
        raise ValueError("its run lengths are cut short")
    count, *offsets = struct.unpack("<16I", frame[:64])
    if count != samples * sample_bytes or count > _MOST_SEGMENTS:
        raise ValueError(f"it has {count} segments of run lengths, not {samples * sample_bytes}")
    ends = [*offsets[1:count], len(frame)]
    planes = [
        np.frombuffer(_unpack(frame[start:end], height * width), np.uint8)
        for start, end in zip(offsets[:count], ends, strict=True)
    ]
    channels = [
        planes[i] if sample_bytes == 1 else planes[2 * i].astype(np.uint16) << 8 | planes[2 * i + 1]
        for i in range(samples)
    ]
    return np.stack(channels, axis=-1).reshape(height, width, samples)


def _unpack(segment: bytes, size: int) -> bytearray:
    """Unpack PackBits into so many bytes, and no more."""
    out, at, filled = bytearray(size), 0, 0
    while filled < size and at < len(segment):
        code = segment[at]
        if code < 128:
            part = segment[at + 1 : at + 2 + code]
            at += 2 + code
        elif code > 128:
            part = segment[at + 1 : at + 2] * (257 - code)
            at += 2
        else:
            at += 1
            continue
        part = part[: size - filled]
        out[filled : filled + len(part)] = part
        filled += len(part)
    if filled < size:
        raise ValueError("its run lengths are cut short")
    return out
