"""What the files of a review are called, beside the model's."""

from __future__ import annotations

from typing import Final

CORRECTED: Final = ".corrected.png"
"""Ends the name of a mask that a reviewer vouches for: `eye.jpg.EX.corrected.png`."""

REVIEW: Final = ".review.json"
"""Ends the name of what was said and done about a photograph: `eye.jpg.review.json`."""
