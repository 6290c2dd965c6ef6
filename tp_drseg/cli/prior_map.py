"""`tp-drseg prior-map`: where a photograph looks like a text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tp_drseg._runtime.limits import MAX_PIXELS
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
from tp_drseg.errors import OutputError

EXAMPLES = """\b
Examples:
  tp-drseg prior-map eye.jpg "tiny round red dots" -o dots.png
  tp-drseg prior-map eye.jpg "yellowish-white deposits" -o deposits.png --raw"""


def prior_map(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The photograph.")],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Any text, such as 'yellowish-white deposits'.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The picture to write: .png, .jpg or .tif."
        ),
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the prior itself as grey PNG, 0 to 255.")
    ] = False,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the explicit prior of a text: where the photograph looks like it.

    The prior is relative to the photograph: its highest value stands for the best match in this
    image, whether or not what the text describes is there.
    """
    from tp_drseg._runtime.text import one_line
    from tp_drseg.export import draw_heat_map, save_map, save_picture
    from tp_drseg.images import read_image
    from tp_drseg.inference.request import check_texts

    check_texts(text)
    _check_out(out, image, (".png",) if raw else (".png", ".jpg", ".jpeg", ".tif", ".tiff"))
    read_image(image, max_pixels=max_pixels)  # what is wrong with it is said before the slow start
    loaded = _model.load_model(model, revision, device, dtype)
    opened = loaded.load_image(image, max_pixels=max_pixels)
    with opened as session, _model.working(loaded):
        prior = session.prior_map(text)
        if raw:
            save_map(prior, out)
        else:
            save_picture(draw_heat_map(session.image, prior), out)
    typer.echo(f"Wrote {one_line(str(out))}")


def _check_out(out: Path, image: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a file that can be seen to be not writable before the model is loaded."""
    from tp_drseg._runtime.files import check_folder, is_file, is_folder

    if out.suffix.lower() not in suffixes:
        raise OutputError(f"{out} cannot be written: its name must end in {' or '.join(suffixes)}.")
    if is_folder(out):
        raise OutputError(f"{out} cannot be written: it is a folder. Give the name of a file.")
    if is_file(out) and is_file(image) and out.samefile(image):
        raise OutputError(
            f"{out} cannot be written: it is the photograph itself. Choose another name."
        )
    check_folder(out.parent)
