"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from tp_drseg._runtime.text import valid
from tp_drseg.errors import OutputError

logger = logging.getLogger(__name__)

_IS_WINDOWS: Final = os.name == "nt"
_LEFTOVER: Final = re.compile(r"\.tp-drseg-[0-9a-f]+\.tmp")
_DENIED: Final = (
    "permission is denied, or it is open in another program. Choose a place where you may write, "
    "or close that program"
)
_ADVICE: Final = {
    errno.ENOSPC: "the disk is full. Make room or choose another place, then run again",
    errno.EDQUOT: "the disk quota is used up. Make room or choose another place, then run again",
    errno.EFBIG: "it is larger than a file may be here (`ulimit -f`). Raise that limit",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: "the disk is read-only. Choose another place",
    errno.ENAMETOOLONG: "the name is too long for this disk. Choose a shorter path",
    errno.EISDIR: "a folder of that name is in the way. Remove it or choose another name",
    errno.ENOTDIR: "part of the path is a file, not a folder. Choose another place",
    errno.EEXIST: "a file of that name is in the way. Remove it or choose another name",
}
# Windows refuses to replace a file while a virus scanner or an indexer reads it: for moments.
_PAUSES: Final = (0.01, 0.03, 0.1, 0.3, 1.0) if _IS_WINDOWS else ()
_LONGEST_ON_WINDOWS: Final = 259


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """Return the typed error for a path that the system refused to write, with what to do."""
    reason = _ADVICE.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
    length = len(os.path.abspath(path))  # noqa: PTH100 - no look at the disk
    if _IS_WINDOWS and length > _LONGEST_ON_WINDOWS:  # which calls it a path that is not there
        reason = (
            f"its path has {length} letters, and Windows may take no more than "
            f"{_LONGEST_ON_WINDOWS}. Choose a shorter one, or switch long paths on in Windows"
        )
    return OutputError(f"{os.fspath(path)} cannot be written: {reason.rstrip('.')}.")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, if they are not there yet.

    Raises:
        OutputError: The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a folder; one that no system takes, such as one too long, is none."""
    return os.path.isdir(path)  # noqa: PTH112 - `Path.is_dir` raises for some


def is_file(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a regular file; one that no system takes is none."""
    return os.path.isfile(path)  # noqa: PTH113 - `Path.is_file` raises for some


def check_folder(folder: Path) -> None:
    """Refuse an output folder that can be seen to be not writable; nothing is made.

    Raises:
        OutputError: It is a file, lies below a file, or may not be written.
    """
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except (OSError, ValueError) as error:  # it may not be entered, its name is too long, a NUL
        reason = error if isinstance(error, OSError) else OSError(str(error))
        raise output_error(folder, reason) from error
    if not existing.is_dir():
        raise OutputError(
            f"{folder} cannot be written: {existing} is a file, not a folder. "
            "Choose another folder."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            f"{folder} cannot be written: permission denied. Choose a folder where you may write."
        )


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes its name only once it is whole and on the disk.

    The bytes go to a hidden file in the same folder, which replaces `path` when the block ends.
    If the block raises, nothing of it stays and an older `path` is left as it was.

    Args:
        path: The file to write; its folder is made if needed.

    Raises:
        OutputError: The file cannot be written (disk full, no permission, a folder in the way).
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.parent / f".tp-drseg-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            stream = _Stream(file)
            yield cast(BinaryIO, stream)
            file.flush()
            if (size := os.fstat(file.fileno()).st_size) != stream.end:
                raise OSError(errno.EIO, f"{size} of {stream.end} bytes were written")
            os.fsync(file.fileno())
        _replace(temporary, path)
        _sync_folder(path.parent)
    except OutputError:
        raise
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


class _Stream(io.BufferedIOBase):
    """A file without a descriptor, which knows how far it was written.

    Given a descriptor, Pillow writes to it past Python and takes a short write for a whole one.

    Attributes:
        end: How many bytes the file must have.
    """

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self.end = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        written = self._file.write(data)
        self.end = max(self.end, self._file.tell())
        return written

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()


def _replace(source: Path, target: Path) -> None:
    for pause in (*_PAUSES, None):
        try:
            os.replace(source, target)  # noqa: PTH105 - the call whose atomicity we rely on
        except PermissionError:
            if pause is None or target.is_dir():
                raise
            time.sleep(pause)
        else:
            return


def _sync_folder(folder: Path) -> None:
    """Let a new name survive a power cut, where a folder can be asked for it."""
    if _IS_WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:  # network disks
            raise
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whose content is known, whole or not at all; see `atomic_write`."""
    with atomic_write(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all; see `atomic_write`.

    It is valid in any case: bytes of file names that are no Unicode become escapes, see `valid`.
    """
    write_bytes(path, valid(text).encode("utf-8"))


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file that every reader takes, whole or not at all; see `write_text`."""
    write_text(path, json.dumps(_valid_texts(data), indent=2, allow_nan=False) + "\n")


def _valid_texts(data: Any) -> Any:
    """Return data whose texts are Unicode: JSON could say half of a surrogate pair, none reads."""
    if isinstance(data, str):
        return valid(data)
    if isinstance(data, Mapping):
        return {_valid_texts(name): _valid_texts(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_valid_texts(item) for item in data]
    return data


def set_aside(path: Path) -> None:
    """Keep a file that this package has not written under another name, and say so.

    Raises:
        OutputError: It cannot be renamed.
    """
    kept = path.with_name(f"{path.name}.kept")
    number = 1
    while os.path.lexists(kept):
        number += 1
        kept = path.with_name(f"{path.name}.kept-{number}")
    try:
        path.rename(kept)
    except OSError as error:
        raise output_error(path, error) from error
    logger.warning(
        "%s was not written by this program, or changed since; it is now %s.", path, kept
    )


def remove_leftovers(folder: Path) -> None:
    """Remove the hidden files that a killed run left in this folder (not in its sub-folders).

    Raises:
        OutputError: Such a file cannot be removed.
    """
    for path in folder.glob(".tp-drseg-*.tmp"):
        # only what bears exactly our name, and nothing that can hold something of somebody else
        if not _LEFTOVER.fullmatch(path.name) or (path.is_dir() and not path.is_symlink()):
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(path, error) from error
