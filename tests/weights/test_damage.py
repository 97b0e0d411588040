"""Nothing that is damaged, incomplete or of another version is loaded."""

import json
import math

import jax
import jaxtyping
import numpy as np
import pytest
import safetensors.numpy

from spectral_tf.model.network import Network
from spectral_tf.model.params import flatten_params, unflatten_params
from spectral_tf.weights import (
    RECORD_FIELDS,
    PretrainedError,
    load_pretrained,
    models_table,
    save_pretrained,
)
from tests.problems import random_params
from tests.weights.helpers import (
    RECORD,
    SMALL,
    edit,
    flipped,
    put,
    tensors_of,
    use_folder,
    write_small,
)


@pytest.fixture
def manifest(tmp_path):
    return write_small(tmp_path)


def refused(manifest, words):
    """The load is refused with these words, and the message names a file."""
    with pytest.raises(PretrainedError, match=words) as refusal:
        load_pretrained(manifest)
    assert manifest.stem in str(refusal.value)


def test_every_flipped_byte_of_the_weights_is_seen(manifest):
    data = tensors_of(manifest).read_bytes()
    rng = np.random.default_rng(0)
    places = [*range(16), *rng.integers(len(data), size=300), len(data) - 1]
    for index in places:
        mask = int(rng.integers(1, 256))
        tensors_of(manifest).write_bytes(flipped(data, index, mask))
        refused(manifest, "does not match its sha256")
    tensors_of(manifest).write_bytes(data)
    load_pretrained(manifest)


def test_a_digest_that_fits_does_not_make_damage_loadable(manifest):
    # The header: length, names, types, shapes, offsets and the configuration.
    data = tensors_of(manifest).read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    for index in [*range(8), *rng.integers(header, size=150)]:
        put(manifest, flipped(data, index, 1 << int(rng.integers(8))))
        try:
            found = load_pretrained(manifest)
        except PretrainedError:
            continue
        # Blanks behind the header, for one, mean nothing.
        assert found.config == SMALL
        wanted = flatten_params(random_params(SMALL))
        for name, leaf in flatten_params(found.params).items():
            assert np.array_equal(leaf, wanted[name]), (index, name)


def test_damage_to_the_manifest_is_an_error_or_harmless(manifest):
    data = manifest.read_bytes()
    start = data.index(b'"record"')
    rng = np.random.default_rng(0)
    seen = 0
    for index in rng.integers(start, size=150):
        manifest.write_bytes(flipped(data, index, 1 << int(rng.integers(8))))
        try:
            found = load_pretrained(manifest)
        except PretrainedError:
            seen += 1
            continue
        assert found.config == SMALL
    assert seen > 100


def test_lengths(manifest):
    data = tensors_of(manifest).read_bytes()
    for size in (0, 7, 100, len(data) - 1):
        tensors_of(manifest).write_bytes(data[:size])
        refused(manifest, rf"is truncated: {size:,} bytes, expected {len(data):,}")
        put(manifest, data[:size])
        refused(manifest, "is no safetensors file")
        edit(manifest, bytes=len(data))
    tensors_of(manifest).write_bytes(data + b"\0")
    refused(manifest, "is too long")


def changed(manifest, change) -> None:
    """Tensors after `change(dict)`, in a file whose digest fits."""
    data = tensors_of(manifest).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    tensors = safetensors.numpy.load(data)
    change(tensors)
    put(manifest, safetensors.numpy.save(tensors, metadata=header["__metadata__"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("blocks/0_cross/skip"), "missing tensor blocks/0_cross/skip"),
        (lambda t: t.update(more=np.zeros(2, np.float32)), "extra tensor more"),
        (
            lambda t: t.update({"blocks/0_cross/skip": np.zeros((2, 3), np.float32)}),
            r"blocks/0_cross/skip has shape \(2, 3\), expected \(2, 2\)",
        ),
        (
            lambda t: t.update({"blocks/0_cross/skip": np.zeros((2, 2), np.float16)}),
            "blocks/0_cross/skip has dtype F16, expected F32",
        ),
        (
            lambda t: t["blocks/0_cross/skip"].__setitem__((0, 0), math.nan),
            "blocks/0_cross/skip has NaN or infinity",
        ),
        (
            lambda t: t["blocks/0_cross/skip"].__setitem__((1, 1), -math.inf),
            "blocks/0_cross/skip has NaN or infinity",
        ),
        (dict.clear, "and [0-9]+ more. Use the weights"),
    ],
    ids=["missing", "extra", "shape", "dtype", "nan", "inf", "empty"],
)
def test_tensors_that_do_not_fit(change, words, manifest):
    def writable(tensors):
        for name in tensors:
            tensors[name] = tensors[name].copy()
        change(tensors)

    changed(manifest, writable)
    refused(manifest, words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "has format 2, and this version of spectral_tf reads format 1"),
        ({"format": True}, "is no manifest"),
        ({"format": "1"}, "is no manifest"),
        ({"name": "pca-other"}, "is the manifest of 'pca-other'"),
        ({"sha256": "0" * 64}, "does not match its sha256: expected 0000"),
        ({"sha256": None}, "'sha256' is missing or is no str"),
        ({"bytes": 1.5}, "'bytes' is missing or is no int"),
        ({"config": []}, "'config' is missing or is no dict"),
        ({"config": {}}, "holds another model configuration"),
        ({"config": SMALL.replace(start_seed=1).to_dict()}, "another model config"),
        ({"record": 3}, "'record' is missing"),
        ({"parameters": 1}, "parameters=1, but the weights are"),
    ],
)
def test_manifests_that_are_wrong(changes, words, manifest):
    edit(manifest, **changes)
    refused(manifest, words)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", "\x00", "[" * 100_000, '{"config": {}}', "\udcff"]
)
def test_files_that_are_no_manifest(text, manifest):
    manifest.write_bytes(text.encode(errors="surrogateescape"))
    refused(manifest, "is no manifest of a checkpoint")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**SMALL.to_dict(), "flux": 1}, "has no field flux.*or a newer one"),
        ({**SMALL.to_dict(), "num_blocks": 0}, "num_blocks=0 must be >= 1"),
        ({**SMALL.to_dict(), "num_heads": "2"}, "num_heads='2' must be int"),
    ],
)
def test_models_of_another_version(config, words, manifest):
    tensors = safetensors.numpy.load(tensors_of(manifest).read_bytes())
    meta = {"config": json.dumps(config)}
    put(manifest, safetensors.numpy.save(tensors, metadata=meta))
    edit(manifest, config=config)
    refused(manifest, words)


def test_safetensors_of_somebody_else(manifest):
    tensors = safetensors.numpy.load(tensors_of(manifest).read_bytes())
    for meta in (None, {}, {"config": "{"}, {"other": "{}"}):
        put(manifest, safetensors.numpy.save(tensors, metadata=meta))
        refused(manifest, "is no safetensors file of `save_pretrained`")


def test_files_that_are_missing(manifest):
    tensors_of(manifest).unlink()
    refused(manifest, r"pca-tiny.safetensors cannot be read .* is two files")
    manifest.unlink()
    refused(manifest, r"pca-tiny.json cannot be read")


def test_unknown_names(shipped, tmp_path, monkeypatch):
    for name in ("pca-tinny", "", ".", "../shipped/pca-tiny", str(shipped)):
        with pytest.raises(PretrainedError, match=r"shipped: pca-tiny\. Or give"):
            load_pretrained(name)
    with pytest.raises(PretrainedError, match=r"does not end in .json"):
        load_pretrained(shipped / "pca-tiny")
    (tmp_path / "none").mkdir()
    use_folder(monkeypatch, tmp_path / "none")
    with pytest.raises(PretrainedError, match="shipped: none in this version"):
        load_pretrained("pca-tiny")
    assert models_table() == ()


def test_a_damaged_one_is_not_remembered(shipped):
    file = shipped / "pca-tiny.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    with pytest.raises(PretrainedError, match="truncated"):
        load_pretrained("pca-tiny")
    file.write_bytes(data)
    assert load_pretrained("pca-tiny").config == SMALL


@pytest.mark.usefixtures("shipped")
def test_arguments_of_another_type(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    wrong: list = [None, 3, b"pca-tiny", ("pca-tiny",)]
    for source in wrong:
        with pytest.raises(PretrainedError, match="a checkpoint is given as"):
            load_pretrained(source)
    for k in [*wrong[2:], 2.0, True]:
        with pytest.raises(PretrainedError, match="whole number, 1 to 4"):
            load_pretrained("pca-tiny", num_components=k)


@pytest.mark.parametrize(
    "name", ["", "PCA", "a b", "a/b", "../a", ".a", "a.json", "-a", "a-", "ä", "a\n"]
)
def test_names_that_are_refused(name, tmp_path):
    with pytest.raises(PretrainedError, match="must be lower-case letters"):
        write_small(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", RECORD_FIELDS)
@pytest.mark.parametrize("value", [None, "", {}, True, "absent"])
def test_records_that_are_incomplete(field, value, tmp_path):
    record = {**RECORD, field: value}
    if value == "absent":
        del record[field]
    with pytest.raises(PretrainedError, match=rf"is incomplete: {field} is"):
        save_pretrained(tmp_path, "a", Network(SMALL, random_params(SMALL)), record)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [math.nan, np.float32(1), {1, 2}, {"a": math.inf}])
def test_records_that_are_no_json(value, tmp_path):
    record = {**RECORD, "more": value}
    with pytest.raises(PretrainedError, match="is not JSON"):
        save_pretrained(tmp_path, "a", Network(SMALL, random_params(SMALL)), record)
    assert list(tmp_path.iterdir()) == []


def test_parameters_that_are_refused(tmp_path):
    flat = flatten_params(random_params(SMALL))
    name = next(iter(flat))
    whole = jax.tree.map(lambda leaf: leaf.astype(int), flat)
    big = {name: np.asarray(flat[name], np.float64)}
    big[name].flat[0] = 1e300
    for params, words in [
        ({**flat, name: flat[name] * np.nan}, "NaN or infinity"),
        ({**flat, **big}, "NaN or infinity"),
        ({**flat, "more": np.zeros(1)}, "extra tensor more"),
        ({k: v for k, v in flat.items() if k != name}, f"missing tensor {name}"),
        (whole, "has dtype int32, expected float32"),
    ]:
        with pytest.raises(PretrainedError, match=words) as refusal:
            save_pretrained(
                tmp_path, "a", Network(SMALL, unflatten_params(params)), RECORD
            )
        assert "params of 'a'" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
