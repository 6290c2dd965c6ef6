"""A secondary capture: the overlay with its table burnt in, for archives that show no more."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage

from tp_drseg.export.colours import lesion_colour
from tp_drseg.export.dicom.concepts import Measurement
from tp_drseg.export.dicom.equipment import ALGORITHM, equipment
from tp_drseg.export.dicom.findings import RESEARCH_NOTICE, Finding, Findings
from tp_drseg.export.legend import add_legend
from tp_drseg.export.overlay import Layer, draw_layers

SERIES_NUMBER: Final = 9003


def capture(findings: Findings) -> Dataset:
    """Return the picture of a photograph with its lesions outlined; no patient's name is in it."""
    layers = [
        Layer(one.mask, lesion_colour(one.lesion), _line(findings, one)) for one in findings.lesions
    ]
    picture = add_legend(draw_layers(findings.image, layers), layers, notes=_notes(findings))
    jpeg = _jpeg(picture)
    source, result = findings.source, Dataset()
    result.SOPClassUID = SecondaryCaptureImageStorage
    result.SOPInstanceUID = findings.uid("capture")
    result.SeriesInstanceUID = findings.uid("capture series")
    result.SeriesNumber, result.InstanceNumber = SERIES_NUMBER, 1
    result.SeriesDescription = "TP-DRSeg overlay, for research"
    result.Modality, result.ConversionType = "OT", "WSD"
    result.Laterality = source.acquisition.laterality or ""
    made = equipment(findings)
    result.Manufacturer, result.ManufacturerModelName = (
        made["manufacturer"],
        made["manufacturer_model_name"],
    )
    result.SoftwareVersions = made["software_versions"]
    result.ImageType = ["DERIVED", "SECONDARY"]
    result.DerivationDescription = f"{ALGORITHM} overlay. {RESEARCH_NOTICE}"
    result.BurnedInAnnotation = "YES"
    result.PatientOrientation = list(source.acquisition.patient_orientation or ()) or None
    original = Dataset()
    original.ReferencedSOPClassUID = source.sop_class
    original.ReferencedSOPInstanceUID = source.sop_instance
    result.SourceImageSequence = [original]
    result.Rows, result.Columns = picture.height, picture.width
    result.SamplesPerPixel, result.PlanarConfiguration = 3, 0
    result.PhotometricInterpretation = "YBR_FULL_422"
    result.BitsAllocated = result.BitsStored = 8
    result.HighBit, result.PixelRepresentation = 7, 0
    result.LossyImageCompression = "01"
    result.LossyImageCompressionRatio = f"{3 * picture.width * picture.height / len(jpeg):.2f}"
    result.LossyImageCompressionMethod = "ISO_10918_1"
    result.PixelData = encapsulate([jpeg])
    result["PixelData"].VR = "OB"
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    source.stamp(result)
    return result


def _jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    # 4:2:2 is the one that every reader of secondary captures knows
    picture.save(stream, format="JPEG", quality=92, subsampling="4:2:2")
    return stream.getvalue()


def _line(findings: Findings, finding: Finding) -> str:
    numbers = finding.measurements(findings.source.acquisition.pixel_mm2)
    figures = ", ".join(_figure(one) for one in numbers)
    return f"{finding.lesion}: {figures} (probability from {finding.threshold:.3g})"


def _figure(measurement: Measurement) -> str:
    value = measurement.value
    number = f"{value:.0f}" if value == int(value) else f"{value:.3g}"
    return f"{number} {_unit(measurement.unit.value)}"


def _unit(code: str) -> str:
    return {
        "1": "regions",
        "{pixels}": "px",
        "%": "% of the field of view",
        "mm2": "mm²",
    }.get(code, code)


def _notes(findings: Findings) -> list[str]:
    revision = f", revision {findings.revision}" if findings.revision else ""
    model = f"{ALGORITHM} {findings.software}, model {findings.model}{revision}"
    more = [f"{one.name.meaning}: {_figure(one)}" for one in findings.measurements]
    return [*more, model, RESEARCH_NOTICE]
