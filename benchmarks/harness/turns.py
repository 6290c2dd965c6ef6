"""Ways of answering that take turns, so that a change in the machine's load meets all alike."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness.processes import Worker


def take_turns(
    ways: Mapping[str, Worker],
    photographs: Sequence[Path],
    lesions: Sequence[Sequence[str]],
    runs: int,
) -> list[dict[str, list[float]]]:
    """Return, for each group of lesions and each way, the seconds of each photograph and run.

    Each way has answered once before it is timed, and each turn begins with another one.
    """
    for way in ways.values():
        way.seconds(photographs[0], lesions[0])
    seconds: list[dict[str, list[float]]] = [{name: [] for name in ways} for _ in lesions]
    order = list(ways)
    for path, (group, found), _ in itertools.product(
        photographs, list(zip(lesions, seconds, strict=True)), range(runs)
    ):
        for name in order:
            found[name].append(ways[name].seconds(path, group))
        order.append(order.pop(0))
    return seconds


def with_range(seconds: Mapping[str, Sequence[float]]) -> dict[str, float | list[float]]:
    """Return, of each way, the median under its name and `[least, most]` under `NAME_range`."""
    found: dict[str, float | list[float]] = {}
    for name, taken in seconds.items():
        found[name] = statistics.median(taken)
        found[f"{name}_range"] = [min(taken), max(taken)]
    return found
