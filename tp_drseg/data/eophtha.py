"""e-ophtha: e-ophtha-EX (exudates) and e-ophtha-MA (microaneurysms).

Decencière et al., "TeleOphta: Machine learning and image processing methods for teleophthalmology",
IRBM 34(2), 2013. 47 photographs with and 35 without exudates, 148 with and 233 without
microaneurysms or other small red lesions, in a folder per exam.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from tp_drseg._runtime.names import NameMap, name_key
from tp_drseg.data.files import (
    files_by_stem,
    find_home,
    is_folder,
    no_folder,
    refuse,
    some,
    subfolders,
)
from tp_drseg.data.masks import MaskFile
from tp_drseg.data.matching import Spellings, known_classes
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

logger = logging.getLogger(__name__)

_CLASSES: dict[Spellings, str] = {("hard exudate",): "EX", ("microaneurysm",): "MA"}


def read_eophtha(root: Path, catalog: LesionCatalog | None = None) -> list[Sample]:
    """List the photographs and masks of e-ophtha, which has no official split.

    A photograph is annotated for the lesion of the part that it is in alone; one that is in both
    parts, by exam and file name, is one sample with both. A part that is not there is left out,
    and a warning is logged.

    Args:
        root: The folder that holds ``e_optha_EX`` and ``e_optha_MA``, or one above it, or one of
            the two.
        catalog: Whose lesions are listed; those of the packaged catalog by default.

    Returns:
        One sample per photograph, named ``<exam>_<stem>`` and sorted by name.

    Raises:
        DataError: Both parts are missing, a part lacks a folder, a photograph in ``EX`` or ``MA``
            has no mask or several, a mask belongs to no photograph, or a photograph is both with
            and without the lesion.
        LesionError: The catalog knows neither lesion.
    """
    root = Path(root)
    classes = known_classes(_CLASSES, catalog or LesionCatalog.default(), "e-ophtha")
    images: dict[str, Path] = {}
    masks: dict[str, dict[str, MaskFile | None]] = {}
    problems: list[str] = []
    for lesion, home in _parts(root, classes).items():
        for name, image, mask in _photographs(home, classes[lesion], problems):
            images.setdefault(name, image)
            masks.setdefault(name, {})[lesion] = mask
    refuse(problems)
    return [Sample(name, images[name], masks[name]) for name in sorted(images)]


def _parts(root: Path, classes: dict[str, str]) -> dict[str, Path]:
    """Lesion to the folder that holds its annotations."""
    homes: dict[str, Path] = {}
    missing: list[str] = []
    for lesion, code in classes.items():
        try:
            homes[lesion] = find_home(root, f"Annotation_{code}", f"e-ophtha-{code}")
        except DataError as error:
            missing.append(str(error))
    if not homes:
        refuse(missing)
    for problem in missing:
        logger.warning("%s Going on without this part.", problem)
    return homes


def _photographs(
    home: Path, code: str, problems: list[str]
) -> Iterator[tuple[str, Path, MaskFile | None]]:
    """Name, image and mask of each photograph of a part; adds to the problems."""
    annotations = home / f"Annotation_{code}"
    for folder in (home / code, annotations):
        if not is_folder(folder):
            problems.append(str(no_folder(folder)))
            return
    if not is_folder(home / "healthy"):
        logger.warning("%s has no folder 'healthy': photographs without lesions are left out", home)
    with_lesion: set[str] = set()
    shown, drawn = (
        NameMap((folder.name, folder) for folder in subfolders(part))
        for part in (home / code, annotations)
    )
    for exam in sorted(NameMap([*drawn.items(), *shown.items()])):
        photographs = _files(shown.get(exam), problems)
        found = _files(drawn.get(exam), problems)
        for stem, image in photographs.items():
            names = (stem, f"{stem}_{code}")
            mine = [found[name] for name in names if name in found]
            found = found.without(names)
            if len(mine) == 1:
                with_lesion.add(name_key(f"{exam}_{stem}"))
                yield f"{exam}_{stem}", image, MaskFile(mine[0])
            else:
                problems.append(
                    f"{image} has {len(mine) or 'no'} masks in {annotations / exam}, where one is "
                    "needed. Copy that folder anew from its source."
                )
        if found:
            problems.append(
                f"{len(found)} mask(s) in {annotations / exam} belong to no image in "
                f"{home / code / exam}: {some(found)}. Add the images, or remove these masks."
            )
    if not with_lesion:
        problems.append(f"There is no photograph with a mask in {home / code}/<exam>.")
    for folder in subfolders(home / "healthy") if is_folder(home / "healthy") else ():
        for stem, image in _files(folder, problems).items():
            if name_key(f"{folder.name}_{stem}") in with_lesion:
                problems.append(
                    f"{image} is in {home / code / folder.name} too: it cannot be both with and "
                    "without the lesion. Remove one."
                )
            else:
                yield f"{folder.name}_{stem}", image, None


def _files(folder: Path | None, problems: list[str]) -> NameMap[Path]:
    if folder is None:
        return NameMap()
    try:
        return files_by_stem(folder, may_be_empty=True)
    except DataError as error:
        problems.append(str(error))
        return NameMap()
