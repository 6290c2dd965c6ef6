"""DDR, lesion segmentation part.

Li et al., "Diagnostic Assessment of Deep Learning Algorithms for Diabetic Retinopathy Screening",
Information Sciences 501, 2019. 383 photographs for training, 149 for validation and 225 for
testing, of many sizes, each with a mask of each of four lesions, which may be empty.
"""

from __future__ import annotations

from pathlib import Path

from tp_drseg.data.files import files_by_stem, find_home, is_folder, no_folder
from tp_drseg.data.matching import Spellings, known_classes, match_by_stem, warn_of_gaps
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

_SPLITS = ("train", "valid", "test")
_LABELS = ("label", "segmentation label")  # the second is what "valid" has
_CLASSES: dict[Spellings, str] = {
    ("microaneurysm",): "MA",
    ("haemorrhage",): "HE",
    ("hard exudate",): "EX",
    ("soft exudate",): "SE",
}


def read_ddr(
    root: Path, split: str = "train", catalog: LesionCatalog | None = None
) -> list[Sample]:
    """List the photographs and masks of DDR's ``lesion_segmentation`` folder.

    DDR has a mask file for every photograph and lesion. One that is missing is taken as an absent
    lesion, and a warning is logged.

    Args:
        root: The folder ``lesion_segmentation``, or one up to two levels above it.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        catalog: Whose lesions are listed; those of the packaged catalog by default.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: The split is unknown, a folder is missing or empty, or a mask belongs to no
            photograph.
        LesionError: The catalog knows none of DDR's classes.
    """
    if split not in _SPLITS:
        raise DataError(f"DDR has no split {split!r}. Use one of: {', '.join(_SPLITS)}.")
    classes = known_classes(_CLASSES, catalog or LesionCatalog.default(), "DDR")
    home = find_home(Path(root), f"{split}/image", "DDR lesion segmentation") / split
    labels = next((home / name for name in _LABELS if is_folder(home / name)), None)
    if labels is None:
        raise no_folder(home / _LABELS[split == "valid"])
    samples = match_by_stem(
        files_by_stem(home / "image"),
        {lesion: (labels / folder, "") for lesion, folder in classes.items()},
    )
    warn_of_gaps(samples, classes, "DDR")
    return samples
