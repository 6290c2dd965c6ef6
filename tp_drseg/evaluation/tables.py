"""An evaluation as tables of text, for the terminal, the report and the model card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tp_drseg.config import ReportedScore
from tp_drseg.evaluation.bootstrap import Interval
from tp_drseg.evaluation.convention import area_name
from tp_drseg.evaluation.scores import Evaluation, Figures, LesionScore


class Cell(NamedTuple):
    """A figure, and its interval where there is one."""

    figure: str
    interval: str = ""


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: What it shows.
        head: Names of the columns; the first is the lesion's.
        rows: As long as `head`.
    """

    title: str
    head: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


class Headline(NamedTuple):
    """A figure that stands for the whole evaluation: the mean over lesions.

    Attributes:
        title: What it is.
        figure: Its value.
        interval: Its 95 % interval; empty where there is none.
    """

    title: str
    figure: str
    interval: str


_PIXELS = ("AUC-PR", "AUC-ROC", "Dice", "IoU", "sensitivity", "precision")
_FOR_THE_CARD = (
    ("average_precision", "average_precision", "AUC-PR, pooled over the"),
    ("pooled_dice", "dice", "Dice, pooled over the"),
    ("dice_per_image", "dice", "Dice, mean over photographs, of the"),
)
_POOLED = ("average_precision", "roc_auc", "pooled_dice", "pooled_iou", "sensitivity", "precision")
_PER_IMAGE = tuple(
    f"{name}_per_image"
    for name in ("average_precision", "roc_auc", "dice", "iou", "sensitivity", "precision")
)


def tables(evaluation: Evaluation) -> list[Table]:
    """Return all that was measured: pixels pooled and per image, single lesions, lesion-free."""
    lesions = evaluation.lesions
    shown = [
        Table(
            "Photographs and operating points",
            ("lesion", "photographs", "with it", "share of pixels", "threshold"),
            [
                (
                    Cell(score.lesion),
                    Cell(str(score.photographs)),
                    Cell(str(score.with_lesion)),
                    Cell(f"{score.prevalence:.3%}"),
                    Cell(_thresholds(score)),
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
            "AUC-PR, pooled, by convention",
            ("lesion", "step-wise", "of 11 thresholds"),
            _rows(evaluation, ("average_precision", "average_precision_at_11")),
        ),
        Table(
            "Single lesions",
            ("lesion", "lesions", "detected", "missed", "sensitivity", "false pos.", "per image"),
            [*(_single(score) for score in lesions), _single_mean(evaluation.mean)],
        ),
    ]
    if evaluation.lesion_free:
        shown.append(
            Table(
                f"{len(evaluation.lesion_free)} lesion-free photographs",
                ("lesion", "with a mark", "marked, mean", "marked, most", "marks per image"),
                [_lesion_free(score) for score in lesions],
            )
        )
    mark = evaluation.split.mark
    return [table._replace(title=table.title + mark) for table in shown]


def headlines(evaluation: Evaluation) -> list[Headline]:
    """Return the few figures that a reader sees first, each the mean over lesions."""
    mark = evaluation.split.mark
    chosen = (
        ("AUC-PR, pooled pixels", "average_precision", 3),
        ("Dice, per image", "dice_per_image", 3),
        ("sensitivity to single lesions", "lesion_sensitivity", 3),
        ("false positives per image", "false_positives_per_image", 1),
    )
    return [
        Headline(f"{title}{mark}", *_cell(evaluation.mean, name, digits))
        for title, name, digits in chosen
    ]


def as_table(evaluation: Evaluation) -> Mapping[str, Mapping[str, str]]:
    """Return the main figures as rows of text by lesion, with their mean, for the model card.

    Columns of figures say so when the photographs were not (known to be) held out.
    """
    mark = evaluation.split.mark
    columns = {
        f"AUC-PR{mark}": "average_precision",
        f"AUC-ROC{mark}": "roc_auc",
        f"Dice, pooled{mark}": "pooled_dice",
        f"Dice, per image{mark}": "dice_per_image",
        f"precision{mark}": "precision",
        f"sensitivity{mark}": "sensitivity",
    }
    return {
        title: {"share of pixels": share, "threshold": threshold}
        | {column: _in_one_line(_cell(figures, name)) for column, name in columns.items()}
        for title, share, threshold, figures in (
            *((s.lesion, f"{s.prevalence:.3%}", _thresholds(s), s) for s in evaluation),
            ("mean", "", "", evaluation.mean),
        )
    }


def reported_scores(
    evaluation: Evaluation, dataset: str, dataset_type: str, lesions: Sequence[str] | None = None
) -> tuple[ReportedScore, ...]:
    """Return the main figures of lesions and of the mean over all, for a model card's metadata.

    A figure's name says so when the photographs were not (known to be) held out. A figure that
    does not exist is left out.

    Args:
        evaluation: The scores.
        dataset: The photographs in words, such as "11 validation photographs (idrid)".
        dataset_type: The data set's short name, such as `idrid`.
        lesions: Whose figures; None for all.
    """
    where = f"{area_name(evaluation.pixels)}{evaluation.split.mark}"
    rows: list[tuple[str, Figures]] = [
        (score.lesion, score) for score in evaluation if lesions is None or score.lesion in lesions
    ]
    rows.append(("mean", evaluation.mean))
    return tuple(
        ReportedScore(
            dataset=dataset,
            dataset_type=dataset_type,
            metric=metric,
            metric_name=f"{title} {where}",
            lesion=lesion,
            value=round(value, 6),
        )
        for lesion, figures in rows
        for name, metric, title in _FOR_THE_CARD
        if (value := float(getattr(figures, name))) == value
    )


def operating_points_text(evaluation: Evaluation) -> str:
    """Return each lesion's threshold and where it was chosen, in one line a choice."""
    choices: dict[tuple[str, ...], list[str]] = {}
    for score in evaluation.lesions:
        if score.thresholds:
            text = f"{score.lesion} {_thresholds(score)}"
            choices.setdefault(score.chosen_on, []).append(text)
    return "\n".join(
        f"Operating points: {', '.join(points)}; {_where(chosen_on)}"
        for chosen_on, points in choices.items()
    )


def _where(chosen_on: Iterable[str]) -> str:
    known = [where for where in chosen_on if where]
    if not known:
        return "the model does not say on what they were chosen."
    return f"chosen on {'; '.join(known)}."


def _thresholds(score: LesionScore) -> str:
    if not score.thresholds:
        return "-"
    low, high = min(score.thresholds), max(score.thresholds)
    return f"{low:.3f}" if low == high else f"{low:.3f}-{high:.3f}"


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
        Cell(str(score.detected)),
        Cell(str(score.missed)),
        _cell(score, "lesion_sensitivity"),
        Cell(str(score.false_positives)),
        _cell(score, "false_positives_per_image", 1),
    )


def _single_mean(mean: Figures) -> tuple[Cell, ...]:
    none = Cell("")
    sensitivity = _cell(mean, "lesion_sensitivity")
    false_positives = _cell(mean, "false_positives_per_image", 1)
    return Cell("mean"), none, none, none, sensitivity, none, false_positives


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
        Cell(f"{free.detections_per_image:.1f}"),
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
