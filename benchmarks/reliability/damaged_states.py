"""A training run's checkpoint, damaged in every part: resuming must refuse it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from benchmarks.reliability import miniature
from benchmarks.reliability.child import in_child
from benchmarks.reliability.findings import Findings
from tp_drseg.model import TPDRSeg

Tensors = dict[str, NDArray[np.generic]]
Change = Callable[[Tensors, dict[str, str]], object]


def measure(work: Path, found: Findings) -> None:
    """Stop a run in its middle, damage its checkpoint, and go on."""
    half, looks = work / "half", itertools.count(1)

    def stop_at_last(model: TPDRSeg, folder: Path) -> dict[str, float]:
        if next(looks) == miniature.STEPS // 4:
            raise KeyboardInterrupt
        return miniature.sum_of_prompts(model, folder)

    in_child(lambda: miniature.train(half, stop_at_last), timeout=300, memory=None)
    state = half / "state.safetensors"
    with safe_open(state, framework="np") as file:
        tensors: Tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    whole = state.read_bytes()

    def write(change: Change) -> bytes:
        changed, facts, path = dict(tensors), dict(metadata), work / "changed.safetensors"
        change(changed, facts)
        save_file(changed, path, metadata=facts)
        return path.read_bytes()

    untouched = _go_on(work, write(lambda tensors, facts: None))
    found.check(untouched == "ok", f"a state as it was: {untouched}")
    first = next(name.partition("/")[2] for name in tensors if name.startswith("average/"))
    damaged = {
        "cut": whole[:-100],
        "empty": b"",
        "text": b"no state" * 100,
        **{name: write(change) for name, change in _changes(first).items()},
    }
    for name, data in damaged.items():
        verdict = _go_on(work, data)
        found.check(verdict.startswith("TrainingError"), f"a state, {name}: {verdict}")
    found.figures["damaged_states"] = len(damaged)


def _changes(name: str) -> dict[str, Change]:
    short = np.zeros(3, np.float32)
    return {
        "no facts": lambda tensors, facts: facts.clear(),
        "settings are a list": lambda tensors, facts: facts.update(settings="[1]"),
        "settings are a number": lambda tensors, facts: facts.update(settings="3"),
        "settings are deep": lambda tensors, facts: facts.update(settings="[" * 100_000),
        "step -5": lambda tensors, facts: facts.update(step="-5"),
        "step 99999": lambda tensors, facts: facts.update(step="99999"),
        "step of 5,000 digits": lambda tensors, facts: facts.update(step="1" * 5000),
        "best is NaN": lambda tensors, facts: facts.update(best="nan"),
        "an average is missing": lambda tensors, facts: tensors.pop(f"average/{name}"),
        "a moment is missing": lambda tensors, facts: tensors.pop(f"exp_avg/{name}"),
        "a moment has another shape": lambda tensors, facts: tensors.update(
            {f"exp_avg/{name}": short}
        ),
        "an average has another shape": lambda tensors, facts: tensors.update(
            {f"average/{name}": short}
        ),
        "a weight is NaN": lambda tensors, facts: tensors.update(
            {f"weight/{name}": np.full_like(tensors[f"weight/{name}"], np.nan)}
        ),
        "an unknown tensor": lambda tensors, facts: tensors.update(unknown=short),
    }


def _go_on(work: Path, state: bytes) -> str:
    folder = work / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "state.safetensors").write_bytes(state)
    return in_child(lambda: miniature.train(folder), timeout=300, memory=None).verdict
