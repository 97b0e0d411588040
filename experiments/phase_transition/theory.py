r"""What theory says of the misclassification at :math:`r = |\mu|` and a = d / N.

The noise is standard normal, and :math:`\Phi` its distribution function. The first
rate and the last are exact, the others are limits.

*Others' labels known.* With N labels :math:`y_j` the best estimate of :math:`\mu` is
their mean of :math:`y_j x_j`, which has noise of variance d / N in all; a new row is
then on the wrong side with probability

.. math:: \Phi(-s), \quad s^2 = r^4 / (r^2 + a).

This is Ndaoud's minimax rate. It falls to 1/N at :math:`s^2 = 2 \log N`, that is at
:math:`r^2 = (1 + \sqrt{1 + 2d / (N \log N)}) \log N`, the threshold of exact recovery
in the abstract of arXiv:1812.08078.

*Spectral limit.* For N, d to infinity the leading left singular vector of the rows has
the squared cosine :math:`c^2 = 1 - (r^2 + a) / (r^2 (r^2 + 1))` to y if :math:`r^4 >
a`, else 0 (Benaych-Georges & Nadakuditi 2012, section 3.1), and its entries look like
:math:`c y_i` and normal noise of variance :math:`1 - c^2`. A sign is then wrong with
probability

.. math:: \Phi\bigl(-\sqrt{(r^4 - a) / (r^2 + a)}\bigr).

*Limit of the floor.* The labels of the others are not known, but guessed with overlap
q, and then :math:`s^2 = \gamma` with the fixed point

.. math:: q = E \tanh(\gamma + \sqrt\gamma Z), \quad
   \gamma = r^2 \rho / (1 + \rho), \quad \rho = q r^2 / a.

With q = 1 it is Ndaoud's :math:`s^2`. Source: Lesieur et al. (2016), arXiv:1610.02918,
for the method; the formula for two classes is derived as above.

*The price of centring.* Classes are even in law only, so the mean of the rows lies off
the middle between them. One who knows :math:`\mu` and takes the side of :math:`x_i -
\bar x` errs, with :math:`\bar y` the mean of the N signs, with probability

.. math:: E\,\Phi\bigl(-r (1 - \bar y) / \sqrt{1 - 1/N}\bigr) \quad (y_i = 1),

exactly; for large r this is nearly :math:`\Phi(-r / \sqrt{1 + r^2/N})`.
"""

import math

import numpy as np
from scipy.stats import binom, norm

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(101)
STEPS = 2000
"""Of the iteration to the fixed point, at most; it is slow near the threshold alone."""
RATES = (
    "knows mu",
    "others' labels known",
    "floor, limit",
    "spectral, limit",
    "exp(-|mu|^2 / 2)",
    "knows mu, rows centred",
)


def tail(square: float) -> float:
    """Phi(-sqrt(square))."""
    return float(norm.cdf(-math.sqrt(max(square, 0.0))))


def best_naming(rate: float, num_samples: int) -> float:
    """E min(H, N - H) / N for H of the law Bin(N, rate): rows wrong independently."""
    wrong = np.arange(num_samples + 1)
    named = np.minimum(wrong, num_samples - wrong)
    return float(binom.pmf(wrong, num_samples, rate) @ named) / num_samples


def centred(signal: float, num_samples: int) -> float:
    """Error of one who knows mu and centres the rows."""
    others = np.arange(num_samples)
    mean = (1 + 2 * others - (num_samples - 1)) / num_samples
    place = -signal * (1 - mean) / math.sqrt(1 - 1 / num_samples)
    return float(binom.pmf(others, num_samples - 1, 0.5) @ norm.cdf(place))


def floor_limit(signal: float, aspect: float) -> float:
    """Phi(-sqrt(gamma)) at the fixed point, from the side of the truth."""
    gamma = signal**2
    for _ in range(STEPS):
        spread = np.tanh(gamma + math.sqrt(gamma) * NODES)
        overlap = float(WEIGHTS @ spread / WEIGHTS.sum())
        rho = max(overlap, 0.0) * signal**2 / aspect
        last, gamma = gamma, signal**2 * rho / (1 + rho)
        if abs(gamma - last) < 1e-9:
            break
    return tail(gamma)


def threshold(dim: int, num_samples: int) -> float:
    """|mu| below which, for N, d to infinity, no method beats guessing: (d/N)^(1/4)."""
    return (dim / num_samples) ** 0.25


def rates(dim: int, num_samples: int, signal: float) -> dict[str, float]:
    """Each of `RATES`.

    The first is exact for N rows: Phi(-|mu|), less what the better of two namings
    gains.
    """
    aspect, square = dim / num_samples, signal**2
    values = (
        best_naming(tail(square), num_samples),
        tail(square**2 / (square + aspect)),
        floor_limit(signal, aspect),
        tail((square**2 - aspect) / (square + aspect)),
        min(math.exp(-square / 2), 0.5),
        centred(signal, num_samples),
    )
    return dict(zip(RATES, values, strict=True))
