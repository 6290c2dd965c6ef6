from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tp_drseg.errors import OutputError
from tp_drseg.export.csv import COLUMNS
from tp_drseg.folder.records import STATE_FOLDER, ImageRecord, open_store

RECORD = ImageRecord(
    image="sub/a.jpg",
    source="/photos/sub/a.jpg",
    sha256="0" * 64,
    settings="1" * 64,
    files={"a.png": 3},
    rows=[dict.fromkeys(COLUMNS, 1)],
    warnings=[],
    seconds=1.5,
    finished="2024-01-01T00:00:00+00:00",
)


def test_records_last_beyond_a_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    with open_store(tmp_path) as store:
        store.finish(RECORD)
    with open_store(tmp_path) as store:
        assert store.records == {"sub/a.jpg": RECORD}
        assert store.is_whole(RECORD)
        (tmp_path / "a.png").write_bytes(b"ab")
        assert not store.is_whole(RECORD)
        store.discard("sub/a.jpg")
        store.discard("never seen")
        assert not (tmp_path / "a.png").exists()
    with open_store(tmp_path) as store:
        assert store.records == {}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        open_store(tmp_path),
        pytest.raises(OutputError, match="another run"),
        open_store(tmp_path),
    ):
        pass
    with open_store(tmp_path):
        pass


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"image": "a"',
        json.dumps({**RECORD.__dict__, "files": {"../../etc/passwd": 1}}),
        json.dumps({**RECORD.__dict__, "files": {"/etc/passwd": 1}}),
        json.dumps({**RECORD.__dict__, "rows": [{"image": "a"}]}),
        json.dumps({**RECORD.__dict__, "rows": None}),
    ],
)
def test_what_is_no_record_is_passed_over(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / STATE_FOLDER / "images"
    folder.mkdir(parents=True)
    (folder / "x.json").write_text(text)
    with open_store(tmp_path) as store:
        assert store.records == {}
    assert "not a record" in caplog.text


def test_images_that_differ_only_in_case_have_two_records(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.finish(RECORD)
        store.finish(replace(RECORD, image="sub/A.jpg"))
    with open_store(tmp_path) as store:
        assert set(store.records) == {"sub/a.jpg", "sub/A.jpg"}
