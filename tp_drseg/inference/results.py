"""Several lesions on one photograph."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import write_bytes
from tp_drseg.anatomy import Anatomy, Measurements, measure
from tp_drseg.anatomy.columns import measurement_cells
from tp_drseg.errors import LesionError
from tp_drseg.export import Layer, add_legend, draw_layers, lesion_colour, save_picture
from tp_drseg.images import MAX_PIXELS, file_limit
from tp_drseg.images.read import DICOM_EXTRA, DICOM_PACKAGES
from tp_drseg.images.source import FileBytes, read_file
from tp_drseg.inference.result import Segmentation, to_png
from tp_drseg.lesions import LesionCatalog

_NOT_LOOKED_FOR: Final = Anatomy.unknown("Disc, fovea and eye were not looked for.")

Cell = str | int | float | None
"""One value of a table."""


@dataclass(frozen=True, eq=False)
class Segmentations:
    """The results of one photograph, in the order in which they were asked for.

    Args:
        results: One result a lesion, all of the same photograph; at least one.
        catalog: The model's lesions, by whose names and aliases a result is found.
        anatomy: Disc, fovea and eye of the photograph.
        pixel_spacing: Millimetres of the retina that a pixel covers, where the file says so.

    Raises:
        ValueError: There is no result, or they are of photographs of different size.

    Example:
        >>> from tp_drseg import TPDRSeg
        >>> model = TPDRSeg.from_pretrained()
        >>> results = model.segment_many("examples/retina_with_lesions.jpg", ["MA", "EX"])
        >>> results.names
        ('microaneurysm', 'hard exudate')
        >>> results["EX"] is results[1]
        True
    """

    results: tuple[Segmentation, ...]
    catalog: LesionCatalog
    anatomy: Anatomy = _NOT_LOOKED_FOR
    pixel_spacing: float | None = None

    def __post_init__(self) -> None:
        if not self.results:
            raise ValueError("There is no result to hold.")
        if len({result.probability.shape for result in self.results}) > 1:
            raise ValueError("The results are of photographs of different size.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the lesions, in order."""
        return tuple(result.lesion for result in self.results)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self.results)

    def __iter__(self) -> Iterator[Segmentation]:
        return iter(self.results)

    def __contains__(self, item: object) -> bool:
        if isinstance(item, str):
            return item in self.catalog and self.catalog.resolve(item).name in self._places
        return any(result is item for result in self.results)

    def __getitem__(self, key: int | str) -> Segmentation:
        """Return a result by its place, or by any name of its lesion.

        Raises:
            IndexError: There is no such place.
            LesionError: No lesion goes by that name, or it was not asked for.
        """
        if not isinstance(key, str):
            return self.results[key]
        name = self.catalog.resolve(key).name
        if name not in self._places:
            raise LesionError(
                f"{name} was not asked for; there are results of {', '.join(self.names)}."
            )
        return self.results[self._places[name]]

    def __repr__(self) -> str:
        lines = (f"  {result!r}," for result in self.results)
        return "\n".join(["Segmentations(", *lines, ")"])

    def overlay(self, *, fill: float = 0.2) -> Image.Image:
        """Draw all lesions on the photograph, with a legend below.

        Args:
            fill: Share of the colour in each lesion's tint, in [0, 1].

        Returns:
            An RGB picture, as wide as the photograph and higher by the legend.
        """
        layers = [
            Layer(
                result.mask,
                lesion_colour(result.lesion),
                f"{result.lesion}: {len(result.regions)} "
                f"region{'' if len(result.regions) == 1 else 's'}, "
                f"{result.area_percent:.2f} % of the field of view",
            )
            for result in self.results
        ]
        return add_legend(draw_layers(self.results[0].image, layers, fill=fill), layers)

    def table(self) -> list[dict[str, Cell]]:
        """Return the figures, a row a lesion, by column; what `lesions.csv` says but the image."""
        measured = self.measurements()
        rows: list[dict[str, Cell]] = []
        for result in self.results:
            row: dict[str, Cell] = dict(result.summary().row())
            row.update(measurement_cells(measured[result.lesion]))
            rows.append(row)
        return rows

    def measurements(self, *, pixel_spacing: float | None = None) -> Measurements:
        """Measure the lesions about the fovea: by quadrant, ETDRS field, distance and size.

        Lengths are in px and disc diameters; in millimetres where the pixel spacing is known.

        Args:
            pixel_spacing: Millimetres of the retina that a pixel covers; by default what the
                photograph's file says, if it does.

        Raises:
            ConfigError: The spacing is not above 0.
        """
        return measure(
            {result.lesion: result.mask for result in self.results},
            self.anatomy,
            pixel_spacing=self.pixel_spacing if pixel_spacing is None else pixel_spacing,
        )

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write each lesion's mask and the overlay of all into a folder, which is made if needed.

        Returns:
            The files written: `<abbreviation>.mask.png` for each lesion, and `overlay.jpg`.

        Raises:
            OutputError: A file cannot be written.
        """
        out = Path(folder)
        paths = [
            result.save(out / f"{self.catalog[result.lesion].file_label}.mask.png")
            for result in self.results
        ]
        return [*paths, save_picture(self.overlay(), out / "overlay.jpg")]

    def save_dicom(
        self,
        folder: str | os.PathLike[str],
        source: str | os.PathLike[str] | bytes,
        *,
        kind: Literal["binary", "fractional"] = "binary",
    ) -> list[Path]:
        """Write a DICOM segmentation, report and capture of the overlay into the source's study.

        Needs the extra `dicom`. The same answer gets the same UIDs, so that an archive that is sent
        it twice holds it once.

        Args:
            folder: Where to write; made if needed.
            source: The photograph's own DICOM file, as a path or its bytes, whose patient, study
                and picture the results refer to.
            kind: `"binary"` for the masks, `"fractional"` for the probabilities in steps of 1/255.

        Returns:
            The files written: `lesions.seg.dcm`, `lesions.sr.dcm` and `lesions.capture.dcm`.

        Raises:
            MissingExtraError: The extra is not installed.
            ImageError: The source is no photograph in DICOM, or has another size.
            OutputError: A file cannot be written.
        """
        require(DICOM_EXTRA, *DICOM_PACKAGES, "highdicom")
        from tp_drseg.export.dicom.source import read_source_header
        from tp_drseg.inference.dicom import encode_dicom

        if isinstance(source, bytes):
            file = FileBytes(source, "The photograph in memory")
        else:
            file = read_file(source, file_limit(MAX_PIXELS), what="photograph")
        files = encode_dicom(self, read_source_header(file), kind=kind)
        paths = [Path(folder) / f"lesions{ending}" for ending in files]
        for path, data in zip(paths, files.values(), strict=True):
            write_bytes(path, data)
        return paths

    def _repr_png_(self) -> bytes:
        """Show the overlay in a notebook, scaled down."""
        return to_png(self.overlay())
