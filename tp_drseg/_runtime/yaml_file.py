"""Reading a YAML file whose top level has names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tp_drseg._runtime.extras import require
from tp_drseg.errors import ConfigError


def read_yaml(path: Path) -> dict[str, Any]:
    """The content of a YAML file, with no other types than YAML's own.

    Raises:
        ConfigError: when the file is missing, is no YAML, or has no names at its top level.
        MissingExtraError: when the extra `train` is not installed.
    """
    require("train", "yaml")
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must have named fields at its top level, such as 'name: value'.")
    return data
