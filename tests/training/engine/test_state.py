from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tp_drseg.errors import TrainingError
from tp_drseg.training.engine.average import EMA
from tp_drseg.training.engine.state import Progress, load_state, save_state

SETTINGS: dict[str, Any] = {"seed": 0, "scales": (0.5, 2.0), "parts": {"a": 1.0}}
STEPS = 5


class Run:
    """Two parameters, their average, and an AdamW that has made some steps."""

    def __init__(self, steps: int = 0, size: int = 3) -> None:
        generator = torch.Generator().manual_seed(0)
        self.parameters = {
            name: nn.Parameter(torch.randn(count, generator=generator))
            for name, count in (("a", size), ("b", 2))
        }
        self.average = EMA(list(self.parameters.values()), 0.5)
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=0.1)
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        sum((p**2).sum() for p in self.parameters.values()).backward()  # type: ignore[union-attr]
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update()

    def tensors(self) -> list[Tensor]:
        moments = [v for p in self.parameters.values() for v in self.optimizer.state[p].values()]
        own = [p.detach().clone() for p in self.parameters.values()]
        return [*own, *(v.clone() for v in self.average.values), *moments]

    def save(self, path: Path, step: int = 3) -> None:
        progress = Progress(step, best=0.25)
        save_state(path, progress, SETTINGS, self.parameters, self.average, self.optimizer)

    def load(self, path: Path, **changes: Any) -> Progress:
        given = (self.parameters, self.average, self.optimizer)
        return load_state(path, STEPS, SETTINGS | changes, *given)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "run" / "state.safetensors"
    run, other = Run(3), Run()
    run.save(path)
    assert other.load(path) == Progress(3, 0.25)
    assert all(map(torch.equal, other.tensors(), run.tensors()))
    run.step()
    other.step()  # AdamW and the average go on where they were
    assert all(map(torch.equal, other.tensors(), run.tensors()))


def test_other_settings(tmp_path: Path) -> None:
    Run(3).save(tmp_path / "state")
    with pytest.raises(TrainingError, match="seed was 0, is 1"):
        Run().load(tmp_path / "state", seed=1)
    with pytest.raises(TrainingError, match=r"scales was \[0.5, 2.0\], is \[1.0, 2.0\]"):
        Run().load(tmp_path / "state", scales=(1.0, 2.0))
    with pytest.raises(TrainingError, match="new was None, is 5"):
        Run().load(tmp_path / "state", new=5)


def test_other_parts(tmp_path: Path) -> None:
    Run(3).save(tmp_path / "state")
    other = Run()
    other.parameters["c"] = other.parameters.pop("b")
    with pytest.raises(TrainingError, match="other trained parts"):
        other.load(tmp_path / "state")


@pytest.mark.parametrize("content", [b"", b"not a state file at all", None])
def test_a_damaged_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state"
    Run(3).save(path)
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(TrainingError, match="state is damaged"):
        Run().load(path)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    save_file({"stranger": torch.zeros(2)}, tmp_path / "state")
    with pytest.raises(TrainingError, match="state is damaged"):
        Run().load(tmp_path / "state")
    (tmp_path / "folder").mkdir()
    with pytest.raises(TrainingError, match="folder is damaged"):
        Run().load(tmp_path / "folder")


Damage = Callable[[dict[str, Tensor], dict[str, str]], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "step below 0": (lambda t, m: m.update(step="-5"), "step -5 of 5"),
    "step 0": (lambda t, m: m.update(step="0"), "step 0 of 5"),
    "step beyond the end": (lambda t, m: m.update(step="99999"), "step 99999 of 5"),
    "no number": (lambda t, m: m.update(step="three"), "three"),
    "a number without end": (lambda t, m: m.update(step="9" * 5000), "digits"),
    "best is no number": (lambda t, m: m.update(best="nan"), "best nan"),
    "best without end": (lambda t, m: m.update(best="inf"), "best inf"),
    "another step": (lambda t, m: m.update(step="2"), "step/a is 3 after step 2"),
    "no step": (lambda t, m: m.pop("step"), "step"),
    "no settings": (lambda t, m: m.pop("settings"), "settings"),
    "settings are a list": (lambda t, m: m.update(settings="[1]"), "no mapping"),
    "settings are a number": (lambda t, m: m.update(settings="3"), "no mapping"),
    "settings are nested": (lambda t, m: m.update(settings="[" * 100_000), ""),
    "average missing": (lambda t, m: t.pop("average/b"), "average/b is missing"),
    "moment missing": (lambda t, m: t.pop("exp_avg/a"), "exp_avg/a is missing"),
    "something more": (lambda t, m: t.update(more=torch.zeros(1)), "more is unknown"),
    "weight misshapen": (lambda t, m: t.update({"weight/a": torch.zeros(4)}), r"\(4,\)"),
    "average misshapen": (lambda t, m: t.update({"average/a": torch.zeros(1)}), r"\(1,\)"),
    "moment misshapen": (lambda t, m: t.update({"exp_avg/a": torch.zeros(3, 3)}), r"\(3, 3\)"),
    "another type": (lambda t, m: t.update({"weight/a": t["weight/a"].half()}), "float16"),
    "a longer type": (lambda t, m: t.update({"exp_avg/a": t["exp_avg/a"].double()}), "float64"),
    "not a number": (lambda t, m: t["weight/b"].fill_(torch.nan), "weight/b .* not finite"),
    "without end": (lambda t, m: t["exp_avg_sq/a"].fill_(torch.inf), "exp_avg_sq/a .* not finite"),
    "no square": (lambda t, m: t["exp_avg_sq/a"].fill_(-1), "square below 0"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_no_run_can_have_written(tmp_path: Path, name: str) -> None:
    path, (damage, words) = tmp_path / "state", DAMAGES[name]
    Run(3).save(path)
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    damage(tensors, metadata)
    save_file(tensors, path, metadata)
    other = Run(1)
    before = other.tensors()
    with pytest.raises(TrainingError, match=f"(?s)state is damaged.*{words}.*Delete that file"):
        other.load(path)
    assert all(map(torch.equal, other.tensors(), before))  # nothing is loaded in part


def test_metadata(tmp_path: Path) -> None:
    Run(3).save(tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        metadata = file.metadata()
    assert metadata["step"] == "3" and json.loads(metadata["settings"])["scales"] == [0.5, 2.0]
