"""Files of JSON and YAML to begin fuzzing with: valid ones, and those that readers stumble over."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from benchmarks.reliability.hard_texts import hard_json, hard_yaml
from tp_drseg._runtime.json_text import read_json
from tp_drseg.errors import OutputError
from tp_drseg.folder.record import ImageRecord, LesionRow, now
from tp_drseg.training.run_config import RECIPES, recipe

_LESIONS = """\
sources: {a: A. Author 2024}
lesions:
- {name: drusen, abbreviation: DR, aliases: [druse], descriptions: [yellow dots]}
- name: venous beading
  abbreviation: VB
  descriptions: a vein like a string of beads
  held_out_descriptions: [{text: a knotted vein, source: a}]
"""


def configs() -> dict[str, bytes]:
    """Return files that claim to be the configuration of a model."""
    whole = (resources.files("tp_drseg") / "weights" / "config.json").read_bytes()
    return {"whole": whole, **_numbered(hard_json())}


def runs() -> dict[str, bytes]:
    """Return files that claim to be training runs."""
    return {**{name: recipe(name).read_bytes() for name in RECIPES}, **_numbered(hard_yaml("data"))}


def lesions() -> dict[str, bytes]:
    """Return files that claim to hold lesions."""
    return {"whole": _LESIONS.encode(), **_numbered(hard_yaml("lesions"))}


def records() -> dict[str, bytes]:
    """Return files that claim to be the record of a photograph."""
    row = LesionRow(
        lesion="hard exudate",
        threshold=0.5,
        regions=1,
        area_px=2,
        area_percent=0.1,
        mean_probability=0.1,
        max_probability=0.9,
    )
    whole = ImageRecord(
        image="sub/a.jpg",
        source="/photographs/sub/a.jpg",
        sha256="0" * 64,
        settings="1" * 64,
        is_complete=True,
        files=(),
        width=48,
        height=40,
        lesions=(row,),
        quality="good",
        seconds=1.5,
        finished=now(),
    )
    return {"whole": whole.model_dump_json().encode(), **_numbered(hard_json())}


def read_record(path: Path) -> ImageRecord:
    """Read a record as the store does, whatever its file is called.

    Raises:
        OutputError: It is none.
    """
    plain = read_json(path, error=OutputError)
    try:
        return ImageRecord.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        raise OutputError(f"{path} is no record: {error.error_count()} problems.") from error


def _numbered(files: list[bytes]) -> dict[str, bytes]:
    return {f"hard {number}": data for number, data in enumerate(files)}
