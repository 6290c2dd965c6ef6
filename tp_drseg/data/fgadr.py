"""FGADR, the part with masks (``Seg-set``).

Zhou et al., "A Benchmark for Studying Diabetic Retinopathy: Segmentation, Grading, and
Transferability", IEEE Transactions on Medical Imaging 40(3), 2021. 1842 photographs of 1280 x 1280
pixels; masks have soft edges, 128 and above is lesion.
"""

from __future__ import annotations

from pathlib import Path

from tp_drseg.data.files import files_by_stem, find_home
from tp_drseg.data.matching import Spellings, known_classes, match_by_stem, warn_of_gaps
from tp_drseg.data.samples import Sample
from tp_drseg.lesions import LesionCatalog

_IMAGES = "Original_Images"
_EVERY_PHOTOGRAPH: dict[Spellings, str] = {
    ("microaneurysm",): "Microaneurysms_Masks",
    ("haemorrhage",): "Hemohedge_Masks",  # sic
    ("hard exudate",): "HardExudate_Masks",
    ("soft exudate",): "SoftExudate_Masks",
}
_SOME_PHOTOGRAPHS: dict[Spellings, str] = {
    ("intraretinal microvascular abnormality", "IRMA"): "IRMA_Masks",
    ("neovascularization", "neovascularisation", "NV"): "Neovascularization_Masks",
}


def read_fgadr(root: Path, catalog: LesionCatalog | None = None) -> list[Sample]:
    """List the photographs and masks of FGADR's ``Seg-set`` folder, which has no official split.

    Every photograph has a mask file of the four common lesions, which may be empty; one that is
    missing is taken as an absent lesion, and a warning is logged. Intraretinal microvascular
    abnormalities and neovascularization have files only where they are.

    Args:
        root: The folder ``Seg-set``, or one up to two levels above it.
        catalog: Whose lesions are listed; those of the packaged catalog by default.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: A folder is missing or empty, or a mask belongs to no photograph.
        LesionError: The catalog knows none of FGADR's classes.
    """
    classes = known_classes(
        _EVERY_PHOTOGRAPH | _SOME_PHOTOGRAPHS, catalog or LesionCatalog.default(), "FGADR"
    )
    home = find_home(Path(root), _IMAGES, "FGADR Seg-set")
    samples = match_by_stem(
        files_by_stem(home / _IMAGES),
        {lesion: (home / folder, "") for lesion, folder in classes.items()},
    )
    everywhere = set(_EVERY_PHOTOGRAPH.values())
    warn_of_gaps(samples, (name for name in classes if classes[name] in everywhere), "FGADR")
    return samples
