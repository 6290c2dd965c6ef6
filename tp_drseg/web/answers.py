"""Questions to the model: one at a time, in turn, whoever asks; the same question once.

One thread holds the model and one open photograph, so that three pages take the memory of one.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from tp_drseg._runtime.allocator import freed_memory_kept
from tp_drseg.errors import OutputError, TPDRSegError
from tp_drseg.folder.record import ImageRecord
from tp_drseg.inference.request import Prompt
from tp_drseg.web.maps import Answer, encode_answer

if TYPE_CHECKING:
    from tp_drseg.inference.session import ImageSession
    from tp_drseg.model import TPDRSeg

logger = logging.getLogger(__name__)

_MOST_WAITING: Final = 32
_KEPT_BYTES: Final = 128 << 20  # of encoded answers
_PATIENCE: Final = 30.0  # s: a question that nobody asks after any more is dropped

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(eq=False)
class Job:
    """A question, and what has become of it.

    Attributes:
        id: What requests call it.
        record: The photograph.
        prompt: What is asked.
        state: How far it is.
        done: Tiles that the model has seen.
        total: Tiles that it will see; 0 while that is not known.
        error: What went wrong, in a sentence.
        answer: What the model said.
    """

    record: ImageRecord
    prompt: Prompt
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    state: JobState = "waiting"
    done: int = 0
    total: int = 0
    error: str = ""
    answer: Answer | None = None
    asked: float = field(default_factory=time.monotonic)
    wanted: float = field(default_factory=time.monotonic)  # when somebody looked at it last

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in {"done", "failed", "cancelled"}


class _CancelledError(Exception):
    """Nobody wants the answer any more."""


def segment(session: ImageSession, prompt: Prompt) -> Answer:
    """Ask an open photograph; the one place where the page meets the model."""
    return encode_answer(session.segment(prompt))


class Answers:
    """The queue of questions. Use it in a ``with`` block, whose end waits for the model.

    Args:
        load: Loads the model; called once, when the first question is asked.
        open_photograph: Opens a photograph for that model.
    """

    def __init__(
        self,
        load: Callable[[], TPDRSeg],
        open_photograph: Callable[[TPDRSeg, ImageRecord], ImageSession],
    ) -> None:
        self._load, self._open_photograph = load, open_photograph
        self._model: TPDRSeg | None = None
        self._session: tuple[str, ImageSession] | None = None
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def __enter__(self) -> Answers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def ask(self, record: ImageRecord, prompt: Prompt) -> Job:
        """Put a question into the queue, or return the same one that is there already.

        Raises:
            OutputError: Too many are waiting.
        """
        with self._changed:
            for job in self._jobs.values():
                same = (job.record.sha256, job.prompt) == (record.sha256, prompt)
                if same and job.state not in {"failed", "cancelled"}:
                    job.wanted = time.monotonic()
                    return job
            if sum(job.state == "waiting" for job in self._jobs.values()) >= _MOST_WAITING:
                raise OutputError("Too many questions are waiting for the model. Try again later.")
            job = Job(record, prompt)
            self._jobs[job.id] = job
            self._forget()
            self._changed.notify_all()
            return job

    def job(self, id: str) -> Job | None:
        """Return a question by its id, and note that somebody wants it."""
        with self._changed:
            job = self._jobs.get(id)
            if job is not None:
                job.wanted = time.monotonic()
                self._jobs.move_to_end(id)
            return job

    def ahead(self, job: Job) -> int:
        """Return how many questions come before one."""
        with self._changed:
            waiting = [one for one in self._jobs.values() if one.state == "waiting"]
            first = sum(one.state == "running" for one in self._jobs.values())
            earlier = sum(one.asked < job.asked for one in waiting)
            return first + earlier if job.state == "waiting" else 0

    def cancel(self, job: Job) -> None:
        """End a question; a model that is at it stops before its next tile."""
        with self._changed:
            if not job.is_over:
                job.state = "cancelled"

    def _forget(self) -> None:
        """Drop the answers that were wanted longest ago, once they take too much memory."""
        kept = 0
        for job in reversed(list(self._jobs.values())):
            kept += 0 if job.answer is None else job.answer.size
            if job.is_over and (kept > _KEPT_BYTES or len(self._jobs) > 10 * _MOST_WAITING):
                del self._jobs[job.id]

    def _work(self) -> None:
        while (job := self._next()) is not None:
            answer, reason = None, ""
            try:
                with freed_memory_kept():
                    answer = self._answer(job)
            except _CancelledError:
                continue
            except Exception as error:
                logger.debug("A question failed", exc_info=True)
                known = isinstance(error, TPDRSegError)
                reason = str(error) if known else f"The model failed: {type(error).__name__}."
            with self._changed:
                if job.state == "running":  # else it was cancelled, and nobody wants it
                    job.answer, job.error = answer, reason
                    job.state = "failed" if answer is None else "done"
                self._forget()
        if self._session is not None:
            self._session[1].close()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._is_closed:
                waiting = [job for job in self._jobs.values() if job.state == "waiting"]
                for job in sorted(waiting, key=lambda job: job.asked):
                    if time.monotonic() - job.wanted < _PATIENCE:
                        job.state = "running"
                        return job
                    job.state = "cancelled"
                self._changed.wait()
        return None

    def _answer(self, job: Job) -> Answer:
        self._check(job)
        if self._model is None:
            self._model = self._load()
        self._check(job)
        if self._session is None or self._session[0] != job.record.sha256:
            if self._session is not None:
                self._session[1].close()
                self._session = None
            self._session = (job.record.sha256, self._open_photograph(self._model, job.record))
        session = self._session[1]

        def watch(number: int, total: int) -> None:
            job.done, job.total = number, total
            self._check(job)

        session.watch = watch
        return segment(session, job.prompt)

    def _check(self, job: Job) -> None:
        if self._is_closed or job.state == "cancelled":
            raise _CancelledError
