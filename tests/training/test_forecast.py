from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tp_drseg.errors import DataError, TPDRSegError, TrainingError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training import forecast as module
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.engine.trainer import Trainer
from tp_drseg.training.forecast import Forecast, forecast
from tp_drseg.training.pipeline import run
from tp_drseg.training.run_config import DataConfig, RunConfig, StartConfig

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def config(
    make_model: Callable[..., TPDRSeg], catalog: LesionCatalog, data_set: Path, tmp_path: Path
) -> RunConfig:
    make_model(lesions=catalog).save_pretrained(tmp_path / "parent")
    return RunConfig(
        data=DataConfig(
            root=str(data_set / "photographs"), format="folder", folds=3,
            lesion_free=str(data_set / "healthy"), lesion_free_held_out=1,
        ),
        start=StartConfig(checkpoint=str(tmp_path / "parent")),
        training=TrainingConfig(epochs=50, precision="float32"),
    )  # fmt: skip


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_forecast_writes_nothing(config: RunConfig, tmp_path: Path) -> None:
    before = everything(tmp_path)
    found = forecast(config, tmp_path / "out", device="cpu")
    assert everything(tmp_path) == before
    assert (found.training, found.validation, found.lesion_free) == (6, 2, 1)
    assert found.steps == 300 and found.parameters > 1000
    assert found.seconds > 0 and found.disk > 1000
    assert found.memory is None or found.memory > 100 << 20  # PyTorch itself takes more


def test_what_comes_again_is_computed_once(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time counts new crops apart from those that come again, and what is kept of them."""

    class Timed(Trainer):
        def run(self) -> TPDRSeg:
            model = super().run()
            self.durations, self.kept_bytes = [5.0, 1.0, 1.0], 1 << 30
            return model

    monkeypatch.setattr(module, "Trainer", Timed)
    monkeypatch.setattr(module, "_peak_memory", lambda device: 1 << 30)
    always_new = forecast(config, tmp_path / "out", device="cpu")
    assert (always_new.seconds, always_new.memory) == (300, 1 << 30)
    again = config.replace(training={"fixed_crops": 10})
    found = forecast(again, tmp_path / "out", device="cpu")
    assert (found.seconds, found.memory) == (10 * 5 + 290, 10 << 30)


def test_it_refuses_what_a_run_refuses(config: RunConfig, tmp_path: Path) -> None:
    few = config.replace(training={"epochs": None, "steps": 1})
    run(few, tmp_path / "out", device="cpu")
    forecast(few, tmp_path / "out", device="cpu")
    wrong: list[tuple[RunConfig, type[TPDRSegError], str]] = [
        (few.replace(training={"steps": 2}), TrainingError, "steps was 1, is 2"),
        (config.replace(data={"root": "/no/such/folder"}), DataError, "/no/such/folder"),
    ]
    for changed, error, words in wrong:
        with pytest.raises(error, match=words):
            forecast(changed, tmp_path / "out", device="cpu")


def test_nothing_to_learn(config: RunConfig, tmp_path: Path) -> None:
    for mask in (Path(config.data.root) / "masks").rglob("*.png"):
        with Image.open(mask) as image:
            size = image.size
        Image.new("L", size).save(mask)
    with pytest.raises(TrainingError, match="No training photograph shows a lesion"):
        forecast(config, tmp_path / "out", device="cpu")


def test_text() -> None:
    text = Forecast(43, 11, 20, 1_234_567, 3000, 7384.2, 3 << 30, 5 << 29).text()
    for words in ("43 to learn from, 11 for validation, 20 lesion-free", "1,234,567", "3000 steps",
                  "2:03:04", "Memory: about 3.0 GiB", "Disk: about 2.5 GiB"):  # fmt: skip
        assert words in text, words
    assert "Memory: about unknown" not in Forecast(1, 0, 0, 1, 1, 1, None, 1).text()
