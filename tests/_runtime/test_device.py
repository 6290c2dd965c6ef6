from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from tp_drseg._runtime import device as hardware
from tp_drseg._runtime.device import pick_device, pick_dtype, takes_bf16
from tp_drseg.errors import ConfigError

CPU = torch.device("cpu")


def test_devices() -> None:
    assert pick_device("auto").type in ("cuda", "mps", "cpu")
    assert pick_device(CPU) == CPU
    for name in ("gpu0", "cuda:99"):
        with pytest.raises(ConfigError, match=f"'{name}'") as caught:
            pick_device(name)
        assert "http" not in str(caught.value)  # a driver's advice is of no use here
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("available", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_prefers_cuda_then_mps(
    available: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto").type == expected


@pytest.mark.parametrize(("avx512", "amx"), [(False, False), (True, False), (False, True)])
def test_a_processor_is_asked_for_its_instructions(
    avx512: bool, amx: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert takes_bf16(CPU) == (avx512 or amx)


def test_a_torch_that_cannot_tell_takes_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert takes_bf16(CPU) is False


def test_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation  # as on a card that only emulates it

    class Here:
        def __init__(self, device: torch.device) -> None:
            assert device.type == "cuda"

        def __enter__(self) -> None: ...

        def __exit__(self, *_: Any) -> None: ...

    monkeypatch.setattr(torch.cuda, "device", Here)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert not takes_bf16(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert takes_bf16(torch.device("cuda"))
    assert not takes_bf16(torch.device("mps"))


@pytest.mark.parametrize("found", [True, False])
def test_auto_asks_the_hardware_and_says_so(
    found: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "takes_bf16", lambda device: found)
    with caplog.at_level(logging.INFO, logger="tp_drseg._runtime.device"):
        assert pick_dtype("auto", CPU) == (torch.bfloat16 if found else torch.float32)
    dtype, has = ("bfloat16", "has") if found else ("float32", "has no")
    assert caplog.messages == [
        f"device: cpu, dtype: {dtype} (this processor {has} bf16 instructions)"
    ]


def test_a_type_can_be_forced(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tp_drseg._runtime.device"):
        assert pick_dtype("bfloat16", CPU) == torch.bfloat16
    assert caplog.messages == ["device: cpu, dtype: bfloat16 (as asked)"]
    assert pick_dtype(torch.float32, CPU) == torch.float32
    assert pick_dtype("float16", torch.device("cuda")) == torch.float16
    with pytest.raises(ConfigError, match=r"CUDA alone.*on cpu.*bfloat16 or float32"):
        pick_dtype("float16", CPU)
    for unknown in ("float64", "bf16", torch.int8):
        with pytest.raises(ConfigError, match=r"unknown.*auto, float32"):
            pick_dtype(unknown, CPU)
