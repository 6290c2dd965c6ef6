"""Puts a trained head into a checkpoint, whose other tensors stay as they are."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from tp_drseg.errors import CheckpointError
from tp_drseg.model import TPDRSeg


def with_head(model: TPDRSeg, head: Path) -> TPDRSeg:
    """Return a model that has an anatomy head beside all that it had.

    Args:
        model: In float32; it may have a head, which is replaced.
        head: What training wrote.

    Raises:
        CheckpointError: The head's tensors are not those that the model's tower asks for.
    """
    config = model.config.replace(architecture={"anatomy": True})
    merged = TPDRSeg.build(config)
    own = {
        name: value
        for name, value in model.network.state_dict().items()
        if not name.startswith("anatomy_head.")
    }
    tensors = {f"anatomy_head.{name}": value for name, value in load_file(head).items()}
    try:
        merged.network.load_state_dict(own | tensors, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{head} does not fit this model: {error}") from error
    return merged
