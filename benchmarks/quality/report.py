"""The curves and limits as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.quality.curves import HALF, QUARTER, StepMeasured, find_limit
from benchmarks.quality.degrade import DEGRADATIONS


def page(curves: Mapping[str, Sequence[StepMeasured]], about: str) -> str:
    """Return a page in Markdown.

    Args:
        curves: The steps of each degradation, from the photographs as they are.
        about: What was measured, as sentences.
    """
    return "\n".join(_lines(curves, about)) + "\n"


def _lines(curves: Mapping[str, Sequence[StepMeasured]], about: str) -> Iterator[str]:
    yield "# Curves behind the quality limits"
    yield ""
    yield "Written by `python -m benchmarks.quality`. " + about
    yield ""
    yield (
        "Sensitivity is the share of a lesion's pixels that is marked at the model's thresholds, "
        "over all photographs. A limit is where the first lesion has three quarters (limited) or "
        "half (reject) of its sensitivity left."
    )
    yield ""
    yield "| degradation | number | three quarters left | half left |"
    yield "|---|---|---|---|"
    for name, steps in curves.items():
        number = DEGRADATIONS[name].number
        cells = []
        for left in (QUARTER, HALF):
            limit = find_limit(steps, number, left)
            cells.append(
                "not reached"
                if limit is None
                else f"level {limit.level:.3g}, {number} {limit.value:.3g} ({limit.lesion})"
            )
        yield f"| {name} | {number} | {' | '.join(cells)} |"
    for name, steps in curves.items():
        number = DEGRADATIONS[name].number
        lesions = list(steps[0].sensitivity)
        yield ""
        yield f"## {name[0].upper()}{name[1:]}"
        yield ""
        yield f"| level | {' | '.join(lesions)} | {number} |"
        yield "|---" * (len(lesions) + 2) + "|"
        for step in steps:
            level = "none" if step.level is None else f"{step.level:g}"
            values = " | ".join(f"{step.sensitivity[lesion]:.3f}" for lesion in lesions)
            yield f"| {level} | {values} | {step.numbers[number]:.3g} |"
