"""What the tests of training share: three lesions, small photographs of them, and a small model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.annotated import annotated
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.crops import Crops

SIDE = 80
COLOURS = {
    "haemorrhage": (110, 15, 15),
    "hard exudate": (250, 240, 120),
    "soft exudate": (240,) * 3,
}


def _lesion(name: str, short: str, *texts: str) -> Lesion:
    held_out = (Description(f"{texts[0]}, unseen"),)
    return Lesion(name, short, (), tuple(map(Description, texts)), held_out)


CATALOG = LesionCatalog(
    (
        _lesion("haemorrhage", "HE", "dark red blot", "red stain"),
        _lesion("hard exudate", "EX", "yellow deposit", "waxy spot"),
        _lesion("soft exudate", "SE", "white cloud"),
    )
)
Pixels = Any


def _pixels(seed: int, lesions: bool) -> tuple[Pixels, Pixels, Pixels]:
    """A brown disc with a square of each lesion's colour: image, masks and field of view."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    field = np.hypot(y - SIDE / 2, x - SIDE / 2) < SIDE / 2
    image = np.where(field[..., None], np.array([160, 90, 50]), 0)
    image = image + rng.integers(-8, 9, image.shape) * field[..., None]
    masks = np.zeros((len(COLOURS), SIDE, SIDE), np.uint8)
    for i, colour in enumerate(COLOURS.values() if lesions else []):
        top, left = rng.integers(20, 46, 2)
        masks[:, top : top + 14, left : left + 14] = 0
        masks[i, top : top + 14, left : left + 14] = 1
        image[top : top + 14, left : left + 14] = colour
    return image.clip(0, 255).astype(np.uint8), masks, field.astype(np.uint8)


def _photograph(name: str, seed: int, lesions: bool = True, **more: Any) -> AnnotatedImage:
    image, masks, field = _pixels(seed, lesions)
    return annotated(
        name,
        torch.from_numpy(image).permute(2, 0, 1),
        torch.from_numpy(masks),
        torch.from_numpy(field[None]),
        **more,
    )


@pytest.fixture
def photograph() -> Callable[..., AnnotatedImage]:
    """`photograph(name, seed, lesions=True, **more)`: a disc of 80 pixels, a square a lesion."""
    return _photograph


@pytest.fixture
def photographs() -> list[AnnotatedImage]:
    return [
        _photograph("one", 1), _photograph("two", 2), _photograph("healthy", 3, lesions=False)
    ]  # fmt: skip


@pytest.fixture
def catalog() -> LesionCatalog:
    """Haemorrhage, hard exudate and soft exudate, with few descriptions."""
    return CATALOG


@pytest.fixture
def model(make_model: Callable[..., TPDRSeg]) -> TPDRSeg:
    """A small model of the catalog, always with the same weights."""
    return make_model(lesions=CATALOG)


@pytest.fixture
def make_crops(model: TPDRSeg, photographs: list[AnnotatedImage]) -> Callable[..., Crops]:
    """`make_crops(photographs=..., **fields of TrainingConfig)`: crops for the model."""

    def make(photographs: list[AnnotatedImage] = photographs, **fields: Any) -> Crops:
        return Crops(model, photographs, TrainingConfig.model_validate({"steps": 10} | fields))

    return make


@pytest.fixture
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photographs`: six with lesions, as a plain folder; `healthy`: three without."""
    root = tmp_path_factory.mktemp("data")
    for number in range(9):
        image, masks, _ = _pixels(number, lesions=number < 6)
        frame = np.pad(image, ((4, 4), (8, 8), (0, 0)))
        if number >= 6:
            path = root / "healthy" / f"healthy{number}.png"
        else:
            path = root / "photographs" / "images" / f"eye{number}.png"
            for lesion, mask in zip(COLOURS, masks, strict=True):
                file = root / "photographs" / "masks" / lesion / f"eye{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.pad(mask, ((4, 4), (8, 8))) * 255).save(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame).save(path)
    return root


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of floats depend on how many threads share the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
