"""Hypothesis strategies for files that are not what they seem."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

SIGNATURES = (
    b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08",
    b"II+\0\x08\0\0\0", b"BM", b"RIFF\x10\0\0\0WEBPVP8X", b"RIFF\x10\0\0\0WEBPVP8L",
    b"P6 ", b"P2\n", b"Pf\n", b"%!PS", b"GIF89a",
)  # fmt: skip
_EDGES = st.sampled_from([0, 1, 127, 128, 255])


@st.composite
def damaged(draw: DrawFn, files: Sequence[bytes]) -> bytes:
    """A file with some bytes changed, cut off, or taken from another one."""
    data = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(1, 6))):
        # near the beginning, where the headers are, as often as anywhere
        last = draw(st.sampled_from([min(len(data), 200), len(data)])) - 1
        data[draw(st.integers(0, max(0, last)))] = draw(_EDGES | st.integers(0, 255))
    if draw(st.booleans()):
        del data[draw(st.integers(1, len(data))) :]
    if draw(st.booleans()):
        other = draw(st.sampled_from(files))
        at = draw(st.integers(0, len(data)))
        data[at:at] = other[draw(st.integers(0, len(other) - 1)) :]
    return bytes(data)


def any_file(files: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A damaged file, or bytes at random, with a signature or without."""
    head = st.sampled_from(SIGNATURES) | st.just(b"")
    return damaged(files) | st.builds(lambda a, b: a + b, head, st.binary(max_size=300))
