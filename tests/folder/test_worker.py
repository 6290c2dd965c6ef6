from __future__ import annotations

import gc
import threading
import weakref
from concurrent import futures
from typing import Any

import pytest

from tp_drseg.folder import worker
from tp_drseg.folder.worker import Worker


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("beside")]


def test_it_works_while_the_caller_goes_on() -> None:
    go = threading.Event()

    def work(name: str) -> str:
        assert go.wait(10)
        return f"{name} in {threading.current_thread().name}"

    with Worker[str]("beside") as thread:
        thread.start(work, "done")
        go.set()  # a job in this thread would wait for this in vain
        assert thread.take() == "done in beside_0"
        with pytest.raises(RuntimeError, match="no job"):
            thread.take()
    assert not threads()


def test_one_job_at_a_time() -> None:
    said: list[int] = []
    with Worker[None]("beside") as thread:
        for number in range(5):
            thread.start(said.append, number)
            assert said[:number] == list(range(number))
    assert said == list(range(5))


@pytest.mark.parametrize("where", ["take", "start"])
@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_error_comes_with_its_type(where: str, error: type[BaseException]) -> None:
    def fail() -> None:
        raise error("full")

    with Worker[None]("beside") as thread, pytest.raises(error, match="full"):
        thread.start(fail)
        thread.take() if where == "take" else thread.start(fail)
    assert not threads()


def test_an_error_of_the_block_waits_for_the_job() -> None:
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        assert go.wait(10)
        done.set()

    with pytest.raises(ValueError, match="mine"), Worker[None]("beside") as thread:
        thread.start(work)
        threading.Timer(0.01, go.set).start()
        raise ValueError("mine")
    assert done.is_set()
    assert not threads()


def test_a_result_that_is_taken_is_not_held() -> None:
    class Large:
        pass

    with Worker[Large]("beside") as thread:
        thread.start(Large)
        held = weakref.ref(thread.take())
        thread.start(Large)  # it has let go of the job before when it takes up another
        thread.take()
        gc.collect()
        assert held() is None


def test_no_interrupt_leaves_the_thread_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C once in the block, and three times more while its end waits for the job."""
    presses, go, ended = [1, 2, 3], threading.Event(), threading.Event()

    def wait(*arguments: Any) -> Any:
        if presses:
            presses.pop()
            raise KeyboardInterrupt
        go.set()
        return futures.wait(*arguments)

    def work() -> None:
        assert go.wait(10)
        ended.set()

    monkeypatch.setattr(worker, "wait", wait)
    with pytest.raises(KeyboardInterrupt), Worker[None]("beside") as thread:
        thread.start(work)
        raise KeyboardInterrupt
    assert not presses
    assert ended.is_set()
    assert not threads()
