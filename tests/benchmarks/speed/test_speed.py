from __future__ import annotations

import json
import mmap
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tp_drseg.model import TPDRSeg

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "benchmarks"
EXAMPLE = ROOT / "examples" / "retina_with_lesions.jpg"
Make = Callable[..., Any]


def checkpoint(folder: Path, make_model: Make, kind: str, **changes: Any) -> TPDRSeg:
    """A small model whose every part has a say, and the checkpoint it was saved as."""
    from benchmarks.harness.checkpoints import spread_logits, stir_zeros

    changes = {"injector_blocks": (3, 4), **changes} if kind == "tiny_vit" else changes
    model: TPDRSeg = make_model(kind, **changes)
    stir_zeros(model)
    spread_logits(model)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", ["tiny_vit", "vit"])
def test_plain_reference_gives_the_models_logits(
    tmp_path: Path, make_model: Make, kind: str
) -> None:
    from benchmarks.reference.network import PlainTPDRSeg

    model = checkpoint(tmp_path, make_model, kind)
    plain = PlainTPDRSeg.from_folder(tmp_path)
    generator = torch.Generator().manual_seed(3)
    side = model.config.architecture.clip.image_size
    picture = torch.rand(1, 3, side, side, generator=generator)
    where = torch.rand(1, 1, side // 16, side // 16, generator=generator) > 0.3
    image = torch.rand(1, 3, 64, 64, generator=generator) * 255
    lesions = list(model.catalog)
    with torch.inference_mode():
        priors = model.explicit_prior(picture, [lesion.texts for lesion in lesions], where)
        given = torch.nn.functional.adaptive_avg_pool2d(priors, model.config.architecture.grid)
        logits = model(image, given, torch.arange(len(lesions)))
        for place, lesion in enumerate(lesions):
            prior = plain.prior(picture, lesion.texts, where)
            torch.testing.assert_close(prior[:, 0], priors[:, place], atol=1e-4, rtol=0)
            found = plain.logits(image, given[:, place : place + 1], place)
            torch.testing.assert_close(found[:, 0], logits[:, place], atol=1e-4, rtol=0)
    assert logits.std() > 0.1
    assert (logits[:, 0] - logits[:, 1]).abs().max() > 0.1


@pytest.mark.parametrize(("kind", "diameter"), [("tiny_vit", 64), ("tiny_vit", 112), ("vit", 64)])
def test_plain_reference_gives_the_models_probability_of_a_photograph(
    tmp_path: Path, make_model: Make, kind: str, diameter: int
) -> None:
    from benchmarks.reference.network import PlainTPDRSeg
    from benchmarks.reference.photograph import segment_plain

    model = checkpoint(tmp_path, make_model, kind, working_diameter=diameter)
    names = model.catalog.names[:2]
    answer = segment_plain(PlainTPDRSeg.from_folder(tmp_path), EXAMPLE, names, keep=True)
    found = model.segment(str(EXAMPLE), names)
    assert isinstance(found, dict)
    for name in names:
        assert len(answer.tiles[name]) == (4 if diameter > 64 else 1)
        np.testing.assert_allclose(answer.probability[name], found[name].probability, atol=1e-4)
        assert answer.probability[name][answer.inside].std() > 0.01


def test_plain_reference_refuses_another_method(make_config: Make) -> None:
    from benchmarks.reference.network import PlainTPDRSeg

    with pytest.raises(ValueError, match="injectors"):
        PlainTPDRSeg(make_config(tuning="adapter"))
    with pytest.raises(ValueError, match="detail head"):
        PlainTPDRSeg(make_config(injector_blocks=(0,)))


def test_trained_zeros_get_a_say(make_model: Make) -> None:
    from benchmarks.harness.checkpoints import spread_logits, stir_zeros

    model: TPDRSeg = make_model("vit")
    assert not model.image_encoder.injectors["0"].value.weight.any()
    stir_zeros(model)
    assert all(parameter.any() for parameter in model.parameters())
    spread_logits(model, 2.0)
    generator = torch.Generator().manual_seed(2)
    image = torch.rand(1, 3, 64, 64, generator=generator) * 255
    prior = torch.rand(1, 1, 4, 4, generator=generator)
    with torch.inference_mode():
        logits = model(image, prior, torch.zeros(1, dtype=torch.int64))
    assert float(logits.std()) == pytest.approx(2.0, rel=1e-3)


def test_agreement_sees_what_differs(tmp_path: Path, make_model: Make) -> None:
    from benchmarks.reference.network import PlainTPDRSeg
    from benchmarks.reference.photograph import segment_plain
    from benchmarks.speed.agreement import Agreement

    model = checkpoint(tmp_path, make_model, "vit")
    name = model.catalog.names[0]
    answer = segment_plain(PlainTPDRSeg.from_folder(tmp_path), EXAMPLE, [name], keep=True)
    results: Any = model.segment(EXAMPLE, [name])
    same = Agreement()
    same.add_logits(model, answer)
    same.add_masks("a.jpg", answer, results, {})
    found = same.values()
    assert found["logit_difference"] < 1e-4 < 0.1 < found["logit_spread"]
    assert found["dice"] > 0.999

    with torch.inference_mode():
        answer.tiles[name][0].logits[..., 3, 4] += 0.5
    half = np.median(answer.probability[name][answer.inside])
    answer.probability[name] = np.where(answer.probability[name] > half, 1.0, 0.0)
    other = Agreement()
    other.add_logits(model, answer)
    other.add_masks("a.jpg", answer, results, {name: 0.0})
    found = other.values()
    assert found["logit_difference"] == pytest.approx(0.5, abs=1e-3)
    assert found["probability_difference"] > 0.4
    assert found["dice"] == 1.0  # a threshold of 0 marks all
    assert found["dice_least_of"] == ""


def test_a_worker_answers_in_a_process_of_its_own() -> None:
    from benchmarks.harness.processes import Worker

    with Worker(partial, time.sleep) as slow, Worker(partial, os._exit) as leaves:
        assert 0.05 <= slow.seconds(0.05) < 5
        with pytest.raises(BrokenProcessPool):
            leaves.seconds(0)
        assert slow.seconds(0.0) < 0.05


def test_peak_memory_is_that_of_the_time_since_it_was_forgotten() -> None:
    from benchmarks.harness.processes import forget_peak, peak_memory

    if peak_memory() is None:
        pytest.skip("only Linux tells")
    try:
        forget_peak()
    except OSError:
        pytest.skip("the peak may not be reset here")
    before = peak_memory()
    # straight from the system: what the process has freed before may still be its own
    with mmap.mmap(-1, 2**27) as block:  # 128 MiB
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
        during = peak_memory()
    forget_peak()
    after = peak_memory()
    assert before is not None and during is not None and after is not None
    assert during - before > 100
    assert during - after > 100


def test_a_folder_run_is_that_of_the_command(tmp_path: Path, make_model: Make) -> None:
    from benchmarks.harness.ways import Setting
    from benchmarks.speed.folder import LESIONS, run_command

    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copyfile(EXAMPLE, folder / name)
    model = checkpoint(tmp_path / "model", make_model, "tiny_vit")
    assert len(model.catalog) == LESIONS
    setting = Setting(tmp_path / "model", "cpu", "float32", 1, 1)
    found = run_command(setting, folder, tmp_path / "out")
    assert (found["done"], found["dtype_chosen"]) == (2, "float32")
    assert 0 < found["model_in_run"] < found["seconds"]
    (folder / "c.jpg").write_bytes(b"")
    with pytest.raises(subprocess.CalledProcessError):
        run_command(setting, folder, tmp_path / "out")


def test_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.speed.__main__ import SECTIONS, parse

    options = parse([])
    assert (options.photographs, options.only, options.size) == ([EXAMPLE], ["whole"], ["tiny"])
    options = parse(["--only", "view,startup", "--size", "tiny,vit_b", "--dtype", "float32"])
    assert options.only == ["view", "startup"]
    assert (options.size, options.dtype) == (["tiny", "vit_b"], ["float32"])
    assert set(SECTIONS) >= {"whole", "tiled", "view", "folder", "startup", "training", "compile"}
    for words, said in (
        (["--only", "nothing"], "'nothing' is not one of whole"),
        (["--only", "folder"], "--only folder needs --folder"),
        (["--only", "training"], "--only training needs --data"),
        (["--only", "card"], "needs --device cuda"),
        (["--runs", "0"], "must be 1 or more"),
        ([str(tmp_path / "away.jpg")], "there is no"),
    ):
        with pytest.raises(SystemExit):
            parse(words)
        assert said in capsys.readouterr().err


def test_commands_name_no_path(tmp_path: Path) -> None:
    from benchmarks.speed.__main__ import command, parse

    photograph = tmp_path / "a b.jpg"
    photograph.touch()
    options = parse([str(photograph), "--only", "whole", "--runs", "2", "--threads", "2"])
    words = command(options, "whole", {"size": "tiny", "dtype": "auto"})
    assert words == (
        "python -m benchmarks.speed --only whole --size tiny --dtype auto 'a b.jpg' --runs 2 "
        "--threads 2"
    )
    options = parse(["--only", "folder", "--folder", str(tmp_path), "--count", "7"])
    words = command(options, "folder", {"size": "tiny", "dtype": "auto"})
    assert str(tmp_path) not in words
    assert f"--folder {tmp_path.name} --count 7" in words


RECORDS: dict[str, dict[str, Any]] = {
    "whole": {
        "photographs": ["a.jpg", "b.jpg"],
        "dtype_chosen": "bfloat16",
        "tiles": 1,
        "times": {
            count: {
                "plain": 30.0, "ours": ours, "ratio": 30.0 / ours,
                "plain_range": [29.0, 31.0], "ours_range": [ours, ours],
            }
            for count, ours in (("1", 5.0), ("4", 4.0))
        },
        "memory": {
            "plain": {"process": 2000.0, "card": None}, "ours": {"process": 1000.0, "card": None},
        },
        "logit_difference": 0.05, "logit_spread": 2.5, "probability_difference": 0.01,
        "dice": 0.985, "dice_least": 0.9, "dice_least_of": "hard exudate, 12 pixels in b.jpg",
    },
    "view": {
        "photographs": ["a.jpg"],
        "dtype_chosen": "bfloat16",
        "seconds": {"open": 1.0, "first": 4.0, "second": 2.5, "click": 0.4, "second_click": 0.4},
        "shares": {"second": 0.5, "click": 0.08, "second_click": 0.08},
        "probability_difference": 0.0,
    },
    "folder": {
        "photographs": ["a.jpg"], "dtype_chosen": "bfloat16", "count": 7, "done": 7,
        "seconds": 42.0, "model_in_run": 40.0, "model_alone": 35.0, "ratio": 1.05,
        "ratio_alone": 1.2, "peaks": [900.0] * 20 + [1200.0] * 5,
    },
    "startup": {
        "runs": 5,
        "seconds": {"help": 0.3, "typer": 0.1, "package": 0.1, "load": 3.0, "libraries": 2.0},
        "help_over_typer": 3.0, "load_over_libraries": 1.5,
    },
    "training": {
        "photographs": ["a"], "steps": 4, "prepared": 3.0, "ratio": 4.0,
        "ours": {"seconds": 2.0, "losses": [1.0]}, "plain": {"seconds": 8.0, "losses": [1.0]},
        "first_loss_difference": 1e-5, "loss_difference": 1e-4,
    },
    "compile": {
        "photographs": ["a.jpg"], "dtype_chosen": "bfloat16", "eager": 4.0, "cold": 90.0,
        "cached": 20.0, "warm": 2.0, "memory": 1500.0, "probability_difference": 0.001,
    },
    "card": {
        "dtype_chosen": "bfloat16", "compiled": False, "lesions": 4, "gflops": 4000.0,
        "peak_tflops": 1000.0, "floor_milliseconds": 4.0,
        "batches": {
            "1": {"milliseconds": 20.0, "memory": 2048.0, "share_of_floor": 0.2},
            "8": {"milliseconds": 10.0, "memory": 4096.0, "share_of_floor": 0.4},
        },
    },
    "profile": {
        "photographs": ["a.jpg"], "dtype_chosen": "bfloat16", "milliseconds": 4000.0,
        "operations": [{"name": "mkldnn::_linear_pointwise", "calls": 100, "share": 0.4}],
    },
}  # fmt: skip


RECORDS["kept"] = RECORDS["whole"]


def record(section: str, **changes: Any) -> dict[str, Any]:
    return {
        "section": section, "size": "tiny", "frame": "whole", "dtype": "auto", "device": "cpu",
        "threads": 2, "date": "2024-01-02",
        "command": f"python -m benchmarks.speed --only {section}",
        "machine": {"Processor": "A chip, 2 cores"}, "values": RECORDS[section], **changes,
    }  # fmt: skip


def test_results_replace_those_of_the_same_measurement(tmp_path: Path) -> None:
    from benchmarks.harness.results import add_result, read_results

    path = tmp_path / "speed.json"
    assert read_results(path) == []
    add_result(path, record("view"))
    add_result(path, record("view", dtype="float32"))
    add_result(path, record("view", date="2024-03-04"))
    assert [(r["dtype"], r["date"]) for r in read_results(path)] == [
        ("float32", "2024-01-02"), ("auto", "2024-03-04")
    ]  # fmt: skip
    assert json.loads(path.read_text()) == read_results(path)


def test_report_has_every_section_and_figure(tmp_path: Path) -> None:
    from benchmarks.speed.report import write_report

    page = tmp_path / "performance.md"
    card = record("card", size="vit_b", device="cuda", machine={"Graphics card": "A card"})
    special = {"card": card}
    write_report([special.get(name) or record(name) for name in RECORDS], page)
    text = page.read_text()
    for name in RECORDS:
        assert f"\npython -m benchmarks.speed --only {name}\n" in text
    for row in (
        "| Processor | A chip, 2 cores |",
        "| Graphics card | A card |",
        "| `tiny` | whole image | auto (bfloat16) | 4 | 30.00 (29.00 to 31.00) "
        "| 4.00 (4.00 to 4.00) | 7.5x |",
        "| `tiny` | whole image | auto (bfloat16) | 2000 MiB | 1000 MiB |",
        "| `tiny` | whole image, memory kept | auto (bfloat16) | 4 | 30.00 (29.00 to 31.00) "
        "| 4.00 (4.00 to 4.00) | 7.5x |",
        "| 0.05 | 2.5 | 0.01 | 0.9850 | 0.9000 (hard exudate, 12 pixels in b.jpg) |",
        "| `tiny` | auto (bfloat16) | 1.00 | 4.00 | 2.50 | 0.40 | 50% | 8% | 0 |",
        "| `tiny` | auto (bfloat16) | 7 | 42 | 40 | 35 | 1.05 | 1.20 |",
        "| `tp-drseg --help` | 0.30 |",
        "| `tiny` | auto | 8.0 | 2.0 | 4.0x | 1.0e-05 | 1.0e-04 |",
        "| `tiny` | auto (bfloat16) | 4.00 | 90.0 | 20.0 | 2.00 | 2.0x | 0.001 |",
        "| `vit_b` on cuda | auto (bfloat16) | no | 8 | 10.0 | 4.0 | 40% | 4.0 GiB |",
        "| `mkldnn::_linear_pointwise` | 100 | 40% |",
    ):
        assert row in text
    tables = [block for block in text.split("\n\n") if block.startswith("| ")]
    for block in tables:
        assert len({line.count("|") for line in block.splitlines() if line.startswith("|")}) == 1


def test_report_says_which_aims_were_reached() -> None:
    from benchmarks.speed.aims import aims

    slow = {**RECORDS["whole"], "logit_difference": 5e-4}
    reached = {
        aim.name: aim.reached
        for aim in aims(
            [
                *(record(name) for name in RECORDS if name != "card"),
                record("card", size="vit_b", device="cuda"),
                record("whole", size="vit_b", dtype="float32", values=slow),
            ]
        )
    }
    assert reached == {
        "4 lesions, whole image, `tiny`, auto: speed": True,
        "4 lesions, whole image, `tiny`, auto: masks": False,
        "4 lesions, whole image, `vit_b`, float32: speed": True,
        "4 lesions, whole image, `vit_b`, float32: logits": True,
        "Open photograph, `tiny`, auto: second lesion": True,
        "Open photograph, `tiny`, auto: click": True,
        "Folder, `tiny`, auto: wall time": True,
        "Folder, `tiny`, auto: memory": True,
        "Folder, `tiny`, auto: memory from the fifth on": False,
        "`--help` beside typer's import": True,
        "Loading beside its libraries' import": True,
        "Card, `vit_b`, auto, not compiled, batch 1": False,
        "Card, `vit_b`, auto, not compiled, batch 8": True,
    }


def test_report_without_results_says_so(tmp_path: Path) -> None:
    from benchmarks.speed.report import write_report

    write_report([], tmp_path / "performance.md")
    assert "Nothing was measured yet." in (tmp_path / "performance.md").read_text()
