"""Small text files from outside, read whole: bounded in size, and never waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tp_drseg.errors import ConfigError, TPDRSegError

# A pipe or a device must not hold the open up; Windows would translate line ends.
READ_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_text(path: Path, limit: int, *, error: type[TPDRSegError] = ConfigError) -> str:
    """Return what a text file in UTF-8 holds; a byte order mark at its beginning is left out.

    Args:
        path: The file.
        limit: The most bytes that it may have.
        error: The class of what is raised.

    Raises:
        TPDRSegError: The file is missing, no regular file, too large or no UTF-8; of the class
            `error`.
    """
    try:
        with open(os.open(path, READ_FLAGS), "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise error(f"{path} cannot be read: it is not a regular file.")
            content = file.read(limit + 1)
    except (OSError, ValueError) as cause:  # ValueError: a null byte in the path
        if isinstance(cause, error):
            raise
        reason = (isinstance(cause, OSError) and cause.strerror) or cause
        raise error(f"{path} cannot be read: {reason}. Check the path.") from cause
    if len(content) > limit:
        raise error(f"{path} is larger than {limit:,} bytes, the most that is read.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = 1 + content[: cause.start].count(b"\n")
        raise error(f"{path}, line {line}, is not UTF-8. Save it as UTF-8.") from cause
