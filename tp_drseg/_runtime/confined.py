"""Names and files below an output folder, which somebody else may have made."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tp_drseg.errors import OutputError

STATE_FOLDER: Final = ".tp-drseg"
"""Where an output folder keeps what is for this package alone."""


def confined(out: Path, name: str) -> Path:
    """Return the path of a name below the output folder, links on the way looked through.

    Args:
        out: The output folder.
        name: Path below it, with forward slashes.

    Raises:
        OutputError: The name leads out of the folder, by `..`, as an absolute path or by a link.
    """
    # a backslash or a colon would mean something else to Windows' paths
    parts = name.split("/")
    if any(part in {"", ".", ".."} or set(part) & {"\\", ":", "\0"} for part in parts):
        raise OutputError(f"{name!r} is no name below {out}. Remove its record.")
    path = out.joinpath(*parts)
    try:
        is_inside = path.parent.resolve().is_relative_to(out.resolve())
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} cannot be written: {reason}. Give it a shorter name.") from error
    if not is_inside:
        raise OutputError(
            f"{path} leads out of {out} through a link. Remove the link or choose another folder."
        )
    return path


def read_regular(path: Path, largest: int) -> bytes:
    """Return the bytes of a regular file that is no link; a pipe is not waited for.

    Raises:
        OSError: It is missing, no regular file, a link, or has more than `largest` bytes.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, no path
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("It is no regular file")
        if found.st_size > largest:
            raise OSError(f"It has {found.st_size} bytes, more than {largest}")
        return file.read(largest + 1)
