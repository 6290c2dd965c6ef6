"""Annotated photographs in the frames of inference, ready for cutting crops."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from tp_drseg._runtime.files import atomic_write
from tp_drseg.config import TPDRSegConfig
from tp_drseg.data import MaskFile, Sample, read_ignored, read_mask
from tp_drseg.images import frame_photograph, pad_to_square, read_fundus

logger = logging.getLogger(__name__)

_FINER = 1.2
"""The finer frame, for crops that zoom in, is so many times as wide as the working frame."""


@dataclass(frozen=True)
class FrameSizes:
    """The frames of a photograph, each by the longest side of its field of view in pixels.

    Attributes:
        working: In which inference works.
        fine: From which crops that zoom in are cut; that of the masks; never below `working`.
        clip: Which CLIP sees.
    """

    working: int
    fine: int
    clip: int

    @classmethod
    def of(cls, model: TPDRSegConfig, fine: int | None = None) -> FrameSizes:
        """Return the sizes for a model, the finer frame as given or 1.2 times the working one."""
        working = model.inference.working_diameter
        widest = max(working, round(_FINER * working) if fine is None else fine)
        return cls(working, widest, model.architecture.clip.image_size)


@dataclass(frozen=True)
class AnnotatedImage:
    """One annotated photograph, its field of view padded to a square.

    Attributes:
        name: The sample's name.
        levels: `(3, d, d)` uint8 RGB of each frame, black outside of the photograph; in rising
            order of `d`. The working frame, which inference sees, is among them.
        masks: `(L, d, d)` uint8, 1 on lesion, one mask a lesion of the catalog; in the finest
            frame.
        field_of_view: `(1, d, d)` uint8, 1 inside; in the finest frame.
        clip_pixels: `(h, w, 3)` uint8 RGB, the field of view as CLIP sees it.
        clip_inside: `(h, w)` uint8, 1 where a pixel of it is in the field of view by half or more.
        ignored: `(L, d, d)` uint8, 1 where a mask says neither lesion nor background; None when
            there is no such pixel.
        annotated: Which of the L lesions were looked for when the photograph was annotated; None
            for all.
        disc: x and y of the optic disc's centre, as shares of `d`; None where it is not known.
        marks: `(m, m)` in [0, 1], over the same square, what a model marks though no lesion is
            there; None where none was asked.
    """

    name: str
    levels: tuple[Tensor, ...]
    masks: Tensor
    field_of_view: Tensor
    clip_pixels: Tensor
    clip_inside: Tensor
    ignored: Tensor | None = None
    annotated: tuple[bool, ...] | None = None
    disc: tuple[float, float] | None = None
    marks: Tensor | None = None

    def knows(self, lesion: int) -> bool:
        """Tell whether the lesion of that place in the catalog was annotated."""
        return self.annotated is None or self.annotated[lesion]

    def level(self, side: float) -> Tensor:
        """Return the coarsest frame with `side` pixels or more, or else the finest one.

        So a crop that shows no more than the working frame does is cut from what inference sees.
        """
        rounding = side * 1e-6
        enough = (level for level in self.levels if level.shape[-1] >= side - rounding)
        return next(enough, self.levels[-1])


def load_annotated(sample: Sample, lesions: Sequence[str], sizes: FrameSizes) -> AnnotatedImage:
    """Read a sample and scale its field of view into its frames, as inference does.

    Raises:
        ImageError: The photograph cannot be read.
        DataError: A mask cannot be read or has another size than the photograph.
    """
    return _annotated(sample, lesions, _read(sample, lesions, sizes))


def load_cached(
    samples: Sequence[Sample], lesions: Sequence[str], sizes: FrameSizes, cache: Path
) -> list[AnnotatedImage]:
    """Read samples as `load_annotated` does, into files of `cache` that are mapped into memory.

    So a data set larger than the memory can be trained on, and a run that is started again does
    not read the photographs anew.

    Raises:
        ImageError: See `load_annotated`.
        DataError: See `load_annotated`.
        OutputError: `cache` cannot be written.
    """
    found = []
    for number, sample in enumerate(samples, 1):
        path = cache / f"{_key(sample, lesions, sizes)}.safetensors"
        tensors = _open(path, len(lesions), sizes)
        if tensors is None:
            with atomic_write(path) as file:
                file.write(to_bytes(_read(sample, lesions, sizes)))
            logger.info("read %d of %d photographs: %s", number, len(samples), sample.name)
            tensors = _open(path, len(lesions), sizes) or {}
        found.append(_annotated(sample, lesions, tensors))
    return found


def _open(path: Path, lesions: int, sizes: FrameSizes) -> dict[str, Tensor] | None:
    """Map a file's tensors into memory, copied on write; None when it is missing or damaged."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        logger.warning("%s is damaged (%s): the photograph is read anew", path, error)
        return None
    if not _fits(tensors, lesions, sizes):
        logger.warning("%s holds something else: the photograph is read anew", path)
        return None
    return tensors


def _fits(tensors: dict[str, Tensor], lesions: int, sizes: FrameSizes) -> bool:
    """Tell whether tensors are of the names, types and shapes that `_read` gives."""
    side, clip = max(sizes.working, sizes.fine), tensors.get("clip_pixels")
    disc = tensors.get("disc")
    if clip is None or clip.ndim != 3 or not 0 < max(clip.shape[:2]) <= sizes.clip:
        return False
    if disc is None or disc.dtype != torch.float64 or disc.shape not in {(0, 2), (1, 2)}:
        return False
    wanted = {
        "field_of_view": (1, side, side),
        "clip_pixels": (*clip.shape[:2], 3),
        "clip_inside": tuple(clip.shape[:2]),
        **{f"level/{d:05d}": (3, d, d) for d in (sizes.working, sizes.fine)},
    }
    allowed = wanted | dict.fromkeys(("masks", "ignored"), (lesions, side, side))
    found = {name: value for name, value in tensors.items() if name != "disc"}
    return (
        wanted.keys() <= found.keys() <= allowed.keys()
        and all(tuple(value.shape) == allowed[name] for name, value in found.items())
        and all(value.dtype == torch.uint8 for value in found.values())
    )


def _read(sample: Sample, lesions: Sequence[str], sizes: FrameSizes) -> dict[str, Tensor]:
    fundus = read_fundus(sample.image, max_pixels=sample.max_pixels)
    if fundus.doubt is not None:
        logger.warning("%s: %s", sample.name, fundus.doubt)
    image, field_of_view = fundus.pixels, fundus.field_of_view
    size = (image.shape[0], image.shape[1])
    diameters = sorted({sizes.working, sizes.fine})
    frames = [frame_photograph(image, field_of_view, diameter) for diameter in diameters]
    clip = frame_photograph(image, field_of_view, sizes.clip)
    finest, side = frames[-1], diameters[-1]

    def square(planes: Sequence[NDArray[np.bool_]]) -> Tensor:
        padded = [pad_to_square(plane.astype(np.uint8), side) for plane in planes]
        return torch.from_numpy(np.stack(padded))

    sources = [sample.masks.get(lesion) for lesion in lesions]
    places = np.array([] if sample.disc is None else [sample.disc], dtype=np.float64)
    tensors = {
        "disc": torch.from_numpy(finest.frame.to_working(places.reshape(-1, 2)) / side),
        "field_of_view": square([finest.inside >= 0.5]),
        "clip_pixels": torch.from_numpy(clip.pixels),
        "clip_inside": torch.from_numpy((clip.inside >= 0.5).astype(np.uint8)),
    }
    for diameter, framed in zip(diameters, frames, strict=True):
        planes = np.moveaxis(pad_to_square(framed.pixels, diameter), -1, 0)
        tensors[f"level/{diameter:05d}"] = torch.from_numpy(np.ascontiguousarray(planes))
    if any(isinstance(source, MaskFile) for source in sources):
        masks = []
        for source in sources:
            mask = read_mask(source, size)
            covered = finest.frame.apply_mask(mask) if mask.any() else np.zeros(finest.frame.size)
            masks.append(covered >= 0.5)
        tensors["masks"] = square(masks)
    if any(isinstance(source, MaskFile) and source.ignored for source in sources):
        tensors["ignored"] = square(
            [finest.frame.apply_mask(read_ignored(source, size)) > 0 for source in sources]
        )
    return tensors


def _annotated(
    sample: Sample, lesions: Sequence[str], tensors: dict[str, Tensor]
) -> AnnotatedImage:
    # thousands of photographs may have no mask at all: nothing is kept of those
    nothing = torch.zeros_like(tensors["field_of_view"]).expand(len(lesions), -1, -1)
    disc = tensors["disc"].tolist()
    return AnnotatedImage(
        name=sample.name,
        levels=tuple(tensors[key] for key in sorted(tensors) if key.startswith("level/")),
        masks=tensors.get("masks", nothing),
        field_of_view=tensors["field_of_view"],
        clip_pixels=tensors["clip_pixels"],
        clip_inside=tensors["clip_inside"],
        ignored=tensors.get("ignored"),
        annotated=tuple(lesion in sample.masks for lesion in lesions),
        disc=(disc[0][0], disc[0][1]) if disc else None,
    )


def _key(sample: Sample, lesions: Sequence[str], sizes: FrameSizes) -> str:
    """Change with the files' names, sizes and times, and with what is read of them."""
    digest = hashlib.sha256(f"{sample.name} {sizes} {tuple(lesions)} {sample.disc}".encode())
    for source in (sample.image, *(sample.masks.get(lesion) for lesion in lesions)):
        path = source.path if isinstance(source, MaskFile) else source
        stamp = None  # also of a file that is missing: reading it says so
        if path is not None and path.exists():
            stamp = (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        digest.update(f"{source if isinstance(source, MaskFile) else ''}{stamp}".encode())
    return digest.hexdigest()[:24]
