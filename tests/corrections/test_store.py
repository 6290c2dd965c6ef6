from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corrections.test_record import WHEN, review, step
from tp_drseg.corrections.record import CorrectedMask, Review
from tp_drseg.corrections.store import CorrectionStore
from tp_drseg.errors import OutputError
from tp_drseg.export import encode_mask

COPY = "eye.jpg.EX.corrected.png"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def mask(number: int) -> bytes:
    values = np.zeros((40, 48), bool)
    values.reshape(-1)[:number] = True
    return encode_mask(values)


def drawn(store: CorrectionStore, before: Review | None, number: int) -> Review:
    """A review after one more stroke, written."""
    digest = store.keep_mask("eye.jpg", mask(number))
    made = step(number).model_copy(update={"mask": digest})
    found = (before or review()).with_step(made)
    found = found.model_copy(update={"masks": (_corrected(digest),)})
    store.write(found, before)
    return found


def _corrected(digest: str) -> CorrectedMask:
    return CorrectedMask(
        lesion="hard exudate",
        label="EX",
        sha256=digest,
        area_px=1,
        model_mask="0" * 64,
        is_edited=True,
    )


def test_a_review_and_its_mask_are_read_again(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    assert store.read("eye.jpg") is None and store.read_all() == []
    found = drawn(store, None, 5)
    assert (tmp_path / COPY).read_bytes() == mask(5)
    assert CorrectionStore(tmp_path).read("eye.jpg") == found
    assert store.mask_path(found, "EX") == tmp_path / COPY
    assert [one.image for one in store.read_all()] == ["eye.jpg"]


def test_a_photograph_in_a_sub_folder(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    store.write(review(image="left/eye.jpg"), None)
    assert [one.image for one in store.read_all()] == ["left/eye.jpg"]


def test_a_kill_at_any_write_loses_the_last_stroke_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk stops taking anything at the nth write; then a new process mends."""
    replace = os.replace
    outcomes = set()
    for stop in range(1, 5):
        out = tmp_path / str(stop)
        store = CorrectionStore(out)
        before = drawn(store, None, 1)
        left = [stop]

        def dies(*paths: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] <= 0:
                raise OSError("killed")
            replace(*paths)

        monkeypatch.setattr(os, "replace", dies)
        with suppress(OutputError):
            drawn(store, before, 2)
        monkeypatch.setattr(os, "replace", replace)
        store = CorrectionStore(out)
        store.mend(["eye.jpg"])
        found = store.read("eye.jpg")
        assert found is not None
        outcomes.add(len(found.steps))
        assert (out / COPY).read_bytes() == mask(len(found.steps))
        assert store.mask_path(found, "EX") == out / COPY
        assert not list(out.rglob("*.tmp"))
    assert outcomes == {1, 2}


def test_what_counts_is_there_even_before_the_mending(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    found = drawn(store, drawn(store, None, 1), 2)
    (tmp_path / COPY).write_bytes(mask(1))  # as a kill would have left it
    path = store.mask_path(found, "EX")
    assert path is not None and path != tmp_path / COPY and path.read_bytes() == mask(2)
    assert store.mend() == 1 and store.mend() == 0
    assert store.mask_path(found, "EX") == tmp_path / COPY


def test_what_somebody_else_drew_is_kept(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    found = drawn(store, None, 1)
    (tmp_path / COPY).write_bytes(b"drawn by hand")
    drawn(store, found, 2)
    assert (tmp_path / COPY).read_bytes() == mask(2)
    assert (tmp_path / f"{COPY}.kept").read_bytes() == b"drawn by hand"


def test_an_undone_mask_is_taken_away_and_its_kept_file_stays(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    found = drawn(store, None, 1)
    undone = found.moved(-1).model_copy(update={"masks": ()})
    store.write(undone, found)
    assert not (tmp_path / COPY).exists()
    assert store.mask_bytes("eye.jpg", hashlib.sha256(mask(1)).hexdigest()) == mask(1)


def test_a_forgotten_mask_is_removed(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    found = drawn(store, None, 1)
    again = drawn(store, found.moved(-1), 2)
    assert len(again.steps) == 1
    with pytest.raises(OutputError, match="missing"):
        store.mask_bytes("eye.jpg", hashlib.sha256(mask(1)).hexdigest())


def test_a_changed_mask_is_no_mask(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    found = drawn(store, None, 1)
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(mask(9))
    assert store.mask_path(found, "EX") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"image": "other.jpg"}'])
def test_a_damaged_review_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "eye.jpg.review.json").write_text(text)
    with pytest.raises(ValueError, match="damaged"):
        CorrectionStore(tmp_path).read("eye.jpg")
    assert CorrectionStore(tmp_path).read_all() == []


def test_the_state_folder_is_not_searched(tmp_path: Path) -> None:
    (tmp_path / ".tp-drseg").mkdir()
    (tmp_path / ".tp-drseg" / "x.review.json").write_text(review().model_dump_json())
    assert list(CorrectionStore(tmp_path).images()) == []


def test_times_are_read_as_they_were(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    store.write(review(), None)
    found = store.read("eye.jpg")
    assert found is not None and found.when == WHEN
