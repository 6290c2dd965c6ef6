"""What every data set reader returns, and how a mask file becomes pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""File suffixes, in lower case, that count as an image or a mask; other files are passed over."""


@dataclass(frozen=True)
class Sample:
    """One photograph and the mask files of its lesions. Nothing is opened until it is asked for.

    Attributes:
        name: Unique in its data set: the stem of the image file.
        image: The photograph.
        masks: Lesion catalog name to mask file. ``None`` is a lesion that was annotated and is
            absent (its mask is all zero); a lesion that is not a key was not annotated.
    """

    name: str
    image: Path
    masks: Mapping[str, Path | None]


def read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a lesion mask.

    Palette and 1-bit files: any index above 0 is lesion. Grey files of 0 and 1: 1 is lesion. Other
    grey files: 128 and above. Colour files: as grey, on the largest of red, green and blue. Alpha
    never counts: there are published masks whose alpha is 255 everywhere.

    Args:
        path: The mask file.
        size: Height and width of the photograph, in pixels.

    Returns:
        ``(H, W)`` bool, true on the lesion.

    Raises:
        DataError: The file is missing or corrupt, is of another size than its photograph, or has
            pixels that are neither 0/1 nor 0/255.
    """
    try:
        with Image.open(path) as file:
            mode, (width, height) = file.mode, file.size
            pixels = np.asarray(file)
    except FileNotFoundError as error:
        raise DataError(f"There is no mask file {path}.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"The mask {path} cannot be read ({error}). Copy it anew from its source."
        ) from error
    if (height, width) != tuple(size):
        raise DataError(
            f"The mask {path} is {height} x {width} pixels (height x width), its photograph "
            f"{size[0]} x {size[1]}. Put the mask that was drawn on this very photograph here."
        )
    return _lesion_pixels(pixels, mode, path)


def _lesion_pixels(pixels: NDArray[Any], mode: str, path: Path) -> NDArray[np.bool_]:
    """Which pixels of a decoded file of Pillow's ``mode`` are lesion."""
    if mode in {"1", "P", "PA"}:
        return np.asarray((pixels[..., 0] if mode == "PA" else pixels) > 0)
    if mode in {"L", "LA", "RGB", "RGBA", "RGBX"}:
        channels = pixels.reshape(*pixels.shape[:2], -1)
        grey = channels[..., : 1 if mode in {"L", "LA"} else 3].max(axis=-1)
        highest = int(grey.max(initial=0))
        if 1 < highest < 128:
            # As 0/255 it would silently be an empty mask: more likely a label map.
            raise DataError(
                f"The mask {path} has values up to {highest}: neither 0/1 nor 0/255. Save one file "
                "per lesion, with 255 on the lesion and 0 elsewhere."
            )
        return np.asarray(grey >= (1 if highest == 1 else 128))
    raise DataError(
        f"The mask {path} has pixels of mode {mode!r}. Save it as an 8-bit grey image, with 255 on "
        "the lesion and 0 elsewhere."
    )


def files_by_stem(folder: Path) -> dict[str, Path]:
    """Images (or masks) right in a folder, by their name without suffix, in the order of the names.

    Hidden files and files that are not images are passed over.

    Raises:
        DataError: The folder is missing or has no image, or two images have the same stem.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Complete the data set or correct its path.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.stem in found:
            raise DataError(
                f"Two files in {folder} share one stem: {found[path.stem].name} and {path.name}. "
                "Rename or remove one, so that it is clear which mask belongs to which image."
            )
        found[path.stem] = path
    if not found:
        raise DataError(
            f"There is no image in {folder}. Known suffixes: {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return found


def refuse_orphans(folder: Path, masks: Iterable[str], expected: Iterable[str]) -> None:
    """Make sure that every mask belongs to an image.

    Args:
        folder: Where the masks are, for the message.
        masks: Stems of the masks found.
        expected: Stems of the masks that would belong to an image.

    Raises:
        DataError: Some mask belongs to no image.
    """
    orphans = sorted(set(masks) - set(expected))
    if orphans:
        some = ", ".join(orphans[:5]) + (", ..." if len(orphans) > 5 else "")
        raise DataError(
            f"{len(orphans)} mask(s) in {folder} belong to no image: {some}. Add the images, or "
            "rename or remove these masks."
        )


def read_lesion_free(folder: Path, lesions: Iterable[str]) -> list[Sample]:
    """Photographs of eyes without retinopathy: every lesion annotated and absent.

    Args:
        folder: Holds the photographs, with no folder in between.
        lesions: Catalog names of the lesions that are known to be absent.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: The folder is missing or has no image, or two images have the same stem.
    """
    absent = tuple(lesions)
    return [
        Sample(name, image, dict.fromkeys(absent))
        for name, image in sorted(files_by_stem(Path(folder)).items())
    ]


def hold_out(samples: Sequence[Sample], every: int = 5) -> tuple[list[Sample], list[Sample]]:
    """Split samples into training and validation, the same way in every run.

    Sorted by name, the samples 0, ``every``, 2 ``every``, ... are for validation: 11 of IDRiD's 54.

    Args:
        samples: In any order.
        every: One in how many is held out, 2 or more.

    Returns:
        Training samples and validation samples, both sorted by name.

    Raises:
        DataError: ``every`` is below 2.
    """
    if every < 2:
        raise DataError(f"every={every} leaves no sample to train on. Use 2 or more.")
    ordered = sorted(samples, key=lambda sample: sample.name)
    training = [sample for index, sample in enumerate(ordered) if index % every]
    return training, ordered[::every]
