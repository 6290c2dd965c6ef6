"""Many small cases in a few forked processes; one that hangs or dies is replaced."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from benchmarks.reliability.child import MEMORY, Raised, limit_memory
from benchmarks.reliability.findings import Findings

_fork = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Case:
    """A file to try.

    Attributes:
        kind: What it is and what was done to it.
        data: Its bytes.
        reader: Which of several readers takes it.
    """

    kind: str
    data: bytes
    reader: str = ""


@dataclass(frozen=True)
class Tried:
    """How a case ended: `read`, `refused`, `untyped`, `memory`, `hung` or `died`."""

    case: str
    end: str
    why: str = ""
    seconds: float = 0.0
    peak_mb: int = 0


@dataclass
class _Worker:
    pipe: Connection
    process: multiprocessing.process.BaseProcess
    job: int | None = None
    since: float = field(default_factory=time.monotonic)


def try_all(
    count: int,
    make: Callable[[int], Case],
    test: Callable[[Case], None],
    *,
    workers: int = 2,
    timeout: float = 10,
    memory: int = MEMORY,
) -> list[Tried]:
    """Test so many cases.

    Args:
        count: How many.
        make: Makes the case of a number, always the same.
        test: Raises where the case is refused, or its result is not what it must be.
        workers: How many processes work at a time.
        timeout: Seconds after which a case counts as hung.
        memory: Address space in bytes that a process may take beyond what it starts with.
    """
    found: list[Tried] = []
    waiting = iter(range(count))

    def start() -> _Worker:
        here, there = _fork.Pipe()
        process = _fork.Process(target=_serve, args=(there, make, test, memory), daemon=True)
        process.start()
        there.close()
        return _Worker(here, process)

    def give(worker: _Worker) -> None:
        worker.job, worker.since = next(waiting, None), time.monotonic()
        if worker.job is not None:
            worker.pipe.send(worker.job)

    def replace(worker: _Worker, end: str) -> _Worker:
        assert worker.job is not None
        found.append(Tried(make(worker.job).kind, end, f"case {worker.job}"))
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        return start()

    crew = [start() for _ in range(workers)]
    for worker in crew:
        give(worker)
    while any(worker.job is not None for worker in crew):
        ready = wait([worker.pipe for worker in crew if worker.job is not None], timeout=0.5)
        for place, worker in enumerate(crew):
            if worker.job is None:
                continue
            if worker.pipe in ready:
                try:
                    found.append(worker.pipe.recv())
                except EOFError:
                    crew[place] = replace(worker, "died")
            elif time.monotonic() - worker.since > timeout:
                crew[place] = replace(worker, "hung")
            else:
                continue
            give(crew[place])
    for worker in crew:
        worker.pipe.send(None)
        worker.process.join()
    return found


def _serve(
    pipe: Connection, make: Callable[[int], Case], test: Callable[[Case], None], memory: int
) -> None:
    """A worker's life: it takes a number, tries its case, and tells how that ended."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    limit_memory(memory)
    while (number := pipe.recv()) is not None:
        case, started = make(number), time.monotonic()
        end, why = "read", ""
        try:
            test(case)
        except BaseException as error:
            raised = Raised.of(error)
            end = "refused" if raised.is_typed else "untyped"
            end, why = ("memory" if raised.is_memory else end), f"case {number}: {raised}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        pipe.send(Tried(case.kind, end, why, round(time.monotonic() - started, 3), peak))
    os._exit(0)  # nothing of the parent's is run twice


def tally(tried: Sequence[Tried], limit_mb: int) -> Findings:
    """Count how cases ended; all but read and refused ones are wrong, and so is much memory."""
    found = Findings()
    for end in ("read", "refused", "untyped", "memory", "hung", "died"):
        found.figures[end] = sum(one.end == end for one in tried)
    for one in tried:
        found.check(one.end in {"read", "refused"}, f"{one.end}: {one.case}, {one.why}")
    found.figures["slowest_s"] = max((one.seconds for one in tried), default=0.0)
    found.held(max((one.peak_mb for one in tried), default=0), limit_mb, "the fuzzed readers")
    found.check(bool(found.figures["read"]), "not one case was read: the corpus is no good")
    return found
