"""The Indian Diabetic Retinopathy Image Dataset (IDRiD), segmentation part.

Porwal et al., "Indian Diabetic Retinopathy Image Dataset (IDRiD): A Database for Diabetic
Retinopathy Screening Research", Data 3(3):25, 2018; CC BY 4.0. 54 photographs for training and 27
for testing, 4288 x 2848 pixels, with a mask of every lesion that an image has.
"""

from __future__ import annotations

from pathlib import Path

from tp_drseg.data.files import files_by_stem, find_home
from tp_drseg.data.matching import Spellings, known_classes, match_by_stem
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

_IMAGES = "1. Original Images"
_MASKS = "2. All Segmentation Groundtruths"  # the data set's other parts have original images too
_SPLITS = {"train": "a. Training Set", "test": "b. Testing Set"}
# Names in a catalog -> folder of the masks, and the ending of their stems.
_CLASSES: dict[Spellings, tuple[str, str]] = {
    ("microaneurysm",): ("1. Microaneurysms", "_MA"),
    ("haemorrhage",): ("2. Haemorrhages", "_HE"),
    ("hard exudate",): ("3. Hard Exudates", "_EX"),
    ("soft exudate",): ("4. Soft Exudates", "_SE"),
    ("optic disc", "optic disk"): ("5. Optic Disc", "_OD"),
}


def read_idrid(
    root: Path, split: str = "train", catalog: LesionCatalog | None = None
) -> list[Sample]:
    """List the photographs and masks of IDRiD's official folder tree.

    A mask file that is missing is a lesion that the image does not have.

    Args:
        root: The folder that holds ``A. Segmentation``, or that folder itself. Copies that name it
            ``A.%20Segmentation`` or nest it twice are understood.
        split: The official training set ``"train"`` (IDRiD_01 to 54) or testing set ``"test"``
            (55 to 81).
        catalog: Whose lesions are listed; the four of the packaged catalog by default. The optic
            disc, which IDRiD has masks of too, is for a catalog that knows it.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: The split is unknown, a folder is missing or empty, or a mask belongs to no
            photograph.
        LesionError: The catalog knows none of IDRiD's classes.
    """
    if split not in _SPLITS:
        raise DataError(f"IDRiD has no split {split!r}. Use one of: {', '.join(_SPLITS)}.")
    classes = known_classes(_CLASSES, catalog or LesionCatalog.default(), "IDRiD")
    home = find_home(Path(root), _MASKS, "IDRiD segmentation")
    return match_by_stem(
        files_by_stem(home / _IMAGES / _SPLITS[split]),
        {
            lesion: (home / _MASKS / _SPLITS[split] / folder, ending)
            for lesion, (folder, ending) in classes.items()
        },
    )
