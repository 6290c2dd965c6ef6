"""Faults of the system and of others' files, each of which a folder run must come through."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reliability.faults import (
    changes,
    clock,
    disks,
    locks,
    names,
    places,
    records,
    resources,
    signals,
)
from benchmarks.reliability.faults.ground import Ground
from benchmarks.reliability.findings import Findings

_THEMES = (disks, places, changes, clock, locks, records, names, resources, signals)


def faults(work: Path, count: int, seed: int) -> Findings:
    """Try every fault so many times, in an order that stays."""
    found = Findings()
    for number in range(count):
        ground = Ground.prepare(work / str(number), seed + number)
        for theme in _THEMES:
            theme.measure(ground, found)
    return found
