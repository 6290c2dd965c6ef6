"""Bounds on open_clip's model configs, which are checked before a tower is built from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from tp_drseg.config.base import shown

_MOST_PARAMETERS = 3_000_000_000
_MOST_PATCHES = 65_536
_MOST_OF_OTHERS = 10_000
_DEEPEST = 4

# least and most of the numbers that decide how much memory a tower takes; lists have one a stage
_BOUNDS: Mapping[str, tuple[int, int]] = {
    "embed_dim": (1, 4096),
    "layers": (1, 64),
    "width": (1, 4096),
    "heads": (1, 128),
    "head_width": (1, 1024),
    "patch_size": (4, 128),
    "image_size": (1, 4096),
    "context_length": (2, 1024),
    "vocab_size": (1, 500_000),
    "mlp_ratio": (1, 16),
}


def check_clip(architecture: Mapping[str, JsonValue], image_size: int) -> None:
    """Check an open_clip model config whose pictures have `image_size` pixels a side.

    Raises:
        ValueError: A field is missing or out of bounds, or all together make a giant.
    """
    for key in ("embed_dim", "vision_cfg", "text_cfg"):
        if key not in architecture:
            raise ValueError(f"architecture.{key} is missing.")
    towers = []
    for key in ("vision_cfg", "text_cfg"):
        tower = architecture[key]
        if not isinstance(tower, dict):
            raise ValueError(f"architecture.{key} must be a mapping of names, got {shown(tower)}.")
        towers.append(tower)
    for name, value in _leaves(architecture, "architecture"):
        least, most = _BOUNDS.get(name.rpartition(".")[2], (-_MOST_OF_OTHERS, _MOST_OF_OTHERS))
        if isinstance(value, (int, float)) and not least <= value <= most:
            raise ValueError(f"{name} must be from {least:,} to {most:,}, got {shown(value)}.")
        if isinstance(value, str) and len(value) > 200:
            raise ValueError(f"{name} must be a short text, got {shown(value)}.")
    vision, text = towers
    patches = (image_size // _number(vision, "patch_size", 16)) ** 2
    if patches > _MOST_PATCHES:
        raise ValueError(
            f"image_size of {image_size} makes {patches:,} patches of "
            f"{_number(vision, 'patch_size', 16)} pixels; at most {_MOST_PATCHES:,} are allowed."
        )
    parameters = _parameters(vision) + _parameters(text)
    if parameters > _MOST_PARAMETERS:
        raise ValueError(
            f"architecture makes towers of some {parameters:,} parameters; at most "
            f"{_MOST_PARAMETERS:,} are allowed."
        )


def _leaves(
    value: JsonValue | Mapping[str, JsonValue], name: str
) -> Iterator[tuple[str, JsonValue]]:
    """Yield what stands in nested mappings and lists, a list's entries under the list's name."""
    if name.count(".") > _DEEPEST:
        raise ValueError(f"{shown(name)} is nested too deep.")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}")
    elif isinstance(value, list):
        if len(value) > 64 or any(isinstance(item, (list, dict)) for item in value):
            raise ValueError(f"{name} must be a short list of numbers or texts.")
        for item in value:
            yield name, item
    else:
        yield name, value


def _number(tower: Mapping[str, JsonValue], key: str, default: int) -> int:
    value = tower.get(key, default)
    return value if isinstance(value, int) else default


def _parameters(tower: Mapping[str, JsonValue]) -> int:
    """Return about how many parameters a tower has: a transformer, or a ResNet by its stages."""
    width, layers = _number(tower, "width", 64), tower.get("layers", 12)
    if isinstance(layers, list):
        stages = [layer for layer in layers if isinstance(layer, int)]
        return sum(17 * n * (width * 2**stage) ** 2 for stage, n in enumerate(stages[:4]))
    ratio = tower.get("mlp_ratio", 4)
    block = (4 + 2 * (int(ratio) + 1 if isinstance(ratio, (int, float)) else 4)) * width**2
    depth = layers if isinstance(layers, int) else 1
    side = _number(tower, "image_size", 0) // _number(tower, "patch_size", 16)
    return depth * block + (_number(tower, "vocab_size", 0) + side**2) * width
