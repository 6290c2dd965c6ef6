"""Views of a photograph with its landmarks: as it is, mirrored, turned, and cut to a smaller field.

What a view shows is framed as inference frames a photograph, so that the head learns from what it
will see.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.anatomy.landmarks import Eye
from tp_drseg.images import FieldOfView, Framed, frame_photograph

ViewKind = Literal["plain", "mirrored", "tilted", "turned", "cut"]
KINDS: Final[tuple[ViewKind, ...]] = ("plain", "mirrored", "tilted", "turned", "cut")

_SOURCE_DIAMETER: Final = 2048  # px, twice what the tower sees: a cut view is then still sharp
_OTHER: Final[dict[Eye | None, Eye]] = {"right": "left", "left": "right"}
_TILT: Final = 25.0  # degrees, beyond which a head is hardly held


@dataclass(frozen=True)
class Landmarks:
    """Where disc and fovea are in one picture, in its pixels.

    Attributes:
        disc: Centre `(x, y)` of the optic disc; None where it is not known or not seen.
        fovea: Centre `(x, y)` of the fovea; likewise.
        diameter: Of the disc; None where it is not known.
        disc_known, fovea_known: Whether it is known if they are seen.
        eye: Which eye it is, or looks like where the picture is mirrored; None where that is not
            known, or the picture lies on its side or head.
    """

    disc: tuple[float, float] | None
    fovea: tuple[float, float] | None
    diameter: float | None = None
    disc_known: bool = True
    fovea_known: bool = True
    eye: Eye | None = None


@dataclass(frozen=True)
class View:
    """One framed view and where its landmarks are.

    Attributes:
        framed: The view, framed at the tower's side.
        landmarks: In pixels of its working frame.
    """

    framed: Framed = field(repr=False)
    landmarks: Landmarks


@dataclass(frozen=True)
class _Motion:
    """Where a canvas' pixels come from: `source = matrix @ (out - middle) + centre`."""

    matrix: NDArray[np.float64]
    centre: NDArray[np.float64]
    side: int

    def image(self, pixels: NDArray[np.uint8], resample: Image.Resampling) -> NDArray[np.uint8]:
        offset = self.centre - self.matrix @ np.full(2, self.side / 2)
        (a, b), (d, e) = self.matrix
        moved = Image.fromarray(pixels).transform(
            (self.side, self.side),
            Image.Transform.AFFINE,
            (a, b, offset[0], d, e, offset[1]),
            resample,
        )
        return np.array(moved)

    def point(self, point: tuple[float, float] | None) -> tuple[float, float] | None:
        if point is None:
            return None
        x, y = np.linalg.solve(self.matrix, np.array(point) - self.centre) + self.side / 2
        return float(x), float(y)


def make_view(
    image: NDArray[np.uint8],
    field_of_view: FieldOfView,
    landmarks: Landmarks,
    kind: ViewKind,
    *,
    side: int,
    random: np.random.Generator,
) -> View:
    """Make one view of a photograph.

    Args:
        image: `(H, W, 3)` uint8 RGB, upright.
        field_of_view: Where the retina is in it.
        landmarks: In its pixels.
        kind: `plain` and `mirrored` keep all pixels; `tilted` turns by up to 25 degrees, `turned`
            by a quarter or half turn more, and both may mirror and see a little less; `cut` sees a
            smaller field somewhere, from which a landmark is often missing.
        side: Longest side of the working frame, in pixels.
        random: Where chance comes from.
    """
    if kind in ("plain", "mirrored"):
        return _whole(image, field_of_view, landmarks, side, mirrored=kind == "mirrored")
    source = frame_photograph(image, field_of_view, _SOURCE_DIAMETER)
    own = _framed_landmarks(source, landmarks)
    radius = _SOURCE_DIAMETER / 2
    middle = np.array(source.frame.size[::-1]) / 2
    angle = float(random.uniform(-_TILT, _TILT))
    share, away = float(random.uniform(0.75, 1.0)), float(random.uniform(0, 0.12))
    if kind == "turned":
        angle += 90.0 * int(random.integers(1, 4))
    if kind == "cut":
        share, away = float(random.uniform(0.4, 0.7)), float(random.uniform(0.1, 0.6))
    direction = float(random.uniform(0, 2 * np.pi))
    centre = middle + away * radius * np.array([np.cos(direction), np.sin(direction)])
    turn = np.deg2rad(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    eye = None if kind == "turned" else own.eye
    if random.random() < 0.5:
        matrix, eye = matrix @ np.diag([-1.0, 1.0]), _OTHER.get(eye)
    canvas = round(2 * share * radius)
    motion = _Motion(matrix, centre, canvas)
    pixels = motion.image(source.pixels, Image.Resampling.BICUBIC)
    inside = motion.image((source.inside >= 0.5).astype(np.uint8), Image.Resampling.NEAREST) > 0
    rows, columns = np.ogrid[:canvas, :canvas]
    inside &= np.hypot(rows + 0.5 - canvas / 2, columns + 0.5 - canvas / 2) <= canvas / 2
    moved = replace(own, disc=motion.point(own.disc), fovea=motion.point(own.fovea), eye=eye)
    framed = frame_photograph(
        pixels * inside[..., None].astype(np.uint8), FieldOfView.from_mask(inside), side
    )
    return View(framed, _framed_landmarks(framed, moved))


def _whole(
    image: NDArray[np.uint8],
    field_of_view: FieldOfView,
    landmarks: Landmarks,
    side: int,
    *,
    mirrored: bool,
) -> View:
    if mirrored:
        width = image.shape[1]

        def mirror(point: tuple[float, float] | None) -> tuple[float, float] | None:
            return None if point is None else (width - point[0], point[1])

        image = np.ascontiguousarray(image[:, ::-1])
        field_of_view = FieldOfView.from_mask(np.ascontiguousarray(field_of_view.mask[:, ::-1]))
        landmarks = replace(
            landmarks,
            disc=mirror(landmarks.disc),
            fovea=mirror(landmarks.fovea),
            eye=_OTHER.get(landmarks.eye),
        )
    framed = frame_photograph(image, field_of_view, side)
    return View(framed, _framed_landmarks(framed, landmarks))


def _framed_landmarks(framed: Framed, landmarks: Landmarks) -> Landmarks:
    """Return landmarks in the working frame; those outside of the field of view are not seen."""
    mask = framed.field_of_view.mask

    def seen(point: tuple[float, float] | None) -> tuple[float, float] | None:
        if point is None:
            return None
        column, row = int(np.floor(point[0])), int(np.floor(point[1]))
        if not (0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column]):
            return None
        x, y = framed.frame.to_working(np.array([point]))[0]
        return float(x), float(y)

    scale = max(framed.frame.size) / framed.field_of_view.diameter
    return replace(
        landmarks,
        disc=seen(landmarks.disc),
        fovea=seen(landmarks.fovea),
        diameter=None if landmarks.diameter is None else landmarks.diameter * scale,
    )
