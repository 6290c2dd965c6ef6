from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import average_precision_score

from tp_drseg.config import TPDRSegConfig
from tp_drseg.evaluation.bootstrap import draw_weights, percentile_interval

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
COLOURS = {
    "microaneurysm": (90, 20, 20),
    "haemorrhage": (110, 15, 15),
    "hard exudate": (250, 240, 120),
    "soft exudate": (240, 225, 200),
}
Make = Callable[..., Any]


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


def value(config: TPDRSegConfig, name: str) -> object:
    """The field that a row calls by its name alone."""
    return getattr(config.inference if name == "text" else config.architecture, name)


def test_rows_are_configurations_of_the_size_tiny() -> None:
    from benchmarks.ablations.rows import (
        ABLATIONS,
        FULL,
        METHOD,
        PAPER_AUC_PR,
        PAPER_DICE,
        ROWS,
        TUNINGS,
        model_changes,
    )

    full = TPDRSegConfig.for_size("tiny")
    assert dict(METHOD) == {name: value(full, name) for name in METHOD}
    other = TPDRSegConfig.for_size(
        "tiny",
        architecture={"tuning": "none", "injector_prior": False, "generator_prior": False},
        inference={"text": "name"},
    )
    for row, fields in ROWS.items():
        config = other.replace(**model_changes(row))  # whatever the model has that rows begin with
        assert {name: value(config, name) for name in fields} == fields
        changes = {**ABLATIONS, **TUNINGS}[row]
        assert (config == full) is (row == FULL)
        assert all(value(config, name) != value(full, name) for name in changes)
    assert PAPER_DICE.keys() | PAPER_AUC_PR.keys() <= ROWS.keys()


def test_draws_are_those_of_resampled_photographs() -> None:
    """Against sklearn on the drawn photographs' pixels put together."""
    from benchmarks.ablations.paired import Histograms, mean_draws

    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    histograms, lesions = Histograms(), []
    pixels: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for lesion in ("haemorrhage", "soft exudate"):
        cases = []
        for name in names:
            truth = rng.random(200) < (0 if (lesion, name) == ("soft exudate", "b") else 0.2)
            probability = (rng.integers(0, 30, 200) / 64 + 0.3 * truth).astype(np.float32)
            pixels.setdefault(lesion, []).append((truth, probability))
            dice = float(rng.random()) if truth.any() else float("nan")
            cases.append(SimpleNamespace(photograph=name, dice=dice))
            seen: Any = SimpleNamespace(
                lesion=lesion, probability=probability, truth=truth, scored=np.ones(200, bool)
            )
            histograms(seen, truth, cases[-1])  # type: ignore[arg-type]
        lesions.append(SimpleNamespace(lesion=lesion, with_lesion=1, cases=cases))
    absent = SimpleNamespace(lesion="hard exudate", with_lesion=0, cases=[])

    class Found(list[Any]):
        photographs = names

    found: Any = Found([*lesions, absent])
    draws = mean_draws(found, histograms, 8, seed=3)
    for number, weights in enumerate(draw_weights(3, 8, 3).astype(int)):
        areas, dices = [], []
        for lesion in lesions:
            drawn = np.repeat(np.arange(3), weights)
            truth = np.concatenate([pixels[lesion.lesion][i][0] for i in drawn])
            probability = np.concatenate([pixels[lesion.lesion][i][1] for i in drawn])
            areas.append(average_precision_score(truth, probability) if truth.any() else np.nan)
            own = [lesion.cases[i].dice for i in drawn]
            dices.append(np.nanmean(own) if not np.isnan(own).all() else np.nan)
        np.testing.assert_allclose(draws["average_precision"][number], np.mean(areas), atol=1e-6)
        np.testing.assert_allclose(draws["dice_per_image"][number], np.mean(dices), atol=1e-12)
    lesions[0].cases[0].dice = lesions[0].cases[1].dice = float("nan")
    assert np.isnan(mean_draws(found, histograms, 8, seed=3)["average_precision"]).all()
    assert mean_draws(found, histograms, 0, seed=3)["average_precision"].shape == (0,)


def result(row: str, area: float, draws: list[float | None]) -> dict[str, Any]:
    return {
        "row": row,
        "fields": {},
        "learned_parameters": 1_234_567,
        "training_seconds": 3.0,
        "scores": {
            "mean": {"average_precision": area, "dice_per_image": None},
            "lesions": [{"lesion": "haemorrhage", "average_precision": area}],
        },
        "draws": {"average_precision": draws, "dice_per_image": [None] * len(draws)},
    }


def test_differences_are_paired() -> None:
    from benchmarks.ablations.row_table import summary

    full = [0.2, 0.5, 0.8, None]
    lower = [0.1, 0.41, 0.72, 0.3]
    rows = {r["row"]: r for r in summary([result("lora", 0.4, lower), result("full", 0.5, full)])}
    low, high = percentile_interval(np.array([-0.1, -0.09, -0.08]))
    found = rows["lora"]
    assert found["average_precision_difference"] == pytest.approx(-0.1)
    assert found["average_precision_difference_interval"] == pytest.approx([low, high])
    assert found["dice_per_image_difference"] is None
    assert "average_precision_difference" not in rows["full"]
    assert found["paper_dice"] == 44.22 and rows["full"]["paper_average_precision"] == 50.55
    alone = summary([result("lora", 0.4, lower)])[0]
    assert "average_precision_difference" not in alone


def test_table_from_a_small_run(
    make_model: Make,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in ("peft", "lightning_fabric", "tensorboard", "torchvision"):
        pytest.importorskip(module)
    from benchmarks.ablations import __main__ as paper_tables
    from benchmarks.ablations import row_run

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


def test_prior_maps_stand_side_by_side(make_model: Make, tmp_path: Path) -> None:
    from benchmarks.ablations import __main__ as paper_tables

    start = make_model().save_pretrained(tmp_path / "start")
    picture, image = tmp_path / "priors.png", BENCHMARKS.parent / "examples" / "retina.jpg"
    arguments = ["--priors", str(image), "--start", str(start), "--out", str(picture)]
    paper_tables.main([*arguments, "--lesion", "HE"])
    with Image.open(picture) as file:
        found = np.asarray(file.convert("RGB")).astype(int)
    assert found.shape[1] == 3 * 640 and found.shape[0] > 640
    photograph, name, description = np.split(found[:640], 3, axis=1)
    assert np.abs(name - description).mean() > 1
    with Image.open(image) as file:
        small = np.asarray(file.convert("RGB").resize((640, 640), Image.Resampling.LANCZOS))
    assert np.abs(photograph - small).mean() < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "o", "--data", "d", "--rows", "full,sam", "--start", "s"], "unknown rows sam"),
        (["--out", "o", "--start", "s"], "--data is needed"),
        (["--out", "o", "--data", "d"], "give --sam and --clip"),
        (["--out", "o", "--data", "d", "--start", "s", "--clip", "c"], "not both"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.ablations import __main__ as paper_tables

    with pytest.raises(SystemExit):
        paper_tables.parse(arguments)
    assert message in capsys.readouterr().err
