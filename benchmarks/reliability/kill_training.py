"""Training runs killed at any moment, then resumed; states and tables that are damaged."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open

from benchmarks.reliability import damaged_states, miniature
from benchmarks.reliability.child import in_child
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.results import leftovers
from tp_drseg.training.engine.records import Records, plot_loss

_TABLES = ("loss.csv", "metrics.csv")


def kill_training(work: Path, count: int, seed: int) -> Findings:
    """Kill so many runs of twelve steps."""
    rng, found = random.Random(seed), Findings()
    whole = [in_child(lambda: miniature.train(work / "whole"), timeout=300, memory=None)]
    whole.append(in_child(lambda: miniature.train(work / "again"), timeout=300, memory=None))
    if whole[0].value is None or whole[1].value is None:
        found.wrong.append(f"an undisturbed run: {whole[0].verdict}, {whole[1].verdict}")
        return found
    found.check(whole[0].value == whole[1].value, "two undisturbed runs differ")
    expected, length, steps = whole[0].value[0], whole[1].seconds, []
    out = work / "out"
    for number in range(count):
        shutil.rmtree(out, ignore_errors=True)
        ended = in_child(
            lambda: miniature.train(out), kill_after=rng.uniform(0.1, 1) * length, memory=None
        )
        found.count("killed" if ended.killed else "ended_before")
        found.wrong += [f"kill {number}: {one}" for one in _damaged_weights(out)]
        again = in_child(lambda: miniature.train(out), timeout=300, memory=None)
        if again.value is None:
            found.wrong.append(f"kill {number}: going on: {again.verdict}")
            continue
        weights, step = again.value
        steps.append(step)
        found.check(weights == expected, f"kill {number}: other weights, from step {step} on")
        found.check(_tables(out) == _tables(work / "whole"), f"kill {number}: other tables")
        found.check(_best(out) == _best(work / "whole"), f"kill {number}: another best model")
        found.wrong += [f"kill {number}: {one} is left over" for one in leftovers(out)]
        found.peak_mb = max(found.peak_mb, again.peak_mb)
    found.figures["resumed_at_steps"] = [*sorted(set(steps))]
    found.figures["run_seconds"] = length
    _torn_tables(work, found)
    damaged_states.measure(work, found)
    return found


def _damaged_weights(out: Path) -> list[str]:
    damaged = []
    for path in out.rglob("*.safetensors"):
        try:
            with safe_open(path, framework="np") as file:
                list(file.keys())
        except SafetensorError as error:
            damaged.append(f"{path.name} is half written: {error}")
    return damaged


def _tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in _TABLES if (folder / name).exists()}


def _best(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "best").glob("*"))
        if path.is_file()
    }


def _torn_tables(work: Path, found: Findings) -> None:
    """What a power cut may leave of a table: any beginning of it, or zeros."""
    for name, data in _tables(work / "whole").items():
        ends = range(0, len(data), max(1, len(data) // 20))
        for torn in [*(data[:end] for end in ends), bytes(len(data))]:
            folder = work / "torn"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / name).write_bytes(torn)

            def go_on(folder: Path = folder) -> None:
                Records(folder, 9).close()
                plot_loss(folder)

            ended = in_child(go_on, timeout=60, memory=None)
            found.count("torn_tables")
            found.check(ended.is_orderly, f"{name} of {len(torn)} bytes: {ended.verdict}")
