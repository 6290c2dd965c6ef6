"""The three DICOM files of one photograph, as bytes."""

from __future__ import annotations

import io

from pydicom.dataset import Dataset

from tp_drseg.export.dicom.capture import capture
from tp_drseg.export.dicom.findings import Findings
from tp_drseg.export.dicom.seg import SegmentationType, segmentation
from tp_drseg.export.dicom.sr import report


def encode_findings(findings: Findings, kind: SegmentationType = "binary") -> dict[str, bytes]:
    """Return segmentation, report and capture of a photograph by the ending of their file's name.

    Args:
        findings: What was found.
        kind: Of the segmentation.
    """
    segments = segmentation(findings, kind)
    return {
        ".seg.dcm": _bytes(segments),
        ".sr.dcm": _bytes(report(findings, segments)),
        ".capture.dcm": _bytes(capture(findings)),
    }


def _bytes(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
