"""PNG chunk by chunk: fields and pieces changed while checksums stay right."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.reliability.mutate import EDGES

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = (b"zTXt", b"iCCP", b"iTXt", b"tEXt", b"eXIf", b"tRNS", b"PLTE", b"gAMA", b"acTL", b"fcTL")


@dataclass
class Chunk:
    """A named piece of a PNG."""

    kind: bytes
    body: bytearray


def read_chunks(data: bytes) -> list[Chunk]:
    """Return the chunks of a PNG; of one that is cut, those that are left."""
    chunks, at = [], len(SIGNATURE)
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append(Chunk(data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + length])))
        at += 12 + length
    return chunks


def write_chunks(chunks: list[Chunk]) -> bytes:
    """Return a PNG of these chunks, with right lengths and checksums."""
    parts = [SIGNATURE]
    for chunk in chunks:
        body = bytes(chunk.body)
        checksum = struct.pack(">I", zlib.crc32(chunk.kind + body))
        parts.append(struct.pack(">I", len(body)) + chunk.kind + body + checksum)
    return b"".join(parts)


def header(width: int, height: int, depth: int, colour: int, interlaced: bool = False) -> Chunk:
    """Return the first chunk of a PNG."""
    fields = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return Chunk(b"IHDR", bytearray(fields))


def encode(
    array: NDArray[np.unsignedinteger], *, depth: int = 8, colour: int = 2, interlaced: bool = False
) -> bytes:
    """Return a PNG of `(H, W, C)`, 16 bits and Adam7 included, which Pillow does not write."""
    data = array.astype(">u2" if depth == 16 else "u1")
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)]
        passes += [(0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [
        b"\0" + row.tobytes()
        for top, left, down, right in passes
        for row in data[top::down, left::right]
        if row.size
    ]
    first = header(array.shape[1], array.shape[0], depth, colour, interlaced)
    pixels = Chunk(b"IDAT", bytearray(zlib.compress(b"".join(rows))))
    return write_chunks([first, pixels, Chunk(b"IEND", bytearray())])


def bomb(side: int, depth: int, colour: int) -> bytes:
    """Return a small PNG of so many black pixels a side."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    packer = zlib.compressobj(9)
    row = bytes(1 + side * channels * depth // 8)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    parts = [header(side, side, depth, colour), Chunk(b"IDAT", bytearray(packed))]
    return write_chunks([*parts, Chunk(b"IEND", bytearray())])


def edit_png(data: bytes, rng: random.Random) -> bytes:
    """Change a field of the header, or a chunk: its bytes, its place, its pixels."""
    chunks = read_chunks(data)
    edit = rng.choice([_field, _field, _bytes, _double, _leave_out, _add, _pixels])
    edit(chunks, rng)
    return write_chunks(chunks)


def _field(chunks: list[Chunk], rng: random.Random) -> None:
    width, height, depth, colour, interlaced = 0, 4, 8, 9, 12
    for place in rng.choice([[width], [height], [width, height], [depth], [colour], [interlaced]]):
        if place in (width, height):
            side = rng.choice([rng.choice(EDGES), rng.randrange(1, 20000)])
            chunks[0].body[place : place + 4] = struct.pack(">I", side)
        else:
            chunks[0].body[place] = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32])


def _bytes(chunks: list[Chunk], rng: random.Random) -> None:
    body = rng.choice(chunks).body
    for _ in range(rng.randint(1, 8)):
        body[rng.randrange(len(body))] = rng.randrange(256)


def _double(chunks: list[Chunk], rng: random.Random) -> None:
    chunks.insert(rng.randrange(len(chunks) + 1), rng.choice(chunks))


def _leave_out(chunks: list[Chunk], rng: random.Random) -> None:
    del chunks[rng.randrange(len(chunks))]


def _add(chunks: list[Chunk], rng: random.Random) -> None:
    large = b"x\0\0" + zlib.compress(bytes(10 ** rng.randint(1, 7)))
    body = rng.choice([b"", large, rng.randbytes(rng.randint(1, 60))])
    chunks.insert(rng.randint(1, len(chunks)), Chunk(rng.choice(_KINDS), bytearray(body)))


def _pixels(chunks: list[Chunk], rng: random.Random) -> None:
    chunk = rng.choice([chunk for chunk in chunks if chunk.kind == b"IDAT"])
    try:
        pixels = bytearray(zlib.decompress(bytes(chunk.body)))
    except zlib.error as error:
        raise ValueError("its pixels are damaged already") from error
    for _ in range(rng.randint(1, 20)):
        pixels[rng.randrange(len(pixels))] = rng.randrange(256)
    kept = pixels[: rng.choice([len(pixels), len(pixels) // 2])]
    chunk.body = bytearray(zlib.compress(bytes(kept) + bytes(rng.choice([0, 10**6]))))
