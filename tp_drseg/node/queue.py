"""The queue of a node, on the disk: it survives its process being killed at any moment.

`incoming/` holds photographs, `outgoing/` a folder of results for each photograph that is done,
`failed/` what could not be read, with the reason. A name is a hash of the photograph's bytes: it
tells nothing of the patient, and a photograph that is sent twice waits once. Each step ends with
one rename, and what it leaves behind when it is cut is done again or removed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from tp_drseg._runtime.files import (
    make_folder,
    output_error,
    remove_leftovers,
    write_bytes,
    write_text,
)
from tp_drseg.errors import OutputError

_PHOTOGRAPH: Final = ".dcm"
_TRIED: Final = ".tried"
_REASON: Final = ".txt"
_HALF: Final = ".half-"


class Queue:
    """What waits, what is to be sent, and what failed.

    Args:
        folder: Where it lies; made if needed, for its owner alone, since it names patients.

    Raises:
        OutputError: The folder cannot be made or read, or another process has it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming, self.outgoing = folder / "incoming", folder / "outgoing"
        self.failed = folder / "failed"
        for one in (self.incoming, self.outgoing, self.failed):
            make_folder(one)
        self._lock = FileLock(folder / "lock")
        try:
            folder.chmod(0o700)
            self._lock.acquire(timeout=0)
            for half in self.outgoing.glob(f"{_HALF}*"):
                shutil.rmtree(half)
        except Timeout:
            raise OutputError(
                f"Another node uses {folder}. End it, or give this one another folder."
            ) from None
        except OSError as error:
            raise output_error(folder, error) from error
        for one in (self.incoming, self.outgoing, self.failed):
            remove_leftovers(one)

    def __len__(self) -> int:
        """Return how many photographs wait."""
        return sum(1 for _ in self.incoming.glob(f"*{_PHOTOGRAPH}"))

    def close(self) -> None:
        """Let another process have it."""
        self._lock.release()

    def put(self, data: bytes) -> str:
        """Keep a photograph; when this returns, it is on the disk.

        Returns:
            Its name in the queue.

        Raises:
            OutputError: It cannot be written.
        """
        name = hashlib.sha256(data).hexdigest()[:32]
        write_bytes(self.incoming / f"{name}{_PHOTOGRAPH}", data)
        return name

    def next(self) -> str | None:
        """Return the photograph of the fewest tries that waits longest; None where none does.

        So one that ends the process each time keeps no other from its turn.
        """
        waiting = [
            (self._tried(path.stem), path.stat().st_mtime_ns, path.stem)
            for path in self.incoming.glob(f"*{_PHOTOGRAPH}")
        ]
        return min(waiting)[2] if waiting else None

    def path(self, name: str) -> Path:
        """Return where a photograph waits."""
        return self.incoming / f"{name}{_PHOTOGRAPH}"

    def try_once_more(self, name: str) -> int:
        """Note that a photograph is begun; returns how often it was, this time included."""
        tried = self._tried(name) + 1
        write_bytes(self.incoming / f"{name}{_TRIED}", bytes(tried))
        return tried

    def is_done(self, name: str) -> bool:
        """Tell whether a photograph's results are there to be sent: its process was cut then."""
        return (self.outgoing / name).is_dir()

    def finish(self, name: str, results: Mapping[str, bytes]) -> None:
        """Keep the results of a photograph, all or none, and let it go.

        Args:
            name: The photograph's.
            results: Bytes by file name.

        Raises:
            OutputError: They cannot be written.
        """
        if not self.is_done(name):
            half = self.outgoing / f"{_HALF}{secrets.token_hex(8)}"
            for file, data in results.items():
                write_bytes(half / file, data)
            try:
                half.rename(self.outgoing / name)
            except OSError as error:
                raise output_error(self.outgoing / name, error) from error
        self._let_go(name)

    def fail(self, name: str, reason: str) -> None:
        """Put a photograph aside, with the reason.

        Raises:
            OutputError: It cannot be moved.
        """
        write_text(self.failed / f"{name}{_REASON}", f"{reason}\n")
        try:
            self.path(name).replace(self.failed / f"{name}{_PHOTOGRAPH}")
        except OSError as error:
            raise output_error(self.failed / name, error) from error
        self._let_go(name)

    def to_send(self) -> list[tuple[str, list[Path]]]:
        """Return the photographs whose results are to be sent, and their files in order."""
        jobs = sorted(
            (path for path in self.outgoing.iterdir() if not path.name.startswith(_HALF)),
            key=lambda path: path.stat().st_mtime_ns,
        )
        return [(job.name, sorted(job.iterdir())) for job in jobs]

    def sent(self, name: str) -> None:
        """Remove the results of a photograph, which are at their destination."""
        gone = self.outgoing / f"{_HALF}{secrets.token_hex(8)}"
        try:
            (self.outgoing / name).rename(gone)  # at once, so that no part is sent again
            shutil.rmtree(gone)
        except OSError as error:
            raise output_error(gone, error) from error

    def free_bytes(self) -> int:
        """Return how much room the disk has."""
        return shutil.disk_usage(self.folder).free

    def _tried(self, name: str) -> int:
        try:
            return (self.incoming / f"{name}{_TRIED}").stat().st_size
        except FileNotFoundError:
            return 0

    def _let_go(self, name: str) -> None:
        for path in (self.path(name), self.incoming / f"{name}{_TRIED}"):
            try:
                os.unlink(path)  # noqa: PTH108 - no look at what it is
            except FileNotFoundError:
                continue
            except OSError as error:
                raise output_error(path, error) from error
