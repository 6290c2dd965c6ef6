"""The same with the trained model, which is in the middle of a photograph most of the time."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.reliability.child import in_child
from benchmarks.reliability.drawn import fundus
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.results import content, differences, half_written, leftovers
from benchmarks.reliability.stand_in import run

_TIMEOUT = 600


def kill_real(work: Path, count: int, seed: int) -> Findings:
    """Kill so many runs of three photographs."""
    # imported before the fork, so that a child's time is that of its work
    from tp_drseg import TPDRSeg

    source, rng, found = work / "in", random.Random(seed), Findings()
    source.mkdir()
    for number in range(3):
        pixels = np.kron(fundus(180, 160, seed=number), np.ones((4, 4, 1), np.uint8))
        Image.fromarray(pixels).save(source / f"eye{number}.png")

    def work_into(out: Path) -> None:
        run(source, out, TPDRSeg.from_pretrained(device="cpu"))

    whole = in_child(lambda: work_into(work / "whole"), timeout=_TIMEOUT, memory=None)
    found.check(whole.verdict == "ok", f"an undisturbed run: {whole.verdict}")
    expected, out = content(work / "whole"), work / "out"
    for number in range(count):
        shutil.rmtree(out, ignore_errors=True)
        moment = rng.uniform(0.15, 1) * whole.seconds
        ended = in_child(lambda: work_into(out), kill_after=moment, memory=None)
        found.count("killed" if ended.killed else "ended_before")
        found.wrong += [f"kill {number}: half written: {one}" for one in half_written(out)]
        again = in_child(lambda: work_into(out), timeout=_TIMEOUT, memory=None)
        found.check(again.verdict == "ok", f"kill {number}: the second run: {again.verdict}")
        now = content(out)
        found.wrong += [f"kill {number}: {one} differs" for one in differences(expected, now)]
        found.wrong += [f"kill {number}: {one} is left over" for one in leftovers(out)]
        found.peak_mb = max(found.peak_mb, again.peak_mb)
    found.figures["run_seconds"] = whole.seconds
    return found
