"""The recursions that the mixture networks must follow, in plain float64.

Written from the mathematics and sharing nothing with the gadgets, so that tests can
compare the two block by block.
"""

from collections.abc import Callable, Iterator

import numpy as np

Held = dict[str, np.ndarray]


def spectral_scores(x: np.ndarray, start: np.ndarray, num_iters: int) -> np.ndarray:
    """Coordinates of the centred rows on what the power method finds.

    Args:
        x: `[N, d]` valid rows.
        start: `[d]` start vector.
        num_iters: tau steps with the covariance.

    Returns:
        `[N]`; the labels are their signs.

    Source: Golub & Van Loan (2013), section 7.3.1.
    """
    rows = np.asarray(x, np.float64)
    rows = rows - rows.mean(axis=0)
    vector = np.asarray(start, np.float64)
    for _ in range(num_iters):
        image = rows.T @ (rows @ vector)
        length = np.linalg.norm(image)
        vector = image / length if length > 0 else image
    return rows @ vector


def farthest_rows(x: np.ndarray, num_classes: int) -> np.ndarray:
    """Indices of rows far apart: first from the mean, then from those before.

    Args:
        x: `[N, d]` valid rows.
        num_classes: K.

    Returns:
        `[K]` indices.

    Source: Gonzalez (1985), Theoretical Computer Science 38.
    """
    rows = np.asarray(x, np.float64)
    near = np.sum((rows - rows.mean(axis=0)) ** 2, axis=1)
    chosen = [int(np.argmax(near))]
    while len(chosen) < num_classes:
        apart = rows[:, None] - rows[np.array(chosen)][None]
        chosen.append(int(np.argmax(np.min(np.sum(apart**2, axis=2), axis=1))))
    return np.array(chosen)


def responsibilities(
    x: np.ndarray, centres: np.ndarray, sigma: float | None
) -> np.ndarray:
    """`[N, K]` of spherical classes of equal weight; sigma None: of the nearest."""
    squared = np.sum((x[:, None] - centres[None]) ** 2, axis=2)
    if sigma is None:
        return np.eye(len(centres))[np.argmin(squared, axis=1)]
    logits = -squared / (2 * sigma**2)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def em_recursion(
    x: np.ndarray,
    num_classes: int,
    num_iters: int,
    sigma: float | None,
    entropy: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Iterator[Held]:
    """The `lloyd` and `em` networks, block by block.

    Args:
        x: `[N, d]` valid rows.
        num_classes: K.
        num_iters: tau.
        sigma: of the noise; None for Lloyd.
        entropy: what stands for -r log r in the M step; None for the exact step.

    Yields:
        `c [K, d]` centres, relative to the mean of the rows, and `r [N, K]` where an E
        step has left responsibilities, else 0.

    Source: Lloyd (1982); Dempster, Laird & Rubin (1977).
    """
    rows = np.asarray(x, np.float64)
    rows = rows - rows.mean(axis=0)
    nothing = np.zeros((len(rows), num_classes))
    centres = np.zeros((num_classes, rows.shape[1]))
    yield {"c": centres, "r": nothing}  # begin
    for index, row in enumerate(farthest_rows(rows, num_classes)):
        if index:
            yield {"c": centres, "r": nothing}  # nearest
        centres = np.array(centres)
        centres[index] = rows[row]
        yield {"c": centres, "r": nothing}
    for _ in range(num_iters):
        shares = responsibilities(rows, centres, sigma)
        yield {"c": centres, "r": shares}
        weights = np.array(shares)
        if entropy is not None:
            # The network knows log-sum-exp only as far as its entropy is right.
            exact = -np.sum(shares * np.log(np.maximum(shares, 1e-300)), axis=1)
            error = exact - np.sum(entropy(shares), axis=1)
            weights = shares * np.exp(error)[:, None]
        counts = weights.sum(axis=0)
        means = weights.T @ rows / np.where(counts > 0, counts, 1.0)[:, None]
        centres = np.where(counts[:, None] > 0, means, 0.0)
        yield {"c": centres, "r": nothing}
    yield {"c": centres, "r": responsibilities(rows, centres, sigma)}
