"""The standard streams of a command's own process."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Let no text and no missing stream be the reason why a command fails.

    A stream that is closed (in a service, under `pythonw`, by `>&-`) becomes one that leads
    nowhere, and letters that a stream's encoding lacks are escaped.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # it takes the descriptor that is free, before some file does and is written into
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
