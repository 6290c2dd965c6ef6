"""Degrade real photographs step by step, and find the limits of quality.

Run it from the repository's root:

    python -m benchmarks.quality --data IDRiD --photographs 4 --out docs/quality-curves.md
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.quality.curves import Annotated, StepMeasured, measure_all
from benchmarks.quality.degrade import DEGRADATIONS
from benchmarks.quality.report import page
from tp_drseg._runtime.files import write_json, write_text
from tp_drseg.data.idrid import read_idrid
from tp_drseg.data.samples import hold_out, read_mask
from tp_drseg.images import frame_photograph, read_fundus
from tp_drseg.model import TPDRSeg


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="IDRiD's segmentation part")
    parser.add_argument("--photographs", type=int, default=4, help="how many")
    parser.add_argument("--only", nargs="*", choices=list(DEGRADATIONS), default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument(
        "--diameter", type=int, default=None, help="working diameter, if not the model's own"
    )
    parser.add_argument("--out", type=Path, required=True, help="the page to write")
    options = parser.parse_args(arguments)
    model = TPDRSeg.from_pretrained(dtype=options.dtype)
    if options.diameter is not None:
        model.config = model.config.replace(inference={"working_diameter": options.diameter})
    photographs, names = load(options.data, options.photographs, model)
    kept = options.out.with_suffix(".json")
    # what was measured before stays, so that a curve can be measured anew by itself
    curves = read_curves(kept) if options.only and kept.exists() else {}
    curves |= measure_all(model, photographs, options.only or list(DEGRADATIONS), _say)
    curves = {name: curves[name] for name in DEGRADATIONS if name in curves}
    about = (
        f"{len(photographs)} photographs of IDRiD that the embedded model has not learned from "
        f"({', '.join(names)}), scaled to a working diameter of "
        f"{model.config.inference.working_diameter} px."
    )
    write_text(options.out, page(curves, about))
    write_json(
        kept,
        {name: [vars(step) for step in steps] for name, steps in curves.items()},
    )
    return 0


def read_curves(path: Path) -> dict[str, list[StepMeasured]]:
    """Return the curves that an earlier run has measured."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {name: [StepMeasured(**step) for step in steps] for name, steps in data.items()}


def load(root: Path, count: int, model: TPDRSeg) -> tuple[list[Annotated], list[str]]:
    """Return the held-out photographs with the most kinds of lesions, at the working size."""
    catalog = model.catalog
    found = []
    for sample in hold_out(read_idrid(root, catalog=catalog))[1]:
        fundus = read_fundus(sample.image)
        masks = {
            name: read_mask(file, fundus.pixels.shape[:2]) for name, file in sample.masks.items()
        }
        framed = frame_photograph(
            fundus.pixels, fundus.field_of_view, model.config.inference.working_diameter
        )
        own = {
            name: framed.frame.apply_mask(mask) >= 0.5 for name, mask in masks.items() if mask.any()
        }
        found.append((sample.name, Annotated(framed.pixels, own)))
    found.sort(key=lambda one: -len(one[1].masks))  # stable: by name among equals
    chosen = found[:count]
    return [one for _, one in chosen], [name for name, _ in chosen]


def _say(name: str, step: StepMeasured) -> None:
    values = ", ".join(f"{lesion} {value:.3f}" for lesion, value in step.sensitivity.items())
    print(f"{name} {step.level}: {values}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
