"""An evaluation as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from tp_drseg import __version__
from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import write_text
from tp_drseg.evaluation.cases import MARKED, TRUTH, Case, Cases
from tp_drseg.evaluation.plots import froc_plot, precision_recall_plot
from tp_drseg.evaluation.predictions import Descriptions
from tp_drseg.evaluation.scores import CONVENTIONS, Evaluation
from tp_drseg.evaluation.tables import operating_points_text, tables
from tp_drseg.export.colours import RGB

NEEDED = ("matplotlib", "jinja2")
"""Modules of the extra `report`."""

_KINDS: Mapping[Descriptions, str] = {
    "own": "Asked with the model's own descriptions",
    "held_out": "Asked with descriptions that no training saw",
}


def write_report(
    path: Path,
    evaluations: Mapping[Descriptions, Evaluation],
    cases: Cases,
    *,
    model: str,
    data: str,
) -> None:
    """Writes a report for clinicians and researchers, whole or not at all.

    Args:
        path: the HTML file.
        evaluations: what `evaluate` returned.
        cases: what it watched the evaluation with.
        model: which model it is, in words.
        data: which photographs they are, in words.

    Raises:
        MissingExtraError: the extra `report` is not installed.
        OutputError: the file cannot be written.
    """
    require("report", *NEEDED)
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (files("tp_drseg.evaluation") / "report.html").read_text(encoding="utf-8")
    )
    page = template.render(
        model=model,
        data=data,
        version=__version__,
        sections=[_section(evaluation) for evaluation in evaluations.values()],
        lesions=[_pictures(score.lesion, cases) for score in next(iter(evaluations.values()))],
        conventions=CONVENTIONS,
        truth=_css(TRUTH),
        marked=_css(MARKED),
    )
    write_text(path, page)


def _section(evaluation: Evaluation) -> dict[str, Any]:
    has_froc = any(score.froc for score in evaluation)
    return {
        "title": _KINDS[evaluation.descriptions],
        "tables": tables(evaluation),
        "points": operating_points_text(evaluation),
        "draws": evaluation.draws,
        "precision_recall": _data("image/svg+xml", precision_recall_plot(evaluation).encode()),
        "froc": _data("image/svg+xml", froc_plot(evaluation).encode()) if has_froc else None,
        "photographs": evaluation.photographs,
        "lesion_free": evaluation.lesion_free,
    }


def _pictures(lesion: str, cases: Cases) -> dict[str, Any]:
    sorts = {
        "Best": cases.best(lesion),
        "Worst": cases.worst(lesion),
        "Marked where there is none": cases.false(lesion),
    }
    return {
        "name": lesion,
        "sorts": {
            title: [_case(case) for case in found] for title, found in sorts.items() if found
        },
    }


def _case(case: Case) -> dict[str, str]:
    score = case.score
    if score.positives:
        caption = (
            f"Dice {score.dice:.2f}, sensitivity {score.sensitivity:.2f}, precision "
            f"{score.precision:.2f}; {score.found} of {score.lesions} lesions found, "
            f"{score.false_finds} false finds"
        )
    else:
        caption = (
            f"{score.marked / score.pixels:.4%} of the field of view marked, in {score.finds} "
            "places; the lesion is not there"
        )
    return {
        "photograph": score.photograph,
        "caption": caption,
        "whole": _data("image/jpeg", case.whole),
        "detail": _data("image/jpeg", case.detail),
    }


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _css(colour: RGB) -> str:
    return "rgb({}, {}, {})".format(*colour)
