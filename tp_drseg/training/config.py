"""How a training run goes, without the data and the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tp_drseg.errors import ConfigError

Precision = Literal["auto", "float32", "bf16"]
Schedule = Literal["cosine", "constant"]


@dataclass(frozen=True)
class TrainingConfig:
    """How a run goes. Lesions go by any name that the catalog knows.

    Attributes:
        steps: optimiser steps.
        epochs: in place of `steps`, how often each training photograph is seen on average.
        fixed_crops: learn from this many crops again and again, in place of a new one each time; 0
            for none. What is frozen is then computed once for each and kept in memory, which
            saves most of a step where little learns; some 35 MB a crop in the size `tiny`.
        batch_size: crops a step, over all processes.
        micro_batch: crops that go through the model at once; more need more memory.
        learning_rate: highest rate.
        schedule: `cosine` falls to 2 % of the highest rate, `constant` stays.
        warmup: steps of linear rise before.
        weight_decay: AdamW's.
        clip_norm: largest norm of the gradient.
        parts: factor of the learning rate by the beginning of parameters' names, over what learns
            by itself (see `TPDRSeg.trained_parameters`): it opens other parts, such as
            `image_encoder.backbone.stages.3.`, and 0 closes one.
        bce_weight: weight of the cross-entropy beside the IoU, see `segmentation_loss`.
        bce_weights: the same for single lesions.
        absent_weight: factor of both for a lesion that the crop does not show: the IoU then says
            nothing, and the mean cross-entropy is smaller by orders of magnitude.
        ask: the lesions that are trained; empty for all of the catalog.
        lesions: on how many of them each crop is asked, those that it shows being chosen three
            times as often; 0 for all.
        focus: how often a crop is sought for each lesion, relative to 1 for those not named.
        on_lesion: share of these crops that are centred near the lesion; the others lie anywhere
            on a photograph that has it.
        negatives: share of the crops that come from photographs without any lesion.
        scales: least and largest side of a crop, relative to that of a tile at work.
        mosaic: share of the crops that are put together from four of half the side, each from a
            draw of its own: more photographs a step at the same price.
        turn: whether crops are turned by any angle and mirrored.
        light: whether colour, gamma, sharpness and compression change.
        clicks: share of the steps in which points and boxes are given beside the text.
        averaging: decay of the moving average of the weights that the run ends with; 0 for none.
        save_every: steps between two checkpoints of the run.
        validate_every: steps between two looks at the validation photographs; 0 for a single one
            after the last step.
        precision: `bf16` mixed precision, `float32`, or `auto`, which asks the hardware.
        workers: processes that cut crops beside the training; 0 for none.
        seed: of crops, light and choice of descriptions.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    steps: int | None = None
    epochs: float | None = None
    fixed_crops: int = 0
    batch_size: int = 1
    micro_batch: int = 1
    learning_rate: float = 3e-4
    schedule: Schedule = "cosine"
    warmup: int = 50
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    parts: Mapping[str, float] = field(default_factory=dict)
    bce_weight: float = 10.0
    bce_weights: Mapping[str, float] = field(default_factory=dict)
    absent_weight: float = 1.0
    ask: tuple[str, ...] = ()
    lesions: int = 3
    focus: Mapping[str, float] = field(default_factory=dict)
    on_lesion: float = 0.75
    negatives: float = 0.12
    scales: tuple[float, float] = (0.67, 1.4)
    mosaic: float = 0.0
    turn: bool = True
    light: bool = True
    clicks: float = 0.2
    averaging: float = 0.995
    save_every: int = 25
    validate_every: int = 0
    precision: Precision = "auto"
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ConfigError("Give training.steps or training.epochs, one of the two.")
        for name in ("batch_size", "micro_batch", "save_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name} must be 1 or more, got {getattr(self, name)}.")
        least_0 = (
            "warmup", "fixed_crops", "lesions", "validate_every", "workers", "weight_decay",
            "absent_weight",
        )  # fmt: skip
        for name in least_0:
            if getattr(self, name) < 0:
                raise ConfigError(f"training.{name} must be 0 or more, got {getattr(self, name)}.")
        for name in ("steps", "epochs", "learning_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"training.{name} must be above 0, got {value}.")
        for name in ("on_lesion", "negatives", "mosaic", "clicks", "averaging"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"training.{name} must be in [0, 1], got {getattr(self, name)}.")
        if self.batch_size % self.micro_batch:
            raise ConfigError(
                f"training.micro_batch ({self.micro_batch}) must divide training.batch_size "
                f"({self.batch_size})."
            )
        if not 0 < self.scales[0] <= self.scales[1]:
            raise ConfigError(
                f"training.scales must be two numbers above 0, the least first, got {self.scales}."
            )
        for name in ("parts", "bce_weights", "focus"):
            for key, value in getattr(self, name).items():
                if value < 0:
                    raise ConfigError(f"training.{name}[{key!r}] must be 0 or more, got {value}.")

    def total_steps(self, photographs: int) -> int:
        """Optimiser steps of a run on so many training photographs."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, round(self.epochs * photographs / self.batch_size))
