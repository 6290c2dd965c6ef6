"""The prior of a lesion's name beside that of its descriptions, as in the paper's Fig. 1b."""

from __future__ import annotations

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tp_drseg import TPDRSeg
from tp_drseg.export import draw_heat_map
from tp_drseg.images import read_image

_WIDTH = 640  # of one panel, in pixels


def prior_maps(model: TPDRSeg, image: Path, lesion: str) -> Image.Image:
    """Three panels: the photograph, the prior of the name, the prior of the descriptions.

    Both maps have values from 0 (violet) to 1 (yellow), each relative to the photograph.

    Raises:
        ImageError: when the photograph cannot be read.
        LesionError: when the model does not know the lesion.
    """
    found = model.catalog.resolve(lesion)
    photograph = read_image(image)
    more = f" (and {len(found.texts) - 1} more)" if len(found.texts) > 1 else ""
    panels = {
        "photograph": Image.fromarray(photograph),
        f"class name: “{found.name}”": draw_heat_map(
            photograph, model.explain(photograph, found.name)
        ),
        f"description: “{found.texts[0]}”{more}": draw_heat_map(
            photograph, model.explain(photograph, found.texts)
        ),
    }
    height = round(_WIDTH * photograph.shape[0] / photograph.shape[1])
    font = ImageFont.load_default(20)
    captions = [textwrap.wrap(caption, 58) for caption in panels]
    strip = 26 * max(map(len, captions)) + 12
    whole = Image.new("RGB", (_WIDTH * len(panels), height + strip), (255, 255, 255))
    draw = ImageDraw.Draw(whole)
    for place, (panel, caption) in enumerate(zip(panels.values(), captions, strict=True)):
        whole.paste(panel.resize((_WIDTH, height), Image.Resampling.LANCZOS), (_WIDTH * place, 0))
        draw.text((_WIDTH * place + 8, height + 6), "\n".join(caption), (0, 0, 0), font)
    return whole
