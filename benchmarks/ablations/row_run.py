"""Trains and measures one row of the paper's tables."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from benchmarks.ablations.paired import Histograms, mean_draws
from benchmarks.ablations.rows import ROWS, model_changes
from tp_drseg import TPDRSeg, __version__
from tp_drseg._runtime.files import write_json
from tp_drseg.data import Sample, fingerprint
from tp_drseg.errors import TrainingError
from tp_drseg.evaluation.evaluate import evaluate
from tp_drseg.evaluation.operating_points import choose_operating_points
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.engine.trainer import Trainer
from tp_drseg.training.seeding import seeded
from tp_drseg.training.starting import child_config, child_of

logger = logging.getLogger(__name__)


@dataclass
class Bench:
    """What all rows have in common.

    Attributes:
        base: the weights that every row begins with; it has no tuning.
        start: where they come from, in words.
        photographs: those that all rows learn from.
        training: how all rows learn; it opens no part of the encoder itself.
        points: training photographs on which each row's thresholds are chosen; none for 0.5.
        validation: photographs that are scored and that no row learns from.
        learned_from: the photographs above, as files.
        draws: of the bootstrap.
        fabric: where rows are trained, from `launch`.
    """

    base: TPDRSeg
    start: str
    photographs: Sequence[AnnotatedImage]
    training: TrainingConfig
    points: Sequence[Sample]
    validation: Sequence[Sample]
    learned_from: Sequence[Sample]
    draws: int
    fabric: Fabric
    _crops: dict[str, Crops] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """What a row's result must have been made with to stand in one table with another's."""
        config = self.base.config
        names = ("image_size", "injector_blocks", "injector_stride", "detail")
        settings = {
            "start": self.start,
            "start_sha256": _digest(self.base.network.state_dict()),
            "encoder": config.architecture.image_encoder.kind,
            **{name: getattr(config.architecture, name) for name in names},
            "working_diameter": config.inference.working_diameter,
            "training": self.training.model_dump(mode="json"),
            "learned_from": [sample.name for sample in self.learned_from],
            "learned_from_sha256": fingerprint(self.learned_from),
            "points": [sample.name for sample in self.points],
            "validation": [sample.name for sample in self.validation],
            "validation_sha256": fingerprint(self.validation),
            "draws": self.draws,
            "tp_drseg": __version__,
            "torch": torch.__version__,
        }
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain

    def run(self, row: str, folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a row, from `folder / "result.json"` if it is there already.

        A row that was stopped in the middle of its training is resumed.

        Raises:
            TrainingError: when the folder holds a result with other settings.
        """
        path = folder / "result.json"
        config, fields = self.training, ROWS[row]
        if path.exists():
            return _read(path, {**settings, "fields": dict(fields)})
        changed = child_config(self.base, changes=model_changes(row))
        with seeded(config.seed):
            model = child_of(self.base, changed).to(self.fabric.device)
        text = model.config.inference.text
        if text not in self._crops:  # CLIP sees every photograph once, not once a row
            self._crops[text] = Crops(model, self.photographs, config)
        fresh = not (folder / "state.safetensors").exists()
        started = time.monotonic()
        trainer = Trainer(model, self._crops[text], config, folder, fabric=self.fabric)
        model = trainer.run()
        seconds = time.monotonic() - started
        if self.points:
            choose_operating_points(model, self.points)
        histograms = Histograms()
        found = evaluate(
            model, self.validation, bootstrap=0, include_learned=True, watch=histograms
        )
        draws = mean_draws(found, histograms, self.draws, config.seed)
        result = {
            "row": row,
            "fields": dict(fields),
            "settings": dict(settings),
            "learned_parameters": sum(p.numel() for p in trainer.parameters.values()),
            "training_seconds": round(seconds, 1) if fresh else None,
            "device": str(model.device),
            "scores": found.to_dict(),
            "draws": {
                name: [None if value != value else float(value) for value in values]
                for name, values in draws.items()
            },
        }
        model.save_pretrained(folder / "model")
        write_json(path, result)
        return result


def _read(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    before = {**result["settings"], "fields": result["fields"]}
    if changed := [k for k in sorted({*before, *settings}) if before.get(k) != settings.get(k)]:
        raise TrainingError(
            f"{path} was made with other settings ({', '.join(changed)}). Rows of one table must "
            f"have the same ones: choose another --out, or delete that row's folder."
        )
    logger.info("%s is there already", path)
    return result


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
