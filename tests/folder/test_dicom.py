"""A folder run over photographs in DICOM, and with results in DICOM."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from pydicom.fileset import FileSet

from tests.support.dicom_files import BIRTH, NAME, PATIENT, eye, photograph, written
from tests.support.fake_model import FakeModel, photo, run
from tests.support.results import run_log, table
from tp_drseg.errors import ImageError
from tp_drseg.folder import photographs
from tp_drseg.folder.photographs import find_photographs
from tp_drseg.folder.run import FolderReport
from tp_drseg.folder.verify import verify_results

ENDINGS = (".seg.dcm", ".sr.dcm", ".capture.dcm")
REPORT = "1.2.840.10008.5.1.4.1.1.88.22"
SECRETS = (NAME, NAME.partition("^")[0], PATIENT, BIRTH)


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """Two photographs without endings, a report, a text, and a photograph that is cut."""
    folder = tmp_path / "disc"
    folder.mkdir()
    for name in ("IM1", "IM2"):
        (folder / name).write_bytes(written(photograph(eye())))
    (folder / "SR1").write_bytes(written(photograph(eye(), SOPClassUID=REPORT, PixelData=None)))
    (folder / "README").write_text("A text.")
    (folder / "IM3").write_bytes(written(photograph(eye()))[:-900])
    return folder


def names(report: FolderReport) -> list[str]:
    return sorted(report.done)


def all_that_is_told(out: Path) -> str:
    """Every name, and the content of every file that is no DICOM and no picture."""
    told = [str(path.relative_to(out)) for path in out.rglob("*")]
    for path in out.rglob("*"):
        if path.suffix in {".csv", ".json", ".html"}:
            told.append(path.read_text(encoding="utf-8-sig"))
    return "\n".join(told)


def test_files_are_taken_by_their_content(
    disc: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        report = run(disc, out)
    assert names(report) == ["IM1", "IM2"]
    assert [failure.image for failure in report.failures] == ["IM3"]
    passed = {one.path.name: one.why for one in report.passed_over}
    assert passed == {"SR1": "DICOM, but no photograph", "README": "no image (no ending)"}
    assert len(table(out, "photographs.csv")) == 3
    told = all_that_is_told(out) + caplog.text
    assert not any(secret in told for secret in SECRETS)
    assert not list(out.rglob("*.dcm"))


@pytest.mark.parametrize("kind", ["binary", "fractional"])
def test_results_in_dicom(disc: Path, out: Path, kind: str) -> None:
    report = run(disc, out, dicom=kind, lesions=["EX", "MA"])
    assert names(report) == ["IM1", "IM2"]
    for name in names(report):
        source = pydicom.dcmread(disc / name)
        for ending in ENDINGS:
            result = pydicom.dcmread(out / (name + ending))
            assert result.StudyInstanceUID == source.StudyInstanceUID
            assert result.PatientName == NAME
        segmentation = pydicom.dcmread(out / f"{name}.seg.dcm")
        assert segmentation.SegmentationType == kind.upper()
        if kind == "binary":
            with Image.open(out / f"{name}.EX.mask.png") as mask:
                assert (segmentation.pixel_array[0] * 255).tobytes() == mask.tobytes()
    assert not any(secret in all_that_is_told(out) for secret in SECRETS)
    assert not verify_results(out).problems
    model = FakeModel()
    again = run(disc, out, model, dicom=kind, lesions=["EX", "MA"])
    assert len(again.skipped) == 2 and not model.seen
    without = run(disc, out, lesions=["EX", "MA"])  # what is no longer asked for goes
    assert len(without.done) == 2 and not list(out.rglob("*.dcm"))


def test_changed_dicom_is_seen(disc: Path, out: Path) -> None:
    run(disc, out, dicom="binary")
    path = out / "IM1.sr.dcm"
    path.write_bytes(path.read_bytes()[:-2] + b"!!")
    (problem,) = verify_results(out).problems
    assert problem.name == "IM1.sr.dcm" and "changed" in problem.what


def test_results_are_no_photographs(disc: Path, tmp_path: Path) -> None:
    run(disc, tmp_path / "first", dicom="binary")
    results = [tmp_path / "first" / f"IM1{ending}" for ending in ENDINGS]
    found = find_photographs([disc, *results], tmp_path / "second")
    assert [one.name for one in found.photographs] == ["IM1", "IM2", "IM3"]
    renamed = tmp_path / "capture"
    renamed.write_bytes((tmp_path / "first" / "IM1.capture.dcm").read_bytes())
    report = run([renamed, disc], tmp_path / "second")
    (failure,) = [one for one in report.failures if one.image == "capture"]
    assert "is a result of tp-drseg" in failure.message


def test_other_photographs_fail_with_dicom(disc: Path, out: Path) -> None:
    photo(disc / "a.png")
    report = run(disc, out, dicom="binary")
    failed = {failure.image: failure.message for failure in report.failures}
    assert set(failed) == {"a.png", "IM3"} and "no DICOM file" in failed["a.png"]
    assert not list(out.glob("a.png.*"))  # whole or not at all


def test_identifiers_where_they_are_asked_for(disc: Path, out: Path) -> None:
    photo(disc / "a.png")
    run(disc, out, keep_identifiers=True)
    rows = {row["image"]: row for row in table(out, "photographs.csv")}
    source = pydicom.dcmread(disc / "IM1")
    assert rows["IM1"]["patient_id"] == PATIENT
    assert rows["IM1"]["study_uid"] == source.StudyInstanceUID
    assert rows["IM1"]["image_uid"] == source.SOPInstanceUID
    assert rows["a.png"]["patient_id"] == ""
    assert NAME not in all_that_is_told(out)
    run(disc, out)  # asked for no longer
    assert PATIENT not in all_that_is_told(out)


@pytest.fixture
def file_set(tmp_path: Path) -> Path:
    """A disc with a DICOMDIR and a photograph in a folder of folders."""
    folder = tmp_path / "set"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its folder to the end
        files = FileSet()
        files.add(photograph(eye()))
        files.write(folder)
        del files
        gc.collect()
    return folder


def test_what_a_dicomdir_lists_is_taken(file_set: Path, out: Path) -> None:
    (path,) = [path for path in file_set.rglob("*") if path.is_file() and path.name != "DICOMDIR"]
    expected = path.relative_to(file_set).as_posix()
    for given in (file_set / "DICOMDIR", file_set):
        found = find_photographs(given, out)
        assert [one.name for one in found.photographs] == [expected]
        assert found.photographs[0].path == path
    report = run(file_set, out)
    assert names(report) == [expected]
    assert "a DICOMDIR" in run_log(out)["passed_over"][0]["why"]


@pytest.mark.parametrize("change", [b"..", b"/a", b"C:"])
def test_a_dicomdir_that_leads_elsewhere(
    change: bytes, file_set: Path, tmp_path: Path, out: Path
) -> None:
    (path,) = [path for path in file_set.rglob("*") if path.is_file() and path.name != "DICOMDIR"]
    part = path.relative_to(file_set).parts[0].encode()
    directory = file_set / "DICOMDIR"
    data = directory.read_bytes()
    assert part + b"\\" in data
    directory.write_bytes(data.replace(part + b"\\", change.ljust(len(part)) + b"\\"))
    with pytest.raises(ImageError, match="lists no photograph"):
        find_photographs(directory, out)


def test_a_dicomdir_with_a_link_that_leads_elsewhere(
    file_set: Path, tmp_path: Path, out: Path
) -> None:
    (path,) = [path for path in file_set.rglob("*") if path.is_file() and path.name != "DICOMDIR"]
    outside = path.rename(tmp_path / "outside")
    path.symlink_to(outside)
    with pytest.raises(ImageError, match="lists no photograph"):
        find_photographs(file_set / "DICOMDIR", out)


def test_a_damaged_dicomdir_is_a_failure(file_set: Path, out: Path) -> None:
    directory = file_set / "DICOMDIR"
    directory.write_bytes(directory.read_bytes()[:400])
    photo(file_set / "a.png")
    assert names(run(file_set, out)) == ["a.png"]


def test_without_the_extra_dicom_is_passed_over(
    disc: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photographs, "is_installed", lambda *modules: False)
    photo(disc / "a.png")
    found = find_photographs(disc, out)
    assert [one.name for one in found.photographs] == ["a.png"]
    why = {one.path.name: one.why for one in found.passed_over}
    assert "pip install 'tp-drseg[dicom]'" in why["IM1"]
