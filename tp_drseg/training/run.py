"""A training run from its configuration to a model with operating points and a card."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tp_drseg import __version__
from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import write_json, write_text
from tp_drseg._runtime.json_text import read_json
from tp_drseg.checkpoints.backbones import read_sam, sam_size
from tp_drseg.config import TPDRSegConfig
from tp_drseg.data import Sample, fingerprint, read_dataset, read_lesion_free, split_folds
from tp_drseg.data.check import check
from tp_drseg.errors import ConfigError, TrainingError
from tp_drseg.evaluation.convention import convention_text
from tp_drseg.evaluation.evaluate import Fold, evaluate, evaluate_folds
from tp_drseg.evaluation.operating_points import choose_operating_points
from tp_drseg.evaluation.plots import precision_recall_plot
from tp_drseg.evaluation.predictions import Descriptions
from tp_drseg.evaluation.tables import as_table
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.clip.train import save_clip, train_clip
from tp_drseg.training.data.annotated import AnnotatedImage, load_cached
from tp_drseg.training.data.crops import Crops, check_lesions
from tp_drseg.training.engine.launch import launch
from tp_drseg.training.engine.trainer import NOT_COMPARED, Trainer
from tp_drseg.training.run_config import DataConfig, RunConfig, StartConfig, read_run, write_run
from tp_drseg.training.start import start_from

logger = logging.getLogger(__name__)

_VERSIONS = (
    "torchvision",
    "timm",
    "open_clip_torch",
    "segment-anything-py",
    "lightning-fabric",
    "numpy",
)
_WIDEST = 1.2  # photographs are kept at so many times the working diameter


@dataclass(frozen=True)
class Split:
    """Which photographs learn and which measure; no photograph does both.

    Attributes:
        training: annotated photographs, then lesion-free ones.
        validation: annotated photographs.
        lesion_free: lesion-free photographs for validation.
    """

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...] = ()
    lesion_free: tuple[Sample, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Names and fingerprints, for the run's folder."""
        return {
            part: {
                "photographs": [sample.name for sample in samples],
                "fingerprint": fingerprint(samples),
            }
            for part, samples in vars(self).items()
        }


def split_data(data: DataConfig, catalog: LesionCatalog) -> Split:
    """Reads a data set, opens every file of it once, and divides it.

    Raises:
        DataError: when something is missing or cannot be used; all that is found is named.
    """
    samples = read_dataset(Path(data.root), data.format, data.split, catalog)
    training, validation = (
        split_folds(samples, data.folds, data.fold) if data.folds else (samples, [])
    )
    free: list[Sample] = []
    if data.lesion_free is not None:
        free = read_lesion_free(Path(data.lesion_free), catalog.names)
    survey = check([*samples, *free], catalog.names)
    logger.info("%s", survey.text())
    kept = max(0, len(free) - data.lesion_free_held_out)
    return Split((*training, *free[:kept]), tuple(validation), tuple(free[kept:]))


def run(config: RunConfig, out: Path) -> TPDRSeg:
    """Trains a model, chooses its operating points, measures it, and saves it in `out / "model"`.

    A run that was stopped is resumed when it is started again with the same `out`. Beside the
    model the folder holds `run.yaml` with every setting, `versions.json`, `data.json` with the
    photographs and their fingerprint, and what `Trainer` writes.

    Raises:
        ConfigError, DataError, ImageError, CheckpointError: when something that the run needs is
            not as it must be; before any step.
        TrainingError: when the loss is not finite, or `out` holds another run.
        MissingExtraError: when the extra `train` is not installed.
        OutputError: when `out` cannot be written.
    """
    require("train", "lightning_fabric", "tensorboard", "matplotlib", "jinja2")
    fabric = launch(config.training)
    torch.manual_seed(config.training.seed)
    parent = _parent(config.start)
    catalog = LesionCatalog.default() if parent is None else parent.catalog
    check_lesions(config.training, catalog)
    diameter = _diameter(config.start, parent)  # reads SAM too: what is wrong is said soon
    split = split_data(config.data, catalog)
    with fabric.rank_zero_first():  # the others find what the first process wrote
        if fabric.is_global_zero:
            _write_down(config, split, out)
        photographs = load_cached(
            split.training, catalog.names, config.data.diameter or diameter, out / "photographs"
        )
        model = _start(config.start, parent, photographs, catalog, out, config.training.seed)
    model.to(fabric.device)
    crops = Crops(model, photographs, config.training)

    def validate(model: TPDRSeg, folder: Path) -> dict[str, float]:
        found = evaluate(model, split.validation, bootstrap=0)
        write_text(folder / "precision_recall.svg", precision_recall_plot(found))
        areas = {score.lesion: score.average_precision for score in found}
        return {"mean": found.mean.average_precision, **areas}

    look = validate if split.validation else None
    trainer = Trainer(model, crops, config.training, out, validate=look, fabric=fabric)
    model = trainer.run()
    if fabric.is_global_zero:
        training = _training_text(config, split, trainer)
        model.config = model.config.replace(provenance={"facts": {"Training": training}})
        if split.validation:
            measure(model, split, config.most_marked)
        model.save_pretrained(out / "model")
    return model


def measure(model: TPDRSeg, split: Split, most_marked: float | None) -> None:
    """Chooses the operating points on the validation photographs, and puts figures on the card."""
    choose_operating_points(
        model, split.validation, lesion_free=split.lesion_free, most_marked=most_marked
    )
    own, held_out = Descriptions.OWN, Descriptions.HELD_OUT
    found = evaluate_folds(
        [Fold(model, split.validation, split.lesion_free)],
        descriptions=(own, held_out) if all(x.held_out for x in model.catalog) else (own,),
    )
    names = ", ".join(sample.name for sample in split.validation)
    free = {
        score.lesion: {
            "marked, mean": f"{score.lesion_free.marked_mean:.4%}",
            "marked, most": f"{score.lesion_free.marked_max:.4%}",
        }
        for score in found[own]
        if score.lesion_free is not None
    }
    facts: dict[str, Any] = {
        **model.config.provenance.facts,
        "Validation": f"{len(split.validation)} photographs that no training saw ({names}). The "
        f"operating points were chosen on these same photographs, which flatters what is taken "
        f"at them: Dice, precision and sensitivity. {convention_text()}",
        "Validation: with the model's own descriptions": as_table(found[own]),
    }
    if held_out in found:
        facts["Validation: with held-out descriptions"] = as_table(found[held_out])
    if free:
        title = (
            f"Share of the field of view marked on {len(split.lesion_free)} lesion-free photographs"
        )
        facts[title] = free
    model.config = model.config.replace(provenance={"facts": facts})


def _parent(start: StartConfig) -> TPDRSeg | None:
    if start.checkpoint is None:
        return None
    name = None if start.checkpoint == "embedded" else start.checkpoint
    return TPDRSeg.from_pretrained(name, device="cpu", dtype="float32")


def _diameter(start: StartConfig, parent: TPDRSeg | None) -> int:
    if parent is not None:
        inference = parent.config.inference
    else:
        size = sam_size(read_sam(Path(str(start.sam))))
        if size != "tiny" and start.clip is None:
            raise ConfigError(
                f"start.clip is missing: {start.sam} is a SAM of the size {size}, and a CLIP "
                f"is trained only for the size tiny. Give ViT-B-16-quickgelu/openai, say."
            )
        inference = TPDRSegConfig.for_size(size).inference
    return round(_WIDEST * inference.replace(**start.changes.inference).working_diameter)


def _write_down(config: RunConfig, split: Split, out: Path) -> None:
    """Writes what the run is made of, and refuses a folder that holds another run."""
    photographs = split.to_dict()
    if (out / "run.yaml").exists():
        before, now = _compared(read_run(out / "run.yaml")), _compared(config)
        changed = [
            f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        if not changed and (out / "data.json").exists():
            known = read_json(out / "data.json", error=TrainingError)
            if not isinstance(known, dict):
                raise TrainingError(
                    f"{out / 'data.json'} is damaged. Choose another output folder."
                )
            changed = [
                f"the {part} photographs"
                for part, used in photographs.items()
                if known.get(part) != used
            ]
        if changed:
            raise TrainingError(
                f"{out} holds another run: {'; '.join(changed)} changed. Choose another output "
                f"folder, or go back to the settings and photographs of that run."
            )
    write_run(config, out / "run.yaml")
    write_json(out / "versions.json", _versions())
    write_json(out / "data.json", photographs)


def _compared(config: RunConfig) -> dict[str, Any]:
    """By dotted name what must stay the same when a run is resumed; photographs have a hash."""
    sections = config.model_dump(mode="json", exclude={"most_marked"})
    free = {"data.root", "data.lesion_free", *(f"training.{name}" for name in NOT_COMPARED)}
    return {
        f"{section}.{name}": value
        for section, fields in sections.items()
        for name, value in fields.items()
        if f"{section}.{name}" not in free
    }


def _start(
    start: StartConfig,
    parent: TPDRSeg | None,
    photographs: Sequence[AnnotatedImage],
    catalog: LesionCatalog,
    out: Path,
    seed: int,
) -> TPDRSeg:
    """The model that the run begins with; its random parts depend on the seed alone."""
    clip = start.clip
    if parent is None and clip is None:
        clip = str(out / "clip")
        if not (out / "clip" / "clip.safetensors").exists():
            save_clip(
                train_clip(photographs, catalog, Path(str(start.sam)), seed=seed), out / "clip"
            )
    torch.manual_seed(seed)
    if parent is not None:
        return start_from(parent, start.changes.sections())
    return TPDRSeg.from_backbones(
        sam=str(start.sam), clip=str(clip), changes=start.changes.sections()
    )


def _versions() -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "tp-drseg": __version__,
        "torch": torch.__version__,  # names the build too
    }
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _training_text(config: RunConfig, split: Split, trainer: Trainer) -> str:
    """How the model was trained, for its card."""
    marked = sum(any(sample.masks.values()) for sample in split.training)
    training, settings = config.training, config.training.model_dump(mode="json")
    start = config.start.checkpoint or f"{Path(str(config.start.sam)).name} and its CLIP"
    return (
        f"Trained on {marked} photographs with lesions ({config.data.format}) and "
        f"{len(split.training) - marked} without. Started from {start}. {trainer.steps} steps of "
        f"{training.batch_size} crop(s) on {trainer.fabric.world_size} process(es), AdamW, highest "
        f"rate {training.learning_rate:g}, schedule {training.schedule}, "
        f"{sum(p.numel() for p in trainer.parameters.values()):,} parameters that learn, seed "
        f"{training.seed}, tp-drseg {__version__}, torch {torch.__version__}. All settings: "
        f"{json.dumps({k: v for k, v in settings.items() if v not in ({}, [])})}"
    )
