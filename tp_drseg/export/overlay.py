"""Drawing on a photograph: outlined masks, a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from tp_drseg.export.colours import RGB
from tp_drseg.images.measure import window_of

# Viridis at even steps: rises evenly in brightness, and colour-blind readers can follow it.
_HEAT = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


class Layer(NamedTuple):
    """One mask to draw.

    Attributes:
        mask: (H, W) bool.
        colour: Red, green and blue, each 0..255.
        label: What the legend says.
    """

    mask: npt.NDArray[np.bool_]
    colour: RGB
    label: str = ""


def draw_layers(
    image: npt.NDArray[np.uint8],
    layers: Sequence[Layer],
    *,
    fill: float = 0.2,
    line_width: int | None = None,
) -> Image.Image:
    """Outline masks on a photograph and tint what they cover.

    The outline runs just outside the mask, so that the lesion itself stays in view, and has a dark
    rim that sets it off from tissue of the same colour.

    Args:
        image: (H, W, 3) uint8 photograph; it is not changed.
        layers: The masks, drawn in this order.
        fill: Share of the colour in the tint, in [0, 1]; 0 draws outlines only.
        line_width: Width of the outline in pixels, at least 1; by default it grows with the image.

    Returns:
        An RGB picture of the size of the photograph.

    Raises:
        ValueError: ``fill`` or ``line_width`` is out of range, or a mask has another size.
    """
    if not 0 <= fill <= 1:
        raise ValueError(f"fill must be in [0, 1], got {fill}")
    width = max(1, round(max(image.shape[:2]) / 900)) if line_width is None else line_width
    if width < 1:
        raise ValueError(f"line_width must be at least 1 pixel, got {width}")
    rim_width = (width + 1) // 2
    canvas, windows = image.copy(), []
    for layer in layers:
        if layer.mask.shape != image.shape[:2]:
            raise ValueError(f"mask is {layer.mask.shape}, the image {image.shape[:2]}")
        windows.append(window_of(layer.mask, width + rim_width))
        _blend(canvas[windows[-1]], layer.mask[windows[-1]], layer.colour, fill)
    for layer, window in zip(layers, windows, strict=True):
        mask, patch = layer.mask[window], canvas[window]
        line = _grow(mask, width)
        rim = _grow(line, rim_width)
        _blend(patch, rim & ~line, (0, 0, 0), 0.6)
        _blend(patch, line & ~mask, layer.colour, 1.0)
    return Image.fromarray(canvas)


def draw_heat_map(
    image: npt.NDArray[np.uint8], values: npt.NDArray[np.floating[Any]], *, opacity: float = 0.6
) -> Image.Image:
    """Colour a photograph by values in [0, 1], from dark violet (0) to yellow (1).

    Args:
        image: (H, W, 3) uint8 photograph; its grey tones show through.
        values: (H, W) float in [0, 1].
        opacity: Share of the colour, in [0, 1].

    Returns:
        An RGB picture of the size of the photograph.

    Raises:
        ValueError: ``values`` has another size than the image.
    """
    if values.shape != image.shape[:2]:
        raise ValueError(f"values are {values.shape}, the image {image.shape[:2]}")
    stops = np.linspace(0, 255, len(_HEAT))
    heat = np.array(_HEAT, dtype=np.float32)
    table = np.stack([np.interp(np.arange(256), stops, heat[:, c]) for c in range(3)], axis=1)
    index = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    colours = Image.fromarray(np.rint(table).astype(np.uint8)[index])
    grey = Image.fromarray(image).convert("L").convert("RGB")
    return Image.blend(grey, colours, opacity)


def _grow(mask: npt.NDArray[np.bool_], pixels: int) -> npt.NDArray[np.bool_]:
    """Grow a mask by a square of so many pixels to each side, rows first, then columns."""
    grown, side = np.pad(mask, pixels), 2 * pixels + 1
    for _ in range(2):
        reach = 1
        while reach < side:  # each step doubles how far a pixel reaches
            step = min(reach, side - reach)
            grown = grown[:-step] | grown[step:]
            reach += step
        grown = grown.T
    return grown


def _blend(
    canvas: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_], colour: RGB, share: float
) -> None:
    """Mix a colour into some pixels, in place."""
    places = np.nonzero(where)  # few of many: cheaper than the mask itself
    pixels = canvas[places]
    levels = np.arange(256) * (1 - share)
    for channel, value in enumerate(colour):
        mixed = np.rint(levels + value * share).astype(np.uint8)
        pixels[:, channel] = mixed[pixels[:, channel]]
    canvas[places] = pixels
