"""The table of measured figures on the documentation's page."""

from __future__ import annotations

from benchmarks.reliability.table import PAGE, table


def test_a_row_a_measurement() -> None:
    line: dict[str, object] = {
        "measured": "kill", "version": "0.1.0", "count": 3, "seed": 1, "minutes": 0.5, "killed": 2,
        "finished_at_kill": [0, 5, 12], "peak_mb": 324, "wrong": ["one", "two"],
    }  # fmt: skip
    row = table([line]).splitlines()[-1]
    assert row == "| kill | 3 | 1 | 2 | 324 | 0.5 | killed 2; finished at kill 0 to 12 |"


def test_the_page_has_figures() -> None:
    text = PAGE.read_text(encoding="utf-8")
    figures = text.partition("<!-- figures: begin -->")[2].partition("<!-- figures: end -->")[0]
    for name in ("kill", "kill_real", "kill_training", "fuzz_images", "fuzz_masks", "fuzz_config"):
        assert f"| {name} | " in figures
