"""What image files say of themselves before they are decoded: read by hand, so that it is cheap.

Pillow's plugins take memory for what a header declares as soon as they are made; these functions
look at the bytes alone. Those that return a size or a directory raise ``ValueError`` or
``struct.error`` for a header that is cut short or malformed.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MOST_TEXT: Final = 1 << 20  # bytes; Pillow's own limit, beyond which it refuses the whole file
_ORIENTATION_TEXTS: Final = (b"XML:com.adobe.xmp", b"Raw profile type exif")
_COMPRESSED: Final = {b"zTXt": 1, b"iCCP": 1, b"iTXt": 2}  # bytes between the key and the data


def png_without_large_text(data: bytes) -> tuple[bytes, bool]:
    """Leave out the chunks of a PNG that hold text, and a colour profile that is too large.

    Texts that may declare an orientation are kept if they are of sane size.

    Returns:
        The file without them, and whether a colour profile was left out.
    """
    kept = [PNG_SIGNATURE]
    lost_profile = False
    for kind, start, end in _png_chunks(data):
        if kind in {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}:
            body = data[start + 8 : end - 4]
            key = body[:80].partition(b"\0")[0]
            wanted = kind == b"iCCP" or key in _ORIENTATION_TEXTS
            if not wanted or _inflated_size(kind, body) > _MOST_TEXT:
                lost_profile |= kind == b"iCCP"
                continue
        kept.append(data[start:end])
    return b"".join(kept), lost_profile


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk; of the last one, up to the end of the file."""
    start = len(PNG_SIGNATURE)
    while start < len(data):
        (length,) = struct.unpack(">I", data[start : start + 4].ljust(4, b"\0"))
        end = min(start + 12 + length, len(data))
        yield data[start + 4 : start + 8], start, end
        start = end


def _inflated_size(kind: bytes, body: bytes) -> int:
    """Size of a chunk's text or profile, not exact beyond the most that is wanted."""
    rest = body.partition(b"\0")[2]
    if kind not in _COMPRESSED or (kind == b"iTXt" and rest[:1] == b"\0"):
        return len(body)
    packed = rest[_COMPRESSED[kind] :]
    if kind == b"iTXt":  # two more keys
        packed = packed.partition(b"\0")[2].partition(b"\0")[2]
    try:
        return len(zlib.decompressobj().decompress(packed, _MOST_TEXT + 1))
    except zlib.error:
        return 0  # Pillow says what it makes of it


def webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a WebP file's canvas."""
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError(f"unknown chunk {kind!r}")


def bmp_bits(data: bytes) -> int:
    """Return the bits of a BMP's pixel."""
    at = 24 if data[14:18] == b"\x0c\0\0\0" else 28  # the oldest header is shorter
    (bits,) = struct.unpack("<H", data[at : at + 2])
    return int(bits)


def jpeg_scans(data: bytes) -> int:
    """Return the number of scans of a JPEG, at most: each takes a pass over the whole image."""
    return data.count(b"\xff\xda")  # within a scan 0xFF is followed by 0x00


@dataclass(frozen=True)
class TiffDirectory:
    """What the first directory of a TIFF file, or of EXIF data, declares.

    Attributes:
        values: Tag to value, of those that are one whole number.
        longest: How many numbers the longest of the other tags lists.
    """

    values: Mapping[int, int]
    longest: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image as it is stored, in px."""
        return self.values.get(256, 0), self.values.get(257, 0)

    @property
    def tile_pixels(self) -> int:
        """Pixels of one tile; 0 where the image is stored in strips."""
        return self.values.get(322, 0) * self.values.get(323, 0)

    @property
    def orientation(self) -> int:
        """How the stored image must be turned, from 1 (not at all) to 8."""
        return _valid_orientation(self.values.get(274, 1))


_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}  # TIFF's numbers of types
_BYTES: Final = frozenset({1, 2, 6, 7})  # types of which Pillow makes no list


def read_directory(data: bytes) -> TiffDirectory:
    """Read the first directory of a TIFF or BigTIFF file."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    # the formats of an offset, of the number of entries, of an entry
    offset, number, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    if at > len(data):  # an offset may be too large for an index
        raise ValueError("the directory lies outside of the file")
    (entries,) = struct.unpack_from(order + number, data, at)
    at += struct.calcsize(order + number)
    size = struct.calcsize(order + entry)
    if at + entries * size > len(data):
        raise ValueError("the directory leaves the file")
    values: dict[int, int] = {}
    longest = 0
    for tag, kind, count, raw in struct.iter_unpack(order + entry, data[at : at + entries * size]):
        if count == 1 and kind in _INTEGERS:
            (values[tag],) = struct.unpack_from(order + _INTEGERS[kind], raw)
        elif kind not in _BYTES:
            longest = max(longest, count)
    return TiffDirectory(values, longest)


def orientation(info: Mapping[Any, Any]) -> int:
    """Return how an image must be turned, from 1 (not at all) to 8, by EXIF or else by XMP.

    Args:
        info: What Pillow knows of a JPEG, PNG or WebP: ``image.info``.
    """
    exif = info.get("exif")
    if not isinstance(exif, bytes):
        exif = _exif_as_text(info.get("Raw profile type exif"))
    try:
        declared = read_directory(exif.removeprefix(b"Exif\0\0")).values.get(274)
    except (ValueError, struct.error, MemoryError):
        declared = None  # damaged metadata are no reason not to read the pixels
    if declared is None:
        xmp = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
        text = xmp if isinstance(xmp, bytes) else str(xmp).encode()
        match = re.search(rb'tiff:Orientation(?:="|>)([1-8])', text)
        declared = int(match[1]) if match else 1
    return _valid_orientation(declared)


def _exif_as_text(text: object) -> bytes:
    """EXIF data as ImageMagick writes them into a PNG: three lines, then hexadecimal digits."""
    try:
        return bytes.fromhex("".join(str(text).split("\n")[3:]))
    except ValueError:
        return b""


def _valid_orientation(declared: int) -> int:
    return declared if 1 <= declared <= 8 else 1
