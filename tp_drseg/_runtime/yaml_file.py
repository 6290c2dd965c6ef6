"""YAML files whose top level has names, read and written as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import write_text
from tp_drseg._runtime.text_file import read_text
from tp_drseg.errors import ConfigError

MOST_BYTES = 256 << 10  # which PyYAML takes seconds for


def read_yaml(path: Path, limit: int = MOST_BYTES) -> dict[str, object]:
    """Return what a YAML file holds, see `yaml_events.parse_yaml`.

    Args:
        path: The file, in UTF-8.
        limit: The most bytes that it may have.

    Raises:
        ConfigError: The file is missing, too large, no YAML, or has no names at its top level.
        MissingExtraError: The extra `train` is not installed.
    """
    require("train", "yaml")
    from tp_drseg._runtime.yaml_events import parse_yaml

    data = parse_yaml(read_text(path, limit), str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must have named fields at its top level, such as 'name: value'.")
    return data


def write_yaml(data: Mapping[str, object], path: Path) -> None:
    """Write plain data, so that `read_yaml` reads the same again.

    Args:
        data: Mappings, lists, texts without characters that are not seen, numbers, truth values
            and None.
        path: The file.

    Raises:
        OutputError: The file cannot be written.
        MissingExtraError: The extra `train` is not installed.
    """
    require("train", "yaml")
    from tp_drseg._runtime.yaml_events import dump_yaml

    write_text(path, dump_yaml(data))
