"""The bytes of a file, read once: what is decoded is what is hashed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from tp_drseg._runtime.text_file import READ_FLAGS
from tp_drseg.errors import ImageError


@dataclass(frozen=True, eq=False)
class FileBytes:
    """What a file held when it was read.

    Attributes:
        data: Its bytes.
        name: What messages call it, such as ``The photograph '/data/a.jpg'``.
    """

    data: bytes = field(repr=False)
    name: str

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def read_file(
    path: str | os.PathLike[str], limit: int | None = None, *, what: str = "file"
) -> FileBytes:
    """Read a regular file, whole.

    Args:
        path: Where it is. A pipe, a socket or a device is refused without waiting for it.
        limit: The most bytes that it may have; no limit by default.
        what: What messages call it: ``"photograph"``, ``"mask"``.

    Returns:
        Its bytes, and what to call it.

    Raises:
        ImageError: It does not exist, is no regular file, is empty or too large, or may not be
            read.
    """
    with _opened(path, limit, what) as (file, size, name):
        data = file.read(size + 1)  # of a file that grows no more than this
    return _checked(data, name, limit)


def hash_file(path: str | os.PathLike[str], limit: int | None = None, *, what: str = "file") -> str:
    """Return the SHA-256 of a regular file's bytes, in hexadecimal, which are not kept.

    Args:
        path: As for `read_file`.
        limit: As there.
        what: As there.

    Raises:
        ImageError: As there, but for a file that is empty.
    """
    with _opened(path, limit, what) as (file, _, _):
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(
    path: str | os.PathLike[str], limit: int | None, what: str
) -> Iterator[tuple[BufferedReader, int, str]]:
    """Open a regular file of a size that is allowed; what goes wrong is an `ImageError`.

    Yields:
        The file, its size, and what messages call it.
    """
    location = os.fsdecode(path)
    name = f"The {what} '{location}'"
    if not location.strip():
        raise ImageError(f"The path of the {what} is empty. Give the path of a file.")
    try:
        descriptor = os.open(location, READ_FLAGS)
        try:
            status = os.fstat(descriptor)
            _refuse_other_kinds(status, name, limit)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                yield file, status.st_size, name
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        hint = " Download it first: addresses are not fetched." if "://" in location else ""
        raise ImageError(f"{name} does not exist.{hint or ' Check the path.'}") from error
    except PermissionError as error:
        if Path(location).is_dir():  # as which Windows refuses a folder
            raise ImageError(_is_folder(name)) from error
        raise ImageError(f"{name} may not be read (no permission). Check its rights.") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        if isinstance(error, ImageError):
            raise
        if isinstance(error, OSError) and error.errno in {errno.ENXIO, errno.EOPNOTSUPP}:
            raise ImageError(_is_no_file(name)) from error  # a socket
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ImageError(f"{name} cannot be opened ({reason}). Check the path.") from error
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into the memory. Make it smaller.") from error


def read_stream(stream: BinaryIO, limit: int | None = None, *, what: str = "file") -> FileBytes:
    """Read an open binary file from where it stands to its end; it is left open.

    Args:
        stream: The file.
        limit: The most bytes that it may have from there on; no limit by default.
        what: What messages call it.

    Returns:
        The bytes, and what to call them.

    Raises:
        ImageError: It holds text, holds nothing more, is too large, or cannot be read.
    """
    own = getattr(stream, "name", None)
    name = f"The open {what} '{own}'" if isinstance(own, str) else f"The open {what}"
    try:
        data = stream.read(-1 if limit is None else limit + 1)
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into the memory. Make it smaller.") from error
    except Exception as error:  # it is closed; others' streams raise what they like
        raise ImageError(f"{name} cannot be read ({error}). Open it anew.") from error
    if not isinstance(data, bytes | bytearray):
        raise ImageError(f"{name} is open as text. Open it in binary mode, 'rb'.")
    return _checked(bytes(data), name, limit)


def _refuse_other_kinds(status: os.stat_result, name: str, limit: int | None) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(_is_folder(name))
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(_is_no_file(name))
    if limit is not None and status.st_size > limit:
        raise ImageError(_too_large(name, status.st_size, limit))


def _checked(data: bytes, name: str, limit: int | None) -> FileBytes:
    if not data:
        raise ImageError(f"{name} is empty (0 bytes). Copy or download it again.")
    if limit is not None and len(data) > limit:
        raise ImageError(_too_large(name, len(data), limit))
    return FileBytes(data, name)


def _is_folder(name: str) -> str:
    return f"{name} is a folder. Give the path of one file."


def _is_no_file(name: str) -> str:
    return f"{name} is not a regular file. Give the path of an image file."


def _too_large(name: str, size: int, limit: int) -> str:
    return (
        f"{name} has {size} bytes or more, and at most {limit} are read. Make it smaller, or raise "
        "max_pixels if you trust it."
    )
