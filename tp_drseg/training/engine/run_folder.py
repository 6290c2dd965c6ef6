"""The folder of a run: one process tree at a time, and nothing half written left in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tp_drseg._runtime.files import make_folder, output_error, remove_leftovers
from tp_drseg.errors import TrainingError


@contextmanager
def run_folder(folder: Path) -> Iterator[None]:
    """Hold a run's folder, and clear it of what a killed run left half written.

    The process that holds it may enter it again.

    Raises:
        TrainingError: Another run is writing into it.
        OutputError: It cannot be written.
    """
    make_folder(folder)
    lock = FileLock(folder / ".lock", is_singleton=True, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(
            f"Another run is writing into {folder}. Wait for its end, or choose another folder."
        ) from error
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            remove_leftovers(place)
        yield
    finally:
        lock.release()
