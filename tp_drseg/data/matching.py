"""Joining photographs and masks, which most data sets do by the stem of the file name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tp_drseg.data.files import files_by_stem, listing, orphans, refuse, some
from tp_drseg.data.masks import MaskFile
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError, LesionError

if TYPE_CHECKING:
    from tp_drseg.lesions import LesionCatalog

logger = logging.getLogger(__name__)

T = TypeVar("T")
Spellings = tuple[str, ...]


def known_classes(
    classes: Mapping[Spellings, T], catalog: LesionCatalog, dataset: str
) -> dict[str, T]:
    """Return the classes of a data set that a catalog knows, by the catalog's names.

    Args:
        classes: Names that a catalog may have for a class, to what belongs to the class.
        catalog: The lesions to look for.
        dataset: Name of the data set, for messages.

    Raises:
        LesionError: The catalog knows none of them, or takes two of them for one lesion.
    """
    found: dict[str, T] = {}
    for spellings, value in classes.items():
        spelling = next((name for name in spellings if name in catalog), None)
        if spelling is None:
            continue
        lesion = catalog.resolve(spelling).name
        if lesion in found:
            raise LesionError(
                f"{dataset} tells {spelling!r} from other classes that stand for {lesion!r} in "
                "this catalog. Make it a lesion of its own, or remove that alias."
            )
        found[lesion] = value
    if not found:
        raise LesionError(
            f"{dataset} has masks of {', '.join(spellings[0] for spellings in classes)}; the "
            f"lesions asked for are {', '.join(catalog.names)}."
        )
    return found


def match_by_stem(
    images: Mapping[str, Path],
    folders: Mapping[str, tuple[Path, str]],
    *,
    may_be_empty: bool = False,
) -> list[Sample]:
    """Join images and the masks that carry their stem; a mask that is missing is an absent lesion.

    Args:
        images: Stem to image.
        folders: Lesion catalog name to the folder of its masks, and what is added to the image's
            stem there.
        may_be_empty: Whether a folder without any file is one whose lesion is absent everywhere.

    Returns:
        One sample per image, sorted by name.

    Raises:
        DataError: A folder is missing or empty, a mask belongs to no image, or two masks have the
            same stem. The message has the problems of all folders.
    """
    masks: dict[str, dict[str, MaskFile | None]] = {name: {} for name in images}
    problems: list[str] = []
    for lesion, (folder, ending) in folders.items():
        try:
            found = files_by_stem(folder, may_be_empty=may_be_empty and not listing(folder))
        except DataError as error:
            problems.append(str(error))
            continue
        problems += orphans(folder, found, (name + ending for name in images))
        for name in images:
            path = found.get(name + ending)
            masks[name][lesion] = None if path is None else MaskFile(path)
    refuse(problems)
    return [Sample(name, images[name], masks[name]) for name in sorted(images)]


def warn_of_gaps(samples: Sequence[Sample], lesions: Iterable[str], dataset: str) -> None:
    """Log where a data set that has a mask file for every photograph lacks some."""
    for lesion in lesions:
        gaps = [sample.name for sample in samples if sample.masks[lesion] is None]
        if gaps:
            logger.warning(
                "%s has a mask of %s for every photograph, this copy none for %d of %d (%s): there "
                "it is taken to be absent. Is the copy complete?",
                dataset,
                lesion,
                len(gaps),
                len(samples),
                some(gaps),
            )
