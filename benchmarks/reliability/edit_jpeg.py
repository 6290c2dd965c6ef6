"""JPEG segment by segment."""

from __future__ import annotations

import random
import struct
from typing import NamedTuple

from benchmarks.reliability.mutate import EDGES

_START_OF_SCAN = 0xDA
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_MARKERS = (0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xDB, 0xC4, 0xDD, 0xE1, 0xE2, 0xEE, 0xFE)


class Segment(NamedTuple):
    """Where a segment lies, its marker, and the length that it declares."""

    at: int
    marker: int
    length: int


def read_segments(data: bytes) -> list[Segment]:
    """Return the segments before the pixels."""
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        found.append(Segment(at, data[at + 1], length))
        if data[at + 1] == _START_OF_SCAN:
            break
        at += 2 + length
    return found


def edit_jpeg(data: bytes, rng: random.Random) -> bytes:
    """Change the frame's size or components, or a segment's length, place, marker or bytes."""
    changed, segments = bytearray(data), read_segments(data)
    value = rng.choice(EDGES)
    at, _, length = rng.choice(segments)
    what = rng.choice(["frame", "frame", "frame", "length", "double", "drop", "marker", "bytes"])
    frames = [s for s in segments if 0xC0 <= s.marker <= 0xCF and s.marker not in _NO_FRAMES]
    if what == "frame" and frames:
        depth, height, width, parts = 4, 5, 7, 9
        place = rng.choice([depth, height, width, height, width, parts, parts + 1, parts + 2])
        start = frames[0].at + place
        if place in (height, width):
            changed[start : start + 2] = struct.pack(">H", value & 0xFFFF)
        else:
            changed[start] = value & 0xFF
    elif what == "length":
        changed[at + 2 : at + 4] = struct.pack(">H", value & 0xFFFF)
    elif what == "double":
        changed[at:at] = changed[at : at + 2 + length]
    elif what == "drop":
        del changed[at : at + 2 + length]
    elif what == "marker":
        changed[at + 1] = rng.choice(_MARKERS)
    else:
        for _ in range(6):
            place = at + rng.randrange(2, 2 + max(1, length))
            changed[min(len(changed) - 1, place)] = rng.randrange(256)
    return bytes(changed)
