"""An evaluation as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from tp_drseg import __version__
from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import write_text
from tp_drseg._runtime.text import visible
from tp_drseg.evaluation.convention import area_name, conventions
from tp_drseg.evaluation.gallery import MARKED, TRUTH, Exhibit, Gallery
from tp_drseg.evaluation.held_out import HeldOut
from tp_drseg.evaluation.plots import froc_plot, precision_recall_plot
from tp_drseg.evaluation.predictions import Descriptions
from tp_drseg.evaluation.scores import Evaluation
from tp_drseg.evaluation.tables import headlines, operating_points_text, tables
from tp_drseg.export.colours import RGB

NEEDED = ("matplotlib", "jinja2")
"""Modules of the extra `report`."""

_KINDS: Mapping[Descriptions, str] = {
    Descriptions.OWN: "Asked with the model's own descriptions",
    Descriptions.HELD_OUT: "Asked with descriptions that no training saw",
}


_STANDING: Mapping[HeldOut, str] = {
    HeldOut.YES: "yes",
    HeldOut.UNKNOWN: "unknown",
    HeldOut.NO: "no",
}


def write_report(
    path: Path,
    evaluations: Mapping[Descriptions, Evaluation],
    gallery: Gallery,
    *,
    model: str,
    data: str,
) -> None:
    """Write a report for clinicians and researchers, whole or not at all.

    Args:
        path: The HTML file.
        evaluations: What `evaluate` returned.
        gallery: What it watched the evaluation with.
        model: Which model it is, in words.
        data: Which photographs they are, in words.

    Raises:
        MissingExtraError: The extra `report` is not installed.
        OutputError: The file cannot be written.
    """
    require("report", *NEEDED)
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    template = environment.from_string(
        (files("tp_drseg.evaluation") / "report.html").read_text(encoding="utf-8")
    )
    first = next(iter(evaluations.values()))
    page = template.render(
        model=model,
        data=data,
        version=__version__,
        sections=[_section(evaluation) for evaluation in evaluations.values()],
        lesions=[_pictures(score.lesion, gallery, first) for score in first],
        conventions=conventions(first.pixels),
        photographs=first.photographs,
        lesion_free=first.lesion_free,
        left_out=first.split.left_out,
        split=first.split.sentences(),
        standing=_STANDING[first.split.held_out],
        truth=_css(TRUTH),
        marked=_css(MARKED),
    )
    write_text(path, page)


def _shown(value: object) -> object:
    """Return a value as the page shows it: in names, what is not seen is escaped."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return visible(value)


def _section(evaluation: Evaluation) -> dict[str, object]:
    has_froc = any(score.froc for score in evaluation)
    return {
        "id": str(evaluation.descriptions),
        "title": _KINDS[evaluation.descriptions],
        "tiles": [tile._asdict() for tile in headlines(evaluation)],
        "tables": tables(evaluation),
        "points": operating_points_text(evaluation).splitlines(),
        "draws": evaluation.bootstrap,
        "precision_recall": _data("image/svg+xml", precision_recall_plot(evaluation).encode()),
        "froc": _data("image/svg+xml", froc_plot(evaluation).encode()) if has_froc else None,
    }


def _pictures(lesion: str, gallery: Gallery, evaluation: Evaluation) -> dict[str, object]:
    area = area_name(evaluation.pixels)
    sorts = {
        "Best": gallery.best(lesion),
        "Worst": gallery.worst(lesion),
        "Marked where there is none": gallery.false_positives(lesion),
    }
    return {
        "name": lesion,
        "sorts": {
            title: [_exhibit(exhibit, area) for exhibit in exhibits]
            for title, exhibits in sorts.items()
            if exhibits
        },
    }


def _exhibit(exhibit: Exhibit, area: str) -> dict[str, str]:
    score = exhibit.score
    regions = score.regions
    if score.positives:
        caption = (
            f"Dice {score.dice:.2f}, sensitivity {score.sensitivity:.2f}, precision "
            f"{score.precision:.2f}; {regions.detected} of {regions.lesions} lesions detected, "
            f"{regions.false_positives} false positives"
        )
    else:
        caption = (
            f"{score.predicted_share:.4%} of the {area} marked, in {regions.detections} places; "
            "the lesion is not there"
        )
    return {
        "photograph": score.photograph,
        "caption": caption,
        "whole": _data("image/jpeg", exhibit.whole),
        "detail": _data("image/jpeg", exhibit.detail),
    }


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _css(colour: RGB) -> str:
    return "rgb({}, {}, {})".format(*colour)
