"""What all faults start from: twelve photographs, and the results of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.child import Ended, in_child
from benchmarks.reliability.drawn import write_photographs
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.results import content, differences, finished, half_written, leftovers
from benchmarks.reliability.stand_in import StandIn, run

_NOBODY = 65534

Counts = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Names of the photographs that a run did, skipped and failed."""


@dataclass(frozen=True)
class Ground:
    """Where faults are tried.

    Attributes:
        work: A folder for this.
        source: Twelve photographs, some in a sub-folder; they stay as they are.
        expected: The content of an undisturbed run's results.
        rng: What decides by chance.
    """

    work: Path
    source: Path
    expected: dict[str, str]
    rng: random.Random

    @classmethod
    def prepare(cls, work: Path, seed: int) -> Ground:
        """Write the photographs and do the undisturbed run."""
        source = write_photographs(work / "in", 12)
        work.chmod(0o755)
        # in this process: one without rights could not import what is needed only then
        counts(source, work / "whole")
        return cls(work, source, content(work / "whole"), random.Random(seed))

    @property
    def names(self) -> list[str]:
        """Names of the photographs, of which each has a record."""
        return sorted(finished(self.work / "whole"))

    def fresh(self, name: str) -> Path:
        """Return a path below `work` where nothing is."""
        path = self.work / name
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def copy(self, name: str) -> Path:
        """Return a copy of the photographs that may be changed."""
        return Path(shutil.copytree(self.source, self.fresh(name)))

    def check_mended(self, out: Path, what: str, found: Findings) -> None:
        """Make sure that one more run brings the results of an undisturbed one."""
        again = in_child(lambda: counts(self.source, out))
        found.check(again.verdict == "ok", f"{what}: the next run: {again.verdict}")
        left = differences(self.expected, content(out))
        found.check(not left, f"{what}: after the next run these differ: {left[:3]}")
        found.check(not leftovers(out), f"{what}: left over: {leftovers(out)}")


def counts(
    source: Path | list[Path], out: Path, model: StandIn | None = None, overwrite: bool = False
) -> Counts:
    """Do a folder run and return what it says of itself."""
    report = run(source, out, model, overwrite=overwrite)
    return report.done, report.skipped, tuple(failure.image for failure in report.failures)


def check_refused(ended: Ended[Counts], what: str, found: Findings) -> None:
    """Make sure that a run ended with an error of the package's own."""
    is_typed = ended.raised is not None and ended.raised.is_typed
    found.check(is_typed, f"{what}: {ended.verdict}")


def check_whole(out: Path, what: str, found: Findings) -> None:
    """Make sure that nothing is half written or left over."""
    found.check(not half_written(out), f"{what}: half written: {half_written(out)[:2]}")
    found.check(not leftovers(out), f"{what}: left over: {leftovers(out)}")


def as_nobody() -> Callable[[], None] | None:
    """Return what makes a process one without rights; None where that is not possible."""
    if os.geteuid() != 0:
        return None

    def give_up_rights() -> None:
        os.setegid(_NOBODY)
        os.seteuid(_NOBODY)

    return give_up_rights
