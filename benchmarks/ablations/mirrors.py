"""What mirroring and other scales at test time give: AUC-PR on validation photographs.

    python -m benchmarks.ablations.mirrors --data IDRiD --diameters 1792,1280

Each photograph is asked as it is and mirrored, scaled to each diameter; logits are averaged.
The convention is that of `tp-drseg evaluate`: pooled, original pixels, inside the field of view.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tp_drseg import TPDRSeg
from tp_drseg.data import read_dataset, read_ignored, read_mask, split_folds
from tp_drseg.evaluation.metrics import PixelCurve
from tp_drseg.images import read_image
from tp_drseg.inference.request import Prompt

Maps = NDArray[np.float32]
Way = tuple[int, bool]
"""Working diameter, and whether the photograph is mirrored."""


def main() -> None:
    """Prints one line for each way alone, and for averages over some of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of annotated photographs")
    parser.add_argument("--format", default="idrid", help="how it is laid out (default: idrid)")
    parser.add_argument("--model", help="default: the one inside the package")
    parser.add_argument("--diameters", default="1792", help="working diameters, commas between")
    options = parser.parse_args()
    diameters = [int(side) for side in options.diameters.split(",")]
    model = TPDRSeg.from_pretrained(options.model)
    names = model.catalog.names
    samples = read_dataset(options.data, options.format, None, model.catalog)
    curves: dict[str, dict[str, PixelCurve]] = {}
    for sample in split_folds(samples, 5, 0)[1]:
        logits, field = every_way(model, sample.image, diameters)
        masks = [sample.masks[name] for name in names]
        known = [field & ~read_ignored(mask, field.shape) for mask in masks]
        truths = [read_mask(mask, field.shape) for mask in masks]
        for way, probability in averages(logits):
            own = curves.setdefault(way, {name: PixelCurve() for name in names})
            for name, values, truth, scored in zip(names, probability, truths, known, strict=True):
                curve = PixelCurve()
                curve.add(values, truth & scored, scored)
                own[name].merge(curve)
        print(f"{sample.name} is done", flush=True)
    for way, own in curves.items():
        areas = [own[name].average_precision() for name in names]
        shown = " ".join(f"{name} {area:.3f}" for name, area in zip(names, areas, strict=True))
        print(f"{way}: mean {np.mean(areas):.4f} ({shown})")


def every_way(
    model: TPDRSeg, path: Path, diameters: list[int]
) -> tuple[dict[Way, Maps], NDArray[np.bool_]]:
    """Logits of all lesions in original pixels, `(L, H, W)`, by way; and the field of view."""
    config, image = model.config, read_image(path)
    prompts = [Prompt(name) for name in model.catalog.names]
    found, field = {}, np.zeros(0, bool)
    try:
        for diameter, mirrored in itertools.product(diameters, (False, True)):
            model.config = config.replace(inference={"working_diameter": diameter})
            seen = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
            session = model.open_quietly(seen)
            probability = session.probabilities(prompts)
            logits = torch.logit(torch.from_numpy(probability), eps=1e-6).numpy()
            found[diameter, mirrored] = logits[..., ::-1] if mirrored else logits
            field = field if mirrored else session.field_of_view.mask
    finally:
        model.config = config
    return found, field


def averages(logits: dict[Way, Maps]) -> Iterator[tuple[str, Maps]]:
    """Each way's probability, and that of mean logits: by name, one after the other."""
    diameters = list(dict.fromkeys(diameter for diameter, _ in logits))
    groups: dict[str, list[Way]] = {f"{d}": [(d, False)] for d in diameters}
    groups |= {f"{d} with its mirror image": [(d, False), (d, True)] for d in diameters}
    if len(diameters) > 1:
        groups["all diameters"] = [(d, False) for d in diameters]
        groups["all diameters with mirror images"] = list(logits)
    for name, ways in groups.items():
        mean = np.mean([logits[way] for way in ways], axis=0, dtype=np.float32)
        yield name, np.asarray(1 / (1 + np.exp(-mean)), np.float32)


if __name__ == "__main__":
    main()
