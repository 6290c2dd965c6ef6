"""What changes under a run: the photographs, the output folder."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.reliability.child import in_child
from benchmarks.reliability.faults.ground import Ground, check_refused, counts
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.stand_in import StandIn


def measure(ground: Ground, found: Findings) -> None:
    """Change them in the middle of a run."""
    acts: dict[str, Callable[[Path], object]] = {
        "removed": Path.unlink,
        "emptied": lambda path: path.write_bytes(b""),
        "a folder": partial(_in_its_place, Path.mkdir),
        "a dead link": partial(_in_its_place, lambda path: path.symlink_to("nowhere")),
        "a named pipe": partial(_in_its_place, os.mkfifo),
        "another format": lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    }
    for name, act in acts.items():
        source = ground.copy("change")
        model = StandIn(asked=_at(2, partial(act, source / "eye009.png")))
        out = ground.fresh("change-out")
        ended = in_child(partial(counts, source, out, model), timeout=20)
        is_right = ended.value is not None and ended.value[2] == ("eye009.png",)
        found.check(is_right, f"a photograph is {name}: {ended.value}, {ended.verdict}")
    _replaced(ground, found)
    _output_removed(ground, found)


def _in_its_place(make: Callable[[Path], object], path: Path) -> None:
    path.unlink()
    make(path)


def _at(number: int, act: Callable[[], object]) -> Callable[[], None]:
    """Do something at a certain call."""
    calls = itertools.count(1)

    def called() -> None:
        if next(calls) == number:
            act()

    return called


def _replaced(ground: Ground, found: Findings) -> None:
    """A photograph is another one for a while; its mask must never be taken for the first one's."""
    for moment in range(1, 13):
        source, out = ground.copy("replaced"), ground.fresh("replaced-out")
        target, other = source / "eye004.jpg", (source / "eye008.jpg").read_bytes()
        before = target.read_bytes()
        model = StandIn(opened=_at(moment, partial(target.write_bytes, other)))
        first = in_child(partial(counts, source, out, model))
        found.check(first.verdict == "ok", f"a photograph is replaced: {first.verdict}")
        target.write_bytes(before)
        in_child(partial(counts, source, out))
        name = "eye004.jpg.MA.mask.png"
        is_own = (out / name).read_bytes() == (ground.work / "whole" / name).read_bytes()
        found.check(is_own, f"replaced as photograph {moment} opens, then put back: its mask stays")


def _output_removed(ground: Ground, found: Findings) -> None:
    out = ground.fresh("gone")
    model = StandIn(asked=_at(6, lambda: shutil.rmtree(out, ignore_errors=True)))
    ended = in_child(partial(counts, ground.source, out, model))
    check_refused(ended, "the output folder was removed in the middle", found)
    ground.check_mended(out, "the output folder was removed in the middle", found)
