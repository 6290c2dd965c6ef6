"""Which lesion held-out texts lead to, and how well other texts are told apart.

    python -m benchmarks.words.lesions

No photograph is needed. A paraphrase is right when the lesion that fits best is its own; the AUC
compares the paraphrases' probability of being a lesion at all with that of texts that are none.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import torch

from benchmarks.words.tables import table
from tp_drseg import TPDRSeg
from tp_drseg.training.clip.texts import held_out_others, held_out_paraphrases

_TIMED = 50


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.words.lesions", description="Which lesion words lead to."
    )
    parser.add_argument("--model", help="a folder or a Hub id (default: the embedded model)")
    torch.set_num_threads(1)
    model = TPDRSeg.from_pretrained(parser.parse_args(arguments).model, device="cpu")
    print(lesion_tables(model))
    print(f"\n{seconds_of_a_text(model) * 1000:.0f} ms of one thread's time a new text (median)")


def lesion_tables(model: TPDRSeg) -> str:
    """Return the two tables of `docs/lesions.md`."""
    rows, shares = [], []
    for lesion, texts in held_out_paraphrases().items():
        found = [model.match(text) for text, _ in texts]
        shares += [match.share for match in found]
        right = sum(match.lesion == lesion for match in found)
        led = sum(match.lesion == lesion and match.verdict == "lesion" for match in found)
        rows.append((lesion, f"{right} of {len(found)}", f"{led} of {len(found)}"))
    others = []
    for kind, plain in held_out_others().items():
        own = [model.match(text).share for text in plain]
        others.append((f"{kind} ({len(own)})", f"{wins(shares, own):.4f}"))
    return "\n\n".join(
        (
            table(("", "best fit is right", "right, and clear enough to be taken"), rows),
            table(("what describes no lesion", "AUC against the paraphrases"), others),
        )
    )


def wins(high: Sequence[float], low: Sequence[float]) -> float:
    """Return the share of pairs in which the first is higher, ties as half: the area under ROC."""
    pairs = [(a > b) + (a == b) / 2 for a in high for b in low]
    return sum(pairs) / len(pairs)


def seconds_of_a_text(model: TPDRSeg) -> float:
    """Return the median processor time of reading a text that was never read."""
    spent = []
    for number in range(_TIMED):
        start = time.process_time()
        model.match(f"small bright yellow spots with sharp edges, number {number}")
        spent.append(time.process_time() - start)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
