"""Models to train from: backbones, or a trained model that gets other fields or more lesions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tp_drseg.errors import TrainingError
from tp_drseg.lesions import Lesion, LesionCatalog
from tp_drseg.model import TPDRSeg

logger = logging.getLogger(__name__)


def start_from(parent: TPDRSeg, changes: Mapping[str, Any]) -> TPDRSeg:
    """A new model with the parent's weights where names and shapes fit; the rest starts anew.

    It has no operating points, since those of the parent do not hold once it learns.

    Raises:
        ConfigError: for an unknown field or an impossible value.
        TrainingError: when not one tensor fits.
    """
    model = TPDRSeg.build(
        parent.config.replace(
            provenance=_child(parent), inference={"operating_points": {}}
        ).replace(**changes)
    )
    own, given = model.network.state_dict(), parent.network.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise TrainingError("Not one tensor of the checkpoint fits the changed configuration.")
    if anew := sorted({".".join(k.split(".")[:3]) for k in own.keys() - fitting.keys()}):
        logger.info("start anew: %s", ", ".join(anew))
    model.network.load_state_dict(own | fitting)
    return model


def with_lesions(parent: TPDRSeg, lesions: Sequence[Lesion]) -> TPDRSeg:
    """The parent with class groups for more lesions, at the end of its catalog.

    Everything else, the parent's own class groups among it, is the same to the bit. A new group
    starts as the model's own groups do before any training.

    Raises:
        LesionError: when a name is already taken.
    """
    catalog: LesionCatalog = parent.catalog
    for lesion in lesions:
        catalog = catalog.add(lesion)
    model = TPDRSeg.build(parent.config.replace(lesions=catalog, provenance=_child(parent)))
    known, fresh = len(parent.catalog), model.network.state_dict()
    for name, value in parent.network.state_dict().items():
        if name in ("prompt_generator.class_weight", "prompt_generator.class_bias"):
            value = torch.cat([value, fresh[name][known:].to(value)])
        fresh[name] = value
    model.network.load_state_dict(fresh)
    return model


def _child(parent: TPDRSeg) -> dict[str, object]:
    """Changes of the parent's provenance: what it learned from, the child has learned from too."""
    return {"parent": parent_name(parent), "facts": {}, "scores": ()}


def parent_name(parent: TPDRSeg) -> str:
    """Model id and revision, for the child's config."""
    name = parent.model_id or "a model that was not saved"
    return f"{name}@{parent.revision}" if parent.revision else name
