"""A field of a file's header gets another value, whichever the format."""

from __future__ import annotations

import random
import struct

from benchmarks.reliability.edit_jpeg import edit_jpeg
from benchmarks.reliability.edit_png import SIGNATURE, edit_png
from benchmarks.reliability.mutate import EDGES

_TIFF_TAGS = (
    *(254, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324),
    *(325, 338, 339, 347, 530, 700, 34665, 34675),
)


def edit_header(data: bytes, rng: random.Random) -> bytes:
    """Change a field that has a meaning in this file's format."""
    if data.startswith(SIGNATURE):
        return edit_png(data, rng)
    if data.startswith(b"\xff\xd8"):
        return edit_jpeg(data, rng)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _edit_tiff(data, rng)
    if data.startswith(b"BM"):
        return _edit_bmp(data, rng)
    if data.startswith(b"RIFF"):
        return _edit_webp(data, rng)
    return _edit_text(data, rng)


def _edit_tiff(data: bytes, rng: random.Random) -> bytes:
    changed, value = bytearray(data), rng.choice(EDGES)
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack(order + "I", data[4:8])
    (count,) = struct.unpack(order + "H", data[directory : directory + 2])
    entry = directory + 2 + 12 * rng.randrange(count)
    tag, kind, number, field, following = range(5)
    what = rng.randrange(5)
    if what == tag:
        changed[entry : entry + 2] = struct.pack(order + "H", rng.choice(_TIFF_TAGS))
    elif what == kind:
        changed[entry + 2 : entry + 4] = struct.pack(order + "H", rng.randrange(20))
    elif what == number:
        changed[entry + 4 : entry + 8] = struct.pack(order + "I", value)
    elif what == field and rng.random() < 0.5:
        changed[entry + 8 : entry + 12] = struct.pack(order + "I", value)
    elif what == field:
        changed[entry + 8 : entry + 10] = struct.pack(order + "H", value & 0xFFFF)
    else:
        assert what in (field, following)
        after = directory + 2 + 12 * count
        changed[after : after + 4] = struct.pack(order + "I", rng.choice([directory, 4, value]))
    return bytes(changed)


def _edit_bmp(data: bytes, rng: random.Random) -> bytes:
    at = rng.choice([2, 10, 14, 18, 22, 26, 28, 30, 34, 46, 50])
    size = 2 if at in (26, 28) else 4
    number = rng.choice([rng.choice(EDGES), rng.randrange(20000), -rng.randrange(1, 30000)])
    return data[:at] + struct.pack("<Q", number % (1 << 32))[:size] + data[at + size :]


def _edit_webp(data: bytes, rng: random.Random) -> bytes:
    changed, at = bytearray(data), rng.choice([4, 16, 20, 24, 26, 28, 30, 32])
    for place in range(at, at + rng.randint(1, 4)):
        changed[place] = rng.choice([rng.choice(EDGES) & 0xFF, rng.randrange(256)])
    return bytes(changed)


def _edit_text(data: bytes, rng: random.Random) -> bytes:
    """The header of PPM and its like is text: kind, size, highest value."""
    kind, _, rest = data.partition(b"\n")
    size, _, rest = rest.partition(b"\n")
    highest, _, rest = rest.partition(b"\n")
    fields = [kind, *size.split(), highest]
    other = [str(rng.choice(EDGES)).encode(), b"-1", b"9" * 40, b"#c\n5", b"", b"1.5", b"0x10"]
    other += [b"P%d" % rng.randrange(10), b"PF", b"\xff", b"65536"]
    fields[rng.randrange(len(fields))] = rng.choice(other)
    return b"\n".join([fields[0], b" ".join(fields[1:-1]), fields[-1], rest])
