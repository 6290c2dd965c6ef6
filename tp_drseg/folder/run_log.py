"""How a folder run goes: what is done, skipped and failed."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from tp_drseg.errors import OutputError
from tp_drseg.folder.failure import Failure
from tp_drseg.folder.photographs import Found
from tp_drseg.folder.record import ImageRecord, now
from tp_drseg.folder.request import FolderRequest
from tp_drseg.folder.step import Done, Failed, Outcome, Rejected, Skipped
from tp_drseg.folder.store import RecordStore

logger = logging.getLogger(__name__)


@dataclass
class RunLog:
    """The state of one run; only one thread at a time may use it.

    Attributes:
        store: The records of the output folder.
        request: What is asked of each photograph.
        found: What the inputs hold.
        records: All records of the folder, by the photograph's name.
        done: Names of the photographs segmented in this run.
        skipped: Names of the photographs that were done already.
        failures: What could not be done.
        rejected: What was passed over since it is not good enough.
    """

    store: RecordStore
    request: FolderRequest
    found: Found
    records: dict[str, ImageRecord]
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    rejected: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = now()
        self._start = time.perf_counter()
        for failure in self.found.failures:
            self._fail(failure)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self._start

    @property
    def results(self) -> tuple[ImageRecord, ...]:
        """What there is of the photographs done in this run, then of those skipped."""
        return tuple(self.records[name] for name in (*self.done, *self.skipped))

    @property
    def finished(self) -> list[ImageRecord]:
        """All photographs that the output folder has whole results of, by name."""
        return [record for _, record in sorted(self.records.items()) if record.is_complete]

    def counts(self) -> dict[str, int]:
        """Return how many photographs there are of each kind."""
        counts = Counter(
            images=len(self.found.photographs) + len(self.found.failures),
            done=len(self.done),
            skipped=len(self.skipped),
            failed=len(self.failures),
            rejected=len(self.rejected),
        )
        counts["remaining"] = counts["images"] - sum(
            counts[kind] for kind in ("done", "skipped", "failed", "rejected")
        )
        counts["in_doubt"] = sum(bool(record.doubts) for record in self.results)
        counts["passed_over"] = len(self.found.passed_over)
        return dict(counts)

    def keep(self, outcome: Outcome) -> None:
        """Note what became of a photograph."""
        match outcome:
            case Done(record):
                self._succeed(record, self.done)
                logger.info("%s: done in %.1f s", record.image, record.seconds)
            case Skipped(record):
                self._succeed(record, self.skipped)
            case Rejected(failure):
                self.records.pop(failure.image, None)
                self.rejected.append(failure)
                logger.warning("%s: %s", failure.image, failure.message)
            case Failed(failure, is_read):
                if is_read:
                    self.records.pop(failure.image, None)
                self._fail(failure)

    def check_results(self) -> None:
        """Make sure that the results of this run are still there; what is not has failed.

        Raises:
            OutputError: The output folder itself was removed or replaced.
        """
        self.store.check()
        for names in (self.done, self.skipped):
            for name in [name for name in names if not self.store.is_whole(self.records[name])]:
                names.remove(name)
                source = self.records.pop(name).source
                message = "Its results were changed or removed while the run was going on."
                self._fail(Failure(name, source, OutputError.__name__, message))

    def _succeed(self, record: ImageRecord, names: list[str]) -> None:
        self.records[record.image] = record
        names.append(record.image)
        for text in (*record.doubts, *record.notes):
            logger.warning("%s: %s", record.image, text)
        if record.quality != "good" and not record.doubts:
            said = f"quality {record.quality}. {record.quality_reason}"
            logger.warning("%s: %s", record.image, said)

    def _fail(self, failure: Failure) -> None:
        logger.warning("%s failed: %s", failure.image, failure.message)
        self.failures.append(failure)
