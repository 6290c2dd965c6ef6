"""A clock that is wrong: what is done is told by hashes, never by times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest import mock

from benchmarks.reliability.child import in_child
from benchmarks.reliability.faults.ground import Counts, Ground, check_whole, counts
from benchmarks.reliability.findings import Findings

_YEARS = (1970, 2024, 2100)
_USERS_OF_TIME = ("step", "run_log", "tables")
"""Modules of a folder run that ask for the time."""


def measure(ground: Ground, found: Findings) -> None:
    """Run, go years back and forth, run again: all is skipped, and what is missing is done."""
    out = ground.fresh("clock")
    in_child(partial(counts, ground.source, out))
    for year in _YEARS:
        what = f"the clock says {year}"
        again = in_child(partial(_in_year, year, ground.source, out))
        is_right = again.value is not None and len(again.value[1]) == len(ground.names)
        found.check(is_right, f"{what}: {again.verdict}, {again.value}")
        (out / "eye000.jpg.MA.mask.png").unlink()
        again = in_child(partial(_in_year, year, ground.source, out))
        is_right = again.value is not None and again.value[0] == ("eye000.jpg",)
        found.check(is_right, f"{what}, a mask is gone: {again.verdict}, {again.value}")
        check_whole(out, what, found)
        ground.check_mended(out, what, found)


def _in_year(year: int, source: Path, out: Path) -> Counts:
    def now() -> datetime:
        return datetime(year, 1, 2, tzinfo=UTC)

    patches = [mock.patch(f"tp_drseg.folder.{module}.now", now) for module in _USERS_OF_TIME]
    for patch in patches:
        patch.start()  # the process ends soon
    return counts(source, out)
