"""The version of this package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final


def _installed() -> str:
    try:
        return version("tp-drseg")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"


__version__: Final = _installed()
