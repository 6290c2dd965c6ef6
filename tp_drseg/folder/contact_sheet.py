"""The contact sheet `index.html`: all photographs at a glance, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from tp_drseg._runtime.text import visible
from tp_drseg.export.colours import lesion_colour
from tp_drseg.folder.names import OVERLAY, REPORT
from tp_drseg.folder.page import page_part, source_hash
from tp_drseg.folder.record import ImageRecord, thumbnail_name
from tp_drseg.folder.run_log import RunLog

_MOST_CARDS: Final = 2000  # what a browser shows without waiting; the rest is in the table


@dataclass(frozen=True)
class Card:
    """One photograph of the sheet.

    Attributes:
        name: The photograph's name.
        status: `done`, `earlier` (of a run over other photographs) or `failed`.
        size: Width and height in px, or nothing.
        doubts: What makes it look unlike a fundus photograph.
        notes: What was left out of its file, or looks odd in it.
        reason: Why it failed.
        counts: Regions of each lesion of the sheet; None where it was not asked for.
        thumbnail: Address of the small picture, relative to the sheet.
        link: Address of the large one.
        report: Address of the photograph's report; empty without one.
        quality: Verdict on the photograph, and why; empty where it is good.
        eye: Which eye it shows; empty where that is not known.
    """

    name: str
    status: str
    size: str = ""
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    counts: tuple[int | None, ...] = ()
    thumbnail: str = ""
    link: str = ""
    report: str = ""
    quality: str = ""
    eye: str = ""


def contact_sheet(log: RunLog, lesions: Sequence[str]) -> str:
    """Return the sheet of a run as HTML.

    Args:
        log: The run.
        lesions: Names of the lesions that have a count.
    """
    cards = _cards(log, lesions)
    # where not all have room, what needs a look comes first
    shown = sorted(cards, key=lambda card: (not card.reason, not card.doubts))[:_MOST_CARDS]
    style, script = page_part("contact_sheet.css"), page_part("contact_sheet.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(page_part("contact_sheet.html")).render(
        cards=sorted(shown, key=lambda card: card.name),
        left_out=len(cards) - len(shown),
        counts=log.counts(),
        lesions=[(name, "#{:02x}{:02x}{:02x}".format(*lesion_colour(name))) for name in lesions],
        settings=log.request.settings,
        when=log.started.strftime("%Y-%m-%d %H:%M UTC"),
        style=Markup(style),
        script=Markup(script),
        style_hash=source_hash(style),
        script_hash=source_hash(script),
    )


def _cards(log: RunLog, lesions: Sequence[str]) -> list[Card]:
    states = dict.fromkeys((*log.done, *log.skipped), "done")
    cards = {
        record.image: _card(record, states.get(record.image, "earlier"), lesions)
        for record in log.finished
    }
    for failure in log.failures:
        reason = visible(failure.message)
        cards[failure.image] = Card(failure.image, "failed", reason=reason)
    return list(cards.values())


def _card(record: ImageRecord, status: str, lesions: Sequence[str]) -> Card:
    counts = {row.lesion: row.regions for row in record.lesions}
    names = [file.name for file in record.files]
    overlays = [name for name in names if name.endswith(OVERLAY)]
    # the overlay of all lesions has the shortest name
    large = min(overlays, key=len, default="")
    small = thumbnail_name(record.image)
    return Card(
        name=record.image,
        status=status,
        size=f"{record.width} × {record.height}",  # noqa: RUF001 - a multiplication sign
        doubts=tuple(map(visible, record.doubts)),
        notes=tuple(map(visible, record.notes)),
        counts=tuple(counts.get(lesion) for lesion in lesions),
        thumbnail=quote(small) if small in names else "",
        link=quote(large),
        report=quote(record.image + REPORT) if record.image + REPORT in names else "",
        quality="" if record.quality == "good" else f"{record.quality}. {record.quality_reason}",
        eye=str(record.anatomy.get("eye") or ""),
    )
