"""What is written is read back, bit for bit, by name and by path."""

import json
import stat
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from numpy.testing import assert_array_equal

from spectral_tf.config import Dense, ModelConfig
from spectral_tf.model.network import Network
from spectral_tf.model.params import flatten_params, parameter_shapes
from spectral_tf.weights import (
    ModelRow,
    PretrainedError,
    load_manifest,
    load_pretrained,
    models_table,
    most_components,
    pretrained_names,
    save_pretrained,
    store,
    with_components,
)
from spectral_tf.weights.manifest import digest
from tests.problems import forward, random_params, table
from tests.weights.helpers import RECORD, SMALL, tensors_of, use_folder, write_small

DENSE = ModelConfig(layout=Dense(dim=6, width=8), num_blocks=2)


@pytest.mark.parametrize(
    "config",
    [SMALL, SMALL.replace(looped=True, start_seed=7), DENSE],
    ids=["equivariant", "looped", "dense"],
)
def test_round_trip_is_bit_exact(config, tmp_path):
    params = random_params(config)
    path = save_pretrained(
        tmp_path / "new" / "folder", "a-1", Network(config, params), RECORD
    )
    found = load_pretrained(path)
    assert found.config == config
    assert load_manifest(path)["name"] == "a-1"
    wanted, flat = flatten_params(params), flatten_params(found.params)
    assert list(flat) == list(wanted)
    for name, leaf in wanted.items():
        assert isinstance(flat[name], jax.Array)
        assert flat[name].dtype == jnp.float32
        assert_array_equal(
            np.asarray(flat[name]).view(np.int32), np.asarray(leaf).view(np.int32)
        )


def test_the_manifest_says_it_all(tmp_path):
    path = write_small(tmp_path)
    manifest = json.loads(path.read_text())
    data = tensors_of(path).read_bytes()
    shapes = parameter_shapes(SMALL)
    assert manifest == {
        "format": 1,
        "name": "pca-tiny",
        "sha256": digest(data),
        "bytes": len(data),
        "licence": "Apache-2.0",
        "parameters": sum(int(np.prod(leaf.shape)) for leaf in shapes.values()),
        "config": json.loads(json.dumps(SMALL.to_dict())),
        "record": RECORD,
    }
    assert load_manifest(path) == manifest
    # Other programs read the weights as well.
    assert safetensors.numpy.load_file(tensors_of(path)).keys() == shapes.keys()


def test_the_same_weights_give_the_same_bytes(tmp_path):
    one, two = write_small(tmp_path / "one"), write_small(tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert tensors_of(one).read_bytes() == tensors_of(two).read_bytes()


def test_other_float_types_become_float32(tmp_path):
    params = random_params(SMALL)
    for kind in (np.float64, jnp.bfloat16):
        cast = jax.tree.map(
            lambda leaf, kind=kind: np.asarray(leaf).astype(kind), params
        )
        path = save_pretrained(
            tmp_path, np.dtype(kind).name, Network(SMALL, cast), RECORD
        )
        found = flatten_params(load_pretrained(path).params)
        for name, leaf in flatten_params(cast).items():
            assert_array_equal(found[name], leaf.astype(np.float32))


@pytest.mark.usefixtures("x64")
def test_x64_does_not_change_what_is_read(tmp_path):
    found = load_pretrained(write_small(tmp_path))
    assert {leaf.dtype for leaf in jax.tree.leaves(found.params)} == {
        np.dtype(np.float32)
    }


def test_names_and_table(shipped):
    write_small(shipped, "pca-2", SMALL.replace(num_blocks=3))
    (shipped / "notes.txt").write_text("no checkpoint")
    assert pretrained_names() == ("pca-2", "pca-tiny")
    manifest = load_manifest("pca-tiny")
    count, size = manifest["parameters"], manifest["bytes"] / 1000
    assert models_table()[1] == ModelRow("pca-tiny", count, size, "tests")
    assert models_table()[0].parameters > count


@pytest.mark.usefixtures("shipped")
def test_a_shipped_checkpoint_is_read_once_and_cannot_be_spoilt(monkeypatch):
    first = load_pretrained("pca-tiny")
    monkeypatch.setattr(store, "_read", None)  # a second read would fail
    leaf = next(iter(first.params))
    wanted = first.params[leaf]
    first.params[leaf] = None
    load_manifest("pca-tiny")["record"].clear()
    again = load_pretrained("pca-tiny")
    assert again.params[leaf].keys() == wanted.keys()
    assert load_manifest("pca-tiny")["record"] == RECORD
    assert again.config == SMALL


def test_a_zip_serves_as_well(tmp_path, monkeypatch, shipped):
    with zipfile.ZipFile(tmp_path / "wheel.zip", "w") as file:
        for item in shipped.iterdir():
            file.write(item, f"inside/{item.name}")
    wanted = load_pretrained("pca-tiny")
    with zipfile.ZipFile(tmp_path / "wheel.zip") as file:
        use_folder(monkeypatch, zipfile.Path(file, "inside/"))
        assert pretrained_names() == ("pca-tiny",)
        found = load_pretrained("pca-tiny")
    jax.tree.map(assert_array_equal, found.params, wanted.params)
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as file:
        file.write(shipped / "pca-tiny.json", "pca-tiny.json")
    with zipfile.ZipFile(tmp_path / "half.zip") as file:
        use_folder(monkeypatch, zipfile.Path(file))
        with pytest.raises(
            PretrainedError, match=r"pca-tiny.safetensors cannot be read"
        ):
            load_pretrained("pca-tiny")


@pytest.mark.usefixtures("shipped")
def test_fewer_components_with_the_same_parameters():
    wanted = load_pretrained("pca-tiny")
    for k in (1, 2, 3, 4):
        found = load_pretrained("pca-tiny", num_components=k)
        assert found.config == SMALL.replace(num_components=k)
        assert parameter_shapes(found.config) == parameter_shapes(SMALL)
    estimate, _ = forward(found.config, wanted.params, table())
    assert estimate.eigenvectors.shape == (4, 6)
    again, _ = forward(found.config, random_params(SMALL), table())
    assert_array_equal(estimate.eigenvectors, again.eigenvectors)
    for k in (0, 5, -1):
        with pytest.raises(PretrainedError, match=rf"={k} must be 1 to 4.*max_comp"):
            load_pretrained("pca-tiny", num_components=k)


def test_components_of_other_kinds():
    bare = SMALL.replace(layout=SMALL.channels.replace(max_components=None))
    assert most_components(bare) == 3
    assert parameter_shapes(with_components(bare, 2)) == parameter_shapes(bare)
    fixed = SMALL.replace(num_components=2, register_tokens=3)
    assert most_components(fixed) == 3
    found = with_components(fixed, 3)
    assert found == fixed.replace(num_components=3)
    with pytest.raises(PretrainedError, match="must be 1 to 3"):
        with_components(fixed, 4)
    layout = DENSE.dense.replace(readout="flatten", num_samples=9)
    flatten = DENSE.replace(block=("attention", "mlp"), layout=layout)
    assert with_components(flatten, 3) is flatten
    with pytest.raises(PretrainedError, match="flatten read-out"):
        with_components(flatten, 2)
    with pytest.raises(PretrainedError, match="must be 1 to 3"):
        with_components(DENSE, 4)


def test_fewer_components_of_a_dense_network():
    found = with_components(DENSE, 2)
    assert (found.num_components, found.num_registers) == (2, 3)
    assert parameter_shapes(found) == parameter_shapes(DENSE)
    params = random_params(DENSE)
    few, all_three = (forward(c, params, table())[0] for c in (found, DENSE))
    assert_array_equal(few.eigenvectors, all_three.eigenvectors[:2])


def test_files_that_exist_are_kept(tmp_path):
    path = write_small(tmp_path)
    before = path.read_bytes(), tensors_of(path).read_bytes()
    other = SMALL.replace(num_blocks=3)
    with pytest.raises(FileExistsError, match=r"exists; .*overwrite=True"):
        write_small(tmp_path, config=other)
    assert (path.read_bytes(), tensors_of(path).read_bytes()) == before
    path.unlink()  # the weights alone are not overwritten either
    with pytest.raises(FileExistsError, match="safetensors exists"):
        write_small(tmp_path, config=other)
    assert write_small(tmp_path, config=other, overwrite=True) == path
    assert load_pretrained(path).config == other
    assert sorted(item.suffix for item in tmp_path.iterdir()) == [
        ".json",
        ".safetensors",
    ]
    assert stat.S_IMODE(path.stat().st_mode) & 0o400


@pytest.mark.parametrize("fails_at", range(1, 5))
@pytest.mark.parametrize("is_there", [False, True])
def test_a_write_that_fails_changes_nothing(fails_at, is_there, tmp_path, monkeypatch):
    before = {}
    if is_there:
        write_small(tmp_path)
        before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}
    rename, calls = store.Path.rename, []

    def failing(path, target):
        calls.append(path)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(store.Path, "rename", failing)
    needed = 4 if is_there else 2
    if fails_at > needed:
        write_small(tmp_path, overwrite=True)
        return
    with pytest.raises(PretrainedError, match=r"No space left.*nothing there was ch"):
        write_small(tmp_path, config=SMALL.replace(num_blocks=3), overwrite=True)
    after = {item.name: item.read_bytes() for item in tmp_path.iterdir()}
    assert after == before


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PretrainedError, match="cannot be written to"):
        write_small(tmp_path / "file")
