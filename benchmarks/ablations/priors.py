"""The prior of a lesion's name beside that of its descriptions, as in the paper's Fig. 1b.

python -m benchmarks.ablations.priors examples/retina_with_lesions.jpg --out priors.png
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.ablations.base import load_base
from benchmarks.ablations.options import add_start, take_start
from tp_drseg import TPDRSeg
from tp_drseg.errors import TPDRSegError
from tp_drseg.export import draw_heat_map, save_picture
from tp_drseg.images import read_image

_WIDTH = 640  # of one panel, in pixels


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablations.priors",
        description="The prior of a lesion's name beside that of its descriptions.",
    )
    parser.add_argument("image", type=Path, help="a photograph")
    parser.add_argument("--lesion", default="hard exudate", help="default: hard exudate")
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    add_start(parser)
    found = parser.parse_args(arguments)
    start = take_start(parser, found, default="embedded")
    try:
        model = load_base(start)[0]
        save_picture(prior_maps(model, found.image, found.lesion), found.out)
    except TPDRSegError as error:
        sys.exit(f"error: {error}")


def prior_maps(model: TPDRSeg, image: Path, lesion: str) -> Image.Image:
    """Draw three panels: the photograph, the prior of the name, the prior of the descriptions.

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
            photograph, model.prior_map(photograph, found.name)
        ),
        f"description: “{found.texts[0]}”{more}": draw_heat_map(
            photograph, model.prior_map(photograph, found.texts)
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


if __name__ == "__main__":
    main()
