"""A structured report (TID 1500): the numbers of each lesion, beside the segment that they are of.

Validators that look at an image reference alone object that a frame and a segment are named
together in it; TID 1410's "Referenced Segmentation Frame" asks for both.
"""

from __future__ import annotations

from typing import Final

import highdicom
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from tp_drseg.export.dicom.concepts import ABNORMAL_STRUCTURE, EYES, RETINA, Measurement
from tp_drseg.export.dicom.equipment import (
    ALGORITHM,
    coded,
    equipment,
    name_private_scheme,
    parameters,
)
from tp_drseg.export.dicom.findings import Finding, Findings

SERIES_NUMBER: Final = 9002


def report(findings: Findings, segmentation: Dataset) -> Dataset:
    """Return the report of a photograph.

    Args:
        findings: What was found.
        segmentation: Of the same findings; its frames and segments are referred to.
    """
    groups: list[sr.PlanarROIMeasurementsAndQualitativeEvaluations] = [
        _of_lesion(findings, number, one, segmentation)
        for number, one in enumerate(findings.lesions, 1)
    ]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(findings)),
        procedure_reported=codes.DCM.OphthalmicPhotography,
        imaging_measurements=[*groups, *_of_photograph(findings)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    result = highdicom.sr.EnhancedSR(
        evidence=[findings.source.reference(), segmentation],
        content=content[0],
        series_instance_uid=findings.uid("report series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=findings.uid("report"),
        instance_number=1,
        series_description="TP-DRSeg measurements, for research",
        **equipment(findings),
    )
    name_private_scheme(result)
    findings.source.stamp(result)
    return result


def _observer(findings: Findings) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=findings.uid("observer"),
            name=ALGORITHM,
            manufacturer_name=equipment(findings)["manufacturer"],
            model_name=equipment(findings)["manufacturer_model_name"],
        ),
    )


def _site(findings: Findings) -> sr.FindingSite:
    eye = findings.source.acquisition.laterality
    return sr.FindingSite(
        anatomic_location=coded(RETINA),
        laterality=None if eye is None else coded(EYES[eye]),
    )


def _measured(measurements: list[Measurement]) -> list[sr.Measurement]:
    return [sr.Measurement(coded(name), value, coded(unit)) for name, value, unit in measurements]


def _of_lesion(
    findings: Findings, number: int, finding: Finding, segmentation: Dataset
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    source = findings.source
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=findings.uid(f"lesion {number}"), identifier=finding.lesion
        ),
        referenced_segment=sr.ReferencedSegmentationFrame(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            frame_number=number,  # each segment has one frame, in order
            segment_number=number,
            source_image=sr.SourceImageForSegmentation(source.sop_class, source.sop_instance),
        ),
        finding_type=coded(finding.concept),
        finding_category=coded(ABNORMAL_STRUCTURE),
        finding_sites=[_site(findings)],
        algorithm_id=sr.AlgorithmIdentification(
            name=ALGORITHM,
            version=findings.software,
            parameters=[f"{key}={value}" for key, value in parameters(findings, finding).items()],
        ),
        measurements=_measured(finding.measurements(source.acquisition.pixel_mm2)),
    )


def _of_photograph(findings: Findings) -> list[sr.MeasurementsAndQualitativeEvaluations]:
    if not findings.measurements:
        return []
    source = findings.source
    return [
        sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(
                uid=findings.uid("photograph"), identifier="photograph"
            ),
            source_images=[
                sr.SourceImageForMeasurementGroup(source.sop_class, source.sop_instance)
            ],
            finding_type=coded(RETINA),
            finding_sites=[_site(findings)],
            measurements=_measured(list(findings.measurements)),
        )
    ]
