"""Every data set that can be read, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tp_drseg.data.ddr import read_ddr
from tp_drseg.data.eophtha import read_eophtha
from tp_drseg.data.fgadr import read_fgadr
from tp_drseg.data.folder import read_folder
from tp_drseg.data.idrid import read_idrid
from tp_drseg.data.retinal_lesions import read_retinal_lesions
from tp_drseg.data.review import read_review
from tp_drseg.data.samples import Sample
from tp_drseg.data.tjdr import read_tjdr
from tp_drseg.errors import DataError
from tp_drseg.images import MAX_PIXELS

if TYPE_CHECKING:
    from tp_drseg.lesions import LesionCatalog


@dataclass(frozen=True)
class Format:
    """How a data set is laid out.

    Attributes:
        description: One line on the data set and its folders.
        splits: Its official splits, the training set first; none where there are none.
        read: Its reader, which takes the root, the split where there are any, and the catalog.
    """

    description: str
    splits: tuple[str, ...]
    read: Callable[..., list[Sample]]


FORMATS = MappingProxyType(
    {
        "idrid": Format(
            "IDRiD: 'A. Segmentation' with original images and ground truths",
            ("train", "test"),
            read_idrid,
        ),
        "ddr": Format(
            "DDR: lesion_segmentation/{train,valid,test}", ("train", "valid", "test"), read_ddr
        ),
        "fgadr": Format("FGADR: Seg-set with Original_Images and *_Masks", (), read_fgadr),
        "retinal-lesions": Format(
            "Retinal-Lesions: images_896x896 and lesion_segs_896x896", (), read_retinal_lesions
        ),
        "tjdr": Format("TJDR: {train,test}/{image,annotation}", ("train", "test"), read_tjdr),
        "e-ophtha": Format("e-ophtha: e_optha_EX and e_optha_MA", (), read_eophtha),
        "folder": Format("your own photographs: images/ and masks/<lesion>/", (), read_folder),
        "review": Format("results that were signed in `tp-drseg review`", (), read_review),
    }
)


def choose_split(format: str, split: str | None) -> str | None:
    """Return the split to read: the one given, or the training set where none is given.

    Args:
        format: A name in ``FORMATS``.
        split: One of its splits, or ``None``.

    Returns:
        The split; ``None`` for a format without splits.

    Raises:
        DataError: There is no such format or split.
    """
    if format not in FORMATS:
        raise DataError(f"There is no data format {format!r}. Use one of: {', '.join(FORMATS)}.")
    splits = FORMATS[format].splits
    if split is None:
        return splits[0] if splits else None
    if split not in splits:
        raise DataError(
            f"The format {format!r} has no split {split!r}. Use one of: {', '.join(splits)}."
            if splits
            else f"The format {format!r} has no splits. Leave out the split {split!r}."
        )
    return split


def read_dataset(
    root: Path,
    format: str,
    split: str | None,
    catalog: LesionCatalog,
    *,
    max_pixels: int = MAX_PIXELS,
) -> list[Sample]:
    """List the photographs and masks of a data set.

    Args:
        root: Its folder, or one above it.
        format: A name in ``FORMATS``.
        split: One of the format's splits. ``None`` is the training set, or all photographs where
            the format has no splits.
        catalog: Whose lesions are listed. Classes of the data set that it does not know are left
            out, but for the plain folder, where they are an error.
        max_pixels: The most pixels that a photograph may have, see `Sample`.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: There is no such format or split, or the folders are not as they must be.
        LesionError: The catalog does not know the lesions of the data set.
    """
    split = choose_split(format, split)
    read = FORMATS[format].read
    samples = read(Path(root), catalog) if split is None else read(Path(root), split, catalog)
    return [replace(sample, max_pixels=max_pixels) for sample in samples]
