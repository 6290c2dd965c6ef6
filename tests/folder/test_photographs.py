"""What a run takes, and what it passes over."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_model import FakeModel, photo, run
from tests.support.results import run_log, table
from tp_drseg.errors import ImageError
from tp_drseg.folder.photographs import find_photographs

no_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def found(inputs: Any, out: Path, **options: Any) -> list[str]:
    return [one.name for one in find_photographs(inputs, out, **options).photographs]


def passed_over(inputs: Any, out: Path, **options: Any) -> dict[str, str]:
    return {one.path.name: one.why for one in find_photographs(inputs, out, **options).passed_over}


def test_inputs_are_expanded(tmp_path: Path, out: Path) -> None:
    for name in ("b.png", "a.png", "sub/c.png", "sub/.hidden/d.png", ".e.png", "f.PNG"):
        photo(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").touch()
    (tmp_path / "in" / "empty").mkdir()
    folder = tmp_path / "in"
    assert found(folder, out) == ["a.png", "b.png", "f.PNG"]
    assert found(str(folder), out, recursive=True)[-1] == "sub/c.png"
    assert found(f"{folder}/[ab].png", out) == ["a.png", "b.png"]
    assert found(f"{folder}/?.png", out) == ["a.png", "b.png"]
    assert found(f"{folder}/**/*.png", out) == ["a.png", "b.png", "sub/c.png"]
    assert found(f"{folder}/**", out) == ["a.png", "b.png", "f.PNG", "sub/c.png"]
    assert found(f"{folder}/s*", out) == ["sub/c.png"]
    assert found(f"{folder}/s*/c.png", out) == ["sub/c.png"]
    assert found([folder, folder / "a.png", folder / "sub" / ".." / "b.png"], out) == [
        "a.png",
        "b.png",
        "f.PNG",
    ]
    assert found(folder / "notes.txt", out) == ["notes.txt"]  # named one by one
    assert len(found(folder / ".e.png", out)) == 1


def test_what_is_passed_over_is_named(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "in"
    photo(folder / "a.png")
    photo(folder / "sub" / "b.png")
    photo(folder / ".hidden.png")
    photo(folder / "a.png.EX.mask.png")
    for name in ("notes.txt", "x.dcm", "README", "v.gif"):
        (folder / name).touch()
    (folder / ".git").mkdir()
    expected = {
        ".git": "hidden",
        ".hidden.png": "hidden",
        "README": "no image (no ending)",
        "a.png.EX.mask.png": "a result of a run",
        "notes.txt": "no image (.txt)",
        "sub": "a sub-folder (--recursive looks into it)",
        "v.gif": "no image (.gif)",
        "x.dcm": "no image (.dcm)",
    }
    assert passed_over(folder, out) == expected
    del expected["sub"]
    assert passed_over(folder, out, recursive=True) == expected
    run(folder, out, recursive=True)
    log = run_log(out)
    assert log["counts"]["passed_over"] == 7
    assert {Path(one["path"]).name: one["why"] for one in log["passed_over"]} == expected


@no_links
def test_links(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "in"
    photo(folder / "a.png")
    photo(tmp_path / "elsewhere" / "b.png")
    (folder / "b.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    (folder / "again.png").symlink_to(folder / "a.png")
    (folder / "dead.png").symlink_to("nowhere.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "self").symlink_to(".")
    assert found(folder, out, recursive=True) == ["a.png", "b.png"]
    assert passed_over(folder, out, recursive=True) == {
        "again.png": "the same file as another",
        "dead.png": "a dead link",
        "linked": "a link to a folder",
        "loop.png": "a dead link",
        "self": "a link to a folder",
    }


@no_links
@pytest.mark.parametrize("loops", ["a", "ab"])
def test_links_that_lead_back_are_walked_once(tmp_path: Path, out: Path, loops: str) -> None:
    photo(tmp_path / "in" / "eye.png")
    for name in loops:
        (tmp_path / "in" / name).symlink_to(".")
    for pattern in ("**/*.png", "**", "*/*/*.png"):
        code = (
            "import sys; from pathlib import Path; "
            "from tp_drseg.folder.photographs import find_photographs as find;"
            "print([p.path.name for p in find(sys.argv[1], Path(sys.argv[2])).photographs])"
        )
        command = [sys.executable, "-c", code, f"{tmp_path}/in/{pattern}", str(out)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        assert answer.stdout.strip() == "['eye.png']"


def test_a_tree_deeper_than_the_stack(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "in"
    photo(folder / ("d/" * 300) / "a.png")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        assert len(found(folder, out, recursive=True)) == 1
        assert len(found(f"{folder}/**/*.png", out)) == 1
    finally:
        sys.setrecursionlimit(limit)


def test_a_pattern_that_is_a_file_name(tmp_path: Path, out: Path) -> None:
    photo(tmp_path / "a[1].png")
    assert found(tmp_path / "a[1].png", out) == ["a[1].png"]


@pytest.mark.parametrize("pattern", ["*.png", "e?e.png", "[e]ye.png", "**/*.png"])
def test_a_pattern_below_a_folder_with_brackets(tmp_path: Path, out: Path, pattern: str) -> None:
    photo(tmp_path / "data [2024]" / "sub[1]" / "eye.png")
    photo(tmp_path / "data [2024]" / "eye.png")
    names = found(f"{tmp_path}/data [2024]/{pattern}", out)
    assert names[0] == "eye.png"
    assert found(f"{tmp_path}/*/sub[1]/{pattern}", out) == ["data [2024]/sub[1]/eye.png"]
    with pytest.raises(ImageError, match=r"\[\[\]"):
        found(f"{tmp_path}/date [2024]/{pattern}", out)


def test_a_pattern_with_parents_stays_in_the_output_folder(tmp_path: Path) -> None:
    photo(tmp_path / "p" / "a" / "i.png")
    photo(tmp_path / "other" / "s.png")
    pattern, out = str(tmp_path / "p" / "*" / ".." / ".." / "other" / "*.png"), tmp_path / "x/out"
    done = run(pattern, out).done
    assert list(tmp_path.rglob("*.mask.png")) == list(out.rglob("*.mask.png"))
    assert run(pattern, out).skipped == done == ("s.png",)
    inner = str(tmp_path / "p" / "*" / ".." / "a" / "*.png")
    assert found(inner, out) == ["a/i.png"]


def test_relative_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "sub" / "a.png")
    monkeypatch.chdir(tmp_path)
    out = Path("out")
    assert found("sub/a.png", out) == ["a.png"]
    assert found("*/*.png", out) == ["sub/a.png"]
    monkeypatch.chdir(tmp_path / "sub")
    assert found(".", out) == ["a.png"]
    assert found("*.png", out) == ["a.png"]
    assert found("../*/a.png", out) == ["sub/a.png"]


@pytest.mark.parametrize("item", ["missing.png", "missing/*.png", "empty", "", "x" * 5000, "a\0b"])
def test_inputs_without_an_image(tmp_path: Path, out: Path, item: str) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(ImageError):
        find_photographs(str(tmp_path / item) if item else "", out)


def test_no_input(out: Path) -> None:
    with pytest.raises(ImageError, match="No input"):
        find_photographs([], out)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_image(tmp_path: Path, out: Path) -> None:
    photo(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="neither"):
        find_photographs(tmp_path / "pipe.png", out)
    assert passed_over(tmp_path, out) == {"pipe.png": "no regular file"}


@pytest.mark.parametrize("pattern", [False, True])
def test_a_folder_that_cannot_be_read_is_a_failure(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, pattern: bool
) -> None:
    photo(tmp_path / "in" / "a.png")
    photo(tmp_path / "in" / "closed" / "b.png")
    photo(tmp_path / "in" / "open" / "c.png")
    real = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    inputs = str(tmp_path / "in" / "**" / "*.png") if pattern else tmp_path / "in"
    report = run(inputs, out, recursive=True)
    assert report.done == ("a.png", "open/c.png")
    (failure,) = report.failures
    assert failure.source == str(tmp_path / "in" / "closed")
    assert "Permission denied" in failure.message
    rows = {row["image"]: row["status"] for row in table(out, "photographs.csv")}
    assert rows == {"a.png": "done", "closed": "failed", "open/c.png": "done"}


def test_an_input_that_cannot_be_read_is_wrong_use(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(ImageError, match="Permission denied"):
        find_photographs(photos, out)


def test_the_output_folder_is_no_input(photos: Path) -> None:
    inside = photos / "out"
    assert run(photos, inside, recursive=True).done == ("a.png", "b.png", "c.png")
    assert run(photos, inside, recursive=True).skipped == ("a.png", "b.png", "c.png")
    assert not passed_over(photos, inside)
    with pytest.raises(ImageError, match="output folder"):
        run(photos, photos)


@pytest.mark.parametrize("copied", [False, True])
def test_results_of_another_run_are_no_photographs(photos: Path, copied: bool) -> None:
    options: dict[str, Any] = {"recursive": True, "overlays": True, "lesions": ["EX", "MA"]}
    run(photos, photos / "results_a", **options)
    if copied:  # without what is hidden
        (photos / "results_a" / ".tp-drseg").rename(photos.with_name("state"))
    model = FakeModel()
    assert run(photos, photos / "results_b", model, **options).done == ("a.png", "b.png", "c.png")
    assert run(f"{photos}/**/*", photos / "results_c").done == ("a.png", "b.png", "c.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_takes_a_files_place_after_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "in" / "a.png")
    os.mkfifo(tmp_path / "in" / "b")
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # as it was a moment before
    found = find_photographs(tmp_path / "in", tmp_path / "out")
    assert [one.name for one in found.photographs] == ["a.png"]
