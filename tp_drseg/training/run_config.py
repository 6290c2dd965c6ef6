"""A whole training run as one YAML file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import write_text
from tp_drseg._runtime.yaml_file import read_yaml
from tp_drseg.config import ArchitectureConfig, InferenceConfig
from tp_drseg.errors import ConfigError
from tp_drseg.training.config import TrainingConfig

_MAY_CHANGE = {
    "architecture": set(ArchitectureConfig.model_fields) - {"image_encoder", "clip"},
    "inference": set(InferenceConfig.model_fields) - {"operating_points"},
}

RECIPES = ("tiny", "vit_b_idrid", "vit_b_ddr")
"""Names of the recipes that ship with the package."""


@dataclass(frozen=True)
class DataConfig:
    """What is trained on, and what is left for validation.

    Attributes:
        root: folder of the data set.
        format: how it is laid out, see `tp_drseg.data.FORMATS`.
        split: its part that is trained on; by default its training set.
        folds: every `folds`-th photograph by name, from the `fold`-th on, is for validation and
            never learned from; 0 for no validation.
        fold: the first photograph for validation, counted from 0.
        lesion_free: folder of photographs without any lesion.
        lesion_free_held_out: how many of them, the last by name, are for validation.
        diameter: longest side, in pixels, of the field of view from which crops are cut; by
            default 1.2 times the model's working diameter.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    root: str
    format: str = "idrid"
    split: str | None = None
    folds: int = 5
    fold: int = 0
    lesion_free: str | None = None
    lesion_free_held_out: int = 20
    diameter: int | None = None

    def __post_init__(self) -> None:
        if self.folds < 0 or self.folds == 1:
            raise ConfigError(f"data.folds must be 2 or more, or 0 for none, got {self.folds}.")
        if self.lesion_free_held_out < 0:
            raise ConfigError(
                f"data.lesion_free_held_out must be 0 or more, got {self.lesion_free_held_out}."
            )
        if self.diameter is not None and self.diameter < 32:
            raise ConfigError(f"data.diameter must be 32 or more, got {self.diameter}.")


@dataclass(frozen=True)
class StartConfig:
    """Where the weights come from, and what is changed.

    Attributes:
        sam: an official SAM checkpoint; its width decides the size of the model.
        clip: see `TPDRSeg.from_backbones`; by default, for the size `tiny`, a small CLIP is
            trained on the training photographs first.
        checkpoint: in place of `sam` and `clip` a trained model: `embedded`, a folder, or a
            repository on the Hub. Tensors that fit are taken, the others start anew.
        changes: fields of the model's `architecture` and `inference` that are to differ.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    sam: str | None = None
    clip: str | None = None
    checkpoint: str | None = None
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.sam is None) == (self.checkpoint is None):
            raise ConfigError("Give start.sam (and start.clip), or start.checkpoint.")
        if self.checkpoint is not None and self.clip is not None:
            raise ConfigError("start.clip goes with start.sam: start.checkpoint has its own CLIP.")
        for section, changes in self.changes.items():
            known = _MAY_CHANGE.get(section)
            if known is None or not isinstance(changes, Mapping):
                raise ConfigError(
                    f"start.changes has fields of the sections {' and '.join(_MAY_CHANGE)}, got "
                    f"{section!r}: {changes!r}."
                )
            if unknown := sorted(set(changes) - known):
                raise ConfigError(
                    f"start.changes cannot change {section}.{', '.join(unknown)}. It may change "
                    f"{', '.join(sorted(known))}."
                )

    @property
    def model_changes(self) -> dict[str, dict[str, Any]]:
        """`changes` as `TPDRSegConfig.replace` takes them: tuples where a file has lists."""
        return {
            section: {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}
            for section, changes in self.changes.items()
        }


@dataclass(frozen=True)
class RunConfig:
    """A run: data, start, and how it goes.

    Attributes:
        data: what is trained on.
        start: where the weights come from.
        training: how it goes.
        most_marked: the operating points may mark this share of the field of view on lesion-free
            validation photographs, mean over them; null for no limit.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    data: DataConfig
    start: StartConfig
    training: TrainingConfig
    most_marked: float | None = 0.0002

    def __post_init__(self) -> None:
        if self.most_marked is not None and not 0 <= self.most_marked <= 1:
            raise ConfigError(f"most_marked must be in [0, 1] or null, got {self.most_marked}.")


def read_run(path: Path, changes: Mapping[str, Any] | None = None) -> RunConfig:
    """Reads a run from a YAML file.

    Args:
        path: the file.
        changes: values in place of the file's, by dotted name, such as `data.root`.

    Raises:
        ConfigError: when the file is missing or no YAML, or a field is missing, unknown or
            impossible; each is named.
        MissingExtraError: when the extra `train` is not installed.
    """
    data = read_yaml(path)
    for name, value in (changes or {}).items():
        section, _, key = name.partition(".")
        given = data.get(section) or {}
        if isinstance(given, dict):  # what is wrong with another value is told below
            data[section] = {**given, key: value}
    return build_run(data, str(path))


def build_run(data: Mapping[str, Any], where: str) -> RunConfig:
    """A run from plain data; see `read_run`."""
    require("train", "pydantic")
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(RunConfig).validate_python(data)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc'])) or 'the run'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise ConfigError(f"{where} is not a valid run. " + " ".join(lines)) from error


def write_run(config: RunConfig, path: Path) -> None:
    """Writes a run with every field, so that `read_run` reads the same again."""
    require("train", "yaml")
    import yaml

    data = json.loads(json.dumps(asdict(config)))  # YAML knows no tuples
    write_text(path, yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


def recipe(name: str) -> Path:
    """The file of a recipe that ships with the package, see `RECIPES`."""
    return Path(str(resources.files("tp_drseg.training") / "recipes" / f"{name}.yaml"))
