from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.fake_model import FakeModel, photo, run
from tp_drseg._runtime.confined import STATE_FOLDER
from tp_drseg.errors import OutputError
from tp_drseg.folder.store import RecordStore, describe
from tp_drseg.folder.verify import is_results_folder, verify_results


@pytest.fixture
def results(photos: Path, out: Path) -> Path:
    run(photos, out, overlays=True, lesions=["EX", "MA"])
    return out


def wrong(out: Path) -> dict[str, str]:
    return {problem.name: problem.what for problem in verify_results(out).problems}


def test_whole_results(results: Path) -> None:
    found = verify_results(results)
    assert (found.photographs, found.files) == (3, 3 * 6)
    assert found.problems == ()
    assert found.unknown == ()


def test_whole_after_failures_and_a_second_run(photos: Path, out: Path) -> None:
    (photos / "b.png").write_bytes(b"no image")
    run(photos, out, FakeModel(doubt=lambda name: "odd"))
    run(photos / "c.png", out, threshold=0.1)
    assert verify_results(out).problems == ()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


@pytest.mark.parametrize("damage", [cut, flip, grow, Path.unlink, link])
@pytest.mark.parametrize(
    "name", ["b.png.EX.mask.png", "b.png.overlay.jpg", "thumbnails/b.png.thumbnail.jpg"]
)
def test_a_damaged_picture(results: Path, damage: Callable[[Path], None], name: str) -> None:
    damage(results / name)
    assert list(wrong(results)) == [name]


@pytest.mark.parametrize("damage", [cut, grow, Path.unlink])
@pytest.mark.parametrize("name", ["lesions.csv", "run.json"])
def test_a_damaged_table(results: Path, damage: Callable[[Path], None], name: str) -> None:
    damage(results / name)
    assert list(wrong(results)) == [name]


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', "[" * 100_000, '{"a": ' + "1" * 5000 + "}", '{"a": NaN}', "[]"]
)
def test_a_log_that_is_no_plain_json(results: Path, text: str) -> None:
    (results / "run.json").write_text(text)
    found = verify_results(results)
    assert [problem.name for problem in found.problems] == ["run.json"]


def test_a_table_that_lacks_a_line(results: Path) -> None:
    lines = (results / "photographs.csv").read_bytes().splitlines(keepends=True)
    (results / "photographs.csv").write_bytes(b"".join(lines[:-1]))
    assert "lacks 1 photograph" in wrong(results)["photographs.csv"]


def test_a_damaged_record(results: Path) -> None:
    first = min((results / STATE_FOLDER / "images").glob("*.json"))
    first.write_text("{")
    found = verify_results(results)
    assert any("damaged" in problem.what for problem in found.problems)
    assert len(found.unknown) == 6  # nobody knows its files any more


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"no picture", "no whole picture"),
        (png(np.zeros((4, 5), np.uint8)), "5 x 4 px"),
        (png(np.full((40, 48), 7, np.uint8)), "other values"),
        (png(np.zeros((40, 48, 3), np.uint8)), "no grey"),
    ],
)
def test_what_a_record_vouches_for_must_be_a_mask(results: Path, data: bytes, what: str) -> None:
    """As from a stranger, whose record fits what he put there."""
    store = RecordStore(results)
    record = store.read_all()["b.png"]
    name = "b.png.EX.mask.png"
    (results / name).write_bytes(data)
    files = [f if f.name != name else describe(name, data) for f in record.files]
    changed = record.model_copy(update={"files": tuple(files)})
    (path,) = [p for p in store.paths() if json.loads(p.read_text())["image"] == "b.png"]
    path.write_text(changed.model_dump_json())
    assert what in wrong(results)[name]


def test_a_run_that_was_stopped_while_it_wrote(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(photos, out)
    store = RecordStore(out)
    record = store.read_all()["b.png"]
    store._write(record.model_copy(update={"is_complete": False}))
    assert "stopped" in wrong(out)["b.png"]
    run(photos, out)
    assert wrong(out) == {}


def test_files_that_nobody_knows(results: Path) -> None:
    photo(results / "z.png.EX.mask.png")
    found = verify_results(results)
    assert (found.problems, found.unknown) == ((), ("z.png.EX.mask.png",))


def test_nothing_is_changed(results: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    verify_results(results)
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


def test_no_results(tmp_path: Path) -> None:
    assert not is_results_folder(tmp_path)
    with pytest.raises(OutputError, match="no results"):
        verify_results(tmp_path)


def test_names_that_a_table_shows_in_another_form(tmp_path: Path) -> None:
    """A cell that would be a formula has an apostrophe in front; and is the name still."""
    photo(tmp_path / "in" / "=1+1.jpg.png")
    run(tmp_path / "in", tmp_path / "out")
    assert verify_results(tmp_path / "out").problems == ()


def test_a_table_that_no_reader_of_tables_takes(results: Path) -> None:
    (results / "photographs.csv").write_text('image,"' + "x" * 200_000 + '"\n')
    assert "photographs.csv" in wrong(results)
