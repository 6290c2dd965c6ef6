"""The command line. Nothing here imports torch until a command needs a model."""

from __future__ import annotations

import logging
from inspect import cleandoc

import typer

from tp_drseg._runtime.allocator import one_heap
from tp_drseg.cli import (
    check,
    dicom_node,
    evaluate,
    finetune,
    lesions,
    match,
    prior_map,
    review,
    segment,
    summary,
    train,
    verify,
)
from tp_drseg.cli._errors import Commands
from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import DebugOption, VerboseOption, VersionOption
from tp_drseg.cli._streams import prepare_streams

app = typer.Typer(
    name="tp-drseg",
    cls=Commands,
    # wide enough for a sentence; a terminal that is narrower has its own width
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    rich_markup_mode=None,  # plain text: one line an error, nothing to strip in a log
    pretty_exceptions_enable=False,
)

for _name, _module, _command in (
    ("segment", segment, segment.segment),
    ("review", review, review.review),
    ("prior-map", prior_map, prior_map.prior_map),
    ("lesions", lesions, lesions.lesions),
    ("match", match, match.match),
    ("check", check, check.check),
    ("evaluate", evaluate, evaluate.evaluate),
    ("train", train, train.train),
    ("finetune", finetune, finetune.finetune),
    ("dicom-node", dicom_node, dicom_node.dicom_node),
    ("summary", summary, summary.summary),
    ("verify", verify, verify.verify),
):
    # the whole first sentence: by itself the list of commands cuts it
    _first, *_ = cleandoc(_command.__doc__ or "").split("\n\n")
    app.command(_name, short_help=_first, epilog=getattr(_module, "EXAMPLES", None))(_command)


@app.callback()
def main(
    version: VersionOption = False, verbose: VerboseOption = False, debug: DebugOption = False
) -> None:
    """Segment diabetic retinopathy lesions in colour fundus photographs from a text prompt.

    For research; not a medical device. `tp-drseg COMMAND -h` explains a command.
    """
    if not (verbose or debug):
        set_level(logging.WARNING)


def run() -> None:
    """Run the command in a process of its own: its streams and its memory are set up for it."""
    prepare_streams()
    one_heap()
    app(prog_name="tp-drseg")
