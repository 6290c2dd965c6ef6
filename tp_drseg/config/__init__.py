"""Frozen configurations: all that is needed to build a model empty, and to run it."""

from tp_drseg.config.architecture import (
    ENCODERS,
    SMALL_CLIP,
    VIT_B_16,
    ArchitectureConfig,
    CLIPConfig,
    DenseFeatures,
    EncoderKind,
    ImageEncoderConfig,
    Tuning,
)
from tp_drseg.config.inference import (
    DEFAULT_THRESHOLD,
    InferenceConfig,
    OperatingPoint,
    TextKind,
)
from tp_drseg.config.model import VERSION, StorageDtype, TPDRSegConfig
from tp_drseg.config.provenance import LearnedPhotograph, Provenance, ReportedScore

__all__ = [
    "DEFAULT_THRESHOLD",
    "ENCODERS",
    "SMALL_CLIP",
    "VERSION",
    "VIT_B_16",
    "ArchitectureConfig",
    "CLIPConfig",
    "DenseFeatures",
    "EncoderKind",
    "ImageEncoderConfig",
    "InferenceConfig",
    "LearnedPhotograph",
    "OperatingPoint",
    "Provenance",
    "ReportedScore",
    "StorageDtype",
    "TPDRSegConfig",
    "TextKind",
    "Tuning",
]
