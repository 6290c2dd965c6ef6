"""``tp-drseg finetune``: teaches a model a user's own lesions, or its own ones better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg.cli._options import (
    DataOption,
    DebugOption,
    Device,
    DeviceOption,
    FormatOption,
    MaxPixelsOption,
    ModelOption,
    RevisionOption,
    VerboseOption,
)
from tp_drseg.cli._training import (
    DryRunOption,
    LimitOption,
    Precision,
    PrecisionOption,
    RunFolderOption,
    start_run,
)


def finetune(
    data: DataOption,
    out: RunFolderOption,
    lesions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML file with new lesions and their descriptions. Without it the lesions that "
            "the model knows are learned on, by the parts that --train opens.",
        ),
    ] = None,
    format: FormatOption = "folder",
    lesion_free: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Photographs that show none of the lesions."),
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            min=0, help="Every how-many-th photograph is for validation; 0 to learn from all."
        ),
    ] = 5,
    train: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="Let this learn too, at the price of changing the known lesions: "
            "prompt-generator, injectors, decoder, detail, encoder. May be given several times.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Optimiser steps; by default what suits the parts that learn."),
    ] = None,
    limit: LimitOption = None,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    dry_run: DryRunOption = False,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: PrecisionOption = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Teach a model lesions of your own, or those that it knows better from corrected masks.

    What the model already knows stays the same to the last bit, unless --train opens more. A run
    that was stopped goes on when it is started again with the same --out.
    """
    from tp_drseg.lesions import LesionCatalog
    from tp_drseg.lesions.lesion_file import read_lesions
    from tp_drseg.training.finetune import finetune_config
    from tp_drseg.training.run_config import DataConfig

    config = finetune_config(
        None if lesions is None else LesionCatalog(read_lesions(lesions)),
        DataConfig(
            root=str(data),
            format=format,
            folds=folds,
            lesion_free=lesion_free,
            limit=limit,
            max_pixels=max_pixels,
        ),
        model="embedded" if model is None else model,
        revision=revision,
        train=train or (),
        steps=steps,
        precision=(dtype or Precision.auto).value,
        seed=seed,
    )
    start_run(config, out, device, dry_run=dry_run, debug=debug)
