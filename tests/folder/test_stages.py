"""Reading, the model and writing beside each other: what overlaps, what is held, what fails."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
import weakref
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_model import FakeModel, FakeSession, photo, run
from tp_drseg.errors import ConfigError, LesionError, OutputError, PromptError
from tp_drseg.folder import pictures
from tp_drseg.folder.step import Job, Outcome, Segmented, Step
from tp_drseg.folder.store import RecordStore
from tp_drseg.folder.tables import Tables

NAMES = ("a.png", "b.png", "c.png", "d.png", "e.png")
PATIENCE = 10.0  # seconds until a test that would wait for ever fails


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in NAMES:
        photo(tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    yield
    assert not ours()


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tp-drseg")]


class Events(defaultdict[str, threading.Event]):
    def __init__(self) -> None:
        super().__init__(threading.Event)

    def wait(self, name: str) -> None:
        assert self[name].wait(PATIENCE), f"waited in vain: {name}"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Events:
    """What the writer has begun, and ended, by name."""
    events, real = Events(), Step.write

    def write(self: Step, job: Job, segmented: Segmented | Outcome) -> Outcome:
        name = job.photograph.name
        events[f"begun {name}"].set()
        outcome = real(self, job, segmented)
        events[f"ended {name}"].set()
        return outcome

    monkeypatch.setattr(Step, "write", write)
    return events


def neighbour(name: str, step: int) -> str | None:
    place = NAMES.index(name) + step
    return NAMES[place] if 0 <= place < len(NAMES) else None


def table(out: Path) -> list[str]:
    lines = (out / "lesions.csv").read_text("utf-8-sig").splitlines()[1:]
    return [line.split(",")[0] for line in lines]


def log(out: Path) -> Any:
    return json.loads((out / "run.json").read_text())


def test_the_next_is_read_and_the_last_written_while_the_model_works(
    photos: Path, out: Path, kept: Events
) -> None:
    prepared = Events()

    def act(name: str) -> None:
        if following := neighbour(name, 1):
            prepared.wait(following)
        if last := neighbour(name, -1):
            kept.wait(f"ended {last}")
            assert (out / f"{last}.EX.mask.png").exists()

    model = FakeModel(act, read=lambda name: prepared[name].set())
    assert run(photos, out, model).done == NAMES
    assert model.seen == list(NAMES)


def test_the_model_does_not_wait_for_the_writing_of_the_last_one(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, real = Events(), Step.write

    def write(self: Step, job: Job, segmented: Segmented | Outcome) -> Outcome:
        if following := neighbour(job.photograph.name, 1):
            started.wait(following)
        return real(self, job, segmented)

    monkeypatch.setattr(Step, "write", write)
    assert run(photos, out, FakeModel(lambda name: started[name].set())).done == NAMES


def test_one_is_read_ahead_and_no_more(photos: Path, out: Path) -> None:
    prepared = Events()

    def act(name: str) -> None:
        following = neighbour(name, 1)
        if following:
            prepared.wait(following)
        known = NAMES.index(name) + (2 if following else 1)
        assert model.opened == list(NAMES[:known])

    model = FakeModel(act, read=lambda name: prepared[name].set())
    assert not run(photos, out, model).failures


def test_memory_is_let_go_of(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the model works: its photograph, the next one, and the last one until it is written."""
    sessions: dict[str, weakref.ref[FakeSession]] = {}
    written, real = Events(), FakeSession.segment_many

    class Model(FakeModel):
        def open_quietly(self, image: Any, *, max_pixels: int) -> FakeSession:
            session = super().open_quietly(image, max_pixels=max_pixels)
            sessions[session.name] = weakref.ref(session)
            return session

    def act(name: str) -> None:
        if last := neighbour(name, -1):
            written.wait(last)
        assert {one for one, session in sessions.items() if session()} <= {
            name,
            neighbour(name, 1),
        }

    def segment(self: FakeSession, *arguments: Any) -> Any:
        found = real(self, *arguments)
        weakref.finalize(found[0], written[self.name].set)
        return found

    monkeypatch.setattr(FakeSession, "segment_many", segment)
    report = run(photos, out, Model(act))
    assert (report.done, report.failures) == (NAMES, ())
    assert not any(session() for session in sessions.values())


def test_the_results_of_at_most_two_are_in_memory(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the writer: the model's step waits before a third."""
    alive: list[str] = []
    started, real, write = Events(), FakeSession.segment_many, Step.write

    def segment(self: FakeSession, *arguments: Any) -> Any:
        started[self.name].set()
        found = real(self, *arguments)
        alive.append(self.name)
        weakref.finalize(found[0], alive.remove, self.name)
        return found

    def slow(self: Step, job: Job, segmented: Segmented | Outcome) -> Outcome:
        name = job.photograph.name
        if following := neighbour(name, 1):
            started.wait(following)
        if third := neighbour(name, 2):
            assert not started[third].wait(0.02)
        assert len(alive) <= 2
        return write(self, job, segmented)

    monkeypatch.setattr(FakeSession, "segment_many", segment)
    monkeypatch.setattr(Step, "write", slow)
    assert run(photos, out).done == NAMES
    assert not alive


def test_outcomes_stay_in_order(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run([photos / "c.png", photos / "e.png"], out)
    photo(photos / "f.png")
    (photos / "a.png").write_bytes(b"not an image")
    real = pictures.encode_results

    def encode(image: str, *arguments: Any, **options: Any) -> dict[str, bytes]:
        if image == "d.png":
            raise MemoryError("no room to draw")
        return real(image, *arguments, **options)

    def act(name: str) -> None:
        if name == "b.png":
            raise RuntimeError("out of memory")

    monkeypatch.setattr(pictures, "encode_results", encode)
    report = run(photos, out, FakeModel(act))
    assert report.skipped == ("c.png", "e.png")
    assert report.done == ("f.png",)
    assert [(failure.image, failure.error) for failure in report.failures] == [
        ("a.png", "ImageError"),
        ("b.png", "RuntimeError"),
        ("d.png", "MemoryError"),
    ]
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        "a.png",
        "b.png",
        "d.png",
    ]
    assert [row["image"] for row in report.rows] == ["f.png", "c.png", "e.png"]
    assert table(out) == ["c.png", "e.png", "f.png"]
    assert log(out)["counts"] | {"in_doubt": 0, "passed_over": 0} == {
        "images": 6,
        "done": 1,
        "skipped": 2,
        "failed": 3,
        "rejected": 0,
        "remaining": 0,
        "in_doubt": 0,
        "passed_over": 0,
    }


def test_a_preparation_that_fails_is_the_photographs_own(photos: Path, out: Path) -> None:
    def read(name: str) -> None:
        if name == "b.png":
            raise RuntimeError("odd")

    model = FakeModel(read=read)
    report = run(photos, out, model)
    assert [failure.image for failure in report.failures] == ["b.png"]
    assert model.seen == list(report.done) == ["a.png", "c.png", "d.png", "e.png"]


@pytest.mark.parametrize("error", [ConfigError, LesionError, PromptError, OutputError])
@pytest.mark.parametrize("stage", ["act", "read"])
def test_an_error_that_is_not_the_photographs_stops_the_run(
    photos: Path, out: Path, error: type[Exception], stage: str
) -> None:
    def fail(name: str) -> None:
        if name == "b.png":
            raise error("for all")

    model = FakeModel(fail) if stage == "act" else FakeModel(read=fail)
    with pytest.raises(error, match="for all"):
        run(photos, out, model)
    assert model.seen == ["a.png", "b.png"][: 2 if stage == "act" else 1]
    assert table(out) == ["a.png"]  # it was finished
    assert log(out)["status"] == "stopped"


@pytest.mark.parametrize("error", [OutputError, SystemExit])
def test_an_error_of_the_writer_comes_with_its_type(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    real = RecordStore.replace

    def replace(self: RecordStore, record: Any, *arguments: Any) -> Any:
        if record.image == "b.png":
            raise error("full") from OSError(errno.ENOSPC, "full")
        return real(self, record, *arguments)

    monkeypatch.setattr(RecordStore, "replace", replace)
    model = FakeModel()
    with pytest.raises(error, match="full"):
        run(photos, out, model)
    assert model.seen == ["a.png", "b.png", "c.png"]  # one more was with the model
    assert model.opened == [*model.seen, "d.png"]
    assert table(out) == ["a.png"]
    assert log(out)["counts"]["remaining"] == 4
    monkeypatch.undo()
    assert run(photos, out).done == NAMES[1:]


def test_an_interrupt_lets_the_last_one_be_written(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted, real = threading.Event(), Step.write

    def write(self: Step, job: Job, segmented: Segmented | Outcome) -> Outcome:
        assert interrupted.wait(PATIENCE)
        return real(self, job, segmented)

    def act(name: str) -> None:
        if name == "b.png":
            threading.Timer(0.01, interrupted.set).start()
            raise KeyboardInterrupt

    monkeypatch.setattr(Step, "write", write)
    with pytest.raises(KeyboardInterrupt):
        run(photos, out, FakeModel(act))
    assert table(out) == ["a.png"]
    assert log(out)["status"] == "stopped"
    monkeypatch.undo()
    again = run(photos, out)
    assert (again.skipped, again.done) == (("a.png",), NAMES[1:])


def test_results_stay_until_there_are_new_ones(photos: Path, out: Path) -> None:
    run(photos, out)

    def act(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(photos, out, FakeModel(act), threshold=0.1)
    assert table(out) == list(NAMES)
    assert run(photos, out).skipped == NAMES


def test_one_thread_at_a_time_writes_the_tables(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by: list[tuple[str, str]] = []
    real = Tables.write

    def write(self: Tables, status: str) -> None:
        thread = threading.current_thread()
        by.append((status, thread.name.split("_")[0]))
        if thread is threading.main_thread():
            assert not ours()
        real(self, status)

    monkeypatch.setattr(Tables, "write", write)
    run(photos, out)
    assert set(by[:-1]) == {("running", "tp-drseg-writer")}
    assert by[-1] == ("finished", "MainThread")


def test_seconds_are_the_models_own(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, real = [0.0], os.replace

    def spend(seconds: float) -> None:
        now[0] += seconds

    def replace(source: Path, target: Path) -> None:
        spend(1000)
        real(source, target)

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(os, "replace", replace)
    model = FakeModel(act=lambda name: spend(7), read=lambda name: spend(100))
    run(photo(tmp_path / "a.png"), out, model)
    assert log(out)["images"][0]["seconds"] == 7
    assert log(out)["seconds"] > 1100
