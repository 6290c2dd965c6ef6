"""The records of an output folder, and the files that they vouch for.

A record lies in `<out>/.tp-drseg/images/`, one for each photograph. It is written twice: before the
photograph's files, with the hash of each, and after them, as complete. So a run may be killed at
any moment: a photograph with a complete record is done, and every file that this package has
written, or was about to, is known by its hash. Nothing else is ever removed or replaced.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout
from pydantic import ValidationError

from tp_drseg._runtime.confined import STATE_FOLDER, confined, read_regular
from tp_drseg._runtime.files import (
    make_folder,
    output_error,
    remove_leftovers,
    set_aside,
    write_bytes,
)
from tp_drseg._runtime.json_text import parse_json
from tp_drseg.errors import OutputError
from tp_drseg.folder.record import ImageRecord, WrittenFile

logger = logging.getLogger(__name__)

_LARGEST_RECORD: Final = 8 << 20  # bytes


class RecordStore:
    """The records of one output folder; it holds none of them, so any process may have one.

    Attributes:
        out: The output folder.
        folder: Where the records lie.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / STATE_FOLDER / "images"
        self._place = _identity(self.folder)

    def read_all(self) -> dict[str, ImageRecord]:
        """Read all records, by the photograph's name; what is damaged is named and left out."""
        found = {}
        for path in self.paths():
            try:
                record = self.read(path)
            except ValueError as error:
                logger.warning("%s: %s The photograph is done again.", path, error)
            else:
                found[record.image] = record
        return found

    def paths(self) -> list[Path]:
        """Return where the records lie."""
        return sorted(self.folder.glob("*.json"))

    def read(self, path: Path) -> ImageRecord:
        """Read one record.

        Raises:
            ValueError: It is damaged, or not the record of the photograph that it is named after.
        """
        try:
            text = read_regular(path, _LARGEST_RECORD).decode("utf-8")
            plain = parse_json(text, "it", error=OutputError)
            record = ImageRecord.model_validate_json(json.dumps(plain))
        except (UnicodeDecodeError, OutputError) as error:
            raise ValueError(f"The record is damaged ({str(error).rstrip('.')}).") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise ValueError(f"The record is damaged ({place}: {first['msg']}).") from error
        except OSError as error:
            raise ValueError(f"The record is damaged ({error.strerror or error}).") from error
        if path != self._path(record.image):
            raise ValueError("The record is damaged (it has another photograph's name).")
        return record

    def is_whole(self, record: ImageRecord) -> bool:
        """Tell whether all files of a finished photograph are there, at their size."""
        return record.is_complete and all(
            self.status(file) == file.size and _is_below(self.out, file.name)
            for file in record.files
        )

    def status(self, file: WrittenFile) -> int | None:
        """Return the size of a file in bytes; None where there is no regular file."""
        try:
            found = (self.out / file.name).lstat()
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def replace(
        self, record: ImageRecord, contents: Mapping[str, bytes], earlier: ImageRecord | None
    ) -> ImageRecord:
        """Write the files of a photograph in place of those of an earlier record, then its record.

        Args:
            record: What is to be kept; its `files` are taken from `contents`.
            contents: The bytes of each file, by its name under the output folder.
            earlier: What is there already, if it is known.

        Returns:
            The complete record.

        Raises:
            OutputError: A file cannot be written or removed.
        """
        new = tuple(describe(name, data) for name, data in contents.items())
        known = (*(earlier.files if earlier else ()), *new)
        self._write(record.model_copy(update={"is_complete": False, "files": known}))
        self._remove([file for file in known if file.name not in contents])
        for name, data in contents.items():
            path = confined(self.out, name)
            self._set_aside(path, [file for file in known if file.name == name])
            write_bytes(path, data)
        complete = record.model_copy(update={"is_complete": True, "files": new})
        self._write(complete)
        return complete

    def discard(self, record: ImageRecord) -> None:
        """Remove what a record vouches for, the record last.

        Raises:
            OutputError: A file cannot be removed.
        """
        if record.is_complete:
            self._write(record.model_copy(update={"is_complete": False}))
        self._remove(record.files)
        _unlink(self._path(record.image))

    def check(self) -> None:
        """Make sure that the output folder is still the one that the run began with.

        Raises:
            OutputError: It was removed or replaced.
        """
        if _identity(self.folder) != self._place:
            raise OutputError(
                f"{self.out} was removed or replaced while the run was going on. "
                "Run again: what is missing is done."
            )

    def probe(self) -> None:
        """Make sure that the output folder is still there and can be written.

        Raises:
            OutputError: It is not, or it cannot.
        """
        self.check()
        for folder in (self.out, self.folder):
            path = folder / f".tp-drseg-{0:016x}.tmp"  # as what a killed run leaves half written
            write_bytes(path, b"")
            _unlink(path)

    def _remove(self, files: Sequence[WrittenFile]) -> None:
        for name in {file.name for file in files}:
            path = confined(self.out, name)
            if not os.path.lexists(path):
                continue
            if _is_one_of(path, [file for file in files if file.name == name]):
                _unlink(path)
            else:
                logger.warning("%s was changed since it was written; it is left.", path)

    def _set_aside(self, path: Path, known: Sequence[WrittenFile]) -> None:
        """Keep under another name what is in the way and was not written by this package."""
        if path.is_file() and not _is_one_of(path, known):  # a folder the system refuses
            set_aside(path)

    def _write(self, record: ImageRecord) -> None:
        write_bytes(self._path(record.image), record.model_dump_json(indent=1).encode())

    def _path(self, image: str) -> Path:
        return self.folder / f"{hashlib.sha256(image.encode()).hexdigest()[:32]}.json"


@contextmanager
def open_store(out: Path) -> Iterator[RecordStore]:
    """Open the records of an output folder for one run, which alone may write there meanwhile.

    Makes the folder if needed, and removes what a killed run left half written.

    Raises:
        OutputError: The folder cannot be written, or another run is writing into it.
    """
    state = out / STATE_FOLDER
    for folder in (state, state / "images"):
        if folder.is_symlink():
            raise OutputError(f"{folder} is a link. Remove it, or choose another output folder.")
    make_folder(state / "images")
    path = state / "lock"
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise OutputError(f"{path} is no regular file. Remove it, then run again.")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"Another run is writing into {out}. Wait for its end or choose another folder."
        ) from None
    except OSError as error:
        raise output_error(path, error) from error
    try:
        store = RecordStore(out)
        remove_leftovers(store.folder)
        yield store
    finally:
        lock.release()


def describe(name: str, data: bytes) -> WrittenFile:
    """Return what a record says of a file with these bytes."""
    return WrittenFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _is_below(out: Path, name: str) -> bool:
    try:
        confined(out, name)
    except OutputError:
        return False
    return True


def _is_one_of(path: Path, known: Sequence[WrittenFile]) -> bool:
    """Whether a file's bytes are those of one that this package has written."""
    try:
        size = path.lstat().st_size
        known = [file for file in known if file.size == size]
        if not known:
            return False
        digest = hashlib.sha256(read_regular(path, size)).hexdigest()
    except OSError:
        return False
    return any(file.sha256 == digest for file in known)


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
