"""Mutated masks through every rule by which masks are read; files that are no image formats."""

from __future__ import annotations

import io
import os
import random
from functools import partial
from pathlib import Path

from PIL import Image

from benchmarks.reliability import edit_png
from benchmarks.reliability.child import in_child
from benchmarks.reliability.crew import Case, tally, try_all
from benchmarks.reliability.edit_header import edit_header
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.image_corpus import SIZE, masks
from benchmarks.reliability.mutate import mutate
from tp_drseg.data.masks import MaskFile, read_ignored, read_mask

LIMIT_MB = 1024
_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 80\n%%EndComments\nshowpage\n%%EOF\n"
_OTHERS = ("TGA", "PCX", "ICO", "SGI", "DDS", "JPEG2000", "PDF", "XBM", "MSP", "IM", "ICNS", "QOI")


def fuzz_masks(work: Path, count: int, seed: int) -> Findings:
    """Read so many mutated masks."""
    valid = masks()
    names, files = list(valid), list(valid.values())

    def make(number: int) -> Case:
        rng, name = random.Random(f"{seed} {number}"), names[number % len(names)]
        what, data = mutate(valid[name], files, rng, edit_header)
        return Case(f"{name}, {what}", data, rng.choice(["default", "values", "labels"]))

    found = tally(try_all(count, make, lambda case: read(case, work)), LIMIT_MB)
    _postscript(work, found)
    for format in _OTHERS:
        if data := _saved_as(format):
            ended = in_child(partial(read, Case(format, data, "default"), work))
            is_refused = ended.raised is not None and ended.raised.is_typed
            found.check(is_refused, f"{format} called mask.png: {ended.verdict}")
    large = Case("large", edit_png.bomb(13000, 8, 6), "default")
    ended = in_child(lambda: read(large, work))
    found.check(ended.is_orderly, f"a mask of 13,000 pixels a side: {ended.verdict}")
    found.held(ended.peak_mb, LIMIT_MB, "a mask of 13,000 pixels a side")
    return found


def read(case: Case, work: Path) -> None:
    """Read a mask by one of the rules, and check that what comes is what is promised."""
    path = work / f"{os.getpid()}.png"
    path.write_bytes(case.data)
    rules = {
        "default": MaskFile(path),
        "values": MaskFile(path, values=(1, 3)),
        "labels": MaskFile(path, values=(255,), ignored=(3,), labels=(0, 3, 255)),
    }
    for reader in (read_mask, read_ignored):
        pixels = reader(rules[case.reader], SIZE)
        assert pixels.shape == SIZE and pixels.dtype == bool


def _postscript(work: Path, found: Findings) -> None:
    """PostScript under a mask's name must reach no interpreter."""
    marker, tools = work / "interpreter-was-run", work / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "gs").write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    (tools / "gs").chmod(0o755)

    def read_with_tools() -> None:
        os.environ["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
        read(Case("eps", _EPS, "default"), work)

    ended = in_child(read_with_tools, timeout=20)
    is_refused = ended.raised is not None and ended.raised.is_typed
    found.check(is_refused, f"PostScript called mask.png: {ended.verdict}")
    found.check(not marker.exists(), "PostScript called mask.png was handed to an interpreter")


def _saved_as(format: str) -> bytes | None:
    file = io.BytesIO()
    mode = "1" if format in {"XBM", "MSP"} else "L"
    try:
        Image.new(mode, SIZE[::-1]).save(file, format)
    except (OSError, KeyError, ValueError):  # this Pillow does not write it
        return None
    return file.getvalue()
