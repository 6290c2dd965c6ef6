from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Loader
from tests.support.command import tp_drseg
from tp_drseg.lesions.match import Match


@pytest.fixture(autouse=True)
def found(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Probabilities that the model gives to whatever is asked; a test may change them."""
    shares = {"hard exudate": 0.8, "soft exudate": 0.1, "everyday thing": 0.06, "fovea": 0.04}
    names = loader.model.catalog.names
    match = lambda text: Match.of(text, shares, names)  # noqa: E731
    monkeypatch.setattr(loader.model, "match", match, raising=False)
    return shares


def test_the_ranking_and_where_it_leads() -> None:
    result = tp_drseg("match", "yellow specks")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[1][:3] == ["hard", "exudate", "0.800"]
    assert lines[3][:3] == ["everyday", "thing", "0.060"]
    assert "It leads to hard exudate, by a margin of 0.78." in result.output


def test_a_refusal_is_shown(found: dict[str, float]) -> None:
    found.update({"hard exudate": 0.3, "everyday thing": 0.56})
    output = tp_drseg("match", "custard").output
    assert "reads as something else (everyday thing)" in output and "leads to" not in output


def test_json(found: dict[str, float]) -> None:
    data = json.loads(tp_drseg("match", "yellow specks", "--json").output)
    assert data["lesion"] == "hard exudate" and data["verdict"] == "lesion"
    assert data["lesions"] == {"hard exudate": 0.8, "soft exudate": 0.1}
    found["hard exudate"] = 0.01
    data = json.loads(tp_drseg("match", "custard", "--json").output)
    assert data["lesion"] is None and data["verdict"] == "nothing"
