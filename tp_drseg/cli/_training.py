"""What the commands that train share."""

from __future__ import annotations

import logging
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tp_drseg._runtime.text import one_line
from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import Device

if TYPE_CHECKING:
    from tp_drseg.training.run_config import RunConfig


class Precision(StrEnum):
    """What training computes in; the weights that learn are float32 in any case."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


RunFolderOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run.")]
LimitOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Take only the first N photographs of each kind: to learn from, for validation, and "
        "without lesions. For a quick try.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check everything, make a few steps, say what time, memory and disk the run will "
        "take, and write nothing.",
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        "--dtype",
        help="What to compute in; the weights that learn are float32 in any case. auto: bfloat16 "
        "where the hardware has it, else float32.",
    ),
]


def start_run(
    config: RunConfig, out: Path, device: Device, *, dry_run: bool = False, debug: bool = False
) -> None:
    """Train, or forecast what training would take, and say where the model is."""
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started
    if not debug:
        set_level(logging.INFO if first else logging.WARNING)
    if dry_run:
        from tp_drseg.training.forecast import forecast

        typer.echo(forecast(config, out, device=device.value).text())
        typer.echo("Nothing was written.")
        return
    from tp_drseg.training import pipeline

    pipeline.run(config, out, device=device.value)
    if first:
        typer.echo(f"Wrote {one_line(str(out / 'model'))}")
