"""A checkpoint's weights, damaged in every way that a disk, a network or a person can think of."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save_file

Tensors = dict[str, NDArray[np.generic]]
Damage = Callable[[Path], object]
"""Changes the checkpoint in a folder."""

NAME = "model.safetensors"


def weight_cases(marker: Path) -> dict[str, Damage]:
    """Return what is done to the weights, by name; all of it must be refused.

    Args:
        marker: A file that a pickle would make if it were run.
    """
    return {**_byte_cases(marker), **_tensor_cases(), **_file_cases()}


def _byte_cases(marker: Path) -> dict[str, Damage]:
    def changed(change: Callable[[bytes], bytes]) -> Damage:
        return lambda folder: (folder / NAME).write_bytes(change((folder / NAME).read_bytes()))

    def flipped(data: bytes) -> bytes:
        return data[:-5000] + bytes([data[-5000] ^ 64]) + data[-4999:]

    def header(change: Callable[[int], int]) -> Damage:
        def replaced(data: bytes) -> bytes:
            (length,) = struct.unpack("<Q", data[:8])
            return struct.pack("<Q", change(length)) + data[8:]

        return changed(replaced)

    return {
        "cut by 1 kB": changed(lambda data: data[:-1000]),
        "cut to 4 bytes": changed(lambda data: data[:4]),
        "empty": changed(lambda data: b""),
        "bytes after the end": changed(lambda data: data + b"x" * 100),
        "a bit flipped": changed(
            lambda data: data[:-5000] + bytes([data[-5000] ^ 64]) + data[-4999:]
        ),
        "zeros in the middle": changed(lambda data: data[:100_000] + bytes(4096) + data[104_096:]),
        "header one bit off": header(lambda length: length ^ 64),
        "header of 2**63 bytes": header(lambda length: 1 << 63),
        "header of 90 MB": header(lambda length: 90_000_000),
        "header without an end": changed(lambda data: data[:8] + b"{" * (len(data) - 8)),
        "a pickle": changed(lambda data: pickle.dumps(_Runs(marker))),
        "an archive": changed(lambda data: b"PK\3\4" + data),
    }


class _Runs:
    """A pickle of it makes a file where it is read."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (f"touch '{self._marker}'",)


def _tensor_cases() -> dict[str, Damage]:
    def changed(change: Callable[[Tensors, str], object]) -> Damage:
        def damage(folder: Path) -> None:
            tensors: Tensors = load((folder / NAME).read_bytes())
            change(tensors, _one_of(tensors))
            save_file(tensors, folder / NAME, metadata={"format": "pt"})

        return damage

    def put(value: float) -> Callable[[Tensors, str], object]:
        def change(tensors: Tensors, name: str) -> None:
            tensors[name] = tensors[name].copy()
            tensors[name].flat[0] = value

        return change

    def all_as(convert: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> Damage:
        return changed(
            lambda tensors, _: tensors.update(
                {name: convert(value) for name, value in tensors.items() if value.dtype.kind == "f"}
            )
        )

    def swap(tensors: Tensors, name: str) -> None:
        other = next(
            other
            for other, value in tensors.items()
            if other != name and value.shape == tensors[name].shape
        )
        tensors[name], tensors[other] = tensors[other], tensors[name]

    return {
        "a tensor renamed": changed(lambda t, name: t.update({f"{name}_": t.pop(name)})),
        "a tensor missing": changed(lambda t, name: t.pop(name)),
        "a tensor more": changed(lambda t, name: t.update(more=np.zeros(3, np.float32))),
        "a tensor without a row": changed(lambda t, name: t.update({name: t[name][:-1].copy()})),
        "a tensor flattened": changed(lambda t, name: t.update({name: t[name].reshape(-1)})),
        "a tensor as int8": changed(lambda t, name: t.update({name: t[name].astype(np.int8)})),
        "a tensor as bool": changed(lambda t, name: t.update({name: t[name].astype(bool)})),
        "a NaN": changed(put(np.nan)),
        "an infinity": changed(put(np.inf)),
        "two tensors swapped": changed(swap),
        "all as float64": all_as(lambda value: value.astype(np.float64)),
        "all as float32": all_as(lambda value: value.astype(np.float32)),
        "all NaN": all_as(lambda value: np.full_like(value, np.nan)),
        "all zero": all_as(np.zeros_like),
    }


def _one_of(tensors: Tensors) -> str:
    """A matrix that is in use, and of whose shape there is another one."""
    return next(
        name
        for name, value in tensors.items()
        if value.ndim == 2
        and "transformer" in name
        and sum(value.shape == other.shape for other in tensors.values()) > 1
    )


def _file_cases() -> dict[str, Damage]:
    def replaced(make: Callable[[Path], object]) -> Damage:
        def damage(folder: Path) -> None:
            (folder / NAME).unlink()
            make(folder / NAME)

        return damage

    return {
        "missing": replaced(lambda path: None),
        "a folder": replaced(lambda path: path.mkdir()),
        "a dead link": replaced(lambda path: path.symlink_to("nowhere")),
    }
