from __future__ import annotations

import errno
import io
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.fake_model import FakeModel, good_quality, photo, run
from tests.support.results import masks, run_log, state_of, table
from tp_drseg.anatomy.columns import ANATOMY_COLUMNS, MEASUREMENT_COLUMNS
from tp_drseg.errors import ConfigError, ImageError, LesionError, OutputError, PromptError
from tp_drseg.folder.names import is_result_name
from tp_drseg.images import Quality
from tp_drseg.inference.request import Prompt
from tp_drseg.lesions import LesionCatalog

LESIONS = ("MA", "HE", "EX", "SE")


def test_all_that_is_written(photos: Path, out: Path) -> None:
    report = run(photos, out, lesions=None, overlays=True)
    assert report.done == ("a.png", "b.png", "c.png")
    assert not report.skipped
    assert not report.failures
    names = {path.name for path in out.iterdir()}
    expected = {".tp-drseg", "lesions.csv", "photographs.csv", "run.json", "index.html"}
    expected.add("thumbnails")
    for image in report.done:
        expected.add(f"{image}.overlay.jpg")
        expected |= {f"{image}.{x}.mask.png" for x in LESIONS}
        expected |= {f"{image}.{x}.overlay.jpg" for x in LESIONS}
        with Image.open(out / "thumbnails" / f"{image}.thumbnail.jpg") as small:
            small.load()
    assert names == expected
    with Image.open(out / "a.png.EX.mask.png") as mask:
        assert (mask.mode, mask.size) == ("L", (48, 40))
        assert np.asarray(mask).sum() == 100 * 255

    log = run_log(out)
    assert log["status"] == "finished"
    assert log["counts"] == {
        "images": 3,
        "done": 3,
        "skipped": 0,
        "failed": 0,
        "rejected": 0,
        "remaining": 0,
        "in_doubt": 0,
        "passed_over": 0,
    }
    assert [one["lesion"] for one in log["settings"]["lesions"]] == sorted(
        LesionCatalog.default().names
    )
    assert log["settings"]["model"] == "fake"
    assert log["settings"]["revision"] == "r1"
    assert log["versions"]["torch"]
    assert log["started"] <= log["finished"]
    assert [image["image"] for image in log["images"]] == list(report.done)


def test_tables(photos: Path, out: Path) -> None:
    run(photos, out, lesions=None)
    rows = table(out)
    assert len(rows) == 12
    assert rows[0] == {
        "image": "a.png",
        "lesion": "microaneurysm",
        "threshold": "0.5",
        "regions": "1",
        "area_px": "100",
        "area_percent_of_field_of_view": str(round(100 * 100 / 1920, 6)),
        "mean_probability": str(round(100 * 200 / 255 / 1920, 6)),
        "max_probability": str(round(200 / 255, 6)),
        **dict.fromkeys(MEASUREMENT_COLUMNS, ""),  # the fake model knows no disc
    }
    photographs = table(out, "photographs.csv")
    assert [row["image"] for row in photographs] == ["a.png", "b.png", "c.png"]
    settings = photographs[0].pop("settings")
    assert settings == run_log(out)["settings_id"]
    assert photographs[0] == {
        "image": "a.png",
        "status": "done",
        "reason": "",
        "width": "48",
        "height": "40",
        "quality": "good",
        "quality_reason": "",
        **dict.fromkeys(ANATOMY_COLUMNS, ""),
        "microaneurysms": "1",
        "haemorrhage_quadrants": "",
        "many_haemorrhages": "0",
        "macular_oedema_risk": "",
        "cotton_wool_spots": "1",
        "doubts": "",
        "notes": "",
        **{f"{lesion} (regions)": "1" for lesion in LesionCatalog.default().names},
    }


def test_what_was_asked_stands_once_in_the_log(photos: Path, out: Path) -> None:
    prompt = Prompt("exudates", ["white dots", "white spots"], threshold=0.25)
    run(photos / "a.png", out, lesions=prompt)
    assert run_log(out)["settings"]["lesions"] == [
        {"lesion": "hard exudate", "texts": ["white dots", "white spots"], "threshold": 0.25}
    ]
    run(photos / "a.png", out, lesions="EX")
    (own,) = run_log(out)["settings"]["lesions"]
    assert own["texts"] == list(LesionCatalog.default()["EX"].texts)
    assert own["threshold"] == 0.5


def test_thresholds_for_all_and_for_one(photos: Path, out: Path) -> None:
    run(photos / "a.png", out, lesions=None, threshold=0.3, thresholds={"exudates": 0.9})
    rows = {row["lesion"]: row for row in table(out)}
    assert rows["hard exudate"]["threshold"] == "0.9"
    assert rows["hard exudate"]["regions"] == "0"
    assert {rows[name]["threshold"] for name in rows if name != "hard exudate"} == {"0.3"}
    run(photos / "a.png", out, lesions=[Prompt("EX", threshold=0.1), "MA"], threshold=0.3)
    assert [row["threshold"] for row in table(out)] == ["0.1", "0.3"]


def test_a_bad_file_is_reported_and_the_rest_goes_on(photos: Path, out: Path) -> None:
    (photos / "b.png").write_bytes(b"not an image")
    report = run(photos, out)
    assert report.done == ("a.png", "c.png")
    (failure,) = report.failures
    assert (failure.image, failure.error) == ("b.png", "ImageError")
    assert run_log(out)["failures"][0]["message"] == failure.message
    bad = table(out, "photographs.csv")[1]
    assert (bad["image"], bad["status"], bad["reason"]) == ("b.png", "failed", failure.message)
    assert masks(out) == ["a.png.EX.mask.png", "c.png.EX.mask.png"]
    photo(photos / "b.png")
    again = run(photos, out)
    assert (again.done, again.skipped) == (("b.png",), ("a.png", "c.png"))
    assert len(table(out)) == len(again.rows) == 3
    states = [row["status"] for row in table(out, "photographs.csv")]
    assert states == ["done", "done", "done"]  # a run that goes on gives the tables of a whole one
    run(photos, out.with_name("whole"))
    for name in ("photographs.csv", "lesions.csv"):
        assert (out / name).read_bytes() == (out.with_name("whole") / name).read_bytes()


def test_any_error_of_one_image_is_its_own(photos: Path, out: Path) -> None:
    def act(name: str) -> None:
        if name == "b.png":
            raise RuntimeError("out of memory")

    report = run(photos, out, FakeModel(act))
    assert report.done == ("a.png", "c.png")
    assert report.failures[0].error == "RuntimeError"


def test_an_error_of_the_request_stops_the_run(photos: Path, out: Path) -> None:
    def act(name: str) -> None:
        raise PromptError("too long")

    model = FakeModel(act)
    with pytest.raises(PromptError):
        run(photos, out, model)
    assert model.seen == ["a.png"]


def test_doubts_about_a_photograph_are_kept_with_it(
    photos: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def doubt(name: str) -> str | None:
        return None if name == "b.png" else f"{name} looks like no fundus"

    def act(name: str) -> None:
        if name == "c.png":
            raise RuntimeError("out of memory")

    first = run(photos, out, FakeModel(act, doubt=doubt))
    said = [record.getMessage() for record in caplog.records]
    assert said == ["a.png: a.png looks like no fundus", "c.png failed: out of memory"]
    assert [record.image for record in first.doubtful] == ["a.png"]
    caplog.clear()
    again = run(photos, out, FakeModel(doubt=lambda name: None))
    assert again.skipped == ("a.png", "b.png")
    assert [record.image for record in again.doubtful] == ["a.png"]
    assert [record.getMessage() for record in caplog.records] == [
        "a.png: a.png looks like no fundus"
    ]
    rows = table(out, "photographs.csv")
    assert [row["doubts"] for row in rows] == ["a.png looks like no fundus", "", ""]
    assert run_log(out)["counts"]["in_doubt"] == 1


def test_notes_of_the_file_are_kept_with_it(tmp_path: Path, out: Path) -> None:
    pages = [Image.fromarray(np.full((40, 48, 3), value, np.uint8)) for value in (90, 20)]
    (tmp_path / "in").mkdir()
    pages[0].save(tmp_path / "in" / "two.tif", save_all=True, append_images=pages[1:])
    report = run(tmp_path / "in", out)
    assert not report.doubtful
    (row,) = table(out, "photographs.csv")
    assert "image" in row["notes"] and not row["doubts"]


def test_done_work_is_skipped(photos: Path, out: Path) -> None:
    first = run(photos, out)
    before = state_of(out)
    model = FakeModel()
    second = run(photos, out, model)
    assert model.opened == model.seen == []
    assert second.skipped == first.done
    assert second.rows == first.rows
    assert state_of(out) == before
    assert len(table(out)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.7},
        {"thresholds": {"EX": 0.7}},
        {"overlays": True},
        {"lesions": ["EX", "MA"]},
        {"lesions": Prompt("EX", "white dots")},
        {"overwrite": True},
    ],
)
def test_other_settings_do_it_again(photos: Path, out: Path, change: dict[str, Any]) -> None:
    run(photos, out)
    model = FakeModel()
    assert run(photos, out, model, **change).done == ("a.png", "b.png", "c.png")
    assert len(model.seen) == 3


def test_the_order_of_the_lesions_is_no_other_setting(photos: Path, out: Path) -> None:
    run(photos, out, lesions=["EX", "MA"])
    assert len(run(photos, out, lesions=["MA", "hard exudate"]).skipped) == 3


def test_another_model_does_it_again(photos: Path, out: Path) -> None:
    run(photos, out)
    other = FakeModel()
    other.origin = replace(other.origin, revision="r2")
    assert len(run(photos, out, other).done) == 3
    assert len(run(photos, out, other).skipped) == 3
    other.weights = "trained further"
    assert len(run(photos, out, other).done) == 3


def test_results_of_other_settings_are_told_apart(photos: Path, out: Path) -> None:
    run(photos / "a.png", out)
    run(photos / "b.png", out, threshold=0.1)
    rows = table(out, "photographs.csv")
    assert [row["status"] for row in rows] == ["earlier", "done"]
    assert rows[0]["settings"] != rows[1]["settings"] == run_log(out)["settings_id"]


def test_fewer_lesions_leave_no_old_files(photos: Path, out: Path) -> None:
    run(photos, out, lesions=None, overlays=True)
    run(photos, out, lesions="SE")
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "lesions.csv",
        "photographs.csv",
        "run.json",
        "index.html",
        "thumbnails",
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
    (photos / "b.png").write_bytes(b"no image at all")
    assert len(run(photos, out).failures) == 1
    assert [row["image"] for row in table(out)] == ["a.png", "c.png"]
    assert masks(out) == ["a.png.EX.mask.png", "c.png.EX.mask.png"]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_threshold_from_numpy(photos: Path, out: Path, kind: Any) -> None:
    """As the point of a precision-recall curve is."""
    assert len(run(photos, out, threshold=kind(0.25)).done) == 3
    assert run_log(out)["settings"]["lesions"][0]["threshold"] == 0.25
    assert len(run(photos, out, lesions=Prompt("EX", threshold=kind(0.25))).skipped) == 3


class Unreadable(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [None, "closed", "broken", "ascii"])
def test_the_bar_needs_no_stream(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, stream: str | None
) -> None:
    kinds: dict[str | None, io.TextIOBase | None] = {
        None: None,
        "closed": io.StringIO(),
        "broken": Unreadable(),
        "ascii": io.TextIOWrapper(io.BytesIO(), encoding="ascii"),
    }
    if stream == "closed" and (closed := kinds["closed"]):
        closed.close()
    monkeypatch.setattr(sys, "stderr", kinds[stream])
    assert len(run(photos, out, progress=True).done) == 3


def test_a_limit_takes_the_first_by_name(photos: Path, out: Path) -> None:
    assert run(photos, out, limit=2).done == ("a.png", "b.png")
    assert run(photos, out, limit=9).done == ("c.png",)
    with pytest.raises(ConfigError, match="limit"):
        run(photos, out, limit=0)


# --- requests and output that cannot be used -----------------------------------------------------


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "high", True])
@pytest.mark.parametrize("where", ["all", "one", "prompt"])
def test_threshold_out_of_range(photos: Path, out: Path, threshold: Any, where: str) -> None:
    with pytest.raises(PromptError, match="threshold"):
        match where:
            case "all":
                run(photos, out, threshold=threshold)
            case "one":
                run(photos, out, thresholds={"EX": threshold})
            case _:
                run(photos, out, lesions=Prompt("EX", threshold=threshold))
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"lesions": ["EX", "drusen"]}, LesionError),
        ({"lesions": []}, PromptError),
        ({"lesions": ""}, PromptError),
        ({"lesions": Prompt("EX", point_coords=[(1, 2)], point_labels=[1])}, PromptError),
        ({"lesions": ["EX", Prompt("exudates", "white dots")]}, PromptError),
        ({"lesions": ["EX"], "thresholds": {"MA": 0.5}}, PromptError),
        ({"lesions": ["EX"], "thresholds": {"EX": 0.5, "exudates": 0.6}}, PromptError),
        ({"lesions": ["EX"], "thresholds": {"drusen": 0.5}}, LesionError),
    ],
)
def test_requests_that_cannot_be_used(
    photos: Path, out: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run(photos, out, **options)
    assert not out.exists()


def test_abbreviations_that_give_one_file_name(photos: Path, out: Path) -> None:
    model = FakeModel()
    catalog = model.config.lesions
    for name, abbreviation in (("first", "x/y"), ("second", "x:y")):
        catalog = catalog.add(
            replace(catalog["EX"], name=name, abbreviation=abbreviation, aliases=())
        )
    model.config = model.config.replace(lesions=catalog)
    assert run(photos, out, model, lesions="first").done
    assert masks(out)[0] == "a.png.x_y.mask.png"
    with pytest.raises(LesionError, match="Rename"):
        run(photos, out, model, lesions=["first", "second"])


@pytest.mark.parametrize("below", ["", "sub/sub"])
def test_a_file_where_the_output_folder_should_be(photos: Path, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    model = FakeModel()
    with pytest.raises(OutputError, match="file"):
        run(photos, tmp_path / "file" / below, model)
    assert model.seen == []


@pytest.mark.parametrize("name", ["lesions.csv", "photographs.csv", "run.json", "index.html"])
def test_a_folder_in_a_tables_place(photos: Path, out: Path, name: str) -> None:
    (out / name).mkdir(parents=True)
    model = FakeModel()
    with pytest.raises(OutputError, match=name):
        run(photos, out, model)
    assert model.opened == []


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
    assert run_log(out)["status"] == "stopped"
    assert run_log(out)["counts"]["remaining"] == 2
    monkeypatch.undo()
    assert run(photos, out).done == ("b.png", "c.png")
    assert not list(out.rglob("*.tmp"))


def test_a_disk_that_takes_nothing(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    model = FakeModel()
    with pytest.raises(OutputError, match="permission is denied"):
        run(photos, out, model)
    assert len(model.seen) <= 2  # not all of them, one after the other


def test_no_image_is_left(photos: Path, out: Path) -> None:
    run(sorted(photos.glob("*.png")), photos)
    again = run(sorted(photos.glob("*.png")), photos)  # as a shell's *.png names them, masks too
    assert (len(again.done), len(again.skipped)) == (0, 3)
    assert {one.why for one in again.passed_over} == {"a result of a run"}
    with pytest.raises(ImageError, match="results"):
        run(photos / "a.png.EX.mask.png", photos)


def test_the_record_is_json(photos: Path, out: Path) -> None:
    run(photos, out)
    for path in (out / ".tp-drseg" / "images").glob("*.json"):
        record = json.loads(path.read_text())
        for file in record["files"]:
            assert (out / file["name"]).stat().st_size == file["size"]


def _poor(name: str) -> Quality:
    return replace(good_quality(), verdict="reject", reasons=("it is blurred",))


def test_a_poor_photograph_is_warned_of_passed_over_or_failed(
    photos: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def model() -> FakeModel:
        return FakeModel(quality=lambda name: _poor(name) if name == "b.png" else good_quality())

    warned = run(photos, out, model())
    assert len(warned.done) == 3
    assert "b.png: quality reject. It is blurred." in caplog.text
    skipping = model()
    skipped = run(photos, out, skipping, on_poor_quality="skip")
    assert [failure.image for failure in skipped.rejected] == ["b.png"]
    assert skipped.skipped == ("a.png", "c.png")
    assert skipping.seen == []
    assert not (out / "b.png.EX.mask.png").exists()
    rows = {row["image"]: row for row in table(out, "photographs.csv")}
    assert (rows["b.png"]["status"], rows["b.png"]["quality"]) == ("rejected", "reject")
    assert "It is blurred." in rows["b.png"]["reason"]
    assert run_log(out)["counts"]["rejected"] == 1
    failed = run(photos, out, model(), on_poor_quality="fail")
    assert [failure.image for failure in failed.failures] == ["b.png"]


def test_a_report_needs_nothing_beside_it(photos: Path, out: Path) -> None:
    run(photos / "a.png", out, lesions=None, report=True)
    page = (out / "a.png.report.html").read_text(encoding="utf-8")
    assert "For research. Not a medical device" in page
    assert "data:image/jpeg;base64," in page
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert "Without both disc and fovea there is no grid." in page
    assert page.count('<th scope="row">haemorrhage</th>') == 1
    assert '<a href="a.png.report.html">report</a>' in (out / "index.html").read_text()
    assert is_result_name("a.png.report.html")  # no other run takes it for a photograph
