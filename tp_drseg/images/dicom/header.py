"""The elements of a DICOM file before its pixels, in bounded memory, values as they are stored.

pydicom parses the elements. Their values are decoded here: its own conversion warns of odd ones,
and such a warning shows a patient's data.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

from pydicom import config
from pydicom.charset import decode_bytes, python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from tp_drseg.errors import ImageError
from tp_drseg.images.dicom import head as heads
from tp_drseg.images.source import FileBytes

_LARGEST_HEADER: Final = 16 << 20  # bytes: makers put whole reports into private elements
_PIXELS: Final = 0x7FE00010
_UNDEFINED: Final = 0xFFFFFFFF
_SPLITS: Final = set(b"=^\\")  # after which ISO 2022 begins again


@dataclass(frozen=True, eq=False)
class Header:
    """Elements of a data set, or of one item of a sequence.

    Attributes:
        dataset: As pydicom reads it, nothing converted.
    """

    dataset: Dataset = field(repr=False)

    def raw(self, keyword: str) -> bytes:
        """Return the bytes of a value; none where it is missing, empty, or a sequence."""
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        if tag not in self.dataset:
            return b""
        value = self.dataset.get_item(tag).value
        return value if isinstance(value, bytes) else b""

    def text(self, keyword: str) -> str:
        """Return a value as text, in the file's own characters, padding left out."""
        raw, encodings = self.raw(keyword), self._encodings()
        if b"\x1b" in raw and len(encodings) > 1:
            try:
                return decode_bytes(raw, encodings, _SPLITS).strip(" \0")
            except Exception:  # escape sequences that are none make pydicom raise nearly anything
                return raw.decode("ascii", "replace").strip(" \0")
        return raw.decode(encodings[0], "replace").strip(" \0")

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an element that may have several."""
        text = self.text(keyword)
        return tuple(part.strip() for part in text.split("\\")) if text else ()

    def integers(self, keyword: str) -> tuple[int, ...]:
        """Return the values of an element of 16-bit integers."""
        raw = self.raw(keyword)
        tag = tag_for_keyword(keyword)
        assert tag is not None
        little = not raw or getattr(self.dataset.get_item(tag), "is_little_endian", True)
        count = len(raw) // 2
        return struct.unpack(f"{'<' if little else '>'}{count}H", raw[: 2 * count])

    def integer(self, keyword: str, default: int | None = None) -> int:
        """Return a 16-bit integer.

        Raises:
            ValueError: It is missing and there is no default.
        """
        if values := self.integers(keyword):
            return values[0]
        if default is None:
            raise ValueError(f"{keyword} is missing")
        return default

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the values of an element of decimal texts; none where one is no number."""
        try:
            found = tuple(float(part) for part in self.texts(keyword))
        except ValueError:
            return ()
        return found if all(math.isfinite(number) for number in found) else ()

    def items(self, keyword: str) -> list[Header]:
        """Return the items of a sequence; none where it is missing or empty."""
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        items = self.dataset[tag].value if tag in self.dataset else None
        return [Header(item) for item in items or ()]

    def first(self, *path: str) -> Header | None:
        """Return the first item of a sequence, or of one within it, and so on."""
        here = self
        for keyword in path:
            items = here.items(keyword)
            if not items:
                return None
            here = items[0]
        return here

    def _encodings(self) -> list[str]:
        """Return Python's names of the file's character sets; Latin-1 for one that is unknown."""
        terms = self.raw("SpecificCharacterSet").decode("ascii", "replace").split("\\")
        return [python_encoding.get(term.strip(" \0"), "latin_1") for term in terms]


@dataclass(frozen=True, eq=False)
class Parsed:
    """A DICOM file, its pixels not yet looked at.

    Attributes:
        header: What stands before the pixels.
        transfer_syntax: How the pixels are written.
        storage_class: What the file holds, a SOP class.
        pixels: The bytes of the pixel data; where they are encapsulated, to the end of the file.
        is_encapsulated: Whether they are a sequence of compressed fragments.
        are_words: Whether they lie in words of 16 bits, which big endian turns round.
    """

    header: Header
    transfer_syntax: str
    storage_class: str
    pixels: memoryview = field(repr=False)
    is_encapsulated: bool
    are_words: bool


def parse(file: FileBytes, limit: int) -> Parsed:
    """Read the elements of a DICOM file up to its pixels.

    Args:
        file: What it holds.
        limit: The most bytes that a deflated file may unpack to.

    Raises:
        ImageError: It is cut short or damaged, unpacks to more, or its header has over 16 MiB.
    """
    try:
        start = heads.read_head(file.data[: heads.HEAD_BYTES])
        syntax, body = start.transfer_syntax, memoryview(file.data)[start.start :]
        if syntax == heads.DEFLATED:
            body = memoryview(_inflate(body, limit, file.name))
        implicit, little = syntax == heads.IMPLICIT_LITTLE, syntax != heads.EXPLICIT_BIG
        stream = io.BytesIO(body[:_LARGEST_HEADER])
        dataset = read_dataset(stream, implicit, little, stop_when=_is_past_header)
        at = stream.tell()
    except ImageError:
        raise
    except Exception as error:  # damaged elements make pydicom raise nearly anything
        raise ImageError(
            f"{file.name} is a DICOM file that is cut short or damaged ({type(error).__name__}). "
            "Export it again."
        ) from error
    header = Header(dataset)
    is_encapsulated, pixels = _pixels(body[at:], implicit=implicit, little=little)
    if pixels is None and len(body) > _LARGEST_HEADER and at >= _LARGEST_HEADER:
        raise ImageError(
            f"{file.name} has more than {_LARGEST_HEADER} bytes before its picture. Export it "
            "without the maker's private elements."
        )
    return Parsed(
        header,
        syntax,
        header.text("SOPClassUID") or start.storage_class,
        memoryview(b"") if pixels is None else pixels,
        is_encapsulated,
        implicit or bytes(body[at + 4 : at + 6]) == b"OW",
    )


def name_of(uid: str) -> str:
    """Return what the standard calls a UID, with no word on one that is malformed."""
    return UID(uid, config.IGNORE).name if uid else "of no stated kind"


def _is_past_header(tag: BaseTag, kind: str | None, length: int) -> bool:
    return bool(tag >= _PIXELS)


def _pixels(rest: memoryview, *, implicit: bool, little: bool) -> tuple[bool, memoryview | None]:
    """Return whether the pixel data are encapsulated, and their bytes; None if there are none."""
    order = "<" if little else ">"
    if bytes(rest[:4]) != struct.pack(f"{order}HH", _PIXELS >> 16, _PIXELS & 0xFFFF):
        return False, None
    at = 4 if implicit or bytes(rest[4:6]) not in {b"OB", b"OW", b"UN"} else 8
    if len(rest) < at + 4:
        return False, None
    (length,) = struct.unpack_from(f"{order}I", rest, at)
    value = rest[at + 4 :]
    return (True, value) if length == _UNDEFINED else (False, value[:length])


def _inflate(data: memoryview, limit: int, name: str) -> bytes:
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit + 1)
    if len(unpacked) > limit:
        raise ImageError(
            f"{name} unpacks to more than {limit} bytes. Export it uncompressed, or raise "
            "max_pixels if you trust it."
        )
    return unpacked
