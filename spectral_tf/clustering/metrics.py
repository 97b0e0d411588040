r"""Scores of one answer against one mixture, in numpy and float64.

*The right permutation.* Numbers of clusters mean nothing. An answer is matched to the
truth by the permutation :math:`\pi` (found cluster j is class :math:`\pi_j`) with the
least cost :math:`\sum_j C_{j\pi_j}`. Aligning then reads :math:`\pi` forwards for
labels (:math:`\hat z_i \to \pi_{\hat z_i}`) and for rows of parameters (row j of the
answer belongs to row :math:`\pi_j` of the truth). Reading one of the two through the
inverse is right only where :math:`\pi = \pi^{-1}`: wrong for 2 of 6, 14 of 24 and 94 of
120 permutations of 3, 4 and 5 classes.

*What counts.* Masked rows never count. Outliers (label -1) are given to the methods
as any other row, and are left out of every score: of misclassification, ARI and NMI
since no class is right, of the likelihood since no class made them.
"""

import dataclasses
import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.linalg import solve_triangular
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln, logsumexp
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from spectral_tf.clustering.instances import ClusterInstance
from spectral_tf.config import DataError
from spectral_tf.config.wording import counted

MOST_ENUMERATED = 5
"""Largest K of which all K! permutations are tried."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClusterAnswer:
    """What a method says of the n valid rows of an instance.

    Attributes:
        labels: `[n]` cluster of each row, 0 and up.
        probabilities: `[n, K]` of each cluster, rows sum to 1; None if there are none.
        means: `[K, d]`, units of x; None if the method has none.
        covariances: `[K, d]` variances of the features, or `[K, d, d]`; None as above.
        weights: `[K]` >= 0, sum 1; None as above.
        degrees_of_freedom: of the noise, infinity if normal; with a finite one
            `covariances` are the squared scales of a multivariate t.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None = None
    means: np.ndarray | None = None
    covariances: np.ndarray | None = None
    weights: np.ndarray | None = None
    degrees_of_freedom: float = math.inf


class Scores(NamedTuple):
    """Scores of one answer; NaN where the answer lacks what a score needs.

    Attributes:
        misclassification: share of wrong rows under the best matching, in [0, 1].
        excess: that minus the same of the Bayes rule on the same rows; it can be
            negative, as the rule is best on average only.
        ari: adjusted Rand index, at most 1.
        nmi: normalised mutual information, in [0, 1].
        mean_error: mean distance of a mean from its own, units of x.
        weight_error: mean absolute difference of a weight from its own.
        log_likelihood: of the answer's mixture, nats per row.
        log_likelihood_gap: of the true mixture, minus that; nats per row.
    """

    misclassification: float
    excess: float
    ari: float
    nmi: float
    mean_error: float
    weight_error: float
    log_likelihood: float
    log_likelihood_gap: float


@functools.cache
def permutations(count: int) -> np.ndarray:
    """`[count!, count]` all permutations, in lexicographic order."""
    return np.array(list(itertools.permutations(range(count))))


def best_matching(cost: Float[np.ndarray, "K K"]) -> Int[np.ndarray, " K"]:
    """The permutation of least cost.

    Args:
        cost: `[K, K]` of found cluster j (row) standing for class c (column).

    Returns:
        `[K]` the class of each found cluster. All K! are tried for K <= 5, the
        Hungarian algorithm finds it beyond.

    Source: Kuhn (1955) for the assignment problem; scipy solves it.
    """
    count = len(cost)
    if count > MOST_ENUMERATED:
        return linear_sum_assignment(cost)[1]
    tried = permutations(count)
    totals = cost[np.arange(count)[None], tried].sum(axis=1)
    return tried[np.argmin(totals)]


def counts_of(
    clusters: Int[np.ndarray, " n"], truth: Int[np.ndarray, " m"], num_classes: int
) -> Float[np.ndarray, "J J"]:
    """Rows in found cluster j and class c, square.

    Args:
        clusters: `[n]` clusters, 0 and up; there may be fewer or more than K.
        truth: `[m]` classes, 0 to K - 1; m must be n.
        num_classes: K.

    Returns:
        `[J, J]` with J the larger number of the two; missing ones have no rows.

    Raises:
        DataError: if the lengths differ, there is no row, or a label is negative.
    """
    if len(clusters) != len(truth) or len(truth) == 0:
        raise DataError(
            f"labels of {counted(len(clusters), 'row')} were given for "
            f"{counted(len(truth), 'row')} of a class; give one label for each valid "
            "row, and at least one row."
        )
    least = min(clusters.min(), truth.min())
    if least < 0:
        raise DataError(
            f"the smallest label is {least}; labels to compare must be 0 and up, so "
            "leave outliers (-1) out."
        )
    size = max(num_classes, int(clusters.max()) + 1, int(truth.max()) + 1)
    counts = np.zeros((size, size))
    np.add.at(counts, (clusters, truth), 1.0)
    return counts


def misclassification(
    clusters: Int[np.ndarray, " n"], truth: Int[np.ndarray, " m"], num_classes: int
) -> float:
    """Share of rows that no renaming of the clusters makes right.

    Args:
        clusters: `[n]` clusters, 0 and up.
        truth: `[m]` classes, 0 to K - 1; m must be n, and outliers must be left out.
        num_classes: K.

    Returns:
        In [0, 1]. A cluster beyond the K that match one class is wrong altogether.

    Raises:
        DataError: as `counts_of`.

    Source: as the top of this file.
    """
    match = best_matching(-counts_of(clusters, truth, num_classes))
    return float(np.mean(match[clusters] != truth))


def matched_parameters(
    answer: ClusterAnswer, means: Float[np.ndarray, "K d"]
) -> Int[np.ndarray, " K"] | None:
    """The class of each row of the answer's parameters: nearest means, in all.

    Args:
        answer: its `means` are read.
        means: `[K, d]` true ones.

    Returns:
        `[K]` the permutation with the least sum of squared distances; None if the
        answer has no means, or another number of them.
    """
    if answer.means is None or answer.means.shape != means.shape:
        return None
    apart = np.asarray(answer.means, np.float64)[:, None] - means[None]
    return best_matching(np.sum(apart**2, axis=2))


def log_densities(
    x: Float[np.ndarray, "n d"],
    means: Float[np.ndarray, "K d"],
    covariances: Float[np.ndarray, "K *d"],
    degrees_of_freedom: float = math.inf,
) -> Float[np.ndarray, "n K"]:
    r"""Logarithm of each class's density at each row.

    Args:
        x: `[n, d]` rows.
        means: `[K, d]`.
        covariances: `[K, d]` variances, or `[K, d, d]`; of the normal, or of the scales
            of a multivariate t.
        degrees_of_freedom: nu; infinity for the normal.

    Returns:
        `[n, K]` nats.

    Source: Kotz & Nadarajah (2004), eq. (1.1), for the t.
    """
    x, dim = np.asarray(x, np.float64), x.shape[1]
    squared, log_root = [], []
    for mean, covariance in zip(means, covariances, strict=True):
        apart = x - np.asarray(mean, np.float64)
        covariance = np.asarray(covariance, np.float64)
        if covariance.ndim == 1:
            squared.append(np.sum(apart**2 / covariance, axis=1))
            log_root.append(0.5 * np.sum(np.log(covariance)))
        else:
            root = np.linalg.cholesky(covariance)
            white = solve_triangular(root, apart.T, lower=True)
            squared.append(np.sum(white**2, axis=0))
            log_root.append(np.sum(np.log(np.diag(root))))
    distance, offset = np.stack(squared, axis=1), np.array(log_root)
    nu = degrees_of_freedom
    if math.isinf(nu):
        return -0.5 * (distance + dim * math.log(2 * math.pi)) - offset
    constant = gammaln((nu + dim) / 2) - gammaln(nu / 2)
    constant -= 0.5 * dim * math.log(nu * math.pi)
    return constant - offset - 0.5 * (nu + dim) * np.log1p(distance / nu)


def joint_log_densities(
    x: Float[np.ndarray, "n d"], answer: ClusterAnswer
) -> Float[np.ndarray, "n K"] | None:
    """Logarithm of weight times density of each component; None if one is missing."""
    means, covariances, weights = answer.means, answer.covariances, answer.weights
    if means is None or covariances is None or weights is None:
        return None
    densities = log_densities(x, means, covariances, answer.degrees_of_freedom)
    with np.errstate(divide="ignore"):  # an empty component has weight 0
        return densities + np.log(np.asarray(weights, np.float64))


def log_likelihood(x: Float[np.ndarray, "n d"], answer: ClusterAnswer) -> float:
    r"""Mean log-likelihood of a row: :math:`\frac1n\sum_i\log\sum_k w_k p_k(x_i)`.

    The sum over components is inside the logarithm, that over rows outside.

    Args:
        x: `[n, d]` rows.
        answer: its means, covariances and weights are read.

    Returns:
        Nats per row; NaN if one of the three is missing.

    Source: McLachlan & Peel (2000), Finite Mixture Models, section 1.4.
    """
    joint = joint_log_densities(x, answer)
    return math.nan if joint is None else float(np.mean(logsumexp(joint, axis=1)))


def valid_part(
    instance: ClusterInstance,
) -> tuple[Shaped[np.ndarray, "n d"], Int[np.ndarray, " n"]]:
    """`(rows, labels)` of the valid rows of one instance, outliers among them."""
    mask = np.asarray(instance.mask)
    return np.asarray(instance.x)[mask], np.asarray(instance.labels)[mask]


def bayes_rule(instance: ClusterInstance) -> ClusterAnswer:
    """The answer of one who knows the parameters: the most probable class.

    Args:
        instance: one instance.

    Returns:
        The answer on its valid rows, with the true parameters. No method has a smaller
        expected share of wrong rows, outliers left out.

    Source: Devroye, Gyorfi & Lugosi (1996), theorem 2.1.
    """
    rows, _ = valid_part(instance)
    truth = ClusterAnswer(
        labels=np.zeros(len(rows), np.int64),
        means=np.asarray(instance.means, np.float64),
        covariances=np.asarray(instance.scales, np.float64) ** 2,
        weights=np.asarray(instance.weights, np.float64),
        degrees_of_freedom=float(instance.degrees_of_freedom),
    )
    joint = joint_log_densities(rows, truth)
    assert joint is not None
    posterior = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    return dataclasses.replace(
        truth, labels=np.argmax(joint, axis=1), probabilities=posterior
    )


def score(
    answer: ClusterAnswer,
    instance: ClusterInstance,
    bayes: ClusterAnswer | None = None,
) -> Scores:
    """Scores of one answer on one instance.

    Args:
        answer: on the valid rows, in their order.
        instance: one instance.
        bayes: `bayes_rule(instance)`; None computes it.

    Returns:
        The scores.

    Raises:
        DataError: if the answer has another number of labels than there are valid
            rows, a label is negative, or every valid row is an outlier.

    Source: as the top of this file.
    """
    bayes = bayes_rule(instance) if bayes is None else bayes
    rows, truth = valid_part(instance)
    labels = np.asarray(answer.labels)
    if labels.shape != truth.shape:
        raise DataError(
            f"the answer has labels {labels.shape} for "
            f"{counted(len(truth), 'valid row')}; give one label for each, in order."
        )
    is_scored, num_classes = truth >= 0, len(instance.weights)
    rows, truth, labels = rows[is_scored], truth[is_scored], labels[is_scored]
    wrong = misclassification(labels, truth, num_classes)
    best = misclassification(bayes.labels[is_scored], truth, num_classes)
    likelihood = log_likelihood(rows, answer)
    mean_error, weight_error = _parameter_errors(answer, instance)
    return Scores(
        misclassification=wrong,
        excess=wrong - best,
        ari=float(adjusted_rand_score(truth, labels)),
        nmi=float(normalized_mutual_info_score(truth, labels)),
        mean_error=mean_error,
        weight_error=weight_error,
        log_likelihood=likelihood,
        log_likelihood_gap=log_likelihood(rows, bayes) - likelihood,
    )


def _parameter_errors(
    answer: ClusterAnswer, instance: ClusterInstance
) -> tuple[float, float]:
    """Of means and of weights, under the one matching of the means."""
    means = np.asarray(instance.means, np.float64)
    match = matched_parameters(answer, means)
    if match is None or answer.means is None:
        return math.nan, math.nan
    distances = np.linalg.norm(answer.means - means[match], axis=1)
    if answer.weights is None:
        return float(np.mean(distances)), math.nan
    apart = np.abs(answer.weights - np.asarray(instance.weights, np.float64)[match])
    return float(np.mean(distances)), float(np.mean(apart))
