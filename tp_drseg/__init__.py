"""TP-DRSeg: segments diabetic retinopathy lesions in fundus photographs from a text prompt.

Importing this package does not import torch; that happens when a name that needs it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tp_drseg._runtime.version import __version__ as __version__

if TYPE_CHECKING:
    from tp_drseg._runtime.allocator import freed_memory_kept
    from tp_drseg.anatomy import (
        Anatomy,
        Disc,
        LesionMeasurements,
        Measured,
        Measurements,
        Point,
        Signs,
        read_signs,
    )
    from tp_drseg.config import (
        ArchitectureConfig,
        CLIPConfig,
        ImageEncoderConfig,
        InferenceConfig,
        OperatingPoint,
        Provenance,
        TPDRSegConfig,
    )
    from tp_drseg.errors import TPDRSegError
    from tp_drseg.images import Acquisition, Quality, Region
    from tp_drseg.inference.request import Prompt
    from tp_drseg.inference.result import Origin, Segmentation
    from tp_drseg.inference.results import Segmentations
    from tp_drseg.inference.session import ImageSession
    from tp_drseg.inference.summary import SegmentationSummary
    from tp_drseg.lesions import Description, Lesion, LesionCatalog
    from tp_drseg.lesions.match import Match
    from tp_drseg.model import TPDRSeg
    from tp_drseg.modules.explicit_prior import ExplicitPriorEncoder
    from tp_drseg.modules.image_encoder import InjectedImageEncoder
    from tp_drseg.modules.injector import PriorAlignedInjector
    from tp_drseg.modules.mask_decoder import MaskDecoder
    from tp_drseg.modules.network import TPDRSegNetwork
    from tp_drseg.modules.prompt_generator import ClassPromptGenerator

_MODULES = {
    "Acquisition": "images",
    "Anatomy": "anatomy",
    "ArchitectureConfig": "config",
    "CLIPConfig": "config",
    "ClassPromptGenerator": "modules.prompt_generator",
    "Description": "lesions",
    "Disc": "anatomy",
    "ExplicitPriorEncoder": "modules.explicit_prior",
    "ImageEncoderConfig": "config",
    "ImageSession": "inference.session",
    "InferenceConfig": "config",
    "InjectedImageEncoder": "modules.image_encoder",
    "Lesion": "lesions",
    "LesionCatalog": "lesions",
    "LesionMeasurements": "anatomy",
    "MaskDecoder": "modules.mask_decoder",
    "Match": "lesions.match",
    "Measured": "anatomy",
    "Measurements": "anatomy",
    "OperatingPoint": "config",
    "Origin": "inference.result",
    "Point": "anatomy",
    "PriorAlignedInjector": "modules.injector",
    "Prompt": "inference.request",
    "Provenance": "config",
    "Quality": "images",
    "Region": "images",
    "Segmentation": "inference.result",
    "SegmentationSummary": "inference.summary",
    "Segmentations": "inference.results",
    "Signs": "anatomy",
    "TPDRSeg": "model",
    "TPDRSegConfig": "config",
    "TPDRSegError": "errors",
    "TPDRSegNetwork": "modules.network",
    "freed_memory_kept": "_runtime.allocator",
    "read_signs": "anatomy",
}

__all__ = [
    "Acquisition",
    "Anatomy",
    "ArchitectureConfig",
    "CLIPConfig",
    "ClassPromptGenerator",
    "Description",
    "Disc",
    "ExplicitPriorEncoder",
    "ImageEncoderConfig",
    "ImageSession",
    "InferenceConfig",
    "InjectedImageEncoder",
    "Lesion",
    "LesionCatalog",
    "LesionMeasurements",
    "MaskDecoder",
    "Match",
    "Measured",
    "Measurements",
    "OperatingPoint",
    "Origin",
    "Point",
    "PriorAlignedInjector",
    "Prompt",
    "Provenance",
    "Quality",
    "Region",
    "Segmentation",
    "SegmentationSummary",
    "Segmentations",
    "Signs",
    "TPDRSeg",
    "TPDRSegConfig",
    "TPDRSegError",
    "TPDRSegNetwork",
    "freed_memory_kept",
    "read_signs",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value: object = getattr(import_module(f"tp_drseg.{_MODULES[name]}"), name)
        return value
    raise AttributeError(f"module 'tp_drseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
