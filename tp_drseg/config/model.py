"""The configuration of a whole model, which is a checkpoint's `config.json`."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, model_validator

from tp_drseg._runtime.json_text import parse_json
from tp_drseg.config.architecture import (
    ENCODERS,
    SMALL_CLIP,
    VIT_B_16,
    ArchitectureConfig,
    CLIPConfig,
)
from tp_drseg.config.base import FrozenConfig, shown
from tp_drseg.config.inference import InferenceConfig
from tp_drseg.config.provenance import Provenance
from tp_drseg.errors import ConfigError, ConfigWarning, LesionError
from tp_drseg.lesions import LesionCatalog

VERSION: Literal[2] = 2
"""Version of the format of `config.json`."""

OPTIONAL_FIELDS: tuple[str, ...] = ()
"""Dotted names of the fields that an older version of this package may leave out.

A field that is new in this version and does not change what the weights compute belongs here.
`to_json` writes the list down, so that a version that does not know the field can tell.
"""

_MOST_TILES = 4096
_LARGEST_FIELD = 2560  # what a network sees at once takes some 0.5 GB a megapixel
_MOST_TILED = 1 << 26  # pixels in all tiles together: some minutes on two processor cores

StorageDtype = Literal["float32", "float16", "bfloat16"]


def _catalog(value: object, info: ValidationInfo) -> LesionCatalog:
    if isinstance(value, LesionCatalog):
        return value
    if info.mode != "json":
        raise ValueError(f"must be a LesionCatalog, got {shown(value)}.")
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a catalog of lesions, got {shown(value)}.")
    try:
        return LesionCatalog.from_dict(value)
    except (ConfigError, LesionError) as error:
        raise ValueError(f"must be a valid catalog of lesions: {str(error).rstrip('.')}.") from None


Catalog = Annotated[LesionCatalog, PlainValidator(_catalog), PlainSerializer(LesionCatalog.to_dict)]


class TPDRSegConfig(FrozenConfig):
    """Everything that a checkpoint needs beside its tensors.

    Attributes:
        version: Version of this format.
        architecture: What the network is made of.
        inference: How a photograph goes through it.
        lesions: The catalog; the order of its lesions is the order of the class groups.
        storage_dtype: The type that floating-point tensors have in `model.safetensors`.
        provenance: Where the weights come from.
        weights_sha256: Hash of the tensors that belong to this configuration, see
            `checkpoints.store.tensors_hash`; None for a model that was not saved.

    Raises:
        ConfigError: A field is missing, unknown or impossible; each is named.

    Example:
        >>> config = TPDRSegConfig.for_size("tiny", inference={"tile_overlap": 0.25})
        >>> config.architecture.image_size, config.inference.working_diameter
        (1024, 1792)
        >>> config.replace(inference={"working_diameter": 10**6})
        Traceback (most recent call last):
        tp_drseg.errors.ConfigError: inference.working_diameter must be 4096 or less, got 1000000.
    """

    version: Literal[2] = VERSION
    architecture: ArchitectureConfig
    inference: InferenceConfig = Field(default_factory=InferenceConfig)
    lesions: Catalog = Field(default_factory=LesionCatalog.default)
    storage_dtype: StorageDtype = "float32"
    provenance: Provenance = Field(default_factory=Provenance)
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.inference.operating_points:
            if name not in self.lesions.names:
                raise ValueError(
                    f"inference.operating_points names {shown(name)}, which is not in the catalog. "
                    f"Its lesions are {', '.join(self.lesions.names)}."
                )
        tile, side = self.architecture.image_size, self.inference.working_diameter
        if self.inference.whole_field:
            self._check_whole_field()
            return self
        across = 1 + math.ceil(max(0, side - tile) / (tile * (1 - self.inference.tile_overlap)))
        if across**2 > _MOST_TILES or (across * tile) ** 2 > _MOST_TILED:
            raise ValueError(
                f"inference.working_diameter of {side} cuts a photograph into {across**2} tiles of "
                f"{tile} pixels; at most {_MOST_TILES}, of {_MOST_TILED} pixels together, are "
                f"allowed. Choose a smaller one or less inference.tile_overlap."
            )
        return self

    def _check_whole_field(self) -> None:
        kind, side = self.architecture.image_encoder.kind, self.inference.working_diameter
        if kind != "tiny_vit":
            raise ValueError(
                f"inference.whole_field needs an image encoder without positions of its own: "
                f"tiny_vit, not {kind}."
            )
        if side > _LARGEST_FIELD:
            raise ValueError(
                f"inference.working_diameter of {side} is too much for inference.whole_field; at "
                f"most {_LARGEST_FIELD} are allowed."
            )

    @classmethod
    def for_size(cls, size: str, **changes: object) -> Self:
        """Return the configuration of a named size: `tiny`, `vit_b`, `vit_l` or `vit_h`.

        Args:
            size: The name.
            changes: Fields to change, as `replace` takes them.

        Raises:
            ConfigError: The size or a field is unknown, or a value impossible.

        Example:
            >>> TPDRSegConfig.for_size("vit_b").architecture.clip.image_size
            448
        """
        if size not in ENCODERS:
            raise ConfigError(f"Unknown size {shown(size)}; sizes are {', '.join(ENCODERS)}.")
        if size != "tiny":
            clip = CLIPConfig(architecture=VIT_B_16, image_size=448)
            whole = cls(architecture=ArchitectureConfig(image_encoder=ENCODERS[size], clip=clip))
            return whole.replace(**changes)
        architecture = ArchitectureConfig(
            image_encoder=ENCODERS[size],
            clip=CLIPConfig(architecture=SMALL_CLIP, image_size=1024),
            injector_blocks=(10, 11),
            detail=True,
        )
        whole = cls(
            architecture=architecture,
            inference=InferenceConfig(working_diameter=1792),
            storage_dtype="float16",
        )
        return whole.replace(**changes)

    def prompt_texts(self, lesion: str) -> tuple[str, ...]:
        """Return the texts that stand for a lesion: its descriptions, or its name alone.

        Args:
            lesion: Any name that the catalog knows.

        Raises:
            LesionError: The catalog does not know the lesion.
        """
        found = self.lesions.resolve(lesion)
        return found.texts if self.inference.text == "description" else (found.name,)

    def to_json(self) -> str:
        """Return the text of `config.json`, from which `from_json` makes an equal configuration."""
        data = self.model_dump(mode="json")
        return (
            json.dumps({**data, "optional_fields": OPTIONAL_FIELDS}, indent=2, ensure_ascii=False)
            + "\n"
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the configuration that a `config.json` holds.

        A file of a newer version is read as far as this version can: fields that it does not know
        are left out with a `ConfigWarning` when the file lists them under `optional_fields`, by
        dotted name, and refused otherwise. A field never changes its meaning: a newer meaning has a
        newer name.

        Raises:
            ConfigError: The text is no JSON, of an older version, or a field is missing, unknown or
                impossible; each is named.
        """
        data = parse_json(text, "The config")
        if not isinstance(data, dict):
            raise ConfigError("The config must be a JSON object.")
        version = data.get("version")
        if type(version) is not int or version < VERSION:
            raise ConfigError(
                f"The config has version {shown(version)}, this package reads version {VERSION}. "
                f"Use a checkpoint made with this version of tp-drseg."
            )
        optional = data.pop("optional_fields", [])
        if not isinstance(optional, list) or not all(isinstance(name, str) for name in optional):
            raise ConfigError(f"optional_fields must list names of fields, got {shown(optional)}.")
        if version == VERSION:
            return cls.from_plain(data)
        return cls._of_newer(data | {"version": VERSION}, version, optional)

    @classmethod
    def _of_newer(cls, data: dict[str, object], version: int, optional: list[str]) -> Self:
        left_out = [name for name in optional if _take_out(data, name, cls)]
        try:
            config = cls.from_plain(data)
        except ConfigError as error:
            raise ConfigError(
                f"{error} The config has version {shown(version)}, this package knows version "
                f"{VERSION}: upgrade tp-drseg."
            ) from None
        if left_out:
            warnings.warn(
                f"The config has version {shown(version)}, this package knows version {VERSION} "
                f"and leaves out {', '.join(left_out)}, which the file says is optional. Upgrade "
                f"tp-drseg to use it.",
                ConfigWarning,
                stacklevel=3,
            )
        return config


def _take_out(data: dict[str, object], name: str, cls: type[FrozenConfig]) -> bool:
    """Take a field out of plain data, by dotted name, unless the configuration knows it."""
    first, _, rest = name.partition(".")
    field = cls.model_fields.get(first)
    if field is None:
        return not rest and data.pop(first, ...) is not ...
    kind, inner = field.annotation, data.get(first)
    if not rest or not isinstance(inner, dict) or not isinstance(kind, type):
        return False
    return issubclass(kind, FrozenConfig) and _take_out(inner, rest, kind)
