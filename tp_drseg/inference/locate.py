"""From what the anatomy head says to disc, fovea and eye in original pixels."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tp_drseg.anatomy import Anatomy, Disc, Point
from tp_drseg.anatomy.landmarks import Eye, Field
from tp_drseg.images import Acquisition, Frame
from tp_drseg.modules.anatomy_head import AnatomyMaps

_LEAST_CONFIDENCE: Final = 0.5  # that something is in view at all
_LEAST_EYE: Final = 0.9  # of the head's own opinion on the eye
_MOST_TILT: Final = 45.0  # degrees of the axis: a photograph on its side does not tell the eye

NO_HEAD: Final = (
    "This model has no anatomy head: disc, fovea and eye are not looked for. The model inside this "
    "package may have one; `python -m tp_drseg.training.anatomy` trains one."
)


def locate(maps: AnatomyMaps, frame: Frame, acquisition: Acquisition | None = None) -> Anatomy:
    """Return the anatomy of one photograph.

    Args:
        maps: What the head says of it, B = 1.
        frame: The working frame that the head looked at; its square's side is the longest one.
        acquisition: What the file says of the eye, which goes before what is seen.
    """
    side = max(frame.size)
    places = frame.to_original(maps.places()[0].double().cpu().numpy() * side)
    confidences = maps.seen[0].sigmoid().tolist()
    # a place is counted from the corner of the first pixel, a point from its centre
    (disc_x, disc_y), (fovea_x, fovea_y) = (places - 0.5).tolist()
    box = np.array(frame.box)
    diameter = float(maps.log_diameter[0].exp()) * float(max(box[2:] - box[:2]))
    disc = fovea = None
    if confidences[0] >= _LEAST_CONFIDENCE:
        disc = Disc(disc_x, disc_y, diameter, confidences[0])
    if confidences[1] >= _LEAST_CONFIDENCE:
        fovea = Point(fovea_x, fovea_y, confidences[1])
    eye, confidence, unknown = _eye(disc, fovea, float(maps.right[0].sigmoid()), acquisition)
    missing = [name for name, one in (("disc", disc), ("fovea", fovea)) if one is None]
    reasons = [f"The {' and the '.join(missing)} cannot be seen."] if missing else []
    return Anatomy(
        disc,
        fovea,
        eye,
        confidence,
        _field(disc, fovea, frame),
        " ".join([*reasons, *([unknown] if unknown else [])]) or None,
    )


def _eye(
    disc: Disc | None, fovea: Point | None, right: float, acquisition: Acquisition | None
) -> tuple[Eye | None, float, str | None]:
    """Return the eye, how sure that is, and why it is not known."""
    if acquisition is not None and acquisition.laterality is not None:
        return ("right" if acquisition.laterality == "R" else "left"), 1.0, None
    if disc is not None and fovea is not None:
        tilt = math.degrees(math.atan2(abs(disc.y - fovea.y), abs(disc.x - fovea.x)))
        if tilt > _MOST_TILT:
            return None, 0.0, "The photograph lies on its side: which eye it shows is not told."
        sure = disc.confidence * fovea.confidence
        return ("right" if disc.x > fovea.x else "left"), sure, None
    if max(right, 1 - right) >= _LEAST_EYE:
        return ("right" if right >= 0.5 else "left"), max(right, 1 - right), None
    return None, 0.0, "Which eye it shows is not told."


def _field(disc: Disc | None, fovea: Point | None, frame: Frame) -> Field | None:
    left, top, right, bottom = frame.box
    centre = ((left + right) / 2, (top + bottom) / 2)
    away: dict[Field, float] = {}
    if fovea is not None:
        away["macula"] = math.dist(centre, (fovea.x, fovea.y))
    if disc is not None:
        away["disc"] = math.dist(centre, (disc.x, disc.y))
    if not away:
        return None
    nearest: Field = min(away, key=away.__getitem__)
    return nearest
