from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tp_drseg.checkpoints.backbones import load_sam, load_trunk, read_clip, read_sam, sam_size
from tp_drseg.config import SMALL_CLIP, CLIPConfig, TPDRSegConfig
from tp_drseg.errors import CheckpointError, ConfigError
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.clip import build_clip
from tp_drseg.modules.fundus_tower import FundusTower
from tp_drseg.training.clip.train import save_clip


class Evil:
    """Unpickled carelessly, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def sam_of(model: TPDRSeg) -> dict[str, Tensor]:
    """The tensors of a model's SAM under the names of Meta's checkpoints, all changed."""
    parts = {
        "image_encoder": model.network.image_encoder.backbone,
        "prompt_encoder": model.network.prompt_encoder,
        "mask_decoder": model.network.mask_decoder,
    }
    return {
        f"{part}.{name}": value + 0.25
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }


@pytest.fixture
def vit_config(make_config: Any) -> TPDRSegConfig:
    config: TPDRSegConfig = make_config("vit")
    return config


@pytest.fixture
def vit_model(make_model: Any) -> TPDRSeg:
    model: TPDRSeg = make_model("vit")
    return model


@pytest.mark.parametrize(
    ("name", "shape", "size"),
    [
        ("image_encoder.patch_embed.seq.0.c.weight", (32, 3, 3, 3), "tiny"),
        ("image_encoder.pos_embed", (1, 64, 64, 768), "vit_b"),
        ("image_encoder.pos_embed", (1, 64, 64, 1024), "vit_l"),
        ("image_encoder.pos_embed", (1, 64, 64, 1280), "vit_h"),
    ],
)
def test_size_of_a_sam(name: str, shape: tuple[int, ...], size: str) -> None:
    assert sam_size({name: torch.empty(shape, device="meta")}) == size


@pytest.mark.parametrize(
    "weights",
    [{}, {"mask_decoder.x": torch.zeros(1)}, {"image_encoder.pos_embed": torch.zeros(1, 4, 4, 32)}],
)
def test_size_of_an_unknown_sam(weights: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"unknown width: (0|32)\."):
        sam_size(weights)


def test_reads_mobile_sam(mobile_sam: Path) -> None:
    assert sam_size(read_sam(mobile_sam)) == "tiny"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no SAM checkpoint at"),
        (b"", "not a readable SAM checkpoint"),
        (b"this is a text file\n" * 20, "not a readable SAM checkpoint"),
        ({"image_encoder.pos_embed": torch.zeros(1)}, "no mask_decoder"),
        ({"model": {"mask_decoder.x": torch.zeros(1)}, 3: 4}, "no mask_decoder"),
        ([torch.zeros(1)], "no mask_decoder"),
    ],
)
def test_wrong_sam_files(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "sam.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_sam(path)
    assert str(path) in str(caught.value)


def test_truncated_sam_file(tmp_path: Path) -> None:
    path = tmp_path / "sam.pth"
    torch.save({"mask_decoder.x": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="not a readable SAM checkpoint"):
        read_sam(path)


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "sam.pth", tmp_path / "mark"
    torch.save({"mask_decoder.x": Evil(mark)}, path)
    with pytest.raises(CheckpointError, match="not a readable SAM checkpoint"):
        read_sam(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.is_dir()  # so the file was a trap


def test_loads_all_of_sam(vit_model: TPDRSeg) -> None:
    weights = sam_of(vit_model)
    load_sam(vit_model.network, weights)
    parts = (
        vit_model.network.image_encoder.backbone,
        vit_model.network.prompt_encoder,
        vit_model.network.mask_decoder,
    )
    loaded = [value for part in parts for value in part.state_dict().values()]
    for value, expected in zip(loaded, weights.values(), strict=True):
        assert torch.equal(value, expected)


@torch.no_grad()
def test_prompts_start_at_sams_embedding_for_no_mask(vit_model: TPDRSeg) -> None:
    load_sam(vit_model.network, sam_of(vit_model))
    _, dense = vit_model.network.prompt_generator(
        torch.randn(1, 256, 4, 4), torch.rand(1, 1, 4, 4), torch.tensor([0])
    )
    _, without = vit_model.network.prompt_encoder(points=None, boxes=None, masks=None)
    assert (dense - without).abs().amax() < 0.2
    assert without.std() > 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_encoder.pos_embed", torch.zeros(1, 8, 8, 32)),
        ("mask_decoder.iou_token.weight", torch.zeros(2, 256)),
        ("mask_decoder.extra.weight", torch.zeros(1)),
        ("image_encoder.blocks.3.norm1.weight", torch.zeros(32)),
        ("mask_decoder.mask_tokens.weight", None),
        ("prompt_encoder.no_mask_embed.weight", None),
    ],
)
def test_tensors_that_do_not_fit(vit_model: TPDRSeg, name: str, value: Tensor | None) -> None:
    weights = sam_of(vit_model)
    if value is None:
        del weights[name]
    else:
        weights[name] = value
    part, tensor = name.split(".", 1)
    with pytest.raises(CheckpointError, match=f"SAM's {part} does not fit") as caught:
        load_sam(vit_model.network, weights)
    assert tensor in str(caught.value)


def test_trunk_of_another_sam_does_not_fit(vit_model: TPDRSeg) -> None:
    with pytest.raises(CheckpointError, match=r"(?s)MobileSAM's image encoder.*patch_embed"):
        load_trunk(FundusTower(8, 8), sam_of(vit_model))


def test_reads_the_clip_that_training_writes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    clip = build_clip(SMALL_CLIP)
    save_clip(clip, tmp_path / "clip")
    architecture, weights = read_clip(str(tmp_path / "clip"))
    assert architecture == SMALL_CLIP
    expected = clip.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize("damage", ["empty", "no weights", "no json", "short"])
def test_wrong_clip_folders(
    tmp_path: Path, clip_architectures: dict[str, Any], damage: str
) -> None:
    if damage != "empty":
        save_clip(build_clip(clip_architectures["tower"]), tmp_path)
    if damage == "no weights":
        (tmp_path / "clip.safetensors").unlink()
    if damage == "no json":
        (tmp_path / "clip_config.json").write_text("{", encoding="utf-8")
    if damage == "short":
        path = tmp_path / "clip.safetensors"
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="holds no readable CLIP") as caught:
        read_clip(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


@pytest.fixture
def named_clip(monkeypatch: pytest.MonkeyPatch, clip_architectures: dict[str, Any]) -> str:
    """A name that open_clip knows for the length of a test."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "small-vit", clip_architectures["vit"])
    return "small-vit"


def test_reads_a_local_clip_file(tmp_path: Path, named_clip: str, clip_architectures: Any) -> None:
    torch.manual_seed(0)
    expected = build_clip(clip_architectures["vit"]).state_dict()
    torch.save(expected, tmp_path / "clip.pt")
    architecture, weights = read_clip(f"{named_clip}:{tmp_path / 'clip.pt'}")
    assert architecture == clip_architectures["vit"]
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_code_in_a_local_clip_file_is_not_run(tmp_path: Path, named_clip: str) -> None:
    mark = tmp_path / "mark"
    torch.save({"logit_scale": Evil(mark)}, tmp_path / "clip.pt")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        read_clip(f"{named_clip}:{tmp_path / 'clip.pt'}")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-16-quickgelu:/no/such/file.pt", "no CLIP checkpoint at /no/such/file.pt"),
        ("No-Such-CLIP/openai", "No-Such-CLIP"),
        ("ViT-B-16-quickgelu/no-such-tag", "no-such-tag"),
        ("small-vit", "small-vit"),
        ("", "holds no readable CLIP"),
    ],
)
def test_wrong_clip_names(named_clip: str, name: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_clip(name)


@pytest.fixture
def files(tmp_path: Path, vit_model: TPDRSeg, clip_architectures: Any) -> dict[str, Any]:
    """A SAM and a CLIP, as arguments of `from_backbones`."""
    torch.save(sam_of(vit_model), tmp_path / "sam.pth")
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "clip_config.json").write_text(json.dumps(clip_architectures["vit"]))
    torch.manual_seed(9)
    save_file(build_clip(clip_architectures["vit"]).state_dict(), folder / "clip.safetensors")
    return {"sam": tmp_path / "sam.pth", "clip": folder}


def test_starts_a_model_from_files(files: dict[str, Any], vit_config: TPDRSegConfig) -> None:
    model = TPDRSeg.from_backbones(
        **files, config=vit_config, changes={"architecture": {"sparse_tokens": 2}}
    )
    assert model.config == vit_config.replace(architecture={"sparse_tokens": 2})
    sam = read_sam(files["sam"])
    own = model.network.image_encoder.backbone.state_dict()
    assert all(torch.equal(value, sam[f"image_encoder.{name}"]) for name, value in own.items())
    _, clip = read_clip(str(files["clip"]))
    own = model.network.explicit_prior.clip.state_dict()
    assert all(torch.equal(value, clip[name]) for name, value in own.items())
    assert not any(p.requires_grad for p in model.network.explicit_prior.parameters())


def test_the_clip_given_replaces_that_of_the_config(
    files: dict[str, Any], vit_config: TPDRSegConfig, clip_architectures: Any
) -> None:
    other = CLIPConfig(architecture=clip_architectures["resnet"], image_size=96, features="token")
    model = TPDRSeg.from_backbones(**files, config=vit_config.replace(architecture={"clip": other}))
    assert model.config.architecture.clip == other.replace(architecture=clip_architectures["vit"])


def test_config_of_another_size_does_not_fit(
    files: dict[str, Any], vit_config: TPDRSegConfig
) -> None:
    with pytest.raises(CheckpointError, match=r"(?s)SAM's image_encoder.*pos_embed"):
        TPDRSeg.from_backbones(**files, config=vit_config.replace(architecture={"image_size": 32}))


def test_clip_that_does_not_fit_its_own_config(
    files: dict[str, Any], vit_config: TPDRSegConfig
) -> None:
    save_file({"logit_scale": torch.zeros(())}, files["clip"] / "clip.safetensors")
    with pytest.raises(CheckpointError, match=r"(?s)CLIP .*visual\.proj"):
        TPDRSeg.from_backbones(**files, config=vit_config)


def test_unknown_field(files: dict[str, Any], vit_config: TPDRSegConfig) -> None:
    with pytest.raises(ConfigError, match="colour"):
        TPDRSeg.from_backbones(**files, config=vit_config, changes={"colour": "red"})
