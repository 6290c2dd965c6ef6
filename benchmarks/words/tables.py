"""The Markdown tables of the measurements, and the options that they share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from tp_drseg.data import Sample, read_dataset, split_folds
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.clip.texts import held_out_paraphrases


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which photographs are measured on, and with which model."""
    add = parser.add_argument
    add("--data", type=Path, required=True, help="the data set")
    add("--format", default="idrid", help="how it is laid out (default: idrid)")
    add("--photographs", type=int, help="the first N of the validation photographs (default: all)")
    add("--model", help="a folder or a Hub id (default: the model inside the package)")


def validation(options: argparse.Namespace, catalog: LesionCatalog) -> list[Sample]:
    """Return the photographs that the embedded model's training left out: fold 0 of 5."""
    samples = read_dataset(options.data, options.format, "train", catalog)
    return split_folds(samples, 5, 0)[1][: options.photographs]


def held_out_groups(catalog: LesionCatalog) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return the texts that are measured: by lesion, and by their kind."""
    paraphrases = held_out_paraphrases()
    return {
        lesion.name: {
            "own": lesion.texts,
            "held out": lesion.held_out_texts,
            "paraphrases": [text for text, _ in paraphrases[lesion.name]],
            "name": [lesion.name],
        }
        for lesion in catalog
    }
