"""A folder of photographs: wall time beside the model's own time, and memory as it goes on."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.memory import PeakMemory
from benchmarks.harness.processes import in_fresh_process
from benchmarks.harness.setting import Setting, load_ours, timed

LESIONS = 4
"""Masks that are written for each photograph."""

PAUSE = 0.05
"""Seconds between two looks at the output folder."""


def folder_speed(setting: Setting, photographs: Sequence[Path], count: int) -> dict[str, Any]:
    """Run the folder, and, by themselves, each photograph of it.

    Args:
        setting: how to run it.
        photographs: are repeated until there are `count`.
        count: how many photographs the folder shall have.
    """
    alone = in_fresh_process(model_seconds, setting, list(photographs))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "in"
        folder.mkdir()
        for number in range(count):
            source = photographs[number % len(photographs)]
            # a folder run takes two links to one file for one photograph
            shutil.copyfile(source, folder / f"{number:04}_{source.name}")
        found = run_command(setting, folder, Path(temporary) / "out")
    model_alone = sum(alone[number % len(photographs)] for number in range(count))
    return {
        "photographs": sorted({path.name for path in photographs}),
        "count": count,
        **found,
        "model_alone": model_alone,
        "ratio": found["seconds"] / found["model_in_run"],
        "ratio_alone": found["seconds"] / model_alone,
    }


def model_seconds(setting: Setting, photographs: Sequence[Path]) -> list[float]:
    """Return what the model needs for each photograph once it is read, nothing else going on."""
    model = load_ours(setting)
    model.segment_many(photographs[0])
    seconds = []
    for path in photographs:
        runs = []
        for _ in range(setting.runs):
            with model.load_image(path) as session:
                session.prepare()
                runs.append(timed(session.segment_many)[0])
        seconds.append(statistics.median(runs))
    return seconds


def run_command(setting: Setting, folder: Path, out: Path) -> dict[str, Any]:
    """Run `tp-drseg segment` once, all lesions, with overlays, its start included.

    Returns:
        beside the times, the command's peak memory, MiB, while each photograph was the next to be
        written.

    Raises:
        subprocess.CalledProcessError: The command failed, or a photograph did.
    """
    words = [sys.executable, "-m", "tp_drseg", "segment", str(folder), "--out", str(out)]
    words += ["--model", str(setting.checkpoint), "--device", setting.device]
    words += ["--dtype", setting.dtype, "--quiet"]
    threads = {"OMP_NUM_THREADS": str(setting.threads)} if setting.threads else {}
    start = time.perf_counter()
    with subprocess.Popen(words, env=os.environ | threads) as command:
        peaks = _watch(command, out)
    seconds = time.perf_counter() - start
    if command.returncode:
        raise subprocess.CalledProcessError(command.returncode, words)
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return {
        "dtype_chosen": run["dtype"].removeprefix("torch."),
        "seconds": seconds,
        "done": run["counts"]["done"],
        "model_in_run": sum(image["seconds"] for image in run["images"]),
        "peaks": peaks,
    }


def _watch(command: subprocess.Popen[bytes], out: Path) -> list[float]:
    """The peak while each photograph was done."""
    peaks: list[float] = []
    with PeakMemory(command.pid) as peak:
        while command.poll() is None:
            time.sleep(PAUSE)
            written = sum(1 for _ in out.glob("*.mask.png")) // LESIONS
            if written > len(peaks):
                peaks.append(peak.mebibytes)
                peak.forget()
    return peaks
