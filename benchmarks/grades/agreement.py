"""Agreement of grades, and how well a score separates two groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tp_drseg.anatomy import Signs


def quadratic_kappa(first: Sequence[int], second: Sequence[int], grades: int) -> float:
    """Return Cohen's kappa with quadratic weights; 1 is full agreement, 0 that of chance.

    Args:
        first: Grades from 0 to `grades - 1`.
        second: Those of the same photographs.
        grades: How many there are.
    """
    table = np.zeros((grades, grades))
    np.add.at(table, (np.asarray(first), np.asarray(second)), 1)
    steps = np.arange(grades)
    weights = (steps[:, None] - steps) ** 2
    by_chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(1 - (weights * table).sum() / (weights * by_chance).sum())


def area_under_curve(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Return the share of pairs, one of each group, that a score orders rightly; ties count half.

    Raises:
        ValueError: A group is empty.
    """
    values, is_positive = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    high, low = values[is_positive], values[~is_positive]
    if not high.size or not low.size:
        raise ValueError("Both groups must have a photograph.")
    difference = high[:, None] - low
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def retinopathy_score(signs: Signs) -> float:
    """Return a score that rises with retinopathy; it was written down before it was measured.

    One for any microaneurysm, one for each quadrant with haemorrhages, the risk of macular oedema,
    two for cotton wool spots; among equals the number of haemorrhages and microaneurysms decides.
    """
    counts = sum(
        float(sign.numbers.get(name) or 0)
        for sign, name in (
            (signs.microaneurysms, "count"),
            *((signs.haemorrhage_quadrants, name) for name in signs.haemorrhage_quadrants.numbers),
        )
    )
    return (
        int(signs.microaneurysms.value or 0)
        + int(signs.haemorrhage_quadrants.value or 0)
        + int(signs.macular_oedema_risk.value or 0)
        + 2 * int(signs.cotton_wool_spots.value or 0)
        + 0.3 * float(np.log1p(counts))
    )
