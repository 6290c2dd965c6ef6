"""What the first bytes of a DICOM file say: read by hand, so that it is cheap and needs no extra.

Group 2 of a file is always explicit VR little endian, whatever follows it (PS3.10, section 7.1).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 4096
"""How much of a file :func:`read_head` needs."""

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

DIRECTORY_CLASS: Final = "1.2.840.10008.1.3.10"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
PHOTOGRAPH_CLASSES: Final = {
    "1.2.840.10008.5.1.4.1.1.77.1.5.1": "Ophthalmic Photography 8 Bit",
    "1.2.840.10008.5.1.4.1.1.77.1.5.2": "Ophthalmic Photography 16 Bit",
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic",
    "1.2.840.10008.5.1.4.1.1.77.1.4.1": "Video Photographic",
    "1.2.840.10008.5.1.4.1.1.77.1.1": "VL Endoscopic",
    "1.2.840.10008.5.1.4.1.1.77.1.2": "VL Microscopic",
    SECONDARY_CAPTURE: "Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture",
}
"""Storage classes that a photograph of a fundus may have."""

MULTI_FRAME_CLASSES: Final = frozenset(
    kind
    for kind, name in PHOTOGRAPH_CLASSES.items()
    if name.startswith(("Ophthalmic", "Video", "Multi-frame"))
)
"""Those of them whose frames have numbers, even where there is one."""

_LONG: Final = {b"OB", b"OW", b"UN", b"SQ", b"UT", b"OF", b"OD", b"OL", b"UC", b"UR"}
# what a file begins with where an old device left the preamble out: group 2, or 8
_FIRST: Final = {2: (0, 1, 2), 8: (0x00, 0x01, 0x05, 0x08, 0x12, 0x16, 0x18)}
_BARE: Final = frozenset(bytes((group, 0, one, 0)) for group in _FIRST for one in _FIRST[group])


@dataclass(frozen=True)
class Head:
    """What stands before the data set of a DICOM file.

    Attributes:
        transfer_syntax: How the rest is written.
        storage_class: What the file holds, a SOP class; empty where it does not say.
        start: Where the data set begins, in bytes.
    """

    transfer_syntax: str
    storage_class: str
    start: int


def is_dicom(head: bytes) -> bool:
    """Tell whether a file is DICOM, from its first 132 bytes."""
    return head[128:132] == b"DICM" or head[:4] in _BARE


def read_head(head: bytes) -> Head:
    """Read what stands before the data set.

    Args:
        head: The first `HEAD_BYTES` of a file for which :func:`is_dicom` holds.

    Raises:
        ValueError: It is cut short.
    """
    at = 132 if head[128:132] == b"DICM" else 0
    found = {}
    while head[at : at + 2] == b"\2\0":
        try:
            element, kind, short = struct.unpack_from("<H2sH", head, at + 2)
            size = struct.unpack_from("<I", head, at + 8)[0] if kind in _LONG else short
        except struct.error as error:
            raise ValueError("its file header is cut short") from error
        value = at + (12 if kind in _LONG else 8)
        at = value + size
        if at > len(head):
            raise ValueError("its file header is cut short")
        found[element] = head[value:at].rstrip(b"\0 ").decode("ascii", "replace")
    syntax = found.get(0x10) or _guess(head[at : at + 8])
    return Head(syntax, found.get(0x02, ""), at)


def _guess(first: bytes) -> str:
    """Return how a data set without file header is written: by its first element."""
    return EXPLICIT_LITTLE if first[4:6].isalpha() and first[4:6].isupper() else IMPLICIT_LITTLE
