"""The Indian Diabetic Retinopathy Image Dataset (IDRiD), segmentation part.

Porwal et al., "Indian Diabetic Retinopathy Image Dataset (IDRiD): A Database for Diabetic
Retinopathy Screening Research", Data 3(3):25, 2018; CC BY 4.0. 54 photographs for training and 27
for testing, 4288 x 2848 pixels, with a mask of every lesion that an image has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tp_drseg.data.samples import Sample, files_by_stem, refuse_orphans
from tp_drseg.errors import DataError

_IMAGES = "1. Original Images"
_MASKS = "2. All Segmentation Groundtruths"
_SPLITS = {"train": "a. Training Set", "test": "b. Testing Set"}
# Lesion catalog name -> folder of its masks, and the suffix of their stems.
_LESIONS = {
    "microaneurysm": ("1. Microaneurysms", "MA"),
    "haemorrhage": ("2. Haemorrhages", "HE"),
    "hard exudate": ("3. Hard Exudates", "EX"),
    "soft exudate": ("4. Soft Exudates", "SE"),
}
_OPTIC_DISC = {"optic disc": ("5. Optic Disc", "OD")}


def read_idrid(
    root: Path, split: Literal["train", "test"] = "train", *, optic_disc: bool = False
) -> list[Sample]:
    """List the photographs and masks of IDRiD's official folder tree.

    A mask file that is missing is a lesion that the image does not have.

    Args:
        root: The folder that holds ``A. Segmentation``, or that folder itself. Copies that name it
            ``A.%20Segmentation`` or nest it twice are understood.
        split: The official training set (IDRiD_01 to 54) or testing set (55 to 81).
        optic_disc: Whether to list the optic disc's masks too, as ``"optic disc"``.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: A folder is missing or empty, or a mask belongs to no photograph.
    """
    if split not in _SPLITS:
        raise DataError(f"IDRiD has no split {split!r}. Use one of: {', '.join(_SPLITS)}.")
    home = _segmentation_folder(Path(root))
    images = files_by_stem(home / _IMAGES / _SPLITS[split])
    masks: dict[str, dict[str, Path | None]] = {name: {} for name in images}
    for lesion, (folder_name, suffix) in (_LESIONS | (_OPTIC_DISC if optic_disc else {})).items():
        folder = home / _MASKS / _SPLITS[split] / folder_name
        found = files_by_stem(folder)
        refuse_orphans(folder, found, [f"{name}_{suffix}" for name in images])
        for name in images:
            masks[name][lesion] = found.get(f"{name}_{suffix}")
    return [Sample(name, images[name], masks[name]) for name in sorted(images)]


def _segmentation_folder(root: Path) -> Path:
    """The folder that holds the photographs' and the masks' folders."""
    spellings = ("A. Segmentation", "A.%20Segmentation")
    once = [root / spelling for spelling in spellings]
    twice = [outer / inner for outer in once for inner in spellings]
    for folder in (root, *once, *twice):
        if (folder / _IMAGES).is_dir():
            return folder
    raise DataError(
        f"No IDRiD segmentation data in {root}: there is no folder '{_IMAGES}' in it, nor in "
        f"'{spellings[0]}' below it. Give the folder that 'A. Segmentation.zip' was unpacked to."
    )
