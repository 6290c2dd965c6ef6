"""What a reviewer does: draws, undoes, signs. Every change is on the disk when a call returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tp_drseg._runtime.schema import Text
from tp_drseg.corrections.record import (
    Action,
    Asked,
    CorrectedMask,
    Review,
    State,
    Step,
)
from tp_drseg.errors import ImageError, OutputError
from tp_drseg.export import encode_mask
from tp_drseg.folder.record import now
from tp_drseg.web.index import Entry, Index
from tp_drseg.web.masks import check_mask, decode_mask
from tp_drseg.web.part import Part
from tp_drseg.web.pictures import Pictures

SIGNATURES: Final[Mapping[str, State]] = {"accept": "accepted", "reject": "rejected"}


class ConflictError(Exception):
    """The photograph was changed elsewhere, such as in another tab, since it was looked at."""


class ReadOnlyError(Exception):
    """This page may not change this photograph."""


@dataclass(frozen=True)
class Stroke:
    """What was done to a mask.

    Attributes:
        action: What it was.
        level: The threshold in 256ths; None for the model's own.
        asked: What the model was asked for the mask to start from; None for nothing.
    """

    action: Action
    level: int | None = None
    asked: Asked | None = None


class Desk:
    """The one place that changes reviews; any thread may ask, one at a time is served.

    Args:
        index: The photographs.
        pictures: Their files.
        reviewer: Who is at the desk.
        part: The photographs that may be changed; None for none.
    """

    def __init__(self, index: Index, pictures: Pictures, reviewer: Text, part: Part | None) -> None:
        self.index, self.pictures, self.reviewer, self.part = index, pictures, reviewer, part
        self._lock = threading.Lock()

    def may_change(self, entry: Entry) -> bool:
        """Tell whether this page may change a photograph."""
        return self.part is not None and self.part.has(entry.record.image)

    def mask(self, entry: Entry, lesion: int) -> bytes:
        """Return the PNG of a lesion's mask as it is now: the reviewer's, or else the model's.

        Raises:
            OutputError: It is missing or was changed.
            ImageError: It is no mask of this photograph.
        """
        review = self.index.review(entry)
        step = review.last_step(entry.record.lesions[lesion].lesion) if review else None
        if step is not None and step.mask is not None:
            data = self.index.corrections.mask_bytes(entry.record.image, step.mask)
        else:
            data = self.model_mask(entry, lesion)
        check_mask(data, (entry.record.height, entry.record.width))
        return data

    def model_mask(self, entry: Entry, lesion: int) -> bytes:
        """Return the PNG of the model's mask; the errors are those of `mask`."""
        data = self.pictures.result(entry.masks[lesion])
        check_mask(data, (entry.record.height, entry.record.width))
        return data

    def draw(self, entry: Entry, lesion: int, data: bytes, stroke: Stroke, revision: int) -> Review:
        """Keep a mask that was drawn.

        Args:
            entry: The photograph.
            lesion: Its place among the record's lesions.
            data: The mask as PNG.
            stroke: What was done.
            revision: Of the review that it was drawn on.

        Raises:
            ImageError: The data are no mask of this photograph.
            ConflictError: The review was changed meanwhile.
            ReadOnlyError: This photograph may not be changed.
            OutputError: It cannot be written.
        """
        self._check_right(entry)
        record = entry.record
        mask = decode_mask(data, (record.height, record.width))

        def change(review: Review) -> Review:
            step = Step(
                lesion=record.lesions[lesion].lesion,
                label=entry.labels[lesion],
                action=stroke.action,
                mask=self.index.corrections.keep_mask(record.image, encode_mask(mask)),
                area_px=int(np.count_nonzero(mask)),
                level=stroke.level,
                asked=stroke.asked,
                by=self.reviewer,
                when=now(),
            )
            return review.with_step(step)

        return self._change(entry, revision, change)

    def reset(self, entry: Entry, lesion: int, revision: int) -> Review:
        """Take the model's own mask again; the errors are those of `draw`."""
        row = entry.record.lesions[lesion]
        step = Step(
            lesion=row.lesion,
            label=entry.labels[lesion],
            action="reset",
            mask=None,
            area_px=row.area_px,
            by=self.reviewer,
            when=now(),
        )
        return self._change(entry, revision, lambda review: review.with_step(step))

    def move(self, entry: Entry, by: int, revision: int) -> Review:
        """Undo a step (-1) or do it again (+1).

        Raises:
            ConflictError: There is no such step, or the review was changed meanwhile.
            ReadOnlyError, OutputError: See `draw`.
        """

        def change(review: Review) -> Review:
            try:
                return review.moved(by)
            except ValueError as error:
                raise ConflictError(str(error)) from error

        return self._change(entry, revision, change)

    def sign(self, entry: Entry, state: State, revision: int) -> Review:
        """Accept the masks as they are, reject the photograph, or take that back (`new`).

        To accept is to vouch for the masks of all lesions: each then lies beside the model's, so
        that a later run with another model does not take it away.

        Raises:
            ConflictError, ReadOnlyError, OutputError, ImageError: See `draw`.
        """

        def change(review: Review) -> Review:
            wanted = state
            if state == "new" and review.position:
                wanted = "started"
            return review.model_copy(update={"state": wanted, "revision": review.revision + 1})

        return self._change(entry, revision, change)

    def note(self, entry: Entry, text: str, revision: int) -> Review:
        """Keep a remark; the errors are those of `draw`."""

        def change(review: Review) -> Review:
            return review.model_copy(update={"note": text, "revision": review.revision + 1})

        return self._change(entry, revision, change)

    def _change(self, entry: Entry, revision: int, change: Callable[[Review], Review]) -> Review:
        self._check_right(entry)
        with self._lock:
            earlier = self.index.review(entry)
            if revision != (earlier.revision if earlier else 0):
                raise ConflictError("It was changed in another window. Here it is as it is now.")
            changed = change(earlier or self._new(entry))
            masks = self._masks(entry, changed)
            state = changed.state
            if state in {"accepted", "corrected"}:
                state = "corrected" if any(mask.is_edited for mask in masks) else "accepted"
            review = Review.model_validate(
                changed.model_copy(
                    update={"masks": masks, "state": state, "by": self.reviewer, "when": now()}
                ).model_dump()
            )
            self.index.corrections.write(review, earlier)
            return review

    def _check_right(self, entry: Entry) -> None:
        if not self.may_change(entry):
            raise ReadOnlyError("This photograph is in another reviewer's part.")

    def _new(self, entry: Entry) -> Review:
        record = entry.record
        return Review(
            image=record.image,
            source=record.source,
            sha256=record.sha256,
            width=record.width,
            height=record.height,
            by=self.reviewer,
            when=now(),
        )

    def _masks(self, entry: Entry, review: Review) -> tuple[CorrectedMask, ...]:
        """Return what is to lie beside the model's masks."""
        earlier = {mask.lesion: mask for mask in review.masks}
        found = []
        for row, label, file in zip(entry.record.lesions, entry.labels, entry.masks, strict=True):
            step = review.last_step(row.lesion)
            if step is not None and step.mask is not None:
                digest, area, edited = step.mask, step.area_px, step.mask != file.sha256
            elif review.is_signed:
                digest, area, edited = self._vouched(entry, label), row.area_px, False
            else:
                continue
            before = earlier.get(row.lesion)
            same = before is not None and before.sha256 == digest
            found.append(
                CorrectedMask(
                    lesion=row.lesion,
                    label=label,
                    sha256=digest,
                    area_px=area,
                    model_mask=before.model_mask if before and same else file.sha256,
                    is_edited=edited,
                )
            )
        return tuple(found)

    def _vouched(self, entry: Entry, label: str) -> str:
        data = self.model_mask(entry, entry.labels.index(label))
        decode_mask(data, (entry.record.height, entry.record.width))
        return self.index.corrections.keep_mask(entry.record.image, data)


REFUSED: Final = (ConflictError, ReadOnlyError, ImageError, OutputError)
"""What a reviewer is told in a sentence."""
