"""Mutated photographs through reading, field of view and doubt; small files that unpack to much."""

from __future__ import annotations

import os
import random
from functools import partial
from pathlib import Path

from benchmarks.reliability import edit_png
from benchmarks.reliability.child import in_child
from benchmarks.reliability.crew import Case, tally, try_all
from benchmarks.reliability.edit_header import edit_header
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.image_corpus import photographs
from benchmarks.reliability.mutate import mutate
from tp_drseg.errors import ImageError
from tp_drseg.images import find_field_of_view, fundus_doubt, read_image

LIMIT_MB = 1024
_BOMBS = {
    "of 13,300 pixels a side": (13300, 8, 2),
    "with alpha": (13300, 8, 6),
    "of 16 bits": (13300, 16, 0),
    "of 20,000 pixels a side": (20000, 8, 0),
}
"""Side, depth and kind of colour."""


def fuzz_images(work: Path, count: int, seed: int) -> Findings:
    """Read so many mutated photographs."""
    valid = photographs()
    names, files = list(valid), list(valid.values())

    def make(number: int) -> Case:
        rng, name = random.Random(f"{seed} {number}"), names[number % len(names)]
        what, data = mutate(valid[name], files, rng, edit_header)
        return Case(f"{name}, {what}", data)

    found = tally(try_all(count, make, lambda case: read(case.data, work)), LIMIT_MB)
    for name, data in valid.items():
        try:
            read(data, work)
        except ImageError as error:
            found.wrong.append(f"a valid file is refused: {name}: {error}")
    for name, form in _BOMBS.items():
        ended = in_child(partial(read, edit_png.bomb(*form), work))
        found.check(ended.is_orderly, f"a black PNG {name}: {ended.verdict}")
        found.held(ended.peak_mb, LIMIT_MB, f"a black PNG {name}")
    return found


def read(data: bytes, work: Path) -> None:
    """Read a photograph, and check that what comes is what is promised."""
    path = work / f"{os.getpid()}.img"
    path.write_bytes(data)
    image = read_image(path)
    assert image.dtype == "uint8" and image.ndim == 3 and image.shape[2] == 3
    assert image.flags.c_contiguous
    found = find_field_of_view(image)
    assert found.mask.shape == image.shape[:2] and found.mask.any()
    fundus_doubt(image, found)
