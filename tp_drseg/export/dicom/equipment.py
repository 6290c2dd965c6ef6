"""Who made a result, in every kind of result alike."""

from __future__ import annotations

from typing import Final, TypedDict

import highdicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from tp_drseg.export.dicom.concepts import PRIVATE_SCHEME, Concept
from tp_drseg.export.dicom.findings import Finding, Findings
from tp_drseg.images.dicom.read import RESULT_MODEL

MANUFACTURER: Final = "The tp-drseg developers"
ALGORITHM: Final = "TP-DRSeg"
ALGORITHM_FAMILY: Final = codes.DCM.ArtificialIntelligence
SERIAL_NUMBER: Final = "0"  # required, and a program has none


class Equipment(TypedDict):
    """What highdicom asks for about the maker."""

    manufacturer: str
    manufacturer_model_name: str
    software_versions: str
    device_serial_number: str


def equipment(findings: Findings) -> Equipment:
    """Return who made the results."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": RESULT_MODEL,
        "software_versions": findings.software,
        "device_serial_number": SERIAL_NUMBER,
    }


def parameters(findings: Findings, finding: Finding) -> dict[str, str]:
    """Return what the algorithm was asked with."""
    return {
        "model": findings.model,
        "revision": findings.revision or "none",
        "text": finding.text,
        "threshold": f"{finding.threshold:g}",
    }


def coded(concept: Concept) -> highdicom.sr.CodedConcept:
    """Return a concept as highdicom has it."""
    return highdicom.sr.CodedConcept(concept.value, concept.scheme, concept.meaning)


def name_private_scheme(dataset: Dataset) -> None:
    """Say whose the private codes are."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeName = "Private codes of tp-drseg, where no public code is verified"
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    dataset.CodingSchemeIdentificationSequence = [item]
