from __future__ import annotations

import json
from dataclasses import replace

from tests.cli.conftest import Loader
from tests.support.command import tp_drseg
from tp_drseg.cli._options import Device
from tp_drseg.lesions import LesionCatalog


def test_lesions(loader: Loader) -> None:
    result = tp_drseg("lesions")
    assert result.exit_code == 0
    for lesion in LesionCatalog.default():
        assert lesion.name in result.stdout
        assert lesion.abbreviation in result.stdout
        assert lesion.texts[0].split()[0] in result.stdout
    assert loader.calls == []
    tp_drseg("lesions", "--model", "org/name")
    assert loader.calls == [("org/name", None, Device.cpu)]


def test_as_json() -> None:
    entries = json.loads(tp_drseg("lesions", "--json").stdout)
    assert [entry["name"] for entry in entries] == list(LesionCatalog.default().names)
    assert entries[2]["abbreviation"] == "EX"
    assert "exudate" in entries[2]["aliases"]
    first = LesionCatalog.default()["EX"].descriptions[0]
    assert entries[2]["descriptions"][0] == {"text": first.text, "source": first.source}


def test_a_models_names_are_shown_and_not_interpreted(loader: Loader) -> None:
    catalog = loader.model.config.lesions
    odd = replace(catalog["EX"], name="drusen", abbreviation="D", aliases=("[red]x[/red]",))
    loader.model.config = loader.model.config.replace(lesions=catalog.add(odd))
    assert "[red]x[/red]" in tp_drseg("lesions", "--model", "x").stdout
