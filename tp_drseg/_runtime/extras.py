"""What is not installed by default."""

from __future__ import annotations

from importlib.util import find_spec

from tp_drseg.errors import MissingExtraError


def is_installed(*modules: str) -> bool:
    """Tell whether modules are installed; imports nothing."""
    return all(find_spec(name) is not None for name in modules)


def require(extra: str, *modules: str, what: str = "") -> None:
    """Make sure that the modules of an extra are installed; imports nothing.

    Args:
        extra: Its name.
        modules: What it brings.
        what: What needs it, a sentence.

    Raises:
        MissingExtraError: when one is not; the message says how to install the extra.
    """
    if missing := [name for name in modules if find_spec(name) is None]:
        raise MissingExtraError(
            f"{what} {', '.join(missing)} is not installed. Install what this needs with "
            f"`pip install 'tp-drseg[{extra}]'`.".lstrip()
        )
