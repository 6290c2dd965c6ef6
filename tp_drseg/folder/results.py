"""What a folder run leaves in its output folder: pictures, records and tables."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

from tp_drseg import __version__
from tp_drseg._runtime.files import write_json
from tp_drseg.errors import ConfigError, LesionError, OutputError, PromptError
from tp_drseg.export.csv import write_lesions_csv
from tp_drseg.folder.photographs import Photograph
from tp_drseg.folder.records import ImageRecord, RecordStore, file_sizes

if TYPE_CHECKING:
    from tp_drseg.inference.result import Segmentation

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """One image that could not be segmented.

    Attributes:
        image: Its name under the output folder.
        source: Absolute path of the photograph.
        error: Type of the error.
        message: What it said.
    """

    image: str
    source: str
    error: str
    message: str


@dataclass(frozen=True)
class Skipped:
    """A photograph that is done already."""

    photograph: Photograph


@dataclass(frozen=True)
class Failed:
    """A photograph that could not be segmented; an unreadable file keeps its earlier results."""

    photograph: Photograph
    failure: Failure
    is_readable: bool = True


@dataclass(frozen=True)
class Segmented:
    """What the model made of a photograph, and in how many seconds."""

    photograph: Photograph
    sha256: str
    results: Mapping[str, Segmentation]
    warnings: list[str]
    seconds: float


Outcome = Skipped | Failed | Segmented


def attempt(photograph: Photograph, step: Callable[[], Result]) -> Result | Failed:
    """Do one step for a photograph; an error that is about this photograph is its outcome.

    Raises:
        OutputError: The output cannot be written.
        LesionError, PromptError, ConfigError: Every other photograph would fail in the same way.
    """
    try:
        return step()
    except (OutputError, LesionError, PromptError, ConfigError):
        raise
    except Exception as error:
        logger.debug("%s", photograph.path, exc_info=True)
        failure = Failure(photograph.name, str(photograph.path), type(error).__name__, str(error))
        return Failed(photograph, failure)


@dataclass
class FolderResults:
    """The results of one run; only one thread at a time may use it.

    Attributes:
        store: The records of the output folder.
        labels: What each lesion is called in file names.
        overlays: Whether to write overlays.
        settings: All that decides the results of an image.
        total: Number of photographs in this run.
        device: What the model runs on.
        dtype: The type of its numbers.
        done: Names of the images segmented in this run.
        skipped: Names of the images that were done already.
        failures: The images that could not be segmented.
    """

    store: RecordStore
    labels: Mapping[str, str]
    overlays: bool
    settings: dict[str, Any]
    total: int
    device: str
    dtype: str
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()
        self._started = _now()
        self._start = time.perf_counter()
        self._tables_at, self._tables_cost = float("-inf"), 0.0

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self._start

    @property
    def rows(self) -> tuple[dict[str, Any], ...]:
        """The lines of ``lesions.csv`` for the done and the skipped images."""
        names = self.done + self.skipped
        return tuple(row for name in names for row in self.store.records[name].rows)

    def is_done(self, photograph: Photograph, sha256: str) -> bool:
        """Whether the photograph was done with these settings, and nothing has changed since.

        Any thread may ask: it looks at the photograph's own record alone.
        """
        record = self.store.records.get(photograph.name)
        return (
            record is not None
            and (record.sha256, record.settings) == (sha256, self.digest)
            and self.store.is_whole(record)
        )

    def keep(self, outcome: Outcome) -> None:
        """Write what became of a photograph, and now and then the tables.

        Raises:
            OutputError: The output cannot be written.
        """
        name = outcome.photograph.name
        match outcome:
            case Skipped():
                self.skipped.append(name)
            case Failed():
                if outcome.is_readable:
                    self.store.discard(name)
                self._fail(outcome.failure)
            case Segmented():
                self.store.discard(name)
                written = attempt(outcome.photograph, lambda: self._write(outcome))
                if isinstance(written, Failed):
                    self._fail(written.failure)
                else:
                    logger.info("%s: done in %.1f s", name, outcome.seconds)
                    self.done.append(name)
        # The tables grow with the run: spend at most a tenth of the time on them.
        now = time.perf_counter()
        if now - self._tables_at > 10 * self._tables_cost:
            self.write_tables("running")
            self._tables_at = time.perf_counter()
            self._tables_cost = self._tables_at - now

    def _fail(self, failure: Failure) -> None:
        logger.warning("%s failed: %s", failure.image, failure.message)
        self.failures.append(failure)

    def _write(self, outcome: Segmented) -> None:
        name = outcome.photograph.name
        files = self._write_pictures(name, outcome.results)
        self.store.finish(
            ImageRecord(
                image=name,
                source=str(outcome.photograph.path),
                sha256=outcome.sha256,
                settings=self.digest,
                files=file_sizes(self.store.out, files),
                rows=[{"image": name, **r.measurements()} for r in outcome.results.values()],
                warnings=outcome.warnings,
                seconds=round(outcome.seconds, 3),
                finished=_now(),
            )
        )

    def _write_pictures(self, image: str, results: Mapping[str, Segmentation]) -> list[str]:
        """Write the pictures of one image; returns their paths under the output folder."""
        out, names = self.store.out, []
        for lesion, result in results.items():
            names.append(f"{image}.{self.labels[lesion]}.mask.png")
            result.save(out / names[-1])
            if self.overlays:
                names.append(f"{image}.{self.labels[lesion]}.overlay.jpg")
                result.save(out / names[-1], "overlay")
        if self.overlays and len(results) > 1:
            from tp_drseg.export.picture import save_picture
            from tp_drseg.inference.result import overlay_all

            names.append(f"{image}.overlay.jpg")
            save_picture(overlay_all(results), out / names[-1])
        return names

    def write_tables(self, status: str) -> None:
        """Write ``lesions.csv`` and ``run.json`` from the records."""
        records = [record for _, record in sorted(self.store.records.items())]
        out = self.store.out
        write_lesions_csv(out / "lesions.csv", (row for record in records for row in record.rows))
        counts = Counter(done=len(self.done), skipped=len(self.skipped))
        counts["failed"] = len(self.failures)
        images = [
            {
                "image": record.image,
                "source": record.source,
                "status": state,
                "seconds": record.seconds,
                "finished": record.finished,
                "warnings": record.warnings,
            }
            for state, names in (("done", self.done), ("skipped", self.skipped))
            for record in map(self.store.records.__getitem__, names)
        ]
        write_json(
            out / "run.json",
            {
                "status": status,
                "started": self._started,
                "updated" if status == "running" else "finished": _now(),
                "seconds": round(self.seconds, 3),
                "versions": {
                    "tp-drseg": __version__,
                    "torch": _package_version("torch"),
                    "python": platform.python_version(),
                    "platform": platform.platform(),
                },
                "device": self.device,
                "dtype": self.dtype,
                "settings": self.settings,
                "counts": {
                    "images": self.total,
                    **counts,
                    "remaining": self.total - counts.total(),
                },
                "images": images,
                "failures": [asdict(failure) for failure in self.failures],
            },
        )


def _package_version(package: str) -> str | None:
    """Version of an installed package, without importing it; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
