"""The command line in this process, with a stand-in where it would load a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tp_drseg import cli
from tp_drseg.cli import _model


def command(arguments: Sequence[object], model: object | None = None) -> None:
    """Run `tp-drseg` with these arguments; it ends with `SystemExit`.

    Args:
        arguments: What would be typed.
        model: What is used in place of the model that would be loaded.
    """
    if model is not None:
        _model.load_model = lambda *_, **__: model  # type: ignore[assignment]
    sys.argv = ["tp-drseg", *map(str, arguments)]
    cli.run()
