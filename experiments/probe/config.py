"""Does the trained network run a power method?

Claim: none beforehand.
Source: ours; orthogonal iteration, Krylov spaces and Chebyshev polynomials are those of
    Saad (2011), Numerical Methods for Large Eigenvalue Problems, chapters 4 to 6.
Command: python experiments/probe/run.py
Expected: README.md holds the tables.
Wall time: README.md.
"""

import dataclasses

from spectral_tf import EnsembleConfig
from spectral_tf.config import MarchenkoPastur, PowerLaw, Spiked

SEED = 20_260
"""Of all instances; no checkpoint trains with it."""

COMPONENTS = 4
"""k, the ranks that are looked at."""

FAMILIES = (
    EnsembleConfig(),
    EnsembleConfig(family=PowerLaw(exponent_range=(0.3, 2.0))),
    EnsembleConfig(family=MarchenkoPastur()),
    EnsembleConfig(family=Spiked(rank=8, spike_range=(2.0, 20.0))),
)
"""Spectra that differ, for what depends on the instance."""


@dataclasses.dataclass(frozen=True)
class Study:
    """What is run.

    Attributes:
        cases: (d, N, instances) of the authors' family.
        products: of the two references.
        most_orders: largest order of orthogonal iteration that is compared.
        pair: lambda_2 / lambda_1 of the first sweep.
        edge: lambda_9 / lambda_1 of the second sweep.
        sweep_count: instances of each spectrum of a sweep.
        sweep_dim: d of the sweeps, as in the second case.
        sweep_samples: N of the sweeps, >= 2 d, as in the second case.
        ablation_count: instances of an ablation, the first ones of the last case.
        mixed: (d, N, instances per family) of what depends on the instance.
        families: of these.
    """

    cases: tuple[tuple[int, int, int], ...] = ((10, 50, 512), (30, 100, 256))
    products: int = 12
    most_orders: int = 96
    pair: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    edge: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    sweep_count: int = 64
    sweep_dim: int = 30
    sweep_samples: int = 100
    ablation_count: int = 64
    mixed: tuple[int, int, int] = (48, 100, 48)
    families: tuple[EnsembleConfig, ...] = FAMILIES


def study(*, smoke: bool = False) -> Study:
    """The study, or a small one of seconds."""
    if not smoke:
        return Study()
    return Study(
        # One shape throughout, which is compiled once.
        cases=((30, 60, 8),),
        products=8,
        most_orders=12,
        pair=(0.5, 0.9),
        edge=(0.3, 0.6),
        sweep_count=8,
        sweep_samples=60,
        ablation_count=8,
        mixed=(30, 60, 4),
        families=FAMILIES[:2],
    )
