from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_model import photo, run
from tests.support.results import masks, table
from tp_drseg._runtime.confined import confined
from tp_drseg._runtime.names import name_key
from tp_drseg.errors import OutputError
from tp_drseg.folder.names import is_output_name, output_name, tagged

ODD = {
    "newline": "a\nb.png",
    "escape": "\x1b[31mred.png",
    "carriage return": "=a\r.png",
    "right to left": "\u202egnp.png",
    "bytes that are no Unicode": "\udcff\udcfe.png",
    "backslash": "..\\..\\x.png",
    "drive": "c:x.png",
    "device": "con.png",
    "device, any case": "Lpt1.x.png",
    "device with blanks": "aux .png",
    "ends in a dot": "x.png.",
    "hidden": ".x.png",
    "long": "x" * 240 + ".png",
    "long in bytes": "眼" * 80 + ".png",
    "a result": "x.mask.png",
}


ORDINARY = ("a.png", "größe 眼.png", "a[1].png", "%s{}.png", "-v.png", "👁️.png")


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names_stay(name: str) -> None:
    assert output_name(("sub", name)) == f"sub/{name}"


@pytest.mark.parametrize("name", ODD.values(), ids=ODD.keys())
def test_odd_names_become_ones_that_every_disk_takes(name: str) -> None:
    taken = output_name((name,))
    assert taken != name
    assert taken.isprintable()
    assert not set(taken) & set('<>:"|?*\\/')
    assert len(taken.encode()) <= 200
    assert not taken.startswith(".") and not taken.endswith((".", " "))
    assert is_output_name(taken)
    assert output_name((name,)) == taken
    # two that look alike stay apart
    assert output_name((name,)) != output_name((f"{name[:-5]}\x01{name[-5:]}",))


@pytest.mark.parametrize(
    "folder", ["run.json", "Lesions.CSV", "thumbnails", ".tp-drseg", "..", "x.png.EX.mask.png"]
)
def test_folders_that_would_be_in_the_way(folder: str) -> None:
    name = output_name((folder, "a.png"))
    assert name.endswith("/a.png")
    assert not name.startswith(f"{folder}/")


@given(st.lists(st.text(st.characters(exclude_characters="/"), min_size=1), min_size=1, max_size=4))
def test_any_name_is_confined_and_stays(parts: list[str]) -> None:
    name = output_name(parts)
    assert is_output_name(name) or len(name) > 4096
    assert len(name.split("/")) == len(parts)
    name.encode("utf-8")
    assert confined(Path("/out"), name).is_relative_to("/out")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "./x", "", "a\0b", "c:/x", "..\\x", ".tp-drseg/x"],
)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    assert not is_output_name(name)
    if name != ".tp-drseg/x":
        with pytest.raises(OutputError):
            confined(tmp_path, name)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_that_lead_out(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out" / "loop").symlink_to("loop")
    (tmp_path / "out" / "inner").symlink_to(tmp_path / "out")
    with pytest.raises(OutputError, match="leads out"):
        confined(tmp_path / "out", "link/x.png")
    assert confined(tmp_path / "out", "inner/x.png")
    (tmp_path / "through").symlink_to(tmp_path / "out")
    assert confined(tmp_path / "through", "x.png")  # the output folder itself may be a link


def test_names_that_some_disk_takes_for_one() -> None:
    assert name_key("É.PNG") == name_key("e\u0301.png")
    assert name_key("a.png") != name_key("b.png")
    assert tagged("sub/a.png", "/one") != tagged("sub/a.png", "/two")
    assert tagged("sub/a.png", "/one").startswith("sub/a~")


# --- in a run ------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("pair", [("a.png", "A.png"), ("\u00e9.png", "e\u0301.png")])
def test_names_that_differ_in_case_or_accents_alone(
    tmp_path: Path, out: Path, pair: tuple[str, str]
) -> None:
    photo(tmp_path / "in" / pair[0], 250)
    run(tmp_path / "in", out)
    photo(tmp_path / "in" / pair[1], 200)
    if len(list((tmp_path / "in").iterdir())) == 1:
        pytest.skip("this disk takes both names for one")
    report = run(tmp_path / "in", out)
    assert report.skipped == (pair[0],)
    assert len({name_key(name) for name in masks(out)}) == 2


def test_photographs_that_moved_are_not_done_again(photos: Path, out: Path) -> None:
    run(photos, out)
    moved = photos.rename(photos.with_name("moved"))
    assert len(run(moved, out).skipped) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="such names cannot be there")
def test_photographs_with_odd_names_are_done_and_known_again(tmp_path: Path, out: Path) -> None:
    names = [name for name in ODD.values() if not name.startswith(".") and name.endswith(".png")]
    names.remove(ODD["a result"])
    names.remove(ODD["long in bytes"])
    for name in names:
        photo(tmp_path / "in" / name)
    report = run(tmp_path / "in", out)
    assert len(report.done) == len(masks(out)) == len(names)
    assert not report.failures
    assert len(run(tmp_path / "in", out).skipped) == len(names)
    text = (out / "photographs.csv").read_bytes().decode("utf-8-sig")
    assert len(text.splitlines()) == len(names) + 1


@pytest.mark.parametrize("folder", ["run.json", "lesions.csv", "thumbnails", "b.png.EX.mask.png"])
def test_a_sub_folder_by_a_name_of_ours(tmp_path: Path, out: Path, folder: str) -> None:
    photo(tmp_path / "in" / folder / "a.png")
    photo(tmp_path / "in" / "b.png")
    report = run(tmp_path / "in", out, recursive=True)
    assert len(report.done) == 2
    assert len(table(out)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no such path can be made there")
def test_a_path_that_is_too_long_is_its_own_failure(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a.png")
    photo(tmp_path / "in" / "z.png")
    here = Path.cwd()
    os.chdir(tmp_path / "in")
    try:
        for _ in range(22):
            Path("d" * 170).mkdir()
            os.chdir("d" * 170)
        photo(Path("deep.png"))
    finally:
        os.chdir(here)
    out = tmp_path / ("o" * 200) / ("o" * 200) / ("o" * 200)
    report = run(tmp_path / "in", out, recursive=True)
    assert report.done == ("a.png", "z.png")
    assert len(report.failures) == 1
    assert "too long" in report.failures[0].message
    rows = table(out, "photographs.csv")
    assert sorted(row["status"] for row in rows) == ["done", "done", "failed"]


def test_a_folder_in_a_masks_place_is_its_photographs_failure(photos: Path, out: Path) -> None:
    (out / "b.png.EX.mask.png").mkdir(parents=True)
    report = run(photos, out)
    assert report.done == ("a.png", "c.png")
    assert "b.png.EX.mask.png" in report.failures[0].message
    (out / "b.png.EX.mask.png").rmdir()
    assert run(photos, out).done == ("b.png",)
