"""`tp-drseg lesions`: what a model knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tp_drseg.cli import _model
from tp_drseg.cli._options import DebugOption, Device, ModelOption, RevisionOption, VerboseOption

if TYPE_CHECKING:
    from tp_drseg.lesions import Lesion

EXAMPLES = """\b
Examples:
  tp-drseg lesions
  tp-drseg lesions --model runs/mine/model --json"""


def lesions(
    model: ModelOption = None,
    revision: RevisionOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with every description and its source.")
    ] = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """List the lesions that a model knows, with their names and descriptions."""
    from tp_drseg.lesions import LesionCatalog

    if model is None:
        catalog = LesionCatalog.default()
    else:
        catalog = _model.load_model(model, revision, Device.cpu).catalog
    if as_json:
        typer.echo(json.dumps([_entry(lesion) for lesion in catalog], indent=2))
        return
    from tp_drseg.cli._table import show_table

    show_table(
        ["lesion", "short", "also", "texts", "first text"],
        [
            (
                lesion.name,
                lesion.abbreviation,
                ", ".join(lesion.aliases),
                str(len(lesion.texts)),
                lesion.texts[0],
            )
            for lesion in catalog
        ],
    )


def _entry(lesion: Lesion) -> dict[str, object]:
    return {
        "name": lesion.name,
        "abbreviation": lesion.abbreviation,
        "aliases": lesion.aliases,
        "descriptions": [
            {"text": description.text, "source": description.source}
            for description in lesion.descriptions
        ],
    }
