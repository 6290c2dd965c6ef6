"""Whether a model has learned from the photographs that it is scored on.

A checkpoint names the photographs that it learned from, and those that its operating points were
chosen on, with a hash of each file. Photographs are known again by that hash, whatever they are
called and wherever they lie.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tp_drseg.data import Sample
from tp_drseg.data.files import some

if TYPE_CHECKING:
    from tp_drseg.config import LearnedPhotograph, Provenance

logger = logging.getLogger(__name__)

_MOST_NAMES = 60  # of what was left out: all of IDRiD's


class HeldOut(StrEnum):
    """Whether photographs were held out from what a model learned from."""

    YES = "held out"
    UNKNOWN = "unknown whether held out"
    NO = "not held out"


_VERDICTS: Mapping[HeldOut, str] = {
    HeldOut.YES: "Held out: the model has learned from none of these photographs.",
    HeldOut.UNKNOWN: "Unknown whether held out: the model may have learned from these photographs.",
    HeldOut.NO: "Not held out: the model has learned from some of these photographs.",
}


@dataclass(frozen=True)
class Split:
    """What is known of the photographs of an evaluation; names are those of their samples.

    Attributes:
        recorded: Whether the model says what it learned from.
        left_out: Photographs that were not scored, as the model learned from them.
        learned: Photographs that were scored although the model learned from them.
        namesakes: Photographs that were scored and have the name of one that the model learned
            from, but another content: another photograph, or a copy that was saved anew.
        selected: Photographs that were scored and that chose the model's operating points, or the
            best of several states of it.
    """

    recorded: bool
    left_out: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    namesakes: tuple[str, ...] = ()
    selected: tuple[str, ...] = ()

    @property
    def held_out(self) -> HeldOut:
        """Whether the scored photographs were held out: only a certain yes is a yes."""
        if self.learned:
            return HeldOut.NO
        if self.namesakes or not self.recorded:
            return HeldOut.UNKNOWN
        return HeldOut.YES

    @property
    def mark(self) -> str:
        """What a title of figures needs to say: empty when the photographs were held out."""
        return "" if self.held_out is HeldOut.YES else f" ({self.held_out})"

    def sentences(self) -> list[str]:
        """Return what a reader of the figures must know, a sentence or two each."""
        said = [_VERDICTS[self.held_out]]
        if not self.recorded:
            said.append("The model does not say which photographs it learned from.")
        if self.left_out:
            said.append(
                f"Left out, as the model has learned from them: {len(self.left_out)} "
                f"({some(self.left_out, _MOST_NAMES)})."
            )
        if self.learned:
            said.append(
                f"Learned from and scored all the same: {len(self.learned)} "
                f"({some(self.learned)}). The figures say little about new photographs."
            )
        if self.namesakes:
            said.append(
                f"{len(self.namesakes)} have the name of a photograph that the model learned from, "
                f"but another content ({some(self.namesakes)}). If they are copies that were saved "
                "anew, the figures flatter."
            )
        if self.selected:
            said.append(
                f"The operating points were chosen on {len(self.selected)} of them "
                f"({some(self.selected)}): what is taken at them flatters."
            )
        return said


def divide(
    provenance: Provenance, samples: Iterable[Sample], *, include_learned: bool = False
) -> tuple[list[Sample], Split]:
    """Leave out what a model learned from.

    Args:
        provenance: The model's, from its configuration.
        samples: Photographs to score.
        include_learned: Whether to keep those that the model learned from.

    Returns:
        The photographs to score, in their order, and what is known of them.

    Raises:
        DataError: A photograph cannot be read.
    """
    learned, selected = _hashes(provenance.photographs), _hashes(provenance.selected_on)
    names = {photograph.name for photograph in provenance.photographs}
    kept: list[Sample] = []
    marked: dict[str, list[str]] = {
        kind: [] for kind in ("left_out", "learned", "namesakes", "selected")
    }
    for sample in samples:
        sha256 = sample.sha256 if learned or selected else ""
        if sha256 in learned and not include_learned:
            marked["left_out"].append(sample.name)
            continue
        kept.append(sample)
        if sha256 in learned:
            marked["learned"].append(sample.name)
        elif sample.name in names:
            marked["namesakes"].append(sample.name)
        if sha256 in selected:
            marked["selected"].append(sample.name)
    split = Split(bool(learned), **{kind: tuple(found) for kind, found in marked.items()})
    if split.left_out:
        logger.info(
            "Left out %d photographs that the model learned from: %s.",
            len(split.left_out),
            ", ".join(split.left_out),
        )
    return kept, split


def together(splits: Sequence[Split]) -> Split:
    """Return what is known of the photographs of several models or folders."""
    return Split(
        recorded=all(split.recorded for split in splits),
        left_out=_joined(split.left_out for split in splits),
        learned=_joined(split.learned for split in splits),
        namesakes=_joined(split.namesakes for split in splits),
        selected=_joined(split.selected for split in splits),
    )


def _hashes(photographs: Iterable[LearnedPhotograph]) -> set[str]:
    return {photograph.sha256 for photograph in photographs}


def _joined(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(name for group in names for name in group)
