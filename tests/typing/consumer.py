"""A user's program, as `mypy --strict` sees it: no cast, no ignore, no Any."""

from __future__ import annotations

from pathlib import Path

from tp_drseg import Prompt, Region, Segmentation, Segmentations, TPDRSeg


def largest(result: Segmentation) -> Region | None:
    """The largest region of a lesion."""
    return max(result.regions, key=lambda region: region.area_px, default=None)


def look(photograph: Path, out: Path) -> dict[str, float]:
    """Ask one photograph in every way, save what is found, and return shares of the field."""
    model = TPDRSeg.from_pretrained()
    one: Segmentation = model.segment(photograph, lesion="hard exudate")
    region = largest(one.at(0.3))
    if region is not None:
        x, y = region.centroid
        clicked = Prompt("EX", point_coords=[(x, y)], point_labels=[1], boxes=[region.box])
        one = model.segment(photograph, clicked)
    one.save(out / "exudates.png", "probability")
    everything: Segmentations = model.segment_many(photograph)
    everything.overlay(fill=0.1).save(out / "overlay.png")
    with model.load_image(photograph) as session:
        dots = session.segment(Prompt("MA", ["tiny round red dots"], threshold=0.4))
        prior = session.prior_map("tiny round red dots")
    shares = {result.lesion: result.area_percent for result in everything}
    for results in model.segment_batch([photograph, photograph.read_bytes()], ["EX"]):
        shares["twice"] = results["EX"].summary().area_percent + float(prior.mean())
    return shares | {dots.lesion: dots.area_percent}
