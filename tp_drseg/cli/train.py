"""``tp-drseg train``: a training run from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tp_drseg._runtime.files import is_file
from tp_drseg.cli._options import (
    DebugOption,
    Device,
    DeviceOption,
    OtherMaxPixelsOption,
    VerboseOption,
)
from tp_drseg.cli._training import (
    DryRunOption,
    LimitOption,
    PrecisionOption,
    RunFolderOption,
    start_run,
)
from tp_drseg.errors import ConfigError


def train(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's YAML file, or the name of a recipe: tiny, vit_b_idrid, vit_b_ddr.",
        ),
    ],
    out: RunFolderOption,
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
    limit: LimitOption = None,
    seed: Annotated[
        int | None, typer.Option(help="In place of training.seed: of all randomness.")
    ] = None,
    dry_run: DryRunOption = False,
    device: DeviceOption = Device.auto,
    dtype: PrecisionOption = None,
    max_pixels: OtherMaxPixelsOption = None,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a model: crops, losses, checkpoints, operating points, card.

    A run that was stopped goes on when it is started again with the same --out. Start it with
    torchrun to use several processes or GPUs.
    """
    from tp_drseg.training.run_config import RECIPES, read_run, recipe

    path = recipe(run) if run in RECIPES else Path(run)
    if not is_file(path):
        raise ConfigError(
            f"There is no recipe and no file {run}. Recipes are {', '.join(RECIPES)}; a run of "
            f"your own is a YAML file, as docs/training.md describes it."
        )
    changes: dict[str, Any] = {
        "data.root": data,
        "data.lesion_free": lesion_free,
        "data.limit": limit,
        "data.max_pixels": max_pixels,
        "start.sam": sam,
        "start.clip": clip,
        "training.steps": steps,
        "training.seed": seed,
        "training.precision": None if dtype is None else dtype.value,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if steps is not None:
        changes["training.epochs"] = None
    start_run(read_run(path, changes), out, device, dry_run=dry_run, debug=debug)
