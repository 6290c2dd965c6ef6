"""The photograph that results are about: its patient, its study, and how it is referred to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pydicom.valuerep import validate_value

from tp_drseg.errors import ImageError
from tp_drseg.images import MAX_PIXELS, Acquisition, file_limit
from tp_drseg.images.dicom.acquisition import acquisition_of
from tp_drseg.images.dicom.head import is_dicom
from tp_drseg.images.dicom.header import Header, parse
from tp_drseg.images.dicom.read import check_kind
from tp_drseg.images.source import FileBytes

_PATIENT: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY: Final = ("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber")
_IF_THERE: Final = ("IssuerOfPatientID", "StudyDescription", "PatientAge")
_SEXES: Final = {"M", "F", "O"}


@dataclass(frozen=True, eq=False)
class DicomSource:
    """What results need of a photograph's file; its pixels are not kept.

    Attributes:
        height: In px.
        width: In px.
        study: UID of its study.
        series: UID of its series.
        sop_class: What it is.
        sop_instance: Its own UID.
        acquisition: Eye, pixel spacing and camera.
        identity: Patient and study, in UTF-8. It names the patient: write it into DICOM alone.
    """

    height: int
    width: int
    study: str
    series: str
    sop_class: str
    sop_instance: str
    acquisition: Acquisition
    identity: Dataset = field(repr=False)

    def reference(self) -> Dataset:
        """Return what highdicom needs of a source, without the patient."""
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = self.sop_class, self.sop_instance
        image.StudyInstanceUID, image.SeriesInstanceUID = self.study, self.series
        image.Rows, image.Columns = self.height, self.width
        image.PatientID = image.PatientName = image.PatientBirthDate = image.PatientSex = ""
        image.AccessionNumber = image.StudyID = image.ReferringPhysicianName = ""
        image.StudyDate = image.StudyTime = None
        image.Modality, image.SeriesNumber, image.InstanceNumber = "OP", 1, 1
        return image

    def stamp(self, dataset: Dataset) -> None:
        """Put patient and study into a result."""
        dataset.SpecificCharacterSet = "ISO_IR 192"
        for element in self.identity:
            dataset[element.tag] = element


def read_source_header(file: FileBytes) -> DicomSource:
    """Read what results need of a photograph's DICOM file.

    Args:
        file: What it holds.

    Raises:
        ImageError: It is no DICOM file, no photograph, damaged, or has no UIDs to refer to.
    """
    if not is_dicom(file.data[:132]):
        raise ImageError(
            f"{file.name} is no DICOM file, and results as DICOM belong into the study of one. "
            "Make it one first, such as with dcmtk's `img2dcm`, or ask for no DICOM."
        )
    parsed = parse(file, file_limit(MAX_PIXELS))
    kind, header = check_kind(parsed, file.name), parsed.header
    uids = [
        header.text(keyword)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    ]
    if not all(UID(uid, config.IGNORE).is_valid for uid in uids):
        raise ImageError(
            f"{file.name} lacks a valid UID of its study, series or picture, and results could not "
            "refer to it. Export it again."
        )
    study, series, instance = uids
    return DicomSource(
        header.integer("Rows"),
        header.integer("Columns"),
        study,
        series,
        parsed.storage_class,
        instance,
        acquisition_of(header, kind),
        _identity(header, study),
    )


def _identity(header: Header, study: str) -> Dataset:
    """Return patient and study; a value that is not valid in DICOM is left empty."""
    identity = Dataset()
    identity.StudyInstanceUID = study
    for keyword in (*_PATIENT, *_STUDY, *_IF_THERE):
        value = _valid(keyword, header.text(keyword))
        if value or keyword not in _IF_THERE:
            setattr(identity, keyword, value)
    return identity


def _valid(keyword: str, value: str) -> str:
    if keyword == "PatientSex" and value not in _SEXES:
        return ""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    try:
        validate_value(dictionary_VR(tag), value, config.RAISE)
    except ValueError:
        return ""
    return value
