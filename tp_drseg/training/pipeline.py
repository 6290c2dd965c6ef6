"""A training run from its configuration to a model with operating points and a card.

Training from backbones, going on from a trained model, and teaching one new lesions are the same
run; they differ in their configurations alone.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import write_text
from tp_drseg.config import LearnedPhotograph
from tp_drseg.evaluation.evaluate import Fold, evaluate, evaluate_folds
from tp_drseg.evaluation.operating_points import choose_operating_points
from tp_drseg.evaluation.plots import precision_recall_plot
from tp_drseg.evaluation.predictions import Descriptions
from tp_drseg.evaluation.tables import reported_scores
from tp_drseg.model import TPDRSeg
from tp_drseg.training.clip.train import embedded_text_tower, save_clip, train_clip
from tp_drseg.training.data.annotated import AnnotatedImage, FrameSizes, load_cached
from tp_drseg.training.data.contrast import warn_of_weak_descriptions
from tp_drseg.training.data.made_crops import crops_of
from tp_drseg.training.data.sampling import check_lesions, trained_lesions
from tp_drseg.training.engine.launch import launch
from tp_drseg.training.engine.parameter_groups import CLASS_GROUPS
from tp_drseg.training.engine.run_folder import run_folder
from tp_drseg.training.engine.trainer import Trainer
from tp_drseg.training.facts import names, training_facts, validation_facts
from tp_drseg.training.hard_negatives import with_marks
from tp_drseg.training.run_config import RunConfig
from tp_drseg.training.run_files import write_down
from tp_drseg.training.split import DataSplit, content, split_data, warn_of_learned
from tp_drseg.training.starting import Start, inherited_points, open_model, open_start

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)

NEEDED = ("lightning_fabric", "tensorboard", "matplotlib", "jinja2")
"""Modules of the extra `train` that a run imports."""


def run(config: RunConfig, out: Path, *, device: str = "auto") -> TPDRSeg:
    """Train a model, choose its operating points, measure it, and save it in `out / "model"`.

    A run that was stopped is resumed when it is started again with the same `out`. Beside the
    model the folder holds `run.yaml` with every setting, `versions.json`, `data.json` with the
    photographs and their fingerprint, and what `Trainer` writes.

    Args:
        config: The run.
        out: Its folder.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        ConfigError: A setting, or the device, cannot be used. This and the next four come before
            any step.
        LesionError: A setting names a lesion that is not known, or a new one that is.
        DataError: Photographs or masks are missing or cannot be used.
        ImageError: A photograph cannot be read.
        CheckpointError: The weights to start from are missing, damaged or others than expected.
        TrainingError: The loss is not finite, or `out` holds another run.
        MissingExtraError: The extra `train` is not installed.
        OutputError: `out` cannot be written.
    """
    require("train", *NEEDED)
    fabric = launch(config.training, device)
    with run_folder(out) if fabric.is_global_zero else nullcontext():
        return _run(config, out, fabric)


def _run(config: RunConfig, out: Path, fabric: Fabric) -> TPDRSeg:
    start = open_start(config.start)
    check_lesions(config.training, start.catalog)
    lesions = trained_lesions(config.training, start.catalog)
    split = split_data(config.data, start.catalog, lesions)
    if start.parent is not None:
        unseen = (*split.validation, *split.lesion_free, *split.kept_out)
        warn_of_learned(start.parent.config.provenance, unseen)
    with fabric.rank_zero_first():  # the others find what the first process wrote
        if fabric.is_global_zero:
            write_down(config, split, out)
        sizes = FrameSizes.of(start.config, config.data.diameter)
        images = load_cached(split.learned, start.catalog.names, sizes, out / "photographs")
        if config.data.marked_by is not None:
            marker = open_model(config.data.marked_by)
            marker.to(fabric.device)
            images = with_marks(marker, split.learned, images, out / "marks")
        annotated = images[: len(split.training)]
        clip = _small_clip(start, annotated, out / "clip", config.training.seed)
        model = start.build(clip, config.training.seed)
    if start.parent is not None:
        points = inherited_points(start.parent, lesions)
        model.config = model.config.replace(inference={"operating_points": points})
    model.to(fabric.device)
    crops = crops_of(model, images, config.training, out / "features")
    warn_of_weak_descriptions(crops, start.taught)
    look = None
    if split.validation:

        def look(model: TPDRSeg, folder: Path) -> dict[str, float]:
            found = evaluate(model, split.validation, bootstrap=0, include_learned=True)
            write_text(folder / "precision_recall.svg", precision_recall_plot(found))
            areas = {s.lesion: s.average_precision for s in found if s.lesion in lesions}
            return {"mean": found.mean.average_precision, **areas}

    trainer = Trainer(model, crops, config.training, out, validate=look, fabric=fabric)
    model = trainer.run()
    if fabric.is_global_zero:
        finish(model, trainer, start, split, config, lesions)
        model.save_pretrained(out / "model")
    return model


def _small_clip(start: Start, images: list[AnnotatedImage], folder: Path, seed: int) -> Path | None:
    """Train the small CLIP where one is needed and not there yet."""
    if not start.trains_clip:
        return None
    if not (folder / "clip.safetensors").exists():
        sam = Path(str(start.start.sam))
        text = embedded_text_tower()
        save_clip(train_clip(images, start.catalog, sam, text, seed=seed), folder)
    return folder


def finish(
    model: TPDRSeg,
    trainer: Trainer,
    start: Start,
    split: DataSplit,
    config: RunConfig,
    lesions: tuple[str, ...],
) -> None:
    """Choose operating points, measure, and write both and their provenance into the config.

    Args:
        model: The trained model.
        trainer: What trained it.
        start: What it was trained from.
        split: Its photographs. Without any for validation the operating points are chosen on
            those that it learned from, as its card then says.
        config: The run.
        lesions: Those that learned.
    """
    measuring = split.validation or split.training
    where = "validation" if split.validation else "training"
    choose_operating_points(
        model,
        measuring,
        lesion_free=split.lesion_free,
        most_marked=config.most_marked,
        chosen_on=f"{len(measuring)} {where} photographs ({names(measuring)})",
    )
    before = () if start.parent is None else start.parent.config.provenance.photographs
    known = () if start.parent is None else start.parent.catalog.names
    kept = [
        name
        for name in known
        if name not in lesions and trainer.parameters.keys() <= {*CLASS_GROUPS}
    ]
    facts = dict(training_facts(config, split, trainer, start.taught, kept))
    changes: dict[str, object] = {
        "photographs": _together(before, content(split.learned)),
        "selected_on": content(split.validation),
    }
    model.config = model.config.replace(provenance=changes)
    if split.validation:
        kinds = [Descriptions.OWN]
        if all(model.catalog.resolve(name).held_out for name in lesions):
            kinds.append(Descriptions.HELD_OUT)
        fold = Fold(model, split.validation, split.lesion_free)
        found = evaluate_folds([fold], descriptions=kinds, include_learned=True)
        facts |= validation_facts(found, split, lesions)
        own = found[Descriptions.OWN]
        format = config.data.format
        dataset = f"{len(own.photographs)} validation photographs ({format})"
        changes["scores"] = reported_scores(own, dataset, format, lesions)
    model.config = model.config.replace(provenance={**changes, "facts": facts})


def _together(*groups: tuple[LearnedPhotograph, ...]) -> tuple[LearnedPhotograph, ...]:
    """Return photographs of all groups, each content once."""
    by_content = {photograph.sha256: photograph for group in groups for photograph in group}
    return tuple(by_content.values())
