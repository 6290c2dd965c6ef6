"""The whole way of the paper's tables on six drawn photographs and a small model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.ablations import __main__ as paper_tables
from benchmarks.ablations import row_run
from tp_drseg.model import TPDRSeg

COLOURS = {
    "microaneurysm": (90, 20, 20),
    "haemorrhage": (110, 15, 15),
    "hard exudate": (250, 240, 120),
    "soft exudate": (240, 225, 200),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six photographs of a brown disc with a square of each lesion's colour."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    y, x = np.mgrid[:120, :120]
    field = np.hypot(y - 60, x - 60) < 56
    for number in range(6):
        rng = np.random.default_rng(number)
        image = np.where(field[..., None], np.array([160, 90, 50]), 0)
        image = image + rng.integers(-8, 9, image.shape) * field[..., None]
        for place, (lesion, colour) in enumerate(COLOURS.items()):
            top, left = np.array([30, 30]) + 30 * np.array(divmod(place, 2)) + rng.integers(0, 8, 2)
            mask = np.zeros(field.shape, np.uint8)
            mask[top : top + 16, left : left + 16] = 255
            image[mask > 0] = colour
            folder = root / "masks" / lesion
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(folder / f"{number}.png")
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / "images" / f"{number}.png")
    return root


def test_table_from_a_small_run(
    make_model: Callable[..., TPDRSeg],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in ("peft", "lightning_fabric", "tensorboard", "torchvision"):
        pytest.importorskip(module)
    start = make_model("tiny_vit", injector_blocks=(2, 4)).save_pretrained(tmp_path / "start")
    out = tmp_path / "out"
    arguments = [
        *("--data", str(data), "--format", "folder", "--start", str(start), "--out", str(out)),
        *("--rows", "full,class-name,lora", "--steps", "2", "--fixed-crops", "1"),
        *("--photographs", "1", "--points-from", "1", "--bootstrap", "5", "--device", "cpu"),
    ]
    paper_tables.main(arguments)
    table = (out / "table.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() == table.strip()
    assert [line.split(" | ")[0] for line in table.splitlines() if line.startswith("|")] == [
        "| row", "| ---", "| full", "| class-name", "| lora"
    ]  # fmt: skip
    assert "49.72" in table and "detail head off" in table and "2 steps" in table
    results = {
        row: json.loads((out / row / "result.json").read_text(encoding="utf-8"))
        for row in ("full", "class-name", "lora")
    }
    learned = {row: found["learned_parameters"] for row, found in results.items()}
    assert learned["full"] == learned["class-name"] != learned["lora"]
    configs = {
        row: json.loads((out / row / "model" / "config.json").read_text(encoding="utf-8"))
        for row in results
    }
    assert {
        row: (c["architecture"]["tuning"], c["inference"]["text"], c["architecture"]["detail"])
        for row, c in configs.items()
    } == {
        "full": ("injector", "description", False),
        "class-name": ("injector", "name", False),
        "lora": ("lora", "description", False),
    }
    held_out = results["full"]["settings"]["validation"]
    assert held_out == ["0"] and "0" not in results["full"]["settings"]["learned_from"]
    assert len(results["full"]["draws"]["average_precision"]) == 5

    def none(*_: Any, **__: Any) -> Any:
        raise AssertionError("a row that is there was run again")

    with monkeypatch.context() as patched:
        patched.setattr(row_run, "Trainer", none)
        paper_tables.main(arguments)
    assert (out / "table.md").read_text(encoding="utf-8") == table
    with pytest.raises(SystemExit, match=r"other settings \(training\)"):
        paper_tables.main([*arguments, "--steps", "3"])
