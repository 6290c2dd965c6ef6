"""What the pages of a run are put together from: files of this package, inline and vouched for."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources


def page_part(name: str) -> str:
    """Return the text of a page's template, style or script."""
    return resources.files("tp_drseg.folder").joinpath(name).read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """Return the SHA-256 by which a content security policy admits an inline style or script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
