"""Two runs at once, and lock files that are none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.reliability.child import in_child
from benchmarks.reliability.faults.ground import Ground, check_whole, counts
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.stand_in import StandIn

_PAIRS = 10


def measure(ground: Ground, found: Findings) -> None:
    """Run where another run is, was, or seems to be."""
    for _ in range(_PAIRS):
        _two_at_once(ground, found)
    precious = ground.work / "locked.txt"
    locks: dict[str, Callable[[Path], object]] = {
        "has text": lambda path: path.write_text("99999"),
        "is read-only": lambda path: path.touch(0o444),
        "is a folder": Path.mkdir,
        "is a named pipe": os.mkfifo,
        "is a link": lambda path: path.symlink_to(precious),
    }
    for name, make in locks.items():
        out, what = ground.fresh("locks"), f"the lock file {name}"
        (out / ".tp-drseg").mkdir(parents=True)
        precious.write_text("precious")
        lock = out / ".tp-drseg" / "lock"
        make(lock)
        ended = in_child(partial(counts, ground.source, out), timeout=20)
        found.check(ended.is_orderly, f"{what}: {ended.verdict}")
        found.check(precious.read_text() == "precious", f"{what}: its target was written")
        if lock.is_dir():
            lock.rmdir()
        else:
            lock.unlink(missing_ok=True)
        ground.check_mended(out, what, found)


def _two_at_once(ground: Ground, found: Findings) -> None:
    out = ground.fresh("two")
    slow = StandIn(asked=lambda: time.sleep(0.02))

    def start(_: int) -> str:
        return in_child(partial(counts, ground.source, out, slow)).verdict

    with ThreadPoolExecutor(2) as pool:
        verdicts = sorted(pool.map(start, range(2)))
    is_right = verdicts[1] == "ok" and verdicts[0].startswith(("OutputError", "ok"))
    found.check(is_right, f"two runs at once: {verdicts}")
    check_whole(out, "two runs at once", found)
    ground.check_mended(out, "two runs at once", found)
