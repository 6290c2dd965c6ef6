"""The plain reference and the package's model on the same photographs, taking turns."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from benchmarks.harness.processes import Worker, in_fresh_process
from benchmarks.harness.ways import Setting, load_ours, load_plain
from benchmarks.reference.photograph import segment_plain
from benchmarks.speed.agreement import Agreement
from benchmarks.speed.memory import memory_of
from tp_drseg._runtime.allocator import freed_memory_kept
from tp_drseg.checkpoints.store import read_config
from tp_drseg.inference.result import Segmentation

_until_the_end = ExitStack()
"""Of a worker's process."""

Way = Callable[[Path, Sequence[str]], Any]


def against_plain(
    setting: Setting, dtypes: Sequence[str], photographs: Sequence[Path], *, kept: bool = False
) -> list[dict[str, Any]]:
    """One record of values for each dtype of the package's model.

    One lesion and all of them are timed. Each way has a process of its own and has run once before;
    they take turns, and each turn begins with another one, so that a change in the machine's load
    meets all alike. The answers are compared apart from that. With `kept` the reference, too, runs
    within `freed_memory_kept`, and what remains is due to the model.
    """
    settings = {dtype: replace(setting, dtype=dtype) for dtype in dtypes}
    memory = {"plain": in_fresh_process(memory_of, "plain", setting, photographs[0])}
    for dtype, own in settings.items():
        memory[dtype] = in_fresh_process(memory_of, "ours", own, photographs[0])
    seconds = _seconds(setting, settings, photographs, kept)
    plain = load_plain(setting)
    names = plain.config.lesions.names
    models = {dtype: load_ours(own) for dtype, own in settings.items()}
    agreements = {dtype: Agreement() for dtype in dtypes}
    for path in photographs:
        answer = segment_plain(plain, path, names, keep=True)
        for dtype, model in models.items():
            agreements[dtype].add_logits(model, answer)
            found = cast(dict[str, Segmentation], model.segment(path))
            agreements[dtype].add_masks(path.name, answer, found, model.config.inference.thresholds)
    return [
        {
            "photographs": [path.name for path in photographs],
            "dtype_chosen": str(models[dtype].dtype).removeprefix("torch."),
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
    setting: Setting, settings: Mapping[str, Setting], photographs: Sequence[Path], kept: bool
) -> dict[int, dict[str, list[float]]]:
    """By number of lesions and way, one for each run and photograph."""
    names = read_config(setting.checkpoint / "config.json").lesions.names
    counts = sorted({1, len(names)})
    with ExitStack() as stack:
        ways = {"plain": stack.enter_context(Worker(_plain, setting, kept))}
        for dtype, own in settings.items():
            ways[dtype] = stack.enter_context(Worker(_ours, own))
        for way in ways.values():
            way.seconds(photographs[0], names[:1])
        seconds: dict[int, dict[str, list[float]]] = {n: {way: [] for way in ways} for n in counts}
        order = list(ways)
        for path, count, _ in itertools.product(photographs, counts, range(setting.runs)):
            for way in order:
                seconds[count][way].append(ways[way].seconds(path, names[:count]))
            order.append(order.pop(0))
    return seconds


def _plain(setting: Setting, kept: bool) -> Way:
    if kept:
        _until_the_end.enter_context(freed_memory_kept())
    return partial(segment_plain, load_plain(setting))


def _ours(setting: Setting) -> Way:
    return load_ours(setting).segment


def _times(plain: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    medians = {"plain": statistics.median(plain), "ours": statistics.median(ours)}
    return {
        **medians,
        "plain_range": [min(plain), max(plain)],
        "ours_range": [min(ours), max(ours)],
        "ratio": medians["plain"] / medians["ours"],
    }
