"""How a mask file becomes pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.errors import DataError, ImageError
from tp_drseg.images import MAX_PIXELS, decode_labels

_BRIGHT = 128  # of 255: from here on a grey level is lesion


@dataclass(frozen=True)
class MaskFile:
    """A mask file and how its pixels are read.

    By default the lesion is what a viewer shows: in grey files of 0 and 1 it is at 1, in other grey
    files at 128 and above, and in colour files the same by the largest of red, green and blue.
    Palette files are read by the colours of their palette in this way; but where index 0 is black
    and others have colours, every index above 0 is lesion, however dark its colour. 1-bit files are
    lesion at 1. Alpha never counts: there are published masks whose alpha is 255 everywhere. The
    orientation that a file declares is applied, as it is to a photograph; a colour profile is not.

    Attributes:
        path: The file.
        values: For a label map: the palette indexes or grey values that are the lesion, in place
            of the default rule.
        ignored: Palette indexes or grey values that are neither lesion nor background.
        labels: For a label map: all values that the file may have; another one is an error.
            ``None`` allows any.
    """

    path: Path
    values: tuple[int, ...] | None = None
    ignored: tuple[int, ...] = ()
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class MaskPixels:
    """A decoded mask file, from which several lesions may be read.

    Attributes:
        name: What messages call the file.
        values: ``(H, W)`` uint8, palette indexes, grey values, or the largest channel of colours.
        palette: ``(256, 3)`` uint8, the colours of the indexes; None where they are no indexes.
        grey: False for a file whose channels of colour differ.
    """

    name: str
    values: NDArray[np.uint8]
    palette: NDArray[np.uint8] | None
    grey: bool

    @classmethod
    def read(cls, path: Path, size: tuple[int, int]) -> MaskPixels:
        """Decode a file; the errors are those of :func:`read_mask`."""
        try:
            found = decode_labels(path, size, max_pixels=max(MAX_PIXELS, size[0] * size[1]))
        except ImageError as error:
            raise DataError(str(error)) from error
        if found.mode in {"1", "P", "PA"}:
            indexes = found.pixels[..., 0] if found.pixels.ndim == 3 else found.pixels
            values = indexes.astype(np.uint8, copy=False)
            return cls(found.name, values, found.palette, grey=True)
        if found.mode in {"L", "LA", "RGB", "RGBA", "RGBX"}:
            colours = 1 if found.mode in {"L", "LA"} else 3
            channels = found.pixels.reshape(*size, -1)[..., :colours]
            highest = channels.max(axis=-1)
            grey = colours == 1 or bool((channels.min(axis=-1) == highest).all())
            return cls(found.name, highest, None, grey=grey)
        raise DataError(
            f"{found.name} has pixels of mode {found.mode!r}. Save it as an 8-bit grey image, with "
            "255 on the lesion and 0 elsewhere."
        )

    def lesion(self, mask: MaskFile) -> NDArray[np.bool_]:
        """Return the lesion's pixels, ``(H, W)``; the errors are those of :func:`read_mask`."""
        ignored = self.ignored(mask)
        if mask.values is not None:
            self._check_labels(mask)
            return self._is_one_of(mask.values) & ~ignored
        levels = self.values if self.palette is None else self._shown(self.palette)
        if levels is None:
            return (self.values > 0) & ~ignored
        if mask.ignored:
            levels = np.where(ignored, 0, levels).astype(np.uint8)
        highest = int(levels.max(initial=0))
        if 1 < highest < _BRIGHT:
            # As 0/255 it would silently be an empty mask: more likely a label map.
            raise DataError(
                f"{self.name} has values up to {highest}: neither 0/1 nor 0/255. Save one file per "
                "lesion, with 255 on the lesion and 0 elsewhere."
            )
        return np.asarray(levels >= (1 if highest == 1 else _BRIGHT))

    def ignored(self, mask: MaskFile) -> NDArray[np.bool_]:
        """Return the pixels that are neither lesion nor background, ``(H, W)``."""
        return self._is_one_of(mask.ignored)

    def _shown(self, palette: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """Return the largest channel of each pixel's colour; None where the indexes are labels."""
        used = palette[self._used()]
        if len(used) > 1 and (used == used[0]).all():
            return None  # a palette of one colour says nothing
        if not palette[0].any() and (used.min(axis=1) != used.max(axis=1)).any():
            return None  # labels in colours on black
        levels = palette.max(axis=1)
        if len(used) > 1 and used.max(axis=1).min() >= _BRIGHT:
            raise DataError(
                f"{self.name} has a palette without a dark colour: which index is the background "
                "cannot be told. Save it as a grey image, with 255 on the lesion and 0 elsewhere."
            )
        shown: NDArray[np.uint8] = levels[self.values]
        return shown

    def _used(self) -> list[int]:
        """Return the values that occur, rising."""
        counts = Image.fromarray(self.values).histogram()  # NumPy's takes eight times the memory
        return [value for value, count in enumerate(counts) if count]

    def _is_one_of(self, values: Iterable[int]) -> NDArray[np.bool_]:
        found = np.zeros(self.values.shape, dtype=bool)
        for value in values:
            found |= self.values == value
        return found

    def _check_labels(self, mask: MaskFile) -> None:
        if not self.grey:
            raise DataError(
                f"{self.name} is in colour; a palette or grey file is needed to tell its labels. "
                "Copy it anew from its source."
            )
        if mask.labels is None:
            return
        unknown = [value for value in self._used() if value not in mask.labels]
        if unknown:
            some = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
            raise DataError(
                f"{self.name} has the values {some}; only {', '.join(map(str, mask.labels))} have "
                "a meaning. Copy it anew from its source."
            )


def read_mask(mask: MaskFile | Path | None, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a lesion mask; :class:`MaskFile` says by which rule.

    Args:
        mask: The mask file; a path is read by the default rule, ``None`` is a lesion that is
            absent.
        size: Height and width of the photograph as it is shown, in pixels. A mask of another size
            is refused before memory is taken for it.

    Returns:
        ``(H, W)`` bool, true on the lesion.

    Raises:
        DataError: The file is missing or corrupt, is of another size than its photograph, or has
            pixels that are neither 0/1 nor 0/255 (or, in a label map, no known label).
    """
    if mask is None:
        return np.zeros(size, dtype=bool)
    mask = mask if isinstance(mask, MaskFile) else MaskFile(Path(mask))
    return MaskPixels.read(mask.path, size).lesion(mask)


def read_ignored(mask: MaskFile | Path | None, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Read which pixels are neither lesion nor background: they should count for nothing.

    Args:
        mask: As for :func:`read_mask`.
        size: Height and width of the photograph, in pixels.

    Returns:
        ``(H, W)`` bool, all false for a mask that ignores nothing.

    Raises:
        DataError: The file is missing or corrupt, or is of another size than its photograph.
    """
    if not isinstance(mask, MaskFile) or not mask.ignored:
        return np.zeros(size, dtype=bool)
    return MaskPixels.read(mask.path, size).ignored(mask)
