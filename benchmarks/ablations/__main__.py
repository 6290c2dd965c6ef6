"""The paper's tables of ablations and tunings: trains and measures rows under one budget.

Run it from the repository's root:

    python -m benchmarks.ablations --data IDRiD --sam mobile_sam.pt --clip CLIP --out tables

See docs/ablations.md.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.ablations.base import load_base
from benchmarks.ablations.options import Options, parse
from benchmarks.ablations.row_run import Bench
from benchmarks.ablations.row_table import markdown, summary
from benchmarks.ablations.rows import ROWS
from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import write_json, write_text
from tp_drseg.errors import TPDRSegError
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import FrameSizes, load_cached
from tp_drseg.training.engine.launch import launch
from tp_drseg.training.run_config import DataConfig
from tp_drseg.training.split import split_data

HELD_OUT_NEGATIVES = 20


def prepare(options: Options) -> Bench:
    """Return everything that the rows have in common."""
    require("train", "lightning_fabric", "tensorboard", "matplotlib", "torchvision")
    if any(ROWS[row].get("tuning") == "lora" for row in options.rows):
        require("lora", "peft")  # not after the other rows
    base, start = load_base(options.start)
    data = DataConfig(
        root=str(options.data),
        format=options.format,
        fold=options.fold,
        lesion_free=None if options.negatives is None else str(options.negatives),
        lesion_free_held_out=HELD_OUT_NEGATIVES,
    )
    split = split_data(data, base.catalog, base.catalog.names)
    precision: Any = options.precision  # checked by the configuration
    training = TrainingConfig(
        steps=options.steps,
        fixed_crops=options.fixed_crops,
        batch_size=options.batch,
        learning_rate=options.learning_rate,
        warmup=options.steps // 10,
        lesions_per_crop=0,  # every crop is asked for every lesion
        points=0.0,  # text alone
        precision=precision,
        seed=options.start.seed,
    )
    photographs = load_cached(
        split.training, base.catalog.names, FrameSizes.of(base.config),
        options.out / "photographs",
    )  # fmt: skip
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


def run(options: Options) -> str:
    """Train and measure the rows; return their table, which is written after each of them."""
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
    """Run what the command line asks for, and print the table."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        print(run(options))
    except TPDRSegError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
