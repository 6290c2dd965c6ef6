"""An evaluation as tables of text, for the terminal, the report and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tp_drseg.evaluation.bootstrap import Interval
from tp_drseg.evaluation.scores import Evaluation, Figures, LesionScore


class Cell(NamedTuple):
    """A figure, and its interval where there is one."""

    figure: str
    interval: str = ""


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: what it shows.
        head: names of the columns; the first is the lesion's.
        rows: as long as `head`.
    """

    title: str
    head: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


_PIXELS = ("AUC-PR", "AUC-ROC", "Dice", "IoU", "sensitivity", "precision")
_POOLED = ("average_precision", "roc_auc", "pooled_dice", "pooled_iou", "sensitivity", "precision")
_PER_IMAGE = tuple(
    f"{name}_per_image"
    for name in ("average_precision", "roc_auc", "dice", "iou", "sensitivity", "precision")
)


def tables(evaluation: Evaluation) -> list[Table]:
    """What was scored, pixels pooled and per image, single lesions, lesion-free photographs."""
    lesions = evaluation.lesions
    found = [
        Table(
            "Photographs and operating points",
            ("lesion", "photographs", "with it", "share of pixels", "threshold"),
            [
                (
                    Cell(score.lesion),
                    Cell(str(score.photographs)),
                    Cell(str(score.with_lesion)),
                    Cell(f"{score.prevalence:.3%}"),
                    Cell(f"{score.threshold:.3f}"),
                )
                for score in lesions
            ],
        ),
        Table("Pixels, pooled", ("lesion", *_PIXELS), _rows(evaluation, _POOLED)),
        Table(
            "Pixels, per image (mean over the photographs that have the lesion)",
            ("lesion", *_PIXELS),
            _rows(evaluation, _PER_IMAGE),
        ),
        Table(
            "Single lesions",
            ("lesion", "lesions", "found", "missed", "share found", "false finds", "a photograph"),
            [*(_single(score) for score in lesions), _single_mean(evaluation.mean)],
        ),
    ]
    if evaluation.lesion_free:
        found.append(
            Table(
                f"{len(evaluation.lesion_free)} lesion-free photographs",
                ("lesion", "with a mark", "marked, mean", "marked, most", "marks a photograph"),
                [_lesion_free(score) for score in lesions],
            )
        )
    return found


def as_table(evaluation: Evaluation) -> Mapping[str, Mapping[str, str]]:
    """The main figures as rows of text by lesion, with their mean, for the model card."""
    columns = {
        "AUC-PR": "average_precision",
        "AUC-ROC": "roc_auc",
        "Dice, pooled": "pooled_dice",
        "Dice, per image": "dice_per_image",
        "precision": "precision",
        "sensitivity": "sensitivity",
    }
    return {
        title: {"share of pixels": share, "threshold": threshold}
        | {column: _in_one_line(_cell(figures, name)) for column, name in columns.items()}
        for title, share, threshold, figures in (
            *((s.lesion, f"{s.prevalence:.3%}", f"{s.threshold:.3f}", s) for s in evaluation),
            ("mean", "", "", evaluation.mean),
        )
    }


def operating_points_text(evaluation: Evaluation) -> str:
    """Each lesion's threshold and where it was chosen, in one line a choice."""
    choices: dict[str, list[str]] = {}
    for score in evaluation.lesions:
        text = f"{score.lesion} {score.threshold:.3f}"
        choices.setdefault(score.chosen_on, []).append(text)
    return "\n".join(
        f"Operating points: {', '.join(points)}; "
        + (f"chosen on {where}." if where else "the model does not say on what they were chosen.")
        for where, points in choices.items()
    )


def _rows(evaluation: Evaluation, names: Sequence[str]) -> list[tuple[Cell, ...]]:
    return [
        (Cell(title), *(_cell(figures, name) for name in names))
        for title, figures in (
            *((score.lesion, score) for score in evaluation.lesions),
            ("mean", evaluation.mean),
        )
    ]


def _single(score: LesionScore) -> tuple[Cell, ...]:
    return (
        Cell(score.lesion),
        Cell(str(score.lesions)),
        Cell(str(score.found)),
        Cell(str(score.missed)),
        _cell(score, "share_found"),
        Cell(str(score.false_finds)),
        _cell(score, "false_finds_per_photograph", 1),
    )


def _single_mean(mean: Figures) -> tuple[Cell, ...]:
    none = Cell("")
    share = _cell(mean, "share_found")
    false = _cell(mean, "false_finds_per_photograph", 1)
    return Cell("mean"), none, none, none, share, none, false


def _lesion_free(score: LesionScore) -> tuple[Cell, ...]:
    free = score.lesion_free
    if free is None:
        return Cell(score.lesion), *(Cell("-") for _ in range(4))
    interval = free.interval
    return (
        Cell(score.lesion),
        Cell(f"{free.with_mark} of {free.photographs}"),
        Cell(
            f"{free.marked_mean:.4%}",
            f"{100 * interval.low:.4f}-{100 * interval.high:.4f}" if interval else "",
        ),
        Cell(f"{free.marked_max:.4%}"),
        Cell(f"{free.finds_per_photograph:.1f}"),
    )


def _cell(figures: Figures, name: str, digits: int = 3) -> Cell:
    interval = figures.intervals.get(name)
    # a digit less: the ends of a bootstrap's interval are known no better
    ends = "" if interval is None else _range(interval, max(1, digits - 1))
    return Cell(_number(getattr(figures, name), digits), ends)


def _in_one_line(cell: Cell) -> str:
    return f"{cell.figure} ({cell.interval})" if cell.interval else cell.figure


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"


def _range(interval: Interval, digits: int) -> str:
    if interval.low != interval.low:
        return ""
    return f"{interval.low:.{digits}f}-{interval.high:.{digits}f}"
