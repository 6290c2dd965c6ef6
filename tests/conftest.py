"""What the tests share: small configurations, small models and one real photograph.

`small_config` and `small_model` are of kind "tiny_vit" (built as the size `tiny` is, with its
CLIP tower and a detail head); a test takes the other kind with
`@pytest.mark.parametrize("small_config", ["vit"], indirect=True)`, and anything else with
`make_config(kind, **changes)` and `make_model(kind, **changes)`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, JsonValue

from tp_drseg.checkpoints import hub, store
from tp_drseg.config import (
    ArchitectureConfig,
    CLIPConfig,
    ImageEncoderConfig,
    InferenceConfig,
    Provenance,
    TPDRSegConfig,
)
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.network import TPDRSegNetwork

REPOSITORY = Path(__file__).parents[1]

TEXT: dict[str, JsonValue] = {
    "context_length": 77,
    "vocab_size": 49408,
    "width": 32,
    "heads": 2,
    "layers": 1,
}
VIT_CLIP: dict[str, JsonValue] = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {
        "image_size": 64,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
    },
    "text_cfg": TEXT,
}
RESNET_CLIP: dict[str, JsonValue] = {
    "embed_dim": 24,
    "quick_gelu": False,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "text_cfg": TEXT,
}
TOWER_CLIP: dict[str, JsonValue] = {
    "embed_dim": 24,
    "quick_gelu": False,
    "vision_cfg": {"tower": "tiny_vit", "width": 16},
    "text_cfg": {
        "tower": "minilm",
        "vocab_size": 30522,
        "width": 16,
        "heads": 2,
        "layers": 2,
        "context_length": 77,
        "pooled_layers": [1, 2],
        "examples": 24,
        "concepts": [*LesionCatalog.default().names, "healthy retina", "everyday thing"],
    },
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "vit": VIT_CLIP,
    "resnet": RESNET_CLIP,
    "tower": TOWER_CLIP,
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "tiny_vit": {
        "image_encoder": ImageEncoderConfig(
            kind="tiny_vit",
            embed_dims=(16, 32, 40, 64),
            depths=(1, 1, 2, 1),
            num_heads=(1, 2, 2, 4),
            window_sizes=(2, 3, 4, 3),
        ),
        "clip": CLIPConfig(architecture=TOWER_CLIP, image_size=128),
        "detail": True,
    },
    "vit": {
        "image_encoder": ImageEncoderConfig(
            kind="vit",
            embed_dims=(32,),
            depths=(3,),
            num_heads=(2,),
            window_sizes=(3,),
            global_attn_indexes=(1,),
        ),
        "clip": CLIPConfig(architecture=VIT_CLIP, image_size=96),
    },
}

SECTIONS: dict[str, type[BaseModel]] = {
    "architecture": ArchitectureConfig,
    "inference": InferenceConfig,
    "provenance": Provenance,
}

Make = Callable[..., Any]


def _config(kind: str = "tiny_vit", **changes: Any) -> TPDRSegConfig:
    common = {"image_size": 64, "working_diameter": 64, "injector_stride": 2, "sparse_tokens": 3}
    fields = common | DEFAULTS[kind] | changes
    sections: dict[str, dict[str, Any]] = {
        name: {key: fields.pop(key) for key in fields.keys() & section.model_fields.keys()}
        for name, section in SECTIONS.items()
    }
    return TPDRSegConfig.model_validate({**sections, **fields})


def _model(config: TPDRSegConfig) -> TPDRSeg:
    torch.manual_seed(0)
    return TPDRSeg.build(config)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """What a command says about the package's logger ends with the test."""
    logger = logging.getLogger("tp_drseg")
    before = logger.level, list(logger.handlers), logger.propagate
    yield
    logger.setLevel(before[0])
    logger.handlers[:], logger.propagate = before[1:]


@pytest.fixture(scope="session")
def _one_tile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedded")
    config = store.read_config(hub.embedded_folder() / store.CONFIG_NAME)
    config = config.replace(inference={"working_diameter": config.architecture.image_size})
    (folder / store.CONFIG_NAME).write_text(config.to_json(), encoding="utf-8")
    weights = hub.embedded_folder() / store.WEIGHTS_NAME
    (folder / store.WEIGHTS_NAME).symlink_to(weights)
    return folder


@pytest.fixture
def one_tile(_one_tile_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model sees a photograph in one tile: examples run in a quarter of the time."""
    monkeypatch.setattr(hub, "embedded_folder", lambda: _one_tile_folder)


@pytest.fixture
def clip_architectures() -> dict[str, dict[str, Any]]:
    """Small CLIP architectures: "vit", "resnet" and "tower", the one of `tiny`."""
    return ARCHITECTURES


@pytest.fixture
def make_config() -> Make:
    """`make_config(kind="tiny_vit", **changes)`: a small configuration, images of 64 pixels.

    Fields of its sections are given by their names alone: `make_config(detail=False)`.
    """
    return _config


@pytest.fixture
def make_model() -> Make:
    """`make_model(kind="tiny_vit", **changes)`: a small model, always the same weights."""
    return lambda kind="tiny_vit", **changes: _model(_config(kind, **changes))


@pytest.fixture
def small_config(request: pytest.FixtureRequest) -> TPDRSegConfig:
    """A small configuration of the kind given as (indirect) parameter."""
    return _config(getattr(request, "param", "tiny_vit"))


@pytest.fixture
def small_model(small_config: TPDRSegConfig) -> TPDRSeg:
    """The model of `small_config` with seeded random weights, in evaluation mode."""
    return _model(small_config)


@pytest.fixture
def make_network() -> Make:
    """`make_network(kind="tiny_vit", **changes)`: the network of `make_model`."""
    return lambda kind="tiny_vit", **changes: _model(_config(kind, **changes)).network


@pytest.fixture
def small_network(small_model: TPDRSeg) -> TPDRSegNetwork:
    """The network of `small_model`."""
    return small_model.network


@pytest.fixture
def stir() -> Callable[[torch.nn.Module], torch.nn.Module]:
    """Moves all that learns away from its (partly zero) start, so that every part has a say."""

    def stirred(module: torch.nn.Module) -> torch.nn.Module:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.requires_grad:
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.add_(0.05 * noise)
        return module

    return stirred


@pytest.fixture(scope="session")
def _retina() -> NDArray[np.uint8]:
    with Image.open(REPOSITORY / "examples" / "retina.jpg") as image:
        pixels: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
    return pixels


@pytest.fixture
def retina(_retina: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`examples/retina.jpg`, a photograph of a healthy eye, `(H, W, 3)` uint8."""
    copy: NDArray[np.uint8] = _retina.copy()
    return copy


@pytest.fixture
def draw_eye() -> Callable[[int], NDArray[np.uint8]]:
    """`draw_eye(side)`: an orange disc with dark stripes on black, `(side, side, 3)` uint8."""

    def drawn(side: int = 64) -> NDArray[np.uint8]:
        y, x = np.mgrid[:side, :side]
        pixels = np.zeros((side, side, 3), np.uint8)
        pixels[np.hypot(x - side / 2, y - side / 2) < 0.45 * side] = (190, 95, 40)
        pixels[::7] = pixels[::7] * 0.9
        return pixels

    return drawn


@pytest.fixture
def mobile_sam() -> Path:
    """MobileSAM's published checkpoint, when it lies beside the repository."""
    path = REPOSITORY.parent / "shared" / "weights" / "mobile_sam.pt"
    if not path.is_file():
        pytest.skip("mobile_sam.pt is not beside the repository")
    return path
