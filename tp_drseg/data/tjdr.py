"""TJDR.

Mao et al., "TJDR: A High-Quality Diabetic Retinopathy Pixel-Level Annotation Dataset",
arXiv:2312.15389, 2023. 448 photographs for training and 113 for testing, from two kinds of cameras,
with one palette file each, in which the index tells the lesion.
"""

from __future__ import annotations

from pathlib import Path

from tp_drseg.data.files import files_by_stem, find_home, orphans, refuse, some
from tp_drseg.data.masks import MaskFile
from tp_drseg.data.matching import Spellings, known_classes
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

_SPLITS = ("train", "test")
_CLASSES: dict[Spellings, int] = {
    ("hard exudate",): 1,
    ("haemorrhage",): 2,
    ("microaneurysm",): 3,
    ("soft exudate",): 4,
}
_LABELS = (0, *_CLASSES.values())


def read_tjdr(
    root: Path, split: str = "train", catalog: LesionCatalog | None = None
) -> list[Sample]:
    """List the photographs and label maps of TJDR.

    Args:
        root: The folder that holds ``train`` and ``test``, or one up to two levels above it. All
            archives of the data set must be unpacked into one folder.
        split: ``"train"`` or ``"test"``.
        catalog: Whose lesions are listed; those of the packaged catalog by default.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: The split is unknown, a folder is missing or empty, or a photograph has no label
            map or a label map no photograph.
        LesionError: The catalog knows none of TJDR's classes.
    """
    if split not in _SPLITS:
        raise DataError(f"TJDR has no split {split!r}. Use one of: {', '.join(_SPLITS)}.")
    classes = known_classes(_CLASSES, catalog or LesionCatalog.default(), "TJDR")
    home = find_home(Path(root), f"{split}/annotation", "TJDR") / split
    images = files_by_stem(home / "image")
    maps = files_by_stem(home / "annotation")
    problems = orphans(home / "annotation", maps, images)
    if bare := sorted(images.without(maps)):
        problems.append(
            f"{len(bare)} photograph(s) have no label map in {home / 'annotation'}: {some(bare)}. "
            "Unpack all archives of TJDR into one folder."
        )
    refuse(problems)
    return [
        Sample(
            name,
            images[name],
            {
                lesion: MaskFile(maps[name], values=(index,), labels=_LABELS)
                for lesion, index in classes.items()
            },
        )
        for name in sorted(images)
    ]
