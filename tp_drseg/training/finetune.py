"""Fine-tuning: teaches a trained model a user's own lesions, or its own ones better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tp_drseg.errors import ConfigError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.config import Precision, TrainingConfig
from tp_drseg.training.engine.parameter_groups import CLASS_GROUPS
from tp_drseg.training.run_config import DataConfig, RunConfig, StartConfig

_LEARNING_RATE = 2e-2  # of class groups, which start from noise; other parts know much already


@dataclass(frozen=True)
class Part:
    """A part of the network that may learn in fine-tuning, and what suits it.

    Steps are such that a run takes some ten minutes on two processor cores with bf16
    instructions: the more has to be computed anew in each, the fewer.

    Attributes:
        prefixes: Beginnings of its parameters' names.
        learning_rate: The highest one.
        steps: How many a run makes that opens it.
        fixed_crops: From how many crops, which come again and again; 0 where nothing can be kept
            of what was computed for one.
    """

    prefixes: tuple[str, ...]
    learning_rate: float
    steps: int
    fixed_crops: int


_NEW_GROUPS = Part(CLASS_GROUPS, _LEARNING_RATE, 1500, 64)

PARTS: Mapping[str, Part] = {
    "prompt-generator": Part(("prompt_generator.",), 3e-4, 600, 64),
    "decoder": Part(("mask_decoder.",), 3e-4, 600, 64),
    "injectors": Part(("image_encoder.injectors.",), 3e-4, 300, 64),
    "detail": Part(("detail_head.",), 6e-4, 300, 64),
    "encoder": Part(("image_encoder.backbone.",), 1.5e-4, 120, 0),
}
"""What may learn beside the new lesions' class groups, by the name that a user gives it."""


def finetune_config(
    lesions: LesionCatalog | None,
    data: DataConfig,
    *,
    model: str = "embedded",
    revision: str | None = None,
    train: Sequence[str] = (),
    steps: int | None = None,
    precision: Precision = "auto",
    seed: int = 0,
) -> RunConfig:
    """Return the run that teaches a trained model new lesions, or those that it knows better.

    The run is for `tp_drseg.training.run`. With new lesions and without `train` only the new
    lesions' class groups learn, so that what the model segments stays the same to the last bit.

    Args:
        lesions: The new ones; None to learn those that the model knows, such as from masks that
            were corrected.
        data: Annotated photographs.
        model: A trained model: `embedded`, a folder, or a repository on the Hub.
        revision: Branch, tag or commit of a model on the Hub.
        train: Names of `PARTS` that learn too; the lesions that the model knows change with them.
        steps: Steps of the optimiser; by default what suits the parts that learn.
        precision: As for `TrainingConfig`.
        seed: Of all randomness.

    Raises:
        ConfigError: `train` names an unknown part, nothing would learn, or another value is not
            valid.

    Example:
        >>> from tp_drseg.training.run_config import DataConfig
        >>> lesions = LesionCatalog((LesionCatalog.default().resolve("MA"),))
        >>> run = finetune_config(lesions, DataConfig(root="eyes", format="folder"))
        >>> run.training.steps, run.training.lesions
        (1500, ('microaneurysm',))
    """
    if unknown := [name for name in train if name not in PARTS]:
        raise ConfigError(
            f"There is no part {', '.join(unknown)} to train. Parts are {', '.join(PARTS)}."
        )
    if lesions is None and not train:
        raise ConfigError(
            "Without new lesions nothing would learn. Give --lesions, or say with --train which "
            "part is to learn from the lesions that the model knows, such as --train decoder."
        )
    opened = [*([_NEW_GROUPS] if lesions else []), *(PARTS[name] for name in dict.fromkeys(train))]
    steps = min(part.steps for part in opened) if steps is None else steps
    factors = {
        prefix: part.learning_rate / _LEARNING_RATE for part in opened for prefix in part.prefixes
    }
    training = TrainingConfig(
        steps=steps,
        fixed_crops=min(part.fixed_crops for part in opened),
        learning_rate=_LEARNING_RATE,
        warmup=min(20, steps),
        weight_decay=0.0,
        bce_weight=3.0,
        lr_factors={"": 0.0, **factors},
        lesions=() if train or lesions is None else lesions.names,
        ema_decay=0.99,
        points=0.0,
        precision=precision,
        seed=seed,
    )
    start = StartConfig(checkpoint=model, revision=revision, lesions=lesions)
    return RunConfig(data=data, start=start, training=training)
