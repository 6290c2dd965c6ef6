"""``tp-drseg check``: what a data set holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg._runtime.text import one_line
from tp_drseg.cli._errors import SOME_FAILED
from tp_drseg.cli._options import (
    DataOption,
    DebugOption,
    FormatOption,
    MaxPixelsOption,
    SplitOption,
    VerboseOption,
)
from tp_drseg.errors import DataError, LesionError


def check(
    data: DataOption,
    format: FormatOption,
    split: SplitOption = None,
    lesions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML file with lesions of your own, as for finetune."),
    ] = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Open every photograph and mask of a data set, and list what is there and what is wrong.

    Ends with 1 when something is wrong that training could not go on with.
    """
    from tp_drseg.data import choose_split, read_dataset
    from tp_drseg.data.check import check as survey
    from tp_drseg.lesions import LesionCatalog

    split = choose_split(format, split)
    catalog = LesionCatalog.default()
    if lesions is not None:
        from tp_drseg.lesions.lesion_file import read_lesions

        catalog = LesionCatalog((*catalog, *read_lesions(lesions)))
    try:
        samples = read_dataset(data, format, split, catalog, max_pixels=max_pixels)
        found = survey(samples, catalog.names)
    except (DataError, LesionError) as error:
        if debug:
            raise
        first, *more = str(error).split("\n- ")
        for line in (f"Error: {first}", *(f"- {problem}" for problem in more)):
            typer.echo(one_line(line), err=True)
        raise typer.Exit(SOME_FAILED) from None
    typer.echo(found.text())
