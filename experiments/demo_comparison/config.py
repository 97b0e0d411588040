"""The demo comparison over several seeds.

Claim: one transformer module, constructed or trained for 400 steps, against orthogonal
    iteration with as many products with S, on synthetic and real tables: constructed
    weights give its answer, trained weights a better one.
Source: ours; the constructed weights are DESIGN section 5, after He et al. (2025),
    arXiv:2501.01312; the digits are scikit-learn's.
Command: python experiments/demo_comparison/run.py
    python experiments/demo_comparison/plot.py
Expected: constructed equal to orthogonal iteration to 4 digits; the trained network
    above it, and above its own untrained start, on every rank in each of three seeds,
    which `pytest -m long tests/apps/test_demo.py` asks.
Wall time: 18 minutes on 2 busy CPU cores, with compiled programs kept between seeds.
"""

from typing import Any

from spectral_tf.apps.demo import DemoConfig


def demo_config(seed: int, *, smoke: bool = False) -> DemoConfig:
    """The demo with its default settings; a smoke run is a small one of seconds."""
    if not smoke:
        return DemoConfig(seed=seed)
    tiny: Any = {"num_instances": 16, "max_blocks": 8, "num_iters": 5, "svd": 0}
    return DemoConfig(seed=seed, steps=2, **tiny)
