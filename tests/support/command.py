"""The command line, in this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from tp_drseg.cli import app


def tp_drseg(*line: object) -> Result:
    """Run `tp-drseg` with these words."""
    return CliRunner().invoke(app, [str(word) for word in line])
