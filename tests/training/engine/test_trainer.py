from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tp_drseg._runtime import extras
from tp_drseg.errors import MissingExtraError, TrainingError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.made import finish
from tp_drseg.training.data.made_crops import crops_of
from tp_drseg.training.engine.launch import launch
from tp_drseg.training.engine.records import read_table
from tp_drseg.training.engine.trainer import Trainer

QUICK = {"": 0.0, "prompt_generator.": 1.0, "detail_head.": 1.0}  # small checkpoints

MakeTrainer = Callable[..., Trainer]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def make_trainer(
    make_model: Callable[..., TPDRSeg], catalog: LesionCatalog, photographs: list[AnnotatedImage]
) -> MakeTrainer:
    """`make_trainer(folder, validate=None, photographs=..., **fields)`, each time a fresh model."""

    def make(
        folder: Path,
        validate: Any = None,
        photographs: list[AnnotatedImage] = photographs,
        change: Callable[[TPDRSeg], object] = lambda model: None,
        **fields: Any,
    ) -> Trainer:
        given = {"steps": 4, "warmup": 2, "precision": "float32", "lr_factors": QUICK} | fields
        config = TrainingConfig.model_validate(given)
        model = make_model(lesions=catalog)
        change(model)
        return Trainer(model, crops_of(model, photographs, config), config, folder, validate)

    return make


def losses(folder: Path) -> list[float]:
    return [float(row["loss"]) for row in read_table(folder / "loss.csv")]


def weights(model: TPDRSeg) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_it_learns_what_it_may(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path, steps=16, learning_rate=5e-3, ema_decay=0.5, points=0.3, lr_factors={}
    )
    before = weights(trainer.model)
    learning = {name for name, _ in trainer.model.network.trained_parameters()}
    model = trainer.run()
    assert model is trainer.model and not model.network.training
    found = losses(tmp_path)
    assert len(found) == 16
    assert np.mean(found[-5:]) < 0.7 * np.mean(found[:5])
    changed = {n for n, value in weights(model).items() if not torch.equal(value, before[n])}
    assert changed <= learning
    for part in ("image_encoder.injectors.", "prompt_generator.", "mask_decoder.", "detail_head."):
        assert any(name.startswith(part) for name in changed)
    rows = read_table(tmp_path / "loss.csv")
    assert {row["names"] for row in rows} <= {"one", "two", "healthy"}
    assert [int(row["step"]) for row in rows] == list(range(1, 17))
    assert (tmp_path / "loss.png").is_file() and any((tmp_path / "tensorboard").iterdir())


def test_opened_parts_learn_too(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    stage = "image_encoder.backbone.stages.3."
    trainer = make_trainer(tmp_path, steps=2, lr_factors={"": 0.0, stage: 0.5})
    before = weights(trainer.model)
    after = weights(trainer.run())
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith(stage) for name in changed)


def test_factors_slow_the_learning(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """AdamW's first step is as long as its rate, whatever the gradient."""
    name, moved = "prompt_generator.dense.bias", []
    for factor in (1.0, 0.25):
        trainer = make_trainer(
            tmp_path / str(factor), steps=1, warmup=0,
            lr_factors={"": 0.0, "prompt_generator.": factor}, weight_decay=0.0,
            ema_decay=0.0, learning_rate=1e-3,
        )  # fmt: skip
        before = weights(trainer.model)[name]
        moved.append((weights(trainer.run())[name] - before).abs().max().item())
    assert moved == pytest.approx([1e-3, 0.25e-3], rel=0.01)


def test_the_average_of_the_weights(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    name = "prompt_generator.dense.bias"
    trainer = make_trainer(tmp_path, ema_decay=0.5, steps=3)
    expected = trainer.parameters[name].detach().clone()
    original, seen = trainer._train_step, []

    def watched(batches: Any) -> Any:
        found = original(batches)
        seen.append(trainer.parameters[name].detach().clone())
        return found

    trainer._train_step = watched  # type: ignore[method-assign]
    model = trainer.run()
    for step, value in enumerate(seen, 1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(model.network.state_dict()[name], expected)
    assert not torch.equal(expected, seen[-1])
    last = make_trainer(tmp_path / "last", ema_decay=0.0, steps=3).run()
    assert torch.equal(last.network.state_dict()[name], seen[-1])


def test_micro_batches_give_the_same_step(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    # every part from SAM on: the average over crops must not depend on how they are grouped
    found = {}
    for micro in (1, 2, 4):
        trainer = make_trainer(
            tmp_path / str(micro), steps=1, batch_size=4, micro_batch=micro, points=1.0
        )
        trainer.run()
        moments = trainer._adamw.state[trainer.parameters["prompt_generator.dense.weight"]]
        found[micro] = moments["exp_avg"], losses(tmp_path / str(micro))
    for micro in (2, 4):
        torch.testing.assert_close(found[micro][0], found[1][0], rtol=1e-3, atol=1e-6)
        assert found[micro][1] == pytest.approx(found[1][1], rel=1e-5)


def stop_after_three_steps(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a trainer that is interrupted in its fourth step."""
    original, left = Trainer._train_step, [3]

    def stopping(self: Trainer, batches: Any) -> tuple[float, list[str]]:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(self, batches)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_train_step", stopping)
        trainer.run()


def test_a_resumed_run_is_bit_identical(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"save_every": 2, "learning_rate": 1e-2, "points": 0.5, "steps": 4}
    straight = weights(make_trainer(tmp_path / "straight", **fields).run())

    stop_after_three_steps(make_trainer(tmp_path / "halves", **fields), monkeypatch)
    trainer = make_trainer(tmp_path / "halves", **fields, workers=1)  # may change
    assert trainer.step == 2  # the last that was saved
    assert same(weights(trainer.run()), straight)
    assert losses(tmp_path / "halves") == losses(tmp_path / "straight")

    # a run that is complete gives its result again and does not train
    done = make_trainer(tmp_path / "straight", **fields)
    assert done.step == 4
    assert same(weights(done.run()), straight)
    assert len(losses(tmp_path / "straight")) == 4


@pytest.fixture
def unlabelled(
    photographs: list[AnnotatedImage], photograph: Callable[..., AnnotatedImage]
) -> list[AnnotatedImage]:
    return [*photographs, photograph("unknown", 4, lesions=False, annotated=(False,) * 3)]


def test_a_resumed_run_with_a_teacher_is_bit_identical(
    make_trainer: MakeTrainer, unlabelled: list[AnnotatedImage], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    fields = {
        "photographs": unlabelled, "save_every": 2, "learning_rate": 1e-2, "steps": 5,
        "unlabelled_share": 0.7, "teacher_weight": 5.0, "teacher_sure": 0.5, "teacher_ramp": 3,
        "ema_schedule": "cosine", "ema_decay": 0.9, "batch_size": 2, "paste_weight": 1.0,
    }  # fmt: skip
    straight = weights(make_trainer(tmp_path / "straight", **fields).run())
    names = " ".join(row["names"] for row in read_table(tmp_path / "straight" / "loss.csv"))
    assert "unknown+" in names
    stop_after_three_steps(make_trainer(tmp_path / "halves", **fields), monkeypatch)
    trainer = make_trainer(tmp_path / "halves", **fields, workers=1)
    assert trainer.step == 2
    assert same(weights(trainer.run()), straight)
    assert losses(tmp_path / "halves") == losses(tmp_path / "straight")


def test_the_loss_of_made_crops(
    make_trainer: MakeTrainer, unlabelled: list[AnnotatedImage], tmp_path: Path
) -> None:
    """The ordinary loss by its weight, and the squared difference from the teacher by its own."""
    found, answers = {}, torch.full((1, 3, 32, 32), 0.3)
    for paste, teacher in ((1.0, 0.0), (0.5, 0.0), (0.0, 2.0), (0.5, 2.0), (0.5, 4.0)):
        trainer = make_trainer(
            tmp_path / f"{paste} {teacher}", photographs=unlabelled, unlabelled_share=1.0, seed=3,
            paste_weight=paste, teacher_weight=teacher, teacher_sure=0.5, points=0.0,
            lesions_per_crop=0,
        )  # fmt: skip
        trainer.model.network.train()
        # an untrained teacher sees lesions everywhere, beside which nothing is pasted
        trainer.teacher.answer = lambda batch: answers  # type: ignore[method-assign]
        crops = (trainer.crops[number] for number in range(40))
        batch = next(
            b for b in crops
            if b.names[0].startswith("unknown") and b.made[0].donor is not None
            and b.made[0].donor.regions.any()
        )  # fmt: skip
        found[paste, teacher] = float(trainer._loss(batch).detach())
    assert found[1.0, 0.0] == pytest.approx(2 * found[0.5, 0.0], rel=1e-5) and found[1.0, 0.0] > 0
    assert found[0.0, 2.0] > 0
    assert found[0.5, 2.0] == pytest.approx(found[0.5, 0.0] + found[0.0, 2.0], rel=1e-4)
    assert found[0.5, 4.0] == pytest.approx(found[0.5, 0.0] + 2 * found[0.0, 2.0], rel=1e-4)
    done, left_open = finish(batch, answers)
    with torch.no_grad():
        logits = trainer.model.network(done.images, done.priors, done.classes)
    error = ((logits[0].sigmoid() - answers[0]) ** 2) * left_open[0]
    means = error.sum(dim=(1, 2)) / left_open[0].sum(dim=(1, 2))
    assert found[0.0, 2.0] == pytest.approx(2 * float(means.mean()), rel=1e-4)


def test_validation_keeps_the_best(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    looks: list[tuple[bool, dict[str, Tensor]]] = []
    means = iter([0.2, 0.5, 0.3])

    def validate(model: TPDRSeg, folder: Path) -> dict[str, float]:
        assert folder == tmp_path
        looks.append((model.network.training, weights(model)))
        return {"mean": next(means), "hard exudate": 0.1}

    trainer = make_trainer(tmp_path, validate, steps=5, validate_every=2)
    model = trainer.run()
    rows = read_table(tmp_path / "metrics.csv")
    assert [(row["step"], row["mean"]) for row in rows] == [
        ("2", "0.2"),
        ("4", "0.5"),
        ("5", "0.3"),
    ]
    assert not any(training for training, _ in looks)
    # looked at with the average, which the run ends with
    assert same(looks[-1][1], weights(model))
    best = TPDRSeg.from_pretrained(tmp_path / "best", device="cpu", dtype="float32")
    assert same(weights(best), looks[1][1])
    # and looking has no effect on the run
    alone = make_trainer(tmp_path / "alone", steps=5).run()
    assert same(weights(alone), weights(model))


def test_bf16(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, steps=2, points=1.0, precision="bfloat16")
    model = trainer.run()
    assert model.dtype == torch.float32  # only the work in between is in bf16
    exact = make_trainer(tmp_path / "exact", steps=2, points=1.0)
    exact.run()
    found, expected = losses(tmp_path), losses(tmp_path / "exact")
    assert found == pytest.approx(expected, rel=0.05) and found != expected


def test_weights_of_the_cross_entropy(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "steps": 1, "lesions_per_crop": 1, "lesions": ("hard exudate",), "points": 0.0,
    }  # fmt: skip
    found = []
    weights: list[dict[str, Any]] = [
        {"bce_weight": 2.0}, {"bce_weight": 5.0}, {"bce_weight": 2.0, "bce_weights": {"EX": 5.0}}
    ]  # fmt: skip
    for number, more in enumerate(weights):
        make_trainer(tmp_path / str(number), **fields, **more).run()
        found += losses(tmp_path / str(number))
    assert found[1] == found[2] != found[0]


def test_weight_of_what_is_absent(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """On a healthy eye the loss is the weighted cross-entropy alone; on the lesion, as before."""
    found = {}
    for negatives in (1.0, 0.0):
        for factor in (1.0, 7.0):
            folder = tmp_path / f"{negatives}-{factor}"
            make_trainer(
                folder, steps=1, lesions=("EX",), lesion_centred=1.0, points=0.0,
                lesion_free_share=negatives, absent_weight=factor,
            ).run()  # fmt: skip
            found[negatives, factor] = losses(folder)[0]
    assert found[1.0, 7.0] == pytest.approx(7 * found[1.0, 1.0], rel=1e-5)
    assert found[0.0, 7.0] == found[0.0, 1.0] > 0


def test_what_is_not_annotated_teaches_nothing(
    make_trainer: MakeTrainer, photograph: Callable[..., AnnotatedImage], tmp_path: Path
) -> None:
    """The class group of a lesion that was never looked for does not learn."""
    plain = photograph("one", 1, annotated=(True, True, False))
    fields = {"photographs": [plain], "lesions_per_crop": 0, "weight_decay": 0.0, "steps": 3}
    trainer = make_trainer(tmp_path, **fields)
    before = trainer.model.network.prompt_generator.class_weight.detach().clone()
    after = trainer.run().network.prompt_generator.class_weight
    assert torch.equal(after[2], before[2])
    assert not torch.equal(after[0], before[0]) and not torch.equal(after[1], before[1])


@torch.no_grad()
def spoil(model: TPDRSeg) -> None:
    model.network.prompt_generator.class_bias.fill_(torch.nan)


def test_a_loss_that_is_not_finite_names_its_photographs(
    make_trainer: MakeTrainer, photographs: list[AnnotatedImage], tmp_path: Path
) -> None:
    trainer = make_trainer(
        tmp_path, photographs=[photographs[0]], change=spoil, batch_size=2, lesion_free_share=0.0
    )
    before = trainer.parameters["prompt_generator.dense.weight"].clone()
    with pytest.raises(TrainingError, match=r"loss is nan at step 1 on one, one\."):
        trainer.run()
    assert trainer.step == 0 and not trainer.state_file.exists()
    assert torch.equal(trainer.parameters["prompt_generator.dense.weight"], before)


def test_a_gradient_that_is_not_finite_names_its_photographs(
    make_trainer: MakeTrainer, photographs: list[AnnotatedImage], tmp_path: Path
) -> None:
    trainer = make_trainer(tmp_path, photographs=[photographs[0]], lesion_free_share=0.0)
    bias = trainer.parameters["prompt_generator.dense.bias"]
    bias.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
    with pytest.raises(TrainingError, match=r"gradient is (inf|nan) at step 1 on one\."):
        trainer.run()
    assert trainer.step == 0


def test_a_run_with_other_settings_is_refused(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    make_trainer(tmp_path, steps=1).run()
    with pytest.raises(TrainingError, match="steps was 1, is 2"):
        make_trainer(tmp_path, steps=2)
    with pytest.raises(TrainingError, match=r"learning_rate was 0\.0003, is 0\.1"):
        make_trainer(tmp_path, steps=1, learning_rate=0.1)


def test_a_run_on_other_photographs_is_refused(
    make_trainer: MakeTrainer, photographs: list[AnnotatedImage], tmp_path: Path
) -> None:
    make_trainer(tmp_path, steps=1).run()
    others = [replace(photographs[0], name="other"), *photographs[1:]]
    with pytest.raises(TrainingError, match=r"photographs was .*'other'"):
        make_trainer(tmp_path, photographs=others, steps=1)


@pytest.mark.parametrize("fields", [{"batch_size": 3}, {"batch_size": 2, "micro_batch": 2}])
def test_a_batch_that_cannot_be_shared(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, int]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match=r"training.batch_size .* processes \(2\) times"):
        launch(TrainingConfig.model_validate({"steps": 1, **fields}))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "lightning_fabric"
    monkeypatch.setattr(extras, "find_spec", lambda n: None if n == missing else find_spec(n))
    with pytest.raises(MissingExtraError, match=r"tp-drseg\[train\]"):
        launch(TrainingConfig(steps=1))


def test_a_run_leaves_the_process_as_it_was(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """Its generators too; and its default number format changes nothing."""
    fields = {"points": 0.5, "steps": 3, "batch_size": 2}
    expected = weights(make_trainer(tmp_path / "one", **fields).run())
    trainer = make_trainer(tmp_path / "other", **fields)
    torch.manual_seed(9)
    np.random.seed(9)
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    torch.set_default_dtype(torch.float64)
    try:
        found = weights(trainer.run())
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(found, expected) and losses(tmp_path / "other") == losses(tmp_path / "one")
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]


def test_lesions_that_are_not_trained_keep_their_groups(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """Weight decay does not shrink them, which no gradient holds."""
    trainer = make_trainer(
        tmp_path, steps=3, lesions=("EX",), weight_decay=0.5, learning_rate=1e-2, lr_factors={}
    )
    generator = trainer.model.network.prompt_generator
    before = generator.class_weight.detach().clone()
    after = trainer.run().network.prompt_generator.class_weight
    assert torch.equal(after[[0, 2]], before[[0, 2]]) and not torch.equal(after[1], before[1])
