"""What a user's wording costs: the AP of a lesion asked for in other words.

    python -m benchmarks.words.masks --data IDRiD --photographs 5 --paraphrases 20

On each photograph that shows a lesion, the AP of every pixel in the field of view is taken with the
lesion's own descriptions and with single held-out paraphrases, in two ways: by words alone
(`segment(image, "yellow specks")`), where the words have to lead to the lesion, and with the
lesion named beside them (`Prompt("EX", "yellow specks")`). Words that lead to another lesion or to
none have no AP by words alone; they are counted.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.words.tables import add_data, held_out_groups, table, validation
from tp_drseg import Prompt, TPDRSeg
from tp_drseg.data import Sample, read_ignored, read_mask
from tp_drseg.evaluation.metrics import PixelCurve


@dataclass(frozen=True)
class Loss:
    """What one paraphrase costs on one photograph.

    Attributes:
        lesion: The lesion.
        text: The paraphrase.
        own: AP with the lesion's own descriptions.
        named: AP with the paraphrase in their place.
        leads: Whether the words alone lead to the lesion.
    """

    lesion: str
    text: str
    own: float
    named: float
    leads: bool


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and the paraphrases that cost most."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.words.masks", description="What a user's wording costs."
    )
    add_data(parser)
    parser.add_argument("--paraphrases", type=int, default=20, help="of each lesion (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of their choice (default: 0)")
    parser.add_argument(
        "--hardest", action="store_true", help="those whose text feature is farthest from the own"
    )
    options = parser.parse_args(arguments)
    model = TPDRSeg.from_pretrained(options.model)
    chosen = choose(model, options.paraphrases, None if options.hardest else options.seed)
    losses: list[Loss] = []
    for sample in validation(options, model.catalog):
        losses += photograph_losses(model, sample, chosen)
        print(f"{sample.name} is done", flush=True)
    print(f"\n{loss_table(losses)}\n")
    for loss in sorted(losses, key=lambda loss: loss.named - loss.own)[:5]:
        print(f"{loss.own:.3f} -> {loss.named:.3f} {loss.lesion}: {loss.text}")


def choose(model: TPDRSeg, count: int, seed: int | None) -> dict[str, list[str]]:
    """Return so many paraphrases of each lesion: by chance, or the hardest where seed is None.

    Hardest are those whose text feature, the lesion named beside them, is farthest from that of
    the lesion's own descriptions.
    """
    groups = held_out_groups(model.catalog)
    if seed is not None:
        draw = random.Random(seed)
        return {name: draw.sample(list(own["paraphrases"]), count) for name, own in groups.items()}
    prior, chosen = model.network.explicit_prior, {}
    for name, texts in groups.items():
        own = prior.text_features(texts["own"], name)
        near = {text: float(prior.text_features(text, name) @ own) for text in texts["paraphrases"]}
        chosen[name] = sorted(near, key=lambda text: near[text])[:count]
    return chosen


def photograph_losses(
    model: TPDRSeg, sample: Sample, paraphrases: dict[str, list[str]]
) -> Iterator[Loss]:
    """Measure the paraphrases of each lesion that a photograph shows."""
    with model.load_image(sample.image) as session:
        field = session.field_of_view.mask
        for lesion, texts in paraphrases.items():
            truth = read_mask(sample.masks[lesion], field.shape)
            scored = field & ~read_ignored(sample.masks[lesion], field.shape)
            if not (truth & scored).any():
                continue
            prompts = [Prompt(lesion), *(Prompt(lesion, text) for text in texts)]
            own, *named = (
                _precision(session.probabilities([prompt])[0], truth & scored, scored)
                for prompt in prompts
            )
            for text, precision in zip(texts, named, strict=True):
                match = model.match(text)
                leads = match.verdict == "lesion" and match.lesion == lesion
                yield Loss(lesion, text, own, precision, leads)


def loss_table(losses: Sequence[Loss]) -> str:
    """Return the table: a row for each lesion."""
    rows = []
    for lesion in dict.fromkeys(loss.lesion for loss in losses):
        own = [loss for loss in losses if loss.lesion == lesion]
        change = [loss.named - loss.own for loss in own]
        led = [loss.named - loss.own for loss in own if loss.leads]
        cells = (
            np.mean([loss.own for loss in own]),
            np.median(change),
            min(change),
            min(led, default=np.nan),
        )
        rows.append((lesion, *(f"{cell:.3f}" for cell in cells), f"{len(led)} of {len(own)}"))
    return table(
        ("", "own AP", "median change", "worst, lesion named", "worst, by words", "led"), rows
    )


def _precision(
    probability: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    truth: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    scored: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> float:
    curve = PixelCurve()
    curve.add(probability, truth, scored)
    return float(curve.average_precision())


if __name__ == "__main__":
    main()
