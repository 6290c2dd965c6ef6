"""Where the library's log lines go when it runs as a command: to stderr, around a progress bar."""

from __future__ import annotations

import logging


class _TqdmHandler(logging.Handler):
    """Writes to stderr without breaking a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        import sys

        from tqdm import tqdm

        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


def set_level(level: int) -> None:
    """Show the package's log lines from this level on."""
    logger = logging.getLogger("tp_drseg")
    if not any(isinstance(handler, _TqdmHandler) for handler in logger.handlers):
        handler = _TqdmHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    logger.setLevel(level)
