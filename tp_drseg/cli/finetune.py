"""``tp-drseg finetune``: teaches a model a user's own lesions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import (
    DataOption,
    DebugOption,
    FormatOption,
    ModelOption,
    RevisionOption,
    VerboseOption,
)


def finetune(
    lesions: Annotated[
        Path, typer.Option(metavar="FILE", help="YAML file with the lesions and descriptions.")
    ],
    data: DataOption,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run.")],
    format: FormatOption = "folder",
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
        typer.Option(min=1, help="Optimiser steps; by default 1500, and 200 with --train."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    model: ModelOption = None,
    revision: RevisionOption = None,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Teach a model lesions of your own, each by a description and masks.

    What the model already knows stays the same to the last bit, unless --train opens more.
    """
    from tp_drseg.cli._model import load_model
    from tp_drseg.cli._options import Device, Dtype
    from tp_drseg.data import read_dataset, split_folds
    from tp_drseg.lesions import LesionCatalog
    from tp_drseg.lesions.lesion_file import read_lesions
    from tp_drseg.training import finetune as tuning

    if not debug:
        set_level(logging.INFO)
    parent = load_model(model, revision, Device.cpu, Dtype.float32)
    new = read_lesions(lesions)
    config = tuning.default_config(new, train or (), steps, seed)
    catalog = LesionCatalog((*parent.catalog, *new))
    samples = read_dataset(data, format, None, catalog)
    learning, validation = split_folds(samples, folds, 0) if folds else (samples, [])
    tuning.finetune(
        parent, new, learning, out, validation=validation, train=train or (), config=config
    )
    typer.echo(f"Wrote {out / 'model'}")
