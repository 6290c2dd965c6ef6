"""Results that a reviewer has signed in `tp-drseg review`: corrected masks as truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tp_drseg.corrections.names import CORRECTED, REVIEW
from tp_drseg.corrections.record import Review
from tp_drseg.corrections.store import CorrectionStore
from tp_drseg.data.files import file_sha256, no_folder, refuse, some
from tp_drseg.data.masks import MaskFile
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError, LesionError

if TYPE_CHECKING:
    from tp_drseg.lesions import LesionCatalog


def read_review(root: Path, catalog: LesionCatalog) -> list[Sample]:
    """List the photographs of a results folder that somebody has accepted, with their masks.

    A mask counts as annotated only where a reviewer vouches for it, and each photograph and mask
    must have the hash that it had then. What is new, begun or rejected is left out.

    Args:
        root: The results folder.
        catalog: Whose lesions are listed; others are left out.

    Returns:
        One sample per signed photograph, sorted by name.

    Raises:
        DataError: The folder is missing, nothing in it is signed, or a photograph or a mask is
            missing or was changed since.
        LesionError: The catalog knows none of the lesions that were reviewed.
    """
    if not Path(root).is_dir():
        raise no_folder(Path(root))
    store = CorrectionStore(Path(root))
    signed = [review for review in store.read_all() if review.is_signed]
    if not signed:
        raise DataError(
            f"Nobody has accepted a photograph in {root}. Look through the results with "
            "`tp-drseg review` first."
        )
    problems: list[str] = []
    samples = [
        Sample(review.image, Path(review.source), masks)
        for review in sorted(signed, key=lambda review: review.image)
        if (masks := _masks(store, review, catalog, problems))
    ]
    if not samples and not problems:
        reviewed = dict.fromkeys(mask.lesion for review in signed for mask in review.masks)
        raise LesionError(
            f"The signed photographs have masks of {some(reviewed)}; the lesions asked for are "
            f"{', '.join(catalog.names)}."
        )
    for review in signed:
        problems += _changes(review, root)
    refuse(problems)
    return samples


def _masks(
    store: CorrectionStore, review: Review, catalog: LesionCatalog, problems: list[str]
) -> dict[str, MaskFile | None]:
    """Return the masks of one photograph by the catalog's names."""
    masks: dict[str, MaskFile | None] = {}
    for mask in review.masks:
        if mask.lesion not in catalog:
            continue
        path = store.mask_path(review, mask.label)
        if path is None:
            name = f"{review.image}.{mask.label}{CORRECTED}"
            problems.append(
                f"{store.out / name} was changed since it was signed. Open the folder in "
                "`tp-drseg review` and sign it again."
            )
        elif mask.area_px:
            masks[catalog.resolve(mask.lesion).name] = MaskFile(path)
        else:
            masks[catalog.resolve(mask.lesion).name] = None
    return masks


def _changes(review: Review, root: Path) -> list[str]:
    """Return what is wrong with a photograph."""
    try:
        found = file_sha256(Path(review.source))
    except DataError as error:
        return [f"{error} {root / (review.image + REVIEW)} names it."]
    if found == review.sha256:
        return []
    return [f"{review.source} was changed since it was reviewed. Segment and review it again."]
