"""What a user may raise; here, so that the commands can name it before anything heavy is loaded."""

from __future__ import annotations

from typing import Final

MAX_PIXELS: Final = 50_000_000
"""Default limit on width x height: a little more than the largest camera has (8256 x 5504)."""
