"""The paper's tables of ablations and tunings: trains and measures rows under one budget.

Run it from the repository's root, with the package installed:
`python -m benchmarks.ablations --data IDRiD --sam mobile_sam.pt --clip CLIP --out tables`.
See docs/ablations.md.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.ablations.rows import ROWS
from tp_drseg.errors import TPDRSegError

if TYPE_CHECKING:
    from benchmarks.ablations.row_run import Bench
    from tp_drseg import TPDRSeg

HELD_OUT_NEGATIVES = 20


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, help="the data set")
    add("--format", default="idrid", help="how it is laid out (default: idrid)")
    add("--negatives", type=Path, help="photographs without lesions; the last 20 are not used")
    add("--sam", type=Path, help="SAM checkpoint to start from, such as mobile_sam.pt")
    add("--clip", help="CLIP that goes with it: for mobile_sam.pt a trained small CLIP's folder")
    add("--start", help="in place of both: a trained model, `embedded`, a folder or a Hub id")
    add("--out", type=Path, required=True, help="folder of the rows and the table; or a picture")
    add("--rows", default=",".join(ROWS), help=f"some of {','.join(ROWS)} (default: all)")
    add("--steps", type=int, default=80, help="steps of each row (default: 80)")
    add("--batch", type=int, default=1, help="crops a step (default: 1)")
    add("--learning-rate", type=float, default=3e-4, help="highest rate (default: 3e-4)")
    add("--fixed-crops", type=int, default=0, help="learn from this many crops, again and again")
    add("--image-size", type=int, help="side of a tile (default: the model's own)")
    add("--diameter", type=int, help="working diameter (default: the model's own)")
    add("--detail", action="store_true", help="with the detail head, which the paper has not")
    add("--fold", type=int, default=0, help="fold of 5 that is held out (default: 0)")
    add("--photographs", type=int, help="score the first N held-out photographs (default: all)")
    add("--points-from", type=int, default=4, help="choose thresholds on N training photographs")
    add("--bootstrap", type=int, default=1000, help="draws for the intervals (default: 1000)")
    add("--seed", type=int, default=0, help="of all randomness (default: 0)")
    add("--precision", default="float32", help="float32, bf16 or auto (default: float32)")
    add("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    add("--priors", type=Path, metavar="IMAGE", help="train nothing: draw the two priors of IMAGE")
    add("--lesion", default="hard exudate", help="whose priors to draw (default: hard exudate)")
    options = parser.parse_args(arguments)
    options.rows = list(dict.fromkeys(options.rows.split(",")))
    if unknown := [row for row in options.rows if row not in ROWS]:
        parser.error(f"unknown rows {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if options.priors is None and options.data is None:
        parser.error("--data is needed, but for --priors")
    if options.start is not None and (options.sam is not None or options.clip is not None):
        parser.error("give --start, or --sam and --clip, not both")
    if options.priors is not None and options.sam is None and options.start is None:
        options.start = "embedded"
    if options.start is None and (options.sam is None or options.clip is None):
        parser.error("give --sam and --clip, or --start")
    return options


def load_base(options: argparse.Namespace) -> tuple[TPDRSeg, str]:
    """What every row begins with, and where it comes from in words; it has no tuning."""
    import torch

    from tp_drseg import TPDRSeg
    from tp_drseg.training.start import start_from

    changes: dict[str, dict[str, Any]] = {
        "architecture": {"tuning": "none", "detail": options.detail},
        "inference": {"operating_points": {}},
    }
    if options.image_size is not None:
        changes["architecture"]["image_size"] = options.image_size
    if options.diameter is not None:
        changes["inference"]["working_diameter"] = options.diameter
    torch.manual_seed(options.seed)
    if options.start is None:
        base = TPDRSeg.from_backbones(sam=options.sam, clip=options.clip, **changes)
        return base, f"{options.sam.name}, with a prompt generator and a tuning that are new"
    model_id = None if options.start == "embedded" else options.start
    parent = TPDRSeg.from_pretrained(model_id, device="cpu", dtype="float32")
    name = f"the trained model {parent.model_id}, with a tuning that is new"
    return start_from(parent, changes), name


def prepare(options: argparse.Namespace) -> Bench:
    """Everything that the rows have in common."""
    from tp_drseg._runtime.extras import require

    require("train", "lightning_fabric", "tensorboard", "matplotlib", "torchvision")
    if any(ROWS[row].get("tuning") == "lora" for row in options.rows):
        require("lora", "peft")  # not after the other rows
    from benchmarks.ablations.row_run import Bench
    from tp_drseg.training.config import TrainingConfig
    from tp_drseg.training.data.annotated import load_cached
    from tp_drseg.training.engine.trainer import launch
    from tp_drseg.training.run import split_data
    from tp_drseg.training.run_config import DataConfig

    base, start = load_base(options)
    data = DataConfig(
        root=str(options.data),
        format=options.format,
        fold=options.fold,
        lesion_free=None if options.negatives is None else str(options.negatives),
        lesion_free_held_out=HELD_OUT_NEGATIVES,
    )
    split = split_data(data, base.catalog)
    training = TrainingConfig(
        steps=options.steps,
        fixed_crops=options.fixed_crops,
        batch_size=options.batch,
        learning_rate=options.learning_rate,
        warmup=options.steps // 10,
        lesions=0,  # every crop is asked for every lesion
        clicks=0.0,  # text alone
        precision=options.precision,
        seed=options.seed,
    )
    diameter = round(1.2 * base.config.inference.working_diameter)
    photographs = load_cached(
        split.training, base.catalog.names, diameter, options.out / "photographs"
    )
    return Bench(
        base=base,
        start=start,
        photographs=photographs,
        training=training,
        points=split.training[: options.points_from],
        validation=split.validation[: options.photographs],
        learned_from=split.training,
        draws=options.bootstrap,
        fabric=launch(training, options.device),
    )


def run(options: argparse.Namespace) -> str:
    """Run what is asked for and return what there is to say about it."""
    if options.priors is not None:
        from benchmarks.ablations.priors import prior_maps
        from tp_drseg.export import save_picture

        save_picture(
            prior_maps(load_base(options)[0].eval(), options.priors, options.lesion), options.out
        )
        return f"Wrote {options.out}"

    from benchmarks.ablations.row_table import markdown, summary
    from tp_drseg._runtime.files import write_json, write_text

    bench = prepare(options)
    settings = bench.settings()
    results: list[dict[str, Any]] = []
    for row in options.rows:
        results.append(bench.run(row, options.out / row, settings))
        # after each row, so that a table of those so far can be looked at
        write_text(options.out / "table.md", markdown(results))
        write_json(options.out / "table.json", {"settings": settings, "rows": summary(results)})
    return markdown(results)


def main(arguments: Sequence[str] | None = None) -> None:
    """The script."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        print(run(options))
    except TPDRSegError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
