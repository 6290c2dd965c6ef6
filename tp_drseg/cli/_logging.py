"""Where log lines and warnings go when the library runs as a command: to stderr, one line each."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tp_drseg._runtime.text import one_line
from tp_drseg.errors import FundusWarning

_OTHERS = ("huggingface_hub", "urllib3", "httpx", "PIL")
"""Packages that log each retry of theirs; what comes of it is our error's one line."""

logger = logging.getLogger(__name__)


class _LineFormatter(logging.Formatter):
    """One line a record, whatever a name or a message in it holds."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = one_line(record.message)
        return super().formatMessage(record)


class _TqdmHandler(logging.Handler):
    """Writes to stderr without breaking a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        if sys.stderr is None:
            return
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except UnicodeEncodeError:
            text = self.format(record).encode("ascii", "backslashreplace").decode()
            tqdm.write(text, file=sys.stderr)
        except (OSError, ValueError):  # nobody reads any more
            pass


def set_level(level: int) -> None:
    """Show the package's log lines from this level on."""
    ours = logging.getLogger("tp_drseg")
    if not any(isinstance(handler, _TqdmHandler) for handler in ours.handlers):
        handler = _TqdmHandler()
        handler.setFormatter(_LineFormatter("%(levelname)s: %(message)s"))
        ours.addHandler(handler)
        ours.propagate = False
    ours.setLevel(level)
    for name in _OTHERS:
        logging.getLogger(name).setLevel(logging.DEBUG if level <= logging.DEBUG else logging.ERROR)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show a doubt about a photograph as one log line each time, and other packages' only on debug.

    Their warnings are about code that a user of a command cannot change.
    """

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, FundusWarning):
            logger.warning("%s", message)
        else:
            logger.debug("%s (%s:%d): %s", category.__name__, filename, lineno, message)

    with warnings.catch_warnings():
        warnings.simplefilter("always", FundusWarning)
        warnings.showwarning = show
        yield
