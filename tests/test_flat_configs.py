"""The flat form: files of before configurations had parts, digests, and options."""

import dataclasses
import json
from pathlib import Path

import pytest

from spectral_tf.apps.analysis.flat_options import flat_options
from spectral_tf.apps.analysis.option_names import parsed
from spectral_tf.apps.cli import COMMANDS
from spectral_tf.config import (
    Channels,
    ConfigError,
    Dense,
    EnsembleConfig,
    InputScaling,
    ModelConfig,
    Spiked,
    TrainConfig,
    model_config,
    run_config,
)
from spectral_tf.model import model_preset
from spectral_tf.weights.store import shipped_folder

ROOT = Path(__file__).parent.parent
OLD = json.loads((ROOT / "tests" / "flat_configs.json").read_text("utf-8"))
"""As `to_dict` wrote presets, a run and a manifest before there were parts."""
MANIFESTS = sorted(
    item.name for item in shipped_folder().iterdir() if item.name.endswith(".json")
)
RUNS = sorted((ROOT / "experiments").glob("*/results/*/config.json"))


def through_json(values):
    return json.loads(json.dumps(values))


def assert_reads(build, values, lost=()):
    """The flat file and the nested one give one configuration; its digest stays.

    A part of another kind is in the file, too; what it says there means nothing, and
    only the names in `lost` say anything else than the default.
    """
    config = build(values)
    assert build(through_json(config.to_dict())) == config
    again = through_json(config.flat())
    assert {name for name in values if again[name] != values[name]} == set(lost)
    return config


@pytest.mark.parametrize("name", OLD["models"])
def test_flat_files_of_presets_are_read(name):
    config = assert_reads(ModelConfig.from_dict, OLD["models"][name])
    assert config == model_preset(name)
    assert through_json(config.flat()) == OLD["models"][name]


def test_a_flat_file_of_a_run_is_read():
    run = assert_reads(TrainConfig.from_dict, OLD["run"])
    assert run.mixture[1].ensemble == EnsembleConfig(
        family=Spiked(rank=8, spike_range=(2.0, 20.0))
    )
    assert run.replace(mixture=()) == TrainConfig()
    nested = run.to_dict()
    assert nested["model"]["layout"]["kind"] == "equivariant"
    assert "vector_channels" not in nested["model"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_shipped_manifests_are_read(name):
    manifest = json.loads((shipped_folder() / name).read_text())
    values, train = manifest["config"], manifest["record"]["train"]
    if "layout" in values:  # written since there are parts
        config = model_config(values)
        assert through_json(config.to_dict()) == values
        assert model_config(through_json(config.flat())) == config
    else:
        # It was written from an equivariant network of 25 scalars.
        lost = {"scalar_channels"} if name == "pca-dense.json" else ()
        assert_reads(model_config, values, lost)
    assert_run_is_read(train)


def test_a_flat_manifest_of_a_network_with_a_past_is_read():
    config = assert_reads(ModelConfig.from_dict, OLD["manifest"]["config"])
    assert config.layout.readout == "ritz"
    assert config.terminator
    assert_run_is_read(OLD["manifest"]["train"])


def assert_run_is_read(values):
    run = run_config(values)
    assert run_config(through_json(run.to_dict())) == run
    assert run_config(through_json(run.flat())) == run


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_configurations_of_the_runs_of_experiments_are_read(path):
    assert_run_is_read(json.loads(path.read_text()))


def test_there_are_files_to_read():
    assert len(MANIFESTS) >= 7
    configs = [
        json.loads((shipped_folder() / name).read_text())["config"]
        for name in MANIFESTS
    ]
    flat = ["layout" not in values for values in configs]
    assert any(flat)
    assert not all(flat)
    assert len(RUNS) >= 9


def test_flat_values_go_into_the_part_that_has_them():
    dense = ModelConfig.from_flat(
        parameterisation="dense", dim=4, width=8, readout="linear", centre="network"
    )
    assert dense.layout == Dense(dim=4, width=8, readout="linear")
    assert dense.inputs == InputScaling(centre="network")
    config = ModelConfig.from_flat(vector_channels=6, raw_channels=3, readout="ritz")
    assert config.layout == Channels(vectors=6, raw=3, readout="ritz")
    assert ModelConfig.from_flat(**config.flat()) == config


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 8}, "width=8 means nothing for parameterisation='equivariant'"),
        ({"norm_groups": (2, 2)}, "norm_groups=.* means nothing for param"),
        (
            {"parameterisation": "dense", "dim": 4, "vector_channels": 6},
            "vector_channels=6 means nothing for parameterisation='dense'; leave it",
        ),
        (
            {"parameterisation": "dense", "dim": 4, "initialisation": "power"},
            "initialisation='power' means nothing",
        ),
        ({"parameterisation": "sparse"}, "'sparse' must be one of 'dense', 'equi"),
        ({"parameterisation": "dense"}, "Dense needs dim"),
        ({"layout": Channels(), "width": 8}, "layout holds width"),
        ({"flux": 1}, "has no field flux"),
    ],
)
def test_a_flat_value_that_means_nothing_is_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        ModelConfig.from_flat(**values)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"width": 8}, "layout has kind=None; it must be one of 'dense', 'equivar"),
        ({"kind": "dense"}, "Dense needs dim"),
        ({"kind": "dense", "dim": 4, "vectors": 2}, "Dense has no field vectors"),
        (3, "layout=3 must be an object"),
    ],
)
def test_a_nested_file_that_is_wrong_is_refused(layout, words):
    with pytest.raises(ConfigError, match=words):
        ModelConfig.from_dict({"layout": layout})


def test_a_layout_is_asked_for_by_its_class():
    channels, dense = ModelConfig(), ModelConfig(layout=Dense(dim=5))
    assert (channels.channels.scalars, dense.dense.width) == (24, 64)
    assert (channels.dim, dense.dim) == (None, 5)
    with pytest.raises(ConfigError, match="needs a dense network"):
        _ = channels.dense
    with pytest.raises(ConfigError, match="needs an equivariant network"):
        _ = dense.channels


def options_of(*words):
    return parsed(COMMANDS["pretrain"].load(), ["--run-dir", "x", *words], "x").train


@pytest.mark.parametrize("name", OLD["models"])
def test_every_flat_name_is_an_option(name):
    words = []
    for field, value in OLD["models"][name].items():
        option = f"--model.{field}".replace("_", "-")
        if isinstance(value, bool):
            option = option if value else option.replace("model.", "model.no-")
            words.append(option)
        else:
            items = value if isinstance(value, list) else [value]
            words += [option, *map(str, items)]
    shape = OLD["models"][name]["dim"] or 10, OLD["models"][name]["num_samples"] or 50
    words += ["--shapes", *map(str, shape)]
    assert options_of(*words).model == model_preset(name)


@pytest.mark.parametrize("kind", [ModelConfig, EnsembleConfig])
def test_options_are_the_flat_names_with_a_help_text(kind):
    options = flat_options(kind)
    names = [option.name for option in options]
    assert sorted(names) == sorted(kind().flat())
    assert all(option.comment for option in options)
    assert options_of() == TrainConfig()


def test_a_help_text_says_of_which_layout_an_option_is():
    texts = {option.name: option.comment for option in flat_options(ModelConfig)}
    assert texts["width"].startswith("dense: D, ")
    assert texts["scalar_channels"].startswith("equivariant: c, ")
    assert texts["readout"].startswith("dense, equivariant: ")
    assert texts["num_blocks"].startswith("L, ")


def test_a_run_is_written_with_parts():
    values = TrainConfig().to_dict()
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    assert set(values["model"]) == names
