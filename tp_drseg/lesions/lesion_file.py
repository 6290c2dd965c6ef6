"""A user's own lesions, written down in a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tp_drseg._runtime.yaml_file import read_yaml
from tp_drseg.errors import ConfigError, LesionError
from tp_drseg.lesions.catalog import LesionCatalog
from tp_drseg.lesions.lesion import Lesion


def read_lesions(path: Path) -> tuple[Lesion, ...]:
    """Read lesions from a YAML file.

    The file lists them under `lesions`; each has a `name`, an `abbreviation`, `descriptions` and,
    if any, `aliases`. A description is a text, which may go over several lines, or a mapping with a
    `text` and the key of its `source`.

    Raises:
        ConfigError: The file cannot be read, or a field is missing, unknown or of the wrong type;
            it is named.
        LesionError: A lesion is not valid; the file is named.
        MissingExtraError: The extra `train` is not installed.
    """
    data = read_yaml(path)
    if not isinstance(data.get("lesions"), list):
        raise ConfigError(f"{path} must list lesions under 'lesions:'.")
    try:
        return LesionCatalog.from_dict(_on_one_line(_with_texts(data))).lesions
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except LesionError as error:
        raise LesionError(f"{path}: {error}") from error


def _with_texts(data: Mapping[str, object]) -> dict[str, object]:
    """Return the data with each description a mapping, where it was a text or a single one."""
    entries = data["lesions"]
    assert isinstance(entries, list)
    return {**data, "lesions": [_with_text(entry) for entry in entries]}


def _with_text(entry: object) -> object:
    if not isinstance(entry, dict) or "descriptions" not in entry:
        return entry
    given = entry["descriptions"]
    rows = [given] if isinstance(given, str) else given
    if not isinstance(rows, list):
        return entry
    return {**entry, "descriptions": [{"text": r} if isinstance(r, str) else r for r in rows]}


def _on_one_line(data: dict[str, object]) -> dict[str, object]:
    """Return the data with the line ends of YAML's blocks and folded texts turned into blanks."""

    def joined(value: object) -> object:
        if isinstance(value, dict):
            return {name: joined(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [joined(inner) for inner in value]
        return " ".join(value.split()) if isinstance(value, str) else value

    return {name: joined(value) for name, value in data.items()}
