from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.fake_model import FakeModel, photo, run
from tp_drseg.errors import ImageError, LesionError, OutputError, PromptError
from tp_drseg.folder.photographs import find_images
from tp_drseg.lesions import LesionCatalog

LESIONS = ("MA", "HE", "EX", "SE")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        photo(tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def table(out: Path) -> list[dict[str, str]]:
    with (out / "lesions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def masks(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.mask.png"))


def log(out: Path) -> Any:
    return json.loads((out / "run.json").read_text())


def test_all_that_is_written(photos: Path, out: Path) -> None:
    report = run(photos, out, lesions=None, overlays=True)
    assert report.done == ("a.png", "b.png", "c.png")
    assert not report.skipped
    assert not report.failures
    names = {path.name for path in out.iterdir()}
    expected = {".tp-drseg", "lesions.csv", "run.json"}
    for image in report.done:
        expected.add(f"{image}.overlay.jpg")
        expected |= {f"{image}.{x}.mask.png" for x in LESIONS}
        expected |= {f"{image}.{x}.overlay.jpg" for x in LESIONS}
    assert names == expected
    with Image.open(out / "a.png.EX.mask.png") as mask:
        assert (mask.mode, mask.size) == ("L", (48, 40))
        assert np.asarray(mask).sum() == 100 * 255

    rows = table(out)
    assert len(rows) == 12
    assert rows[0] | {"text": ""} == {
        "image": "a.png",
        "lesion": "microaneurysm",
        "text": "",
        "threshold": "0.5",
        "regions": "1",
        "area_px": "100",
        "area_percent_of_field_of_view": str(round(100 * 100 / 1920, 6)),
        "mean_probability": str(round(100 * 200 / 255 / 1920, 6)),
        "max_probability": str(round(200 / 255, 6)),
        "model": "fake",
        "revision": "r1",
    }
    assert rows[0]["text"] == " | ".join(LesionCatalog.default()["MA"].texts[:2])

    run_log = log(out)
    assert run_log["status"] == "finished"
    assert run_log["counts"] == {
        "images": 3,
        "done": 3,
        "skipped": 0,
        "failed": 0,
        "remaining": 0,
    }
    assert run_log["settings"]["threshold"] is None
    assert run_log["settings"]["lesions"] == sorted(LesionCatalog.default().names)
    assert run_log["versions"]["torch"]
    assert run_log["started"] <= run_log["finished"]
    assert [image["image"] for image in run_log["images"]] == list(report.done)


def test_a_description_takes_the_place_of_the_text(photos: Path, out: Path) -> None:
    run(photos / "a.png", out, lesions="exudates", description="white dots")
    assert [(row["lesion"], row["text"]) for row in table(out)] == [("hard exudate", "white dots")]


def test_a_bad_file_is_reported_and_the_rest_goes_on(photos: Path, out: Path) -> None:
    (photos / "b.png").write_bytes(b"not an image")
    report = run(photos, out)
    assert report.done == ("a.png", "c.png")
    (failure,) = report.failures
    assert (failure.image, failure.error) == ("b.png", "ImageError")
    assert log(out)["failures"][0]["message"] == failure.message
    assert masks(out) == ["a.png.EX.mask.png", "c.png.EX.mask.png"]
    photo(photos / "b.png")
    again = run(photos, out)
    assert (again.done, again.skipped) == (("b.png",), ("a.png", "c.png"))
    assert len(table(out)) == len(again.rows) == 3


def test_any_error_of_one_image_is_its_own(photos: Path, out: Path) -> None:
    def act(path: Path) -> None:
        if path.name == "b.png":
            raise RuntimeError("out of memory")

    report = run(photos, out, FakeModel(act))
    assert report.done == ("a.png", "c.png")
    assert report.failures[0].error == "RuntimeError"


def test_an_error_of_the_request_stops_the_run(photos: Path, out: Path) -> None:
    def act(path: Path) -> None:
        raise PromptError("too long")

    model = FakeModel(act)
    with pytest.raises(PromptError):
        run(photos, out, model)
    assert model.seen == ["a.png"]


def test_doubts_about_a_photograph_are_kept_with_it(
    photos: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def doubt(path: Path) -> str | None:
        return None if path.name == "b.png" else f"{path.stem} looks like no fundus"

    def act(path: Path) -> None:
        if path.name == "c.png":
            raise RuntimeError("out of memory")

    run(photos, out, FakeModel(act, doubt=doubt))
    assert [image["warnings"] for image in log(out)["images"]] == [["a looks like no fundus"], []]
    said = [record.getMessage() for record in caplog.records]
    assert said[:2] == ["a.png: a looks like no fundus", "c.png: c looks like no fundus"]
    assert said[2:] == ["c.png failed: out of memory"]
    assert run(photos, out).skipped == ("a.png", "b.png")
    assert log(out)["images"][0]["warnings"] == []  # done now: c.png


def test_done_work_is_skipped(photos: Path, out: Path) -> None:
    first = run(photos, out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.mask.png")}
    model = FakeModel()
    second = run(photos, out, model)
    assert model.opened == model.seen == []
    assert second.skipped == first.done
    assert second.rows == first.rows
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.mask.png")} == times
    assert len(table(out)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.7},
        {"overlays": True},
        {"lesions": ["EX", "MA"]},
        {"description": "white dots"},
        {"overwrite": True},
    ],
)
def test_other_settings_do_it_again(photos: Path, out: Path, change: dict[str, Any]) -> None:
    run(photos, out)
    model = FakeModel()
    assert run(photos, out, model, **change).done == ("a.png", "b.png", "c.png")
    assert len(model.seen) == 3


def test_another_model_does_it_again(photos: Path, out: Path) -> None:
    run(photos, out)
    other = FakeModel()
    other.revision = "r2"
    assert len(run(photos, out, other).done) == 3
    assert {row["revision"] for row in table(out)} == {"r2"}


def test_a_model_trained_further_does_it_again(photos: Path, out: Path) -> None:
    torch = pytest.importorskip("torch")

    weights = {"w": torch.zeros(3, dtype=torch.bfloat16), "scale": torch.tensor(1.0)}

    class Trained(FakeModel):
        def state_dict(self) -> dict[str, Any]:
            return weights

    model = Trained()
    assert len(run(photos, out, model).done) == 3
    assert len(run(photos, out, model).skipped) == 3
    weights["w"][1] = 1
    assert len(run(photos, out, model).done) == 3


def test_fewer_lesions_leave_no_old_files(photos: Path, out: Path) -> None:
    run(photos, out, lesions=None, overlays=True)
    run(photos, out, lesions="SE")
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "lesions.csv",
        "run.json",
        *(f"{x}.png.SE.mask.png" for x in "abc"),
    }


@pytest.mark.parametrize("how", ["photograph", "missing mask", "short mask"])
def test_what_changed_is_done_again(photos: Path, out: Path, how: str) -> None:
    run(photos, out)
    mask = out / "b.png.EX.mask.png"
    if how == "photograph":
        photo(photos / "b.png", red=255)
    elif how == "missing mask":
        mask.unlink()
    else:
        mask.write_bytes(mask.read_bytes()[:-1])
    assert run(photos, out).done == ("b.png",)
    with Image.open(mask) as whole:
        assert np.asarray(whole).any()


def test_a_photograph_gone_bad_loses_its_old_results(photos: Path, out: Path) -> None:
    run(photos, out)
    (photos / "b.png").write_bytes(b"")
    assert len(run(photos, out).failures) == 1
    assert [row["image"] for row in table(out)] == ["a.png", "c.png"]
    assert masks(out) == ["a.png.EX.mask.png", "c.png.EX.mask.png"]


# --- names ---------------------------------------------------------------------------------------


def test_names_mirror_the_folders(tmp_path: Path, out: Path) -> None:
    for name in ("x/a.png", "y/a.png", "y/z/a.png", "a.png", "a.bmp"):
        photo(tmp_path / "in" / name)
    report = run(tmp_path / "in", out, recursive=True)
    assert report.done == ("a.bmp", "a.png", "x/a.png", "y/a.png", "y/z/a.png")
    assert masks(out) == sorted(f"{name}.EX.mask.png" for name in report.done)


def test_the_same_name_from_two_places(tmp_path: Path, out: Path) -> None:
    first, second = photo(tmp_path / "p" / "a.png", 200), photo(tmp_path / "q" / "a.png", 250)
    assert len(set(run([first, second], out).done)) == 2
    assert len(masks(out)) == 2
    assert {row["max_probability"] for row in table(out)} == {
        str(round(red / 255, 6)) for red in (200, 250)
    }
    assert len(run([second, first], out).skipped) == 2


def test_a_later_run_never_takes_the_name_of_an_earlier_one(tmp_path: Path, out: Path) -> None:
    first, second = photo(tmp_path / "p" / "a.png", 200), photo(tmp_path / "q" / "a.png", 250)
    assert run(second, out).done == ("a.png",)
    before = (out / "a.png.EX.mask.png").stat().st_mtime_ns
    (name,) = run(first, out).done
    assert name != "a.png"
    assert set(run([first, second], out).skipped) == {name, "a.png"}
    assert (out / "a.png.EX.mask.png").stat().st_mtime_ns == before


def test_names_that_differ_only_in_case(tmp_path: Path, out: Path) -> None:
    photo(tmp_path / "in" / "a.png", 250)
    run(tmp_path / "in", out)
    photo(tmp_path / "in" / "A.png", 200)
    if len(list((tmp_path / "in").iterdir())) == 1:
        pytest.skip("this disk takes both names for one")
    report = run(tmp_path / "in", out)
    assert report.skipped == ("a.png",)
    assert len({name.casefold() for name in masks(out)}) == 2


def test_photographs_that_moved_are_not_done_again(photos: Path, out: Path) -> None:
    run(photos, out)
    moved = photos.rename(photos.with_name("moved"))
    assert len(run(moved, out).skipped) == 3


def test_a_very_long_name(tmp_path: Path, out: Path) -> None:
    one = photo(tmp_path / ("x" * 240 + "1.png"))
    two = photo(tmp_path / ("x" * 240 + "2.png"))
    assert len(set(run([one, two], out).done)) == 2
    assert len(masks(out)) == 2


def test_odd_names(tmp_path: Path, out: Path) -> None:
    names = ["größe 眼.png", "a[1].png", '"q",\n.png', "-v.png", "%s{}.png"]
    for name in names:
        photo(tmp_path / "in" / name)
    assert sorted(run(tmp_path / "in", out).done) == sorted(names)
    assert sorted(row["image"] for row in table(out)) == sorted(names)


# --- inputs --------------------------------------------------------------------------------------


def found(inputs: Any, out: Path, **options: Any) -> list[str]:
    return [photograph.name for photograph in find_images(inputs, out, **options)]


def test_inputs_are_expanded(tmp_path: Path, out: Path) -> None:
    for name in ("b.png", "a.png", "sub/c.png", "sub/.hidden/d.png", ".e.png", "f.PNG"):
        photo(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").touch()
    (tmp_path / "in" / "empty").mkdir()
    folder = tmp_path / "in"
    assert found(folder, out) == ["a.png", "b.png", "f.PNG"]
    assert found(str(folder), out, recursive=True)[-1] == "sub/c.png"
    assert found(f"{folder}/[ab].png", out) == ["a.png", "b.png"]
    assert found(f"{folder}/**/*.png", out) == ["a.png", "b.png", "sub/c.png"]
    assert found(f"{folder}/s*", out) == ["sub/c.png"]
    assert found([folder, folder / "a.png", folder / "sub" / ".." / "b.png"], out) == [
        "a.png",
        "b.png",
        "f.PNG",
    ]
    assert found(folder / ".e.png", out) == [".e.png"]  # named one by one
    assert found(folder / "notes.txt", out) == ["notes.txt"]


def test_a_pattern_that_is_a_file_name(tmp_path: Path, out: Path) -> None:
    photo(tmp_path / "a[1].png")
    assert found(tmp_path / "a[1].png", out) == ["a[1].png"]


def test_relative_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "sub" / "a.png")
    monkeypatch.chdir(tmp_path)
    out = Path("out")
    assert found("sub/a.png", out) == ["a.png"]
    assert found("*/*.png", out) == ["sub/a.png"]
    monkeypatch.chdir(tmp_path / "sub")
    assert found(".", out) == ["a.png"]
    assert found("*.png", out) == ["a.png"]


@pytest.mark.parametrize("item", ["missing.png", "missing/*.png", "empty", "", "x" * 5000, "a\0b"])
def test_inputs_without_an_image(tmp_path: Path, out: Path, item: str) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(ImageError):
        find_images(str(tmp_path / item) if item else "", out)


def test_no_input(out: Path) -> None:
    with pytest.raises(ImageError, match="no input"):
        find_images([], out)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_image(tmp_path: Path, out: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="neither"):
        find_images(tmp_path / "pipe.png", out)


def test_the_output_folder_is_no_input(photos: Path) -> None:
    inside = photos / "out"
    assert run(photos, inside, recursive=True).done == ("a.png", "b.png", "c.png")
    assert run(photos, inside, recursive=True).skipped == ("a.png", "b.png", "c.png")
    with pytest.raises(ImageError, match="output folder"):
        run(photos, photos)


def test_results_beside_the_photographs_are_not_taken_for_photographs(photos: Path) -> None:
    assert len(run(sorted(photos.glob("*.png")), photos).done) == 3
    again = run(sorted(photos.glob("*.png")), photos)
    assert (len(again.done), len(again.skipped)) == (0, 3)
    with pytest.raises(ImageError, match="results"):
        run(photos / "a.png.EX.mask.png", photos)


# --- settings and output that cannot be used -----------------------------------------------------


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_threshold_out_of_range(photos: Path, out: Path, threshold: float) -> None:
    with pytest.raises(PromptError, match="threshold"):
        run(photos, out, threshold=threshold)
    assert not out.exists()


def test_settings_that_cannot_be_used(photos: Path, out: Path) -> None:
    for lesions in (["EX", "drusen"], []):
        with pytest.raises(LesionError):
            run(photos, out, lesions=lesions)
    for text, lesion in ((" ", "EX"), ([], "EX"), ("dots", None), ("dots", ["EX", "MA"])):
        with pytest.raises(PromptError):
            run(photos, out, lesions=lesion, description=text)
    assert not out.exists()


def test_abbreviations_that_give_one_file_name(photos: Path, out: Path) -> None:
    model = FakeModel()
    lesion = model.catalog["EX"]
    for name, abbreviation in (("first", "x/y"), ("second", "x:y")):
        model.catalog = model.catalog.add(
            replace(lesion, name=name, abbreviation=abbreviation, aliases=())
        )
    assert run(photos, out, model, lesions="first").done
    assert masks(out)[0] == "a.png.x_y.mask.png"
    with pytest.raises(LesionError, match="rename"):
        run(photos, out, model, lesions=["first", "second"])


@pytest.mark.parametrize("below", ["", "sub/sub"])
def test_a_file_where_the_output_folder_should_be(photos: Path, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    model = FakeModel()
    with pytest.raises(OutputError, match="file"):
        run(photos, tmp_path / "file" / below, model)
    assert model.seen == []


def test_a_full_disk_stops_the_run_and_keeps_what_is_finished(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name.startswith("b.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    model = FakeModel()
    with pytest.raises(OutputError, match="disk is full"):
        run(photos, out, model)
    assert model.seen[:2] == ["a.png", "b.png"]
    assert [row["image"] for row in table(out)] == ["a.png"]
    assert masks(out) == ["a.png.EX.mask.png"]
    assert log(out)["status"] == "stopped"
    assert log(out)["counts"]["remaining"] == 2
    monkeypatch.undo()
    assert run(photos, out).done == ("b.png", "c.png")
    assert not list(out.rglob("*.tmp"))


def test_a_disk_that_takes_nothing(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match="permission is denied"):
        run(photos, out)


# --- stopping ------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on(photos: Path, out: Path) -> None:
    def act(path: Path) -> None:
        if path.name == "b.png":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(photos, out, FakeModel(act))
    assert log(out)["status"] == "stopped"
    assert [row["image"] for row in table(out)] == ["a.png"]
    again = run(photos, out)
    assert (again.skipped, again.done) == (("a.png",), ("b.png", "c.png"))
    assert len(table(out)) == 3


SLOW = """
import sys, time
from pathlib import Path
from tests.support.fake_model import FakeModel, run
run(Path(sys.argv[1]), Path(sys.argv[2]), FakeModel(lambda path: time.sleep(0.05)), overlays=True)
"""


def test_a_killed_run_leaves_whole_files_and_the_next_one_completes_it(
    tmp_path: Path, out: Path
) -> None:
    for number in range(60):
        photo(tmp_path / "in" / f"{number:02}.png")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "in"), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [Path(__file__).parents[2]]))},
    )
    records = out / ".tp-drseg" / "images"
    try:
        deadline = time.monotonic() + 60
        while len(list(records.glob("*.json"))) < 3:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()
    finished = len(list(records.glob("*.json")))
    for path in (*out.glob("*.png"), *out.glob("*.jpg")):
        with Image.open(path) as picture:
            picture.load()
    for row in table(out):
        assert row["revision"] == "r1"  # the last column: no line is cut
    for path in (*records.glob("*.json"), out / "run.json"):
        json.loads(path.read_text())

    (out / ".tp-drseg-00ff.tmp").write_bytes(b"half a file")
    (records / ".tp-drseg-00ff.tmp").write_bytes(b"half a file")
    model = FakeModel()
    report = run(tmp_path / "in", out, model, overlays=True)
    assert 3 <= finished == len(report.skipped) < 60
    assert len(model.seen) == len(report.done) == 60 - finished
    assert len(masks(out)) == len(table(out)) == 60
    assert not list(out.rglob("*.tmp"))
