"""Which photographs are whose, where several reviewers share a folder, and who is there."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from tp_drseg._runtime.confined import STATE_FOLDER, confined
from tp_drseg._runtime.files import make_folder, output_error
from tp_drseg.errors import ConfigError, OutputError

_LOCK: Final = re.compile(r"(\d{1,3})-of-(\d{1,3})\.lock")
_MOST: Final = 100
_PATIENCE: Final = 10.0  # s, while another one looks around


@dataclass(frozen=True)
class Part:
    """One reviewer's part of a folder: `number` of `of`, counted from 1.

    A photograph's part is told by its name alone, so that it stays the same when others join.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Part:
        """Return the part that a text such as `2/3` names.

        Raises:
            ConfigError: It names none.
        """
        found = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
        part = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= part.number <= part.of <= _MOST:
            raise ConfigError(f"A part is written 1/2 or 2/2, up to {_MOST}; got {text!r}.")
        return part

    def has(self, image: str) -> bool:
        """Tell whether a photograph is in this part."""
        digest = hashlib.sha256(image.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1

    def overlaps(self, other: Part) -> bool:
        """Tell whether some photograph could be in both."""
        return (self.number - other.number) % math.gcd(self.of, other.of) == 0

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@contextmanager
def claim(out: Path, part: Part) -> Iterator[Part | None]:
    """Hold a part of a folder, so that no second reviewer writes there.

    Yields:
        None where it is held; else the part of somebody who is there already.

    Raises:
        OutputError: The folder cannot be written.
    """
    try:
        folder = confined(out, f"{STATE_FOLDER}/reviewers/lock").parent
        make_folder(folder)
        with FileLock(folder / "door.lock", timeout=_PATIENCE):
            other = _somebody(folder, part)
            own = None if other else FileLock(folder / f"{part.number}-of-{part.of}.lock")
            if own is not None:
                own.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"{folder} is locked by another program. Try again.") from None
    except OutputError:
        raise
    except OSError as error:
        raise output_error(out, error) from error
    try:
        yield other
    finally:
        if own is not None:
            own.release()


def _somebody(folder: Path, part: Part) -> Part | None:
    """Return a part that is held and has photographs in common with this one."""
    for path in sorted(folder.iterdir()):
        found = _LOCK.fullmatch(path.name)
        if found is None or path.is_symlink():
            continue
        other = Part(*map(int, found.groups()))
        if not (1 <= other.number <= other.of <= _MOST and part.overlaps(other)):
            continue
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return other
        lock.release()
    return None
