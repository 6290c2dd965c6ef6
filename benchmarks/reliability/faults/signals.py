"""A polite request to stop, at any moment."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

from benchmarks.reliability.child import in_child
from benchmarks.reliability.command import command
from benchmarks.reliability.faults.ground import Ground, check_whole
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.stand_in import StandIn

_TIMES = 8


def measure(ground: Ground, found: Findings) -> None:
    """Interrupt the command, and go on."""
    for which in (signal.SIGINT, signal.SIGTERM):
        for _ in range(_TIMES):
            out = ground.fresh("signal")
            arguments = ["segment", ground.source, "--out", out, "--recursive", "--quiet"]
            moment = ground.rng.uniform(0.1, 1.5)
            ended = in_child(partial(_interrupted, which, moment, arguments), timeout=30)
            what = f"{which.name} after {moment:.2f} s"
            found.count(f"ended_with_{ended.code}")
            is_right = ended.code in (None, 0, 130) and ended.is_orderly
            found.check(is_right, f"{what}: {ended.verdict}, {ended.output[-150:]!r}")
            check_whole(out, what, found)
            ground.check_mended(out, what, found)


def _interrupted(which: signal.Signals, moment: float, arguments: list[object]) -> None:
    threading.Timer(moment, os.kill, (os.getpid(), which)).start()
    command(arguments, StandIn(asked=lambda: time.sleep(0.02)))
