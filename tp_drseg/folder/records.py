"""What a folder run has finished: one small file an image, in ``<out>/.tp-drseg/``.

A record is written last, when all files of its image are whole, and removed first, before any of
them is touched again. So a run may be killed at any moment: an image with a record is done, one
without is not, and the tables are made again from the records.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from tp_drseg._runtime.files import make_folder, output_error, remove_leftovers, write_json
from tp_drseg.errors import OutputError
from tp_drseg.export.csv import COLUMNS

logger = logging.getLogger(__name__)

STATE_FOLDER = ".tp-drseg"


@dataclass(frozen=True)
class ImageRecord:
    """One finished image.

    Attributes:
        image: Its name under the output folder, with forward slashes.
        source: Absolute path of the photograph.
        sha256: Hash of the photograph's bytes.
        settings: Hash of the settings it was segmented with.
        files: Paths under the output folder, with the size of each in bytes.
        rows: Its lines of ``lesions.csv``, one a lesion.
        warnings: What was odd about the photograph.
        seconds: Time taken.
        finished: When, in ISO 8601, UTC.
    """

    image: str
    source: str
    sha256: str
    settings: str
    files: dict[str, int]
    rows: list[dict[str, Any]]
    warnings: list[str]
    seconds: float
    finished: str


class RecordStore:
    """The records of one output folder.

    Attributes:
        out: The output folder.
        records: The finished images, by name.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.records: dict[str, ImageRecord] = {}
        self._folder = out / STATE_FOLDER / "images"
        for path in sorted(self._folder.glob("*.json")):
            if (record := _read(path)) is not None:
                self.records[record.image] = record

    def is_whole(self, record: ImageRecord) -> bool:
        """Whether all files of a finished image are still there, at their size."""
        return all(_size(self.out / name) == size for name, size in record.files.items())

    def discard(self, image: str) -> None:
        """Forget an image and remove its files, the record first.

        Raises:
            OutputError: A file cannot be removed.
        """
        record = self.records.pop(image, None)
        if record is None:
            return
        for path in (self._path(image), *(self.out / name for name in record.files)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise output_error(path, error) from error

    def finish(self, record: ImageRecord) -> None:
        """Keep the record of an image whose files are all written.

        Raises:
            OutputError: The record cannot be written.
        """
        write_json(self._path(record.image), asdict(record))
        self.records[record.image] = record

    def _path(self, image: str) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(image)).hexdigest()[:32]}.json"


@contextmanager
def open_store(out: Path) -> Iterator[RecordStore]:
    """Open the records of an output folder for one run, which alone may write there meanwhile.

    Makes the folder if needed, and removes what a killed run left half written.

    Raises:
        OutputError: The folder cannot be written, or another run is writing into it.
    """
    state = out / STATE_FOLDER
    make_folder(state / "images")
    lock = FileLock(state / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"another run is writing into {out}: wait for its end or choose another folder"
        ) from None
    except OSError as error:
        raise output_error(state / "lock", error) from error
    try:
        store = RecordStore(out)
        remove_leftovers(state / "images")
        yield store
    finally:
        lock.release()


def file_sizes(out: Path, names: Sequence[str]) -> dict[str, int]:
    """Size in bytes of each of these files under the output folder."""
    return {name: (out / name).stat().st_size for name in names}


def _read(path: Path) -> ImageRecord | None:
    """A record, or None with a warning where the file is none: its image is done again."""
    try:
        record = ImageRecord(**json.loads(path.read_bytes()))
        valid = all(_is_inside(name) for name in record.files)
        valid = valid and all(row.keys() == set(COLUMNS) for row in record.rows)
    except (OSError, ValueError, TypeError, AttributeError):
        valid = False
    if not valid:
        logger.warning("%s is not a record of a finished image; it is ignored", path)
        return None
    return record


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
