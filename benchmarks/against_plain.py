"""The plain reference and the package's model on the same photographs, taking turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from agreement import Agreement
from fresh import in_fresh_process
from memory import memory_of
from plain_photograph import PlainAnswer, segment_plain
from ways import Setting, load_ours, load_plain, timed

Way = Callable[[Path, Sequence[str]], Any]


def against_plain(
    setting: Setting, dtypes: Sequence[str], photographs: Sequence[Path]
) -> list[dict[str, Any]]:
    """One record of values for each dtype of the package's model.

    One lesion and all of them are timed. Every way has run once before, and each turn begins with
    another one, so that a change in the machine's load meets all alike.
    """
    memory = {"plain": in_fresh_process(memory_of, "plain", setting, photographs[0])}
    for dtype in dtypes:
        own = replace(setting, dtype=dtype)
        memory[dtype] = in_fresh_process(memory_of, "ours", own, photographs[0])
    plain = load_plain(setting)
    models = {dtype: load_ours(replace(setting, dtype=dtype)) for dtype in dtypes}
    names = plain.config.lesions.names
    ways: dict[str, Way] = {"plain": partial(segment_plain, plain, keep=True)}
    ways |= {dtype: model.segment for dtype, model in models.items()}
    counts = sorted({1, len(names)})
    seconds: dict[int, dict[str, list[float]]] = {n: {way: [] for way in ways} for n in counts}
    agreements = {dtype: Agreement() for dtype in dtypes}
    for way in ways.values():
        way(photographs[0], names[:1])
    for path in photographs:
        for count in counts:
            answers = _turns(ways, path, names[:count], setting.runs, seconds[count])
        answer: PlainAnswer = answers["plain"]  # the last ones are of all lesions
        for dtype, model in models.items():
            agreements[dtype].add_logits(model, answer)
            thresholds = model.config.thresholds
            agreements[dtype].add_masks(path.name, answer, answers[dtype], thresholds)
    return [
        {
            "photographs": [path.name for path in photographs],
            "dtype_chosen": str(models[dtype].dtype).removeprefix("torch."),
            "tiles": len(next(iter(answer.tiles.values()))),
            "times": {
                str(count): _times(seconds[count]["plain"], seconds[count][dtype])
                for count in counts
            },
            "memory": {"plain": memory["plain"], "ours": memory[dtype]},
            **agreements[dtype].values(),
        }
        for dtype in dtypes
    ]


def _turns(
    ways: Mapping[str, Way],
    path: Path,
    names: Sequence[str],
    runs: int,
    seconds: Mapping[str, list[float]],
) -> dict[str, Any]:
    """Runs every way `runs` times, adds the seconds, and returns the last answers."""
    answers, order = {}, list(ways)
    for _ in range(runs):
        for way in order:
            taken, answers[way] = timed(ways[way], path, names)
            seconds[way].append(taken)
        order.append(order.pop(0))
    return answers


def _times(plain: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    medians = {"plain": statistics.median(plain), "ours": statistics.median(ours)}
    return {
        **medians,
        "plain_range": [min(plain), max(plain)],
        "ours_range": [min(ours), max(ours)],
        "ratio": medians["plain"] / medians["ours"],
    }
