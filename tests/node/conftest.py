from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _sockets_are_closed_here() -> Iterator[None]:
    """What pynetdicom leaves to the garbage collector, such as the socket of a refused call."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
