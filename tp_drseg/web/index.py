"""What there is to review: the photographs of a results folder, by ids that are no paths."""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tp_drseg.corrections.record import Review
from tp_drseg.corrections.store import CorrectionStore
from tp_drseg.errors import OutputError
from tp_drseg.folder.names import MASK
from tp_drseg.folder.record import ImageRecord, WrittenFile, thumbnail_name
from tp_drseg.folder.store import RecordStore

logger = logging.getLogger(__name__)

_ID_LENGTH: Final = 32


@dataclass(frozen=True)
class Entry:
    """One photograph.

    Attributes:
        id: What requests call it.
        record: What the run says of it.
        labels: What each of the record's lesions is called in file names.
        masks: The file of each of these lesions' masks.
    """

    id: str
    record: ImageRecord
    labels: tuple[str, ...]
    masks: tuple[WrittenFile, ...]

    @classmethod
    def of(cls, record: ImageRecord) -> Entry:
        """Return the entry of a record.

        Raises:
            ValueError: It has not one mask for each lesion.
        """
        masks = tuple(file for file in record.files if file.name.endswith(MASK))
        if len(masks) != len(record.lesions):
            raise ValueError(f"It has {len(masks)} masks of {len(record.lesions)} lesions.")
        start = len(record.image) + 1
        labels = tuple(file.name[start : -len(MASK)] for file in masks)
        digest = hashlib.sha256(record.image.encode()).hexdigest()
        return cls(digest[:_ID_LENGTH], record, labels, masks)

    @property
    def thumbnail(self) -> WrittenFile | None:
        """The file of its small picture."""
        name = thumbnail_name(self.record.image)
        return next((file for file in self.record.files if file.name == name), None)


class Index:
    """The photographs of a results folder; any thread may ask.

    Args:
        out: The results folder.
        max_pixels: The most pixels that a photograph may have; larger ones are left out.

    Raises:
        OutputError: It holds no results.
    """

    def __init__(self, out: Path, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self.records, self.corrections = RecordStore(out), CorrectionStore(out)
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[tuple[int, int], Entry | None]] = {}
        if not self.entries():
            raise OutputError(
                f"{out} holds no finished results. Give the folder of `tp-drseg segment --out`."
            )

    def entries(self) -> dict[str, Entry]:
        """Return all photographs with whole results by id, in the order of their names."""
        with self._lock:
            seen = {path: self._entry(path) for path in self.records.paths()}
            self._known = {path: self._known[path] for path in seen if path in self._known}
        found = sorted((e for e in seen.values() if e), key=lambda entry: entry.record.image)
        return {entry.id: entry for entry in found}

    def entry(self, id: str) -> Entry | None:
        """Return one photograph as its record says now; None where no record has that id."""
        with self._lock:
            known = ((path, e) for path, (_, e) in self._known.items() if e is not None)
            path = next((path for path, entry in known if entry.id == id), None)
            found = None if path is None else self._entry(path)
        return found or self.entries().get(id)

    def review(self, entry: Entry) -> Review | None:
        """Return the review of a photograph; one that is damaged is named in the log.

        A review of other bytes under the same name does not count.
        """
        try:
            review = self.corrections.read(entry.record.image)
        except (ValueError, OutputError) as error:
            logger.warning("A review is left out: %s", error)
            return None
        if review is None or review.sha256 != entry.record.sha256:
            return None
        size = (entry.record.width, entry.record.height)
        return review if (review.width, review.height) == size else None

    def _entry(self, path: Path) -> Entry | None:
        """Read a record, or take it as it was if the file is the same."""
        try:
            found = path.stat()
        except OSError:
            self._known.pop(path, None)
            return None
        stamp = (found.st_mtime_ns, found.st_ino)
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            record = self.records.read(path)
            if record.width * record.height > self._max_pixels:
                raise ValueError(f"{record.image} is too large: --max-pixels admits it.")
            entry = Entry.of(record) if record.is_complete else None
        except ValueError as error:
            logger.warning("A record is left out: %s", error)
            entry = None
        self._known[path] = (stamp, entry)
        return entry
