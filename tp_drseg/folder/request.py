"""What is asked of every photograph of a folder run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from tp_drseg.errors import LesionError, PromptError
from tp_drseg.images import MAX_PIXELS
from tp_drseg.inference.request import Asked, Matcher, Prompt, as_prompts
from tp_drseg.lesions import LesionCatalog

DicomKind = Literal["binary", "fractional"]

OnPoorQuality = Literal["warn", "skip", "fail"]
"""Segment it and say so, pass it over, or count it as failed."""

Setting = str | bool | float | None | list["Setting"] | dict[str, "Setting"]
"""One value of the settings, as JSON has it."""


@dataclass(frozen=True)
class Wanted:
    """What the user asked for, checked as far as it can be without a model.

    Args:
        lesions: Names and prompts without points and boxes; None for all that the model knows.
        threshold: For each lesion that has none of its own.
        thresholds: By any name of the lesion.

    Raises:
        PromptError: A threshold is out of range, there is no lesion in the list, or a prompt has a
            point or a box.
    """

    lesions: tuple[Asked, ...] | None = None
    threshold: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in {"every lesion": self.threshold, **self.thresholds}.items():
            Prompt(name, threshold=value)
        if self.lesions is not None and not self.lesions:
            raise PromptError("The list of lesions is empty. Give None for every lesion.")
        for asked in self.lesions or ():
            prompt = asked if isinstance(asked, Prompt) else Prompt(asked)
            if prompt.has_places:
                raise PromptError(
                    f"{prompt.lesion} is asked for with points or boxes, which are places on one "
                    "photograph. Leave them out for a folder."
                )

    @classmethod
    def of(
        cls,
        lesions: Asked | Iterable[Asked] | None,
        threshold: float | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> Wanted:
        """Return what is asked for by one lesion, several, or None."""
        if isinstance(lesions, str | Prompt):
            lesions = (lesions,)
        asked = None if lesions is None else tuple(lesions)
        return cls(asked, threshold, dict(thresholds or {}))

    def has_words(self, catalog: LesionCatalog) -> bool:
        """Whether a lesion is asked for by several words that are no name: the model tells."""
        named = (a.lesion if isinstance(a, Prompt) else a for a in self.lesions or ())
        return any(name not in catalog and len(name.split()) > 2 for name in named)

    def prompts(self, catalog: LesionCatalog, match: Matcher | None = None) -> tuple[Prompt, ...]:
        """Return one prompt for each lesion, named as a catalog names it.

        Args:
            catalog: The lesions that can be asked for.
            match: Finds the lesion that a description fits; None where the model cannot tell.

        Raises:
            LesionError: The catalog does not know a lesion.
            PromptError: A lesion is asked for in two ways, or a threshold is for one that is not
                asked for.
        """
        prompts = as_prompts(self.lesions, catalog, match)
        own: dict[str, float] = {}
        for name, value in self.thresholds.items():
            lesion = catalog.resolve(name).name
            if lesion not in {prompt.lesion for prompt in prompts}:
                raise PromptError(f"There is a threshold for {lesion}, which is not asked for.")
            if own.setdefault(lesion, value) != value:
                raise PromptError(f"There are two thresholds for {lesion}. Give one.")
        return tuple(
            replace(prompt, threshold=own.get(prompt.lesion, self.threshold))
            if prompt.threshold is None
            else prompt
            for prompt in prompts
        )


@dataclass(frozen=True)
class FolderRequest:
    """What is done with each photograph, by one model.

    Attributes:
        prompts: What to ask for, one prompt a lesion.
        labels: What each lesion is called in file names.
        overlays: Whether to write overlays.
        overwrite: Whether to do again what is done already.
        on_poor_quality: What is done with a photograph that is not good enough to be segmented.
        report: Whether to write a report of each photograph.
        pixel_spacing: Millimetres of the retina that a pixel covers; None for what the files say.
        dicom: What kind of DICOM segmentation to write beside; None for no DICOM.
        keep_identifiers: Whether the tables name the patient's and the picture's identifiers.
        keep_memory: Whether glibc keeps freed memory while the model works on a photograph.
        max_pixels: The most pixels that a photograph may have; it decides no result.
        settings: All that decides the results of a photograph, as JSON data.
    """

    prompts: tuple[Prompt, ...]
    labels: Mapping[str, str]
    overlays: bool = True
    overwrite: bool = False
    on_poor_quality: OnPoorQuality = "warn"
    report: bool = False
    pixel_spacing: float | None = None
    dicom: DicomKind | None = None
    keep_identifiers: bool = False
    keep_memory: bool = False
    max_pixels: int = MAX_PIXELS
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Hash of the settings: results of other settings are done again."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()


def file_labels(prompts: Iterable[Prompt], catalog: LesionCatalog) -> dict[str, str]:
    """Return the abbreviations as they appear in file names, by lesion.

    Raises:
        LesionError: Two lesions would have the same.
    """
    labels = {
        prompt.lesion: re.sub(r"[^\w-]", "_", catalog.resolve(prompt.lesion).abbreviation)[:40]
        for prompt in prompts
    }
    if len({label.casefold() for label in labels.values()}) < len(labels):
        raise LesionError(
            f"Two lesions have the same short name in file names. Rename one: {labels}."
        )
    return labels
