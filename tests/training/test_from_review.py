"""The loop: segment a folder, correct it, learn from the corrections, segment with that model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.support.review_server import png, served
from tp_drseg.errors import ConfigError
from tp_drseg.folder.run import segment_folder
from tp_drseg.model import TPDRSeg
from tp_drseg.training.finetune import finetune_config
from tp_drseg.training.pipeline import run
from tp_drseg.training.run_config import DataConfig

pytestmark = pytest.mark.usefixtures("one_thread")


def test_from_a_folder_to_corrections_to_another_model(
    small_model: TPDRSeg, stir: Callable[..., Any], tmp_path: Path, retina: NDArray[np.uint8]
) -> None:
    stir(small_model.network)
    small_model.save_pretrained(tmp_path / "parent")
    small = np.asarray(Image.fromarray(retina).resize((160, 160)))
    (tmp_path / "in").mkdir()
    truth = np.zeros((160, 160), bool)
    truth[60:84, 70:94] = True
    for number in range(3):
        image = small.copy()
        image[truth] = (250, 240, 120 + number)
        Image.fromarray(image).save(tmp_path / "in" / f"eye{number}.png")
    parent = TPDRSeg.from_pretrained(tmp_path / "parent", device="cpu", dtype="float32")
    segment_folder(parent, tmp_path / "in", tmp_path / "out", lesions=["EX"], progress=False)
    with served(tmp_path / "out", parent) as server:
        for one in server.photographs():
            drawn = server.draw(one, png(truth)).data
            assert server.change(drawn, state="accepted").data["state"] == "corrected"
    data = DataConfig(root=str(tmp_path / "out"), format="review", folds=3)
    asked = finetune_config(None, data, model=str(tmp_path / "parent"), train=["decoder"], steps=3)
    child = run(asked, tmp_path / "run", device="cpu")
    learned = {photograph.name for photograph in child.config.provenance.photographs}
    assert learned == {"eye1.png", "eye2.png"}
    assert child.catalog.names == parent.catalog.names
    name = "mask_decoder.mask_tokens.weight"
    assert not torch.equal(child.network.state_dict()[name], parent.network.state_dict()[name])
    again = segment_folder(child, tmp_path / "in", tmp_path / "out", lesions=["EX"], progress=False)
    assert len(again.done) == 3
    kept = np.asarray(Image.open(tmp_path / "out" / "eye0.png.EX.corrected.png"))
    assert np.array_equal(kept == 255, truth)


def test_without_new_lesions_something_has_to_be_opened() -> None:
    with pytest.raises(ConfigError, match="--train"):
        finetune_config(None, DataConfig(root="out", format="review"))
