"""Who proposes, what is certified, and what happens to what is not."""

import dataclasses
import warnings

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from spectral_tf.certificate import CertificateError, CertificateWarning, certify
from spectral_tf.config import ConfigError, Dense, ModelConfig, TrainConfig
from spectral_tf.constructive.equivariant import equivariant_power_method
from spectral_tf.estimators import SpectralPCA, networks
from spectral_tf.estimators.forward import _forward
from spectral_tf.estimators.krylov_passes import PASS
from spectral_tf.model.network import Network
from spectral_tf.model.params import ParamsError, init_params, save_weights
from spectral_tf.training.checkpoint import CheckpointError, save_checkpoint
from spectral_tf.training.state import init_state
from spectral_tf.weights import PretrainedError
from tests.estimators.helpers import IRIS, fresh, loaded
from tests.problems import SMALL


@pytest.fixture(scope="module")
def trained():
    """A network that knows nothing yet; it is the certificate that must see it."""
    return SMALL, init_params(SMALL, jax.random.key(0))


def flat(rows: int = 300, columns: int = 12) -> np.ndarray:
    """A table whose eigenvalues are so close that few iterations say little."""
    return np.random.default_rng(0).normal(size=(rows, columns))


def broad() -> np.ndarray:
    """A flat table that ten products do not solve, whatever the space keeps."""
    return flat(600, 200)


def steep(ratio: float = 3.0, columns: int = 12) -> np.ndarray:
    return flat(columns=columns) * ratio ** -np.arange(columns)


def angles(ours: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Radians to the true components, each by itself."""
    true = np.linalg.eigh(np.cov(x, rowvar=False))[1][:, ::-1].T[: len(ours)]
    ours = ours.astype(np.float64)
    off = ours - np.sum(ours * true, axis=1, keepdims=True) * true
    return np.linalg.norm(off, axis=1)


@pytest.mark.parametrize("x", [steep(), flat(), IRIS], ids=["steep", "flat", "iris"])
@pytest.mark.parametrize("engine", ["auto", "constructed", "exact"])
def test_certified_is_true(engine, x):
    pca = SpectralPCA(3, engine=engine).fit(x)
    certificate = pca.certificate_
    assert certificate is not None
    assert certificate.is_certified
    assert np.all(angles(pca.components_, x) <= certificate.angle_bound + 1e-8)
    values = np.linalg.eigvalsh(np.cov(x, rowvar=False))[::-1][:3]
    off = np.abs(pca.explained_variance_ - values)
    assert np.all(off <= certificate.eigenvalue_error * (1 + 1e-9) + 1e-12 * values)
    assert_allclose([e.eigenvalue for e in certificate.entries], values, rtol=1e-6)


def test_the_certificate_is_that_of_the_public_function():
    pca = SpectralPCA(3).fit(IRIS)
    share = (len(IRIS) - 1) / len(IRIS)
    again = certify(IRIS, pca.explained_variance_ * share, pca.components_)
    assert pca.certificate_ is not None
    assert again.status == pca.certificate_.status
    assert_allclose(again.angle_bound, pca.certificate_.angle_bound, rtol=0.5)


def test_loose_components_are_replaced():
    pca = SpectralPCA(3, engine="constructed", max_iter=1).fit(broad())
    assert pca.certificate_ is not None
    assert "replaced" in pca.certificate_.status
    assert "loose" not in pca.certificate_.status
    assert pca.certificate_.is_certified
    assert pca.engine_ == "constructed, exact"
    assert np.all(angles(pca.components_, broad()) <= pca.certificate_.angle_bound)
    assert_allclose(pca.components_ @ pca.components_.T, np.eye(3), atol=1e-6)
    exact = SpectralPCA(3, engine="exact").fit(broad())
    assert_allclose(pca.components_, exact.components_, atol=1e-3)


def test_what_is_certified_is_not_replaced():
    x = broad() * [1000.0, 30, *[1] * 198]
    pca = SpectralPCA(3, engine="constructed", max_iter=1).fit(x)
    assert pca.certificate_ is not None
    assert pca.certificate_.status == ("certified", "certified", "replaced")


def test_loose_components_are_kept_with_a_warning():
    pca = SpectralPCA(3, engine="constructed", max_iter=1, fallback="warn")
    with pytest.warns(CertificateWarning, match=r"not certified to tol=0.001") as seen:
        pca.fit(broad())
    assert len(seen) == 1
    assert "fallback='eigh'" in str(seen[0].message)
    assert pca.certificate_ is not None
    assert "loose" in pca.certificate_.status
    assert not pca.certificate_.is_certified
    assert pca.engine_ == "constructed"
    assert np.all(angles(pca.components_, broad()) <= pca.certificate_.angle_bound)


def test_loose_components_are_refused():
    pca = SpectralPCA(3, engine="constructed", max_iter=1, fallback="raise")
    with pytest.raises(CertificateError, match=r"components .* of 3 are not certified"):
        pca.fit(broad())
    assert not hasattr(pca, "components_")
    pca.set_params(max_iter=600).fit(steep())
    before = pca.components_
    with pytest.raises(CertificateError):
        pca.set_params(max_iter=1).fit(broad())
    assert pca.components_ is before


@pytest.mark.parametrize("fallback", ["warn", "raise"])
def test_only_the_components_that_are_kept_are_judged(fallback):
    x = broad() * [30.0, *[1] * 199]
    pca = SpectralPCA(0.5, engine="constructed", max_iter=1, fallback=fallback)
    pca.fit(x)
    assert pca.n_components_ == 1
    assert pca.certificate_ is not None
    assert pca.certificate_.status == ("certified",)


def test_a_span_that_is_cut_is_not_certified():
    # The second and the third are equal: what is proven of both is not of one.
    x = np.concatenate([np.eye(4), -np.eye(4)]) * [3.0, 2, 2, 0.5]
    whole = SpectralPCA(3, engine="exact").fit(x).certificate_
    assert whole is not None
    assert whole.entries[1].ranks == whole.entries[2].ranks == (2, 3)
    for k in (2, 0.7):
        pca = SpectralPCA(k, engine="exact").fit(x)
        assert pca.n_components_ == 2
        assert pca.certificate_ is not None
        assert pca.certificate_.status == ("certified", "loose")
        assert pca.certificate_.entries[1].ranks == (2, 2)


def test_without_a_certificate():
    pca = SpectralPCA(3, certify=False).fit(steep())
    assert pca.certificate_ is None
    assert pca.engine_ == "constructed"
    assert_allclose(angles(pca.components_, steep()), 0, atol=1e-6)
    hasty = SpectralPCA(3, engine="constructed", certify=False, max_iter=1, tol=1e-9)
    assert hasty.fit(flat()).engine_ == "constructed"


def test_iterations_stop_when_they_are_of_no_more_use():
    easy = SpectralPCA(2, engine="constructed").fit(steep())
    hard = SpectralPCA(2, engine="constructed").fit(flat())
    assert 1 <= easy.n_iter_ < 600
    assert easy.n_iter_ <= hard.n_iter_ <= 600
    assert SpectralPCA(2, engine="exact").fit(flat()).n_iter_ == 1


def test_a_later_fit_starts_from_the_last_components():
    x = np.random.default_rng(1).normal(size=(4000, 12)) * 1.2 ** -np.arange(12)
    pca = SpectralPCA(2, engine="constructed").partial_fit(x[:3800])
    first = pca.n_iter_
    assert pca.partial_fit(x[3800:]).n_iter_ <= first
    assert pca.certificate_ is not None
    assert pca.certificate_.is_certified


def test_why_an_engine_was_chosen(trained):
    reasons = {
        "no trained weights": SpectralPCA(2),
        "4 of at most 4": SpectralPCA(),
        "as asked": SpectralPCA(2, engine="exact"),
        "trained network proposes": SpectralPCA(2, weights=trained),
        "constructed": SpectralPCA(2, engine="constructed"),
    }
    for words, pca in reasons.items():
        pca.fit(IRIS)
        assert words in pca.engine_reason_ or words == pca.engine_
    many = SpectralPCA(33).fit(loaded(load_digits))
    assert "33 of at most 64" in many.engine_reason_
    assert many.engine_ == "exact"
    x = flat(columns=10)
    more = SpectralPCA(5, weights=trained).fit(x)
    assert more.engine_ == "constructed"
    assert "do not fit: n_components=5" in more.engine_reason_


def test_a_trained_network_is_checked_like_any_other(trained):
    pca = SpectralPCA(2, engine="pretrained", weights=trained).fit(steep())
    assert pca.engine_ == "pretrained, exact"
    assert pca.certificate_ is not None
    assert pca.certificate_.status == ("replaced", "replaced")
    assert_allclose(angles(pca.components_, steep()), 0, atol=1e-8)
    with pytest.warns(CertificateWarning, match="'pretrained'"):
        fresh(pca).set_params(fallback="warn").fit(steep())


def test_a_trained_network_that_is_refined(trained):
    pca = SpectralPCA(2, weights=trained).fit(steep())
    assert pca.engine_ == "pretrained, constructed"
    passes, left = divmod(pca.n_iter_ - SMALL.num_products, PASS)
    assert passes >= 1
    assert left == 0
    assert pca.certificate_ is not None
    assert pca.certificate_.status == ("certified", "certified")


@pytest.mark.parametrize("rows", [300, 9])
def test_a_network_that_is_right_is_certified(rows):
    weights = equivariant_power_method(4, 60)
    x = steep()[:rows]
    for k in (2, 4):
        pca = SpectralPCA(k, engine="pretrained", weights=weights).fit(x)
        assert pca.engine_ == "pretrained"
        assert pca.certificate_ is not None
        assert pca.certificate_.is_certified
        assert_allclose(angles(pca.components_, x), 0, atol=1e-8)
        assert pca.n_iter_ == weights.config.replace(num_components=k).num_products


def test_weights_from_folders(trained, tmp_path):
    save_weights(tmp_path / "weights", Network(*trained))
    shape = {"batch_size": 8, "shapes": ((16, 4),), "steps_per_call": 1}
    config = TrainConfig(model=SMALL, num_steps=2, warmup_steps=1, **shape)
    save_checkpoint(tmp_path / "run", config, init_state(config), {})
    pca = SpectralPCA(2, engine="pretrained", weights=trained, certify=False)
    wanted = pca.fit(steep()).components_
    for folder in (tmp_path / "weights", str(tmp_path / "weights")):
        found = fresh(pca).set_params(weights=folder).fit(steep())
        assert_array_equal(found.components_, wanted)
    run = fresh(pca).set_params(weights=tmp_path / "run").fit(steep())
    assert run.components_.shape == wanted.shape


@pytest.mark.usefixtures("no_type_checks")
def test_weights_that_are_refused(trained, tmp_path, monkeypatch):
    config, params = trained
    pca = SpectralPCA(2, engine="pretrained")
    fit = lambda **options: fresh(pca).set_params(**options).fit(steep())
    with monkeypatch.context() as nothing_shipped:
        nothing_shipped.setattr(networks, "pretrained_names", tuple)
        with pytest.raises(ConfigError, match="engine='pretrained' needs weights="):
            fit()
    with pytest.raises(ConfigError, match="n_components=5 is beyond the 4"):
        fit(n_components=5, weights=trained)
    dense = ModelConfig(layout=Dense(dim=12))
    with pytest.raises(ConfigError, match=r"layout=Dense\(...\)"):
        fit(weights=(dense, init_params(dense, jax.random.key(0))))
    softmax = (config.replace(cross_attention="softmax"), params)
    with pytest.raises(ConfigError, match="cross_attention='softmax'"):
        fit(weights=softmax)
    with pytest.raises(ConfigError, match=r"nowhere' is not a folder \(looked in"):
        fit(weights=tmp_path / "nowhere")
    with pytest.raises(ParamsError, match="is not a folder of weights"):
        fit(weights=tmp_path)
    with pytest.raises(ConfigError, match="does not read weights"):
        fit(engine="constructed", weights=trained)
    layout = config.channels.replace(vectors=3)
    with pytest.raises(PretrainedError, match="does not fit its model"):
        fit(weights=(config.replace(layout=layout), params))
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises((ValueError, CheckpointError), match="no checkpoint in"):
        fit(weights=tmp_path / "run")
    for wrong in (5, (), (config,), (1, 2), (config, 2), [config, params]):
        with pytest.raises(ConfigError, match="weights="):
            fit(weights=wrong)


def test_weights_that_do_not_fit_are_not_read_for_auto(tmp_path):
    with pytest.raises(ConfigError, match="is not a folder"):
        SpectralPCA(2, weights=tmp_path / "nowhere").fit(steep())


@pytest.mark.usefixtures("no_type_checks")
@pytest.mark.parametrize(
    ("name", "wrong", "choices"),
    [
        ("engine", "gpu", "auto, constructed, pretrained, exact"),
        ("engine", None, "auto, constructed, pretrained, exact"),
        ("fallback", "svd", "eigh, warn, raise"),
        ("tol", 0, "1e-3"),
        ("tol", float("nan"), "1e-3"),
        ("tol", "small", "1e-3"),
        ("max_iter", 0, "600"),
        ("max_iter", 2.5, "600"),
    ],
)
def test_options_that_are_refused(name, wrong, choices):
    pca = SpectralPCA(2)
    for fit in (pca.fit, pca.partial_fit):
        pca.set_params(**{name: wrong})
        with pytest.raises(ConfigError) as refusal:
            fit(IRIS)
        assert f"{name}={wrong!r}" in str(refusal.value)
        assert choices in str(refusal.value)
    assert not hasattr(pca, "components_")


def test_tables_of_like_shapes_share_a_program():
    rng = np.random.default_rng(0)
    pca = SpectralPCA(2, engine="pretrained")
    pca.fit(rng.normal(size=(200, 9)))  # d = 9..12 are one bucket
    before = _forward._cache_size()  # pyright: ignore[reportAttributeAccessIssue]
    compiled: list[str] = []

    def note(event: str, duration_secs: float, **_: str | int) -> None:
        del duration_secs
        compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        for rows, columns in ((50, 12), (1000, 10), (333, 11), (12, 12), (200, 9)):
            pca.fit(rng.normal(size=(rows, columns)))
        again = [event for event in compiled if "backend_compile" in event]
        pca.fit(rng.normal(size=(50, 13)))
        another = [event for event in compiled if "backend_compile" in event]
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert again == []
    assert another != []
    after = _forward._cache_size()  # pyright: ignore[reportAttributeAccessIssue]
    assert after == before + 1


def test_certificates_are_in_the_units_of_the_table():
    certificates = [
        SpectralPCA(2, engine="exact").fit(IRIS * unit).certificate_
        for unit in (1.0, 2.0**10)
    ]
    assert certificates[0] is not None
    assert certificates[1] is not None
    ours, other = certificates[0].in_units(2.0**20), certificates[1]
    for one, two in zip(ours.entries, other.entries, strict=True):
        for name in dataclasses.asdict(one):
            if name not in ("status", "ranks"):
                assert getattr(one, name) == pytest.approx(getattr(two, name))


def test_no_other_warning():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for k, x in ((3, flat()), (2, IRIS), (1, np.ones((5, 3)))):
            SpectralPCA(k).fit(x).transform(x)
    assert [str(one.message) for one in seen] == []
