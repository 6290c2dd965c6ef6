"""What is written, judged by other people's programs: dicom3tools, dcmtk, ImageMagick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage, VLPhotographicImageStorage

from tests.support.dicom_files import eye, photograph
from tests.support.findings import findings
from tests.support.programs import needs, run
from tp_drseg.export.dicom.seg import SegmentationType
from tp_drseg.export.dicom.write import encode_findings

OBJECTION = "Shall not be present when ReferencedFrameNumber is present"
SOURCES = {
    "ophthalmic": photograph(eye()),
    "with little in its header": photograph(
        eye(),
        PixelSpacing=None,
        PatientOrientation=None,
        ImageLaterality=None,
        NumberOfFrames=None,
        PatientBirthDate="",
        PatientSex="",
        StudyID="",
    ),
    "VL": photograph(eye(), SOPClassUID=VLPhotographicImageStorage),
    "secondary capture": photograph(eye(), SOPClassUID=SecondaryCaptureImageStorage),
    "16 bit": photograph(eye().astype(np.uint16)),
}


def write(tmp_path: Path, source: str = "ophthalmic", kind: SegmentationType = "binary") -> Path:
    """Write the three files; returns the start of their names."""
    for ending, data in encode_findings(findings(SOURCES[source]), kind).items():
        (tmp_path / f"eye{ending}").write_bytes(data)
    return tmp_path


def errors(path: Path) -> list[str]:
    """What dciodvfy finds wrong; it ends with 1 for warnings too."""
    said = run("dciodvfy", "-new", path, may_fail=True)
    assert said.splitlines(), "it says what kind of object it takes the file for"
    return [line for line in said.splitlines() if line.startswith("Error")]


@needs("dciodvfy")
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", ["binary", "fractional"])
def test_dciodvfy_finds_no_error(source: str, kind: SegmentationType, tmp_path: Path) -> None:
    folder = write(tmp_path, source, kind)
    assert errors(folder / "eye.seg.dcm") == []
    assert errors(folder / "eye.capture.dcm") == []
    known = errors(folder / "eye.sr.dcm")
    assert len(known) == 3 and all(OBJECTION in line for line in known)  # one a lesion


@needs("dciodvfy")
def test_dciodvfy_would_find_one(tmp_path: Path) -> None:
    path = write(tmp_path) / "eye.seg.dcm"
    dataset = dcmread(path)
    del dataset.SegmentSequence[0].SegmentLabel
    dataset.save_as(path)
    assert errors(path)


@needs("dcmdump", "dsrdump", "dcmj2pnm")
def test_dcmtk_reads_them(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for ending in ("seg", "sr", "capture"):
        assert "SOPInstanceUID" in run("dcmdump", folder / f"eye.{ending}.dcm")
    report = run("dsrdump", folder / "eye.sr.dcm")
    assert "Number of lesions" in report and "microaneurysm" in report
    assert "Warning" not in report and "Error" not in report
    picture = tmp_path / "capture.ppm"
    run("dcmj2pnm", "+op", folder / "eye.capture.dcm", picture)
    with Image.open(picture) as shown:
        assert shown.size[0] == 80 and shown.size[1] > 64
        pixels = np.asarray(shown.convert("RGB")).astype(int)
    assert np.abs(pixels[:64] - eye()).mean() > 5 and pixels[64:].max() > 200


@needs("dcmj2pnm")
def test_dcmtk_shows_the_probabilities(tmp_path: Path) -> None:
    folder = write(tmp_path, kind="fractional")
    expected = findings().lesions
    run("dcmdrle", folder / "eye.seg.dcm", folder / "plain.dcm")
    for number, one in enumerate(expected[:2], 1):
        picture = tmp_path / f"{number}.pgm"
        run(
            "dcmj2pnm",
            "+F",
            str(number),
            "+op",
            "+Ww",
            "127.5",
            "256",
            folder / "plain.dcm",
            picture,
        )
        with Image.open(picture) as shown:
            found = np.asarray(shown).astype(int)
        assert np.abs(found - np.rint(one.probability * 255)).max() <= 1


@needs("convert")
def test_imagemagick_shows_the_capture(tmp_path: Path) -> None:
    folder = write(tmp_path)
    run("convert", folder / "eye.capture.dcm", tmp_path / "capture.png")
    with Image.open(tmp_path / "capture.png") as shown:
        assert shown.size[0] == 80 and shown.size[1] > 64
