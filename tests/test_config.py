from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tp_drseg.config import ENCODERS, CLIPConfig, OperatingPoint, TPDRSegConfig
from tp_drseg.errors import ConfigError


def changed(config: TPDRSegConfig, path: str, value: Any) -> str:
    """The config's JSON with one value changed, added, or (`...`) taken out."""
    data = json.loads(config.to_json())
    *folders, name = path.split(".")
    place = data
    for folder in folders:
        place = place[folder]
    if value is ...:
        del place[name]
    else:
        place[name] = value
    return json.dumps(data)


@pytest.mark.parametrize("size", ENCODERS)
def test_round_trip_of_each_size(size: str) -> None:
    config = TPDRSegConfig.for_size(size)
    text = config.to_json()
    again = TPDRSegConfig.from_json(text)
    assert again == config
    assert again.to_json() == text


def test_round_trip_of_every_field(make_config: Any) -> None:
    config = make_config(
        "tiny_vit",
        tuning="adapter",
        injector_blocks=(1, 3),
        injector_prior=False,
        generator_prior=False,
        text="name",
        working_diameter=96,
        tile_overlap=0.25,
        operating_points={
            "hard exudate": OperatingPoint(0.4, 0.75, 0.5, "two photographs"),
            "microaneurysm": OperatingPoint(1),
        },
        storage_dtype="bfloat16",
        parent="tp-drseg-tiny@abc",
        training={"steps": 3, "data": ["IDRiD", "DDR"], "note": "é"},
    )
    defaults = {f.name: f.default for f in dataclasses.fields(config)}
    same = {n for n, d in defaults.items() if getattr(config, n) == d}
    assert same == {"version"}
    again = TPDRSegConfig.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()


def test_json_keeps_the_order_of_entries(make_config: Any) -> None:
    names = ["soft exudate", "haemorrhage"]
    config = make_config(operating_points=dict.fromkeys(names, OperatingPoint(0.2)))
    again = TPDRSegConfig.from_json(config.to_json())
    assert list(again.thresholds) == list(json.loads(config.to_json())["operating_points"]) == names


def test_thresholds_are_those_of_the_operating_points(make_config: Any) -> None:
    points = {"hard exudate": OperatingPoint(0.25, 0.5), "haemorrhage": OperatingPoint(0.125)}
    config = make_config(operating_points=points)
    assert config.thresholds == {"hard exudate": 0.25, "haemorrhage": 0.125}


def test_thresholds_of_an_older_config_are_read(small_config: TPDRSegConfig) -> None:
    data = json.loads(small_config.to_json())
    del data["operating_points"]
    data["thresholds"] = {"haemorrhage": 0.125}
    config = TPDRSegConfig.from_json(json.dumps(data))
    assert config.operating_points == {"haemorrhage": OperatingPoint(0.125)}
    again = json.loads(config.to_json())
    assert "thresholds" not in again
    assert again["operating_points"]["haemorrhage"] == {
        "threshold": 0.125, "sensitivity": None, "precision": None, "chosen_on": ""
    }  # fmt: skip
    with pytest.raises(ConfigError, match="both thresholds and operating_points"):
        TPDRSegConfig.from_json(json.dumps(again | {"thresholds": {"haemorrhage": 0.25}}))


def test_an_operating_point_is_of_a_lesion_of_the_catalog(small_config: TPDRSegConfig) -> None:
    with pytest.raises(ConfigError, match=r"'drusen'.*not in the catalog.*hard exudate"):
        small_config.replace(operating_points={"drusen": OperatingPoint(0.5)})
    with pytest.raises(ConfigError, match="OperatingPoint"):
        small_config.replace(operating_points={"haemorrhage": 0.5})


def test_grid_has_a_cell_for_16_pixels(make_config: Any) -> None:
    assert TPDRSegConfig.for_size("vit_b").grid == 64
    assert make_config(image_size=80).grid == 5


WRONG = [
    ("image_size", 100, "image_size"),
    ("image_size", 0, "image_size"),
    ("image_size", -16, "image_size"),
    ("image_size", "1024", "image_size"),
    ("image_size", 64.0, "image_size"),
    ("working_diameter", 31, "working_diameter"),
    ("working_diameter", None, "working_diameter"),
    ("tile_overlap", 1, "tile_overlap"),
    ("tile_overlap", -0.1, "tile_overlap"),
    ("tile_overlap", float("nan"), "tile_overlap"),
    ("tile_overlap", "0.1", "tile_overlap"),
    ("sparse_tokens", 0, "sparse_tokens"),
    ("sparse_tokens", 2.5, "sparse_tokens"),
    ("injector_stride", 0, "injector_stride"),
    ("injector_stride", True, "injector_stride"),
    ("injector_blocks", [5], "injector_blocks"),
    ("injector_blocks", [-1], "injector_blocks"),
    ("injector_blocks", [0.5], "injector_blocks"),
    ("injector_blocks", 3, "injector_blocks"),
    ("injector_prior", 1, "injector_prior"),
    ("generator_prior", None, "generator_prior"),
    ("detail", "yes", "detail"),
    ("text", "alias", "text must be one of description, name"),
    (
        "tuning",
        "prompt",
        "tuning must be one of injector, adapter, multi_scale_adapter, lora, none",
    ),
    ("storage_dtype", "int8", "storage_dtype"),
    ("thresholds", {"hard exudate": 1.5}, "thresholds.*hard exudate"),
    ("thresholds", {"hard exudate": "0.5"}, "thresholds.*hard exudate"),
    ("thresholds", [0.5], "thresholds"),
    ("thresholds", {"drusen": 0.5}, "drusen"),
    ("operating_points", [0.5], "operating_points"),
    ("operating_points", {"haemorrhage": 0.5}, "operating_points.*haemorrhage"),
    ("operating_points", {"haemorrhage": {"threshold": -1}}, "operating_points.*haem.*threshold"),
    ("operating_points", {"haemorrhage": {}}, "operating_points.*haem.*lacks.*threshold"),
    ("operating_points", {"haemorrhage": {"threshold": 1, "colour": 2}}, "haem.*colour"),
    (
        "operating_points",
        {"haemorrhage": {"threshold": 0.5, "precision": 1.5}},
        "operating_points.*haem.*precision",
    ),
    (
        "operating_points",
        {"haemorrhage": {"threshold": 0.5, "chosen_on": 3}},
        "operating_points.*haem.*chosen_on",
    ),
    ("training", "long", "training"),
    ("parent", 5, "parent"),
    ("lesions", [], "catalog"),
    ("lesions", {"lesions": []}, "lesion"),
    ("lesions.lesions", "EX", "lesions"),
    ("clip", "ViT-B-16", "clip"),
    ("clip.features", "key", "features"),
    ("clip.image_size", 0, "clip.image_size"),
    ("clip.image_size", [448], "clip.image_size"),
    ("clip.architecture", "ViT-B-16", "clip.architecture"),
    ("clip.architecture.embed_dim", ..., "embed_dim"),
    ("clip.architecture.vision_cfg", None, "vision_cfg"),
    ("clip.architecture.text_cfg", 3, "text_cfg"),
    ("image_encoder", [], "image_encoder"),
    ("image_encoder.kind", "swin", "kind must be one of vit, tiny_vit"),
    ("image_encoder.kind", "vit", "image_encoder.embed_dims"),
    ("image_encoder.embed_dims", 768, "image_encoder.embed_dims"),
    ("image_encoder.depths", [2, 2, 6], "image_encoder.depths"),
    ("image_encoder.num_heads", [3, 3, 3, 3], "image_encoder.num_heads"),
    ("image_encoder.num_heads", [1, 1, 1, 0], "image_encoder.num_heads"),
    ("image_encoder.window_sizes", [7, 7, 7, "7"], "image_encoder.window_sizes"),
    ("image_encoder.global_attn_indexes", [9], "image_encoder.global_attn_indexes"),
    ("version", 2, "version 2"),
    ("version", "1", "version '1'"),
    ("version", ..., "version None"),
    ("colour", "red", "config has unknown fields: colour"),
    ("clip.colour", "red", "clip has unknown fields: colour"),
    ("image_encoder.colour", "red", "image_encoder has unknown fields: colour"),
    ("clip", ..., "config lacks the fields: clip"),
    ("image_encoder", ..., "config lacks the fields: image_encoder"),
    ("clip.image_size", ..., "clip lacks the fields: image_size"),
    ("image_encoder.depths", ..., "image_encoder lacks the fields: depths"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_what_is_wrong_is_named(
    small_config: TPDRSegConfig, path: str, value: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        TPDRSegConfig.from_json(changed(small_config, path, value))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "config: 1", '{"version": 1'])
def test_not_a_json_object(text: str) -> None:
    with pytest.raises(ConfigError, match="JSON"):
        TPDRSegConfig.from_json(text)


def test_optional_fields_may_be_left_out(small_config: TPDRSegConfig) -> None:
    config = TPDRSegConfig.from_json(changed(small_config, "tile_overlap", ...))
    assert config.tile_overlap == 0.125
    assert config == small_config


def test_detail_needs_a_stage_of_stride_4(make_config: Any) -> None:
    with pytest.raises(ConfigError, match="tiny_vit"):
        make_config("vit", detail=True)


def test_unknown_sizes_and_fields() -> None:
    with pytest.raises(ConfigError, match="tiny, vit_b, vit_l, vit_h"):
        TPDRSegConfig.for_size("vit_s")
    with pytest.raises(ConfigError, match="colour"):
        TPDRSegConfig.for_size("tiny", colour="red")
    with pytest.raises(ConfigError, match="colour"):
        TPDRSegConfig.for_size("tiny").replace(colour="red")


def test_changes_are_checked(small_config: TPDRSegConfig) -> None:
    assert small_config.replace(sparse_tokens=5).sparse_tokens == 5
    with pytest.raises(ConfigError, match="sparse_tokens"):
        small_config.replace(sparse_tokens=0)
    with pytest.raises(ConfigError, match=r"clip\.image_size"):
        CLIPConfig(small_config.clip.architecture, image_size=-1)


def test_configs_are_frozen(small_config: TPDRSegConfig) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        small_config.image_size = 32  # type: ignore[misc]
