"""What is written, read again by pydicom and highdicom."""

from __future__ import annotations

import io
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import VLPhotographicImageStorage

from tests.support.dicom_files import BIRTH, NAME, PATIENT, eye, photograph, written
from tests.support.findings import TEXT, findings, source_of
from tp_drseg.errors import ImageError
from tp_drseg.export.dicom import capture, concepts
from tp_drseg.export.dicom.concepts import PRIVATE_SCHEME, Concept, Measurement
from tp_drseg.export.dicom.findings import Findings
from tp_drseg.export.dicom.seg import SegmentationType
from tp_drseg.export.dicom.source import read_source_header
from tp_drseg.export.dicom.write import encode_findings
from tp_drseg.images import FileBytes, read_image

ENDINGS = (".seg.dcm", ".sr.dcm", ".capture.dcm")
NEAREST = Measurement(
    Concept("NEAREST", PRIVATE_SCHEME, "Nearest exudate"), 1.25, Concept("mm", "UCUM", "mm")
)


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def datasets(found: Findings, kind: SegmentationType = "binary") -> dict[str, Dataset]:
    return {ending: read(data) for ending, data in encode_findings(found, kind).items()}


@pytest.mark.parametrize("kind", ["binary", "fractional"])
def test_masks_come_back_bit_for_bit(kind: SegmentationType) -> None:
    found = findings()
    data = encode_findings(found, kind)[".seg.dcm"]
    expected = np.stack(
        [one.mask if kind == "binary" else np.rint(one.probability * 255) for one in found.lesions],
        axis=-1,
    )
    by_highdicom = highdicom.seg.segread(io.BytesIO(data)).get_pixels_by_source_frame(
        found.source.sop_instance, [1], rescale_fractional=False
    )
    np.testing.assert_array_equal(by_highdicom[0], expected)
    by_pydicom = read(data).pixel_array
    np.testing.assert_array_equal(by_pydicom, expected.transpose(2, 0, 1))


def test_odd_sizes_come_back_too() -> None:
    """Binary frames are packed without a gap, so that the second begins within a byte."""
    pixels = eye(37, 33)
    found = findings(photograph(pixels))
    lesions = [
        replace(one, mask=one.mask[:37, :33], probability=one.probability[:37, :33])
        for one in found.lesions
    ]
    data = encode_findings(replace(found, lesions=lesions, image=pixels))[".seg.dcm"]
    np.testing.assert_array_equal(read(data).pixel_array, [one.mask for one in lesions])


def test_segments_say_what_they_are() -> None:
    segmentation = datasets(findings())[".seg.dcm"]
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == [
        "microaneurysm",
        "haemorrhage",
        "hard exudate",
    ]
    codes = [s.SegmentedPropertyTypeCodeSequence[0] for s in segmentation.SegmentSequence]
    assert [(c.CodeValue, c.CodingSchemeDesignator) for c in codes] == [
        ("MA", PRIVATE_SCHEME),
        ("50960005", "SCT"),
        ("EX", PRIVATE_SCHEME),
    ]
    first, second, _ = segmentation.SegmentSequence
    assert "Private code" in first.SegmentDescription and "SegmentDescription" not in second
    algorithm = first.SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmVersion == "0.1.0"
    for part in ("model=embedded", "revision=r1", f"text={TEXT}", "threshold=0.9"):
        assert part in algorithm.AlgorithmParameters
    region = first.AnatomicRegionSequence[0]
    assert region.CodeMeaning == "Retina"
    assert region.AnatomicRegionModifierSequence[0].CodeMeaning == "Right"


def test_everything_lies_in_the_study_and_refers_to_the_photograph() -> None:
    dataset = photograph(eye())
    made = datasets(findings(dataset))
    assert len({one.SeriesInstanceUID for one in made.values()} | {dataset.SeriesInstanceUID}) == 4
    for ending, one in made.items():
        assert one.StudyInstanceUID == dataset.StudyInstanceUID
        assert (one.PatientName, one.PatientID) == (NAME, PATIENT)
        assert (one.PatientBirthDate, one.PatientSex) == (BIRTH, "F")
        assert (one.StudyID, one.AccessionNumber) == ("S1", "A1")
        assert dataset.SOPInstanceUID in str(one), ending
        assert one.ManufacturerModelName == "tp-drseg"


def test_report_holds_the_numbers() -> None:
    report = highdicom.sr.srread(
        io.BytesIO(encode_findings(findings(measurements=(NEAREST,)))[".sr.dcm"])
    )
    assert isinstance(report, highdicom.sr.EnhancedSR)
    content = report.content
    assert isinstance(content, highdicom.sr.MeasurementReport)
    groups = content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == [
        "microaneurysm",
        "haemorrhage",
        "hard exudate",
    ]
    found = [
        [
            (str(one.name.meaning), float(one.value), str(one.unit.value))
            for one in group.get_measurements()
        ]
        for group in groups
    ]
    masks = [one.mask for one in findings().lesions]
    for number, (own, mask) in enumerate(zip(found, masks, strict=True)):
        area = int(mask.sum())
        assert own[:3] == [
            ("Number of lesions", (1, 2, 0)[number], "1"),
            ("Area", area, "{pixels}"),
            ("Area of the field of view", (1.5, 3, 0)[number], "%"),
        ]
        assert own[3][::2] == ("Area", "mm2") and own[3][1] == pytest.approx(area * 3e-5)
        reference = groups[number].referenced_segmentation_frame
        assert reference is not None and reference.referenced_segment_numbers == [number + 1]
    (whole,) = content.get_image_measurement_groups()
    (nearest,) = whole.get_measurements()
    assert (nearest.name.meaning, nearest.value) == ("Nearest exudate", 1.25)


def test_no_square_millimetres_without_a_spacing() -> None:
    made = datasets(findings(photograph(eye(), PixelSpacing=None)))
    assert "mm2" not in str(made[".sr.dcm"])


def test_capture_is_a_picture_with_the_overlay() -> None:
    found = findings()
    data = encode_findings(found)[".capture.dcm"]
    capture = read(data)
    assert capture.BurnedInAnnotation == "YES" and capture.Rows > 64 and capture.Columns == 80
    assert capture.LossyImageCompression == "01"
    shown = capture.pixel_array.astype(int)
    assert np.abs(shown[:64] - found.image).mean() > 5  # outlines
    assert shown[64:].max() > 200  # the table's letters
    with pytest.raises(ImageError, match=r"a result of tp-drseg"):
        read_image(data)


def test_the_same_answer_has_the_same_uids() -> None:
    dataset = photograph(eye())
    first, again = datasets(findings(dataset)), datasets(findings(dataset))
    other = datasets(replace(findings(dataset), revision="r2"))
    for ending in ENDINGS:
        assert first[ending].SOPInstanceUID == again[ending].SOPInstanceUID
        assert first[ending].SeriesInstanceUID == again[ending].SeriesInstanceUID
        assert first[ending].SOPInstanceUID != other[ending].SOPInstanceUID
    kinds = {datasets(findings(dataset), kind)[".seg.dcm"].SOPInstanceUID for kind in KINDS}
    assert len(kinds) == 2


KINDS: tuple[SegmentationType, ...] = ("binary", "fractional")


def test_names_in_other_letters_stay() -> None:
    dataset = photograph(eye())
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "Müller^Jürgen"
    for one in datasets(findings(dataset)).values():
        assert one.SpecificCharacterSet == "ISO_IR 192" and one.PatientName == "Müller^Jürgen"
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎"
    for one in datasets(findings(dataset)).values():
        assert one.PatientName.ideographic == "山田^太郎"


def test_values_that_are_not_valid_are_left_empty(recwarn: pytest.WarningsRecorder) -> None:
    data = written(photograph(eye(), PatientID="x" * 60))
    data = data.replace(BIRTH.encode(), b"3.2.1950").replace(b"CS\2\0F ", b"CS\2\0? ")
    source = read_source_header(FileBytes(data, "The photograph"))
    for one in datasets(replace(findings(), source=source)).values():
        assert one.PatientBirthDate == "" and one.PatientSex == "" and one.PatientID == "x" * 60
    assert not recwarn.list


def test_other_kinds_of_photographs_and_no_eye() -> None:
    dataset = photograph(
        eye(),
        SOPClassUID=VLPhotographicImageStorage,
        ImageLaterality=None,
        PatientOrientation=None,
        NumberOfFrames=None,
    )
    made = datasets(findings(dataset))
    region = made[".seg.dcm"].SegmentSequence[0].AnatomicRegionSequence[0]
    assert "AnatomicRegionModifierSequence" not in region
    found = findings(dataset)
    segmentation = highdicom.seg.segread(io.BytesIO(encode_findings(found)[".seg.dcm"]))
    masks = segmentation.get_pixels_by_source_instance([dataset.SOPInstanceUID])
    np.testing.assert_array_equal(masks[0], np.stack([one.mask for one in found.lesions], axis=-1))


def test_a_photograph_that_is_not_dicom_is_refused() -> None:
    with pytest.raises(ImageError, match=r"no DICOM file.*img2dcm"):
        read_source_header(FileBytes(b"\xff\xd8\xff" + bytes(200), "The photograph"))
    with pytest.raises(ImageError, match="lacks a valid UID"):
        source_of(photograph(eye(), StudyInstanceUID=None))


def test_figures_in_the_capture_are_for_people() -> None:
    area = Measurement(concepts.AREA, 19880, concepts.PIXELS)
    assert capture._figure(area) == "19880 px"
    assert capture._figure(NEAREST) == "1.25 mm"
