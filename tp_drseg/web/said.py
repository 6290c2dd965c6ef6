"""What the page is told of photographs and reviews, as JSON data."""

from __future__ import annotations

from pathlib import Path

from tp_drseg.corrections.record import Review
from tp_drseg.export import lesion_colour
from tp_drseg.web.answers import Answers, Job
from tp_drseg.web.desk import Desk
from tp_drseg.web.index import Entry
from tp_drseg.web.maps import PRIOR_STEP

Data = str | int | float | bool | None | list["Data"] | dict[str, "Data"]


def folder_data(out: Path, desk: Desk, why_read_only: str) -> dict[str, Data]:
    """Return the whole list, and who is at the desk."""
    entries = list(desk.index.entries().values())
    names = dict.fromkeys(row.lesion for entry in entries for row in entry.record.lesions)
    return {
        "folder": out.resolve().name,
        "reviewer": desk.reviewer,
        "part": None if desk.part is None else str(desk.part),
        "why_read_only": why_read_only,
        "colours": {name: list(lesion_colour(name)) for name in names},
        "prior_step": PRIOR_STEP,
        "photographs": [photograph_data(entry, desk) for entry in entries],
    }


def photograph_data(entry: Entry, desk: Desk) -> Data:
    """Return what is known of one photograph."""
    record, review = entry.record, desk.index.review(entry)
    return {
        "id": entry.id,
        "image": record.image,
        "width": record.width,
        "height": record.height,
        "doubts": list(record.doubts),
        "notes": list(record.notes),
        "has_thumbnail": entry.thumbnail is not None,
        "may_change": desk.may_change(entry),
        "lesions": [
            {
                "name": row.lesion,
                "label": label,
                "threshold": row.threshold,
                "regions": row.regions,
                "area_px": row.area_px,
                "max_probability": row.max_probability,
                **_lesion_state(review, row.lesion),
            }
            for row, label in zip(record.lesions, entry.labels, strict=True)
        ],
        **_review_data(review),
    }


def job_data(job: Job, answers: Answers) -> Data:
    """Return how far a question is."""
    return {
        "id": job.id,
        "state": job.state,
        "ahead": answers.ahead(job),
        "done": job.done,
        "total": job.total,
        "error": job.error,
        "threshold": None if job.answer is None else job.answer.threshold,
    }


def _review_data(review: Review | None) -> dict[str, Data]:
    if review is None:
        return {
            "state": "new",
            "revision": 0,
            "by": "",
            "when": "",
            "note": "",
            "can_undo": False,
            "can_redo": False,
        }
    return {
        "state": review.state,
        "revision": review.revision,
        "by": review.by,
        "when": review.when.isoformat(),
        "note": review.note,
        "can_undo": review.position > 0,
        "can_redo": review.position < len(review.steps),
    }


def _lesion_state(review: Review | None, lesion: str) -> dict[str, Data]:
    step = review.last_step(lesion) if review else None
    if step is None or step.mask is None:
        return {"mask": "model", "level": None, "asked": None, "is_edited": False}
    return {
        "mask": step.mask,
        "level": step.level,
        "asked": None if step.asked is None else step.asked.model_dump(mode="json"),
        "is_edited": True,
    }
