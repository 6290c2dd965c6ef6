"""How a mask file becomes pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.errors import DataError


@dataclass(frozen=True)
class MaskFile:
    """A mask file and how its pixels are read.

    By default palette and 1-bit files are lesion at any index above 0, grey files of 0 and 1 at 1,
    and other grey files at 128 and above. Colour files are read as grey, on the largest of red,
    green and blue. Alpha never counts: there are published masks whose alpha is 255 everywhere.

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


@dataclass(frozen=True)
class MaskPixels:
    """A decoded mask file, from which several lesions may be read.

    Attributes:
        path: The file, for messages.
        values: ``(H, W)`` uint8, palette indexes or grey values.
        indexed: Whether they are indexes.
        grey: False for a file whose channels of colour differ.
    """

    path: Path
    values: NDArray[np.uint8]
    indexed: bool
    grey: bool

    @classmethod
    def read(cls, path: Path, size: tuple[int, int]) -> MaskPixels:
        """Decode a file; the errors are those of :func:`read_mask`."""
        try:
            with Image.open(path) as file:
                mode, (width, height) = file.mode, file.size
                pixels = np.asarray(file)
        except FileNotFoundError as error:
            raise DataError(f"There is no mask file {path}.") from error
        except Exception as error:  # damaged data makes Pillow's decoders raise nearly anything
            raise DataError(
                f"The mask {path} cannot be read ({error}). Copy it anew from its source."
            ) from error
        if (height, width) != tuple(size):
            raise DataError(
                f"The mask {path} is {height} x {width} pixels (height x width), its photograph "
                f"{size[0]} x {size[1]}. Put the mask that was drawn on this very photograph here."
            )
        if mode in {"1", "P", "PA"}:
            indexes = pixels[..., 0] if mode == "PA" else pixels
            return cls(path, indexes.astype(np.uint8, copy=False), indexed=True, grey=True)
        if mode in {"L", "LA", "RGB", "RGBA", "RGBX"}:
            channels = pixels.reshape(height, width, -1)[..., : 1 if mode in {"L", "LA"} else 3]
            highest = channels.max(axis=-1)
            grey = channels.shape[-1] == 1 or bool((channels.min(axis=-1) == highest).all())
            return cls(path, highest, indexed=False, grey=grey)
        raise DataError(
            f"The mask {path} has pixels of mode {mode!r}. Save it as an 8-bit grey image, with "
            "255 on the lesion and 0 elsewhere."
        )

    def lesion(self, mask: MaskFile) -> NDArray[np.bool_]:
        """The lesion's pixels, ``(H, W)``; the errors are those of :func:`read_mask`."""
        if mask.values is not None:
            self._check_labels(mask)
            return self._is_one_of(mask.values) & ~self.ignored(mask)
        values = np.where(self.ignored(mask), 0, self.values) if mask.ignored else self.values
        if self.indexed:
            return np.asarray(values > 0)
        highest = int(values.max(initial=0))
        if 1 < highest < 128:
            # As 0/255 it would silently be an empty mask: more likely a label map.
            raise DataError(
                f"The mask {self.path} has values up to {highest}: neither 0/1 nor 0/255. Save one "
                "file per lesion, with 255 on the lesion and 0 elsewhere."
            )
        return np.asarray(values >= (1 if highest == 1 else 128))

    def ignored(self, mask: MaskFile) -> NDArray[np.bool_]:
        """The pixels that are neither lesion nor background, ``(H, W)``."""
        return self._is_one_of(mask.ignored)

    def _is_one_of(self, values: Iterable[int]) -> NDArray[np.bool_]:
        found = np.zeros(self.values.shape, dtype=bool)
        for value in values:
            found |= self.values == value
        return found

    def _check_labels(self, mask: MaskFile) -> None:
        if not self.grey:
            raise DataError(
                f"The mask {self.path} is in colour; a palette or grey file is needed to tell its "
                "labels. Copy it anew from its source."
            )
        if mask.labels is None:
            return
        counts = Image.fromarray(self.values).histogram()
        unknown = [value for value, n in enumerate(counts) if n and value not in mask.labels]
        if unknown:
            some = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
            raise DataError(
                f"The mask {self.path} has the values {some}; only "
                f"{', '.join(map(str, mask.labels))} have a meaning. Copy it anew from its source."
            )


def read_mask(mask: MaskFile | Path | None, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a lesion mask; :class:`MaskFile` says by which rule.

    Args:
        mask: The mask file; a path is read by the default rule, ``None`` is a lesion that is
            absent.
        size: Height and width of the photograph, in pixels.

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
