"""Frozen configurations: all that is needed to build an architecture empty, and to run it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from tp_drseg.errors import ConfigError, LesionError
from tp_drseg.lesions import LesionCatalog

VERSION = 1

EncoderKind = Literal["vit", "tiny_vit"]
DenseFeatures = Literal["value", "token"]
TextKind = Literal["description", "name"]
Tuning = Literal["injector", "adapter", "multi_scale_adapter", "lora", "none"]
StorageDtype = Literal["float32", "float16", "bfloat16"]
Built = TypeVar("Built")


def _one_of(config: Any, name: str, allowed: tuple[str, ...]) -> None:
    if getattr(config, name) not in allowed:
        raise ConfigError(
            f"{name} must be one of {', '.join(allowed)}, got {getattr(config, name)!r}."
        )


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _whole(name: str, value: object, least: int) -> None:
    if not _is_whole(value, least):
        raise ConfigError(f"{name} must be a whole number of {least} or more, got {value!r}.")


def _blocks(name: str, indexes: object, depth: int) -> None:
    if not isinstance(indexes, (tuple, list)) or not all(
        _is_whole(index, 0) and index < depth for index in indexes
    ):
        raise ConfigError(
            f"{name} must list blocks of an encoder of {depth}, counted from 0, got {indexes!r}."
        )


@dataclass(frozen=True)
class ImageEncoderConfig:
    """Widths of SAM's image encoder; `vit` is Meta's, `tiny_vit` is MobileSAM's.

    For `vit`, `embed_dims`, `depths` and `num_heads` have one entry; for `tiny_vit` one a stage.
    """

    kind: EncoderKind
    embed_dims: tuple[int, ...]
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    window_sizes: tuple[int, ...] = (14,)
    global_attn_indexes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _one_of(self, "kind", ("vit", "tiny_vit"))
        stages = 1 if self.kind == "vit" else 4
        for name in ("embed_dims", "depths", "num_heads", "window_sizes"):
            numbers = getattr(self, name)
            if (
                not isinstance(numbers, (tuple, list))
                or len(numbers) != stages
                or not all(_is_whole(number, 1) for number in numbers)
            ):
                raise ConfigError(
                    f"image_encoder.{name} needs {stages} whole numbers of 1 or more for kind "
                    f"{self.kind!r}, got {numbers!r}."
                )
        if any(dim % heads for dim, heads in zip(self.embed_dims, self.num_heads, strict=True)):
            raise ConfigError(
                f"image_encoder.num_heads must divide embed_dims, got {self.num_heads} for "
                f"{self.embed_dims}."
            )
        _blocks("image_encoder.global_attn_indexes", self.global_attn_indexes, sum(self.depths))


ENCODERS: Mapping[str, ImageEncoderConfig] = {
    "tiny": ImageEncoderConfig(
        "tiny_vit", (64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)
    ),
    "vit_b": ImageEncoderConfig("vit", (768,), (12,), (12,), (14,), (2, 5, 8, 11)),
    "vit_l": ImageEncoderConfig("vit", (1024,), (24,), (16,), (14,), (5, 11, 17, 23)),
    "vit_h": ImageEncoderConfig("vit", (1280,), (32,), (16,), (14,), (7, 15, 23, 31)),
}
"""SAM's own encoders by size."""


@dataclass(frozen=True)
class CLIPConfig:
    """The frozen CLIP behind the explicit prior.

    Attributes:
        architecture: open_clip's model config (`embed_dim`, `vision_cfg`, `text_cfg`,
            `quick_gelu`), from which the towers are built without any download.
        image_size: side in pixels of the square into which the whole field of view is scaled;
            position embeddings are interpolated when it is not the tower's own.
        features: `value`, the value path of the last attention layer (as MaskCLIP does), or
            `token`, the plain tokens of the last layer.
    """

    architecture: Mapping[str, Any]
    image_size: int
    features: DenseFeatures = "value"

    def __post_init__(self) -> None:
        _one_of(self, "features", ("value", "token"))
        _whole("clip.image_size", self.image_size, 1)
        if not isinstance(self.architecture, Mapping):
            raise ConfigError(f"clip.architecture must be an object, got {self.architecture!r}.")
        for key in ("embed_dim", "vision_cfg", "text_cfg"):
            if key not in self.architecture:
                raise ConfigError(f"clip.architecture lacks {key!r}.")
        for key in ("vision_cfg", "text_cfg"):
            if not isinstance(self.architecture[key], Mapping):
                raise ConfigError(f"clip.architecture.{key} must be an object.")


VIT_B_16: Mapping[str, Any] = {
    "embed_dim": 512,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 512,
        "heads": 8,
        "layers": 12,
    },
}
"""open_clip's `ViT-B-16-quickgelu`, the paper's CLIP."""

SMALL_CLIP: Mapping[str, Any] = {
    "embed_dim": 96,
    "quick_gelu": False,
    "vision_cfg": {"tower": "tiny_vit", "width": 192},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 96,
        "heads": 4,
        "layers": 2,
    },
}
"""The small CLIP of the `tiny` size, trained on fundus patches and lesion descriptions."""


@dataclass(frozen=True)
class OperatingPoint:
    """From which probability on a pixel counts as lesion, and what that was seen to give.

    Attributes:
        threshold: the least probability of a lesion pixel, in [0, 1].
        sensitivity: share of the lesion's pixels that were marked with it, pooled over the
            photographs it was chosen on, in [0, 1]; `None` when that was not measured.
        precision: share of the marked pixels that were lesion, likewise; `None` also when no pixel
            was marked.
        chosen_on: the photographs it was chosen on, in words; empty when that is not known.
    """

    threshold: float
    sensitivity: float | None = None
    precision: float | None = None
    chosen_on: str = ""

    def __post_init__(self) -> None:
        if not _is_share(self.threshold):
            raise ConfigError(f"threshold must be in [0, 1], got {self.threshold!r}.")
        for name in ("sensitivity", "precision"):
            share = getattr(self, name)
            if share is not None and not _is_share(share):
                raise ConfigError(f"{name} must be in [0, 1] or null, got {share!r}.")
        if not isinstance(self.chosen_on, str):
            raise ConfigError(f"chosen_on must be a text, got {self.chosen_on!r}.")


@dataclass(frozen=True)
class TPDRSegConfig:
    """Everything that a checkpoint needs beside its tensors.

    Attributes:
        image_encoder: SAM's image encoder.
        clip: the CLIP behind the explicit prior.
        lesions: the catalog; the order of its lesions is the order of the class groups.
        image_size: side of the square tile that the image encoder sees, in pixels.
        tuning: what stands after the encoder blocks `injector_blocks`: `injector`, the paper's;
            `adapter`, `multi_scale_adapter` or `lora`, which it is compared with and which know no
            prior (`lora` is part of the blocks and needs the extra of that name); or `none`.
        injector_blocks: after which encoder blocks an injector stands; `None` for every block,
            empty for no injector at all.
        injector_stride: stride of the injector's query, key and value convolutions (Eq. 3).
        injector_prior: whether the prior gates the injector's key and value (Eq. 2).
        generator_prior: whether the prior gates the prompt generator's input (Eq. 4).
        text: whether a lesion is prompted by its explicit descriptions or by its name alone.
        sparse_tokens: how many sparse embeddings the prompt generator makes.
        detail: whether a detail head adds to the logits at half of the tile's resolution
            (`tiny_vit` only; not part of the paper).
        working_diameter: longest side of the field of view in the working frame, in pixels; when
            it is larger than `image_size`, the frame is cut into overlapping tiles.
        tile_overlap: overlap of neighbouring tiles as a share of `image_size`.
        operating_points: operating point by lesion name; lesions not named have threshold 0.5.
        storage_dtype: the type that floating-point tensors have in `model.safetensors`.
        parent: model id and revision of the checkpoint that this one was trained from.
        training: free-form facts about the training run, shown on the model card.
        version: version of this format.
    """

    image_encoder: ImageEncoderConfig
    clip: CLIPConfig
    lesions: LesionCatalog = field(default_factory=LesionCatalog.default)
    image_size: int = 1024
    tuning: Tuning = "injector"
    injector_blocks: tuple[int, ...] | None = None
    injector_stride: int = 4
    injector_prior: bool = True
    generator_prior: bool = True
    text: TextKind = "description"
    sparse_tokens: int = 8
    detail: bool = False
    working_diameter: int = 1024
    tile_overlap: float = 0.125
    operating_points: Mapping[str, OperatingPoint] = field(default_factory=dict)
    storage_dtype: StorageDtype = "float32"
    parent: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ConfigError(
                f"This checkpoint's config has version {self.version!r}, this package reads "
                f"version {VERSION}. Upgrade tp-drseg, or use a checkpoint made with it."
            )
        _one_of(self, "text", get_args(TextKind))
        _one_of(self, "tuning", get_args(Tuning))
        _one_of(self, "storage_dtype", ("float32", "float16", "bfloat16"))
        for name, least in (
            ("image_size", 16),
            ("working_diameter", 32),
            ("sparse_tokens", 1),
            ("injector_stride", 1),
        ):
            _whole(name, getattr(self, name), least)
        for name in ("injector_prior", "generator_prior", "detail"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be true or false, got {getattr(self, name)!r}.")
        if self.image_size % 16:
            raise ConfigError(f"image_size must be a multiple of 16, got {self.image_size}.")
        if not _is_share(self.tile_overlap) or self.tile_overlap == 1:
            raise ConfigError(f"tile_overlap must be in [0, 1), got {self.tile_overlap!r}.")
        if self.detail and self.image_encoder.kind != "tiny_vit":
            raise ConfigError("detail needs an image encoder with a stride-4 stage: tiny_vit.")
        if self.injector_blocks is not None:
            _blocks("injector_blocks", self.injector_blocks, sum(self.image_encoder.depths))
        for name in ("operating_points", "training"):
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigError(f"{name} must be an object, got {getattr(self, name)!r}.")
        for name, point in self.operating_points.items():
            if name not in self.lesions.names:
                raise ConfigError(
                    f"operating_points names {name!r}, which is not in the catalog. Its lesions "
                    f"are {', '.join(self.lesions.names)}."
                )
            if not isinstance(point, OperatingPoint):
                raise ConfigError(f"operating_points[{name!r}] is no OperatingPoint: {point!r}.")
        if self.parent is not None and not isinstance(self.parent, str):
            raise ConfigError(f"parent must be a text or null, got {self.parent!r}.")

    @property
    def grid(self) -> int:
        """Side of the image embedding, in cells."""
        return self.image_size // 16

    @property
    def thresholds(self) -> dict[str, float]:
        """Threshold by lesion name, for the lesions that have an operating point."""
        return {name: point.threshold for name, point in self.operating_points.items()}

    @classmethod
    def for_size(cls, size: str, **changes: Any) -> TPDRSegConfig:
        """The configuration of a named size: `tiny`, `vit_b`, `vit_l` or `vit_h`.

        Raises:
            ConfigError: for another name or an unknown field.
        """
        if size not in ENCODERS:
            raise ConfigError(f"Unknown size {size!r}; sizes are {', '.join(ENCODERS)}.")
        if size == "tiny":
            defaults: dict[str, Any] = {
                "clip": CLIPConfig(SMALL_CLIP, image_size=1024),
                "injector_blocks": (10, 11),
                "detail": True,
                "working_diameter": 1792,
                "storage_dtype": "float16",
            }
        else:
            defaults = {"clip": CLIPConfig(VIT_B_16, image_size=448)}
        try:
            return cls(image_encoder=ENCODERS[size], **(defaults | changes))
        except TypeError as error:
            raise ConfigError(f"Unknown configuration field: {error}") from error

    def replace(self, **changes: Any) -> TPDRSegConfig:
        """A copy with some fields changed.

        Raises:
            ConfigError: for an unknown field or an impossible value.
        """
        try:
            return dataclasses.replace(self, **changes)
        except TypeError as error:
            raise ConfigError(f"Unknown configuration field: {error}") from error

    def to_json(self) -> str:
        """The configuration as JSON text; what `from_json` reads back is written the same again."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        data["image_encoder"] = dataclasses.asdict(self.image_encoder)
        data["clip"] = {f.name: getattr(self.clip, f.name) for f in dataclasses.fields(self.clip)}
        data["lesions"] = self.lesions.to_dict()
        data["operating_points"] = {
            name: dataclasses.asdict(point) for name, point in self.operating_points.items()
        }
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TPDRSegConfig:
        """Reads what `to_json` wrote; also `thresholds`, the form operating points had before.

        Raises:
            ConfigError: when the text is not JSON, or a field is missing, unknown or impossible.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"The config is not valid JSON: {error}.") from error
        if not isinstance(data, dict):
            raise ConfigError("The config must be a JSON object.")
        if data.get("version") != VERSION:
            raise ConfigError(
                f"The config has version {data.get('version')!r}, this package reads version "
                f"{VERSION}. Upgrade tp-drseg, or use a checkpoint made with it."
            )
        values = _with_operating_points(data)
        _check_fields(values, cls, "config")
        values["image_encoder"] = _build(ImageEncoderConfig, data["image_encoder"], "image_encoder")
        values["clip"] = _build(CLIPConfig, data["clip"], "clip")
        if "lesions" in data:
            try:
                values["lesions"] = LesionCatalog.from_dict(data["lesions"])
            except LesionError as error:
                raise ConfigError(f"lesions of the config are not valid: {error}") from error
        return _build(cls, values, "config")


def _with_operating_points(data: Mapping[str, Any]) -> dict[str, Any]:
    """A config's JSON with its operating points built, be they given whole or as thresholds."""
    values = dict(data)
    if data.get("thresholds") and data.get("operating_points"):
        raise ConfigError("The config has both thresholds and operating_points; remove thresholds.")
    key = "thresholds" if "thresholds" in data else "operating_points"
    given = values.pop(key, {})
    if not isinstance(given, dict):
        raise ConfigError(f"{key} must be an object, got {given!r}.")
    points = {}
    for name, point in given.items():
        try:
            points[name] = (
                OperatingPoint(point)
                if key == "thresholds"
                else _build(OperatingPoint, point, "the operating point")
            )
        except ConfigError as error:
            raise ConfigError(f"{key}[{name!r}]: {error}") from error
    return values | {"operating_points": points}


def _build(cls: type[Built], data: Any, where: str) -> Built:
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be a JSON object, got {type(data).__name__}.")
    _check_fields(data, cls, where)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return cls(**values)


def _check_fields(data: Mapping[str, Any], cls: Any, where: str) -> None:
    fields = {f.name: f for f in dataclasses.fields(cls)}
    if unknown := sorted(set(data) - set(fields)):
        raise ConfigError(f"{where} has unknown fields: {', '.join(unknown)}.")
    required = {
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(data)):
        raise ConfigError(f"{where} lacks the fields: {', '.join(missing)}.")
