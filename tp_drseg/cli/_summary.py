"""What `tp-drseg segment` says of a run: before it, and at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from tp_drseg._runtime.text import one_line
from tp_drseg.cli._table import show_table

if TYPE_CHECKING:
    from tp_drseg.folder.photographs import PassedOver
    from tp_drseg.folder.record import LesionRow
    from tp_drseg.folder.run import FolderReport, Plan

_LISTED = 10
"""Names that a summary lists; the tables hold them all."""


def show_plan(plan: Plan) -> None:
    """Print which photographs would be segmented."""
    from tp_drseg.folder.settle import settle_names
    from tp_drseg.folder.store import RecordStore

    store = RecordStore(plan.out)
    records = store.read_all()
    for photograph in settle_names(plan.found.photographs, records, plan.max_pixels):
        record = records.get(photograph.name)
        has_results = record is not None and store.is_whole(record)
        note = "  (has results: done again if it or a setting has changed)" if has_results else ""
        typer.echo(one_line(photograph.name) + note)
    typer.echo(
        f"{len(plan.found.photographs)} photographs would be segmented into "
        f"{one_line(str(plan.out))}."
    )
    _show_passed_over(plan.found.passed_over)
    for failure in plan.found.failures:
        typer.echo(f"{one_line(failure.source)}: {one_line(failure.message)}")


def show_report(report: FolderReport) -> None:
    """Print how the run went: a line a lesion, then what needs a look."""
    plain = [record for record in report.records if not record.doubts]
    lesions: dict[str, list[LesionRow]] = {}
    for row in (row for record in plain for row in record.lesions):
        lesions.setdefault(row.lesion, []).append(row)
    table = []
    for name, rows in lesions.items():
        area = sum(row.area_percent for row in rows) / len(rows)
        found = f"{sum(row.regions > 0 for row in rows)} of {len(rows)}"
        table.append((one_line(name), found, str(sum(row.regions for row in rows)), f"{area:.3f}"))
    if table:
        show_table(["lesion", "images with it", "regions", "mean area, % of field of view"], table)
    if report.doubtful:
        typer.echo(f"In doubt, and not counted above: {len(report.doubtful)}")
        _show_some(f"{record.image}: {' '.join(record.doubts)}" for record in report.doubtful)
    if report.rejected:
        typer.echo(f"Not good enough, and passed over: {len(report.rejected)}")
        _show_some(f"{failure.image}: {failure.message}" for failure in report.rejected)
    _show_passed_over(report.passed_over, " (run.json names them)")
    typer.echo(
        f"{len(report.done)} done, {len(report.skipped)} done before, "
        f"{len(report.failures)} failed, in {report.seconds:.1f} s. "
        f"Results: {one_line(str(report.out))} (index.html shows them)"
    )


def show_failures(report: FolderReport, *, is_error: bool) -> None:
    """Print on stderr what failed, and why."""
    total = len(report.records) + len(report.failures)
    start = "Error" if is_error else "Note"
    typer.echo(
        f"{start}: {len(report.failures)} of {total} images failed "
        f"(all are listed in {one_line(str(report.out / 'photographs.csv'))}):",
        err=True,
    )
    _show_some((f"{f.image}: {f.message}" for f in report.failures), err=True)


def _show_passed_over(passed_over: Iterable[PassedOver], hint: str = "") -> None:
    kinds = Counter(one.why for one in passed_over)
    if kinds:
        parts = ", ".join(f"{count} {why}" for why, count in kinds.most_common())
        typer.echo(f"Passed over: {one_line(parts)}{hint}")


def _show_some(lines: Iterable[str], *, err: bool = False) -> None:
    listed = list(lines)
    for line in listed[:_LISTED]:
        typer.echo(f"  {one_line(line)}", err=err)
    if len(listed) > _LISTED:
        typer.echo(f"  and {len(listed) - _LISTED} more", err=err)
