from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import JsonValue

from tp_drseg.config import (
    ENCODERS,
    SMALL_CLIP,
    CLIPConfig,
    InferenceConfig,
    LearnedPhotograph,
    OperatingPoint,
    Provenance,
    ReportedScore,
    TPDRSegConfig,
)
from tp_drseg.errors import ConfigError, ConfigWarning

PHOTOGRAPH = LearnedPhotograph(name="eye 1", sha256="0123456789abcdef" * 4)

SCORE = ReportedScore(
    dataset="two photographs",
    dataset_type="folder",
    metric="dice",
    metric_name="Dice, pooled",
    lesion="mean",
    value=0.5,
)


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
    config: TPDRSegConfig = make_config(
        "tiny_vit",
        tuning="adapter",
        anatomy=True,
        injector_blocks=(1, 3),
        injector_prior=False,
        generator_prior=False,
        text="name",
        working_diameter=96,
        whole_field=True,
        accurate=True,
        tile_overlap=0.25,
        operating_points={
            "hard exudate": OperatingPoint(
                threshold=0.4, sensitivity=0.75, precision=0.5, chosen_on="two photographs"
            ),
            "microaneurysm": OperatingPoint(threshold=1),
        },
        storage_dtype="bfloat16",
        parent="tp-drseg-tiny@abc",
        facts={"steps": 3, "data": ["IDRiD", "DDR"], "note": "é", "table": {"row": {"Dice": 0.5}}},
        photographs=(PHOTOGRAPH,),
        selected_on=(PHOTOGRAPH.replace(name="eye 2"),),
        scores=(SCORE,),
        weights_sha256="0" * 64,
    )
    for section in (config.architecture, config.inference, config.provenance):
        fields = type(section).model_fields.items()
        same = {name for name, field in fields if getattr(section, name) == field.default}
        assert not same
    again = TPDRSegConfig.from_json(config.to_json())
    assert again == config == pickle.loads(pickle.dumps(config)) == copy.deepcopy(config)
    assert again.to_json() == config.to_json()
    assert isinstance(again.architecture.injector_blocks, tuple)


def test_json_keeps_the_order_of_entries(make_config: Any) -> None:
    names = ["soft exudate", "haemorrhage"]
    config = make_config(operating_points=dict.fromkeys(names, OperatingPoint(threshold=0.2)))
    again = TPDRSegConfig.from_json(config.to_json())
    assert list(again.inference.thresholds) == names
    assert list(json.loads(config.to_json())["inference"]["operating_points"]) == names


def test_thresholds_are_those_of_the_operating_points() -> None:
    points = {
        "hard exudate": OperatingPoint(threshold=0.25, sensitivity=0.5),
        "haemorrhage": OperatingPoint(threshold=0.125),
    }
    config = InferenceConfig(operating_points=points)
    assert config.thresholds == {"hard exudate": 0.25, "haemorrhage": 0.125}
    assert config.threshold("haemorrhage") == 0.125
    assert config.threshold("soft exudate") == 0.5


def test_an_operating_point_is_of_a_lesion_of_the_catalog(small_config: TPDRSegConfig) -> None:
    points = {"drusen": OperatingPoint(threshold=0.5)}
    with pytest.raises(ConfigError, match=r"'drusen'.*not in the catalog.*hard exudate"):
        small_config.replace(inference={"operating_points": points})


def test_grid_has_a_cell_for_16_pixels(make_config: Any) -> None:
    assert TPDRSegConfig.for_size("vit_b").architecture.grid == 64
    assert make_config(image_size=80).architecture.grid == 5


ARCHITECTURE, INFERENCE, CLIP = "architecture", "inference", "architecture.clip"
ENCODER, TOWERS = "architecture.image_encoder", "architecture.clip.architecture"
POINT = "inference.operating_points"
WRONG: list[tuple[str, Any, str]] = [
    (f"{ARCHITECTURE}.image_size", 100, "must be a multiple of 16, got 100"),
    (f"{ARCHITECTURE}.image_size", 0, "must be 16 or more, got 0"),
    (f"{ARCHITECTURE}.image_size", 10**9, "must be 4096 or less, got 1000000000"),
    (f"{ARCHITECTURE}.image_size", "1024", "must be a whole number, got '1024'"),
    (f"{ARCHITECTURE}.image_size", 64.0, "must be a whole number, got 64.0"),
    (f"{ARCHITECTURE}.sparse_tokens", 0, "must be 1 or more"),
    (f"{ARCHITECTURE}.sparse_tokens", 257, "must be 256 or less"),
    (f"{ARCHITECTURE}.sparse_tokens", 2.5, "must be a whole number"),
    (f"{ARCHITECTURE}.injector_stride", 0, "must be 1 or more"),
    (f"{ARCHITECTURE}.injector_stride", 17, "must be 16 or less"),
    (f"{ARCHITECTURE}.injector_stride", True, "must be a whole number, got True"),
    (f"{ARCHITECTURE}.injector_blocks", [5], "must list different blocks of an encoder of 5"),
    (f"{ARCHITECTURE}.injector_blocks", [2, 2], "must list different blocks"),
    (f"{ARCHITECTURE}.injector_blocks", [-1], "must be 0 or more"),
    (f"{ARCHITECTURE}.injector_blocks", [0.5], "must be a whole number"),
    (f"{ARCHITECTURE}.injector_blocks", 3, "must be a"),
    (f"{ARCHITECTURE}.injector_prior", 1, "must be true or false, got 1"),
    (f"{ARCHITECTURE}.generator_prior", None, "must be true or false, got None"),
    (f"{ARCHITECTURE}.detail", "yes", "must be true or false, got 'yes'"),
    (f"{ARCHITECTURE}.tuning", "prompt", "must be 'injector', 'adapter', 'multi_scale_adapter'"),
    (f"{INFERENCE}.working_diameter", 31, "must be 32 or more"),
    (f"{INFERENCE}.working_diameter", 20_000, "must be 4096 or less"),
    (f"{INFERENCE}.working_diameter", None, "must be a whole number, got None"),
    (f"{INFERENCE}.tile_overlap", 0.9999, "must be 0.75 or less"),
    (f"{INFERENCE}.tile_overlap", -0.1, "must be 0 or more"),
    (f"{INFERENCE}.tile_overlap", "0.1", "must be a number, got '0.1'"),
    (f"{INFERENCE}.text", "alias", "must be 'description' or 'name', got 'alias'"),
    (POINT, [0.5], "must be a mapping of names"),
    (f"{POINT}.haemorrhage", 0.5, "must be a mapping of names, got 0.5"),
    (f"{POINT}.haemorrhage", {"threshold": -1}, "must be 0 or more, got -1"),
    (f"{POINT}.haemorrhage", {}, "threshold is missing"),
    (f"{POINT}.haemorrhage", {"threshold": 1, "colour": 2}, "colour is not a field; there are thr"),
    (f"{POINT}.haemorrhage", {"threshold": 0.5, "precision": 1.5}, "precision must be 1 or less"),
    (f"{POINT}.haemorrhage", {"threshold": 0.5, "chosen_on": 3}, "chosen_on must be a text, got 3"),
    (CLIP, "ViT-B-16", "must be a mapping of names"),
    (f"{CLIP}.features", "key", "must be 'value' or 'token', got 'key'"),
    (f"{CLIP}.image_size", 0, "must be 1 or more"),
    (f"{CLIP}.image_size", 8192, "must be 4096 or less"),
    (f"{CLIP}.image_size", [448], "must be a whole number"),
    (TOWERS, "ViT-B-16", "must be a mapping of names"),
    (f"{TOWERS}.embed_dim", ..., "is missing"),
    (f"{TOWERS}.embed_dim", 10**7, "must be from 1 to 4,096, got 10000000"),
    (f"{TOWERS}.vision_cfg", None, "must be a mapping of names"),
    (f"{TOWERS}.vision_cfg.layers", [10**6], "must be from 1 to 64"),
    (f"{TOWERS}.vision_cfg.other", 10**6, "must be from -10,000 to 10,000"),
    (f"{TOWERS}.vision_cfg.other", "x" * 300, "must be a short text"),
    (f"{TOWERS}.vision_cfg.other", [0] * 99, "must be a short list"),
    (f"{TOWERS}.text_cfg", 3, "must be a mapping of names"),
    (f"{TOWERS}.text_cfg.vocab_size", 10**9, "must be from 1 to 500,000"),
    (f"{TOWERS}.text_cfg.layers", -3, "must be from 1 to 64"),
    (ENCODER, [], "must be a mapping of names"),
    (f"{ENCODER}.kind", "swin", "must be 'vit' or 'tiny_vit', got 'swin'"),
    (f"{ENCODER}.embed_dims", 768, "must be a"),
    (f"{ENCODER}.embed_dims", [16, 32, 40, 8192], "must be 4096 or less"),
    (f"{ENCODER}.depths", [2, 2, 6], "must have 4 numbers for kind 'tiny_vit'"),
    (f"{ENCODER}.depths", [1, 1, 10**6, 1], "must be 64 or less"),
    (f"{ENCODER}.num_heads", [3, 3, 3, 3], "must divide embed_dims"),
    (f"{ENCODER}.num_heads", [1, 1, 1, 0], "must be 1 or more"),
    (f"{ENCODER}.window_sizes", [7, 7, 7, "7"], "must be a whole number, got '7'"),
    (f"{ENCODER}.global_attn_indexes", [9], "must list different blocks of an encoder of 5"),
    ("storage_dtype", "int8", "must be 'float32', 'float16' or 'bfloat16', got 'int8'"),
    ("provenance.facts", "long", "must be a mapping of names"),
    ("provenance.parent", 5, "must be a text, got 5"),
    ("provenance.photographs", [{"name": "a", "sha256": "0" * 63}], "sha256"),
    ("lesions", [], "must be a catalog of lesions, got []"),
    ("lesions", {"lesions": []}, "must be a valid catalog of lesions: "),
    ("lesions.lesions", "EX", "must be a valid catalog"),
    ("colour", "red", "is not a field; there are version, architecture, inference, lesions"),
    (f"{CLIP}.colour", "red", "is not a field; there are architecture, image_size, features"),
    (f"{ENCODER}.colour", "red", "is not a field; there are kind"),
    ("architecture", ..., "is missing"),
    (CLIP, ..., "is missing"),
    (f"{CLIP}.image_size", ..., "is missing"),
    (f"{ENCODER}.depths", ..., "is missing"),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG)
def test_what_is_wrong_in_a_file_is_named(
    small_config: TPDRSegConfig, path: str, value: Any, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        TPDRSegConfig.from_json(changed(small_config, path, value))
    message = str(caught.value)
    assert words in message
    assert path in message or path == "lesions.lesions"
    assert message.endswith(".") and "Value error" not in message and "pydantic" not in message


@pytest.mark.parametrize(("path", "value", "words"), [w for w in WRONG if w[1] is not ...])
def test_what_is_wrong_in_a_program_is_named(
    small_config: TPDRSegConfig, path: str, value: Any, words: str
) -> None:
    """The same values through `replace`, where lists are no tuples either."""
    changes = value
    for name in reversed(path.split(".")):
        changes = {name: changes}
    with pytest.raises(ConfigError) as caught:
        small_config.replace(**changes)
    assert path in str(caught.value) or path.startswith(("lesions", TOWERS, POINT))


def test_lists_are_no_tuples_in_python() -> None:
    with pytest.raises(ConfigError, match=r"depths must be a tuple, got \[6\]"):
        ENCODERS["vit_b"].replace(depths=[6])
    with pytest.raises(ConfigError, match="injector_blocks must be a tuple"):
        TPDRSegConfig.for_size("tiny", architecture={"injector_blocks": [10, 11]})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_are_finite(number: float, small_config: TPDRSegConfig) -> None:
    with pytest.raises(ConfigError, match="threshold must be a finite number"):
        OperatingPoint(threshold=number)
    with pytest.raises(ConfigError, match="facts"):
        Provenance(facts={"Dice": number})
    with pytest.raises(ConfigError, match=r"NaN|Infinity"):
        TPDRSegConfig.from_json(changed(small_config, "inference.tile_overlap", number))


@pytest.mark.parametrize("version", [1, "2", True, None, ...])
def test_another_version(small_config: TPDRSegConfig, version: Any) -> None:
    with pytest.raises(ConfigError, match=r"has version .*, this package reads version 2"):
        TPDRSegConfig.from_json(changed(small_config, "version", version))


def newer(config: TPDRSegConfig, optional: Any, **fields: Any) -> str:
    """A config of version 3 with fields that this version does not know, by dotted name."""
    text = changed(config, "version", 3)
    for name, value in fields.items():
        text = _with(text, name, value)
    return _with(text, "optional_fields", optional)


def _with(text: str, name: str, value: Any) -> str:
    data = json.loads(text)
    *sections, last = name.split("__")
    place = data
    for section in sections:
        place = place[section]
    place[last] = value
    return json.dumps(data)


def test_a_newer_version_that_changes_nothing_here(small_config: TPDRSegConfig) -> None:
    assert TPDRSegConfig.from_json(newer(small_config, [])) == small_config


def test_optional_fields_of_a_newer_version_are_left_out(small_config: TPDRSegConfig) -> None:
    text = newer(
        small_config,
        ["inference.foo", "bar", "architecture.clip.baz", "inference.text", "no.such.place"],
        inference__foo=1,
        bar={"a": [1]},
        architecture__clip__baz="x",
        inference__text="name",
    )
    with pytest.warns(ConfigWarning, match=r"version 3.*inference\.foo, bar, architecture\.clip"):
        config = TPDRSegConfig.from_json(text)
    # what this version knows stays, whatever the file calls optional
    assert config == small_config.replace(inference={"text": "name"})


def test_other_fields_of_a_newer_version_are_refused(small_config: TPDRSegConfig) -> None:
    text = newer(small_config, ["inference.foo"], inference__foo=1, architecture__gate="soft")
    with pytest.raises(ConfigError, match=r"architecture\.gate is not a field.*upgrade tp-drseg"):
        TPDRSegConfig.from_json(text)


def test_optional_fields_of_this_version_are_an_error(small_config: TPDRSegConfig) -> None:
    text = _with(_with(small_config.to_json(), "colour", 1), "optional_fields", ["colour"])
    with pytest.raises(ConfigError, match="colour is not a field"):
        TPDRSegConfig.from_json(text)
    for wrong in ("colour", [3], None):
        with pytest.raises(ConfigError, match="optional_fields must list names"):
            TPDRSegConfig.from_json(_with(small_config.to_json(), "optional_fields", wrong))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "config: 1", '{"version": 1', "\ud800"])
def test_not_a_json_object(text: str) -> None:
    with pytest.raises(ConfigError, match="JSON"):
        TPDRSegConfig.from_json(text)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("[" * 100_000, "nested deeper"),
        ("[" * 100 + "]" * 100, "nested deeper"),
        ("9" * 5000, "thousands of digits"),
        ("1e999", "too large"),
        ('{"a": 1, "a": 2}', "'a' twice"),
    ],
)
def test_json_that_no_program_wrote(small_config: TPDRSegConfig, value: str, words: str) -> None:
    text = small_config.to_json().replace('"provenance": {', f'"provenance": {{"x": {value},', 1)
    with pytest.raises(ConfigError, match=words):
        TPDRSegConfig.from_json(text)


def test_fields_may_be_left_out(small_config: TPDRSegConfig) -> None:
    config = TPDRSegConfig.from_json(changed(small_config, "inference.tile_overlap", ...))
    assert config.inference.tile_overlap == 0.125
    assert config == small_config


def test_detail_needs_a_stage_of_stride_4(make_config: Any) -> None:
    with pytest.raises(ConfigError, match="tiny_vit"):
        make_config("vit", detail=True)


def test_unknown_sizes_and_fields() -> None:
    with pytest.raises(ConfigError, match="tiny, vit_b, vit_l, vit_h"):
        TPDRSegConfig.for_size("vit_s")
    with pytest.raises(ConfigError, match="colour is not a field"):
        TPDRSegConfig.for_size("tiny", colour="red")
    with pytest.raises(ConfigError, match=r"inference\.colour is not a field"):
        TPDRSegConfig.for_size("tiny").replace(inference={"colour": "red"})


def test_replace_keeps_what_is_not_named(small_config: TPDRSegConfig) -> None:
    config = small_config.replace(
        architecture={"sparse_tokens": 5, "clip": {"image_size": 64}},
        inference=InferenceConfig(tile_overlap=0.5),
        provenance={"parent": "org/eyes"},
    )
    assert config.architecture.sparse_tokens == 5
    assert config.architecture.clip == small_config.architecture.clip.replace(image_size=64)
    assert config.architecture.image_encoder == small_config.architecture.image_encoder
    assert config.inference == InferenceConfig(tile_overlap=0.5)
    assert config.provenance == Provenance(parent="org/eyes")
    assert small_config.provenance.parent is None


def test_every_way_in_is_checked(small_config: TPDRSegConfig) -> None:
    data: dict[str, Any] = {"architecture": {"clip": {"image_size": -1}}}
    attempts: list[Callable[[], object]] = [
        lambda: TPDRSegConfig(**data),
        lambda: TPDRSegConfig.model_validate(data),
        lambda: TPDRSegConfig.from_plain(data),
        lambda: small_config.replace(**data),
        lambda: small_config.model_copy(update=data),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError, match=r"architecture\.clip\.image_size must be 1 or more"):
            attempt()
    with pytest.raises(ConfigError, match="image_size must be 1 or more"):
        CLIPConfig(architecture=SMALL_CLIP, image_size=-1)
    with pytest.raises(ConfigError, match="lesions must be a LesionCatalog, got 3"):
        small_config.replace(lesions=3)
    assert small_config.model_copy() == small_config


def test_giants_are_refused_before_they_are_built(small_config: TPDRSegConfig) -> None:
    with pytest.raises(ConfigError, match=r"embed_dims and depths make an encoder of some 12,"):
        ENCODERS["vit_b"].replace(embed_dims=(4096,), depths=(64,), num_heads=(16,))
    text: dict[str, JsonValue] = {**VIT_TEXT, "width": 4096, "layers": 64}
    towers: dict[str, JsonValue] = {
        "embed_dim": 512,
        "vision_cfg": {"layers": [64] * 4, "width": 4096},
    }
    with pytest.raises(ConfigError, match="makes towers of some"):
        CLIPConfig(architecture={**towers, "text_cfg": VIT_TEXT}, image_size=64)
    with pytest.raises(ConfigError, match="makes towers of some"):
        CLIPConfig(architecture={**SMALL_CLIP, "text_cfg": text}, image_size=64)
    small_patches: dict[str, JsonValue] = {"layers": 1, "width": 32, "patch_size": 4}
    with pytest.raises(ConfigError, match="patches of 4 pixels"):
        CLIPConfig(architecture={**SMALL_CLIP, "vision_cfg": small_patches}, image_size=4096)
    with pytest.raises(ConfigError, match="tiles of 64 pixels"):
        small_config.replace(inference={"working_diameter": 4096, "tile_overlap": 0.75})
    whole = TPDRSegConfig.for_size("tiny", inference={"working_diameter": 4096})
    with pytest.raises(ConfigError, match="169 tiles of 1024 pixels"):
        whole.replace(inference={"tile_overlap": 0.75})


def test_a_whole_field_that_the_encoder_cannot_see_at_once(make_config: Any) -> None:
    whole = {"whole_field": True, "working_diameter": 2560}
    assert make_config(**whole).inference.whole_field
    with pytest.raises(ConfigError, match="tiny_vit, not vit"):
        make_config("vit", **whole)
    with pytest.raises(ConfigError, match="2576 is too much"):
        make_config(**whole | {"working_diameter": 2576})


VIT_TEXT: dict[str, JsonValue] = {
    "context_length": 77,
    "vocab_size": 49408,
    "width": 64,
    "heads": 8,
    "layers": 1,
}


def test_many_problems_are_not_all_told() -> None:
    with pytest.raises(ConfigError, match=r"There are 92 more problems\.") as caught:
        InferenceConfig.model_validate({f"x{number}": 0 for number in range(100)})
    assert len(str(caught.value)) < 2000


def test_what_is_shown_is_short_and_on_one_line() -> None:
    for value in ("x" * 10**6, 10**5000, "\x1b[31m\nError: all is lost", list(range(10**5))):
        with pytest.raises(ConfigError) as caught:
            InferenceConfig(tile_overlap=value)  # type: ignore[arg-type]
        assert len(str(caught.value)) < 250 and str(caught.value).isprintable()
    with pytest.raises(ConfigError) as caught:
        InferenceConfig.model_validate({"\x1b[31m\n" + "y" * 500: 3})
    assert len(str(caught.value)) < 250 and str(caught.value).isprintable()


def test_configs_are_frozen(small_config: TPDRSegConfig) -> None:
    with pytest.raises(ConfigError, match="does not change"):
        small_config.storage_dtype = "float16"
    with pytest.raises(ConfigError, match="does not change"):
        del small_config.inference.tile_overlap
    assert small_config.storage_dtype == "float32" and small_config.inference.tile_overlap < 1


def test_nothing_is_constructed_unchecked() -> None:
    with pytest.raises(ConfigError, match="tile_overlap"):
        InferenceConfig.model_construct(tile_overlap=3)
    with pytest.raises(ConfigError, match="is not a field"):
        InferenceConfig.model_construct(tile=3)
    assert InferenceConfig.model_construct(tile_overlap=0.5).tile_overlap == 0.5
