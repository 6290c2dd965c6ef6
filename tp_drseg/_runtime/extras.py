"""What is not installed by default."""

from __future__ import annotations

from importlib.util import find_spec

from tp_drseg.errors import MissingExtraError


def require(extra: str, *modules: str) -> None:
    """Make sure that the modules of an extra are installed; imports nothing.

    Raises:
        MissingExtraError: when one is not; the message says how to install the extra.
    """
    if missing := [name for name in modules if find_spec(name) is None]:
        raise MissingExtraError(
            f"{', '.join(missing)} is not installed. Install what this needs with "
            f"`pip install 'tp-drseg[{extra}]'`."
        )
