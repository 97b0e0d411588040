"""One code path for every method: known answers, known errors, intervals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.apps.report.figures import (
    Curve,
    depth_figure,
    eigenvalue_figure,
)
from spectral_tf.apps.report.tables import HEADER, Entry, plain_table, table_rows
from spectral_tf.config import ConfigError, EnsembleConfig, ModelConfig
from spectral_tf.evaluation import (
    Statistic,
    eigh_predict,
    evaluate,
    orthogonal_iteration_predict,
)
from spectral_tf.model.transformer import Estimate
from spectral_tf.sampling.sampler import sample_batch

ENSEMBLE = EnsembleConfig(dim=5, num_samples=20)


@pytest.fixture(scope="module")
def batch():
    return sample_batch(jax.random.key(0), ENSEMBLE, 40)


def test_the_oracle_scores_perfectly(batch):
    report = evaluate(eigh_predict(3), batch)
    assert report.num_instances == 40
    for rank in range(3):
        assert report.cosine[rank].mean == pytest.approx(1, abs=1e-5)
        assert report.eigenvalue_error[rank].mean == pytest.approx(0, abs=1e-5)
    assert report.angle.mean == pytest.approx(0, abs=1e-3)


def test_a_known_error_is_measured(batch):
    """Vectors turned by 0.3 rad towards the 4th, and eigenvalues 10 % too large."""

    def turned(x, mask):
        values, vectors = eigh_predict(4)(x, mask)
        first = np.cos(0.3) * vectors[0] - np.sin(0.3) * vectors[3]
        return Estimate(1.1 * values[:3], jnp.stack([first, -vectors[1], vectors[2]]))

    report = evaluate(turned, batch, chunk_size=7)
    means = [one.mean for one in report.cosine]
    np.testing.assert_allclose(means, [np.cos(0.3), 1, 1], atol=1e-5)
    np.testing.assert_allclose(
        [one.mean for one in report.eigenvalue_error], 0.1, rtol=1e-3
    )
    assert report.angle.mean == pytest.approx(0.3, abs=1e-3)


def test_orthogonal_iteration_converges_to_the_oracle(batch):
    few, many = (
        evaluate(orthogonal_iteration_predict(ModelConfig(), steps), batch)
        for steps in (3, 300)
    )
    for short, long in zip(few.cosine, many.cosine, strict=True):
        assert short.mean < long.mean
        assert long.mean > 0.99


def test_chunks_do_not_change_the_scores(batch):
    a, b = (evaluate(eigh_predict(3), batch, chunk_size=size) for size in (1, 64))
    np.testing.assert_allclose(a.cosine[2].mean, b.cosine[2].mean, rtol=1e-6)


def test_a_nan_is_not_averaged_away(batch):
    def broken(x, mask):
        values, vectors = eigh_predict(3)(x, mask)
        return Estimate(values * jnp.where(x[0, 0] > 0, jnp.nan, 1.0), vectors)

    assert np.isnan(evaluate(broken, batch).eigenvalue_error[0].mean)


def test_the_interval_covers_the_mean_about_95_times_in_100():
    draws = np.random.default_rng(0).exponential(size=(2000, 100))
    statistics = map(Statistic.of, draws)
    covered = [abs(one.mean - 1) <= one.half_width for one in statistics]
    assert 0.92 < np.mean(covered) < 0.97
    assert Statistic.of(np.ones(1)).half_width == np.inf


def test_no_instances_is_an_error(batch):
    none = jax.tree.map(lambda leaf: leaf[:0], batch)
    with pytest.raises(ConfigError, match="at least one instance"):
        evaluate(eigh_predict(3), none)
    with pytest.raises(ConfigError, match="chunk_size=0"):
        evaluate(eigh_predict(3), batch, chunk_size=0)


def test_the_table_says_each_name_once(batch):
    report = evaluate(eigh_predict(3), batch)
    entries = [
        Entry(instances="some", method=method, report=report) for method in ("a", "b")
    ]
    rows = table_rows(entries)
    assert [row[0] for row in rows] == ["some", "", "", "", "", ""]
    assert [row[1] for row in rows] == ["a", "", "", "b", "", ""]
    lines = plain_table(HEADER, rows).splitlines()
    assert len(lines) == 8
    assert "1.0000 ± 0.0000" in lines[2]


def test_figures_are_written(tmp_path):
    curve = Curve(np.arange(1, 5), np.linspace(0, 1, 8).reshape(4, 2))
    values = np.ones((3, 2))
    paths = [
        depth_figure({"a": (curve, curve)}, tmp_path / "d.png", "t"),
        eigenvalue_figure({"a": (values, values)}, tmp_path / "e.png"),
    ]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
