"""What the description of a new lesion is worth: before any step, and in fine-tuning.

    python -m benchmarks.words.described --eyes healthy --out described --photographs 5,10,20

Things that no eye has are drawn on photographs: hoops, branches and patches, described in words
that taught no text tower. The prior's patch AUC-ROC says where the description points before the
first step. Then a model is fine-tuned on a few photographs, once with the descriptions and once
with a text that says nothing, and its Dice at its operating point is taken on others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.words.drawn_things import THINGS, write_photographs
from benchmarks.words.patches import mean_area, see
from benchmarks.words.tables import table
from tp_drseg import TPDRSeg
from tp_drseg.data import read_dataset
from tp_drseg.evaluation.evaluate import evaluate
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.training.data.annotated import FrameSizes, load_annotated
from tp_drseg.training.finetune import finetune_config
from tp_drseg.training.pipeline import run
from tp_drseg.training.run_config import DataConfig

_NOTHING = (Description("zqxv wkkp"),)  # says nothing, and the tower knows it


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, ask, fine-tune and print the table; what is done already is not done again."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.words.described",
        description="What the description of a new lesion is worth.",
    )
    add = parser.add_argument
    add("--eyes", type=Path, required=True, help="photographs of healthy eyes")
    add("--out", type=Path, required=True, help="folder of the data sets, runs and the table")
    add("--things", default=",".join(THINGS), help=f"some of {','.join(THINGS)}")
    add("--photographs", default="5,10,20", help="sizes of the training sets (default: 5,10,20)")
    add("--tested", type=int, default=5, help="photographs that are scored (default: 5)")
    add("--steps", type=int, default=1500, help="of each fine-tuning (default: 1500)")
    add("--crops", type=int, default=64, help="that a run learns from (default: 64)")
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.photographs.split(",") if size]
    rows = []
    for name in options.things.split(","):
        lesion = THINGS[name].lesion
        eyes = sorted(options.eyes.glob("*.jpg"))
        most = max(sizes, default=0)
        if len(eyes) < most + options.tested:
            parser.error(f"{options.eyes} holds {len(eyes)} photographs, too few")
        tested = options.out / name / "tested"
        write_photographs(THINGS[name], eyes[most : most + options.tested], tested, seed=1)
        cells = [name, f"{area_before(lesion, tested):.3f}"]
        for size in sizes:
            learned = options.out / name / f"learned{size}"
            write_photographs(THINGS[name], eyes[:size], learned, seed=0)
            for kind, texts in (("with", lesion.descriptions), ("without", _NOTHING)):
                out = options.out / name / f"{kind}{size}"
                found = dice(replace(lesion, descriptions=texts), learned, tested, out, options)
                cells.append(f"{found:.3f}")
        rows.append(cells)
        print(cells, flush=True)
    head = ["", "prior's AUC-ROC"]
    head += [f"Dice, {size}, {kind}" for size in sizes for kind in ("described", "not")]
    print(table(head, rows))


def area_before(lesion: Lesion, folder: Path) -> float:
    """Return the patch AUC-ROC of a description's prior, with the embedded model."""
    model = TPDRSeg.from_pretrained(dtype="float32")
    catalog = LesionCatalog((lesion,))
    samples = read_dataset(folder, "folder", None, catalog)
    sizes = FrameSizes.of(model.config, model.config.inference.working_diameter)
    seen = [see(model, load_annotated(sample, catalog.names, sizes)) for sample in samples]
    return mean_area(model, seen, 0, lesion.texts)


def dice(
    lesion: Lesion, learned: Path, tested: Path, out: Path, options: argparse.Namespace
) -> float:
    """Fine-tune on some photographs, and return the pooled Dice on others."""
    result = out / "dice.json"
    if not result.exists():
        data = DataConfig(root=str(learned), format="folder", folds=0)
        config = finetune_config(LesionCatalog((lesion,)), data, steps=options.steps)
        training = config.training.replace(fixed_crops=options.crops)
        model = run(config.replace(training=training), out)
        samples = read_dataset(tested, "folder", None, LesionCatalog((lesion,)))
        (score,) = [s for s in evaluate(model, samples, bootstrap=0) if s.lesion == lesion.name]
        result.write_text(json.dumps(score.pooled_dice), encoding="utf-8")
    return float(json.loads(result.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
