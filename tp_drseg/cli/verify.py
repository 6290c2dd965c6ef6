"""`tp-drseg verify`: read results, or a model, again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tp_drseg._runtime.files import is_file
from tp_drseg._runtime.text import one_line
from tp_drseg.cli import _model
from tp_drseg.cli._errors import SOME_FAILED
from tp_drseg.cli._options import DebugOption, Device, Dtype, VerboseOption
from tp_drseg.errors import ConfigError

if TYPE_CHECKING:
    from tp_drseg.folder.verify import Verified

EXAMPLES = """\b
Examples:
  tp-drseg verify results
  tp-drseg verify runs/mine/model

\b
Exit codes: 0 all is as it was written; 1 something is not; 2 wrong use."""


def verify(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="What `tp-drseg segment` wrote, or the folder of a model."
        ),
    ],
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Read all files of results, or of a model, again, and compare them with what was written.

    Of results, each file must have its size and hash and be a whole picture. Of a model, the
    configuration must be valid and the weights complete, finite, and those that it was saved with.
    Nothing is changed.
    """
    from tp_drseg.folder.verify import is_results_folder, verify_results

    if is_results_folder(folder):
        found = verify_results(folder)
        _show(found)
        if found.problems:
            typer.echo(
                f"Error: {len(found.problems)} problems in {one_line(str(folder))}", err=True
            )
            raise typer.Exit(SOME_FAILED)
        return
    if not is_file(folder / "config.json"):
        raise ConfigError(
            f"{folder} holds neither the results of a run nor a model. Give the folder that "
            "`tp-drseg segment --out` wrote, or one with config.json and model.safetensors."
        )
    _model.load_model(str(folder), None, Device.cpu, Dtype.float32)  # it refuses what is not whole
    typer.echo(f"{one_line(str(folder))}: the model is whole.")


def _show(found: Verified) -> None:
    for problem in found.problems:
        typer.echo(one_line(f"{problem.name}: {problem.what}"))
    for name in found.unknown:
        typer.echo(one_line(f"{name}: no record knows it; it may be of a run that was stopped."))
    typer.echo(f"{found.photographs} photographs, {found.files} files read again.")
