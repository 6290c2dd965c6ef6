"""``tp-drseg explain``: where a photograph looks like a text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tp_drseg.cli import _model
from tp_drseg.cli._options import (
    DebugOption,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    ModelOption,
    RevisionOption,
    VerboseOption,
)
from tp_drseg.errors import OutputError, PromptError


def explain(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The photograph.")],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Any text, such as 'yellowish-white deposits'.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The picture to write: .png, .jpg or .tif.")
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the prior itself as grey PNG, 0 to 255.")
    ] = False,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the explicit prior of a text: where the photograph looks like it.

    The prior is relative to the photograph: its highest value stands for the best match in this
    image, whether or not what the text describes is there.
    """
    from tp_drseg.export import draw_heat_map, save_map, save_picture
    from tp_drseg.images import read_image

    if not text.strip():
        raise PromptError("the text is empty: say what to look for")
    _check_out(out, image, (".png",) if raw else (".png", ".jpg", ".jpeg", ".tif", ".tiff"))
    photograph = read_image(image)
    prior = _model.load_model(model, revision, device, dtype).explain(photograph, text)
    if raw:
        save_map(prior, out)
    else:
        save_picture(draw_heat_map(photograph, prior), out)
    typer.echo(f"Wrote {out}")


def _check_out(out: Path, image: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a file that can be seen to be not writable before the model is loaded."""
    from tp_drseg.folder.run import check_out

    if out.suffix.lower() not in suffixes:
        raise OutputError(f"cannot write {out}: the name must end in {' or '.join(suffixes)}")
    if out.is_dir():
        raise OutputError(f"cannot write {out}: it is a folder; give the name of a file")
    if out.exists() and image.exists() and out.samefile(image):
        raise OutputError(f"cannot write {out}: it is the photograph itself; choose another name")
    check_out(out.parent)
