"""The model card, written anew from the config at each save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from tp_drseg.config import OperatingPoint, ReportedScore, TPDRSegConfig
from tp_drseg.modules.network import TPDRSegNetwork

_INTENDED_USE = """\
For research on diabetic retinopathy in colour fundus photographs. **Not a medical device**: it
has not been validated for diagnosis, screening or treatment, and its masks must not be used for
them. It finds only the lesions listed below, misses some of them and marks things that are none;
how often is said below, where it was measured. Photographs from other cameras, of other fields or
of other populations than those it was trained on can do worse."""


def model_card(config: TPDRSegConfig, network: TPDRSegNetwork) -> str:
    """Return the card as Markdown with the Hub's metadata block.

    It is made of the configuration alone, and of the number of parameters, so that a model that
    was trained on from another one never keeps its parent's card.
    """
    trained = sum(p.numel() for _, p in network.trained_parameters())
    total = sum(p.numel() for p in network.parameters())
    architecture, inference = config.architecture, config.inference
    data = ModelCardData(
        license="apache-2.0",
        library_name="tp-drseg",
        pipeline_tag="image-segmentation",
        tags=["diabetic-retinopathy", "fundus", "segmentation", "clip", "segment-anything"],
        model_name="TP-DRSeg",
        eval_results=[_eval_result(score) for score in config.provenance.scores] or None,
    )
    lines = [
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
            f"{_point(inference.operating_points.get(lesion.name))} | {lesion.texts[0]} |"
            for lesion in config.lesions
        ),
        "",
        *_choice(inference.operating_points),
        "## Architecture",
        "",
        f"SAM image encoder: {architecture.image_encoder.kind}, {architecture.image_size} pixel "
        f"tiles of a field of view scaled to {inference.working_diameter} pixels. CLIP input: "
        f"{architecture.clip.image_size} pixels. Injectors after blocks: "
        f"{_blocks(architecture.injector_blocks)}. "
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
    body = "\n".join(lines)
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}"))


def _eval_result(score: ReportedScore) -> EvalResult:
    return EvalResult(
        task_type="image-segmentation",
        dataset_type=score.dataset_type,
        dataset_name=score.dataset,
        metric_type=score.metric,
        metric_name=f"{score.metric_name}, {score.lesion}",
        metric_value=score.value,
        verified=False,
    )


def _blocks(blocks: tuple[int, ...] | None) -> str:
    return "all" if blocks is None else str(list(blocks))


def _point(point: OperatingPoint | None) -> str:
    if point is None:
        return "0.5"
    shares = [
        "-" if share is None else f"{share:.2f}" for share in (point.sensitivity, point.precision)
    ]
    measured = "" if shares == ["-", "-"] else f" ({' / '.join(shares)})"
    return f"{point.threshold:.3g}{measured}"


def _choice(points: Mapping[str, OperatingPoint]) -> list[str]:
    """Return what the operating points are, and on which photographs each was chosen."""
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


def _facts(training: Mapping[str, Any]) -> list[str]:
    """Return a section for each group of facts: text as a paragraph, a mapping as a table."""
    lines: list[str] = []
    for title, value in training.items():
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
