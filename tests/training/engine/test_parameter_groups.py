from __future__ import annotations

import pytest

from tp_drseg.errors import TrainingError
from tp_drseg.model import TPDRSeg
from tp_drseg.training.engine.parameter_groups import parameter_groups


def test_by_itself_the_model_s_own_choice_learns(model: TPDRSeg) -> None:
    own = {name for name, _ in model.network.trained_parameters()}
    groups = parameter_groups(model.network, {})
    assert groups.keys() == {1.0} and set(groups[1.0]) == own
    assert {name for name, _ in model.network.trained_parameters()} == own


def test_opened_slowed_and_closed(model: TPDRSeg) -> None:
    stage = "image_encoder.backbone.stages.3."
    groups = parameter_groups(
        model.network,
        {stage: 0.3, f"{stage}blocks.0.mlp.": 0.1, "detail_head.": 3, "mask_decoder.": 0},
    )
    assert groups.keys() == {0.1, 0.3, 1.0, 3}
    assert all(name.startswith(f"{stage}blocks.0.mlp.") for name in groups[0.1])
    assert all(name.startswith(stage) and ".mlp." not in name for name in groups[0.3])
    assert all(name.startswith("detail_head.") for name in groups[3])
    assert {name.split(".")[0] for name in groups[1.0]} == {"image_encoder", "prompt_generator"}
    asked = {name for name, p in model.network.named_parameters() if p.requires_grad}
    assert asked == {name for own in groups.values() for name in own}
    # timm caches what it makes of these
    assert not any(name.endswith("attention_biases") for name in asked)


def test_what_nothing_uses_and_clip_stay_closed(model: TPDRSeg) -> None:
    groups = parameter_groups(model.network, {"": 0.5})
    names = set(groups[0.5])
    assert groups.keys() == {0.5} and any(".backbone." in name for name in names)
    assert not any(n.startswith(("explicit_prior.", "prompt_encoder.")) for n in names)
    assert not any("iou_prediction_head" in name for name in names)


@pytest.mark.parametrize("prefix", ["decoder.", "explicit_prior.", "prompt_encoder."])
def test_names_of_nothing_that_can_learn(model: TPDRSeg, prefix: str) -> None:
    with pytest.raises(TrainingError, match=f"'{prefix}'.*mask_decoder., prompt_generator."):
        parameter_groups(model.network, {prefix: 1.0})


def test_nothing_learns(model: TPDRSeg) -> None:
    with pytest.raises(TrainingError, match="Nothing learns"):
        parameter_groups(model.network, {"": 0.0})
