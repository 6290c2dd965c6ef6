from __future__ import annotations

from benchmarks.ablations.rows import (
    ABLATIONS,
    FULL,
    METHOD,
    PAPER_AUC_PR,
    PAPER_DICE,
    ROWS,
    TUNINGS,
)
from tp_drseg.config import TPDRSegConfig


def test_rows_are_configurations_of_the_size_tiny() -> None:
    full = TPDRSegConfig.for_size("tiny")
    assert dict(METHOD) == {name: getattr(full, name) for name in METHOD}
    other = TPDRSegConfig.for_size(
        "tiny", tuning="none", injector_prior=False, generator_prior=False, text="name"
    )
    for row, fields in ROWS.items():
        config = other.replace(**fields)  # whatever the model has that rows begin with
        assert config == TPDRSegConfig.for_size("tiny", **fields)
        changes = {**ABLATIONS, **TUNINGS}[row]
        assert (config == full) is (row == FULL)
        assert all(getattr(config, name) != getattr(full, name) for name in changes)
    assert PAPER_DICE.keys() | PAPER_AUC_PR.keys() <= ROWS.keys()
