"""What a run's model card says: how the model was trained, and what was measured of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from tp_drseg import __version__
from tp_drseg.data import Sample
from tp_drseg.evaluation.convention import convention_text
from tp_drseg.evaluation.predictions import Descriptions
from tp_drseg.evaluation.scores import Evaluation
from tp_drseg.evaluation.tables import as_table
from tp_drseg.training.engine.trainer import Trainer
from tp_drseg.training.run_config import RunConfig
from tp_drseg.training.split import DataSplit

Facts = Mapping[str, str | Mapping[str, Mapping[str, str]]]


def training_facts(
    config: RunConfig,
    split: DataSplit,
    trainer: Trainer,
    taught: Sequence[str],
    kept: Sequence[str],
) -> Facts:
    """Return how the model was trained.

    Args:
        config: The run.
        split: Its photographs.
        trainer: What trained it.
        taught: The lesions that the parent did not know.
        kept: The parent's lesions of which nothing has changed.
    """
    marked = sum(any(sample.masks.values()) for sample in split.training)
    training = config.training
    start = config.start.checkpoint or f"{Path(str(config.start.sam)).name} and its CLIP"
    learning = sum(p.numel() for p in trainer.parameters.values())
    sentences = [
        f"Trained on {marked} photographs with lesions ({config.data.format}) and "
        f"{len(split.training) - marked} without.",
        *([f"And on {len(split.unlabelled)} without masks."] if split.unlabelled else []),
        f"Started from {start}.",
        *([f"New lesions: {', '.join(taught)}."] if taught else []),
        f"{trainer.steps} steps of {training.batch_size} crop(s) on {trainer.fabric.world_size} "
        f"process(es), AdamW, highest rate {training.learning_rate:g}, schedule "
        f"{training.schedule}, {learning:,} parameters that learn, seed {training.seed}, tp-drseg "
        f"{__version__}, torch {torch.__version__}.",
        *([f"Segmented as the parent does, to the bit: {', '.join(kept)}."] if kept else []),
        f"All settings: {json.dumps(training.model_dump(mode='json', exclude_defaults=True))}",
    ]
    facts = {"Training": " ".join(sentences)}
    if split.kept_out:
        facts["Kept out"] = (
            f"{len(split.kept_out)} photographs without masks that no step learned from and on "
            f"which nothing was chosen ({names(split.kept_out)})."
        )
    return facts


def validation_facts(
    found: Mapping[Descriptions, Evaluation], split: DataSplit, lesions: Sequence[str]
) -> Facts:
    """Return the figures on the validation photographs, with all that is to be known of them.

    Args:
        found: The scores by kind of descriptions.
        split: The run's photographs.
        lesions: Those that learned.
    """
    own = found[Descriptions.OWN]
    facts: dict[str, str | Mapping[str, Mapping[str, str]]] = {
        "Validation": " ".join(
            [
                f"{len(split.validation)} photographs that no step learned from "
                f"({names(split.validation)}).",
                *own.split.sentences(),
                convention_text(own.pixels),
            ]
        )
    }
    for kind, title in (
        (Descriptions.OWN, "Validation: with the model's own descriptions"),
        (Descriptions.HELD_OUT, "Validation: with held-out descriptions"),
    ):
        if kind in found:
            table = as_table(found[kind])
            facts[title] = {k: row for k, row in table.items() if k in (*lesions, "mean")}
    free = {
        score.lesion: {
            "marked, mean": f"{score.lesion_free.marked_mean:.4%}",
            "marked, most": f"{score.lesion_free.marked_max:.4%}",
        }
        for score in own
        if score.lesion_free is not None and score.lesion in lesions
    }
    if free:
        count = len(split.lesion_free)
        facts[f"Share of the field of view marked on {count} lesion-free photographs"] = free
    return facts


def names(samples: Sequence[Sample]) -> str:
    """Return the names of photographs, for a text."""
    return ", ".join(sample.name for sample in samples)
