from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tp_drseg.errors import TrainingError
from tp_drseg.model import TPDRSeg
from tp_drseg.training.photographs import Photograph
from tp_drseg.training.trainer import Trainer, TrainingConfig

MakeModel = Callable[..., TPDRSeg]
SIDE = 80
COLOURS = [(90, 20, 20), (110, 15, 15), (250, 240, 120), (240, 225, 200)]


def photograph(name: str, seed: int, lesions: bool = True) -> Photograph:
    """A brown disc with a square of each lesion's colour."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    field = np.hypot(y - SIDE / 2, x - SIDE / 2) < SIDE / 2
    image = np.where(field[..., None], np.array([160, 90, 50]), 0)
    image = image + rng.integers(-8, 9, image.shape) * field[..., None]
    masks = np.zeros((4, SIDE, SIDE), np.uint8)
    for i, colour in enumerate(COLOURS if lesions else []):
        top, left = rng.integers(20, 46, 2)
        masks[:, top : top + 14, left : left + 14] = 0
        masks[i, top : top + 14, left : left + 14] = 1
        image[top : top + 14, left : left + 14] = colour
    return Photograph(
        name=name,
        image=torch.from_numpy(image.clip(0, 255).astype(np.uint8)).permute(2, 0, 1),
        masks=torch.from_numpy(masks),
        field_of_view=torch.from_numpy(field[None].astype(np.uint8)),
    )


@pytest.fixture(scope="module")
def photographs() -> list[Photograph]:
    return [photograph("one", 1), photograph("two", 2), photograph("healthy", 3, lesions=False)]


def losses(folder: Path) -> list[float]:
    with (folder / "loss.csv").open(encoding="utf-8") as file:
        return [float(row[1]) for row in csv.reader(file)]


def weights(model: TPDRSeg) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_it_learns_what_it_may(
    small_model: TPDRSeg, photographs: list[Photograph], tmp_path: Path
) -> None:
    before = weights(small_model)
    learning = {name for name, _ in small_model.trained_parameters()}
    config = TrainingConfig(steps=16, learning_rate=5e-3, averaging=0.5, clicks=0.3)
    model = Trainer(small_model, photographs, config, tmp_path).run()
    assert model is small_model and not model.training
    found = losses(tmp_path)
    assert len(found) == 16
    assert np.mean(found[-5:]) < 0.7 * np.mean(found[:5])
    changed = {
        name for name, value in weights(model).items() if not torch.equal(value, before[name])
    }
    assert changed <= learning
    for part in ("image_encoder.injectors.", "prompt_generator.", "mask_decoder.", "detail_head."):
        assert any(name.startswith(part) for name in changed)
    with (tmp_path / "loss.csv").open(encoding="utf-8") as file:
        assert {row[2] for row in csv.reader(file)} <= {"one", "two", "healthy"}


def test_a_resumed_run_is_bit_identical(
    make_model: MakeModel,
    photographs: list[Photograph],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = TrainingConfig(steps=4, save_every=2, learning_rate=1e-2, clicks=0.5)
    straight = Trainer(make_model(), photographs, config, tmp_path / "straight").run()

    original, left = Trainer._train_step, [3]

    def stopping(self: Trainer) -> tuple[float, list[str]]:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(Trainer, "_train_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        Trainer(make_model(), photographs, config, tmp_path / "halves").run()
    monkeypatch.undo()
    trainer = Trainer(make_model(), photographs, config, tmp_path / "halves")
    assert trainer.step == 2  # the last that was saved
    halves = trainer.run()
    expected = weights(straight)
    for name, value in weights(halves).items():
        assert torch.equal(value, expected[name]), name
    assert losses(tmp_path / "halves")[-2:] == losses(tmp_path / "straight")[-2:]

    # a run that is complete gives its result again and does not train
    done = Trainer(make_model(), photographs, config, tmp_path / "straight")
    assert done.step == 4
    for name, value in weights(done.run()).items():
        assert torch.equal(value, expected[name]), name
    assert len(losses(tmp_path / "straight")) == 4


def test_the_seed_decides(
    make_model: MakeModel, photographs: list[Photograph], tmp_path: Path
) -> None:
    samples = []
    for number, seed in enumerate((1, 1, 2)):
        config = TrainingConfig(seed=seed)
        trainer = Trainer(make_model(), photographs, config, tmp_path / str(number))
        samples.append(trainer.sample())
    for one, same in zip(samples[0][:3], samples[1][:3], strict=True):
        assert torch.equal(one, same)
    assert not torch.equal(samples[0][0], samples[2][0])


def test_a_sample(make_model: MakeModel, photographs: list[Photograph], tmp_path: Path) -> None:
    trainer = Trainer(make_model(), photographs, TrainingConfig(negatives=0.5), tmp_path)
    names = []
    for _ in range(40):
        image, priors, target, name = trainer.sample()
        names.append(name)
        assert image.shape == (3, 64, 64) and image.min() >= 0 and 2 < image.max() <= 255
        assert priors.shape == (4, 4, 4) and priors.min() >= 0 and priors.max() <= 1
        assert target.shape == (4, 16, 16) and target.min() >= 0 and target.max() <= 1
        assert name != "healthy" or not target.any()
    assert 10 < names.count("healthy") < 30
    assert {"one", "two"} < set(names)


def test_masks_lie_over_the_image(
    make_model: MakeModel, photographs: list[Photograph], tmp_path: Path
) -> None:
    """Where the target says exudate, the crop is bright: one geometry for both."""
    trainer = Trainer(make_model(), photographs, TrainingConfig(negatives=0.0), tmp_path)
    seen = 0
    for _ in range(30):
        image, _, target, _ = trainer.sample()
        green = torch.nn.functional.avg_pool2d(image[1:2], 4)[0]
        inside = target[2] > 0.99
        outside = (target.sum(dim=0) == 0) & (green > 20)
        if inside.any() and outside.any():
            seen += 1
            assert green[inside].min() > green[outside].quantile(0.9)
    assert seen > 5


def test_a_loss_that_is_not_finite_names_its_photographs(
    small_model: TPDRSeg, photographs: list[Photograph], tmp_path: Path
) -> None:
    with torch.no_grad():
        small_model.prompt_generator.class_bias.fill_(torch.nan)
    config = TrainingConfig(steps=3, batch_size=2, negatives=0.0)
    trainer = Trainer(small_model, [photographs[0]], config, tmp_path)
    before = small_model.mask_decoder.mask_tokens.weight.clone()
    with pytest.raises(TrainingError, match="nan at step 0 on one, one"):
        trainer.run()
    assert trainer.step == 0 and not trainer.state_file.exists()
    assert torch.equal(small_model.mask_decoder.mask_tokens.weight, before)


def test_without_photographs(small_model: TPDRSeg, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no photograph"):
        Trainer(small_model, [], TrainingConfig(), tmp_path)


def test_the_state_of_another_run_is_refused(
    make_model: MakeModel, photographs: list[Photograph], tmp_path: Path
) -> None:
    config = TrainingConfig(steps=1)
    Trainer(make_model(injector_blocks=(1, 2)), photographs, config, tmp_path).run()
    other = make_model(injector_blocks=(3,))
    before = weights(other)
    with pytest.raises(TrainingError, match=r"state\.safetensors"):
        Trainer(other, photographs, replace(config, steps=2), tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in weights(other).items())
    save_file({"stranger": torch.zeros(2)}, tmp_path / "state.safetensors")
    with pytest.raises(TrainingError, match=r"state\.safetensors"):
        Trainer(other, photographs, config, tmp_path)


def test_the_state_of_a_model_of_other_shapes_is_refused(
    make_model: MakeModel, photographs: list[Photograph], tmp_path: Path
) -> None:
    config = TrainingConfig(steps=1)
    Trainer(make_model(sparse_tokens=3), photographs, config, tmp_path).run()
    with pytest.raises(TrainingError, match=r"state\.safetensors"):
        Trainer(make_model(sparse_tokens=5), photographs, config, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a state file at all"])
def test_a_damaged_state_file_is_refused(
    small_model: TPDRSeg, photographs: list[Photograph], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(TrainingError, match=r"state\.safetensors"):
        Trainer(small_model, photographs, TrainingConfig(), tmp_path)
