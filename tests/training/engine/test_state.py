from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tp_drseg.errors import TrainingError
from tp_drseg.training.engine.state import load_state, save_state

SETTINGS: dict[str, Any] = {"seed": 0, "scales": (0.5, 2.0), "parts": {"a": 1.0}}


class Run:
    """Two parameters, the average of each, and an AdamW that has made some steps."""

    def __init__(self, steps: int = 0, size: int = 3) -> None:
        torch.manual_seed(0)
        self.parameters = {"a": nn.Parameter(torch.randn(size)), "b": nn.Parameter(torch.randn(2))}
        self.average: dict[str, Tensor] = {k: p.detach() * 2 for k, p in self.parameters.items()}
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=0.1)
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        sum((p**2).sum() for p in self.parameters.values()).backward()  # type: ignore[union-attr]
        self.optimizer.step()
        self.optimizer.zero_grad()

    def save(self, path: Path, step: int = 3) -> None:
        save_state(path, step, SETTINGS, self.parameters, self.average, self.optimizer)

    def load(self, path: Path, **changes: Any) -> int:
        given = (self.parameters, self.average, self.optimizer)
        return load_state(path, SETTINGS | changes, *given)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "run" / "state.safetensors"
    run, other = Run(3), Run()
    run.save(path)
    assert other.load(path) == 3
    for name in ("a", "b"):
        assert torch.equal(other.parameters[name], run.parameters[name])
        assert torch.equal(other.average[name], run.average[name])
    run.step()
    other.step()
    for name in ("a", "b"):  # AdamW went on where it was
        assert torch.equal(other.parameters[name], run.parameters[name])


def test_other_settings(tmp_path: Path) -> None:
    Run(1).save(tmp_path / "state")
    with pytest.raises(TrainingError, match="seed was 0, is 1"):
        Run().load(tmp_path / "state", seed=1)
    with pytest.raises(TrainingError, match=r"scales was \[0.5, 2.0\], is \[1.0, 2.0\]"):
        Run().load(tmp_path / "state", scales=(1.0, 2.0))
    with pytest.raises(TrainingError, match="new was None, is 5"):
        Run().load(tmp_path / "state", new=5)


def test_other_parts(tmp_path: Path) -> None:
    Run(1).save(tmp_path / "state")
    other = Run(size=4)
    before = other.parameters["b"].clone()
    with pytest.raises(TrainingError, match="other trained parts"):
        other.load(tmp_path / "state")
    assert torch.equal(other.parameters["b"], before)


@pytest.mark.parametrize("content", [b"", b"not a state file at all", None])
def test_a_damaged_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state"
    Run(1).save(path)
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(TrainingError, match="state is damaged"):
        Run().load(path)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    save_file({"stranger": torch.zeros(2)}, tmp_path / "state")
    with pytest.raises(TrainingError, match="state is damaged"):
        Run().load(tmp_path / "state")
