"""`tp-drseg review`: a page to look through results and correct them."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tp_drseg._runtime.extras import require
from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg._runtime.text import visible
from tp_drseg.cli import _model
from tp_drseg.cli._options import (
    DebugOption,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    MaxPixelsOption,
    ModelOption,
    RevisionOption,
    VerboseOption,
)
from tp_drseg.errors import ConfigError

if TYPE_CHECKING:
    from tp_drseg.web.serve import Opened

EXAMPLES = """\b
Examples:
  tp-drseg review results
  tp-drseg review results --reviewer "A. Berg" --assign 1/2
  tp-drseg review results --photographs /mnt/eyes --port 8731"""


def review(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", exists=True, file_okay=False, help="What `segment --out` wrote."
        ),
    ],
    photographs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Where the photographs lie now, if they were moved.",
        ),
    ] = None,
    reviewer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who reviews; written beside every correction. By default your name on this "
            "machine.",
        ),
    ] = None,
    assign: Annotated[
        str,
        typer.Option(
            metavar="I/N", help="Change only the I-th of N parts of the photographs: 1/2, 2/2."
        ),
    ] = "1/1",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port on this machine; 0 for one that is free."),
    ] = 0,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Look through the results of `segment` in a browser, and correct them.

    Prints the address of a page that this machine alone can open. Corrected masks are saved at once
    beside the model's, never over them; Ctrl-C ends the page.
    """
    require("web", "starlette", "uvicorn")
    from tp_drseg.web.part import Part
    from tp_drseg.web.serve import open_server

    name = visible(reviewer if reviewer is not None else _login()).strip()
    if not name or len(name) > 200:
        raise ConfigError("A reviewer has a name of 1 to 200 letters. Give it with --reviewer.")
    part = Part.parse(assign)
    try:
        with open_server(
            results,
            lambda: _model.load_model(model, revision, device, dtype),
            reviewer=name,
            photographs=photographs,
            port=port,
            part=part,
            max_pixels=max_pixels,
        ) as opened:
            _show(opened)
            opened.run()
    except KeyboardInterrupt:
        typer.echo("Closed. All is saved.", err=True)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return ""


def _show(opened: Opened) -> None:
    if opened.mended:
        typer.echo(f"{opened.mended} photographs were mended: the page was killed.", err=True)
    if opened.read_only:
        typer.echo(opened.read_only, err=True)
    typer.echo(f"{opened.photographs} photographs. Open this address; keep it to yourself:")
    typer.echo(opened.url)
