"""How a training run goes, without the data and the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tp_drseg.config.base import FrozenConfig, shown

Precision = Literal["auto", "float32", "bfloat16"]
Schedule = Literal["cosine", "constant"]

_MOST_STEPS = 10_000_000

Steps = Annotated[int, Field(ge=0, le=_MOST_STEPS)]
SomeSteps = Annotated[int, Field(ge=1, le=_MOST_STEPS)]
Crops = Annotated[int, Field(ge=1, le=4096)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1_000_000)]
Factor = Annotated[float, Field(ge=0, le=1000)]
Scale = Annotated[float, Field(ge=0.05, le=20)]
Name = Annotated[str, Field(max_length=1000)]
Weights = Annotated[Mapping[Name, Weight], Field(max_length=1000)]


class TrainingConfig(FrozenConfig):
    """How a run goes. Lesions go by any name that the catalog knows.

    Attributes:
        steps: Optimiser steps.
        epochs: In place of `steps`, how often each training photograph is seen on average.
        fixed_crops: Learn from this many crops again and again, in place of a new one each time; 0
            for none. What is frozen is then computed once for each and kept in memory, which
            saves most of a step where little learns; some 35 MB a crop in the size `tiny`.
        batch_size: Crops a step, over all processes.
        micro_batch: Crops that go through the model at once; more need more memory.
        learning_rate: Highest rate.
        schedule: `cosine` falls to 2 % of the highest rate, `constant` stays.
        warmup: Steps of linear rise before.
        weight_decay: AdamW's.
        clip_norm: Largest norm of the gradient.
        lr_factors: Factor of the learning rate by the beginning of parameters' names, over what
            learns by itself (see `trained_parameters`): it opens other parts, such as
            `image_encoder.backbone.stages.3.`, and 0 closes one.
        bce_weight: Weight of the cross-entropy beside the IoU, see `segmentation_loss`.
        bce_weights: The same for single lesions.
        absent_weight: Factor of both for a lesion that the crop does not show: the IoU then says
            nothing, and the mean cross-entropy is smaller by orders of magnitude.
        lesions: The lesions that are trained; empty for all of the catalog.
        lesions_per_crop: For how many of them each crop is prompted, those that it shows being
            chosen three times as often; 0 for all.
        lesion_weights: How often a crop is sought for each lesion, relative to 1 for those not
            named.
        lesion_centred: Share of these crops that are centred near the lesion; the others lie
            anywhere on a photograph that has it.
        lesion_free_share: Share of the crops that come from photographs without any lesion.
        hard_negatives: Share of these that lie where a model marks a lesion though none is there,
            see `DataConfig.marked_by`; each photograph as often as it is marked.
        unlabelled_share: Share of the crops that show photographs without masks, or without any
            lesion, maybe with pasted ones: two crops to three annotated ones are 0.4.
        paste_share: Share of those crops on which lesions of an annotated photograph are pasted.
        paste_weight: Weight of their ordinary loss, on what is pasted and what is known to be
            absent, beside 1 for annotated photographs.
        teacher_weight: Weight of the mean squared difference from the teacher, the moving average
            of the weights, where nothing else is known of those crops.
        teacher_sure: From which probability on, for lesion or background, the teacher is heard;
            0.5 for always.
        teacher_ramp: Steps over which the teacher's weight rises from 0.
        scales: Least and largest side of a crop, relative to that of a tile at work; 0.05 to 20.
        mosaic: Share of the crops that are put together from four of half the side, each from a
            draw of its own: more photographs a step at the same price.
        geometric: Whether crops are turned by any angle and mirrored.
        photometric: Whether colour, gamma, sharpness and compression change.
        camera: Strength of what other cameras do to a photograph, beside `photometric`: cast, haze,
            uneven light, resolution, noise; 1 for what common ones differ by, 0 for none.
        points: Share of the steps in which points and boxes are given beside the text.
        ema_decay: Decay of the moving average of the weights that the run ends with, below 1; 0
            for none.
        ema_schedule: `constant`, or `cosine`: the decay rises to 1 until the last step.
        save_every: Steps between two checkpoints of the run.
        validate_every: Steps between two looks at the validation photographs; 0 for a single one
            after the last step.
        precision: `bfloat16` mixed precision, `float32`, or `auto`, which asks the hardware.
        workers: Processes that cut crops beside the training; 0 for none.
        seed: Of crops, photometric changes and choice of descriptions.

    Raises:
        ConfigError: A field is unknown or impossible; each is named.

    Example:
        >>> config = TrainingConfig(epochs=2, batch_size=4, lesion_weights={"MA": 2.0})
        >>> config.total_steps(photographs=43)
        22
        >>> config.replace(precision="fp16")
        Traceback (most recent call last):
        tp_drseg.errors.ConfigError: precision must be 'auto', 'float32' or 'bfloat16', got 'fp16'.
    """

    steps: SomeSteps | None = None
    epochs: Annotated[float, Field(gt=0, le=100_000)] | None = None
    fixed_crops: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    batch_size: Crops = 1
    micro_batch: Crops = 1
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 3e-4
    schedule: Schedule = "cosine"
    warmup: Steps = 50
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.01
    clip_norm: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    lr_factors: Annotated[Mapping[Name, Factor], Field(max_length=1000)] = Field(
        default_factory=dict
    )
    bce_weight: Weight = 10.0
    bce_weights: Weights = Field(default_factory=dict)
    absent_weight: Weight = 1.0
    lesions: Annotated[tuple[Name, ...], Field(max_length=1000)] = ()
    lesions_per_crop: Annotated[int, Field(ge=0, le=1000)] = 3
    lesion_weights: Weights = Field(default_factory=dict)
    lesion_centred: Share = 0.75
    lesion_free_share: Share = 0.12
    hard_negatives: Share = 0.0
    unlabelled_share: Share = 0.0
    paste_share: Share = 1.0
    paste_weight: Weight = 0.01
    teacher_weight: Weight = 0.01
    teacher_sure: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    teacher_ramp: Steps = 0
    scales: tuple[Scale, Scale] = (0.67, 1.4)
    mosaic: Share = 0.0
    geometric: bool = True
    photometric: bool = True
    camera: Annotated[float, Field(ge=0, le=3)] = 0.0
    points: Share = 0.2
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.995
    ema_schedule: Schedule = "constant"
    save_every: SomeSteps = 25
    validate_every: Steps = 0
    precision: Precision = "auto"
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("steps or epochs must be given, one of the two.")
        if self.batch_size % self.micro_batch:
            raise ValueError(
                f"micro_batch must divide batch_size, got {self.micro_batch} for {self.batch_size}."
            )
        if self.camera and not self.photometric:
            raise ValueError("camera goes with photometric.")
        if self.fixed_crops and self.unlabelled_share:
            raise ValueError(
                "fixed_crops goes with unlabelled_share 0: a teacher's answer changes."
            )
        if self.scales[0] > self.scales[1]:
            raise ValueError(f"scales must have the least first, got {shown(self.scales)}.")
        return self

    def total_steps(self, photographs: int) -> int:
        """Return the optimiser steps of a run on so many training photographs."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, round(self.epochs * photographs / self.batch_size))
