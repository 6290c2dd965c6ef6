"""Records as untrusted input, and what they vouch for."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_model import photo, run
from tests.support.results import masks
from tp_drseg._runtime.confined import STATE_FOLDER
from tp_drseg.errors import OutputError
from tp_drseg.folder.record import ImageRecord, LesionRow, now
from tp_drseg.folder.store import RecordStore, describe, open_store

no_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def record(image: str = "sub/a.jpg", **fields: Any) -> ImageRecord:
    row = LesionRow(
        lesion="hard exudate",
        threshold=0.5,
        regions=1,
        area_px=2,
        area_percent=0.1,
        mean_probability=0.1,
        max_probability=0.9,
    )
    given: dict[str, Any] = {
        "image": image,
        "source": f"/photos/{image}",
        "sha256": "0" * 64,
        "settings": "1" * 64,
        "is_complete": True,
        "files": (),
        "width": 48,
        "height": 40,
        "lesions": (row,),
        "quality": "good",
        "seconds": 1.5,
        "finished": now(),
    }
    return ImageRecord(**{**given, **fields})


def place(out: Path, image: str) -> Path:
    name = hashlib.sha256(image.encode()).hexdigest()[:32]
    path = out / STATE_FOLDER / "images" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def plant(out: Path, **fields: Any) -> Path:
    """A record as a stranger may have written it, under its right name."""
    data = json.loads(record().model_dump_json()) | fields
    image = data["image"] if isinstance(data["image"], str) else "odd"
    path = place(out, image.encode("utf-8", "replace").decode())
    path.write_text(json.dumps(data))
    return path


def test_records_last_beyond_a_run(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        kept = store.replace(record(), {"sub/a.jpg.EX.mask.png": b"abc"}, None)
        assert kept.is_complete
    with open_store(tmp_path) as store:
        assert store.read_all() == {"sub/a.jpg": kept}
        assert store.is_whole(kept)
        (tmp_path / "sub/a.jpg.EX.mask.png").write_bytes(b"ab")
        assert not store.is_whole(kept)
        (tmp_path / "sub/a.jpg.EX.mask.png").write_bytes(b"abc")
        store.discard(kept)
        assert masks(tmp_path) == []
        assert store.read_all() == {}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        open_store(tmp_path),
        pytest.raises(OutputError, match="Another run"),
        open_store(tmp_path),
    ):
        pass
    with open_store(tmp_path):
        pass


def test_photographs_that_differ_only_in_case_have_two_records(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.replace(record("sub/a.jpg"), {}, None)
        store.replace(record("sub/A.jpg"), {}, None)
        assert set(store.read_all()) == {"sub/a.jpg", "sub/A.jpg"}


# --- what a stranger may have written ------------------------------------------------------------

FILE = {"name": "sub/a.jpg.EX.mask.png", "size": 1, "sha256": "0" * 64}
DAMAGE: dict[str, dict[str, Any]] = {
    "image leads up": {"image": "../../x"},
    "image leads up inside": {"image": "a/../../x"},
    "image is absolute": {"image": "/tmp/x"},
    "image is in our folder": {"image": ".tp-drseg/images/x"},
    "image is a drive": {"image": "c:x"},
    "image has backslashes": {"image": "..\\x"},
    "image has a NUL": {"image": "a\0b"},
    "image is a device": {"image": "con.jpg"},
    "image is empty": {"image": ""},
    "image is a number": {"image": 3},
    "image is null": {"image": None},
    "image is endless": {"image": "x/" * 5000 + "x"},
    "image is no Unicode": {"image": "\udcff"},
    "a file of the user's": {"files": [FILE | {"name": "notes.txt"}]},
    "a mask of another photograph": {"files": [FILE | {"name": "sub/b.jpg.EX.mask.png"}]},
    "a file that leads up": {"files": [FILE | {"name": "sub/a.jpg./../../x.mask.png"}]},
    "a file in a folder": {"files": [FILE | {"name": "sub/a.jpg.x/y.mask.png"}]},
    "a file with a NUL": {"files": [FILE | {"name": "sub/a.jpg.\0.mask.png"}]},
    "files is a list of names": {"files": ["a"]},
    "files is a number": {"files": 3},
    "files is a mapping": {"files": {"a": 1}},
    "a size is text": {"files": [FILE | {"size": "1"}]},
    "a size is negative": {"files": [FILE | {"size": -1}]},
    "a size is huge": {"files": [FILE | {"size": 10**30}]},
    "a hash is short": {"files": [FILE | {"sha256": "0"}]},
    "lesions is null": {"lesions": None},
    "a lesion of lists": {"lesions": [{"lesion": [1]}]},
    "NaN": {"seconds": float("nan")},
    "a count is text": {"width": "48"},
    "a date that is none": {"finished": "yesterday"},
    "source is a list": {"source": [1]},
    "doubts is a number": {"doubts": 3},
    "a doubt is endless": {"doubts": ["x" * 10_000]},
    "a field more": {"more": 1},
}


@pytest.mark.parametrize("fields", DAMAGE.values(), ids=DAMAGE.keys())
def test_what_is_no_record_is_passed_over(
    tmp_path: Path, fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    plant(tmp_path, **fields)
    with open_store(tmp_path) as store:
        assert store.read_all() == {}
    (said,) = caplog.records
    assert "damaged" in said.getMessage() and "done again" in said.getMessage()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"image": "a"',
        b"[" * 200_000,
        b'{"seconds": ' + b"1" * 5000 + b"}",
        b"\xff\xfe",
        b'{"image": "\\ud800"}',
        b" " * (9 << 20),
    ],
    ids=lambda data: str(data[:12]),
)
def test_what_is_no_json_is_passed_over(tmp_path: Path, data: bytes) -> None:
    place(tmp_path, "a").write_bytes(data)
    with open_store(tmp_path) as store:
        assert store.read_all() == {}


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ),
    st.sampled_from(sorted(ImageRecord.model_fields)),
)
def test_any_value_in_any_field_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, value: Any, field: str
) -> None:
    out = tmp_path_factory.mktemp("out")
    plant(out, **{field: value})
    assert len(RecordStore(out).read_all()) <= 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: text.replace("{", '{"image": "../../x",', 1), "names 'image' twice"),
        (lambda text: text.replace("48", "1" * 5000, 1), "a number of thousands of digits"),
        (lambda text: text.replace("1.5", "NaN", 1), "holds NaN"),
        (lambda text: text.replace("/photos", "\\ud800", 1), "half of a surrogate pair"),
        (lambda text: "[" * 100_000, "nested deeper"),
    ],
)
def test_records_are_read_as_strictly_as_all_json(
    tmp_path: Path, change: Callable[[str], str], what: str
) -> None:
    path = place(tmp_path, "sub/a.jpg")
    whole = record().model_dump_json()
    path.write_text(whole)
    store = RecordStore(tmp_path)
    assert store.read(path).image == "sub/a.jpg"
    path.write_text(change(whole))
    with pytest.raises(ValueError, match=what):
        store.read(path)


def test_a_record_under_another_name_is_passed_over(tmp_path: Path) -> None:
    plant(tmp_path).rename(place(tmp_path, "other"))
    assert RecordStore(tmp_path).read_all() == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_a_records_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(place(tmp_path, "a"))
    assert RecordStore(tmp_path).read_all() == {}


@pytest.mark.parametrize("image", ["../../escaped/evil.png", "ABSOLUTE"])
def test_a_poisoned_folder_writes_nothing_outside(tmp_path: Path, image: str) -> None:
    eye = photo(tmp_path / "in" / "eye.png")
    out = tmp_path / "deep" / "er" / "out"
    plant(out, image=image.replace("ABSOLUTE", f"{tmp_path}/evil.png"), source=str(eye))
    assert run(eye, out).done == ("eye.png",)
    assert [path.relative_to(out).as_posix() for path in tmp_path.rglob("*.mask.png")] == masks(out)


def test_a_name_from_a_stranger_stays_inside(tmp_path: Path) -> None:
    """A record may give this photograph a name, but only one below the output folder."""
    eye = photo(tmp_path / "in" / "eye.png")
    plant(tmp_path / "out", image="elsewhere/x.png", source=str(eye))
    assert run(eye, tmp_path / "out").done == ("elsewhere/x.png",)


def test_nothing_of_the_users_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    eye, out = photo(tmp_path / "in" / "eye.png"), tmp_path / "out"
    names = ("eye.png.EX.mask.png", "eye.png.MA.mask.png")
    files = [FILE | {"name": name, "size": 1} for name in names]
    plant(out, image="eye.png", source=str(eye), files=files)
    for name in names:
        (out / name).write_text("x")  # one byte, as the record says, and none that it vouches for
    assert run(eye, out, lesions="EX").done == ("eye.png",)
    assert (out / "eye.png.MA.mask.png").read_text() == "x"
    assert (out / "eye.png.EX.mask.png.kept").read_text() == "x"
    assert "is left" in caplog.text and "is now" in caplog.text


def test_a_mask_that_was_drawn_over_is_kept(tmp_path: Path) -> None:
    """As an annotator does who starts from what was found."""
    eye, out = photo(tmp_path / "in" / "eye.png"), tmp_path / "out"
    run(eye, out)
    mask = out / "eye.png.EX.mask.png"
    for number, drawn in enumerate((b"first", b"second")):
        mask.write_bytes(drawn)
        assert run(eye, out, overwrite=bool(number)).done == ("eye.png",)
    assert (out / f"{mask.name}.kept").read_bytes() == b"first"
    assert (out / f"{mask.name}.kept-2").read_bytes() == b"second"
    assert mask.read_bytes().startswith(b"\x89PNG")


@no_links
def test_a_link_that_leads_outside_is_not_followed(tmp_path: Path) -> None:
    eye = photo(tmp_path / "in" / "link" / "eye.png")
    photo(tmp_path / "in" / "z.png")
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (outside / "eye.png.EX.mask.png").write_bytes(b"precious")
    out.mkdir()
    (out / "link").symlink_to(outside)
    vouched = describe("link/eye.png.EX.mask.png", b"precious").model_dump()
    plant(out, image="link/eye.png", source=str(eye), files=[vouched])
    report = run(tmp_path / "in", out, recursive=True)
    assert report.done == ("z.png",)
    assert "leads out" in report.failures[0].message
    assert [path.name for path in outside.iterdir()] == ["eye.png.EX.mask.png"]
    assert (outside / "eye.png.EX.mask.png").read_bytes() == b"precious"


@no_links
@pytest.mark.parametrize("name", [STATE_FOLDER, f"{STATE_FOLDER}/images"])
def test_a_linked_state_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "out" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="link"), open_store(tmp_path / "out"):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


@no_links
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_an_odd_lock(tmp_path: Path, kind: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    lock = tmp_path / "out" / STATE_FOLDER / "lock"
    lock.parent.mkdir(parents=True)
    if kind == "link":
        lock.symlink_to(precious)
    elif kind == "folder":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    with pytest.raises(OutputError, match="no regular file"), open_store(tmp_path / "out"):
        pass
    assert precious.read_text() == "precious"


@no_links
def test_a_table_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    eye, out = photo(tmp_path / "in" / "eye.png"), tmp_path / "out"
    (tmp_path / "precious").write_text("precious")
    out.mkdir()
    (out / "lesions.csv").symlink_to(tmp_path / "precious")
    run(eye, out)
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (out / "lesions.csv").is_symlink()


def test_a_damaged_record_is_one_line_and_its_photograph_done_again(
    photos: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(photos, out)
    place(out, "b.png").write_bytes(b"{")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        report = run(photos, out)
    assert (report.done, report.skipped) == (("b.png",), ("a.png", "c.png"))
    assert len(caplog.records) == 1
    assert not list(out.rglob("*.kept"))  # what it held is the same
