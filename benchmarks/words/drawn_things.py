"""Things that no eye has, drawn on photographs, so that a model can be asked for what is new."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from tp_drseg.images import find_field_of_view, read_image
from tp_drseg.lesions import Description, Lesion

_COUNT = 12  # of each thing on a photograph
_OPACITY = 0.85

Draw = Callable[[ImageDraw.ImageDraw, tuple[float, float], float, np.random.Generator], None]


@dataclass(frozen=True)
class Thing:
    """One kind of thing.

    Attributes:
        lesion: Its name and descriptions, in words that taught no text tower of ours.
        colour: RGB.
        draw: Draws one into a mask, at a place and of a size in pixels.
    """

    lesion: Lesion
    colour: tuple[int, int, int]
    draw: Draw


def _ring(draw: ImageDraw.ImageDraw, at: tuple[float, float], size: float, _: object) -> None:
    x, y = at
    box = (x - size, y - size, x + size, y + size)
    draw.ellipse(box, outline=255, width=max(2, round(size / 3)))


def _branch(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], size: float, rng: np.random.Generator
) -> None:
    angle, line = rng.uniform(0, 2 * math.pi), [at]
    for _ in range(12):
        angle += rng.normal(0, 0.35)
        x, y = line[-1]
        line.append((x + math.cos(angle) * size, y + math.sin(angle) * size))
    draw.line(line, fill=255, width=max(2, round(size / 3)), joint="curve")


def _patch(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], size: float, rng: np.random.Generator
) -> None:
    angles = np.linspace(0, 2 * math.pi, 14, endpoint=False)
    radii = 1.6 * size * rng.uniform(0.6, 1.2, len(angles))
    corners = zip(radii * np.cos(angles) + at[0], radii * np.sin(angles) + at[1], strict=True)
    draw.polygon([(float(x), float(y)) for x, y in corners], fill=255)


def _lesion(name: str, abbreviation: str, *texts: str) -> Lesion:
    return Lesion(name, abbreviation, (), tuple(Description(text) for text in texts))


THINGS: Mapping[str, Thing] = {
    "hoop": Thing(
        _lesion("hoop", "HP", "teal hoops", "hollow jade bangles", "aquamarine lifebelts"),
        (70, 170, 150),
        _ring,
    ),
    "twig": Thing(
        _lesion(
            "twig", "TW", "meandering dusky creepers", "crooked umber rivulets", "sinuous tendrils"
        ),
        (70, 25, 20),
        _branch,
    ),
    "blot": Thing(
        _lesion("lilac blot", "LB", "lilac smithereens", "mauve polygons", "amethyst tatters"),
        (150, 90, 190),
        _patch,
    ),
}


def write_photographs(thing: Thing, photographs: list[Path], out: Path, seed: int) -> None:
    """Draw a thing on photographs, as a data set in the plain layout `folder`.

    Args:
        thing: What to draw, a dozen a photograph.
        photographs: They stay as they are.
        out: Where `images` and `masks` are made.
        seed: Of places, sizes and shapes.
    """
    masks = out / "masks" / thing.lesion.name.replace(" ", "_")
    for folder in (out / "images", masks):
        folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(photographs):
        image, mask = draw_thing(thing, read_image(path), np.random.default_rng((seed, number)))
        Image.fromarray(image).save(out / "images" / f"{path.stem}.jpg", quality=92)
        Image.fromarray(mask.astype(np.uint8) * 255).save(masks / f"{path.stem}.png")


def draw_thing(
    thing: Thing, image: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the photograph with a dozen of a thing on it, and where they are, `(H, W)`."""
    inside = find_field_of_view(image).mask
    rows, columns = np.nonzero(inside)
    diameter = float(np.ptp(columns))
    mask = Image.new("L", inside.shape[::-1])
    for place in rng.integers(len(rows), size=_COUNT):
        at = float(columns[place]), float(rows[place])
        thing.draw(ImageDraw.Draw(mask), at, diameter * rng.uniform(0.012, 0.022), rng)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(diameter / 1000)), np.float32) / 255
    soft = (soft * inside * _OPACITY)[..., None]
    shaded = image * (1 - soft) + np.asarray(thing.colour, np.float32) * soft
    return shaded.round().astype(np.uint8), (np.asarray(mask) > 127) & inside
