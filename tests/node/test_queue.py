"""The queue on the disk."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from tp_drseg.errors import OutputError
from tp_drseg.node.queue import Queue

RESULTS = {"0.seg.dcm": b"a", "1.sr.dcm": b"b"}


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue")


def again(queue: Queue) -> Queue:
    """The same queue as a new process finds it."""
    queue.close()
    return Queue(queue.folder)


def test_photographs_wait_in_order(queue: Queue) -> None:
    names = [queue.put(data) for data in (b"b", b"a", b"c")]
    for number, name in enumerate(names):
        os.utime(queue.path(name), (number, number))
    assert len(queue) == 3 and queue.next() == names[0]
    assert queue.put(b"a") == names[1] and len(queue) == 3  # sent twice, it waits once
    for name in (names[0], names[2], names[1]):
        assert name == queue.next() or queue.path(name).exists()
        queue.finish(name, RESULTS)
    assert queue.next() is None and len(queue.to_send()) == 3


def test_it_is_for_its_owner_alone(queue: Queue) -> None:
    if sys.platform != "win32":
        assert stat.S_IMODE(queue.folder.stat().st_mode) == 0o700


def test_one_process_has_it(queue: Queue) -> None:
    with pytest.raises(OutputError, match="Another node"):
        Queue(queue.folder)
    queue.close()
    Queue(queue.folder).close()


def test_results_are_sent_whole(queue: Queue) -> None:
    name = queue.put(b"photograph")
    queue.finish(name, RESULTS)
    assert not list(queue.incoming.iterdir())
    ((sending, files),) = queue.to_send()
    assert sending == name and [path.name for path in files] == list(RESULTS)
    queue.sent(name)
    assert not queue.to_send() and not list(queue.outgoing.iterdir())


def test_results_that_are_cut_are_made_again(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    name = queue.put(b"photograph")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(OutputError, match="full"):
            queue.finish(name, RESULTS)
    assert list(queue.outgoing.iterdir())  # half of them
    queue = again(queue)
    assert queue.next() == name and not list(queue.outgoing.iterdir())


def test_a_process_that_ends_before_it_lets_go(queue: Queue) -> None:
    name = queue.put(b"photograph")
    queue.finish(name, RESULTS)
    assert queue.put(b"photograph") == name  # as if it had not been removed
    queue = again(queue)
    assert queue.is_done(name) and queue.next() == name
    queue.finish(name, {})
    assert queue.next() is None and len(queue.to_send()[0][1]) == 2


def test_one_that_was_tried_lets_the_others_go_first(queue: Queue) -> None:
    names = [queue.put(data) for data in (b"a", b"b")]
    for number, name in enumerate(names):
        os.utime(queue.path(name), (number, number))
    queue.try_once_more(names[0])
    assert again(queue).next() == names[1]


def test_what_fails_is_kept_with_the_reason(queue: Queue) -> None:
    name = queue.put(b"photograph")
    assert [queue.try_once_more(name) for _ in range(3)] == [1, 2, 3]
    queue.fail(name, "It is no photograph.")
    assert (queue.failed / f"{name}.dcm").read_bytes() == b"photograph"
    assert (queue.failed / f"{name}.txt").read_text() == "It is no photograph.\n"
    assert not list(queue.incoming.iterdir())
    assert queue.put(b"photograph") == name and queue.try_once_more(name) == 1
