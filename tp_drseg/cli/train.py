"""``tp-drseg train``: a training run from one YAML file."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import DebugOption, VerboseOption


def train(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's YAML file, or the name of a recipe: tiny, vit_b_idrid, vit_b_ddr.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run.")],
    data: Annotated[
        str | None, typer.Option(metavar="DIR", help="In place of data.root of the file.")
    ] = None,
    lesion_free: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="In place of data.lesion_free: photographs without any."),
    ] = None,
    sam: Annotated[
        str | None, typer.Option(metavar="FILE", help="In place of start.sam: a SAM checkpoint.")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(metavar="NAME", help="In place of start.clip: a CLIP.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="In place of training.steps or training.epochs.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="In place of training.seed: of all randomness.")
    ] = None,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a model: crops, losses, checkpoints, operating points, card.

    A run that was stopped goes on when it is started again with the same --out. Start it with
    torchrun to use several processes or GPUs.
    """
    from tp_drseg.training import run as runs
    from tp_drseg.training.run_config import RECIPES, read_run, recipe

    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started
    if not debug:
        set_level(logging.INFO if first else logging.WARNING)
    changes: dict[str, Any] = {
        "data.root": data,
        "data.lesion_free": lesion_free,
        "start.sam": sam,
        "start.clip": clip,
        "training.steps": steps,
        "training.seed": seed,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if steps is not None:
        changes["training.epochs"] = None
    runs.run(read_run(recipe(run) if run in RECIPES else Path(run), changes), out)
    if first:
        typer.echo(f"Wrote {out / 'model'}")
