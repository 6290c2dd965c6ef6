"""Remake the example: draw lesions on the healthy retina, and write their true masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tp_drseg.data.drawn import draw_lesions

HERE = Path(__file__).parent
NAME = "retina_with_lesions"


def main() -> None:
    """Write ``retina_with_lesions.jpg`` and ``masks/<lesion>/retina_with_lesions.png``."""
    with Image.open(HERE / "retina.jpg") as file:
        healthy = np.asarray(file.convert("RGB"))
    field_of_view = healthy.max(axis=-1) > 30
    drawn, masks = draw_lesions(healthy, field_of_view, seed=1)
    Image.fromarray(drawn).save(HERE / f"{NAME}.jpg", quality=92, subsampling=0)
    for lesion, mask in masks.items():
        path = HERE / "masks" / lesion.replace(" ", "_") / f"{NAME}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path, optimize=True)
        print(f"{lesion}: {mask.sum()} of {mask.size} pixels")


if __name__ == "__main__":
    main()
