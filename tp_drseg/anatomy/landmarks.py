"""Optic disc, fovea, eye and field of one photograph."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from tp_drseg.errors import ConfigError

Eye = Literal["right", "left"]
Field = Literal["macula", "disc"]


@dataclass(frozen=True)
class Point:
    """A place in a photograph.

    Attributes:
        x: To the right, in px; the centre of the first pixel is 0, as for the points of a prompt.
        y: Down, in px.
        confidence: That it is seen at all, in [0, 1].

    Example:
        >>> from tp_drseg import Point
        >>> Point(550, 530).confidence
        1.0
    """

    x: float
    y: float
    confidence: float = 1.0


@dataclass(frozen=True)
class Disc:
    """An optic disc.

    Attributes:
        x: Of its centre, in px, as for a `Point`.
        y: Likewise.
        diameter: Of the circle of its area, in px; above 0.
        confidence: That it is seen at all, in [0, 1].

    Raises:
        ConfigError: The diameter is not above 0.

    Example:
        >>> from tp_drseg import Disc
        >>> Disc(1000, 500, diameter=180).diameter
        180
    """

    x: float
    y: float
    diameter: float
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.diameter) and self.diameter > 0):
            raise ConfigError(f"The diameter of a disc is above 0 px, got {self.diameter:g}.")


@dataclass(frozen=True)
class Anatomy:
    """What is known of the anatomy that a photograph shows.

    Attributes:
        disc: The optic disc; None where it is not seen.
        fovea: The centre of the fovea; None where it is not seen.
        eye: Which eye, as the examined person has it; None where that is not known.
        eye_confidence: In [0, 1]; 0 without an eye.
        field: Whether the photograph is centred on the macula or on the disc: whichever is nearer
            to the middle of its field of view; None where neither is seen.
        reason: Why something is missing, as sentences; None where nothing is.

    Example:
        >>> from tp_drseg.anatomy import Anatomy, Disc, Point
        >>> Anatomy(disc=Disc(1000, 500, diameter=180), fovea=Point(550, 530), eye="right").reason
    """

    disc: Disc | None = None
    fovea: Point | None = None
    eye: Eye | None = None
    eye_confidence: float = 0.0
    field: Field | None = None
    reason: str | None = None

    @classmethod
    def unknown(cls, reason: str) -> Anatomy:
        """Return an anatomy of which nothing is known, and why."""
        return cls(reason=reason)

    def of_eye(self, eye: Eye) -> Anatomy:
        """Return the same with an eye that is known for certain, such as from the file."""
        return replace(self, eye=eye, eye_confidence=1.0)
