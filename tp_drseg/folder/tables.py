"""The tables of a folder run: photographs.csv, lesions.csv, run.json and the contact sheet."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Final

from tp_drseg import __version__
from tp_drseg._runtime.files import write_json, write_text
from tp_drseg._runtime.text import visible
from tp_drseg.anatomy.columns import ANATOMY_COLUMNS, MEASUREMENT_COLUMNS, SIGN_COLUMNS
from tp_drseg.errors import OutputError
from tp_drseg.export.csv import Cell, write_csv
from tp_drseg.folder.contact_sheet import contact_sheet
from tp_drseg.folder.names import CONTACT_SHEET, LESIONS_TABLE, PHOTOGRAPHS_TABLE, RUN_FILE
from tp_drseg.folder.record import ImageRecord, LesionRow, now
from tp_drseg.folder.run_log import RunLog

logger = logging.getLogger(__name__)

LESION_COLUMNS: Final = (
    "image",
    "lesion",
    "threshold",
    "regions",
    "area_px",
    "area_percent_of_field_of_view",
    "mean_probability",
    "max_probability",
    *MEASUREMENT_COLUMNS,
)
PHOTOGRAPH_COLUMNS: Final = (
    "image",
    "status",
    "reason",
    "width",
    "height",
    "quality",
    "quality_reason",
    *ANATOMY_COLUMNS,
    *SIGN_COLUMNS,
    "doubts",
    "notes",
    "settings",
)
_NAMED: Final = 1000  # of what is passed over, in run.json


class Tables:
    """Writes the tables of a run, from its log alone.

    Args:
        log: The run.
        facts: What else `run.json` says of it, such as the device.
    """

    def __init__(self, log: RunLog, facts: Mapping[str, object]) -> None:
        self._log, self._facts = log, facts
        self._at, self._cost = float("-inf"), 0.0

    def update(self) -> None:
        """Write the tables now and then: they grow with the run, and may take a tenth of its time.

        A table that cannot be written, such as one that is open in another program, is no reason
        to stop.
        """
        begun = time.perf_counter()
        if begun - self._at <= 10 * self._cost:
            return
        try:
            self.write("running")
        except OutputError as error:
            logger.debug("%s", error)
        self._at = time.perf_counter()
        self._cost = self._at - begun

    def write(self, status: str) -> None:
        """Write all tables; one that cannot be written does not keep the others from it.

        Args:
            status: `running`, `finished` or `stopped`.

        Raises:
            OutputError: One of them cannot be written.
        """
        log, out = self._log, self._log.store.out
        log.store.check()
        finished = log.finished
        lesions = tuple(dict.fromkeys(row.lesion for one in finished for row in one.lesions))
        identifiers = dict.fromkeys(key for one in finished for key in one.identifiers)
        columns = (*PHOTOGRAPH_COLUMNS, *identifiers, *map(_count_column, lesions))
        writers: list[Callable[[], object]] = [
            lambda: write_csv(out / LESIONS_TABLE, LESION_COLUMNS, lesion_rows(finished)),
            lambda: write_csv(out / PHOTOGRAPHS_TABLE, columns, photograph_rows(log)),
            lambda: write_json(out / RUN_FILE, self._run(status)),
        ]
        if status != "running":
            writers.append(lambda: write_text(out / CONTACT_SHEET, contact_sheet(log, lesions)))
        errors = []
        for write in writers:
            try:
                write()
            except OutputError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _run(self, status: str) -> dict[str, object]:
        log = self._log
        images = [
            {
                "image": record.image,
                "source": record.source,
                "status": state,
                "seconds": record.seconds,
                "finished": record.finished.isoformat(),
                "doubts": record.doubts,
                "notes": record.notes,
            }
            for name, state in sorted(
                [(name, "done") for name in log.done] + [(name, "skipped") for name in log.skipped]
            )
            for record in (log.records[name],)
        ]
        return {
            "status": status,
            "started": log.started.isoformat(),
            "updated" if status == "running" else "finished": now().isoformat(),
            "seconds": round(log.seconds, 3),
            "use": "For research; not a medical device.",
            "versions": {
                "tp-drseg": __version__,
                "torch": _package_version("torch"),
                "python": platform.python_version(),
                "platform": platform.platform(),
            },
            **self._facts,
            "settings": dict(log.request.settings),
            "settings_id": _short(log.request.digest),
            "counts": log.counts(),
            "images": images,
            "failures": [
                asdict(failure) | {"source": visible(failure.source)} for failure in log.failures
            ],
            "rejected": [
                asdict(failure) | {"source": visible(failure.source)} for failure in log.rejected
            ],
            "passed_over": [
                {"path": visible(str(one.path)), "why": one.why}
                for one in log.found.passed_over[:_NAMED]
            ],
        }


def lesion_rows(records: Iterable[ImageRecord]) -> Iterator[dict[str, Cell]]:
    """Yield the lines of `lesions.csv`: one for each photograph and lesion."""
    for record in records:
        for row in record.lesions:
            yield {"image": record.image, **lesion_cells(row)}


def lesion_cells(row: LesionRow) -> dict[str, Cell]:
    """Return what `lesions.csv` says of a lesion, by column."""
    return {
        "lesion": row.lesion,
        "threshold": round(row.threshold, 4),
        "regions": row.regions,
        "area_px": row.area_px,
        "area_percent_of_field_of_view": round(row.area_percent, 6),
        "mean_probability": round(row.mean_probability, 6),
        "max_probability": round(row.max_probability, 6),
        **row.measurements,
    }


def photograph_rows(log: RunLog) -> list[dict[str, Cell]]:
    """Return the lines of `photographs.csv`, by name: one for each photograph."""
    states = dict.fromkeys((*log.done, *log.skipped), "done")  # the same whenever it was done
    rows: dict[str, dict[str, Cell]] = {
        record.image: {
            "image": record.image,
            "status": states.get(record.image, "earlier"),
            "width": record.width,
            "height": record.height,
            "quality": record.quality,
            "quality_reason": record.quality_reason,
            **record.anatomy,
            **record.signs,
            "doubts": " | ".join(record.doubts),
            "notes": " | ".join(record.notes),
            "settings": _short(record.settings),
            **record.identifiers,
            **{_count_column(row.lesion): row.regions for row in record.lesions},
        }
        for record in log.finished
    }
    for failure in log.rejected:
        rows[failure.image] = {
            "image": failure.image,
            "status": "rejected",
            "reason": failure.message,
            "quality": "reject",
        }
    for failure in log.failures:
        rows[failure.image] = {
            "image": failure.image,
            "status": "failed",
            "reason": failure.message,
        }
    return [row for _, row in sorted(rows.items())]


def _count_column(lesion: str) -> str:
    return f"{lesion} (regions)"


def _short(digest: str) -> str:
    return digest[:8]


def _package_version(package: str) -> str | None:
    """Version of an installed package, without importing it; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
