"""A whole training run as one YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PlainValidator, ValidationInfo, create_model, model_validator

from tp_drseg._runtime.yaml_file import read_yaml, write_yaml
from tp_drseg.config import ArchitectureConfig, InferenceConfig
from tp_drseg.config.base import FrozenConfig, shown
from tp_drseg.config.model import Catalog
from tp_drseg.errors import ConfigError
from tp_drseg.images import MAX_PIXELS
from tp_drseg.training.config import Share, TrainingConfig

RECIPES = ("tiny", "vit_b_idrid", "vit_b_ddr")
"""Names of the recipes that ship with the package."""

Text = Annotated[str, Field(min_length=1, max_length=4096)]


class DataConfig(FrozenConfig):
    """What is trained on, and what is left for validation.

    Attributes:
        root: Folder of the data set.
        format: How it is laid out, see `tp_drseg.data.FORMATS`.
        split: Its part that is trained on; by default its training set.
        folds: Every `folds`-th photograph by name, from the `fold`-th on, is for validation and
            never learned from; 0 for no validation.
        fold: The first photograph for validation, counted from 0.
        lesion_free: Folder of photographs without any lesion.
        lesion_free_held_out: How many of them, the last by name, are for validation.
        unlabelled: Folders of photographs without masks, to learn from by a teacher's answers.
        grades: A CSV table with a grade for each of them, see `tp_drseg.data.read_graded`: those
            without retinopathy join the lesion-free ones.
        unlabelled_held_out: Every so many-th of them by name is never learned from; 0 for none.
        marked_by: The model whose false marks on lesion-free photographs are the hard negatives of
            `training.hard_negatives`: `embedded`, a folder, or a repository on the Hub.
        diameter: Longest side, in pixels, of the field of view from which crops are cut that zoom
            in; by default 1.2 times the model's working diameter. The others are cut from the
            working frame, which inference sees.
        limit: Take only so many photographs, the first by name, of each kind: to learn from, for
            validation, and without lesions.
        max_pixels: A photograph or mask of more pixels is refused, before memory is taken for it.

    Raises:
        ConfigError: A field is unknown or impossible; each is named.
    """

    root: Text
    format: Text = "idrid"
    split: Text | None = None
    folds: Annotated[int, Field(ge=0, le=1000)] = 5
    fold: Annotated[int, Field(ge=0, le=1000)] = 0
    lesion_free: Text | None = None
    lesion_free_held_out: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    unlabelled: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    grades: Text | None = None
    marked_by: Text | None = None
    unlabelled_held_out: Annotated[int, Field(ge=0, le=1000)] = 5
    diameter: Annotated[int, Field(ge=32, le=16_384)] | None = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_pixels: Annotated[int, Field(ge=1, le=1 << 40)] = MAX_PIXELS

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.folds == 1:
            raise ValueError("folds must be 2 or more, or 0 for none, got 1.")
        if self.unlabelled_held_out == 1:
            raise ValueError("unlabelled_held_out must be 2 or more, or 0 for none, got 1.")
        if self.grades is not None and not self.unlabelled:
            raise ValueError("grades goes with unlabelled: it is of those photographs.")
        return self


def _partly(section: type[FrozenConfig], *but: str) -> PlainValidator:
    """Return a check of some fields of a section; the others stay as they are in a model."""
    fields = {k: (v.annotation, v) for k, v in section.model_fields.items() if k not in but}
    part = create_model(section.__name__, __base__=FrozenConfig, **fields)  # type: ignore[call-overload]

    def check(value: object, info: ValidationInfo) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise ValueError(f"must be a mapping of names, got {shown(value)}.")
        checked = part.from_plain(value) if info.mode == "json" else part(**value)
        return {name: getattr(checked, name) for name in checked.model_fields_set}

    return PlainValidator(check)


class ModelChanges(FrozenConfig):
    """Fields of a model's configuration that are to differ; the others stay.

    Attributes:
        architecture: Fields of `ArchitectureConfig`, but `image_encoder` and `clip`.
        inference: Fields of `InferenceConfig`, but `operating_points`.

    Raises:
        ConfigError: A field is unknown or impossible; each is named.

    Example:
        >>> ModelChanges(inference={"working_diameter": 1024}).inference
        {'working_diameter': 1024}
    """

    architecture: Annotated[
        Mapping[str, object], _partly(ArchitectureConfig, "image_encoder", "clip")
    ] = Field(default_factory=dict)
    inference: Annotated[Mapping[str, object], _partly(InferenceConfig, "operating_points")] = (
        Field(default_factory=dict)
    )

    def sections(self) -> dict[str, Mapping[str, object]]:
        """Return the changes as `TPDRSegConfig.replace` takes them."""
        return {"architecture": self.architecture, "inference": self.inference}


class StartConfig(FrozenConfig):
    """Where the weights come from, and what is changed.

    Attributes:
        sam: An official SAM checkpoint; its width decides the size of the model.
        sam_sha256: SHA-256 of that file, in hexadecimal; another file is refused. `None` takes any.
        clip: See `TPDRSeg.from_backbones`; by default, for the size `tiny`, a small CLIP is
            trained on the training photographs first.
        checkpoint: In place of `sam` and `clip` a trained model: `embedded`, a folder, or a
            repository on the Hub. Tensors that fit are taken, the others start anew.
        revision: Branch, tag or commit of a `checkpoint` on the Hub.
        lesions: Lesions that the model of `checkpoint` does not know and that are added to its
            catalog, laid out as in `lesions.json`.
        changes: Fields of the model's configuration that are to differ.

    Raises:
        ConfigError: A field is unknown or impossible; each is named.
    """

    sam: Text | None = None
    sam_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    clip: Text | None = None
    checkpoint: Text | None = None
    revision: Text | None = None
    lesions: Catalog | None = None
    changes: ModelChanges = Field(default_factory=ModelChanges)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.sam is None) == (self.checkpoint is None):
            raise ValueError("sam (with clip) or checkpoint must be given, one of the two.")
        if self.checkpoint is not None and self.clip is not None:
            raise ValueError("clip goes with sam: a checkpoint has its own CLIP.")
        if self.checkpoint is None and (self.revision is not None or self.lesions is not None):
            raise ValueError(
                "revision and lesions go with checkpoint: new lesions are taught to it."
            )
        if self.sam is None and self.sam_sha256 is not None:
            raise ValueError("sam_sha256 goes with sam.")
        return self


class RunConfig(FrozenConfig):
    """A run: data, start, and how it goes.

    Attributes:
        data: What is trained on.
        start: Where the weights come from.
        training: How it goes.
        most_marked: The operating points may mark this share of the field of view on lesion-free
            validation photographs, mean over them; `None` for no limit.

    Raises:
        ConfigError: A field is unknown or impossible; each is named.

    Example:
        >>> run = RunConfig(
        ...     data=DataConfig(root="IDRiD"),
        ...     start=StartConfig(checkpoint="embedded"),
        ...     training=TrainingConfig(steps=300),
        ... )
        >>> run.replace(data={"folds": 10}).data.folds
        10
    """

    data: DataConfig
    start: StartConfig
    training: TrainingConfig
    most_marked: Share | None = 0.0002

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.data.marked_by is None) != (self.training.hard_negatives == 0):
            raise ValueError("data.marked_by and training.hard_negatives go together.")
        return self


def read_run(path: Path, changes: Mapping[str, object] | None = None) -> RunConfig:
    """Read a run from a YAML file.

    Args:
        path: The file.
        changes: Values in place of the file's, by dotted name, such as `data.root`.

    Raises:
        ConfigError: The file is missing or no YAML, or a field is missing, unknown or impossible;
            each is named.
        MissingExtraError: The extra `train` is not installed.
    """
    data = read_yaml(path)
    for name, value in (changes or {}).items():
        section, _, key = name.partition(".")
        given = data.get(section) or {}
        if isinstance(given, dict):  # what is wrong with another value is told below
            data[section] = {**given, key: value}
    try:
        return RunConfig.from_plain(data)
    except ConfigError as error:
        raise ConfigError(f"{path} is not a valid run. {error}") from error


def write_run(config: RunConfig, path: Path) -> None:
    """Write a run with every field, so that `read_run` reads the same again.

    Raises:
        OutputError: The file cannot be written.
        MissingExtraError: The extra `train` is not installed.
    """
    write_yaml(config.model_dump(mode="json"), path)


def recipe(name: str) -> Path:
    """Return the file of a recipe that ships with the package, see `RECIPES`."""
    return Path(str(resources.files("tp_drseg.training") / "recipes" / f"{name}.yaml"))
