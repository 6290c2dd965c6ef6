"""Files made wrong: bits, ends, pieces of one another, fields of their headers."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

Edit = Callable[[bytes, random.Random], bytes]

EDGES: tuple[int, ...] = (
    *(0, 1, 2, 7, 8, 31, 64, 127, 128, 255, 256, 1000, 4096, 16384, 32767, 32768, 65535, 65536),
    *(100_000, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1),
)
"""Numbers at which readers go wrong."""


def mutate(
    data: bytes, others: Sequence[bytes], rng: random.Random, edit: Edit
) -> tuple[str, bytes]:
    """Return what was done to a file, and the file.

    Args:
        data: A valid file.
        others: Files from which pieces may be taken.
        rng: What decides.
        edit: Changes a field that has a meaning.
    """
    what = rng.choice(["bits", "head", "cut", "splice", "field", "field", "field and bits"])
    if what == "bits":
        return what, flip_bits(data, rng, rng.choice([1, 2, 4, 8, 32]))
    if what == "head":
        return what, overwrite(data, rng, rng.choice([1, 2, 4, 8]), 200)
    if what == "cut":
        return what, cut(data, rng)
    if what == "splice":
        return what, splice(data, rng.choice(others), rng)
    for _ in range(rng.choice([1, 1, 2, 3])):
        try:
            data = edit(data, rng)
        except (struct.error, LookupError, ValueError):  # nothing is left that could be edited
            break
    return what, flip_bits(data, rng, 3) if what == "field and bits" else data


def flip_bits(data: bytes, rng: random.Random, count: int) -> bytes:
    """Flip single bits."""
    changed = bytearray(data)
    for _ in range(count if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, rng: random.Random, count: int, within: int) -> bytes:
    """Replace bytes near the beginning."""
    changed = bytearray(data)
    for _ in range(count if changed else 0):
        changed[rng.randrange(min(len(changed), within))] = rng.randrange(256)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """Leave out the end: anywhere, near the end, or all but the beginning."""
    near_end, near_start = len(data) - rng.randrange(1, 40), rng.randrange(min(len(data), 64) or 1)
    return data[: max(0, rng.choice([rng.randrange(len(data) or 1), near_end, near_start]))]


def splice(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Go on as another file does, from somewhere in it, or for a piece."""
    at, place = rng.randrange(len(data) or 1), rng.randrange(len(other) or 1)
    if rng.random() < 0.5:
        return data[:at] + other[place:]
    piece = other[place : place + rng.randrange(1, 400)]
    return data[:at] + piece + data[at + rng.choice([0, 100]) :]
