"""How a command ends when something is wrong: one line on stderr and an exit code."""

from __future__ import annotations

import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from tp_drseg._runtime.text import one_line
from tp_drseg.cli._logging import warnings_as_lines
from tp_drseg.errors import TPDRSegError

SOME_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130

_DEBUG = "tp_drseg.debug"


class Commands(TyperGroup):
    """A group of commands that says what went wrong in one line, without a traceback.

    Exit codes: 1 some files failed, a run could not go on writing, or a bug; 2 wrong use: an
    option, a lesion, an input or a model that cannot be used; 130 interrupted.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with warnings_as_lines():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("Stopped.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except TPDRSegError as error:
            fail(ctx, error, WRONG_USE)
        except Exception as error:
            # Exits and usage errors of the command-line library carry an exit code: they are its.
            if hasattr(error, "exit_code") or isinstance(error, (typer.Abort, BrokenPipeError)):
                raise
            fail(ctx, error, SOME_FAILED, hint=" (unexpected; --debug shows where)")


def fail(ctx: Any, error: Exception, code: int, *, hint: str = "") -> NoReturn:
    """Show an error on one line, after its traceback if `--debug` was given, and exit."""
    if ctx.meta.get(_DEBUG):
        typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    what = "" if isinstance(error, TPDRSegError) else f"{type(error).__name__}: "
    typer.echo(f"Error: {what}{one_line(str(error))}{hint}", err=True)
    raise typer.Exit(code) from None


def set_debug(ctx: typer.Context) -> None:
    """Remember that `--debug` was given, before or after the command's name."""
    ctx.meta[_DEBUG] = True
