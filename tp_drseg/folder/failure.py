"""What could not be done, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Failure:
    """One photograph, or one folder of the input, that gave no results.

    Attributes:
        image: What its results would be called under the output folder.
        source: Its absolute path.
        error: Type of the error.
        message: What it said; never empty.
    """

    image: str
    source: str
    error: str
    message: str

    @classmethod
    def of(cls, image: str, source: Path, error: BaseException) -> Failure:
        """Return the failure that an error is for a photograph."""
        return cls(image, str(source), type(error).__name__, reason_of(error))


def reason_of(error: BaseException) -> str:
    """Return what an error says, or its type where it says nothing."""
    kind = type(error).__name__
    if isinstance(error, MemoryError):
        return f"There is not enough memory ({str(error).strip() or kind})."
    return str(error).strip() or f"{kind}, without a reason."
