from __future__ import annotations

import os
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import pytest

from benchmarks.harness.processes import Worker, in_fresh_process


def test_a_worker_answers_in_a_process_of_its_own() -> None:
    with Worker(partial, time.sleep) as slow, Worker(partial, os._exit) as leaves:
        assert 0.05 <= slow.seconds(0.05) < 5
        with pytest.raises(BrokenProcessPool):
            leaves.seconds(0)
        assert slow.seconds(0.0) < 0.05


def test_each_measurement_has_a_process_of_its_own() -> None:
    assert len({os.getpid(), in_fresh_process(os.getpid), in_fresh_process(os.getpid)}) == 3
