"""Finding a checkpoint, after what users of other tools reported."""

import pytest

from tp_drseg.checkpoints import hub
from tp_drseg.checkpoints.hub import locate
from tp_drseg.errors import CheckpointError


def test_a_folder_that_was_mistyped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError) as caught:
        locate("runs/mine")
    assert "no local folder" in str(caught.value)
    assert "HF_HUB_OFFLINE" in str(caught.value)  # offline was asked for: no fault of the network
