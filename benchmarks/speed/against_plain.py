"""The plain reference and the package's model on the same photographs, taking turns."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness.processes import Worker, in_fresh_process
from benchmarks.harness.setting import Setting, dtype_name, load_ours
from benchmarks.harness.turns import take_turns, with_range
from benchmarks.reference.photograph import segment_plain
from benchmarks.speed.agreement import Agreement
from benchmarks.speed.ways import load_plain, ours, peak_memory, plain
from tp_drseg.checkpoints.store import read_config


def against_plain(
    setting: Setting, dtypes: Sequence[str], photographs: Sequence[Path], *, kept: bool = False
) -> list[dict[str, Any]]:
    """Return one record of values for each dtype of the package's model.

    One lesion and all of them are timed, each way in a process of its own. The answers are
    compared apart from that. With `kept` the reference, too, runs within `freed_memory_kept`, and
    what remains is due to the model.
    """
    names = read_config(setting.checkpoint / "config.json").lesions.names
    settings = {dtype: replace(setting, dtype=dtype) for dtype in dtypes}
    memory = {"plain": in_fresh_process(peak_memory, plain, setting, photographs[0], names)}
    for dtype, own in settings.items():
        memory[dtype] = in_fresh_process(peak_memory, ours, own, photographs[0], names)
    seconds = _seconds(setting, settings, photographs, names, kept)
    reference = load_plain(setting)
    models = {dtype: load_ours(own) for dtype, own in settings.items()}
    agreements = {dtype: Agreement() for dtype in dtypes}
    for path in photographs:
        answer = segment_plain(reference, path, names, keep=True)
        for dtype, model in models.items():
            agreements[dtype].add_logits(model, answer)
            found = model.segment_many(path)
            agreements[dtype].add_masks(path.name, answer, found, model.config.inference.thresholds)
    return [
        {
            "photographs": [path.name for path in photographs],
            "dtype_chosen": dtype_name(models[dtype].dtype),
            "tiles": len(next(iter(answer.tiles.values()))),
            "times": {
                str(count): _times(found["plain"], found[dtype]) for count, found in seconds.items()
            },
            "memory": {"plain": memory["plain"], "ours": memory[dtype]},
            **agreements[dtype].values(),
        }
        for dtype in dtypes
    ]


def _seconds(
    setting: Setting,
    settings: Mapping[str, Setting],
    photographs: Sequence[Path],
    names: Sequence[str],
    kept: bool,
) -> dict[int, dict[str, list[float]]]:
    """By number of lesions and way."""
    groups = [names[:count] for count in sorted({1, len(names)})]
    with ExitStack() as stack:
        ways = {"plain": stack.enter_context(Worker(plain, setting, kept))}
        for dtype, own in settings.items():
            ways[dtype] = stack.enter_context(Worker(ours, own))
        seconds = take_turns(ways, photographs, groups, setting.runs)
    return {len(group): found for group, found in zip(groups, seconds, strict=True)}


def _times(plain: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    ratio = statistics.median(plain) / statistics.median(ours)
    return {**with_range({"plain": plain, "ours": ours}), "ratio": ratio}
