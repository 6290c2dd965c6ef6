"""Curves for the report, as SVG; they need matplotlib, which the extra `report` brings."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from tp_drseg._runtime.extras import require
from tp_drseg.evaluation.scores import Evaluation
from tp_drseg.export.colours import lesion_colour

_POINTS = 400  # of a curve; more would only make the file larger


def precision_recall_plot(evaluation: Evaluation) -> str:
    """Plot pooled precision over sensitivity of each lesion, as SVG; dots: operating points."""
    figure, axes = _axes("sensitivity (share of the lesion's pixels that are marked)")
    axes.set_ylabel("precision (share of marked pixels that are lesion)")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    for score in evaluation.lesions:
        if not score.with_lesion:
            continue
        colour = _colour(score.lesion)
        precision, recall, _ = score.curve.precision_recall()
        # even steps of sensitivity, so that no part of the curve is left out
        kept = np.unique(
            np.searchsorted(recall, np.linspace(0, 1, _POINTS)).clip(0, len(recall) - 1)
        )
        label = f"{score.lesion} ({score.average_precision:.2f})"
        axes.step(recall[kept], precision[kept], where="pre", color=colour, label=label)
        axes.axhline(score.prevalence, color=colour, linewidth=0.6, linestyle=":")
        if score.precision == score.precision:
            axes.plot(score.sensitivity, score.precision, "o", color=colour, markersize=7)
    return _svg(figure, axes, "lower left")


def froc_plot(evaluation: Evaluation) -> str:
    """Plot the free-response curve of each lesion, as SVG; a large dot is the operating point."""
    figure, axes = _axes("false positives per image (mean)")
    axes.set_ylabel("sensitivity (share of single lesions detected)")
    axes.set_ylim(0, 1.02)
    axes.set_xscale("symlog", linthresh=1)
    for score in evaluation.lesions:
        if not score.lesions:
            continue
        colour = _colour(score.lesion)
        x = [point.false_positives_per_image for point in score.froc]
        y = [point.lesion_sensitivity for point in score.froc]
        axes.plot(x, y, ".-", color=colour, label=score.lesion)
        here = (score.false_positives_per_image, score.lesion_sensitivity)
        axes.plot(*here, "o", color=colour, markersize=7)
    axes.set_xlim(left=0)
    return _svg(figure, axes, "lower right")


def _axes(x_label: str) -> tuple[Any, Any]:
    require("report", "matplotlib")
    from matplotlib.figure import Figure  # no pyplot: it keeps global state

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.grid(linewidth=0.3)
    return figure, axes


def _svg(figure: Any, axes: Any, legend: str) -> str:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc=legend)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _colour(lesion: str) -> tuple[float, float, float]:
    """Return the lesion's colour, darkened: it was chosen for photographs, not for paper."""
    red, green, blue = (0.8 * part / 255 for part in lesion_colour(lesion))
    return red, green, blue
