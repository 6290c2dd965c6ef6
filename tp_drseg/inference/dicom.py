"""The answers for one photograph as DICOM files."""

from __future__ import annotations

from collections.abc import Sequence

from tp_drseg._runtime.version import __version__
from tp_drseg.errors import ImageError
from tp_drseg.export.dicom.concepts import Measurement
from tp_drseg.export.dicom.findings import Finding, Findings
from tp_drseg.export.dicom.seg import SegmentationType
from tp_drseg.export.dicom.source import DicomSource
from tp_drseg.export.dicom.write import encode_findings
from tp_drseg.inference.results import Segmentations


def encode_dicom(
    results: Segmentations,
    source: DicomSource,
    *,
    kind: SegmentationType = "binary",
    measurements: Sequence[Measurement] = (),
) -> dict[str, bytes]:
    """Return segmentation, report and capture, by the ending of their file's name.

    Args:
        results: What was found in the photograph.
        source: Its own file's header.
        kind: ``"binary"`` for the masks, ``"fractional"`` for the probabilities.
        measurements: Further numbers, of the photograph as a whole.

    Raises:
        ImageError: The results are of a photograph of another size.
    """
    first = results[0]
    if first.mask.shape != (source.height, source.width):
        height, width = first.mask.shape
        raise ImageError(
            f"The results are of {width}x{height} px, and the DICOM file has {source.width}x"
            f"{source.height} px. Give the file of the photograph that was segmented."
        )
    return encode_findings(
        Findings(
            lesions=[
                Finding(
                    lesion=result.lesion,
                    abbreviation=result.abbreviation,
                    text=result.text,
                    threshold=result.threshold,
                    mask=result.mask,
                    probability=result.probability,
                    regions=len(result.regions),
                    area_percent=result.area_percent,
                )
                for result in results
            ],
            image=first.image,
            source=source,
            model=first.origin.model_id,
            revision=first.origin.revision or "",
            software=__version__,
            measurements=measurements,
        ),
        kind,
    )
