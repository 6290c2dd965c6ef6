"""Finding a checkpoint, after what users of other tools reported."""

import pytest
from huggingface_hub import constants

from tp_drseg.checkpoints.store import locate
from tp_drseg.errors import CheckpointError


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="only the Hub is spoken of")
def test_a_folder_that_was_mistyped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError) as caught:
        locate("runs/mine")
    assert "no folder" in str(caught.value)
    assert "HF_HUB_OFFLINE" in str(caught.value)  # offline was asked for: no fault of the network
