"""The command line. Nothing here imports torch until a command needs a model."""

from __future__ import annotations

import logging

import typer

from tp_drseg._runtime.allocator import one_heap
from tp_drseg.cli import check, evaluate, explain, finetune, lesions, segment, train
from tp_drseg.cli._errors import Commands
from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import DebugOption, VerboseOption, VersionOption

app = typer.Typer(
    name="tp-drseg",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain text: one line an error, nothing to strip in a log
    pretty_exceptions_enable=False,
)

for _command in (
    segment.segment,
    explain.explain,
    lesions.lesions,
    check.check,
    train.train,
    finetune.finetune,
    evaluate.evaluate,
):
    app.command()(_command)


@app.callback()
def main(
    version: VersionOption = False, verbose: VerboseOption = False, debug: DebugOption = False
) -> None:
    """Segment diabetic retinopathy lesions in colour fundus photographs from a text prompt.

    For research; not a medical device.
    """
    if not (verbose or debug):
        set_level(logging.WARNING)
    one_heap()  # the process is ours
