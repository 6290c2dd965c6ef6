"""Models to train from: backbones, or a trained model that gets other fields or more lesions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tp_drseg.checkpoints.backbones import load_sam, read_sam, sam_size
from tp_drseg.config import OperatingPoint, TPDRSegConfig
from tp_drseg.data.files import file_sha256
from tp_drseg.errors import CheckpointError, ConfigError, TrainingError
from tp_drseg.lesions import Lesion, LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.engine.parameter_groups import CLASS_GROUPS
from tp_drseg.training.run_config import StartConfig
from tp_drseg.training.seeding import seeded

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """What a run starts from, checked before any photograph is read.

    Attributes:
        config: Of the model that the run trains.
        parent: The trained model that it goes on from; None for backbones.
        start: How it was asked for.
    """

    config: TPDRSegConfig
    parent: TPDRSeg | None
    start: StartConfig

    @property
    def catalog(self) -> LesionCatalog:
        """The lesions that the model will know."""
        return self.config.lesions

    @property
    def taught(self) -> tuple[str, ...]:
        """The lesions that the parent does not know."""
        return () if self.start.lesions is None else self.start.lesions.names

    @property
    def trains_clip(self) -> bool:
        """Whether a small CLIP has to be trained first."""
        return self.parent is None and self.start.clip is None

    def build(self, clip: Path | None, seed: int) -> TPDRSeg:
        """Build the model; its random parts depend on the seed alone.

        Args:
            clip: Folder of the small CLIP where one `trains_clip`; None leaves it untrained.
            seed: Of the random parts.

        Raises:
            CheckpointError: SAM's or CLIP's weights do not fit.
            TrainingError: No tensor of the parent fits.
        """
        with seeded(seed):
            if self.parent is not None:
                return child_of(self.parent, self.config)
            sam = Path(str(self.start.sam))
            name = self.start.clip or clip
            if name is not None:
                changes: dict[str, Any] = dict(self.start.changes.sections())
                return TPDRSeg.from_backbones(sam=sam, clip=name, changes=changes)
            model = TPDRSeg.build(self.config)
            load_sam(model.network, read_sam(sam))
            return model


def open_start(start: StartConfig) -> Start:
    """Read what a run starts from.

    Raises:
        CheckpointError: A checkpoint cannot be read, or SAM's is not the one that is expected.
        ConfigError: A change is impossible, or a CLIP has to be given.
        LesionError: The parent knows a new lesion already.
    """
    if start.sam is not None:
        return Start(_backbones_config(start), None, start)
    parent = open_model(str(start.checkpoint), start.revision)
    config = child_config(parent, start.lesions or (), start.changes.sections())
    return Start(config, parent, start)


def open_model(name: str, revision: str | None = None) -> TPDRSeg:
    """Read a trained model: `embedded`, a folder, or a repository on the Hub.

    Raises:
        CheckpointError: It cannot be read.
    """
    given = None if name == "embedded" else name
    return TPDRSeg.from_pretrained(given, revision=revision, device="cpu")


def child_config(
    parent: TPDRSeg, lesions: Iterable[Lesion] = (), changes: Mapping[str, object] | None = None
) -> TPDRSegConfig:
    """Return the configuration of a model that goes on from another one.

    It keeps the photographs that its parent has learned from, and names its parent.

    Args:
        parent: The trained model.
        lesions: New ones, for the end of its catalog.
        changes: What is to differ, as `TPDRSegConfig.replace` takes it.

    Raises:
        ConfigError: A change is impossible.
        LesionError: The parent knows a lesion already.
    """
    catalog = parent.catalog
    for lesion in lesions:
        catalog = catalog.add(lesion)
    provenance = {"parent": parent_name(parent), "facts": {}, "scores": (), "selected_on": ()}
    return parent.config.replace(lesions=catalog, provenance=provenance).replace(**(changes or {}))


def _backbones_config(start: StartConfig) -> TPDRSegConfig:
    sam = Path(str(start.sam))
    weights = read_sam(sam)
    if start.sam_sha256 is not None and (found := file_sha256(sam)) != start.sam_sha256:
        raise CheckpointError(
            f"{sam} is not the SAM that this run was made for: its SHA-256 is {found}, and should "
            f"be {start.sam_sha256}. Fetch that one (docs/training.md says where), or set "
            f"start.sam_sha256 to null in the run's file to train from another."
        )
    size = sam_size(weights)
    if size != "tiny" and start.clip is None:
        raise ConfigError(
            f"start.clip is missing: {sam} is a SAM of the size {size}, and a CLIP is trained only "
            f"for the size tiny. Give ViT-B-16-quickgelu/openai, say."
        )
    return TPDRSegConfig.for_size(size).replace(**start.changes.sections())


def child_of(parent: TPDRSeg, config: TPDRSegConfig) -> TPDRSeg:
    """Return a new model with the parent's weights where they fit; the rest starts anew.

    A lesion that the parent does not know gets a class group as groups are before any training;
    everything else, the parent's own groups among it, is the same to the bit.

    Args:
        parent: The trained model.
        config: Of the child; its catalog begins with the parent's.

    Raises:
        TrainingError: Not one tensor fits.
    """
    model = TPDRSeg.build(config)
    own = model.network.state_dict()
    given = {
        name: _more_rows(value, own[name]) if name in CLASS_GROUPS else value
        for name, value in parent.network.state_dict().items()
        if name in own
    }
    fitting = {name: value for name, value in given.items() if value.shape == own[name].shape}
    if not fitting:
        raise TrainingError("Not one tensor of the checkpoint fits the changed configuration.")
    if anew := sorted({".".join(name.split(".")[:3]) for name in own.keys() - fitting.keys()}):
        logger.info("start anew: %s", ", ".join(anew))
    model.network.load_state_dict(own | fitting)
    return model


def _more_rows(rows: Tensor, longer: Tensor) -> Tensor:
    """Return the rows, and after them those that only `longer` has; unchanged where they differ."""
    if rows.shape[1:] != longer.shape[1:]:
        return rows
    return torch.cat([rows, longer[len(rows) :].to(rows)])


def inherited_points(parent: TPDRSeg, learning: Sequence[str]) -> Mapping[str, OperatingPoint]:
    """Return the parent's operating points, with a note where the lesion learns.

    Its threshold is then the best guess until another is chosen, but what was measured at it does
    not hold any more.
    """
    points = parent.config.inference.operating_points
    return {
        name: OperatingPoint(
            threshold=point.threshold,
            chosen_on=f"the parent's photographs, before more was learned: {point.chosen_on}",
        )
        if name in learning
        else point
        for name, point in points.items()
    }


def parent_name(parent: TPDRSeg) -> str:
    """Return model id and revision, for the child's config."""
    name = parent.model_id or "a model that was not saved"
    return f"{name}@{parent.revision}" if parent.revision else name
