"""Misclassification of a two-class mixture through its phase transition.

Claim: the spectral method, and so the constructed network, has the least possible
    misclassification up to what vanishes with a growing signal.
Source: Ndaoud (2018), arXiv:1812.08078, and Loffler, Zhang & Zhou (2021),
    arXiv:1911.00538, for the rates; the curve of the least misclassification is ours
    (`floor.py`), its limit and that of the spectral method are in `theory.py`.
Command: python experiments/phase_transition/run.py
Expected: README.md holds the tables.
Wall time: README.md.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Study:
    """What is run.

    Attributes:
        cases: (d, N) of each panel.
        em_cases: those in which the constructed EM network runs too.
        signals: |mu|, the standard deviation of the noise being 1.
        instances: of each point.
        many: of each point, for what is cheap; the first ones are the `instances`.
        checked: instances of the second chain of the floor.
        chain: of the floor: sweeps thrown away, means kept, sweeps for each of them.
        long_chain: the same of the second chain, which starts at the true mean.
        num_iters: tau of the constructed networks.
        deep_iters: tau of a deeper spectral network, at `deep_signal` alone.
        deep_instances: of that network.
        deep_signal: |mu|, one of `signals`.
        shown: those of `signals` that are in the tables.
        seed: of all.
    """

    cases: tuple[tuple[int, int], ...] = ((2, 64), (10, 64), (10, 256), (50, 100))
    em_cases: tuple[tuple[int, int], ...] = ((2, 64), (10, 64))
    signals: tuple[float, ...] = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 3.5)
    instances: int = 400
    many: int = 1000
    checked: int = 200
    chain: tuple[int, int, int] = (200, 400, 4)
    long_chain: tuple[int, int, int] = (200, 600, 4)
    num_iters: int = 20
    deep_iters: int = 80
    deep_instances: int = 100
    deep_signal: float = 1
    shown: tuple[float, ...] = (0.5, 1, 1.5, 2, 3)
    seed: int = 20_261


def study(*, smoke: bool = False) -> Study:
    """The study, or a small one of seconds."""
    if not smoke:
        return Study()
    sizes: dict[str, Any] = {"instances": 4, "many": 6, "checked": 4}
    return Study(
        cases=((2, 16),),
        em_cases=((2, 16),),
        signals=(2,),
        # One length each, which is compiled once.
        chain=(5, 20, 1),
        long_chain=(5, 20, 1),
        num_iters=2,
        deep_iters=2,
        deep_signal=2,
        shown=(2,),
        **sizes,
    )
