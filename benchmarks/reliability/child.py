"""One piece of work in a forked process: with a limit of time and memory, or killed on purpose."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from tp_drseg.errors import TPDRSegError

Result = TypeVar("Result")

MEMORY = 2 << 30
"""Address space in bytes that a child may take beyond what it starts with."""


@dataclass(frozen=True)
class Raised:
    """An error that ended a piece of work.

    Attributes:
        kind: The error's type.
        is_typed: Whether it is one of the package's own.
        is_memory: Whether it is, or comes from, a lack of memory.
        message: Its text.
        place: The last line of the package that it went through.
    """

    kind: str
    is_typed: bool
    is_memory: bool
    message: str
    place: str

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        """Describe an error."""
        chain: list[BaseException] = []
        link: BaseException | None = error
        while link is not None and link not in chain:
            chain.append(link)
            link = link.__cause__ or link.__context__
        ours = [x for x in traceback.extract_tb(error.__traceback__) if "tp_drseg" in x.filename]
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
        return cls(
            type(error).__name__,
            isinstance(error, TPDRSegError),
            any(isinstance(one, MemoryError) for one in chain),
            str(error)[:300],
            place,
        )

    def __str__(self) -> str:
        kind = self.kind if self.is_typed else f"untyped {self.kind} at {self.place}"
        return f"{kind}: {' '.join(self.message.split())}"[:240]


@dataclass(frozen=True)
class Ended(Generic[Result]):
    """How a piece of work ended.

    Attributes:
        value: What it gave, if it came to its end.
        raised: What ended it.
        code: The exit code, where it exited as a command does.
        killed: Whether it was killed on purpose.
        hung: Whether it was killed because its time was over.
        signal: What else killed it.
        seconds: How long it took.
        peak_mb: The most memory that it held, in MiB.
        output: The end of what it wrote to the standard streams.
    """

    value: Result | None
    raised: Raised | None
    code: int | None
    killed: bool
    hung: bool
    signal: int | None
    seconds: float
    peak_mb: int
    output: str

    @property
    def verdict(self) -> str:
        """How it ended, in a few words; `ok` for a value."""
        if self.killed or self.hung:
            return "killed" if self.killed else "hung"
        if self.signal is not None:
            return f"signal {self.signal}"
        if self.raised is not None:
            return str(self.raised)
        return "ok" if self.code is None else f"exit {self.code}"

    @property
    def is_orderly(self) -> bool:
        """Whether it ended with a value, an exit code, or an error of the package's own."""
        if self.killed or self.hung or self.signal is not None:
            return False
        return self.raised is None or self.raised.is_typed


def in_child(
    work: Callable[[], Result],
    *,
    timeout: float = 60,
    kill_after: float | None = None,
    memory: int | None = MEMORY,
    before: Callable[[], None] | None = None,
) -> Ended[Result]:
    """Do a piece of work in a forked process.

    Args:
        work: What to do; its result must be picklable.
        timeout: Seconds after which it counts as hung, and is killed.
        kill_after: Seconds after which it is killed on purpose, if it has not ended.
        memory: Address space in bytes beyond what there is; None for no limit.
        before: What to do first in the process, such as to set another limit.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as output:
        sys.stdout.flush()
        sys.stderr.flush()
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _be_child(work, before, memory, writing, output.fileno())
        os.close(writing)
        allowed = timeout if kill_after is None else kill_after
        message, is_late = _collect(reading, started + allowed)
        if is_late:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        output.seek(0)
        said = output.read()[-3000:].decode("utf-8", "backslashreplace")
    value, raised, code = pickle.loads(message) if message and not is_late else (None, None, None)
    return Ended(
        value=value,
        raised=raised,
        code=code,
        killed=is_late and kill_after is not None,
        hung=is_late and kill_after is None,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) and not is_late else None,
        seconds=round(time.monotonic() - started, 3),
        peak_mb=usage.ru_maxrss // 1024,
        output=said,
    )


def limit_memory(more: int) -> None:
    """Let this process take so many bytes of address space beyond what it has."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, taken + more))


def _be_child(
    work: Callable[[], Result],
    before: Callable[[], None] | None,
    memory: int | None,
    writing: int,
    output: int,
) -> NoReturn:
    value: Result | None = None
    raised: Raised | None = None
    code: int | None = None
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        if memory is not None:
            limit_memory(memory)
        if before is not None:
            before()
        value = work()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except BaseException as error:
        raised = Raised.of(error)
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    with contextlib.suppress(BaseException):
        data = pickle.dumps((value, raised, code))
        while data:
            data = data[os.write(writing, data) :]
    os._exit(0)  # nothing of the parent's is run twice


def _collect(reading: int, end: float) -> tuple[bytes, bool]:
    """What comes through the pipe, and whether it had not ended in time."""
    message = b""
    try:
        while True:
            ready, _, _ = select.select([reading], [], [], max(0, end - time.monotonic()))
            if not ready:
                return message, True
            block = os.read(reading, 1 << 16)
            if not block:
                return message, False
            message += block
    finally:
        os.close(reading)
