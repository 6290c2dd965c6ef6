"""A checkpoint on disk: strict and whole, a function of a configuration, a network and a card."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tp_drseg._runtime.files import atomic_write, make_folder, output_error, write_text
from tp_drseg._runtime.json_text import MOST_BYTES
from tp_drseg._runtime.text_file import read_text
from tp_drseg.config import TPDRSegConfig
from tp_drseg.errors import CheckpointError, ConfigError
from tp_drseg.modules.network import TPDRSegNetwork

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
_SHOWN = 8  # problems that a message names

Card = Callable[[TPDRSegConfig, TPDRSegNetwork], str]
"""Writes a model card."""


def read_config(path: Path) -> TPDRSegConfig:
    """Read `config.json`.

    Raises:
        ConfigError: It is not a valid configuration; names the file.
    """
    text = read_text(path, MOST_BYTES)
    try:
        return TPDRSegConfig.from_json(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


@contextmanager
def without_values() -> Iterator[None]:
    """Build modules on the CPU without first giving their parameters random values.

    Not on torch's meta device, where buffers that are in no checkpoint would be lost. The global
    random state stays as it is.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """Whatever would change a parameter in place does nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        in_place = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        # torch.nn.init passes it by name
        changed = args[0] if args else kwargs.get("tensor")
        if in_place and isinstance(changed, nn.Parameter):
            return changed
        return func(*args, **kwargs)


def load_weights(network: TPDRSegNetwork, path: Path, config: TPDRSegConfig) -> None:
    """Replace all tensors of a network by those of a file, strictly.

    Names, shapes and types must be as expected, every value finite, and the whole as the
    configuration's hash says; nothing is loaded in part. Types become the network's.

    Raises:
        CheckpointError: The file is truncated or altered, or does not fit.
    """
    expected = network.state_dict()
    stored = _dtype_of(config)
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            _check_fit(path, expected, shapes)
            weights = {name: file.get_tensor(name) for name in slices}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or is not a safetensors file ({error}). Fetch it again."
        ) from error
    problems = []
    for name, value in weights.items():
        wanted = stored if expected[name].is_floating_point() else expected[name].dtype
        if value.dtype != wanted:
            problems.append(f"{name} has type {_name(value.dtype)}, not {_name(wanted)}")
        elif not _is_finite(value):
            problems.append(f"{name} has values that are not finite")
    _refuse(path, problems)
    if config.weights_sha256 != tensors_hash(weights):
        raise CheckpointError(
            f"{path} holds other weights than its {CONFIG_NAME} says: the hash differs. One of "
            f"the two files was altered or comes from another checkpoint. Fetch both again."
        )
    # out of the mapped file, which may be written anew while the network is in use; and in
    # float32, whatever type the process builds modules in
    own = {
        name: torch.empty_like(
            expected[name], dtype=torch.float32 if value.is_floating_point() else None
        ).copy_(value)
        for name, value in weights.items()
    }
    network.load_state_dict(own, strict=True, assign=True)


def _check_fit(
    path: Path, expected: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    problems = [f"missing {name}" for name in expected.keys() - shapes.keys()]
    problems += [f"unexpected {name}" for name in shapes.keys() - expected.keys()]
    problems += [
        f"{name} is {shapes[name]}, not {tuple(expected[name].shape)}"
        for name in expected.keys() & shapes.keys()
        if shapes[name] != tuple(expected[name].shape)
    ]
    _refuse(path, problems)


def _refuse(path: Path, problems: Sequence[str]) -> None:
    if problems:
        shown = "; ".join(sorted(problems)[:_SHOWN])
        raise CheckpointError(
            f"{path} does not fit its {CONFIG_NAME} in {len(problems)} tensors: {shown}. The two "
            f"files must come from the same checkpoint."
        )


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors: names, types, shapes and values, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {_name(value.dtype)} {tuple(value.shape)}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save(folder: Path, config: TPDRSegConfig, network: TPDRSegNetwork, *, card: Card) -> Path:
    """Write a checkpoint; see `TPDRSeg.save_pretrained`."""
    dtype = _dtype_of(config)
    if network.dtype.itemsize < 4 and network.dtype != dtype:
        raise CheckpointError(
            f"This model computes in {_name(network.dtype)}, to which its weights were rounded, so "
            f"they cannot be saved as {_name(dtype)}. Load it with dtype='float32' to save it."
        )
    tensors = {name: _stored(value, dtype) for name, value in network.state_dict().items()}
    if broken := sorted(name for name, value in tensors.items() if not _is_finite(value)):
        raise CheckpointError(
            f"The model cannot be saved: {len(broken)} of its tensors have values that are not "
            f"finite in {_name(dtype)}, such as {broken[0]}."
        )
    config = config.replace(weights_sha256=tensors_hash(tensors))
    with _replaced(folder) as new:
        with atomic_write(new / WEIGHTS_NAME) as file:
            file.write(to_bytes(tensors, metadata={"format": "pt"}))
        write_text(new / CONFIG_NAME, config.to_json())
        write_text(new / CARD_NAME, card(config, network))
    return folder


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Return a new folder, which takes the place of an older one when the block ends.

    What else was in the older folder moves along. If the block raises, all stays as it was.
    """
    folder = folder.resolve()
    new, old = _beside(folder, "new"), _beside(folder, "old")
    try:
        for leftover in (new, old) if folder.exists() else (new,):
            shutil.rmtree(leftover, ignore_errors=True)
        make_folder(new)
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        if old.exists():
            for other in old.iterdir():
                if not (folder / other.name).exists():
                    other.rename(folder / other.name)
            shutil.rmtree(old)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.tp-drseg-{what}")


def interrupted_save(folder: Path) -> str:
    """Say where a killed `save` left the earlier model; empty where it left none."""
    old = _beside(folder.resolve(), "old")
    if folder.exists() or not old.exists():
        return ""
    return f" A save was interrupted: the model as it was before is in {old}; rename it back."


def _dtype_of(config: TPDRSegConfig) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, config.storage_dtype)
    return dtype


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    value = value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype)
    return value.contiguous()
