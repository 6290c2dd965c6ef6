from __future__ import annotations

from benchmarks.ablations.rows import (
    ABLATIONS,
    FULL,
    METHOD,
    PAPER_AUC_PR,
    PAPER_DICE,
    ROWS,
    TUNINGS,
    model_changes,
)
from tp_drseg.config import TPDRSegConfig


def value(config: TPDRSegConfig, name: str) -> object:
    """The field that a row calls by its name alone."""
    return getattr(config.inference if name == "text" else config.architecture, name)


def test_rows_are_configurations_of_the_size_tiny() -> None:
    full = TPDRSegConfig.for_size("tiny")
    assert dict(METHOD) == {name: value(full, name) for name in METHOD}
    other = TPDRSegConfig.for_size(
        "tiny",
        architecture={"tuning": "none", "injector_prior": False, "generator_prior": False},
        inference={"text": "name"},
    )
    for row, fields in ROWS.items():
        config = other.replace(**model_changes(row))  # whatever the model has that rows begin with
        assert {name: value(config, name) for name in fields} == fields
        changes = {**ABLATIONS, **TUNINGS}[row]
        assert (config == full) is (row == FULL)
        assert all(value(config, name) != value(full, name) for name in changes)
    assert PAPER_DICE.keys() | PAPER_AUC_PR.keys() <= ROWS.keys()
