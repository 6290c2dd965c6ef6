"""Folder runs killed at any moment, then run again: nothing half written or different."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

from benchmarks.reliability.child import Ended, in_child
from benchmarks.reliability.drawn import write_photographs
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.results import content, differences, finished, half_written, leftovers
from benchmarks.reliability.stand_in import StandIn, run

_PHOTOGRAPHS = 12
_PACE = 0.003
"""Seconds that the stand-in takes for a photograph."""


def kill(work: Path, count: int, seed: int) -> Findings:
    """Kill so many runs of twelve photographs."""
    source = write_photographs(work / "in", _PHOTOGRAPHS)
    rng, found = random.Random(seed), Findings()
    whole = [_run(source, work / f"whole{number}") for number in range(3)]
    found.check(all(one.verdict == "ok" for one in whole), "an undisturbed run failed")
    length, expected = sorted(one.seconds for one in whole)[1], content(work / "whole0")
    same = not differences(expected, content(work / "whole1"))
    found.check(same, "two undisturbed runs differ")
    done = []
    for number in range(count):
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)
        ended = _run(source, out, kill_after=rng.uniform(0, length))
        found.count("killed" if ended.killed else "ended_before")
        for one in half_written(out):
            found.wrong.append(f"kill {number}: half written: {one}")
        before = finished(out)
        done.append(len(before))
        _rerun(source, out, number, before, found)
        for name in differences(expected, content(out)):
            found.wrong.append(f"kill {number}: {name} differs after the second run")
        for name in leftovers(out):
            found.wrong.append(f"kill {number}: {name} is left over")
    found.figures["finished_at_kill"] = [min(done), sorted(done)[len(done) // 2], max(done)]
    found.figures["run_seconds"] = length
    found.check(bool(found.figures.get("killed")), "no run was killed")
    return found


def _rerun(source: Path, out: Path, number: int, before: set[str], found: Findings) -> None:
    """Do the rest; what was finished must not be done again."""
    ended = in_child(lambda: run(source, out).done)
    found.check(ended.verdict == "ok", f"kill {number}: the second run: {ended.verdict}")
    again = before & set(ended.value or ())
    found.check(not again, f"kill {number}: {sorted(again)} were done twice")
    found.held(ended.peak_mb, 1024, f"kill {number}")


def _run(source: Path, out: Path, kill_after: float | None = None) -> Ended[None]:
    def work() -> None:
        run(source, out, StandIn(asked=lambda: time.sleep(_PACE)))

    return in_child(work, kill_after=kill_after)
