"""Start-up: each command in processes of its own, taking turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

COMMANDS = {
    "help": ["-m", "tp_drseg", "--help"],
    "typer": ["-c", "import typer"],
    "package": ["-c", "import tp_drseg"],
    "load": [
        "-c",
        "from tp_drseg import TPDRSeg; TPDRSeg.from_pretrained(device='cpu')",
    ],
    "libraries": ["-c", "import torch, open_clip"],
}


def startup(runs: int) -> dict[str, Any]:
    """Return the median seconds of each command; the first turn, from a cold disk, is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(runs + 1):
        for name, words in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return {
        "runs": runs,
        "seconds": medians,
        "help_over_typer": medians["help"] / medians["typer"],
        "load_over_libraries": medians["load"] / medians["libraries"],
    }
