"""What is asked of a folder run: settings that can be used, and what tells them from others."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_drseg import __version__
from tp_drseg._runtime.files import output_error
from tp_drseg.errors import LesionError, OutputError, PromptError

if TYPE_CHECKING:
    from tp_drseg.folder.segmenter import Segmenter
    from tp_drseg.lesions import Lesion, LesionCatalog


def check_settings(
    *,
    description: str | Sequence[str] | None,
    lesions: str | Sequence[str] | None,
    threshold: float | None,
) -> None:
    """Refuse settings that can be seen to be wrong without a model.

    Raises:
        PromptError: The threshold is out of range, or the description is empty or not for exactly
            one lesion.
    """
    if threshold is not None and not 0 <= threshold <= 1:  # also refuses NaN
        raise PromptError(f"threshold must be in [0, 1], got {threshold}")
    if description is not None:
        texts = [description] if isinstance(description, str) else list(description)
        if not texts or not all(text.strip() for text in texts):
            raise PromptError("the description is empty: say how the lesion looks")
        if lesions is None or (not isinstance(lesions, str) and len(lesions) != 1):
            raise PromptError("a description is for exactly one lesion: name that lesion too")


def check_out(out: Path) -> None:
    """Refuse an output folder that can be seen to be not writable; nothing is made.

    Raises:
        OutputError: It is a file, lies below a file, or may not be written.
    """
    try:
        existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise output_error(out, error) from error
    if not existing.is_dir():
        raise OutputError(
            f"cannot write into {out}: {existing} is a file, not a folder; choose another folder"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write into {out}: permission denied; choose a folder where you may write"
        )


def resolve_lesions(
    catalog: LesionCatalog, lesions: str | Sequence[str] | None
) -> tuple[Lesion, ...]:
    """The lesions asked for, each once; all of the catalog for None.

    Raises:
        LesionError: The catalog does not know one of them, or the list is empty.
    """
    if lesions is None:
        return tuple(catalog)
    names = [lesions] if isinstance(lesions, str) else list(lesions)
    if not names:
        raise LesionError("the list of lesions is empty; name at least one, or give None for all")
    return tuple({lesion.name: lesion for lesion in map(catalog.resolve, names)}.values())


def run_settings(
    model: Segmenter,
    lesions: Sequence[Lesion],
    description: str | Sequence[str] | None,
    threshold: float | None,
    overlays: bool,
) -> dict[str, Any]:
    """All that decides the results of an image, as JSON data."""
    texts = [description] if isinstance(description, str) else description and list(description)
    return {
        "version": __version__,
        "model": model.model_id,
        "revision": model.revision,
        "weights": _fingerprint(model),
        "lesions": sorted(lesion.name for lesion in lesions),
        "description": texts,
        "threshold": threshold,
        "overlays": overlays,
    }


def _fingerprint(model: Segmenter) -> str | None:
    """Hash of a model's config and weights, so that one trained further is told from before.

    None for a model that has no weights of its own.
    """
    if not hasattr(model, "state_dict"):
        return None
    import torch

    digest = hashlib.sha256(repr(getattr(model, "config", None)).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def file_labels(lesions: Iterable[Lesion]) -> dict[str, str]:
    """Abbreviations as they appear in file names, by lesion."""
    labels = {x.name: re.sub(r"[^\w-]", "_", x.abbreviation) for x in lesions}
    if len({label.casefold() for label in labels.values()}) < len(labels):
        raise LesionError(f"abbreviations give the same file name twice, rename one: {labels}")
    return labels
