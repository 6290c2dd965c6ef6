"""Whether a photograph is good enough: one verdict, with its reasons in words.

The limits of sharpness, brightness, clipping, contrast, resolution and cast come from measurement:
photographs were degraded step by step until a lesion's sensitivity fell by a quarter (`limited`)
and by half (`reject`); see `docs/quality-curves.md` and `python -m benchmarks.quality`. Half was
not reached by blur and under-exposure, whose limits of `reject` are the last step measured, nor by
shrinking, which has none. Those of unevenness and of the field that is seen are conventions. What
a JPEG's compression costs is told by no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tp_drseg.images.framing import Framed
from tp_drseg.images.quality_numbers import QualityNumbers, measure_quality

Verdict = Literal["good", "limited", "reject"]


@dataclass(frozen=True)
class Limit:
    """From where on a number speaks against a photograph.

    Attributes:
        number: Name of the number in `QualityNumbers`.
        limited: Beyond it lesions are missed; None for no such limit.
        reject: Beyond it so many are missed that an answer means little; likewise.
        is_least: Whether the number must not be lower, rather than not higher.
        fault: What is said of a photograph beyond it, about "it".
    """

    number: str
    limited: float | None
    reject: float | None
    is_least: bool
    fault: str

    def verdict(self, numbers: QualityNumbers) -> Verdict:
        """Judge a photograph by this number alone."""
        value = float(getattr(numbers, self.number))
        if self.reject is not None and self._is_beyond(value, self.reject):
            return "reject"
        if self.limited is not None and self._is_beyond(value, self.limited):
            return "limited"
        return "good"

    def reason(self, numbers: QualityNumbers) -> str:
        """Return what is wrong, with the number and its limit."""
        value = float(getattr(numbers, self.number))
        limit = self.reject if self.verdict(numbers) == "reject" else self.limited
        side = "at least" if self.is_least else "at most"
        return f"it {self.fault} ({self.number.replace('_', ' ')} {value:.3g}, {side} {limit:g})"

    def _is_beyond(self, value: float, limit: float) -> bool:
        return value < limit if self.is_least else value > limit


LIMITS: Final = (
    Limit("sharpness", 0.22, 0.17, True, "is blurred at the scale of microaneurysms"),
    Limit("resolution", 270, None, True, "has too few pixels to show microaneurysms"),
    Limit("brightness", 0.12, 0.06, True, "is under-exposed"),
    Limit("clipped", 0.15, 0.26, False, "is over-exposed"),
    Limit("contrast", 0.0097, 0.0051, True, "is hazy: vessels and lesions hardly stand out"),
    Limit("cast", 1.2, 1.35, False, "has a colour cast"),
    Limit("unevenness", 2.0, None, False, "is lit unevenly"),
    Limit("field_seen", 0.5, 0.25, True, "shows a small part of its field of view"),
)


@dataclass(frozen=True)
class Quality:
    """What is said of a photograph's quality.

    Attributes:
        verdict: `good`; `limited` where some lesions will be missed; `reject` where an answer means
            little, or where it is no colour photograph of one fundus at all.
        reasons: Why it is not good, about "it"; empty for a good one.
        numbers: What was measured.

    Example:
        >>> from tp_drseg.images import assess_quality, frame_photograph, read_fundus
        >>> fundus = read_fundus("examples/retina.jpg")
        >>> framed = frame_photograph(fundus.pixels, fundus.field_of_view, 1024)
        >>> assess_quality(framed).verdict
        'good'
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    numbers: QualityNumbers

    @property
    def reason(self) -> str:
        """The reasons as a sentence; empty for a good photograph."""
        if not self.reasons:
            return ""
        text = "; ".join(self.reasons)
        return f"{text[0].upper()}{text[1:]}."


def assess_quality(
    framed: Framed, *, doubt: str | None = None, unseen: Sequence[str] = ()
) -> Quality:
    """Judge a photograph.

    Args:
        framed: The photograph, framed with `QUALITY_DIAMETER`.
        doubt: Why it is no colour photograph of one fundus, see `fundus_doubt`; it is rejected
            then.
        unseen: What of disc and fovea is known not to be in view.
    """
    numbers = measure_quality(framed)
    verdicts: list[Verdict] = []
    reasons = []
    if doubt is not None:
        verdicts.append("reject")
        reasons.append(doubt.rstrip("."))
    for limit in LIMITS:
        if (verdict := limit.verdict(numbers)) != "good":
            verdicts.append(verdict)
            reasons.append(limit.reason(numbers))
    if unseen:
        verdicts.append("limited")
        reasons.append(f"the {' and the '.join(unseen)} cannot be seen")
    worst: Verdict = "good"
    if verdicts:
        worst = "reject" if "reject" in verdicts else "limited"
    return Quality(worst, tuple(reasons), numbers)
