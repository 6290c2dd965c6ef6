"""A model for tests of folder runs: its probability is the photograph's red channel."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.config import TPDRSegConfig
from tp_drseg.folder.run import FolderReport, segment_folder
from tp_drseg.images import FieldOfView, Frame, Quality, QualityNumbers
from tp_drseg.inference.request import Asked, as_prompts, prompt_texts, prompt_threshold
from tp_drseg.inference.result import Origin, Segmentation
from tp_drseg.inference.results import Segmentations

Act = Callable[[str], None]

_names: dict[tuple[int, int], str] = {}
"""Photographs by the mark in their first pixel: a model sees pixels, and no names."""


def nothing(name: str) -> None:
    """Do nothing."""


def good_quality() -> Quality:
    """What is said of a photograph that is good enough."""
    return Quality("good", (), QualityNumbers(3000, 0.5, 0.3, 0.0, 0.02, 0.5, 1.0, 1.0))


class FakeModel:
    """It notes what it does.

    Args:
        act: what to do when a photograph of this name is segmented.
        read: what to do when one is prepared.
        doubt: says why one looks like no fundus photograph.
        quality: says how good one is.

    Attributes:
        opened: names of the photographs that were opened.
        seen: names of the photographs that were segmented.
        asked: what each was asked.
    """

    def __init__(
        self,
        act: Act = nothing,
        read: Act = nothing,
        doubt: Callable[[str], str | None] = lambda name: None,
        quality: Callable[[str], Quality] = lambda name: good_quality(),
    ) -> None:
        self.quality = quality
        self.config = TPDRSegConfig.for_size("tiny")
        self.origin = Origin("fake", "r1")
        self.act, self.read, self.doubt = act, read, doubt
        self.weights = "weights"
        self.matcher = None
        self.opened: list[str] = []
        self.seen: list[str] = []
        self.asked: list[tuple[Asked, ...]] = []

    @property
    def device(self) -> Any:
        import torch

        return torch.device("cpu")

    @property
    def catalog(self) -> Any:
        return self.config.lesions

    def fingerprint(self) -> str:
        return self.weights

    def open_quietly(self, image: NDArray[np.uint8], *, max_pixels: int) -> FakeSession:
        session = FakeSession(self, image)
        self.opened.append(session.name)
        return session

    def load_image(self, image: Path, *, max_pixels: int) -> FakeSession:
        return FakeSession(self, np.asarray(Image.open(image).convert("RGB")))


class FakeSession:
    def __init__(self, model: FakeModel, image: NDArray[np.uint8]) -> None:
        self.model, self.image = model, image
        self.name = _names.get((int(image[0, 0, 1]), int(image[0, 0, 2])), "?")
        self.doubt = model.doubt(self.name)
        self.is_prepared = False
        self.keep = False
        self.watch: Callable[[int, int], None] | None = None

    @property
    def quality(self) -> Quality:
        return self.model.quality(self.name)

    def prepare(self) -> None:
        self.model.read(self.name)
        self.is_prepared = True

    def close(self) -> None:
        pass

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def segment(self, lesion: Asked) -> Segmentation:
        self.prepare()
        if self.watch is not None:
            self.watch(0, 1)
        return self.segment_many([lesion])[0]

    def prior_map(self, text: str) -> NDArray[np.float32]:
        self.model.asked.append((text,))
        return np.divide(self.image[..., 0], 255, dtype=np.float32)

    def segment_many(self, lesions: Iterable[Asked] | None = None) -> Segmentations:
        assert self.is_prepared
        model, config = self.model, self.model.config
        prompts = as_prompts(lesions, config.lesions)
        model.seen.append(self.name)
        model.asked.append(prompts)
        model.act(self.name)
        red = np.divide(self.image[..., 0], 255, dtype=np.float32)
        inside = np.ones(red.shape, bool)
        frame = Frame.fit(FieldOfView.from_mask(inside), max(red.shape))
        return Segmentations(
            tuple(
                Segmentation(
                    lesion=prompt.lesion,
                    abbreviation=config.lesions.resolve(prompt.lesion).abbreviation,
                    texts=prompt_texts(prompt, config),
                    threshold=prompt_threshold(prompt, config),
                    probability=red,
                    working_prior=np.zeros(frame.size, np.float32),
                    frame=frame,
                    field_of_view=inside,
                    image=self.image,
                    doubt=self.doubt,
                    origin=model.origin,
                )
                for prompt in prompts
            ),
            config.lesions,
        )


def photo(path: Path, red: int = 200) -> Path:
    """A black photograph of 48x40 with a red square of 10x10, and a mark for the fake model."""
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[10:20, 10:20, 0] = red
    check = zlib.crc32(str(path.name).encode("utf-8", "surrogateescape"))
    mark = (check % 256, check // 256 % 256)
    pixels[0, 0, 1:] = mark
    _names[mark] = path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def run(inputs: Any, out: Path, model: Any = None, **options: Any) -> FolderReport:
    """A folder run for one lesion, without overlays."""
    options = {"progress": False, "overlays": False, "lesions": ["EX"], **options}
    return segment_folder(model or FakeModel(), inputs, out, **options)
