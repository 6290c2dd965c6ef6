"""What the weights inside the package answer on the example, and how that is checked.

After a change of the weights or of the example, store their answers anew, and look at them first:

    python -m tests.support.shipped
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg import TPDRSeg

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "retina_with_lesions.jpg"
STORED = ROOT / "tests" / "stored" / "retina_with_lesions.npz"
CELL = 16
"""Pixels of the photograph along a side of a pixel of the stored maps."""
TOLERANCE = 2e-3
"""Of probabilities; float16 rounds by up to 5e-4, processors differ by less than 1e-4."""

Maps = Mapping[str, NDArray[np.floating]]


class Floor(NamedTuple):
    """The least Dice with the drawn lesion, of the probability cut at a threshold."""

    threshold: float
    dice: float


FLOORS = {
    "microaneurysm": Floor(0.5, 0.78),
    "haemorrhage": Floor(0.5, 0.58),
    "hard exudate": Floor(0.5, 0.72),
    "soft exudate": Floor(0.1, 0.12),  # the model hardly sees the drawn ones
}


def load() -> TPDRSeg:
    """Return the model inside the package, in float32 on the processor."""
    return TPDRSeg.from_pretrained(device="cpu", dtype="float32")


def answers(model: TPDRSeg, lesions: Sequence[str] | None = None) -> Maps:
    """Return the probability of each lesion of the example, `(H, W)`, by name."""
    return {found.lesion: found.probability for found in model.segment_many(EXAMPLE, lesions)}


def faults(found: Maps) -> list[str]:
    """Return a sentence for each lesion that misses its floor or differs from the stored map."""
    said = []
    with np.load(STORED) as stored:
        for lesion, probability in found.items():
            floor, dice = FLOORS[lesion], _dice(lesion, probability)
            if dice < floor.dice:
                said.append(f"{lesion}: Dice {dice:.3f} is under {floor.dice}.")
            difference = np.abs(_coarse(probability) - stored[lesion].astype(np.float32)).max()
            if not difference <= TOLERANCE:
                said.append(f"{lesion}: the map differs from the stored one by {difference:.3f}.")
    return said


def _dice(lesion: str, probability: NDArray[np.floating]) -> float:
    path = ROOT / "examples" / "masks" / lesion.replace(" ", "_") / f"{EXAMPLE.stem}.png"
    with Image.open(path) as image:
        truth = np.asarray(image) > 0
    mask = probability >= FLOORS[lesion].threshold
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def _coarse(probability: NDArray[np.floating]) -> NDArray[np.float32]:
    """Means over whole cells; what is left at the right and at the bottom is cut off."""
    height, width = (side // CELL for side in probability.shape)
    cells = probability[: height * CELL, : width * CELL].reshape(height, CELL, width, CELL)
    means: NDArray[np.float32] = cells.mean(axis=(1, 3), dtype=np.float32)
    return means


def main() -> None:
    """Store the answers of today."""
    found = answers(load())
    maps = {name: _coarse(values).astype(np.float16) for name, values in found.items()}
    with STORED.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **maps)
    for lesion, values in found.items():
        print(f"{lesion}: Dice {_dice(lesion, values):.3f} at {FLOORS[lesion].threshold}")


if __name__ == "__main__":
    main()
