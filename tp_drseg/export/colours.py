"""One colour for each lesion, from a palette that colour-blind readers can tell apart.

Palette: Okabe and Ito, "Color Universal Design" (2008). Its black is left out: it does not show on
a fundus photograph.
"""

from __future__ import annotations

import hashlib

RGB = tuple[int, int, int]

_LESIONS: dict[str, RGB] = {
    "microaneurysm": (240, 228, 66),  # yellow
    "haemorrhage": (86, 180, 233),  # sky blue
    "hard exudate": (0, 158, 115),  # bluish green
    "soft exudate": (204, 121, 167),  # reddish purple
}
_OTHERS: tuple[RGB, ...] = ((0, 114, 178), (230, 159, 0), (213, 94, 0))  # blue, orange, vermilion


def lesion_colour(name: str) -> RGB:
    """Return the colour of a lesion: always the same for the same name.

    Args:
        name: Catalog name. One that the table does not hold gets one of three further colours,
            chosen by the name alone, so two such lesions may share one.

    Returns:
        Red, green and blue, each 0..255.
    """
    digest = hashlib.sha256(name.encode()).digest()
    return _LESIONS.get(name) or _OTHERS[digest[0] % len(_OTHERS)]
