"""The model that every row begins with."""

from __future__ import annotations

from typing import Any

from benchmarks.ablations.options import StartOptions
from tp_drseg import TPDRSeg
from tp_drseg.training.seeding import seeded
from tp_drseg.training.starting import child_config, child_of


def load_base(options: StartOptions) -> tuple[TPDRSeg, str]:
    """Return what every row begins with, without a tuning, and in words where it comes from."""
    changes: dict[str, dict[str, Any]] = {
        "architecture": {"tuning": "none", "detail": options.detail},
        "inference": {"operating_points": {}},
    }
    if options.image_size is not None:
        changes["architecture"]["image_size"] = options.image_size
    if options.diameter is not None:
        changes["inference"]["working_diameter"] = options.diameter
    with seeded(options.seed):
        if options.sam is not None and options.clip is not None:
            base = TPDRSeg.from_backbones(sam=options.sam, clip=options.clip, changes=changes)
            return base, f"{options.sam.name}, with a prompt generator and a tuning that are new"
        model_id = None if options.start == "embedded" else options.start
        parent = TPDRSeg.from_pretrained(model_id, device="cpu", dtype="float32")
        base = child_of(parent, child_config(parent, changes=changes))
    return base, f"the trained model {parent.model_id}, with a tuning that is new"
