"""A long run of the trained model on large photographs: memory and handles stay flat."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from benchmarks.reliability.drawn import fundus
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.results import half_written, leftovers
from benchmarks.reliability.stand_in import run
from tp_drseg import TPDRSeg
from tp_drseg.folder.segmenter import Session

_SETTLED = 5
"""Photographs after which a process holds what it needs."""
_SLOPE_MB = 2.0
"""Growth for a photograph that may be noise, in MiB."""
_LONGEST = 6 * 3600


class _Watched:
    """A model that notes what the process holds each time a photograph is opened."""

    def __init__(self, model: TPDRSeg) -> None:
        self._model, self._begun = model, time.monotonic()
        self.config, self.origin = model.config, model.origin
        self.matcher = model.matcher
        self.memory: list[float] = []
        self.handles: list[int] = []
        self.threads: list[int] = []

    def fingerprint(self) -> str:
        return self._model.fingerprint()

    def open_quietly(self, image: NDArray[np.uint8], /, *, max_pixels: int) -> Session:
        process = psutil.Process()
        self.memory.append(process.memory_info().rss / 2**20)
        self.handles.append(process.num_fds())
        self.threads.append(threading.active_count())
        if time.monotonic() - self._begun > _LONGEST:
            raise KeyboardInterrupt
        return self._model.open_quietly(image, max_pixels=max_pixels)


def soak(work: Path, count: int, seed: int) -> Findings:
    """Segment so many photographs of 4288 x 2848 pixels in one run.

    They are the JPEG files of the folder that `PHOTOGRAPHS` names, in turn, else drawn ones.
    """
    source, found = work / "in", Findings()
    source.mkdir()
    place = os.environ.get("PHOTOGRAPHS")
    given = sorted(Path(place).glob("*.jpg")) if place else []
    for number in range(count):
        target = source / f"eye{number:04d}.jpg"
        if given:
            target.write_bytes(given[number % len(given)].read_bytes() + number.to_bytes(4, "big"))
        else:
            pixels = np.kron(fundus(1072, 712, seed=seed + number), np.ones((4, 4, 1), np.uint8))
            Image.fromarray(pixels).save(target, quality=90)
    model = _Watched(TPDRSeg.from_pretrained(device="cpu"))
    started = time.monotonic()
    report = run(source, work / "out", model)
    found.figures |= {
        "done": len(report.done),
        "failed": len(report.failures),
        "seconds_each": round((time.monotonic() - started) / max(1, count), 2),
        "memory_mb": [round(mb) for mb in model.memory[:: max(1, count // 20)]],
        "handles": [min(model.handles), max(model.handles)],
        "threads": max(model.threads),
        "dtype": model.origin.dtype,
        "real": bool(given),
    }
    found.peak_mb = round(max(model.memory))
    found.check(len(report.done) == count, f"{count - len(report.done)} are not done")
    later = model.memory[_SETTLED:]
    if len(later) > _SETTLED:
        slope = float(np.polyfit(range(len(later)), later, 1)[0])
        found.figures["slope_mb"] = round(slope, 3)
        found.check(slope <= _SLOPE_MB, f"memory grows by {slope:.2f} MiB a photograph")
        flat = max(model.handles[_SETTLED:]) - min(model.handles[_SETTLED:]) <= 4
        found.check(flat, "file handles are not flat")
    found.wrong += [f"half written: {one}" for one in half_written(work / "out")]
    found.wrong += [f"{one} is left over" for one in leftovers(work / "out")]
    return found
