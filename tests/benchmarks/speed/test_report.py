from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.speed.options import SECTIONS
from benchmarks.speed.report import report

Record = Callable[..., dict[str, Any]]


def test_report_has_every_section_and_figure(record: Record) -> None:
    card = record("card", size="vit_b", device="cuda", machine={"Graphics card": "A card"})
    text = report([card if name == "card" else record(name) for name in SECTIONS])
    for name in SECTIONS:
        assert f"\npython -m benchmarks.speed --only {name}\n" in text
    for row in (
        "| Processor | A chip, 2 cores |",
        "| Graphics card | A card |",
        "| `tiny` | whole image | auto (bfloat16) | 4 | 30.00 (29.00 to 31.00) "
        "| 4.00 (4.00 to 4.00) | 7.5x |",
        "| `tiny` | whole image | auto (bfloat16) | 2000 MiB | 1000 MiB |",
        "| `tiny` | 4 tiles | auto (bfloat16) | 2000 MiB | 1000 MiB |",
        "| `tiny` | whole image, memory kept | auto (bfloat16) | 4 | 30.00 (29.00 to 31.00) "
        "| 4.00 (4.00 to 4.00) | 7.5x |",
        "| 0.05 | 2.5 | 0.01 | 0.9850 | 0.9000 (hard exudate, 12 pixels in b.jpg) |",
        "| `tiny` | auto (bfloat16) | 4 | 8.00 (7.00 to 9.00) | 4.00 (3.50 to 4.50) | 2.0x "
        "| 1000 MiB | 1100 MiB |",
        "| `tiny` | auto (bfloat16) | 1.00 | 4.00 | 2.50 | 0.40 | 50% | 8% | 0 |",
        "| `tiny` | auto (bfloat16) | 7 | 42 | 40 | 35 | 1.05 | 1.20 |",
        "| `tp-drseg --help` | 0.30 |",
        "| `tiny` | auto | 8.0 | 2.0 | 4.0x | 1.0e-05 | 1.0e-04 |",
        "| `tiny` | auto (bfloat16) | 4.00 | 90.0 | 20.0 | 2.00 | 2.0x | 0.001 |",
        "| `vit_b` on cuda | auto (bfloat16) | no | 8 | 10.0 | 4.0 | 40% | 4.0 GiB |",
        "| `mkldnn::_linear_pointwise` | 100 | 40% |",
    ):
        assert row in text
    assert "MiB, while each photograph was being done: 900, 900," in text
    assert "\n\n\n" not in text and text.endswith("```\n")
    tables = [block for block in text.split("\n\n") if block.startswith("| ")]
    assert len(tables) == 14
    for block in tables:
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_report_says_what_bounds_an_aim(record: Record) -> None:
    text = report([record("session", size="vit_b")])
    assert "what bounds" not in text and "- Open photograph" not in text
    slow = {**record("session")["values"], "shares": {"second": 0.7, "click": 0.05}}
    text = report([record("session", size="vit_b", values=slow)])
    assert "\n\n- Open photograph, `vit_b`, auto: second lesion: again the injectors" in text


def test_report_without_results_says_so() -> None:
    text = report([])
    assert text.endswith("\n\nNothing was measured yet.\n") and "{" not in text
