"""`tp-drseg match`: which lesion a description fits."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tp_drseg.cli import _model
from tp_drseg.cli._options import DebugOption, Device, ModelOption, RevisionOption, VerboseOption

EXAMPLES = """\b
Examples:
  tp-drseg match "bright yellow spots with sharp edges"
  tp-drseg match "fluffy clouds" --json"""

_SHOWN = 3  # other things that the text may mean


def match(
    text: Annotated[str, typer.Argument(help="How a lesion looks, in plain English.")],
    model: ModelOption = None,
    revision: RevisionOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Show which lesion a description fits, and how well.

    `tp-drseg segment --lesion` takes such a description in place of a name, where it fits one
    lesion clearly.
    """
    from tp_drseg.cli._table import show_table

    found = _model.load_model(model, revision, Device.cpu).match(text)
    if as_json:
        data = {
            "text": found.text,
            "verdict": found.verdict,
            "lesion": found.lesion if found.verdict == "lesion" else None,
            "margin": found.margin,
            "lesions": dict(found.lesions),
            "others": dict(found.others),
        }
        typer.echo(json.dumps(data, indent=2))
        return
    rows = [(name, f"{probability:.3f}", "lesion") for name, probability in found.lesions]
    rows += [(name, f"{p:.3f}", "no lesion of this model") for name, p in found.others[:_SHOWN]]
    show_table(["meaning", "probability", ""], rows)
    typer.echo(found.refusal or f"It leads to {found.lesion}, by a margin of {found.margin:.2f}.")
