"""The model card, written anew from the config at each save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tp_drseg.config import OperatingPoint
    from tp_drseg.model import TPDRSeg

_INTENDED_USE = """\
For research on diabetic retinopathy in colour fundus photographs. **Not a medical device**: it
has not been validated for diagnosis, screening or treatment, and its masks must not be used for
them. It finds only the lesions listed below, misses some of them and marks things that are none;
how often is said below, where it was measured. Photographs from other cameras, of other fields or
of other populations than those it was trained on can do worse."""


def model_card(model: TPDRSeg) -> str:
    """The card as Markdown with the Hub's metadata block.

    It is made of the model's config alone, so that a model that was trained on from another one
    never keeps its parent's card.
    """
    config = model.config
    architecture = config.architecture
    blocks = architecture.injector_blocks
    trained = sum(p.numel() for _, p in model.trained_parameters())
    total = sum(p.numel() for p in model.parameters())
    lines = [
        "---",
        "license: apache-2.0",
        "library_name: tp-drseg",
        "pipeline_tag: image-segmentation",
        "tags: [diabetic-retinopathy, fundus, segmentation, clip, segment-anything]",
        "---",
        "",
        "# TP-DRSeg",
        "",
        "Segments diabetic retinopathy lesions in colour fundus photographs from a text prompt: "
        "an implementation of TP-DRSeg (MICCAI 2024) by the `tp-drseg` package.",
        "",
        "## What it is for, and what not",
        "",
        _INTENDED_USE,
        "",
        "## Lesions",
        "",
        "| lesion | abbreviation | operating point (sensitivity / precision) | first of its "
        "descriptions |",
        "|---|---|---|---|",
        *(
            f"| {lesion.name} | {lesion.abbreviation} | "
            f"{_point(config.inference.operating_points.get(lesion.name))} | {lesion.texts[0]} |"
            for lesion in config.lesions
        ),
        "",
        *_choice(config.inference.operating_points),
        "## Architecture",
        "",
        f"SAM image encoder: {architecture.image_encoder.kind}, {architecture.image_size} pixel "
        f"tiles of a field of view scaled to {config.inference.working_diameter} pixels. CLIP "
        f"input: {architecture.clip.image_size} pixels. Injectors after blocks: "
        f"{'all' if blocks is None else list(blocks)}. "
        f"{total:,} parameters, of which {trained:,} learn in training.",
        "",
        f"Parent: {config.provenance.parent or 'none'}.",
        "",
        *_facts(config.provenance.facts),
        "## Use",
        "",
        "```python",
        "from tp_drseg import TPDRSeg",
        "",
        'model = TPDRSeg.from_pretrained("FOLDER_OR_HUB_ID")',
        f'result = model.segment("fundus.jpg", lesion="{config.lesions.names[0]}")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _point(point: OperatingPoint | None) -> str:
    if point is None:
        return "0.5"
    shares = [
        "-" if share is None else f"{share:.2f}" for share in (point.sensitivity, point.precision)
    ]
    measured = "" if shares == ["-", "-"] else f" ({' / '.join(shares)})"
    return f"{point.threshold:.3g}{measured}"


def _choice(points: Mapping[str, OperatingPoint]) -> list[str]:
    """What the operating points are, and on which photographs each was chosen."""
    lines = [
        "A pixel is marked when its probability is at least the operating point. In brackets: what "
        "it gave on the photographs it was chosen on, as the share of the lesion's pixels that are "
        "marked and the share of the marked pixels that are lesion.",
        "",
    ]
    lesions: dict[str, list[str]] = {}
    for name, point in points.items():
        lesions.setdefault(point.chosen_on, []).append(name)
    chosen = [f"{', '.join(names)} on {where}" for where, names in lesions.items() if where]
    return [*lines, f"Chosen for {'; '.join(chosen)}.", ""] if chosen else lines


def _facts(facts: Mapping[str, Any]) -> list[str]:
    """A section for each group of facts: text as a paragraph, a mapping as a table."""
    lines: list[str] = []
    for title, value in facts.items():
        lines += [f"## {title}", ""]
        if isinstance(value, Mapping) and all(isinstance(v, Mapping) for v in value.values()):
            columns = list(dict.fromkeys(c for row in value.values() for c in row))
            lines.append("| | " + " | ".join(columns) + " |")
            lines.append("|---|" + "---|" * len(columns))
            for name, row in value.items():
                cells = [_cell(row.get(c, "")) for c in columns]
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
        elif isinstance(value, Mapping):
            lines += [f"- {key}: {_cell(item)}" for key, item in value.items()]
        else:
            lines.append(str(value))
        lines.append("")
    return lines


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
