"""The one place where the commands load a model."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from tp_drseg.cli._options import Device, Dtype
from tp_drseg.errors import ConfigError

if TYPE_CHECKING:
    from tp_drseg import TPDRSeg


def load_model(
    model_id: str | None,
    revision: str | None,
    device: Device,
    dtype: Dtype = Dtype.auto,
    accurate: bool = False,
) -> TPDRSeg:
    """Load a model for a command; see ``TPDRSeg.from_pretrained``.

    With ``accurate`` it answers in its accurate mode, whatever its configuration says.

    Raises:
        ConfigError: A revision is given without a model, or the device or type cannot be used.
        CheckpointError: The weights are missing, truncated or do not fit.
    """
    if revision is not None and model_id is None:
        raise ConfigError("a revision is one of a model on the Hub: give --model too")
    from tp_drseg import TPDRSeg

    model = TPDRSeg.from_pretrained(
        model_id, revision=revision, device=device.value, dtype=dtype.value
    )
    if accurate:
        model.config = model.config.replace(inference={"accurate": True})
    return model


def working(model: TPDRSeg) -> AbstractContextManager[None]:
    """Return a block in which a model on a processor answers fastest; the process is ours."""
    from tp_drseg._runtime.allocator import freed_memory_kept

    return freed_memory_kept() if model.device.type == "cpu" else nullcontext()
