"""A checkpoint's configuration with values that nobody should believe."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks.reliability.mutate_tree import Tree

Damage = Callable[[Path], object]

NAME = "config.json"
_HUGE = 10**6
_LESION = "lesions.lesions.0"
_CLIP = "architecture.clip.architecture"


def config_cases() -> dict[str, Damage]:
    """Return what is done to the configuration, by name; each must be refused or do no harm."""
    return {**_value_cases(), **_name_cases(), **_text_cases()}


def _value_cases() -> dict[str, Damage]:
    values: dict[str, list[Tree]] = {
        "version": [3, 10**9, True, "2", None],
        "more": [1],
        "storage_dtype": ["float64", "int8", "qint8", "__class__"],
        "weights_sha256": ["0" * 64, "", None, 3],
        "architecture.image_size": [-1024, 0, 1023, 16384, 10**9],
        "architecture.sparse_tokens": [-1, 10**9],
        "architecture.injector_stride": [0, _HUGE],
        "architecture.injector_blocks": [[-1], [10**9], list(range(10_000))],
        "architecture.tuning": ["everything", 3],
        "architecture.image_encoder.kind": ["vit_h", "../vit"],
        "architecture.image_encoder.embed_dims": [[_HUGE] * 4, [0, 0, 0, 0], [32] * 1000],
        "architecture.image_encoder.depths": [[_HUGE] * 4, [-1] * 4],
        "architecture.image_encoder.num_heads": [[0] * 4, [7] * 4],
        "architecture.image_encoder.window_sizes": [[10**4] * 4, [0] * 4],
        "architecture.clip.image_size": [_HUGE, -1],
        f"{_CLIP}.embed_dim": [10**8],
        f"{_CLIP}.more": [3],
        f"{_CLIP}.vision_cfg.width": [10**7, "x"],
        f"{_CLIP}.vision_cfg.tower": ["other", "../../x"],
        f"{_CLIP}.vision_cfg.timm_model_name": ["hf-hub:somebody/model"],
        f"{_CLIP}.vision_cfg": [{"timm_model_name": "x", "timm_model_pretrained": True}],
        f"{_CLIP}.text_cfg.layers": [_HUGE],
        f"{_CLIP}.text_cfg.context_length": [10**9],
        f"{_CLIP}.text_cfg.vocab_size": [10**9],
        f"{_CLIP}.text_cfg.hf_model_name": ["somebody/model"],
        f"{_CLIP}.text_cfg.hf_tokenizer_name": ["somebody/model"],
        "inference.working_diameter": [1, 4096, 4097, 20_000, 10**9],
        "inference.whole_field": [True, 1, "yes"],
        "inference.tile_overlap": [0.75, 0.9999, 1, -1],
        "inference.text": ["other", 3],
        "inference.operating_points.microaneurysm.threshold": [2, -1, 0, 1e-300, "0.5"],
        "provenance.facts": [{"a": [[[["x"]]]], "b": {"c": {"d": 1}}}, "x" * _HUGE],
        "inference": [{"working_diameter": 2560, "whole_field": True}],
        "provenance.parent": ["x\x1b[2J\nError: forged"],
        "lesions.lesions": [[], [{}] * 1000],
    }
    return {
        f"{place} = {json.dumps(value)[:40]}": _with(place, value)
        for place, several in values.items()
        for value in several
    }


def _name_cases() -> dict[str, Damage]:
    names = [
        "../x",
        "a/b",
        "a\nb",
        "/tmp/x",
        "A" * 300,
        "=1+1",
        "\x1b[2Jx",
        "",
        " ",
        ".",
        "..",
        "CON",
    ]
    found: dict[str, Damage] = {}
    for name in names:
        found[f"name {name[:20]!r}"] = _renamed(name)
        found[f"abbreviation {name[:20]!r}"] = _with(f"{_LESION}.abbreviation", name)
        found[f"alias {name[:20]!r}"] = _with(f"{_LESION}.aliases", [name])
    spots: Tree = [{"text": f"spot {number}"} for number in range(10_000)]
    return {
        **found,
        "a name with a formula": _renamed('=HYPERLINK("http://127.0.0.1/x","y")'),
        "two lesions of one name": _with("lesions.lesions.1.name", "microaneurysm"),
        "two lesions of one abbreviation": _with("lesions.lesions.1.abbreviation", "ma"),
        "10,000 descriptions": _with(f"{_LESION}.descriptions", spots),
        "a description of 10 MB": _with(f"{_LESION}.descriptions", [{"text": "red " * 2_500_000}]),
    }


def _text_cases() -> dict[str, Damage]:
    def written(change: Callable[[str], str]) -> Damage:
        return lambda folder: (folder / NAME).write_text(change((folder / NAME).read_text()))

    def replaced(make: Callable[[Path], object]) -> Damage:
        def damage(folder: Path) -> None:
            (folder / NAME).unlink()
            make(folder / NAME)

        return damage

    return {
        "cut": written(lambda text: text[:-200]),
        "empty": written(lambda text: ""),
        "nested 200,000 deep": written(lambda text: "[" * 200_000),
        "a number of 5,000 digits": written(lambda text: '{"version": ' + "1" * 5000 + "}"),
        "a name twice": written(lambda text: text.rstrip()[:-1] + ', "version": 2}'),
        "1 GB of blanks": replaced(_sparse),
        "a named pipe": replaced(os.mkfifo),
        "a link to another file": replaced(lambda path: path.symlink_to("/etc/hostname")),
        "a folder": replaced(lambda path: path.mkdir()),
        "missing": replaced(lambda path: None),
    }


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def _with(place: str, value: Tree) -> Damage:
    def damage(folder: Path) -> None:
        config = json.loads((folder / NAME).read_text())
        *outer, last = place.split(".")
        holder = config
        for name in outer:
            holder = holder[int(name) if isinstance(holder, list) else name]
        holder[int(last) if isinstance(holder, list) else last] = value
        (folder / NAME).write_text(json.dumps(config))

    return damage


def _renamed(name: str) -> Damage:
    """A lesion's name wherever it stands, so that the rest fits."""

    def damage(folder: Path) -> None:
        config = json.loads((folder / NAME).read_text())
        lesion = config["lesions"]["lesions"][0]
        points = config["inference"]["operating_points"]
        if lesion["name"] in points:
            points[name] = points.pop(lesion["name"])
        lesion["name"] = name
        (folder / NAME).write_text(json.dumps(config))

    return damage
