"""What a model may have found, without a model."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from tests.support.dicom_files import eye, photograph, written
from tp_drseg.export.dicom.concepts import Measurement
from tp_drseg.export.dicom.findings import Finding, Findings
from tp_drseg.export.dicom.source import DicomSource, read_source_header
from tp_drseg.images import FileBytes

TEXT = "tiny, round = red | dots"


def source_of(dataset: Dataset) -> DicomSource:
    return read_source_header(FileBytes(written(dataset), "The photograph"))


def finding(lesion: str, abbreviation: str, seed: int) -> Finding:
    """Random probabilities, a tenth of the pixels above the threshold; none for seed 0."""
    probability = np.random.default_rng(seed).random((64, 80), dtype=np.float32)
    if not seed:
        probability[:] = 0
    return Finding(
        lesion=lesion,
        abbreviation=abbreviation,
        text=TEXT,
        threshold=0.9,
        mask=probability >= 0.9,
        probability=probability,
        regions=seed,
        area_percent=1.5 * seed,
    )


def findings(
    dataset: Dataset | None = None, measurements: tuple[Measurement, ...] = ()
) -> Findings:
    """Two lesions found and one not, on a photograph of a right eye."""
    return Findings(
        lesions=[
            finding("microaneurysm", "MA", 1),
            finding("haemorrhage", "HE", 2),
            finding("hard exudate", "EX", 0),
        ],
        image=eye(),
        source=source_of(photograph(eye()) if dataset is None else dataset),
        model="embedded",
        revision="r1",
        software="0.1.0",
        measurements=measurements,
    )
