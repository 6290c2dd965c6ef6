"""A model for folder runs that takes milliseconds: its masks depend on the photograph alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tp_drseg.config import TPDRSegConfig
from tp_drseg.folder.run import FolderReport, segment_folder
from tp_drseg.folder.segmenter import Segmenter
from tp_drseg.images import FieldOfView, Frame, Quality, QualityNumbers
from tp_drseg.inference.request import (
    Asked,
    Matcher,
    as_prompts,
    prompt_texts,
    prompt_threshold,
)
from tp_drseg.inference.result import Origin, Segmentation
from tp_drseg.inference.results import Segmentations

Act = Callable[[], None]


def nothing() -> None:
    """Do nothing."""


class StandIn:
    """It marks one square of every photograph, whose place comes from the pixels.

    Args:
        asked: What to do when a photograph is segmented.
        opened: What to do when one is opened.
        config: Whose lesions it knows; by default the smallest model's.
    """

    def __init__(
        self, asked: Act = nothing, opened: Act = nothing, config: TPDRSegConfig | None = None
    ) -> None:
        self.config = config or TPDRSegConfig.for_size("tiny")
        self.origin = Origin("stand-in", None)
        self.device = torch.device("cpu")
        self.matcher: Matcher | None = None
        self.asked, self.opened = asked, opened

    def fingerprint(self) -> str:
        """Return what tells it from other models: nothing."""
        return "stand-in"

    def open_quietly(self, image: NDArray[np.uint8], /, *, max_pixels: int) -> _Session:
        """Open a photograph."""
        self.opened()
        return _Session(self, image)


class _Session:
    doubt: str | None = None
    quality = Quality("good", (), QualityNumbers(3000, 0.5, 0.3, 0.0, 0.02, 0.5, 1.0, 1.0))

    def __init__(self, model: StandIn, image: NDArray[np.uint8]) -> None:
        self._model, self._image = model, image

    def prepare(self) -> None:
        pass

    def close(self) -> None:
        pass

    def segment_many(self, lesions: Iterable[Asked] | None = None) -> Segmentations:
        config, image = self._model.config, self._image
        self._model.asked()
        place = 5 + int(hashlib.sha256(image.tobytes()).hexdigest(), 16) % 20
        probability = np.zeros(image.shape[:2], np.float32)
        probability[place : place + 10, 5:25] = 1
        inside = np.ones(image.shape[:2], bool)
        frame = Frame.fit(FieldOfView.from_mask(inside), max(inside.shape))
        found = [
            Segmentation(
                lesion=prompt.lesion,
                abbreviation=config.lesions.resolve(prompt.lesion).abbreviation,
                texts=prompt_texts(prompt, config),
                threshold=prompt_threshold(prompt, config),
                probability=probability,
                working_prior=np.zeros(frame.size, np.float32),
                frame=frame,
                field_of_view=inside,
                image=image,
                doubt=None,
                origin=self._model.origin,
            )
            for prompt in as_prompts(lesions, config.lesions)
        ]
        return Segmentations(tuple(found), config.lesions)


def run(
    source: Path | list[Path],
    out: Path,
    model: Segmenter | None = None,
    *,
    overwrite: bool = False,
) -> FolderReport:
    """Do a folder run with sub-folders and overlays, by default with the stand-in."""
    return segment_folder(
        model or StandIn(), source, out, recursive=True, progress=False, overwrite=overwrite
    )
