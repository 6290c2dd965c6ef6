"""Where the priors of words point: patch AUC-ROC on validation photographs.

    python -m benchmarks.words.patches --data IDRiD

A patch of CLIP's grid shows a lesion from `PATCH_COVERAGE` of its area on; patches that it barely
touches, and those outside the field of view, are not scored. The AUC-ROC is taken for each
photograph that shows the lesion, and averaged over them. A paraphrase is asked with by itself, as
`prior_map` does; own and held-out descriptions all together, as `segment` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from benchmarks.words.tables import add_data, held_out_groups, table, validation
from tp_drseg import TPDRSeg
from tp_drseg.inference.prior import CLIPFeatures, clip_features
from tp_drseg.training.clip.train import patch_labels
from tp_drseg.training.data.annotated import AnnotatedImage, FrameSizes, load_annotated


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.words.patches", description="Where the priors of words point."
    )
    add_data(parser)
    options = parser.parse_args(arguments)
    model = TPDRSeg.from_pretrained(options.model, dtype="float32")
    sizes = FrameSizes.of(model.config, model.config.inference.working_diameter)
    names = model.catalog.names
    samples = validation(options, model.catalog)
    images = [load_annotated(sample, names, sizes) for sample in samples]
    print(f"{len(images)} photographs\n\n{patch_table(model, images)}")


def patch_table(model: TPDRSeg, images: Sequence[AnnotatedImage]) -> str:
    """Return the table: a row for each lesion, a column for each kind of text."""
    seen = [see(model, image) for image in images]
    rows = []
    for number, (lesion, groups) in enumerate(held_out_groups(model.catalog).items()):
        own, held_out, name = (
            mean_area(model, seen, number, texts)
            for texts in (groups["own"], groups["held out"], groups["name"])
        )
        single = [mean_area(model, seen, number, [text]) for text in groups["paraphrases"]]
        cells = own, held_out, name, float(np.median(single)), min(single)
        rows.append((lesion, *(f"{cell:.3f}" for cell in cells)))
    head = "", "own", "held out", "name", "paraphrases, median", "paraphrases, worst"
    return table(head, rows)


def see(model: TPDRSeg, image: AnnotatedImage) -> tuple[CLIPFeatures, torch.Tensor]:
    """Return CLIP's features of a photograph and the share of each patch that lesions cover."""
    features = clip_features(
        model.network.explicit_prior,
        image.clip_pixels.numpy(),
        image.clip_inside.float().numpy(),
    )
    side = features.dense.shape[-1]
    covered = F.adaptive_avg_pool2d(image.masks[None].float(), side)
    return features, covered


@torch.inference_mode()
def mean_area(
    model: TPDRSeg,
    seen: Sequence[tuple[CLIPFeatures, torch.Tensor]],
    lesion: int,
    texts: Sequence[str],
) -> float:
    """Return the AUC-ROC of a text's prior, mean over the photographs that show the lesion."""
    areas = []
    for features, covered in seen:
        prior = features.priors(model.network.explicit_prior, [texts], [None])[0, 0].cpu().numpy()
        positive, negative = (labels[0, lesion].numpy() for labels in patch_labels(covered))
        inside = features.inside[0, 0].cpu().numpy()
        if (positive & inside).any():
            areas.append(area(prior[positive & inside], prior[negative & inside]))
    return float(np.mean(areas))


def area(high: NDArray[np.floating], low: NDArray[np.floating]) -> float:
    """Return the area under the ROC curve: how often a value of `high` exceeds one of `low`."""
    ranked = np.sort(low)
    below = np.searchsorted(ranked, high, "left") + np.searchsorted(ranked, high, "right")
    return float(below.mean() / 2 / len(low))


if __name__ == "__main__":
    main()
