"""Retinal-Lesions.

Wei et al., "Learn to Segment Retinal Lesions and Beyond", ICPR 2020. 1593 photographs of EyePACS,
cut to the field of view and scaled to 896 x 896 pixels. In a mask 255 is lesion; 127 is an
annotation that the authors left out of their experiments, here neither lesion nor background.
"""

from __future__ import annotations

from pathlib import Path

from tp_drseg._runtime.names import NameMap
from tp_drseg.data.files import (
    files_by_stem,
    find_home,
    is_folder,
    no_folder,
    orphans,
    refuse,
    subfolders,
)
from tp_drseg.data.masks import MaskFile
from tp_drseg.data.matching import Spellings, known_classes
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

_IMAGES = "images_896x896"
_MASKS = "lesion_segs_896x896"
_CLASSES: dict[Spellings, str] = {
    ("microaneurysm",): "microaneurysm",
    ("haemorrhage",): "retinal_hemorrhage",
    ("hard exudate",): "hard_exudate",
    ("soft exudate",): "cotton_wool_spots",
    ("preretinal haemorrhage", "preretinal hemorrhage"): "preretinal_hemorrhage",
    ("vitreous haemorrhage", "vitreous hemorrhage"): "vitreous_hemorrhage",
    ("neovascularization", "neovascularisation", "NV"): "neovascularization",
    ("fibrous proliferation",): "fibrous_proliferation",
}


def read_retinal_lesions(root: Path, catalog: LesionCatalog | None = None) -> list[Sample]:
    """List the photographs and masks of Retinal-Lesions, which has no official split.

    A mask file (or a whole folder of a photograph) that is missing is a lesion that the photograph
    does not have.

    Args:
        root: The folder that holds ``images_896x896``, or one up to two levels above it.
        catalog: Whose lesions are listed; those of the packaged catalog by default.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: A folder is missing or empty, or a mask belongs to no photograph or to no lesion
            of this data set.
        LesionError: The catalog knows none of its classes.
    """
    classes = known_classes(_CLASSES, catalog or LesionCatalog.default(), "Retinal-Lesions")
    home = find_home(Path(root), _IMAGES, "Retinal-Lesions")
    images = files_by_stem(home / _IMAGES)
    if not is_folder(home / _MASKS):
        raise no_folder(home / _MASKS)
    folders = NameMap((folder.name, folder) for folder in subfolders(home / _MASKS))
    problems = orphans(home / _MASKS, folders, images)
    found: dict[str, NameMap[Path]] = {}
    for name, folder in folders.items():
        try:
            found[name] = files_by_stem(folder, may_be_empty=True)
        except DataError as error:
            problems.append(str(error))
            continue
        unknown = sorted(found[name].without(_CLASSES.values()))
        if unknown:
            problems.append(
                f"{folder} has masks of no lesion of Retinal-Lesions: {', '.join(unknown)}. It has "
                f"{', '.join(_CLASSES.values())}."
            )
    refuse(problems)
    masks, nothing = NameMap(found.items()), NameMap[Path]()
    return [
        Sample(
            name,
            images[name],
            {lesion: _mask(masks.get(name, nothing).get(stem)) for lesion, stem in classes.items()},
        )
        for name in sorted(images)
    ]


def _mask(path: Path | None) -> MaskFile | None:
    if path is None:
        return None
    return MaskFile(path, values=(255,), ignored=(127,), labels=(0, 127, 255))
