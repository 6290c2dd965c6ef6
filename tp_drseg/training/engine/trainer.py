"""The training loop: a run that can be stopped at any moment, and resumed to the same bits."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from tp_drseg._runtime.device import takes_bf16
from tp_drseg.errors import TrainingError
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.batch import Batch, collate
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.data.feature_cache import cached_features
from tp_drseg.training.data.made import finish
from tp_drseg.training.engine.average import EMA
from tp_drseg.training.engine.launch import launch
from tp_drseg.training.engine.losses import cross_entropy_weights, segmentation_loss
from tp_drseg.training.engine.parameter_groups import CLASS_GROUPS, parameter_groups
from tp_drseg.training.engine.records import Records, plot_loss
from tp_drseg.training.engine.run_folder import run_folder
from tp_drseg.training.engine.schedule import rate_of, scheduler_at
from tp_drseg.training.engine.state import Progress, load_state, save_state
from tp_drseg.training.engine.teacher import Teacher, consistency_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)

Validate = Callable[[TPDRSeg, Path], dict[str, float]]
"""Figures of a model by name, `mean` among them; may write plots into the folder."""

NOT_COMPARED = ("save_every", "validate_every", "workers", "micro_batch")
"""Fields of `TrainingConfig` that may change when a run is resumed."""


class Trainer:
    """One run: its model, optimiser and average of weights, on one process or on many.

    Lightning Fabric places the work: on a CPU, a GPU, or as many processes as `torchrun` starts,
    each of which takes its share of every step's crops.

    Args:
        model: The model; only what `parameter_groups` opens changes.
        crops: What to train on.
        config: How the run goes; the crops' own.
        folder: Where the run is checkpointed; a run found there is resumed.
        validate: Looks at the model every `config.validate_every` steps and after the last, with
            the average of the weights; the model with the highest `mean` is kept in
            `folder / "best"`.
        fabric: What `launch` gave; by default it is called here.

    Attributes:
        parameters: What learns, by name.
        steps: How many steps the run has in all.
        durations: Seconds of each step that was made here.
        kept_bytes: Memory that features of `fixed_crops` took at the end.

    Raises:
        TrainingError: Nothing would learn, the weights are not float32, or the folder holds a run
            with other settings.
        MissingExtraError: The extra `train` is not installed.
    """

    def __init__(
        self,
        model: TPDRSeg,
        crops: Crops,
        config: TrainingConfig,
        folder: Path,
        validate: Validate | None = None,
        fabric: Fabric | None = None,
    ) -> None:
        self.model, self.crops, self.config = model, crops, config
        self.folder, self.validate = folder, validate
        self.steps = config.total_steps(len(crops.images))
        self.fabric = fabric or launch(config)
        self.bf16 = config.precision == "bfloat16" or (
            config.precision == "auto" and takes_bf16(self.fabric.device)
        )
        logger.info("precision: %s", "bf16" if self.bf16 else "float32")
        if model.dtype != torch.float32:
            raise TrainingError(
                f"The model's weights are {model.dtype}, too short to learn. Load it with "
                f"dtype='float32'; training.precision says what the work in between is done in."
            )
        groups = parameter_groups(model.network, config.lr_factors)
        self.parameters = {name: p for own in groups.values() for name, p in own.items()}
        logger.info(
            "%d of %d parameters learn",
            sum(p.numel() for p in self.parameters.values()),
            sum(p.numel() for p in model.network.parameters()),
        )
        optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for name, p in own.items() if (name in CLASS_GROUPS) is grouped],
                    "lr": config.learning_rate * factor,
                    # which would change the groups of lesions that a run does not train
                    "weight_decay": 0.0 if grouped else config.weight_decay,
                }
                for factor, own in groups.items()
                for grouped in (False, True)
                if any((name in CLASS_GROUPS) is grouped for name in own)
            ]
        )
        self.wrapped, self.optimizer = self.fabric.setup(model.network, optimizer)
        self.average = EMA(
            list(self.parameters.values()),
            config.ema_decay,
            self.steps if config.ema_schedule == "cosine" else None,
        )
        self.teacher = Teacher(model.network, self.parameters, self.average, self.bf16)
        self.progress = Progress()
        if self.state_file.exists():
            self.progress = load_state(
                self.state_file, self.steps, self._settings(), self.parameters, self.average,
                self._adamw,
            )  # fmt: skip
        self.rate = rate_of(config, self.steps)
        self.scheduler = scheduler_at(self._adamw, self.rate, self.step)
        self.weights = cross_entropy_weights(config, model.catalog).to(self.fabric.device)
        self.records: Records | None = None
        self.durations: list[float] = []
        self.kept_bytes = 0

    @property
    def step(self) -> int:
        """How many steps are done."""
        return self.progress.step

    @property
    def state_file(self) -> Path:
        """The run's checkpoint."""
        return self.folder / "state.safetensors"

    @property
    def _adamw(self) -> torch.optim.Optimizer:
        return self.optimizer.optimizer  # type: ignore[no-any-return]

    def run(self) -> TPDRSeg:
        """Train to the last step and return the model with the average of its weights.

        Raises:
            TrainingError: The loss is not finite (its message names the photographs of the step),
                or another run is writing into the folder.
            OutputError: The folder cannot be written.
        """
        first, network = self.fabric.is_global_zero, self.model.network
        with (
            run_folder(self.folder) if first else nullcontext(),
            cached_features(network, when=self.config.fixed_crops > 0) as kept,
        ):
            if first:
                self.records = Records(self.folder, self.step)
            try:
                self._run()
            finally:
                if self.records is not None:
                    self.records.close()
            if first:
                plot_loss(self.folder)
            self.kept_bytes = sum(
                x.nbytes for found in kept.values() for x in (found.feature, *found.detail)
            )
        self.average.swap()
        network.eval()
        return self.model

    def _run(self) -> None:
        self.model.network.train()
        started, first = time.monotonic(), self.step
        begun = started
        for batches in self._steps():
            loss, names = self._train_step(batches)
            self.durations.append(time.monotonic() - begun)
            last = self.step == self.steps
            if self.records is not None:
                self.records.loss(self.step, loss, self.rate(self.step - 1), names)
            if self.step % 10 == 0 or last:
                pace = (time.monotonic() - started) / (self.step - first)
                logger.info(
                    "step %d/%d loss %.4f, %.2f s a step, %s left", self.step, self.steps, loss,
                    pace, timedelta(seconds=round(pace * (self.steps - self.step))),
                )  # fmt: skip
            every = self.config.validate_every
            if last or (every and self.step % every == 0):
                self._look()
            # after the look, so that a run that is killed in between looks again
            if self.step % self.config.save_every == 0 or last:
                self._save()
            begun = time.monotonic()

    def _steps(self) -> Iterator[list[Batch]]:
        """Return the micro-batches of this process, step by step, from the next step on."""
        rank, world, size = self.fabric.global_rank, self.fabric.world_size, self.config.batch_size
        numbers = [
            [step * size + i for i in range(rank, size, world)]
            for step in range(self.step, self.steps)
        ]
        micro = self.config.micro_batch
        loader = DataLoader(
            self.crops,
            batch_sampler=[
                own[i : i + micro] for own in numbers for i in range(0, len(own), micro)
            ],
            collate_fn=collate,
            num_workers=self.config.workers,
            generator=torch.Generator("cpu"),  # else it draws from the process's own
        )
        with torch.device("cpu"):  # whatever the process's default is
            batches = iter(loader)
        waiting: list[Batch] = []
        for batch in batches:
            waiting.append(batch)
            if len(waiting) * micro * world == size:
                yield waiting
                waiting = []

    def _train_step(self, batches: list[Batch]) -> tuple[float, list[str]]:
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), dtype=torch.float32, device=self.fabric.device)
        for number, batch in enumerate(batches, 1):
            with self.fabric.no_backward_sync(self.wrapped, enabled=number < len(batches)):
                loss = self._loss(batch) / len(batches)
                self.fabric.backward(loss)
            total += loss.detach()
        mean = float(self.fabric.all_reduce(total, reduce_op="mean"))  # type: ignore[arg-type]
        norm = self.fabric.clip_gradients(
            self.wrapped, self.optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False
        )
        # of all processes' crops
        size = self.config.batch_size
        names = [self.crops.name(self.step * size + i) for i in range(size)]
        for what, value in (("loss", mean), ("gradient", float(norm))):  # type: ignore[arg-type]
            if not math.isfinite(value):
                raise TrainingError(
                    f"The {what} is {value} at step {self.step + 1} on {', '.join(names)}. Look at "
                    f"these photographs, or lower the learning rate; the run can be resumed."
                )
        self.optimizer.step()
        self.scheduler.step()
        self.average.update()
        self.progress = replace(self.progress, step=self.step + 1)
        return mean, names

    def _loss(self, batch: Batch) -> torch.Tensor:
        device = self.fabric.device
        answers = left_open = None
        if batch.made:
            answers = self.teacher.answer(batch)
            batch, left_open = finish(batch, answers, self.config.camera)
        points = None if batch.points is None else batch.points.to(device)
        classes = batch.classes.to(device)
        # not Fabric's own mixed precision, which would round the inputs, such as points, too
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            logits = self.wrapped(batch.images.to(device), batch.priors.to(device), classes, points)
        logits = logits.float()
        targets = batch.targets.to(device)
        absent = targets.sum(dim=(-2, -1)) == 0
        weights = self.weights[classes]
        weights = torch.where(absent, weights * self.config.absent_weight, weights)
        scored = None if batch.scored is None else batch.scored.to(device)
        rows = [made.row for made in batch.made]
        beside = torch.ones_like(weights)
        beside[rows] = self.config.paste_weight
        loss = segmentation_loss(logits, targets, weights, scored, beside)
        if answers is not None and left_open is not None:
            differing = consistency_loss(
                logits[rows], answers.to(device), left_open.to(device), self.config.teacher_sure
            )
            loss = loss + self._teacher_weight() * differing.sum() / weights.numel()
        return loss

    def _teacher_weight(self) -> float:
        ramp = self.config.teacher_ramp
        return self.config.teacher_weight * (min(1.0, self.step / ramp) if ramp else 1.0)

    @contextmanager
    def _averaged(self) -> Iterator[TPDRSeg]:
        """Return the model in evaluation mode with the average of its weights, for a while."""
        self.average.swap()
        try:
            self.model.network.eval()
            yield self.model
        finally:
            self.average.swap()
            self.model.network.train()

    def _look(self) -> None:
        """Validate on the first process, and keep the model if it is the best so far."""
        if self.validate is None:
            return
        with self.fabric.rank_zero_first():  # however long it takes
            if self.records is not None:
                with self._averaged() as model:
                    figures = self.validate(model, self.folder)
                    logger.info("step %d: mean AUC-PR %.4f", self.step, figures["mean"])
                    if figures["mean"] >= self.progress.best:
                        model.save_pretrained(self.folder / "best")
                        self.progress = replace(self.progress, best=figures["mean"])
                    self.records.metrics(self.step, figures)

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            save_state(
                self.state_file, self.progress, self._settings(), self.parameters, self.average,
                self._adamw,
            )  # fmt: skip
        self.fabric.barrier()

    def _settings(self) -> dict[str, Any]:
        """Return what a run that is resumed must have in common with itself."""
        settings = self.config.model_dump(mode="json", exclude=set(NOT_COMPARED))
        return {**settings, "photographs": [image.name for image in self.crops.images]}
