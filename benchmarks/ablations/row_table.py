"""The results of rows as one table, in Markdown, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablations.paired import COMPARED
from benchmarks.ablations.rows import FULL, PAPER_AUC_PR, PAPER_DICE
from tp_drseg.evaluation.bootstrap import percentile_interval

TITLES = {"average_precision": "AUC-PR", "dice_per_image": "Dice"}


def summary(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The figures of each row, in [0, 1], with 95 % intervals.

    A difference is that of a row to `full`, its interval that of the differences draw by draw, so
    that photographs which are hard for both do not widen it.
    """
    full = next((result for result in results if result["row"] == FULL), None)
    rows = []
    for result in results:
        lesions = {s["lesion"]: s["average_precision"] for s in result["scores"]["lesions"]}
        row: dict[str, Any] = {
            "row": result["row"],
            "fields": result["fields"],
            "learned_parameters": result["learned_parameters"],
            "training_seconds": result["training_seconds"],
            "average_precision_by_lesion": lesions,
            "paper_dice": PAPER_DICE.get(result["row"]),
            "paper_average_precision": PAPER_AUC_PR.get(result["row"]),
        }
        for name in COMPARED:
            row[name] = result["scores"]["mean"][name]
            row[f"{name}_interval"] = _interval(_draws(result, name))
            if full is not None and result is not full:
                other = full["scores"]["mean"][name]
                row[f"{name}_difference"] = (
                    None if row[name] is None or other is None else row[name] - other
                )
                row[f"{name}_difference_interval"] = _interval(
                    _draws(result, name) - _draws(full, name)
                )
        rows.append(row)
    return rows


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """The table, with all that has to be known to read it."""
    rows = summary(results)
    lesions = list(rows[0]["average_precision_by_lesion"])
    head = ["row", "learned, million", *(f"AUC-PR, {name}" for name in lesions)]
    for name in COMPARED:
        head += [f"{TITLES[name]}, mean", f"{TITLES[name]} - {FULL}"]
    head += ["paper: AUC-PR", "paper: Dice"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        cells = [row["row"], f"{row['learned_parameters'] / 1e6:.2f}"]
        cells += [_percent(row["average_precision_by_lesion"][name]) for name in lesions]
        for name in COMPARED:
            cells.append(_with_interval(row[name], row[f"{name}_interval"]))
            cells.append(_difference(row, name))
        cells += [_paper(row["paper_average_precision"]), _paper(row["paper_dice"])]
        lines.append(_line(cells))
    return _conditions(results[0]["settings"]) + "\n\n" + "\n".join(lines) + "\n\n" + _NOTE + "\n"


_NOTE = (
    "In percent. AUC-PR is pooled over all pixels of the field of view at original size, Dice is "
    "the mean over the photographs that have the lesion, both then the mean over lesions. In "
    "parentheses: 95 % intervals by bootstrap over photographs; those of differences are paired, "
    "and a difference whose interval does not hold 0 is bold. They say how much hangs on the "
    "choice of photographs; each row was trained once, so they say nothing about another seed. "
    "The paper's figures are those of its own model and budget on IDRiD's test set, and stand "
    "here for the order of the rows, not for the height of the figures."
)


def _conditions(settings: Mapping[str, Any]) -> str:
    training = settings["training"]
    crops = training["steps"] * training["batch_size"]
    fixed = training["fixed_crops"]
    of = "each seen once" if not fixed else f"of {min(fixed, crops)} that come again and again"
    points = settings["points"]
    frame = f"{settings['working_diameter']} pixels across, tiles of {settings['image_size']}"
    chosen = (
        f"of the highest pooled Dice on {len(points)} training photographs ({', '.join(points)})"
        if points
        else "0.5"
    )
    return (
        f"Every row: {training['steps']} steps of {training['batch_size']} crop(s), {crops} crops "
        f"in all, {of}, from {len(settings['learned_from'])} training photographs; AdamW, rate "
        f"{training['learning_rate']:g}, seed {training['seed']}, {training['precision']}. Encoder "
        f"{settings['encoder']}, field of view scaled to {frame}; detail head "
        f"{'on' if settings['detail'] else 'off'}. Started from {settings['start']}. Scored on "
        f"{len(settings['validation'])} photographs that no row learned from "
        f"({', '.join(settings['validation'])}), at thresholds {chosen}; {settings['draws']} "
        f"draws of the bootstrap."
    )


def _draws(result: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    return np.array(result["draws"][name], dtype=np.float64)  # None becomes NaN


def _interval(draws: NDArray[np.float64]) -> list[float] | None:
    low, high = percentile_interval(draws)
    return None if low != low else [low, high]


def _difference(row: Mapping[str, Any], name: str) -> str:
    value, interval = row.get(f"{name}_difference"), row.get(f"{name}_difference_interval")
    if value is None:
        return "-"
    text = _with_interval(value, interval, "+.1f")
    return f"**{text}**" if interval and not interval[0] <= 0 <= interval[1] else text


def _with_interval(
    value: float | None, interval: Sequence[float] | None, style: str = ".1f"
) -> str:
    if interval is None:
        return _percent(value, style)
    return f"{_percent(value, style)} ({' to '.join(_percent(end, style) for end in interval)})"


def _percent(value: float | None, style: str = ".1f") -> str:
    return "-" if value is None else format(100 * value, style)


def _paper(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
