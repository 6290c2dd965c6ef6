"""Trains TP-DRSeg on crops of annotated photographs, in a run that can be stopped and resumed."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from tp_drseg.errors import TrainingError
from tp_drseg.files import atomic_write
from tp_drseg.lesions import Lesion
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.explicit_prior import min_max, similarity
from tp_drseg.training.augment import random_crop, random_light
from tp_drseg.training.clicks import simulate_clicks
from tp_drseg.training.clip import warm_cosine
from tp_drseg.training.losses import segmentation_loss
from tp_drseg.training.photographs import Photograph

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingConfig:
    """How a run goes.

    Attributes:
        steps: optimiser steps.
        batch_size: crops a step; every lesion is asked for on every crop.
        learning_rate: highest rate of a cosine schedule with warm-up.
        weight_decay: AdamW's.
        bce_weight: see `segmentation_loss`.
        negatives: share of the crops that come from photographs without any lesion.
        clicks: share of the crops for which points and boxes are given beside the text.
        averaging: decay of the moving average of the weights that the run ends with.
        save_every: steps between two checkpoints of the run.
        seed: of crops, light and choice of descriptions.
    """

    steps: int = 680
    batch_size: int = 1
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    bce_weight: float = 10.0
    negatives: float = 0.12
    clicks: float = 0.2
    averaging: float = 0.99
    save_every: int = 50
    seed: int = 0


class Trainer:
    """One run: its model, optimiser, average of weights and source of randomness.

    Args:
        model: from `TPDRSeg.from_backbones`; only its `trained_parameters` change.
        photographs: with masks in the order of the model's catalog.
        config: how the run goes.
        folder: where the run is checkpointed; a run found there is resumed.

    Raises:
        TrainingError: when there is no photograph, or the folder holds a run of another shape.
    """

    def __init__(
        self,
        model: TPDRSeg,
        photographs: Sequence[Photograph],
        config: TrainingConfig,
        folder: Path,
    ) -> None:
        if not photographs:
            raise TrainingError("There is no photograph to train on.")
        self.model, self.config, self.folder = model, config, folder
        self.parameters = dict(model.trained_parameters())
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.lesions = tuple(model.catalog)
        self.classes = torch.arange(len(self.lesions))
        self.photographs = list(photographs)
        self.empty = [i for i, p in enumerate(photographs) if not p.masks.any()]
        self.marked = [i for i, p in enumerate(photographs) if p.masks.any()]
        folder.mkdir(parents=True, exist_ok=True)
        if self.state_file.exists():
            self._load()
        # CLIP is frozen: its features are computed once and follow the crops
        self.features = [self._image_features(p) for p in self.photographs]
        self.texts = {
            lesion.name: torch.stack(
                [model.explicit_prior.text_features(t) for t in model.prompt_texts(lesion)]
            )
            for lesion in self.lesions
        }

    @property
    def state_file(self) -> Path:
        """The run's checkpoint."""
        return self.folder / "state.safetensors"

    def run(self) -> TPDRSeg:
        """Trains to the last step and returns the model with the average of its weights.

        Raises:
            TrainingError: when the loss is not finite; names the photographs of the step.
        """
        self.model.train()
        started, first = time.monotonic(), self.step
        while self.step < self.config.steps:
            loss, names = self._train_step()
            if self.step % 10 == 0:
                rate = (time.monotonic() - started) / (self.step - first)
                left = rate * (self.config.steps - self.step) / 60
                logger.info(
                    "step %d/%d loss %.4f, %.2f s a step, %.0f min left",
                    self.step, self.config.steps, loss, rate, left,
                )  # fmt: skip
            self._log(loss, names)
            if self.step % self.config.save_every == 0 or self.step == self.config.steps:
                self._save()
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.average[name])
        return self.model.eval()

    def sample(self) -> tuple[Tensor, Tensor, Tensor, str]:
        """One random crop.

        Returns:
            image `(3, S, S)` RGB in [0, 255], priors `(L, S/16, S/16)`, target `(L, S/4, S/4)`
            in [0, 1], and the photograph's name.
        """
        size = self.model.config.image_size
        index = self._choose()
        photograph = self.photographs[index]
        extent = size / self.model.config.working_diameter
        crop = random_crop(photograph.masks, photograph.field_of_view, extent, self.generator)
        image = random_light(crop.apply(photograph.image, size) / 255, self.generator) * 255
        target = F.avg_pool2d(crop.apply(photograph.masks, size), 4)
        priors = crop.apply(self._priors(index), self.model.config.grid)
        return image, priors, target, photograph.name

    def _train_step(self) -> tuple[float, list[str]]:
        rate = self.config.learning_rate * warm_cosine(self.step, self.config.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        total, names = 0.0, []
        for _ in range(self.config.batch_size):
            image, priors, target, name = self.sample()
            names.append(name)
            clicks = None
            if float(torch.rand((), generator=self.generator)) < self.config.clicks:
                clicks = simulate_clicks(target, 4, self.generator)
            logits = self.model(image[None], priors[None], self.classes, clicks)
            loss = segmentation_loss(logits, target[None], self.config.bce_weight)
            (loss / self.config.batch_size).backward()  # type: ignore[no-untyped-call]
            total += loss.item() / self.config.batch_size
        if not torch.isfinite(torch.tensor(total)):
            raise TrainingError(
                f"The loss is {total} at step {self.step} on {', '.join(names)}. Look at these "
                f"photographs, or lower the learning rate; the run can be resumed."
            )
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimizer.step()
        self.step += 1
        decay = min(self.config.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                self.average[name].lerp_(parameter, 1 - decay)
        return total, names

    def _choose(self) -> int:
        empty = float(torch.rand((), generator=self.generator)) < self.config.negatives
        pool = self.empty if (empty and self.empty) or not self.marked else self.marked
        return pool[int(torch.randint(len(pool), (), generator=self.generator))]

    def _image_features(self, photograph: Photograph) -> tuple[Tensor, Tensor]:
        prior = self.model.explicit_prior
        side = prior.image_size
        image = F.interpolate(
            photograph.image[None].float() / 255, size=side, mode="bilinear",
            align_corners=False, antialias=True,
        )  # fmt: skip
        features = prior.image_features(image)
        where = F.adaptive_max_pool2d(photograph.field_of_view[None].float(), features.shape[-2:])
        return features.half(), where > 0

    def _priors(self, index: int) -> Tensor:
        """Priors of every lesion, from all of its descriptions or from a few at random."""
        features, where = self.features[index]
        texts = torch.stack([self._text(lesion) for lesion in self.lesions])
        return min_max(similarity(features.float(), texts), where)[0]

    def _text(self, lesion: Lesion) -> Tensor:
        texts = self.texts[lesion.name]
        if float(torch.rand((), generator=self.generator)) < 0.5:
            count = int(torch.randint(1, 6, (), generator=self.generator))
            texts = texts[torch.randperm(len(texts), generator=self.generator)[:count]]
        return F.normalize(texts.mean(dim=0), dim=0)

    def _log(self, loss: float, names: Sequence[str]) -> None:
        with (self.folder / "loss.csv").open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([self.step, f"{loss:.6f}", " ".join(names)])

    def _save(self) -> None:
        tensors: dict[str, Tensor] = {"generator": self.generator.get_state()}
        for name, parameter in self.parameters.items():
            state = self.optimizer.state[parameter]
            tensors |= {
                f"weight/{name}": parameter.detach(),
                f"average/{name}": self.average[name],
                f"exp_avg/{name}": state["exp_avg"],
                f"exp_avg_sq/{name}": state["exp_avg_sq"],
            }
        metadata = {"step": str(self.step)} | {k: str(v) for k, v in asdict(self.config).items()}
        with atomic_write(self.state_file) as file:
            file.write(to_bytes({k: v.contiguous() for k, v in tensors.items()}, metadata))

    def _load(self) -> None:
        try:
            with safe_open(self.state_file, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise TrainingError(
                f"{self.state_file} is damaged ({error}). Delete that file to start anew."
            ) from error
        shapes = {key: value.shape for key, value in tensors.items() if key.startswith("weight/")}
        if shapes != {f"weight/{name}": p.shape for name, p in self.parameters.items()}:
            raise TrainingError(
                f"{self.state_file} belongs to a run with other trained parts. Choose "
                f"another output folder, or delete that file to start anew."
            )
        self.step = int(metadata["step"])
        self.generator.set_state(tensors["generator"])
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"weight/{name}"])
                self.average[name] = tensors[f"average/{name}"]
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": tensors[f"exp_avg/{name}"],
                    "exp_avg_sq": tensors[f"exp_avg_sq/{name}"],
                }
        logger.info("resumed %s at step %d", self.folder, self.step)
