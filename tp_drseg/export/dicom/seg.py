"""A DICOM segmentation: one segment a lesion, on the photograph's own pixels."""

from __future__ import annotations

from typing import Final, Literal

import highdicom
import numpy as np
from highdicom.content import AlgorithmIdentificationSequence
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from tp_drseg.export.dicom.concepts import ABNORMAL_STRUCTURE, EYES, PRIVATE_SCHEME, RETINA
from tp_drseg.export.dicom.equipment import (
    ALGORITHM,
    ALGORITHM_FAMILY,
    MANUFACTURER,
    coded,
    equipment,
    name_private_scheme,
    parameters,
)
from tp_drseg.export.dicom.findings import RESEARCH_NOTICE, Finding, Findings
from tp_drseg.images.dicom.head import MULTI_FRAME_CLASSES

SegmentationType = Literal["binary", "fractional"]
SERIES_NUMBER: Final = 9001


def segmentation(findings: Findings, kind: SegmentationType = "binary") -> Dataset:
    """Return the segmentation of a photograph.

    Every lesion has its segment and its frame, in order, one that was not found an empty one.

    Args:
        findings: What was found.
        kind: ``"binary"`` for the masks, ``"fractional"`` for the probabilities in 1/255.
    """
    masks = kind == "binary"
    values = np.stack([one.mask if masks else one.probability for one in findings.lesions], axis=-1)
    source = _as_multiframe(findings)
    result = highdicom.seg.Segmentation(
        source_images=[source],
        pixel_array=values[None],
        segmentation_type="BINARY" if masks else "FRACTIONAL",
        segment_descriptions=[
            _description(findings, number, one) for number, one in enumerate(findings.lesions, 1)
        ],
        series_instance_uid=findings.uid(f"{kind} series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=findings.uid(f"{kind} segmentation"),
        instance_number=1,
        omit_empty_frames=False,
        content_label="LESIONS",
        content_description=RESEARCH_NOTICE,
        content_creator_name=None,
        series_description=f"TP-DRSeg lesions ({kind})",
        transfer_syntax_uid=ExplicitVRLittleEndian if masks else RLELossless,
        **equipment(findings),
    )
    # made up for highdicom, which takes the photograph for an enhanced multi-frame image
    for group in result.SharedFunctionalGroupsSequence:
        if "PixelMeasuresSequence" in group:
            del group.PixelMeasuresSequence
    result.PatientOrientation = list(findings.source.acquisition.patient_orientation or ()) or None
    _refer(result, findings)
    name_private_scheme(result)
    findings.source.stamp(result)
    return result


def _as_multiframe(findings: Findings) -> Dataset:
    image = findings.source.reference()
    image.NumberOfFrames = 1
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 1
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    image.SharedFunctionalGroupsSequence = [shared]
    return image


def _description(
    findings: Findings, number: int, finding: Finding
) -> highdicom.seg.SegmentDescription:
    concept = finding.concept
    region = coded(RETINA)
    eye = findings.source.acquisition.laterality
    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=finding.lesion[:64],
        segmented_property_category=coded(ABNORMAL_STRUCTURE),
        segmented_property_type=coded(concept),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=ALGORITHM,
            family=ALGORITHM_FAMILY,
            version=findings.software,
            source=MANUFACTURER,
            parameters=parameters(findings, finding),
        ),
        anatomic_regions=[region],
    )
    if eye is not None:
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [coded(EYES[eye])]
    if concept.scheme == PRIVATE_SCHEME:
        description.SegmentDescription = "Private code: no public one is verified for this finding."
    return description


def _refer(result: Dataset, findings: Findings) -> None:
    """Let each frame name the photograph's one frame, where that is counted, and the series."""
    source = findings.source
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = (
        source.sop_class,
        source.sop_instance,
    )
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = source.series, [image]
    result.ReferencedSeriesSequence = [series]
    for frame in result.PerFrameFunctionalGroupsSequence:
        for derivation in frame.DerivationImageSequence:
            for item in derivation.SourceImageSequence:
                if findings.source.sop_class in MULTI_FRAME_CLASSES:
                    item.ReferencedFrameNumber = 1
                elif "ReferencedFrameNumber" in item:
                    del item.ReferencedFrameNumber
