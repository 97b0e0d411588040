"""Each family's law: its spectrum, its correlations, and families of the user."""

import dataclasses
import json
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from spectral_tf.config import (
    ConfigError,
    Correlated,
    EnsembleConfig,
    Family,
    Gapped,
    Imported,
    Laplace,
    LowRank,
    PowerLaw,
    Scaled,
    Spiked,
    Uniform,
    Whitened,
)
from spectral_tf.sampling import orientation, prescribed, rows
from spectral_tf.sampling.ensembles import ENSEMBLES, family
from spectral_tf.sampling.instance import make_instance
from spectral_tf.sampling.sampler import sample_batch
from tests.sampling.families import of_family

MANY = 20_000
WIDE = EnsembleConfig(dim=6, num_samples=MANY)


def close(actual, expected, atol: float) -> None:
    np.testing.assert_allclose(actual, expected, atol=atol, rtol=0)


def sample(key: jax.Array, config: EnsembleConfig) -> np.ndarray:
    draw = jax.jit(lambda key: family(config)(key, config))
    return np.asarray(draw(key), np.float64)


def sample_spectrum(x: np.ndarray) -> np.ndarray:
    return np.linalg.eigvalsh(np.cov(x, rowvar=False, bias=True))[::-1]


def spectra(name: str, count: int, **options: Any) -> np.ndarray:
    """Eigenvalues `[count, d]` that many keys draw."""
    config = of_family(name, WIDE, **options)
    keys = jax.random.split(jax.random.key(5), count)
    draw = getattr(prescribed, name)
    return np.asarray(jax.vmap(lambda key: draw(key, config))(keys), np.float64)


def test_the_table_holds_the_names_of_the_configuration():
    kinds = [family.kind for family in get_args(Family)]
    assert [*ENSEMBLES, "imported"] == kinds


@pytest.mark.parametrize(
    "config",
    [
        EnsembleConfig(family=Uniform()),
        EnsembleConfig(family=Laplace()),
        EnsembleConfig(family=Gapped(rank=2)),
        EnsembleConfig(family=PowerLaw(exponent_range=(0.5, 2.0))),
        EnsembleConfig(family=Spiked(spike_range=(5.0, 50.0))),
        EnsembleConfig(family=LowRank(noise=0.3), orientation="reflections"),
    ],
    ids=lambda config: config.family.kind,
)
def test_a_drawn_spectrum_is_the_population_spectrum_of_its_rows(key, config):
    config = config.replace(dim=6, num_samples=MANY)
    # `low_rank` and `power_law` are functions of `prescribed` as well as names.
    draw = getattr(prescribed, config.family.kind)
    expected = draw(jax.random.fold_in(key, 2), config)
    assert (np.diff(expected) <= 0).all()
    # Standard deviation sqrt(2 / N) = 1 %, equal ones spread by 3.5 %: allow 6 %.
    np.testing.assert_allclose(
        sample_spectrum(sample(key, config)), expected, rtol=0.06
    )


def test_semicircle_and_marchenko_pastur_are_quantiles_of_their_laws():
    wanted = 1 - (np.arange(6) + 0.5) / 6
    (found,) = spectra("semicircle", 1)
    close(found, stats.semicircular(loc=1).ppf(wanted), 1e-5)
    for ratio in (0.1, 0.5, 1.0):
        (found,) = spectra("marchenko_pastur", 1, aspect=ratio)
        low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2

        def density(x: float, low=low, high=high, ratio=ratio) -> float:
            return np.sqrt((high - x) * (x - low)) / (2 * np.pi * ratio * x)

        # From above, where the density is bounded.
        above = [integrate.quad(density, value, high)[0] for value in found]
        close(above, 1 - wanted, 1e-4)


def test_random_spectra_follow_their_laws():
    count = 4000
    # The order statistics of six uniforms have means j / 7, sd at most 0.19.
    values = spectra("uniform", count)
    close(values.mean(axis=0), np.arange(6, 0, -1) / 7, 5 * 0.19 / count**0.5)
    # A Laplace variable has mean 0, variance 2 and fourth moment 24.
    logs = np.log(spectra("laplace", count)).ravel()
    close(logs.mean(), 0, 5 * (2 / logs.size) ** 0.5)
    close((logs**2).mean(), 2, 5 * (20 / logs.size) ** 0.5)
    # A uniform variable in (a, b) has sd (b - a) / sqrt(12).
    values = spectra("gapped", count, gap=(0.2, 0.8), rank=3)
    ratios = values[:, 1:] / values[:, :-1]
    close(values[:, 0], 1, 0)
    close(ratios[:, 3:], 1, 0)
    assert ratios[:, :3].min() >= 0.199
    assert ratios[:, :3].max() <= 0.801
    close(ratios[:, :3].mean(axis=0), 0.5, 5 * 0.6 / (12 * count) ** 0.5)
    close(np.corrcoef(ratios[:, :3], rowvar=False), np.eye(3), 5 / count**0.5)
    values = spectra("power_law", count, exponent_range=(1.0, 3.0))
    exponents = -np.log2(values[:, 1])
    close(exponents.mean(), 2, 5 * 2 / (12 * count) ** 0.5)
    close(values[:, 3], 4**-exponents, 1e-6)


def test_random_spikes_vary_in_number_and_size():
    count = 4000
    values = spectra("spiked", count, spike_range=(10.0, 1000.0), rank=4)
    numbers = (values > 1).sum(axis=1)
    # Each of four numbers has probability 1/4: sd of its share sqrt(3) / 4 / 63.
    shares = np.bincount(numbers, minlength=5)[1:] / count
    close(shares, 0.25, 5 * 3**0.5 / 4 / count**0.5)
    spikes = np.log10(values[values > 1])
    assert 0.999 < spikes.min() < 1.01
    assert 2.99 < spikes.max() < 3.001
    close(spikes.mean(), 2, 5 * 2 / (12 * spikes.size) ** 0.5)
    close(values[values <= 1], 1, 0)


def test_a_uniform_rotation_is_that_of_jax(key):
    expected = jax.random.orthogonal(key, 7)
    close(orientation.uniform_rotation(key, 7), expected, 1e-6)
    keys = jax.random.split(key, 3)
    lifted = jax.vmap(lambda one: orientation.uniform_rotation(one, 7))(keys)
    close(lifted[2], orientation.uniform_rotation(keys[2], 7), 1e-5)


@pytest.mark.parametrize("dim", [2, 64])
def test_mixing_is_orthogonal_and_leaves_no_axis_where_it_was(dim):
    keys = jax.random.split(jax.random.key(2), 400)
    turns = jax.jit(jax.vmap(lambda key: orientation.mixed(key, jnp.eye(dim))))(keys)
    turns = np.asarray(turns, np.float64)
    close(turns @ turns.transpose(0, 2, 1), np.eye(dim)[None].repeat(400, 0), 2e-5)
    close(
        orientation.cosine_matrix(dim) @ orientation.cosine_matrix(dim).T,
        np.eye(dim),
        1e-5,
    )
    # The squared coordinates of a uniform direction have mean 1 / d and standard
    # deviation below sqrt(2) / d: over 400 keys allow five standard errors.
    close((turns**2).mean(axis=0), 1 / dim, 5 * 2**0.5 / dim / 20)
    if dim == 64:
        # The fourth moment of a uniform direction is 3 / (d (d + 2)).
        fourth = (turns[:, 0] ** 4).mean() * dim * (dim + 2) / 3
        close(fourth, 1, 0.1)


def test_a_few_reflections_alone_would_leave_the_axes_in_place():
    """The reason for the signs and transforms; the bound of the docstring."""
    turn = orientation.reflected(jax.random.key(3), jnp.eye(300))
    squared = (np.diagonal(turn) ** 2).mean()
    close(squared, 1 - 4 * 8 / 300, 0.03)


def test_autoregression_is_the_recursion(key):
    noise = np.asarray(jax.random.normal(key, (13, 3)), np.float64)
    for rho in (0.9, -0.5, 0.0):
        expected = [noise[0]]
        for row in noise[1:]:
            expected.append(rho * expected[-1] + (1 - rho**2) ** 0.5 * row)
        close(rows.autoregressive(jnp.array(noise, float), rho), expected, 2e-6)


def test_correlated_rows_have_the_lag_one_correlation_and_the_same_covariance(key):
    for rho in (0.8, -0.4):
        config = WIDE.replace(family=Correlated(autocorrelation=rho), dim=4)
        x = sample(key, config)
        factor = np.asarray(jax.random.normal(jax.random.split(key)[0], (4, 4)))
        factor = factor + 0.1 * np.eye(4)
        white = x @ np.linalg.inv(factor).T
        # Bartlett: the sd of a lag-1 correlation is sqrt((1 - rho^2) / N) < 0.0071.
        lagged = white[1:].T @ white[:-1] / MANY
        # The effective number of rows is N (1 - rho^2) / (1 + rho^2) > 0.21 N.
        close(white.T @ white / MANY, np.eye(4), 5 * (2 / 0.21 / MANY) ** 0.5)
        close(lagged, rho * np.eye(4), 5 * (2 / 0.21 / MANY) ** 0.5)


def test_a_random_autocorrelation_differs_between_instances():
    config = EnsembleConfig(
        family=Correlated(autocorrelation=None),
        dim=1,
        num_components=1,
        num_samples=400,
    )
    x = np.asarray(sample_batch(jax.random.key(4), config, 200).x, np.float64)[..., 0]
    found = (x[:, 1:] * x[:, :-1]).sum(axis=1) / (x**2).sum(axis=1)
    # Uniform in [0, 0.95], each found to about sqrt(1 / 400) = 0.05.
    assert found.min() > -0.25
    assert found.max() < 1
    close(found.mean(), 0.475, 5 * 0.28 / 200**0.5)
    close(found.std(), 0.274, 0.06)


@pytest.mark.parametrize(
    ("dim", "num_classes", "kind"),
    [(6, 10, "uniform"), (6, 3, "reflections"), (2, 2, "uniform")],
)
def test_whitened_rows_have_identity_covariance(key, dim, num_classes, kind):
    config = WIDE.replace(
        family=Whitened(num_classes=num_classes),
        dim=dim,
        orientation=kind,
        num_components=1,
    )
    x = sample(key, config)
    # Classes and rows of different scale raise the kurtosis to at most about 6.
    bound = 5 * (6 / MANY) ** 0.5
    close(x.mean(axis=0), 0, 5 / MANY**0.5)
    close(np.cov(x, rowvar=False), np.eye(dim), bound)


def test_whitened_rows_are_not_gaussian(key):
    config = WIDE.replace(family=Whitened(num_classes=3))
    straight = jax.jit(lambda key: rows.whitened_straight(key, config))
    x = np.asarray(straight(key), np.float64)
    # No class mean enters past two coordinates; only the rows' scales couple them.
    # The squares of independent Gaussians have a correlation of 0 +- 1 / sqrt(N).
    correlations = np.asarray(np.corrcoef(x[:, 2:] ** 2, rowvar=False))
    within = correlations[np.triu_indices(4, 1)]
    assert float(np.min(within)) > 5 / MANY**0.5
    codes = np.asarray(rows.class_codes(key, 5, 3), np.float64)
    close(codes.mean(axis=0), 0, 1e-6)
    close(codes.T @ codes / 5, np.eye(3), 1e-5)
    other = rows.class_codes(jax.random.key(8), 5, 3)
    assert np.abs(codes - other).max() > 0.1


def test_scaled_columns_spread_over_their_decades(key):
    config = WIDE.replace(family=Scaled(decades=4.0), dim=40)
    x = sample(key, config)
    powers = np.log10(x.std(axis=0))
    # Uniform in [-2, 2]: both outer sixths of 40 are missed with probability 1e-3.
    assert -2.02 < powers.min() < -1.33
    assert 1.33 < powers.max() < 2.02
    correlations = np.asarray(np.corrcoef(x, rowvar=False))[np.triu_indices(40, 1)]
    assert 0.05 < correlations.std() < 0.3
    assert np.abs(correlations).max() < 0.9


QUICK = ["power_law", "laplace", "marchenko_pastur", "whitened", "scaled"]


@pytest.mark.parametrize(
    ("dim", "names"),
    [
        (2, list(ENSEMBLES)),
        (300, QUICK),
        pytest.param(300, list(ENSEMBLES), marks=pytest.mark.long),
        pytest.param(1024, list(ENSEMBLES), marks=pytest.mark.long),
    ],
    ids=["2", "300-some", "300", "1024"],
)
def test_two_rows_of_any_family_are_finite(key, dim, names):
    base = EnsembleConfig(dim=dim, num_samples=2, num_components=2)
    options: dict[str, dict[str, Any]] = {
        **{name: {"rank": 2} for name in ("spiked", "low_rank", "gapped")},
        "correlated": {"autocorrelation": None},
    }
    configs = [of_family(name, base, **options.get(name, {})) for name in names]
    mixing = base.replace(orientation="reflections")
    configs += [of_family(name, mixing) for name in ("whitened", "laplace")]

    # One program: most of the time would go into compiling many small ones.
    @jax.jit
    def every(key: jax.Array) -> jax.Array:
        return jnp.stack([family(config)(key, config) for config in configs])

    x = every(key)
    assert x.shape == (len(configs), 2, dim)
    assert x.dtype == jnp.float32
    for config, one in zip(configs, x, strict=True):
        assert np.isfinite(one).all(), config.family
        assert np.any(one), config.family
    if dim == 2:
        answers = jax.vmap(lambda one: make_instance(one, None, 2))(x)
        assert all(np.isfinite(field).all() for field in answers)


USER = """
import jax
import jax.numpy as jnp

NUMBER = 3

def stretched(key, config):
    rows = jax.random.normal(key, (config.num_samples, config.dim))
    return rows.at[:, 0].multiply(config.family.option("spike", 10.0))

def transposed(key, config):
    return jax.random.normal(key, (config.dim, config.num_samples))

def whole(key, config):
    return jnp.ones((config.num_samples, config.dim), int)

def pair(key, config):
    return stretched(key, config), None

def branching(key, config):
    return stretched(key, config) if jax.random.normal(key) > 0 else None
"""


@pytest.fixture
def user_module(tmp_path, monkeypatch) -> str:
    (tmp_path / "my_families.py").write_text(USER, encoding="utf-8")
    (tmp_path / "my_broken.py").write_text("import no_such_thing\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "my_families"


def test_a_user_names_a_family_of_his_own(key, user_module):
    config = EnsembleConfig(
        family=Imported(
            function=f"{user_module}:stretched", options=(("spike", 1000.0),)
        )
    )
    batch = sample_batch(key, config, 3)
    close(np.abs(batch.eigenvectors[:, 0, 0]), 1, 1e-3)
    back = EnsembleConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert (back, hash(back)) == (config, hash(config))
    smaller = back.replace(dim=4, num_samples=9)
    assert smaller.flat()["spectrum"] == "my_families:stretched"
    flat = json.loads(json.dumps(config.flat()))
    assert EnsembleConfig.from_dict(flat) == config
    assert EnsembleConfig.from_flat(**flat) == config


@pytest.mark.parametrize(
    ("spectrum", "expected"),
    [
        ("gaussian", "must be one of 'authors', 'power_law'|'package.module:function'"),
        ("no_such:f", "module 'no_such' cannot be imported|No module named|PYTHONPATH"),
        (":f", "module '' cannot be imported|ValueError"),
        ("my_broken:f", "module 'my_broken' cannot be imported|no_such_thing"),
        (
            "my_families:f",
            "module 'my_families' has no function 'f'|def f(key, config)",
        ),
        ("my_families:", "has no function ''|def family(key, config)"),
        ("my_families:NUMBER", "has no function 'NUMBER'"),
        ("my_families:transposed", "returns float32[10, 50]|floats [N, d] = [50, 10]"),
        ("my_families:whole", "returns int32[50, 10]|one array of floats"),
        ("my_families:pair", "returns tuple|one array of floats"),
        ("my_families:branching", "cannot be traced|TracerBoolConversion|pure JAX"),
    ],
)
@pytest.mark.usefixtures("user_module")
def test_a_family_that_does_not_work_is_refused_by_name(spectrum, expected):
    with pytest.raises(ConfigError) as caught:
        EnsembleConfig.from_flat(spectrum=spectrum)
    message = str(caught.value)
    owner = "Imported.function" if ":" in spectrum else "EnsembleConfig.spectrum"
    assert message.startswith(f"{owner}={spectrum!r}")
    assert [part for part in expected.split("|") if part not in message] == [], message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"gap": (0.9, 0.5)}, "gap=(0.9, 0.5)|low <= high <= 1|correct"),
        ({"gap": (0.0, 0.5)}, "gap=(0.0, 0.5)|0 < low"),
        ({"gap": (0.5, 1.5)}, "gap=(0.5, 1.5)|<= 1"),
        ({"exponent_range": (1.0, float("inf"))}, "exponent_range=(1.0, inf)|correct"),
        ({"spike_range": (float("nan"), 2.0)}, "spike_range=(nan, 2.0)|0 < low"),
        ({"spike_range": (3.0,)}, "spike_range=(3.0,)|must be tuple"),
        ({"noise": -0.1}, "noise=-0.1|>= 0"),
        ({"decades": -1.0}, "decades=-1.0|>= 0"),
        ({"num_classes": 1}, "num_classes=1|>= 2"),
        ({"aspect": 0.0}, "aspect=0.0|(0, 1]"),
        ({"aspect": 1.5}, "aspect=1.5|lower it"),
        ({"autocorrelation": 1.0}, "autocorrelation=1.0|(-1, 1)|use None"),
        ({"orientation": "none"}, "orientation='none'|'uniform', 'reflections'"),
    ],
)
def test_an_option_out_of_bounds_is_refused(options, expected):
    with pytest.raises(ConfigError) as caught:
        of_options(options)
    message = str(caught.value)
    assert [part for part in expected.split("|") if part not in message] == [], message


def of_options(options: dict[str, Any]) -> EnsembleConfig:
    """The configuration of the first family that has all these options."""
    if "orientation" in options:
        return EnsembleConfig(**options)
    for kind in get_args(Family):
        if options.keys() <= {field.name for field in dataclasses.fields(kind)}:
            return EnsembleConfig(family=kind(**options))
    raise AssertionError(options)


@pytest.mark.parametrize(
    "options",
    [
        {"gap": (0.5, 1.0)},
        {"exponent_range": (1, 2)},
        {"spike_range": (2.0, 2.0)},
        {"decades": 0},
    ],
)
def test_ranges_survive_json(options):
    config = of_options(options)
    back = EnsembleConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert (back, hash(back)) == (config, hash(config))
