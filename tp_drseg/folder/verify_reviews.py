"""Read the reviews of a results folder again: is each mask what was drawn?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tp_drseg.corrections.names import CORRECTED, REVIEW
from tp_drseg.corrections.store import CorrectionStore
from tp_drseg.errors import OutputError


def review_files(out: Path) -> set[str]:
    """Return the names of all reviews and of the masks that they vouch for."""
    store, found = CorrectionStore(out), set()
    for image in store.images():
        found.add(image + REVIEW)
        try:
            review = store.read(image)
        except (ValueError, OutputError):
            continue
        masks = review.masks if review else ()
        found |= {f"{image}.{mask.label}{CORRECTED}" for mask in masks}
    return found


def review_problems(out: Path) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with reviews and corrected masks: the file's name, and a sentence."""
    store = CorrectionStore(out)
    for image in store.images():
        try:
            review = store.read(image)
        except (ValueError, OutputError) as error:
            yield image + REVIEW, str(error)
            continue
        for mask in review.masks if review else ():
            name = f"{image}.{mask.label}{CORRECTED}"
            path = store.mask_path(review, mask.label) if review else None
            if path is None:
                yield name, "It is missing, or was changed since it was drawn."
            elif path != out / name:
                yield name, "It lacks the last stroke. Open the folder in `tp-drseg review` once."
