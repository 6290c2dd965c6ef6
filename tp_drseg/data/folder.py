"""A plain folder of photographs and masks: ``images/`` beside ``masks/<lesion>/``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tp_drseg.data.files import contents, files_by_stem, is_folder, some, subfolders
from tp_drseg.data.matching import match_by_stem
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError, LesionError

if TYPE_CHECKING:
    from tp_drseg.lesions import LesionCatalog


def read_folder(root: Path, catalog: LesionCatalog) -> list[Sample]:
    """List the photographs in ``images/`` and their masks in ``masks/<lesion>/<stem>.*``.

    A lesion with a folder is annotated on every photograph: a mask file that is missing there is a
    lesion that the photograph does not have, and an empty folder one that none has. A lesion
    without a folder was not annotated.

    Args:
        root: The folder that holds ``images`` and ``masks``.
        catalog: Knows the lesions; a folder may go by a lesion's name, abbreviation or alias.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: A folder is missing, there is no photograph, two photographs (or masks) have the
            same stem, a mask belongs to no photograph, or two folders stand for the same lesion.
        LesionError: A folder in ``masks`` is named after no lesion of the catalog.
    """
    images = files_by_stem(Path(root) / "images")
    folders = _lesion_folders(Path(root) / "masks", catalog)
    return match_by_stem(
        images,
        {lesion: (folder, "") for lesion, folder in folders.items()},
        may_be_empty=True,
    )


def _lesion_folders(masks: Path, catalog: LesionCatalog) -> dict[str, Path]:
    """Lesion catalog name to the folder of its masks."""
    folders: dict[str, Path] = {}
    unknown: list[str] = []
    for folder in subfolders(masks) if is_folder(masks) else ():
        if folder.name not in catalog:
            unknown.append(folder.name)
            continue
        lesion = catalog.resolve(folder.name).name
        if lesion in folders:
            raise DataError(
                f"Two folders in {masks} stand for {lesion}: {folders[lesion].name} and "
                f"{folder.name}. Put their masks into one."
            )
        folders[lesion] = folder
    if unknown:
        known = ", ".join(f"{lesion.name} ({lesion.abbreviation})" for lesion in catalog)
        raise LesionError(
            f"These folders in {masks} are named after no lesion that is known: {some(unknown)}. "
            f"Known are: {known}. Rename the folders, or describe the lesion in a file and teach "
            "it to a model: tp-drseg finetune --lesions my.yaml."
        )
    if not folders:
        there = masks if is_folder(masks) else masks.parent
        raise DataError(
            f"There is no folder of masks in {masks}. {contents(there)} Make one per lesion, such "
            f"as '{masks / 'hard_exudate'}', with a mask of the same stem for each image that has "
            "it."
        )
    return folders
