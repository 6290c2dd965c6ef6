"""The frozen features of views, computed once and kept in a folder."""

from __future__ import annotations

import csv
import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from tp_drseg._runtime.files import atomic_write, make_folder
from tp_drseg.anatomy.landmarks import Eye
from tp_drseg.data.samples import read_mask
from tp_drseg.errors import DataError
from tp_drseg.images import pad_to_square, read_fundus
from tp_drseg.modules.explicit_prior import ExplicitPriorEncoder
from tp_drseg.training.anatomy.views import KINDS, Landmarks, View, ViewKind, make_view

logger = logging.getLogger(__name__)

_HELD_OUT_EVERY: Final = 5
_UNKNOWN: Final = float("nan")
_COLUMNS: Final = ("disc_x", "disc_y", "fovea_x", "fovea_y")
_EYES: Final[dict[Eye | None, int]] = {"right": 1, "left": -1, None: 0}


@dataclass(frozen=True)
class Located:
    """A photograph whose landmarks are known.

    Attributes:
        path: Its file.
        landmarks: In its pixels.
        held_out: Whether it is for measuring alone.
        mask: Mask of its optic disc, from which centre and diameter are read when it is opened.
    """

    path: Path
    landmarks: Landmarks
    held_out: bool
    mask: Path | None = None


def located_by_table(table: Path) -> list[Located]:
    """Read a table of `image, ..., disc_x, disc_y, fovea_x, fovea_y`; images lie beside its folder.

    Every fifth row by name is held out.

    Raises:
        DataError: The table lacks a column, or a value is no number.
    """
    with table.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: str(row.get("image")))
    try:
        return [
            Located(
                table.parent.parent / row["image"],
                _landmarks(*(float(row[name]) for name in _COLUMNS)),
                held_out=number % _HELD_OUT_EVERY == 0,
            )
            for number, row in enumerate(rows)
        ]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{table} must have the columns image, disc_x, disc_y, fovea_x and fovea_y, with "
            f"numbers ({error})."
        ) from error


def located_by_masks(photographs: Path, masks: Path) -> list[Located]:
    """Pair photographs `NAME.jpg` with the masks of their discs, `NAME_OD.tif`.

    Every fifth by name is held out. The fovea is not known.
    """
    names = sorted(photographs.glob("*.jpg"))
    return [
        Located(
            path,
            Landmarks(None, None, fovea_known=False),
            held_out=number % _HELD_OUT_EVERY == 0,
            mask=masks / f"{path.stem}_OD.tif",
        )
        for number, path in enumerate(names)
    ]


def _landmarks(disc_x: float, disc_y: float, fovea_x: float, fovea_y: float) -> Landmarks:
    """Return the landmarks that a table gives as numbers of pixels, the first of which is 0."""
    return Landmarks(
        (disc_x + 0.5, disc_y + 0.5),
        (fovea_x + 0.5, fovea_y + 0.5),
        eye="right" if disc_x > fovea_x else "left",
    )


def disc_of_mask(mask: NDArray[np.bool_]) -> tuple[tuple[float, float], float]:
    """Return centre `(x, y)` and diameter of a disc's mask: those of the circle of its area.

    Args:
        mask: `(H, W)` bool, not empty.
    """
    rows, columns = np.nonzero(mask)
    centre = (float(columns.mean() + 0.5), float(rows.mean() + 0.5))
    return centre, float(2 * np.sqrt(len(rows) / np.pi))


def feature_file(folder: Path, photograph: Located, kind: ViewKind) -> Path:
    """Return where the features of a view are kept."""
    return folder / f"{photograph.path.stem}.{kind}.safetensors"


def cache_features(
    encoder: ExplicitPriorEncoder,
    photographs: Sequence[Located],
    folder: Path,
    kinds: Sequence[ViewKind] = KINDS,
) -> Iterator[Path]:
    """Compute the features of views that are not kept yet; yield each file when it is written.

    All photographs' first kind comes first: it may be stopped at any time, and goes on.

    Args:
        encoder: Whose image tower's features; it must be a `FundusTower`.
        photographs: Of which.
        folder: Where to keep them.
        kinds: Which views of each.

    Raises:
        ImageError: A photograph cannot be read.
        OutputError: A file cannot be written.
    """
    make_folder(folder)
    for kind in kinds:
        for photograph in photographs:
            path = feature_file(folder, photograph, kind)
            if path.exists():
                continue
            fundus = read_fundus(photograph.path)
            landmarks = photograph.landmarks
            if photograph.mask is not None:
                mask = read_mask(photograph.mask, fundus.pixels.shape[:2])
                centre, diameter = disc_of_mask(mask)
                landmarks = Landmarks(centre, None, diameter, fovea_known=False)
            # a view is the same whatever was made before it
            seed = zlib.crc32(f"{photograph.path.stem}.{kind}".encode())
            view = make_view(
                fundus.pixels,
                fundus.field_of_view,
                landmarks,
                kind,
                side=encoder.image_size,
                random=np.random.default_rng(seed),
            )
            with torch.inference_mode():
                tensors = _tensors(encoder, view)
            with atomic_write(path) as file:
                file.write(to_bytes(tensors))
            yield path


def load_features(path: Path) -> dict[str, Tensor]:
    """Return what is kept of a view.

    Returns:
        `features` `(160, g, g)` float16, `inside` `(g, g)` bool, `landmarks` `(5,)` float32: x and
        y of disc and fovea, and the diameter, as shares of the frame's longest side, NaN where
        not seen; `known` `(2,)` bool, whether disc and fovea would be known; `eye` `(1,)` int8,
        1 for right, -1 for left, 0 where that is not known.
    """
    return load_file(path)


def _tensors(encoder: ExplicitPriorEncoder, view: View) -> dict[str, Tensor]:
    side = encoder.image_size
    pixels = torch.from_numpy(view.framed.pixels).permute(2, 0, 1)[None].float() / 255
    pixels = F.pad(pixels, (0, side - pixels.shape[-1], 0, side - pixels.shape[-2]))
    (coarse,) = encoder.clip.visual.levels((pixels - encoder.pixel_mean) / encoder.pixel_std)[2]
    covered = torch.from_numpy(pad_to_square(view.framed.inside, side))[None]
    inside = F.adaptive_max_pool2d(covered, coarse.shape[-2:])
    marks = view.landmarks
    values = [
        *(marks.disc or (_UNKNOWN, _UNKNOWN)),
        *(marks.fovea or (_UNKNOWN, _UNKNOWN)),
        _UNKNOWN if marks.diameter is None or marks.disc is None else marks.diameter,
    ]
    return {
        "features": coarse.half().contiguous(),
        "inside": inside[0] >= 0.5,
        "landmarks": torch.tensor(values, dtype=torch.float32) / side,
        "known": torch.tensor([marks.disc_known, marks.fovea_known]),
        "eye": torch.tensor([_EYES[marks.eye]], dtype=torch.int8),
    }
