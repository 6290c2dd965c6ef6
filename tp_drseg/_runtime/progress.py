"""A progress bar that is never the reason why a run ends."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(total: int, *, shown: bool, unit: str = "image") -> tqdm[Any]:
    """Return a bar on the standard error, or one that shows nothing where there is none.

    Args:
        total: How often `update` will be called.
        shown: Whether to show it at all.
        unit: What is counted.
    """
    stream = sys.stderr
    return tqdm(
        total=total,
        unit=unit,
        disable=not shown or stream is None or stream.closed,
        file=_Tolerant(stream),
    )


class _Tolerant:
    """A stream that is given up when it cannot be written: closed, or a pipe that nobody reads."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
        except (OSError, ValueError):
            self._stream = None

    def flush(self) -> None:
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
