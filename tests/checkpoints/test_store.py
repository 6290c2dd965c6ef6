from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard, ModelCardData
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import tp_drseg
from tp_drseg._runtime import device as hardware
from tp_drseg.checkpoints import store as checkpoint
from tp_drseg.checkpoints.card import model_card
from tp_drseg.config import OperatingPoint, ReportedScore, TPDRSegConfig
from tp_drseg.errors import CheckpointError, ConfigError, OutputError
from tp_drseg.model import TPDRSeg

NAMES = {"config.json", "model.safetensors", "README.md"}
FACTS = {
    "Training": "On nothing at all.",
    "Figures": {"mean": {"Dice": 0.5, "AUC": 0.123456}, "haemorrhage": {"Dice": 0.25, "AUC": 1.0}},
    "Data": {"photographs": 3, "split": [1, 2]},
}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def saved(small_model: TPDRSeg, tmp_path: Path) -> Path:
    return small_model.save_pretrained(tmp_path / "saved")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_save_load_save_gives_the_same_bytes(
    dtype: str,
    make_model: Callable[..., TPDRSeg],
    stir: Callable[[nn.Module], nn.Module],
    tmp_path: Path,
) -> None:
    model = make_model(
        storage_dtype=dtype,
        operating_points={
            "soft exudate": OperatingPoint(
                threshold=0.3, sensitivity=0.5, precision=0.25, chosen_on="one photograph"
            ),
            "haemorrhage": OperatingPoint(threshold=0.7),
        },
        facts=FACTS,
        parent="org/name@abc",
    )
    stir(model.network)
    assert model.save_pretrained(tmp_path / "first") == tmp_path / "first"
    again = TPDRSeg.from_pretrained(tmp_path / "first", device="cpu", dtype="float32")
    again.save_pretrained(tmp_path / "second")
    first, second = files_of(tmp_path / "first"), files_of(tmp_path / "second")
    assert set(first) == NAMES
    for name in NAMES:
        assert first[name] == second[name], name

    stored = load_file(tmp_path / "first" / "model.safetensors")
    loaded, kind = again.network.state_dict(), getattr(torch, dtype)
    for name, value in model.network.state_dict().items():
        if value.is_floating_point():
            assert stored[name].dtype == kind
            assert torch.equal(loaded[name], value.to(kind).float()), name
        else:
            assert torch.equal(loaded[name], value), name


def test_a_loaded_model_gives_the_same_logits(
    small_model: TPDRSeg, stir: Callable[[nn.Module], nn.Module], tmp_path: Path
) -> None:
    stir(small_model.network)
    again = TPDRSeg.from_pretrained(
        small_model.save_pretrained(tmp_path), device="cpu", dtype="float32"
    )
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 64, 64, generator=generator) * 255
    priors = torch.rand(1, 2, 4, 4, generator=generator)
    with torch.inference_mode():
        expected = small_model.network(images, priors, torch.tensor([0, 2]))
        assert torch.equal(again.network(images, priors, torch.tensor([0, 2])), expected)
    assert not again.network.training
    assert (again.model_id, again.revision) == (str(tmp_path), None)
    weights = again.config.weights_sha256
    assert again.config == small_model.config.replace(weights_sha256=weights)


def test_the_card_is_written_anew(small_model: TPDRSeg, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("STALE")
    small_model.config = small_model.config.replace(
        provenance={"facts": {"Figures": {"haemorrhage": {"Dice": 0.4321}}}}
    )
    small_model.save_pretrained(tmp_path)
    parent = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "STALE" not in parent and "0.4321" in parent and "Parent: none" in parent

    child = TPDRSeg.from_pretrained(tmp_path, device="cpu", dtype="float32")
    child.config = child.config.replace(provenance={"parent": "org/parent@abc", "facts": {}})
    child.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "0.4321" not in card and "Parent: org/parent@abc" in card


def test_what_the_card_says(make_model: Callable[..., TPDRSeg]) -> None:
    model = make_model(
        operating_points={
            "haemorrhage": OperatingPoint(
                threshold=0.125, sensitivity=0.5, precision=0.25, chosen_on="two photographs"
            )
        },
        facts=FACTS,
    )
    card = model_card(model.config, model.network)
    head, body = card.split("---\n", 2)[1:]
    assert "license: apache-2.0" in head and "pipeline_tag: image-segmentation" in head
    assert "Not a medical device" in body
    for lesion in model.catalog:
        start = f"| {lesion.name} | {lesion.abbreviation} | "
        (row,) = (line for line in body.splitlines() if line.startswith(start))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        point = "0.125 (0.50 / 0.25)" if lesion.name == "haemorrhage" else "0.5"
        assert cells[2:] == [point, lesion.texts[0]]
    assert "haemorrhage on two photographs." in body
    assert "On nothing at all." in body
    assert "| mean | " in body and "0.1235" in body
    assert "- photographs: 3" in body
    trained = sum(p.numel() for _, p in model.network.trained_parameters())
    assert f"{trained:,} learn in training" in body


def _drop(weights: dict[str, Tensor]) -> None:
    del weights["prompt_generator.dense.bias"]


def _add(weights: dict[str, Tensor]) -> None:
    weights["stranger.weight"] = torch.zeros(2)


def _reshape(weights: dict[str, Tensor]) -> None:
    weights["prompt_generator.dense.bias"] = torch.zeros(7)


def assert_nothing_is_loaded(model: TPDRSeg, path: Path, message: str) -> None:
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        checkpoint.load_weights(model.network, path, model.config)
    assert str(path) in str(caught.value)
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, before[name]), "loaded in part"


def test_other_tensors_are_refused_by_name(small_model: TPDRSeg, tmp_path: Path) -> None:
    for damage, message in (
        (_drop, "in 1 tensors: missing prompt_generator.dense.bias"),
        (_add, "in 1 tensors: unexpected stranger.weight"),
        (_reshape, "in 1 tensors: prompt_generator.dense.bias is (7,), not (256,)"),
    ):
        weights = {
            name: torch.zeros(v.shape) for name, v in small_model.network.state_dict().items()
        }
        damage(weights)
        save_file(weights, tmp_path / "model.safetensors")
        assert_nothing_is_loaded(small_model, tmp_path / "model.safetensors", message)


def _nan(weights: dict[str, Tensor]) -> None:
    weights["prompt_generator.dense.bias"][3] = torch.nan


def _infinite(weights: dict[str, Tensor]) -> None:
    weights["mask_decoder.iou_token.weight"][0, 0] = torch.inf


def _swapped(weights: dict[str, Tensor]) -> None:
    one, other = weights["prompt_generator.class_weight"][:2].clone()
    weights["prompt_generator.class_weight"][0] = other
    weights["prompt_generator.class_weight"][1] = one


def _flipped(weights: dict[str, Tensor]) -> None:
    value = weights["prompt_generator.dense.weight"].view(torch.int32)
    value[7, 7] ^= 1


def _zero(weights: dict[str, Tensor]) -> None:
    for value in weights.values():
        value.zero_()


def _halved(weights: dict[str, Tensor]) -> None:
    weights["prompt_generator.dense.bias"] = weights["prompt_generator.dense.bias"].half()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_nan, "prompt_generator.dense.bias has values that are not finite"),
        (_infinite, "mask_decoder.iou_token.weight has values that are not finite"),
        (_halved, "prompt_generator.dense.bias has type float16, not float32"),
        (_swapped, "the hash differs"),
        (_flipped, "the hash differs"),
        (_zero, "the hash differs"),
    ],
)
def test_altered_weights_are_refused(
    damage: Callable[[dict[str, Tensor]], None], message: str, saved: Path
) -> None:
    path = saved / "model.safetensors"
    weights = load_file(path)
    damage(weights)
    save_file(weights, path)
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        TPDRSeg.from_pretrained(saved, device="cpu")
    assert str(path) in str(caught.value)


def test_weights_of_another_checkpoint_are_refused(
    saved: Path, make_model: Callable[..., TPDRSeg], stir: Callable[..., Any], tmp_path: Path
) -> None:
    other = make_model()
    stir(other.network)
    other.save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(saved / "model.safetensors")
    with pytest.raises(CheckpointError, match="the hash differs"):
        TPDRSeg.from_pretrained(saved, device="cpu")


def test_the_hash_is_of_names_types_shapes_and_values() -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1)}
    digest = hashlib.sha256()
    for name in ("a", "b"):
        value = tensors[name].numpy()
        digest.update(f"{name} {value.dtype} {value.shape}\n".encode() + value.tobytes())
    assert checkpoint.tensors_hash(tensors) == digest.hexdigest()
    assert checkpoint.tensors_hash(dict(reversed(tensors.items()))) == digest.hexdigest()


def test_a_model_with_values_that_are_not_finite_is_not_saved(
    small_model: TPDRSeg, tmp_path: Path
) -> None:
    with torch.no_grad():
        small_model.network.prompt_generator.class_bias[0, 0] = torch.nan
    with pytest.raises(CheckpointError, match=r"prompt_generator\.class_bias"):
        small_model.save_pretrained(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_what_else_is_in_the_folder_stays(saved: Path, small_model: TPDRSeg) -> None:
    (saved / "notes.txt").write_text("mine")
    (saved / "runs").mkdir()
    (saved / "runs" / "log.txt").write_text("mine too")
    small_model.save_pretrained(saved)
    assert (saved / "notes.txt").read_text() == "mine"
    assert (saved / "runs" / "log.txt").read_text() == "mine too"
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


@pytest.mark.parametrize("stop", [1, 2])
def test_a_save_that_was_killed_can_be_mended(
    saved: Path, small_model: TPDRSeg, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Killed before the folder was put aside, and between the two renames."""
    rename, calls = Path.rename, [0]

    def killed(self: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] == stop:
            raise KeyboardInterrupt
        return rename(self, target)

    before = files_of(saved)
    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        small_model.save_pretrained(saved)
    monkeypatch.undo()
    if stop == 2:
        with pytest.raises(CheckpointError, match="rename it back") as caught:
            TPDRSeg.from_pretrained(saved, device="cpu")
        (old,) = saved.parent.glob(".saved.tp-drseg-*")
        assert str(old) in str(caught.value)
        old.rename(saved)
    assert files_of(saved) == before
    small_model.save_pretrained(saved)
    TPDRSeg.from_pretrained(saved, device="cpu")
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_figures_become_the_hub_s(make_model: Callable[..., TPDRSeg]) -> None:
    score = ReportedScore(
        dataset="11 photographs of IDRiD",
        dataset_type="idrid",
        metric="average_precision",
        metric_name="Average precision, pooled",
        lesion="hard exudate",
        value=0.824,
    )
    model = make_model(scores=(score,))
    card = ModelCard(model_card(model.config, model.network))
    assert isinstance(card.data, ModelCardData)
    (result,) = card.data.eval_results or []
    assert (result.metric_value, result.dataset_type) == (0.824, "idrid")
    assert "model-index" in str(card).split("---")[1]


def test_damaged_weights_are_refused(saved: Path, small_model: TPDRSeg) -> None:
    path = saved / "model.safetensors"
    content = path.read_bytes()
    for damaged in (
        content[: len(content) // 2],
        content[:100],
        b"",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 5\n",
    ):
        path.write_bytes(damaged)
        assert_nothing_is_loaded(small_model, path, "damaged")
    with pytest.raises(CheckpointError, match="damaged"):
        TPDRSeg.from_pretrained(saved)


@pytest.fixture
def without_weights(small_config: TPDRSegConfig, tmp_path: Path) -> Path:
    """A checkpoint whose config must be refused before its weights are looked at."""
    (tmp_path / "config.json").write_text(small_config.to_json(), encoding="utf-8")
    (tmp_path / "model.safetensors").touch()
    return tmp_path


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, without_weights: Path) -> None:
    (without_weights / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}") as caught:
        TPDRSeg.from_pretrained(str(without_weights))
    assert str(without_weights) in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "nothing", str(tmp_path / "nothing")):
        with pytest.raises(CheckpointError, match="nothing"):
            TPDRSeg.from_pretrained(missing)


def _version(data: dict[str, Any]) -> None:
    data["version"] = 1


def _unknown(data: dict[str, Any]) -> None:
    data["colour"] = "red"


def _lacking(data: dict[str, Any]) -> None:
    del data["architecture"]["clip"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [(_version, "version 1"), (_unknown, "colour"), (_lacking, "clip")],
)
def test_another_config_is_refused(
    damage: Callable[[dict[str, Any]], None], message: str, without_weights: Path
) -> None:
    path = without_weights / "config.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    damage(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        TPDRSeg.from_pretrained(without_weights)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1, 2]"])
def test_a_config_that_is_no_config_is_refused(content: bytes, without_weights: Path) -> None:
    (without_weights / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json"):
        TPDRSeg.from_pretrained(without_weights)


def test_a_file_appears_whole_or_not_at_all(
    saved: Path, small_model: TPDRSeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_model.config = small_model.config.replace(
        inference={"operating_points": {"haemorrhage": OperatingPoint(threshold=0.125)}}
    )
    replace = os.replace
    for name in sorted(NAMES):
        with torch.no_grad():
            small_model.network.prompt_generator.class_bias.add_(1)
        before = files_of(saved)

        def fail(source: Any, target: Any, name: str = name) -> None:
            if Path(target).name == name:
                raise OSError(errno.ENOSPC, "No space left on device")
            replace(source, target)

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(OutputError, match=f"{name}.*disk is full"):
            small_model.save_pretrained(saved)
        monkeypatch.undo()
        after = files_of(saved)
        assert set(after) == NAMES
        assert after == before
        assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_a_folder_that_cannot_be_made(small_model: TPDRSeg, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        small_model.save_pretrained(tmp_path / "file" / "folder")


def all_tensors(model: TPDRSeg) -> dict[str, Tensor]:
    """Parameters and buffers, those that are in no checkpoint included."""
    return {**dict(model.network.named_parameters()), **dict(model.network.named_buffers())}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", ["tiny_vit", "vit"])
def test_loading_leaves_no_trace_of_how_the_model_was_built(
    kind: str,
    dtype: str,
    make_model: Callable[..., TPDRSeg],
    stir: Callable[[nn.Module], nn.Module],
    tmp_path: Path,
) -> None:
    model = make_model(kind, storage_dtype=dtype)
    stir(model.network)
    path = model.save_pretrained(tmp_path) / "model.safetensors"
    plain = TPDRSeg.build(checkpoint.read_config(tmp_path / "config.json"))
    plain.network.load_state_dict(load_file(path))
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    loaded = TPDRSeg.from_pretrained(tmp_path, device="cpu", dtype="float32")
    assert torch.equal(torch.random.get_rng_state(), before)
    path.write_bytes(b"another file")  # nothing is read from it any more

    found, expected = all_tensors(loaded), all_tensors(plain)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].device == value.device and found[name].dtype == value.dtype, name
        assert found[name].requires_grad == value.requires_grad, name
        assert torch.equal(found[name], value), name
    assert [type(m) for m in loaded.network.modules()] == [type(m) for m in plain.network.modules()]
    assert not any(module.training for module in loaded.network.modules())
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 64, 64, generator=generator) * 255
    priors = torch.rand(1, 2, 4, 4, generator=generator)
    with torch.inference_mode():
        logits = loaded.network(images, priors, torch.tensor([0, 2]))
        assert torch.equal(logits, plain.network(images, priors, torch.tensor([0, 2])))


@pytest.mark.parametrize("small_config", ["tiny_vit", "vit"], indirect=True)
def test_no_parameter_is_filled_before_loading(small_config: TPDRSegConfig) -> None:
    with checkpoint.without_values():
        empty = TPDRSeg.build(small_config)
    # torch counts how often a tensor was changed in place
    assert not [name for name, p in empty.network.named_parameters() if p._version > 0]
    filled = TPDRSeg.build(small_config)
    assert sum(p._version > 0 for p in filled.network.parameters()) > 50


def test_a_model_whose_weights_were_rounded_is_not_saved(
    make_model: Callable[..., TPDRSeg], tmp_path: Path
) -> None:
    model = make_model().to(dtype=torch.bfloat16)
    with pytest.raises(CheckpointError, match=r"bfloat16.*float32.*dtype='float32'"):
        model.save_pretrained(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    make_model(storage_dtype="bfloat16").to(dtype=torch.bfloat16).save_pretrained(tmp_path)


def test_devices_and_types(saved: Path) -> None:
    model = TPDRSeg.from_pretrained(saved, device="cpu", dtype="bfloat16")
    assert model.device == torch.device("cpu") and model.dtype == torch.bfloat16
    assert TPDRSeg.from_pretrained(saved, device="cpu").dtype == torch.float32
    auto = TPDRSeg.from_pretrained(saved, dtype="auto")
    assert auto.dtype == hardware.pick_dtype("auto", auto.device)
    with pytest.raises(ConfigError, match="float16 works on CUDA alone"):
        TPDRSeg.from_pretrained(saved, device="cpu", dtype="float16")


@pytest.mark.skipif(
    not (Path(tp_drseg.__file__).parent / "weights" / "model.safetensors").is_file(),
    reason="this source tree has no embedded checkpoint",
)
def test_the_embedded_checkpoint_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    model = TPDRSeg.from_pretrained(device="cpu", dtype="float32")
    assert (model.model_id, model.revision) == ("tp-drseg-tiny", None)
