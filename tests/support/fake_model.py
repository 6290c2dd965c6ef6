"""A model for tests of folder runs: its probability is the photograph's red channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tp_drseg.folder.run import FolderReport, segment_folder
from tp_drseg.images import read_image
from tp_drseg.inference.result import Segmentation
from tp_drseg.lesions import LesionCatalog

Act = Callable[[Path], None]


def nothing(path: Path) -> None:
    """Do nothing."""


class FakeModel:
    """It notes what it does.

    Args:
        act: what to do when a photograph is segmented.
        read: what to do when one is opened.
        doubt: says why one looks like no fundus photograph.

    Attributes:
        opened: names of the photographs that were opened.
        seen: names of the photographs that were segmented.
    """

    def __init__(
        self,
        act: Act = nothing,
        read: Act = nothing,
        doubt: Callable[[Path], str | None] = lambda path: None,
    ) -> None:
        self.catalog = LesionCatalog.default()
        self.model_id = "fake"
        self.revision: str | None = "r1"
        self.act, self.read, self.doubt = act, read, doubt
        self.opened: list[str] = []
        self.seen: list[str] = []

    def open(self, image: Path, *, keep: bool = True, warn: bool = True) -> FakeView:
        assert not keep and not warn
        self.opened.append(image.name)
        return FakeView(self, image)


class FakeView:
    def __init__(self, model: FakeModel, path: Path) -> None:
        self.model, self.path = model, path
        self.image = read_image(path)
        self.doubt = model.doubt(path)
        self.is_prepared = False

    def prepare(self) -> None:
        self.model.read(self.path)
        self.is_prepared = True

    def __enter__(self) -> FakeView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def segment(
        self,
        lesion: str | Sequence[str] | None = None,
        *,
        description: str | Sequence[str] | None = None,
        threshold: float | None = None,
    ) -> Segmentation | dict[str, Segmentation]:
        assert self.is_prepared
        model = self.model
        model.seen.append(self.path.name)
        model.act(self.path)
        red = np.divide(self.image[..., 0], 255, dtype=np.float32)
        names = [lesion] if isinstance(lesion, str) else lesion or model.catalog.names
        results = {
            name: Segmentation(
                lesion=name,
                texts=(str(description),) if description else model.catalog[name].texts[:2],
                threshold=0.5 if threshold is None else threshold,
                probability=red,
                make_prior=lambda: red,
                field_of_view=np.ones(red.shape, bool),
                image=self.image,
                model_id=model.model_id,
                revision=model.revision,
            )
            for name in names
        }
        return results[lesion] if isinstance(lesion, str) else results


def photo(path: Path, red: int = 200) -> Path:
    """A black photograph of 48x40 with a red square of 10x10."""
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[10:20, 10:20, 0] = red
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def run(inputs: Any, out: Path, model: Any = None, **options: Any) -> FolderReport:
    """A folder run for one lesion, without overlays."""
    options = {"progress": False, "overlays": False, "lesions": ["EX"], **options}
    return segment_folder(model or FakeModel(), inputs, out, **options)
