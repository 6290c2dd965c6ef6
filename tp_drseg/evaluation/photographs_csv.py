"""Figures of each photograph and lesion as one table, for statistics programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from tp_drseg._runtime.files import write_text
from tp_drseg._runtime.text import table_cell
from tp_drseg.evaluation.scores import Evaluation

FIGURES = (
    "pixels",
    "positives",
    "predicted",
    "true_positives",
    "average_precision",
    "roc_auc",
    "dice",
    "iou",
    "sensitivity",
    "precision",
)
"""Of the pixels of a photograph: attributes of `PhotographScore`."""
REGIONS = ("lesions", "detected", "detections", "false_positives")
"""Of its single lesions: attributes of `RegionCounts`."""
COLUMNS = ("photograph", "descriptions", "lesion", "held_out", *FIGURES, *REGIONS)


def write_photographs_csv(path: Path, evaluations: Iterable[Evaluation]) -> None:
    """Write a line for each photograph, kind of descriptions and lesion, whole or not at all.

    A figure that does not exist is an empty cell.

    Args:
        path: The file to write.
        evaluations: The scores.

    Raises:
        OutputError: The file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for evaluation in evaluations:
        kind, held_out = evaluation.descriptions, evaluation.split.held_out
        for lesion in evaluation:
            for score in lesion.per_photograph:
                numbers = [
                    *(getattr(score, name) for name in FIGURES),
                    *(getattr(score.regions, name) for name in REGIONS),
                ]
                writer.writerow(
                    [
                        table_cell(score.photograph),
                        kind,
                        table_cell(lesion.lesion),
                        held_out,
                        *("" if number != number else number for number in numbers),
                    ]
                )
    write_text(path, text.getvalue())
