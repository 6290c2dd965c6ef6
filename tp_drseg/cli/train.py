"""``tp-drseg train``: makes the embedded checkpoint anew."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import DebugOption, VerboseOption


def train(
    data: Annotated[Path, typer.Option(metavar="DIR", help="IDRiD's segmentation data set.")],
    sam: Annotated[Path, typer.Option(metavar="FILE", help="MobileSAM's mobile_sam.pt.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run.")],
    negatives: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Photographs without any lesion; the last 20 by name are left for validation.",
        ),
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A small CLIP that is already trained.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of TP-DRSeg.")] = 680,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    points_from: Annotated[
        int,
        typer.Option(min=0, help="Training photographs on which operating points are chosen."),
    ] = 6,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a model of the size tiny on IDRiD: small CLIP, TP-DRSeg, operating points, card.

    Every fifth photograph by name measures and never learns. A run that was stopped goes on when
    it is started again with the same --out.
    """
    from tp_drseg.training import recipe
    from tp_drseg.training.trainer import TrainingConfig

    if not debug:
        set_level(logging.INFO)
    split = recipe.split_data(data, negatives)
    model = recipe.train(
        split,
        sam=sam,
        out=out,
        clip=clip,
        config=TrainingConfig(steps=steps, seed=seed),
    )
    if points_from:
        recipe.set_operating_points(model, split.training[:points_from])
    recipe.report(model, split)
    typer.echo(f"Wrote {model.save_pretrained(out / 'model')}")
