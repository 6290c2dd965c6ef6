"""What a measurement found: figures, and what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

Figure = None | bool | int | float | str | list["Figure"] | dict[str, "Figure"]

_SHOWN = 20


@dataclass
class Findings:
    """Figures by name; a measurement passes when nothing was wrong.

    Attributes:
        figures: What was measured.
        wrong: One sentence for each thing that must not be.
        peak_mb: The most memory that a process held, in MiB.
    """

    figures: dict[str, Figure] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    peak_mb: int = 0

    def count(self, name: str, more: int = 1) -> None:
        """Add to a figure that counts; the first time it starts from 0."""
        before = self.figures.get(name, 0)
        assert isinstance(before, int)
        self.figures[name] = before + more

    def check(self, is_right: bool, sentence: str) -> None:
        """Note what is wrong, unless it is right."""
        if not is_right:
            self.wrong.append(sentence)

    def held(self, peak_mb: int, limit_mb: int, what: str) -> None:
        """Note how much memory a process took; more than the limit is wrong."""
        self.peak_mb = max(self.peak_mb, peak_mb)
        self.check(peak_mb <= limit_mb, f"{what}: {peak_mb} MiB were taken, {limit_mb} at most")

    def summary(self) -> dict[str, Figure]:
        """Return all that is worth a line."""
        more = len(self.wrong) - _SHOWN
        shown: list[Figure] = [*self.wrong[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        return {**self.figures, "peak_mb": self.peak_mb, "wrong": shown}
