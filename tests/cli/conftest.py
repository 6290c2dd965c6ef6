from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tp_drseg.cli import _model
from tp_drseg.images import read_image
from tp_drseg.inference.result import Segmentation
from tp_drseg.lesions import LesionCatalog


class FakeModel:
    """Its probability is the photograph's red channel."""

    model_id = "fake"
    revision = None

    def __init__(self) -> None:
        self.catalog = LesionCatalog.default()
        self.asked: list[dict[str, Any]] = []
        self.act: Callable[[Path], None] = lambda path: None

    def open(self, image: Path, **_: bool) -> FakeView:
        return FakeView(self, image)

    def explain(self, image: np.ndarray, text: str) -> np.ndarray:
        self.asked.append({"text": text})
        return image[..., 0].astype(np.float32) / 255


class FakeView:
    doubt = None

    def __init__(self, model: FakeModel, path: Path) -> None:
        self.model, self.path, self.pixels = model, path, read_image(path)

    def prepare(self) -> None:
        pass

    def __enter__(self) -> FakeView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def segment(
        self, lesion: str | Sequence[str], **options: Any
    ) -> Segmentation | dict[str, Segmentation]:
        self.model.asked.append({"lesion": lesion, **options})
        self.model.act(self.path)
        if isinstance(lesion, str):
            return self._result(lesion, **options)
        return {name: self._result(name, **options) for name in lesion}

    def _result(self, lesion: str, **options: Any) -> Segmentation:
        red = np.divide(self.pixels[..., 0], 255, dtype=np.float32)
        return Segmentation(
            lesion=lesion,
            texts=tuple(options.get("description") or ("a text",)),
            threshold=options["threshold"] if options["threshold"] is not None else 0.5,
            probability=red,
            make_prior=lambda: red,
            field_of_view=np.ones(red.shape, bool),
            image=self.pixels,
            model_id=self.model.model_id,
            revision=self.model.revision,
        )


class Loader:
    """Stands where the commands load a model, and counts how often."""

    def __init__(self) -> None:
        self.model = FakeModel()
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def __call__(self, *arguments: Any) -> FakeModel:
        self.calls.append(arguments)
        if self.error:
            raise self.error
        return self.model


@pytest.fixture(autouse=True)
def loader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loader]:
    fake = Loader()
    monkeypatch.setattr(_model, "load_model", fake)
    yield fake


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        pixels = np.zeros((40, 48, 3), np.uint8)
        pixels[10:20, 10:20, 0] = 200
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    return tmp_path / "in"
