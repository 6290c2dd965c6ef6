"""The report of one photograph: one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from tp_drseg._runtime.text import visible
from tp_drseg.anatomy import QUADRANTS, Measurements, read_signs
from tp_drseg.anatomy.drawing import draw_anatomy
from tp_drseg.export import Layer, draw_layers, encode_picture, lesion_colour
from tp_drseg.folder.page import page_part, source_hash

if TYPE_CHECKING:
    from tp_drseg.config import TPDRSegConfig
    from tp_drseg.images import Quality
    from tp_drseg.inference.results import Segmentations

_PICTURE_SIDE: Final = 1400  # px, longest side of the picture in the page


@dataclass(frozen=True)
class LesionLines:
    """What a report says of one lesion.

    Attributes:
        name: Of the lesion.
        colour: As CSS has it.
        cells: The figures, in the order of the columns.
        threshold: Least probability of a lesion pixel.
        point: What was measured at that threshold.
        text: The exact text that was asked with.
    """

    name: str
    colour: str
    cells: tuple[str, ...]
    threshold: str
    point: str
    text: str


@dataclass(frozen=True)
class Report:
    """All that a report says, before it is a page or a document.

    Attributes:
        name: Of the photograph.
        notice: That it is for research.
        facts: Label and value.
        signs: Sentences.
        columns: Of the figures of lesions.
        lesions: One entry a lesion.
        origin: Which model made it.
        caption: What is drawn on the picture.
        picture: JPEG of the photograph with outlines, grid and fovea.
    """

    name: str
    notice: str
    facts: tuple[tuple[str, str], ...]
    signs: tuple[str, ...]
    columns: tuple[str, ...]
    lesions: tuple[LesionLines, ...]
    origin: str
    caption: str
    picture: bytes


def make_report(
    name: str,
    results: Segmentations,
    quality: Quality,
    measurements: Measurements,
    config: TPDRSegConfig,
) -> Report:
    """Gather what a report says.

    Args:
        name: Of the photograph.
        results: What was found in it.
        quality: Of it.
        measurements: Of what was found.
        config: Of the model, which states what its thresholds gave.
    """
    signs = read_signs(measurements)
    origin = results[0].origin
    revision = f" at revision {origin.revision}" if origin.revision else ""
    return Report(
        name=visible(name),
        notice=signs.notice,
        facts=_facts(quality, measurements),
        signs=tuple(sign.text for sign in signs.all()),
        columns=("regions", "area, DA", *QUADRANTS, "within 1 DD of the fovea", "nearest, DD"),
        lesions=_lesions(results, measurements, config),
        origin=f"Model: {visible(origin.model_id) or 'without a name'}{revision}.",
        caption=_caption(measurements),
        picture=_picture(results, measurements),
    )


def report_page(report: Report) -> str:
    """Return a report as one HTML page."""
    style = page_part("report.css")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(page_part("report.html")).render(
        vars(report)
        | {
            "picture": base64.b64encode(report.picture).decode(),
            "style": Markup(style),
            "style_hash": source_hash(style),
        }
    )


def _facts(quality: Quality, measurements: Measurements) -> tuple[tuple[str, str], ...]:
    anatomy, scale = measurements.anatomy, measurements.scale
    disc, fovea = anatomy.disc, anatomy.fovea
    eye = "not known" if anatomy.eye is None else anatomy.eye
    spacing = scale.pixel_spacing
    return (
        ("Quality", f"{quality.verdict}. {quality.reason}".strip()),
        ("Eye", eye),
        (
            "Optic disc",
            "not known"
            if disc is None
            else f"at ({disc.x:.0f}, {disc.y:.0f}) px, {disc.diameter:.0f} px across "
            f"(confidence {disc.confidence:.2f})",
        ),
        (
            "Fovea",
            "not known"
            if fovea is None
            else f"at ({fovea.x:.0f}, {fovea.y:.0f}) px (confidence {fovea.confidence:.2f})",
        ),
        (
            "Scale",
            "pixel spacing not known: no figures in mm"
            if spacing is None
            else f"{spacing:g} mm of the retina a pixel",
        ),
        *((("Not known", anatomy.reason),) if anatomy.reason else ()),
    )


def _lesions(
    results: Segmentations, measurements: Measurements, config: TPDRSegConfig
) -> tuple[LesionLines, ...]:
    lines = []
    for result in results:
        found = measurements[result.lesion]
        area = found.scale.area(found.total.area_px).get("disc area")
        near = found.within.get(1.0)
        cells: Sequence[int | float | None] = (
            found.total.count,
            area,
            *(
                found.quadrants[quadrant].count if quadrant in found.quadrants else None
                for quadrant in QUADRANTS
            ),
            None if near is None else near.count,
            found.scale.length(found.nearest_px).get("disc diameter"),
        )
        lines.append(
            LesionLines(
                result.lesion,
                "#{:02x}{:02x}{:02x}".format(*lesion_colour(result.lesion)),
                tuple(map(_cell, cells)),
                f"{result.threshold:.3g}",
                _point(result.lesion, result.threshold, config),
                visible(result.text),
            )
        )
    return tuple(lines)


def _point(lesion: str, threshold: float, config: TPDRSegConfig) -> str:
    """Say what was measured at a threshold; nothing was at one that the user chose."""
    point = config.inference.operating_points.get(lesion)
    if point is None or point.sensitivity is None or point.threshold != threshold:
        return "nothing: this threshold is not the model's own"
    precision = "" if point.precision is None else f", precision {point.precision:.2f}"
    return f"sensitivity {point.sensitivity:.2f}{precision} of pixels"


def _cell(value: float | None) -> str:
    if value is None:
        return "–"  # noqa: RUF001 - a dash where there is no figure
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _caption(measurements: Measurements) -> str:
    anatomy = measurements.anatomy
    if anatomy.disc is None or anatomy.fovea is None:
        return "Lesions outlined. Without both disc and fovea there is no grid."
    return "Lesions outlined; disc, fovea (cross) and the ETDRS grid about it."


def _picture(results: Segmentations, measurements: Measurements) -> bytes:
    layers = [Layer(result.mask, lesion_colour(result.lesion)) for result in results]
    drawn = draw_anatomy(
        draw_layers(results[0].image, layers),
        measurements.anatomy,
        pixel_spacing=measurements.scale.pixel_spacing,
    )
    drawn.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.LANCZOS)
    return encode_picture(drawn, ".jpg")
