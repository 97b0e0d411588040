"""After a fork JAX is refused, not waited for; other ways to use processes work."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

from spectral_tf.estimators import SpectralPCA

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(
    not hasattr(__import__("os"), "fork"), reason="no fork on this system"
)

PREAMBLE = """
import os, warnings
import numpy as np
warnings.simplefilter("ignore")  # JAX's own, at the fork
os.environ["OMP_NUM_THREADS"] = "1"

x = np.random.default_rng(0).normal(size=(30, 4)) * [4.0, 3.0, 2.0, 1.0]


def in_child(work):
    '''What `work` says in a forked child; a child that hangs is killed.'''
    import select, signal
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    ready, _, _ = select.select([read], [], [], 200)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return os.read(read, 10_000).decode() if ready else "HANG"
"""


def said(script: str) -> list[str]:
    """Lines that a script prints in a process of its own, after `PREAMBLE`."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_child_of_a_process_that_used_jax_gets_one_clear_line():
    lines = said(
        """
        import jax
        import spectral_tf
        from spectral_tf.config import ClusterModelConfig
        from spectral_tf.estimators import NetworkClusterer, SpectralPCA
        from tests.problems import random_params

        before = in_child(lambda: SpectralPCA(2, engine="exact").fit(x).n_components_)
        assert before == "2", before
        tiny = ClusterModelConfig(num_blocks=1)
        clusterer = NetworkClusterer(2, weights=(tiny, random_params(tiny)))
        clusterer.num_starts = 1
        clusterer.fit(x)
        config, params = spectral_tf.power_method_params(4, 2, 3)
        for work in (
            lambda: clusterer.predict(x),
            lambda: clusterer.fit(x),
            lambda: SpectralPCA(2, weights="pca-small").fit(x),
            lambda: SpectralPCA(2, engine="pretrained").fit(x),
            lambda: spectral_tf.predict(config, params, x),
            lambda: spectral_tf.load_pretrained("pca-small"),
            lambda: spectral_tf.sample_batch(jax.random.key(0), None, 2),
            lambda: in_child(lambda: SpectralPCA(2, engine="pretrained").fit(x)),
        ):
            print(in_child(work))
        print(in_child(lambda: SpectralPCA(2, engine="exact").fit(x).n_components_))
        print(in_child(lambda: SpectralPCA(2).partial_fit(x).engine_))
        print(in_child(lambda: SpectralPCA(2).fit(x).engine_))
        print(SpectralPCA(2).fit(x).engine_)
        """
    )
    assert len(lines) == 12
    for line in lines[:-4]:
        assert "ForkError: process " in line
        assert all(word in line for word in ("spawn", "forkserver", "loky"))
    # No JAX in these two engines; the parent goes on.
    assert lines[-4:] == ["2", "constructed", "constructed", "constructed"]


def test_a_child_of_a_process_that_only_imported_works():
    lines = said(
        """
        import spectral_tf.apps.cli
        from spectral_tf.estimators import SpectralPCA

        print(in_child(lambda: SpectralPCA(2).fit(x).engine_))
        print(SpectralPCA(2).fit(x).engine_)
        """
    )
    assert lines == ["constructed", "constructed"]


def test_a_fork_before_the_import_is_seen():
    lines = said(
        """
        import jax
        jax.devices()

        def work():
            from spectral_tf.estimators import SpectralPCA
            return SpectralPCA(2, engine="pretrained").fit(x)

        print(in_child(work))
        """
    )
    assert lines[0].startswith("ForkError: ")


TABLE = np.random.default_rng(0).normal(size=(40, 4)) * [4.0, 3.0, 2.0, 1.0]


@pytest.mark.filterwarnings("ignore:os.fork")  # loky's fork is followed by an exec
def test_parallel_scikit_learn_works_after_jax_was_used():
    pca = SpectralPCA(2).fit(TABLE)
    scores = [
        GridSearchCV(pca, {"n_components": [1, 2]}, cv=2, n_jobs=jobs)
        .fit(TABLE)
        .cv_results_["mean_test_score"]
        for jobs in (None, 2)
    ]
    np.testing.assert_allclose(scores[1], scores[0])
    together = cross_val_score(pca, TABLE, cv=2, n_jobs=2)
    np.testing.assert_allclose(together, cross_val_score(pca, TABLE, cv=2))
