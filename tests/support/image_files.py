"""Image files written by hand, for what Pillow does not write."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def encoded(kind: str, image: np.ndarray | Image.Image, **options: Any) -> bytes:
    """An image in one of Pillow's formats."""
    stream = io.BytesIO()
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(stream, format=kind, **options)
    return stream.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks put in after its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def png_of_zeros(width: int, height: int, *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of a few bytes that unpacks to black pixels of a colour type of PNG's."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    packer = zlib.compressobj(9)
    row = bytes(1 + width * channels * depth // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", pixels)
        + png_chunk(b"IEND", b"")
    )


def png16(values: np.ndarray) -> bytes:
    """A 16-bit PNG, grey `(H, W)` or RGB `(H, W, 3)`: Pillow writes no 16-bit colour."""
    height, width = values.shape[:2]
    kind = {2: 0, 3: 2}[values.ndim]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def tiff(
    values: np.ndarray, *extra: tuple[int, int, int, int], following: int = 0, **tags: int
) -> bytes:
    """A little-endian RGB TIFF in one uncompressed strip.

    Args:
        values: `(H, W, 3)` uint8 or uint16.
        extra: Entries to add: tag, type, count, value.
        following: Where the next directory is.
        tags: Values of entries in place of the right ones, by `w`, `h` and `strips`.
    """
    height, width, _ = values.shape
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    bits = 8 * values.itemsize
    count = 10 + len(extra)
    end = 8 + 2 + count * 12 + 4
    entries = [
        (256, 3, 1, tags.get("w", width)),
        (257, 3, 1, tags.get("h", height)),
        (258, 3, 3, end),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, tags.get("strips", 1), end + 6),
        (277, 3, 1, 3),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
        (284, 3, 1, 1),
        *extra,
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return (
        b"II*\0"
        + struct.pack("<IH", 8, count)
        + directory
        + struct.pack("<I", following)
        + struct.pack("<HHH", bits, bits, bits)
        + data
    )
