"""Whatever JAX is set to, the answers are those of its default settings."""

import contextlib
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

import spectral_tf
from spectral_tf.apps.cli import main
from spectral_tf.clustering.instances import (
    cluster_batch_at,
    sample_cluster_instance,
    sample_clusters,
)
from spectral_tf.config import (
    ClusterConfig,
    ClusterFamily,
    ClusterModelConfig,
    EnsembleConfig,
    MixturePart,
    TrainConfig,
)
from spectral_tf.estimators import (
    NetworkClusterer,
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
)
from spectral_tf.estimators.threads import blas_controller, one_blas_thread
from spectral_tf.model.cluster import predict_clusters
from spectral_tf.model.network import Network
from spectral_tf.model.params import init_params, save_weights
from spectral_tf.sampling.mixtures import mixture_rows
from spectral_tf.sampling.real import row_blocks
from spectral_tf.sampling.sampler import batch_at, mixture_batch_at
from spectral_tf.settings import GENERATOR, random_key
from spectral_tf.training.batch import Draw
from spectral_tf.training.cluster_batch import ClusterPart, draw_clusters
from tests.problems import SMALL, random_params

PACKAGE = Path(spectral_tf.__file__).parent
# Settings that decide numbers, refuse what others accept, or slow everything down.
PINNED: dict[str, dict[str, Any]] = {
    "double": {"jax_enable_x64": True},
    "strict types": {"jax_numpy_dtype_promotion": "strict"},
    "strict types, double": {
        "jax_numpy_dtype_promotion": "strict",
        "jax_enable_x64": True,
    },
    "no jit": {"jax_disable_jit": True},
    "rbg": {"jax_default_prng_impl": "rbg"},
    "unsafe rbg": {"jax_default_prng_impl": "unsafe_rbg"},
    "random bits": {"jax_threefry_partitionable": False},
    "seed offset": {"jax_random_seed_offset": 7},
    "gumbel": {"jax_high_dynamic_range_gumbel": True},
    "softmax": {"jax_softmax_custom_jvp": True},
    "transfers": {"jax_transfer_guard": "disallow"},
    "infinities": {"jax_debug_infs": True},
}
# Those that only look on: they stay with the caller, and find nothing here.
WATCHING: dict[str, dict[str, Any]] = {
    "nan": {"jax_debug_nans": True},
    "ranks": {"jax_numpy_rank_promotion": "raise"},
    "leaks": {"jax_check_tracer_leaks": True},
    "keys": {"jax_debug_key_reuse": True, "jax_enable_custom_prng": True},
    "checks": {"jax_enable_checks": True, "jax_legacy_prng_key": "error"},
    "precision": {"jax_default_matmul_precision": "bfloat16"},
}
SETTINGS = PINNED | WATCHING
ALL_AT_ONCE = {
    name: value for values in PINNED.values() for name, value in values.items()
} | {"jax_debug_nans": True}
EVERYTHING = ALL_AT_ONCE | {"jax_numpy_rank_promotion": "raise"}


def matrix(by_name: dict[str, dict[str, Any]]) -> list[Any]:
    """All of them at once; one by one in the long run, since each compiles anew."""
    single = [
        pytest.param(values, id=name, marks=pytest.mark.long)
        for name, values in by_name.items()
    ]
    return [pytest.param(EVERYTHING, id="everything"), *single]


TABLES = EnsembleConfig(dim=3, num_samples=6, num_components=2)
CLOUDS = ClusterConfig(dim=2, num_samples=6)
TINY = ClusterModelConfig(num_blocks=1)
CLUSTERER = TINY, random_params(TINY)
FINDER = Network(SMALL, random_params(SMALL))
RUN = TrainConfig(
    model=SMALL.replace(num_components=2, register_tokens=3),
    shapes=((4, 8),),
    num_steps=2,
    steps_per_call=2,
    warmup_steps=1,
    batch_size=4,
)


@contextlib.contextmanager
def settings(values: dict[str, Any]) -> Iterator[None]:
    """JAX's settings of the process, and back."""
    before = {name: getattr(jax.config, name) for name in values}
    try:
        for name, value in values.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, getattr(value, "value", value))


def table() -> np.ndarray:
    """40 rows in two groups."""
    x = np.random.default_rng(0).normal(size=(40, 5)) * [5.0, 3.0, 2.0, 1.0, 1.0]
    x[:20] += 8.0
    return x


def answers() -> dict[str, Any]:
    """One small fit and one predict of every estimator; of two components: a program.

    The constructed network is compiled once for all of them.
    """
    x = table()
    network = NetworkClusterer(2, weights=CLUSTERER, num_starts=2).fit(x)
    untrained = {"engine": "pretrained", "weights": FINDER, "fallback": "eigh"}
    return {
        "pca": SpectralPCA(2).fit(x).transform(x),
        "parts": SpectralPCA(2).partial_fit(x[:20]).partial_fit(x[20:]).transform(x),
        "trained": SpectralPCA(2, certify=False, **untrained).fit(x).components_,
        "clusters": SpectralClusterer(3, n_init=1).fit(x).predict(x),
        "outliers": SpectralOutlierDetector(2).fit(x).predict(x),
        "network": network.predict_proba(x + 0.1),
        "confidence": network.confidence_,
    }


def trained() -> list[np.ndarray]:
    """The weights that a short training gives."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(spectral_tf.pretrain(RUN))]


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return answers()


@pytest.fixture(scope="module")
def expected_of_functions() -> dict[str, Any]:
    return library()


@pytest.fixture(scope="module")
def expected_weights() -> list[np.ndarray]:
    return trained()


@pytest.mark.parametrize("values", matrix(SETTINGS))
def test_estimators_answer_alike(values, expected):
    with settings(values):
        found = answers()
    for name, value in expected.items():
        assert_allclose(found[name], value, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("values", matrix(PINNED))
def test_training_gives_the_same_weights(values, expected_weights):
    with settings(values):
        found = trained()
    for leaf, other in zip(found, expected_weights, strict=True):
        assert leaf.dtype == other.dtype
        assert_array_equal(leaf, other)


def few_answers() -> dict[str, Any]:
    """One small fit and one predict of three estimators; one program, compiled anew."""
    x = table()
    untrained = {"engine": "pretrained", "weights": FINDER, "fallback": "eigh"}
    jax.clear_caches()
    return {
        "pca": SpectralPCA(2).fit(x).transform(x),
        "clusters": SpectralClusterer(3, n_init=1).fit(x).predict(x),
        "trained": SpectralPCA(2, certify=False, **untrained).fit(x).transform(x),
    }


@pytest.fixture(scope="module")
def few_expected() -> dict[str, Any]:
    return few_answers()


SINGLE = ("double", "strict types", "nan", "no jit", "rbg", "infinities")
"""Those that others may mask where all are set at once: rbg is, by unsafe rbg."""


@pytest.mark.parametrize("name", SINGLE)
def test_a_few_estimators_answer_alike_under_each(name, few_expected):
    with settings(SETTINGS[name]):
        found = few_answers()
    for kind, value in few_expected.items():
        assert_allclose(found[kind], value, rtol=1e-6, atol=1e-6, err_msg=kind)


def drawings() -> dict[str, str]:
    """The programs that draw a family of tables, rows, and a family of mixtures.

    Traced, not run: a compiled one would be that of before, whatever the settings are.
    """
    key = random_key(3)
    families = [
        EnsembleConfig.from_flat(spectrum=name, dim=3, num_samples=8, num_components=2)
        for name in ("authors", "flat")
    ]
    parts = tuple(MixturePart(ensemble=family) for family in families)
    mixture = ClusterConfig(dim=3, num_samples=8, family="bi_class")
    chosen = tuple(ClusterFamily(instances=mixture) for _ in range(2))
    part = ClusterPart(families=chosen, dim=3, num_classes=2)
    programs = {
        "families of tables": lambda key: mixture_rows(key, parts, 0.5)[0],
        "rows": lambda key: sample_cluster_instance(key, mixture),
        "families of mixtures": lambda key: draw_clusters(
            part, Draw(key=key, step=0, progress=0.5), jnp.arange(2)
        ),
    }
    return {name: str(jax.make_jaxpr(draw)(key)) for name, draw in programs.items()}


def test_classes_are_drawn_by_the_same_programs():
    expected = drawings()
    key, logits = random_key(0), jnp.zeros(3)
    plain = lambda key: jax.random.categorical(key, logits)
    before = str(jax.make_jaxpr(plain)(key))
    with settings(PINNED["gumbel"]):
        assert drawings() == expected
        assert str(jax.make_jaxpr(lambda key: plain(key))(key)) != before


def test_nothing_else_draws_by_that_setting():
    texts = {path: path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
    calls = re.compile(r"random\.(?:categorical|gumbel|choice)\(")
    counts = {path.name: len(calls.findall(text)) for path, text in texts.items()}
    assert {name: count for name, count in counts.items() if count} == {
        "settings.py": 1
    }


def library() -> dict[str, Any]:
    """What functions say of a table in single precision."""
    x, key = jnp.asarray(table(), jnp.float32), jax.random.key(0, impl=GENERATOR)
    network = spectral_tf.equivariant_power_method(2, 20)
    clusters = predict_clusters(*CLUSTERER, x, 2, num_starts=1)
    return {
        "eigenvalues": network(x).eigenvalues,
        "clusters": jnp.exp(clusters.log_probabilities),
        "batch": spectral_tf.sample_batch(key, EnsembleConfig(dim=4), 2).x.shape,
    }


LIBRARY = [
    "strict types, double",
    pytest.param("double", marks=pytest.mark.long),
    pytest.param("nan", marks=pytest.mark.long),
]


@pytest.mark.parametrize("name", LIBRARY)
def test_functions_take_tables_in_single_precision(name, expected_of_functions):
    with settings(SETTINGS[name]):
        found = library()
    for kind, value in expected_of_functions.items():
        assert_allclose(found[kind], value, rtol=1e-3, atol=1e-3, err_msg=kind)


def run(*arguments: Any) -> tuple[int, str]:
    """Exit code of the program, and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return code, out.getvalue() + err.getvalue()


def test_commands_and_audits_do_not_mind(tmp_path):
    """What was recorded under JAX's settings is confirmed under any others."""
    data, weights = tmp_path / "table.csv", tmp_path / "weights"
    np.savetxt(data, table(), delimiter=",", header="a,b,c,d,e", comments="")
    save_weights(weights, FINDER)
    flags = ["--n-components", 2, "--engine", "pretrained", "--weights", weights]
    code, said = run("pca", data, *flags, "--out", tmp_path / "pca", "--json")
    assert code == 0, said
    with settings(ALL_AT_ONCE):
        code, again = run("pca", data, *flags, "--out", tmp_path / "again", "--json")
        assert code == 0, again
        tables = sorted(path.name for path in (tmp_path / "pca").glob("*.csv"))
        assert tables
        for name in tables:
            first, second = (tmp_path / out / name for out in ("pca", "again"))
            assert first.read_text() == second.read_text()
        log = tmp_path / "pca" / "audit.jsonl"
        code, shown = run("audit", "show", log, "last")
        assert code == 0, shown
        scored = ["--num-instances", 2, "--weights", weights]
        code, shown = run("evaluate", *scored)
        assert code == 0, shown


def test_two_threads_fit_at_the_same_time(expected):
    found: dict[int, dict[str, Any]] = {}
    threads = [
        threading.Thread(target=lambda place=place: found.update({place: answers()}))
        for place in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in range(2):
        for name, value in expected.items():
            assert_allclose(found[place][name], value, rtol=1e-6, atol=1e-6)


def test_the_limit_of_blas_threads_outlives_no_thread():
    """Two fits that overlap, neither inside the other."""
    blas = lambda: {library["num_threads"] for library in blas_controller().info()}
    with threadpool_limits(2, user_api="blas"):
        before, (first, second) = blas(), (one_blas_thread(), one_blas_thread())
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert min(blas()) == 1
        second.__exit__(None, None, None)
        assert blas() == before


def test_devices_that_are_not_there_are_one_line():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "spectral_tf.apps.cli",
            "evaluate",
            "--num-instances",
            "1",
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cuda"},
    )
    if done.returncode == 0:
        pytest.skip("there is a GPU")
    assert (done.returncode, done.stdout) == (2, "")
    assert "JAX_PLATFORMS='cuda'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


RAW: dict[str, Callable[[jax.Array], Any]] = {
    "instances": lambda key: spectral_tf.sample_batch(key, TABLES, 2).x,
    "by keyword": lambda key: (
        spectral_tf.sample_batch(config=TABLES, batch_size=2, key=key).x
    ),
    "instances of a step": lambda key: batch_at(key, 1, jnp.arange(2), TABLES).x,
    "a mixture": lambda key: (
        mixture_batch_at(key, 1, jnp.arange(2), (MixturePart(ensemble=TABLES),), 0.5).x
    ),
    "blocks": lambda key: row_blocks(key, table(), block_size=9, num_components=2).x,
    "clusters": lambda key: sample_clusters(key, CLOUDS, 2).x,
    "clusters of a step": lambda key: cluster_batch_at(key, 1, jnp.arange(2), CLOUDS).x,
    "parameters": lambda key: jax.tree.leaves(init_params(TINY, key))[0],
}
"""What takes a key, and says something that depends on it."""


@pytest.mark.parametrize("name", RAW)
def test_a_raw_key_is_of_the_generator_that_made_it(name):
    """Of the two that are as long, too, one after the other."""
    for implementation in ("rbg", "unsafe_rbg", GENERATOR):
        expected = RAW[name](jax.random.key(3, impl=implementation))
        with jax.default_prng_impl(implementation):
            assert_array_equal(RAW[name](jax.random.PRNGKey(3)), expected)  # noqa: TID251
