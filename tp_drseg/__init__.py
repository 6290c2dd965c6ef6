"""TP-DRSeg: segments diabetic retinopathy lesions in fundus photographs from a text prompt.

Importing this package does not import torch; that happens when a name that needs it is used.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from tp_drseg.inference.result import Segmentation
    from tp_drseg.lesions import Description, Lesion, LesionCatalog
    from tp_drseg.model import TPDRSeg
    from tp_drseg.modules.explicit_prior import ExplicitPriorEncoder
    from tp_drseg.modules.image_encoder import InjectedImageEncoder
    from tp_drseg.modules.injector import PriorAlignedInjector
    from tp_drseg.modules.mask_decoder import MaskDecoder
    from tp_drseg.modules.prompt_generator import ClassPromptGenerator

_MODULES = {
    "ArchitectureConfig": "config",
    "CLIPConfig": "config",
    "ClassPromptGenerator": "modules.prompt_generator",
    "Description": "lesions",
    "ExplicitPriorEncoder": "modules.explicit_prior",
    "ImageEncoderConfig": "config",
    "InferenceConfig": "config",
    "InjectedImageEncoder": "modules.image_encoder",
    "Lesion": "lesions",
    "LesionCatalog": "lesions",
    "MaskDecoder": "modules.mask_decoder",
    "OperatingPoint": "config",
    "PriorAlignedInjector": "modules.injector",
    "Provenance": "config",
    "Segmentation": "inference.result",
    "TPDRSeg": "model",
    "TPDRSegConfig": "config",
    "TPDRSegError": "errors",
}

__all__ = [
    "ArchitectureConfig",
    "CLIPConfig",
    "ClassPromptGenerator",
    "Description",
    "ExplicitPriorEncoder",
    "ImageEncoderConfig",
    "InferenceConfig",
    "InjectedImageEncoder",
    "Lesion",
    "LesionCatalog",
    "MaskDecoder",
    "OperatingPoint",
    "PriorAlignedInjector",
    "Provenance",
    "Segmentation",
    "TPDRSeg",
    "TPDRSegConfig",
    "TPDRSegError",
]

try:
    __version__ = version("tp-drseg")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"tp_drseg.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'tp_drseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
