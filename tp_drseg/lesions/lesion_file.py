"""A user's own lesions, written down in a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tp_drseg._runtime.yaml_file import read_yaml
from tp_drseg.errors import ConfigError
from tp_drseg.lesions import Lesion, LesionCatalog


def read_lesions(path: Path) -> tuple[Lesion, ...]:
    """Read lesions from a YAML file.

    The file lists them under `lesions`; each has a `name`, an `abbreviation`, `descriptions` and,
    if any, `aliases`. A description is a text, or an object with a `text` and the key of its
    `source`.

    Raises:
        ConfigError: when the file cannot be read, or a field is missing, unknown or of the wrong
            type; it is named.
        LesionError: when a lesion is not valid.
        MissingExtraError: when the extra `train` is not installed.
    """
    data = read_yaml(path)
    if not isinstance(data.get("lesions"), list):
        raise ConfigError(f"{path} must list lesions under 'lesions:'.")
    entries = [_with_objects(entry) for entry in data["lesions"]]
    try:
        return LesionCatalog.from_dict({**data, "lesions": entries}).lesions
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _with_objects(entry: Any) -> Any:
    """Descriptions may be plain texts, or a single one."""
    if not isinstance(entry, Mapping) or "descriptions" not in entry:
        return entry
    given = entry["descriptions"]
    rows = [given] if isinstance(given, str) else given
    if not isinstance(rows, list):
        return entry
    return {**entry, "descriptions": [{"text": r} if isinstance(r, str) else r for r in rows]}
