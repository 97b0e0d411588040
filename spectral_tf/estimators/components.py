"""How many components: a number, a share of the variance, all, or Minka's choice."""

import dataclasses
from collections.abc import Callable

import numpy as np

from spectral_tf.certificate import Certificate
from spectral_tf.certificate.block import RIGHT
from spectral_tf.config import ConfigError, require
from spectral_tf.config.wording import counted
from spectral_tf.estimators.dimension import enough_for, minka_of
from spectral_tf.estimators.engines import rank_limit
from spectral_tf.estimators.solution import Solution, Summary

FIRST_GUESS = 4
"""Components to begin with where a share of the variance is asked for."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Components that were asked for.

    Attributes:
        number: k, or None where it depends on the eigenvalues.
        most: min(N, d).
        share: of the variance, or None.
        summary: of the table.
        dtype: in which the table came.
    """

    number: int | None
    most: int
    share: float | None
    summary: Summary
    dtype: np.dtype

    def solved(self, solve: Callable[[int], Solution]) -> Solution:
        """The solution with as many components as asked for.

        Args:
            solve: gives the top k for any k.

        Returns:
            The solution.
        """
        if self.number is not None:
            return solve(self.number)
        if self.share is None:
            return first_of(solve(self.most), minka_of(self.summary, self.dtype))
        k = min(FIRST_GUESS, self.most)
        while True:
            solution = solve(k)
            enough = enough_for(
                self.share, solution.eigenvalues, self.summary, self.dtype
            )
            if enough is not None or k == self.most:
                return first_of(solution, enough or k)
            k = min(2 * k, self.most)


def component_count(
    wanted: int | float | str | None, summary: Summary, dtype: np.dtype
) -> Wanted:
    """Check what was asked for against the table.

    Args:
        wanted: the parameter `n_components`.
        summary: of the table.
        dtype: in which the table came.

    Returns:
        What to solve for.

    Raises:
        ConfigError: if it is out of bounds.

    Source: the rules of `sklearn.decomposition.PCA`.
    """
    most, count = rank_limit(summary.source), summary.count
    most = min(most, count)
    make = lambda number, share=None: Wanted(number, most, share, summary, dtype)
    if wanted is None:
        return make(most)
    if isinstance(wanted, str):
        dim = summary.source.dim
        require(
            wanted == "mle",
            f"n_components={wanted!r} is unknown; give a number, a share in (0, 1), "
            "None or 'mle'.",
        )
        require(
            count >= dim,
            "n_components='mle' needs as many rows as columns, not "
            f"{counted(count, 'row')} and {counted(dim, 'column')}; give a number.",
        )
        return make(None)
    if isinstance(wanted, float | np.floating) and 0 < wanted < 1:
        return make(None, float(wanted))
    is_whole = isinstance(wanted, int | np.integer) and not isinstance(wanted, bool)
    if not is_whole or not 0 <= wanted <= most:
        raise ConfigError(
            f"n_components={wanted!r} must be a whole number in 1..{most} = "
            f"min(n_samples={count}, n_features={summary.source.dim}), 0 for none, "
            "a share of the variance in (0, 1), None or 'mle'."
        )
    return make(int(wanted))


def first_of(solution: Solution, k: int) -> Solution:
    """The first k eigenpairs of a solution, with the certificate of those."""
    return dataclasses.replace(
        solution,
        eigenvalues=solution.eigenvalues[:k],
        eigenvectors=solution.eigenvectors[:k],
        certificate=solution.certificate and first_entries(solution.certificate, k),
    )


def first_entries(certificate: Certificate, k: int) -> Certificate:
    """What is proven about the first k; a span that is cut is proven no more."""
    entries = tuple(
        entry
        if entry.ranks[1] <= k
        else dataclasses.replace(
            entry,
            status="loose" if entry.status == "certified" else entry.status,
            ranks=(entry.rank, entry.rank),
            gap=0.0,
            angle_bound=RIGHT,
        )
        for entry in certificate.entries[:k]
    )
    return dataclasses.replace(certificate, entries=entries)


def precision_of(
    components: np.ndarray, variances: np.ndarray, noise: float, rank: int
) -> np.ndarray:
    r"""The inverse of :math:`W^\top \operatorname{diag}(v - \sigma^2) W + \sigma^2 I`.

    Args:
        components: W `[k, d]`, orthonormal rows.
        variances: v `[k]`.
        noise: sigma^2.
        rank: components that vary by more than rounding.

    Returns:
        `[d, d]`: by the matrix inversion lemma, where W has fewer rows than columns
        and sigma^2 > 0; else the pseudo-inverse, which has no part in null directions.

    Source: Tipping & Bishop (1999), section 3.
    """
    if len(components) == components.shape[1] or noise <= 0:
        is_leading = (np.arange(len(variances)) < rank) & (variances > 0)
        leading = components[is_leading]
        return (leading.T / variances[is_leading]) @ leading
    shares = np.maximum(1 - noise / np.maximum(variances, noise), 0.0)
    precision = -(components.T * shares) @ components
    precision.flat[:: len(precision) + 1] += 1.0
    return precision / noise
