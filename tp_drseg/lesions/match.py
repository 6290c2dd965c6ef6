"""From a description in plain English to the lesion that it fits, or to why it fits none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["lesion", "ambiguous", "nothing", "nonsense", "language"]

LEAST_SHARE: Final = 0.5
"""Least probability, all lesions together, of a text that describes a lesion."""

LEAST_MARGIN: Final = 0.2
"""Least lead of the best lesion over the second, of all that the lesions have."""

NONSENSE: Final = "no words"
"""The concept of what is no text in any language."""

FOREIGN: Final = "another language"
"""The concept of what is not English."""

_WHAT_TO_WRITE: Final = (
    "Say its colour, size, shape and border in English, such as 'small bright yellow spots with "
    "sharp edges'"
)


@dataclass(frozen=True)
class Match:
    """How well a description fits each lesion of a model.

    Attributes:
        text: The description.
        lesions: Each lesion's probability, best first; together at most 1.
        others: The probability of each thing that is none of these lesions, best first.

    Example:
        >>> match = Match.of("yellow spots", {"EX": 0.8, "vessel": 0.1, "SE": 0.1}, ["EX", "SE"])
        >>> match.lesion, round(match.margin, 2), match.verdict
        ('EX', 0.78, 'lesion')
    """

    text: str
    lesions: tuple[tuple[str, float], ...]
    others: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, text: str, probabilities: Mapping[str, float], lesions: Sequence[str]) -> Match:
        """Rank what a text may mean.

        Args:
            text: The description.
            probabilities: Of all that it may mean, by name.
            lesions: Those names that are lesions of the model.
        """
        ranked = sorted(probabilities.items(), key=lambda item: -item[1])
        return cls(
            text,
            tuple(item for item in ranked if item[0] in lesions),
            tuple(item for item in ranked if item[0] not in lesions),
        )

    @property
    def share(self) -> float:
        """Probability that it describes one of the lesions at all."""
        return sum(probability for _, probability in self.lesions)

    @property
    def lesion(self) -> str:
        """The lesion that it fits best, however well."""
        return self.lesions[0][0]

    @property
    def margin(self) -> float:
        """The best lesion's lead over the second, of what all lesions have; in [0, 1]."""
        second = self.lesions[1][1] if len(self.lesions) > 1 else 0.0
        return (self.lesions[0][1] - second) / max(self.share, 1e-12)

    @property
    def verdict(self) -> Verdict:
        """Whether the text leads to a lesion, and if not, what it is instead."""
        if self.share < LEAST_SHARE:
            kinds: dict[str, Verdict] = {NONSENSE: "nonsense", FOREIGN: "language"}
            return kinds.get(self.others[0][0], "nothing")
        return "lesion" if self.margin >= LEAST_MARGIN else "ambiguous"

    @property
    def refusal(self) -> str:
        """Why the text leads to no lesion, how well each fits, and what to write; or empty."""
        if self.verdict == "lesion":
            return ""
        reasons = {
            "ambiguous": f"fits {' and '.join(name for name, _ in self.lesions[:2])} about equally",
            "nonsense": "reads as no words",
            "language": "reads as another language than English",
            "nothing": f"reads as something else ({self.others[0][0] if self.others else ''})",
        }
        fits = ", ".join(f"{name} {probability:.2f}" for name, probability in self.lesions)
        return f"As a description it {reasons[self.verdict]}; fit: {fits}. {_WHAT_TO_WRITE}."
