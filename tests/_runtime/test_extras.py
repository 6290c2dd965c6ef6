from __future__ import annotations

import sys

import pytest

from tp_drseg._runtime.extras import require
from tp_drseg.errors import MissingExtraError


def test_what_is_installed_is_not_imported() -> None:
    before = set(sys.modules)
    require("train", "json", "this")
    assert "this" not in set(sys.modules) - before


def test_what_is_missing_is_named() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require("report", "json", "no_such_module", "nor_this")
    assert str(caught.value).startswith("no_such_module, nor_this")
    assert "pip install 'tp-drseg[report]'" in str(caught.value)
    assert "json" not in str(caught.value)
