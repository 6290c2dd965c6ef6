"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tp_drseg.errors import OutputError

_PREFIX, _SUFFIX = ".tp-drseg-", ".tmp"
_ADVICE = {
    errno.ENOSPC: "the disk is full: make room or choose another place, then run again",
    errno.EDQUOT: "the disk quota is used up: make room or choose another place, then run again",
    errno.EACCES: "permission denied: choose a place where you may write",
    errno.EPERM: "permission denied: choose a place where you may write",
    errno.EROFS: "the disk is read-only: choose another place",
    errno.ENAMETOOLONG: "the name is too long for this disk: choose a shorter path",
    errno.EISDIR: "a folder of that name is in the way: remove it or choose another name",
    errno.ENOTDIR: "part of the path is a file, not a folder: choose another place",
    errno.EEXIST: "a file of that name is in the way: remove it or choose another name",
}


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """The typed error for a path that the system refused to write, with what to do about it."""
    reason = _ADVICE.get(error.errno or 0) or error.strerror or str(error)
    return OutputError(f"cannot write {os.fspath(path)}: {reason}")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, if they are not there yet.

    Raises:
        OutputError: The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes its name only once it is whole and on the disk.

    The bytes go to a hidden file in the same folder, which replaces ``path`` when the block ends.
    If the block raises, nothing of it stays and an older ``path`` is left as it was.

    Args:
        path: The file to write; its folder is made if needed.

    Raises:
        OutputError: The file cannot be written (disk full, no permission, a folder in the way).
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.parent / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the call whose atomicity we rely on
    except OutputError:
        raise
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whose content is known, whole or not at all; see `atomic_write`.

    Whatever an encoder makes of a short write, these bytes are either all there or the call fails.
    """
    with atomic_write(path) as file:
        file.write(data)
        file.flush()
        if (size := os.fstat(file.fileno()).st_size) != len(data):
            raise OSError(errno.EIO, f"{size} of {len(data)} bytes were written")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all; see :func:`atomic_write`.

    File names that are not valid Unicode keep their bytes.
    """
    write_bytes(path, text.encode("utf-8", errors="surrogateescape"))


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file, whole or not at all; see :func:`atomic_write`."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def remove_leftovers(folder: Path) -> None:
    """Remove the hidden files that a killed run left in this folder (not in its sub-folders).

    Raises:
        OutputError: Such a file cannot be removed.
    """
    for temporary in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            temporary.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(temporary, error) from error
