r"""Train the anatomy head of a checkpoint: keep features, train, measure, merge.

    python -m tp_drseg.training.anatomy --table grades.csv --photographs IMAGES --masks DISCS \
        --features FEATURES --head head.safetensors --out checkpoint

The features of the frozen encoder are computed once, some seconds a photograph, and kept in a
folder; the head is trained on them in minutes.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save as to_bytes

from tp_drseg._runtime.files import write_bytes, write_json
from tp_drseg.model import TPDRSeg
from tp_drseg.training.anatomy.features import (
    Located,
    cache_features,
    feature_file,
    located_by_masks,
    located_by_table,
)
from tp_drseg.training.anatomy.merge import with_head
from tp_drseg.training.anatomy.train import Examples, measure_head, train_head
from tp_drseg.training.anatomy.views import KINDS

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tp_drseg.training.anatomy")
    parser.add_argument("--table", type=Path, required=True, help="image, disc_x, ..., fovea_y")
    parser.add_argument("--photographs", type=Path, help="photographs whose discs have masks")
    parser.add_argument("--masks", type=Path, help="those masks, NAME_OD.tif")
    parser.add_argument("--features", type=Path, required=True, help="where features are kept")
    parser.add_argument("--head", type=Path, required=True, help="the head to write")
    parser.add_argument("--out", type=Path, help="a checkpoint to write, with the head inside")
    parser.add_argument("--model", default=None, help="whose encoder; by default the embedded one")
    parser.add_argument("--dtype", default="auto", help="what features are computed in")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--no-new-features", action="store_true", help="take what is kept")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    sets = {options.features / "table": located_by_table(options.table)}
    if options.photographs is not None and options.masks is not None:
        sets[options.features / "masks"] = located_by_masks(options.photographs, options.masks)
    if not options.no_new_features:
        encoder = TPDRSeg.from_pretrained(options.model, dtype=options.dtype).network.explicit_prior
        for kind in options.kinds:
            for folder, photographs in sets.items():
                for path in cache_features(encoder, photographs, folder, [kind]):
                    logger.info("%s", path)
    head = train_head(
        Examples.load(_kept(sets, options.kinds, held_out=False)),
        steps=options.steps,
        seed=options.seed,
    )
    tensors = {name: value.contiguous() for name, value in head.state_dict().items()}
    write_bytes(options.head, to_bytes(tensors))
    measured = {
        f"{folder.name}, {kind}": asdict(measure_head(head, Examples.load(files)))
        for folder, photographs in sets.items()
        for kind in KINDS
        if (files := _kept({folder: photographs}, [kind], held_out=True))
    }
    write_json(options.head.with_suffix(".json"), measured)
    for name, errors in measured.items():
        logger.info("%s: %s", name, errors)
    if options.out is not None:
        model = TPDRSeg.from_pretrained(options.model)
        with_head(model, options.head).save_pretrained(options.out)
    return 0


def _kept(sets: dict[Path, list[Located]], kinds: Sequence[str], *, held_out: bool) -> list[Path]:
    """Return the files of views that are kept."""
    files = (
        feature_file(folder, photograph, kind)
        for folder, photographs in sets.items()
        for photograph in photographs
        if photograph.held_out == held_out
        for kind in KINDS
        if kind in kinds
    )
    return [path for path in files if path.exists()]


if __name__ == "__main__":
    sys.exit(main())
