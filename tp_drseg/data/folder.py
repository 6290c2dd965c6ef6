"""A plain folder of photographs and masks: ``images/`` beside ``masks/<lesion>/``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tp_drseg.data.samples import Sample, files_by_stem, refuse_orphans
from tp_drseg.errors import DataError, LesionError

if TYPE_CHECKING:
    from tp_drseg.lesions import LesionCatalog


def read_folder(root: Path, catalog: LesionCatalog) -> list[Sample]:
    """List the photographs in ``images/`` and their masks in ``masks/<lesion>/<stem>.*``.

    A lesion with a folder is annotated on every photograph: a mask file that is missing there is a
    lesion that the photograph does not have. A lesion without a folder was not annotated.

    Args:
        root: The folder that holds ``images`` and ``masks``.
        catalog: Knows the lesions; a folder may go by a lesion's name, abbreviation or alias.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: A folder is missing or empty, two photographs (or masks) have the same stem, a
            mask belongs to no photograph, or two folders stand for the same lesion.
        LesionError: A folder in ``masks`` is named after no lesion of the catalog.
    """
    images = files_by_stem(Path(root) / "images")
    masks: dict[str, dict[str, Path | None]] = {name: {} for name in images}
    for lesion, folder in _lesion_folders(Path(root) / "masks", catalog).items():
        found = files_by_stem(folder)
        refuse_orphans(folder, found, images)
        for name in images:
            masks[name][lesion] = found.get(name)
    return [Sample(name, images[name], masks[name]) for name in sorted(images)]


def _lesion_folders(masks: Path, catalog: LesionCatalog) -> dict[str, Path]:
    """Lesion catalog name to the folder of its masks."""
    folders: dict[str, Path] = {}
    for folder in sorted(masks.iterdir()) if masks.is_dir() else ():
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        try:
            lesion = catalog.resolve(folder.name).name
        except LesionError as error:
            raise LesionError(f"The folder {folder} is named after no lesion: {error}") from error
        if lesion in folders:
            raise DataError(
                f"Two folders in {masks} stand for {lesion}: {folders[lesion].name} and "
                f"{folder.name}. Put their masks into one."
            )
        folders[lesion] = folder
    if not folders:
        raise DataError(
            f"There is no folder of masks in {masks}. Make one per lesion, such as "
            f"'{masks / 'hard_exudate'}', with a mask of the same stem for each image that has it."
        )
    return folders
