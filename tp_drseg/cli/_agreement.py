"""What `tp-drseg evaluate --agreement` shows: two reviewers beside each other."""

from __future__ import annotations

import math
from pathlib import Path

import typer

from tp_drseg.cli._table import show_table
from tp_drseg.errors import ConfigError


def show_agreement(first: Path, second: Path, format: str, max_pixels: int) -> None:
    """Compare what was signed in two results folders, and show it.

    Raises:
        ConfigError: The format is not `review`.
        DataError: Nothing is signed, or no photograph in both.
    """
    from tp_drseg.data import read_dataset
    from tp_drseg.evaluation.agreement import agreement
    from tp_drseg.lesions import LesionCatalog

    if format != "review":
        raise ConfigError("--agreement compares two reviewers: add --format review.")
    catalog = LesionCatalog.default()
    one, other = (
        read_dataset(root, format, None, catalog, max_pixels=max_pixels) for root in (first, second)
    )
    found = agreement(one, other, catalog)
    head = ["lesion", "photographs", "marked", "Dice", "Dice pooled", "kappa", "kappa presence"]
    show_table(
        head,
        [
            [
                one.lesion,
                str(one.photographs),
                str(one.marked),
                *map(_shown, (one.dice, one.pooled.dice, one.pooled.kappa, one.presence.kappa)),
            ]
            for one in found
        ],
    )
    typer.echo("")
    typer.echo(
        "In the field of view, at original size. Dice: mean over the photographs on which either "
        "marked something; pooled: over all pixels. kappa: Cohen's, over pixels; presence: over "
        "photographs, by whether anything is marked."
    )


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
