"""Options that several commands share."""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tp_drseg.cli._errors import set_debug
from tp_drseg.cli._logging import set_level


class Device(StrEnum):
    """Where a model runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Dtype(StrEnum):
    """What a model computes in."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class DicomKind(StrEnum):
    """What a DICOM segmentation holds."""

    binary = "binary"
    fractional = "fractional"


def _set_verbose(value: bool) -> bool:
    if value:
        set_level(logging.INFO)
    return value


def _set_debug(ctx: typer.Context, value: bool) -> bool:
    if value:
        set_debug(ctx)
        set_level(logging.DEBUG)
    return value


def _show_version(value: bool) -> None:
    if value:
        from tp_drseg import __version__

        typer.echo(f"tp-drseg {__version__}")
        raise typer.Exit


ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="A model folder, or a model on the Hugging Face Hub (org/name). "
        "By default the model inside this package.",
    ),
]
RevisionOption = Annotated[
    str | None, typer.Option(metavar="REV", help="Branch, tag or commit of a model on the Hub.")
]
DataOption = Annotated[
    Path,
    typer.Option(
        metavar="DIR", exists=True, file_okay=False, help="The data set, or a folder above it."
    ),
]
FormatOption = Annotated[
    str,
    typer.Option(
        help="idrid, ddr, fgadr, retinal-lesions, tjdr, e-ophtha; folder: images/ and "
        "masks/<lesion>/; review: results that were signed in `tp-drseg review`."
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        help="train, valid or test, as the data set has them; by default the training set, "
        "or all where there are no splits."
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where the model runs.")]
DtypeOption = Annotated[
    Dtype,
    typer.Option(
        help="What the model computes in. auto: bfloat16 where the hardware has it, else float32. "
        "float16 is for CUDA alone."
    ),
]
AccurateOption = Annotated[
    bool,
    typer.Option(
        "--accurate",
        help="Ask about each photograph's mirror images too and take the mean: up to four times as "
        "long.",
    ),
]
_MAX_PIXELS = typer.Option(
    metavar="N",
    min=1,
    help="Refuse a photograph of more than N pixels before memory is taken for it.",
)
MaxPixelsOption = Annotated[int, _MAX_PIXELS]
OtherMaxPixelsOption = Annotated[int | None, _MAX_PIXELS]
"""The same, where a file holds the value and the option replaces it."""
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", callback=_set_verbose, help="Show more of what is done.")
]
DebugOption = Annotated[
    bool, typer.Option("--debug", callback=_set_debug, help="Show the traceback of an error.")
]
VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
]
