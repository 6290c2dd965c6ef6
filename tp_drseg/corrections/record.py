"""The review of one photograph: a schema, since it may come from a stranger."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from tp_drseg._runtime.schema import Count, Digest, FilePath, FromOutside, Text

MOST_STEPS: Final = 200
"""How far back a review can be undone."""

LEVELS: Final = 256
"""Thresholds of the page are whole 256ths, at which a map of 8 bits is exact."""

State = Literal["new", "started", "accepted", "corrected", "rejected"]
"""`started`: drawn on and not signed. `accepted` and `corrected`: signed, without and with changes.
`rejected`: the photograph is not to be used."""

Action = Literal["brush", "eraser", "threshold", "click", "box", "description", "reset"]
Label = Annotated[str, StringConstraints(pattern=r"^[\w-]{1,40}$")]
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
_MANY: Final = 2 * 1000  # lesions that a run may have, and a step for each


class Asked(FromOutside):
    """What the model was asked beside the lesion's name, as in a `Prompt`.

    Attributes:
        descriptions: In the reviewer's own words.
        point_coords: `(x, y)` of each click, in px of the photograph.
        point_labels: For each click 1 on the lesion, 0 beside it.
        boxes: `(left, top, right, bottom)` of each box.
    """

    descriptions: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    point_coords: Annotated[tuple[tuple[Coordinate, Coordinate], ...], Field(max_length=1000)] = ()
    point_labels: Annotated[tuple[Literal[0, 1], ...], Field(max_length=1000)] = ()
    boxes: Annotated[
        tuple[tuple[Coordinate, Coordinate, Coordinate, Coordinate], ...], Field(max_length=1000)
    ] = ()


class Step(FromOutside):
    """One change of one lesion's mask.

    Attributes:
        lesion: Its name in the model's catalog.
        label: What it is called in file names.
        action: What was done.
        mask: Hash of the mask's file after it; None where the model's own mask came back.
        area_px: Number of its lesion pixels.
        level: Least probability of a lesion pixel in 256ths; None for the model's own threshold.
        asked: What the model was asked for this mask to start from; None for nothing.
        by: Who did it.
        when: When, UTC.
    """

    lesion: Text
    label: Label
    action: Action
    mask: Digest | None
    area_px: Count
    level: Annotated[int, Field(ge=1, lt=LEVELS)] | None = None
    asked: Asked | None = None
    by: Text
    when: datetime


class CorrectedMask(FromOutside):
    """A mask that lies beside the model's.

    Attributes:
        lesion: Its name in the model's catalog.
        label: What it is called in file names.
        sha256: Hash of the file `<photograph>.<label>.corrected.png`.
        area_px: Number of its lesion pixels.
        model_mask: Hash of the model's mask that it was made from.
        is_edited: Whether it was changed by hand; else it is the model's, vouched for.
    """

    lesion: Text
    label: Label
    sha256: Digest
    area_px: Count
    model_mask: Digest
    is_edited: bool


class Review(FromOutside):
    """What was said and done about one photograph.

    Attributes:
        image: The photograph's name under the output folder, with forward slashes.
        source: Its absolute path.
        sha256: Hash of its bytes.
        width: In px.
        height: In px.
        state: What the reviewer says.
        by: Who said so last.
        when: When, UTC.
        note: Remarks in words.
        revision: Grows by one with every change.
        steps: What was done, the oldest first.
        position: How many of the steps hold; those after it are undone.
        masks: What lies beside the model's masks now.
    """

    image: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    source: FilePath
    sha256: Digest
    width: Count
    height: Count
    state: State = "new"
    by: Text
    when: datetime
    note: Text = ""
    revision: Count = 0
    steps: Annotated[tuple[Step, ...], Field(max_length=_MANY)] = ()
    position: Count = 0
    masks: Annotated[tuple[CorrectedMask, ...], Field(max_length=_MANY)] = ()

    @model_validator(mode="after")
    def _fits(self) -> Review:
        if self.position > len(self.steps):
            raise ValueError("the position lies behind the last step")
        if len({mask.label.casefold() for mask in self.masks}) < len(self.masks):
            raise ValueError("two masks have one name")
        return self

    @property
    def is_signed(self) -> bool:
        """Whether a reviewer vouches for the masks."""
        return self.state in {"accepted", "corrected"}

    def last_step(self, lesion: str) -> Step | None:
        """Return the step that a lesion's mask comes from; None for the model's own."""
        held = (step for step in reversed(self.steps[: self.position]) if step.lesion == lesion)
        return next(held, None)

    def with_step(self, step: Step) -> Review:
        """Return the review after a further step; what was undone is gone."""
        steps = forget_oldest([*self.steps[: self.position], step])
        return self._changed(steps=steps, position=len(steps), state="started")

    def moved(self, by: int) -> Review:
        """Return the review with one step undone (-1) or done again (+1).

        Raises:
            ValueError: There is none.
        """
        position = self.position + by
        if not 0 <= position <= len(self.steps):
            raise ValueError("There is no step to undo." if by < 0 else "There is none to redo.")
        return self._changed(position=position, state="started" if position else "new")

    def _changed(self, **update: object) -> Review:
        return self.model_copy(update={"revision": self.revision + 1, **update})


def forget_oldest(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return at most `MOST_STEPS` steps; the last one of each lesion is never forgotten."""
    kept = list(steps)
    while len(kept) > MOST_STEPS:
        later = {step.lesion: number for number, step in enumerate(kept)}
        spare = next((n for n, step in enumerate(kept) if later[step.lesion] > n), None)
        if spare is None:
            break
        del kept[spare]
    return tuple(kept)
