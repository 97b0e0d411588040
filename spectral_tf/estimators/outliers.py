r"""Outliers: rows that the leading components cannot reconstruct, or that lie far out.

*The combined score.* Call :math:`t_j` the coordinate of a row in component j,
:math:`s_j` its standard deviation over the training rows, q the distance of the row
from its reconstruction and :math:`\sigma^2` the variance of a training row in each of
the directions that are left and vary, all alike (d - k, without constant columns and
the like). Then

.. math:: \textstyle\sqrt{\sum_j t_j^2 / s_j^2 + q^2 / \sigma^2}

is the Mahalanobis distance of the row in the model of probabilistic PCA (Tipping &
Bishop, 1999): Hotelling's statistic beside the residual's, on one scale.

*Rounding.* Where columns depend on one another exactly (totals, shares that sum to 1, a
copy in other units), k components leave nothing, and what is computed as a distance is
rounding. `floor.py` bounds it for each row; a distance or a coordinate in a
null direction that is no larger is 0, in every answer of the detector.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from spectral_tf.config import ConfigError, DataError, require
from spectral_tf.config.wording import percent
from spectral_tf.estimators.dimension import varying_directions
from spectral_tf.estimators.floor import Floor, entry_rounding
from spectral_tf.estimators.networks import Weights
from spectral_tf.estimators.pca import SpectralPCA
from spectral_tf.estimators.robust import (
    MEDIAN_ROWS,
    lengths,
    noise_of,
    on_sphere,
    robust_threshold,
    spatial_median,
    spread_of,
)
from spectral_tf.estimators.validation import (
    check_choice,
    check_flags,
    origin_of,
    unchanged_on_error,
    validated,
)
from spectral_tf.exact import restored
from spectral_tf.moments import split

SOUND = 5
"""Standard deviations that a sound row may be off."""
JUDGES = ("residual", "combined")


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Why rows are strange.

    Attributes:
        distance: `[N]` from each row to its reconstruction; units of the table.
        residual: `[N, d]` row minus reconstruction.
        feature_share: `[N, d]` share of each feature in the squared distance; rows sum
            to 1, or are 0 where the distance is.
        component_score: `[N, k]` coordinate in each component over its standard
            deviation: how unusual the row is inside the model.
        contribution: `[N, d]` what each feature adds to the squared score; the sum over
            the features is the squared score. With `judge="combined"` a feature that
            makes a row less strange adds a negative number.
        names: of the features.
        inside_share: `[N]` of the squared score, what the place inside the components
            gives; 0 with `judge="residual"`.

    Source: Alcala & Qin (2009), partial decomposition contributions.
    """

    distance: np.ndarray
    residual: np.ndarray
    feature_share: np.ndarray
    component_score: np.ndarray
    contribution: np.ndarray
    names: tuple[str, ...]
    inside_share: np.ndarray

    def sentence(self, row: SupportsIndex, most: int = 3) -> str:
        """The features and the component that made a row strange, in words.

        Args:
            row: index.
            most: features named.

        Returns:
            One sentence; the component comes first where most of the score is due to
            the place inside the components.
        """
        share, left = self.feature_share[row], self.residual[row]
        order = np.argsort(-share, kind="stable")[:most]
        parts = [
            f"{self.names[i]} is {abs(left[i]):.4g} "
            f"{'above' if left[i] > 0 else 'below'} its reconstruction "
            f"({percent(share[i])})"
            for i in order
            if share[i] > 0.005
        ]
        text = ", ".join(parts) or "no feature differs from its reconstruction"
        scores = self.component_score[row]
        if not len(scores):
            return f"{text}."
        top = int(np.argmax(np.abs(scores)))
        place = f"component {top + 1} is {scores[top]:+.1f} standard deviations"
        inside = self.inside_share[row]
        if inside <= 0.5:
            return f"{text}; {place}."
        return (
            f"{place} (all components: {percent(inside)} of the squared score); {text}."
        )


class SpectralOutlierDetector(OutlierMixin, BaseEstimator):
    """Outliers by how far a row is from k components, and how far out along them.

    Or, with `judge="residual"`, by the distance from its reconstruction alone.

    Args:
        n_components: k as an int, or a share of the variance in (0, 1); at most
            min(N, d) - 1, so that something is left to judge by.
        contamination: share of outliers in the training rows, in (0, 0.5], which sets
            the threshold; `"auto"`: the 97.5 % point that the distances would have
            without outliers, from their median and median absolute deviation.
        robust: find the components of the rows scaled to unit distance from their
            spatial median, so that outliers among the training rows do not attract
            them; the certificate is about those. It helps less the more outliers lie in
            one direction: beyond about the share that the last of the k components has.
            False: of the rows as they are.
        judge: what rows are judged by. `"combined"`: the distance from the
            reconstruction and those inside the components; the Mahalanobis distance
            that probabilistic PCA gives (top of this file). `"residual"`: the distance
            from the reconstruction alone, which does not see rows that are far out but
            well reconstructed: rows that keep every relation between the columns but
            are ten times as large as any before are outliers by the former and none by
            the latter, and `explain` says which of the two it is. The default is the
            better one on the mean of the tables of `experiments/detector`; where only
            values that do not go together count, ask for the residual.
        engine, weights, tol, fallback, max_iter, random_state: as `SpectralPCA`.

    Attributes: `pca_` (with `certificate_`), `center_` `[d]`, `offset_`,
    `n_components_`, `n_iter_`, `n_features_in_`.

    Example:
        >>> import numpy as np
        >>> from spectral_tf.estimators import SpectralOutlierDetector
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6))
        >>> x += 0.1 * rng.normal(size=x.shape)
        >>> x[7, 4] += 5
        >>> detector = SpectralOutlierDetector(n_components=2).fit(x)
        >>> int(np.argmin(detector.score_samples(x)))
        7

    Source: the distance: Jackson & Mudholkar (1979); the threshold: Hubert, Rousseeuw
    & Vanden Branden (2005), ROBPCA, section 2; `robust`: Locantore et al. (1999).
    """

    def __init__(
        self,
        n_components: int | float = 0.9,
        *,
        contamination: float | str = "auto",
        robust: bool = True,
        judge: str = "combined",
        engine: str = "auto",
        weights: Weights | None = None,
        tol: float = 1e-3,
        fallback: str = "eigh",
        max_iter: int = 600,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.contamination = contamination
        self.robust = robust
        self.judge = judge
        self.engine = engine
        self.weights = weights
        self.tol = tol
        self.fallback = fallback
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> "SpectralOutlierDetector":
        """Learn the components and the threshold.

        Args:
            X: `[N, d]`, N >= 2 and d >= 2.
            y: not used.

        Returns:
            self.

        Raises:
            ValueError: for a table or a parameter that cannot be used.
        """
        del y
        self._check_contamination()
        check_flags(self, "robust")
        check_choice(self, "judge", JUDGES)
        with unchanged_on_error(self):
            return self._fit(validated(self, X, reset=True, rows=2, columns=2))

    def _fit(self, x: np.ndarray) -> "SpectralOutlierDetector":
        centre = spatial_median(x) if self.robust else None
        self.pca_ = self._fitted_pca(x, centre)
        self._middle = self.pca_._middle if centre is None else centre.astype(x.dtype)
        self.center_ = restored(self._middle, origin_of(self))
        if centre is None:
            self.pca_._moved(origin_of(self))
        self.n_components_ = self.pca_.n_components_
        self.n_iter_ = self.pca_.n_iter_
        self._floor = self._row_floor(x)
        self._set_units(x)
        distances = self._strangeness(x)
        if self.contamination == "auto":
            self.offset_ = -robust_threshold(distances)
        else:
            self.offset_ = np.percentile(-distances, 100 * float(self.contamination))
        return self

    def _set_units(self, x: np.ndarray) -> None:
        """What coordinates and distances are divided by: never by rounding."""
        rounding = float(np.median(self._floor.of(thinned(x))))
        scores = self._coordinates(x)
        self._spread = spread_of(scores, robust=self.robust)
        self._spread[~scores.any(axis=0)] = rounding or 1.0
        if self.judge == "combined":
            left = max(varying_directions(x) - self.n_components_, 1)
            noise = noise_of(self._distances(x), left, robust=self.robust)
            least = np.finfo(x.dtype).eps * float(np.max(self._spread))
            self._noise = max(noise, least, rounding / left**0.5)

    def _row_floor(self, x: np.ndarray) -> Floor:
        """What rounding does to the distance of a row from the plane."""
        pca, centre = self.pca_, self._middle
        floor = Floor(centre, pca.components_, np.zeros(self.n_components_))
        if not pca._is_whole or not pca._rank:
            return floor
        rows, rounding = thinned(x), pca._rounding
        away = lengths(rows - centre)
        if self.robust:  # the plane is that of rows at unit distance
            entries = entry_rounding(np.abs(rows) + np.abs(centre), x.dtype)
            is_far = (away > lengths(entries))[:, None]
            zeros = np.zeros(rows.shape)
            entries = np.divide(entries, away[:, None], out=zeros, where=is_far)
            entry = np.sqrt(np.mean(entries**2, axis=0))
            rounding = dataclasses.replace(rounding, entry=entry)
        tilts, rank = np.zeros(self.n_components_), pca._rank
        tilts[:rank] = rounding.tilts(pca.components_[:rank])
        floor = dataclasses.replace(floor, tilts=tilts)
        least = 0.0
        if rank < self.n_components_:
            # The solver cannot tell these components from what they leave.
            unit = np.median(away) if self.robust else pca._unit
            least = SOUND * rounding.solver**0.5 * float(unit)
        return floor.with_noise(lengths(self._left(rows)), away, least)

    def _check_contamination(self) -> None:
        value = self.contamination
        is_share = isinstance(value, float | int | np.floating) and not isinstance(
            value, bool
        )
        is_auto = isinstance(value, str) and value == "auto"
        if not is_auto and not (is_share and 0 < float(value) <= 0.5):
            raise ConfigError(
                f"contamination={value!r} must be 'auto' or a share in (0, 0.5]."
            )

    def _fitted_pca(self, x: np.ndarray, centre: np.ndarray | None) -> SpectralPCA:
        most = min(x.shape) - 1
        k = self.n_components
        is_share = isinstance(k, float | np.floating) and 0 < k < 1
        is_whole = isinstance(k, int | np.integer) and not isinstance(k, bool)
        require(
            bool(is_share or (is_whole and 1 <= k <= most)),
            f"n_components={k!r} must be a share of the variance in (0, 1) or a whole "
            f"number in 1..{most} = min(n_samples={len(x)}, "
            f"n_features={x.shape[1]}) - 1, so that something is left to judge by.",
        )
        pca = self._components(x, centre, k)
        return pca if pca.n_components_ <= most else self._components(x, centre, most)

    def _components(
        self, x: np.ndarray, centre: np.ndarray | None, k: int | float
    ) -> SpectralPCA:
        pca = SpectralPCA(
            k,
            engine=self.engine,
            weights=self.weights,
            tol=self.tol,
            fallback=self.fallback,
            max_iter=self.max_iter,
            random_state=self.random_state,
        )
        if centre is None:
            return pca.fit(x)
        if len(x) < x.shape[1]:
            return pca.fit(on_sphere(x, centre, at_centre(x, centre)))
        # In parts: a long table is not copied as a whole.
        return pca.partial_fit(
            on_sphere(part, centre, at_centre(part, centre)) for part in split(x)
        )

    def _rows(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        return validated(self, X)

    def _coordinates(self, x: np.ndarray) -> np.ndarray:
        """`[N, k]` in the components, relative to the centre."""
        return np.concatenate([self._places(part) for part in split(x)])

    def _places(self, x: np.ndarray) -> np.ndarray:
        """Coordinates of a part; in null directions without what may be rounding."""
        scores = self._centred(x) @ self.pca_.components_.T
        if self.pca_._rank < scores.shape[1]:
            null = scores[:, self.pca_._rank :]
            null[np.abs(null) <= self._floor.of(x)[:, None]] = 0
        return scores

    def _centred(self, x: np.ndarray) -> np.ndarray:
        """Rows relative to the centre; refused where a product would overflow."""
        with np.errstate(over="ignore"):
            centred = x - self._middle
        if np.max(np.abs(centred)) > np.finfo(x.dtype).max / (4 * x.shape[1]):
            raise DataError(
                f"X has rows that are nearly as far apart as the largest {x.dtype}; "
                "divide it by a constant."
            )
        return centred

    def _residual(self, x: np.ndarray) -> np.ndarray:
        """`[N, d]` rows minus their reconstructions; 0 where that may be rounding."""
        residual = self._left(x)
        residual[lengths(residual) <= self._floor.of(x)] = 0
        return residual

    def _left(self, x: np.ndarray) -> np.ndarray:
        """`[N, d]` rows minus their reconstructions, as computed."""
        centred, components = self._centred(x), self.pca_.components_
        return centred - (centred @ components.T) @ components

    def _distances(self, x: np.ndarray) -> np.ndarray:
        """`[N]` lengths of the residuals, of any finite size."""
        return np.concatenate([lengths(self._residual(part)) for part in split(x)])

    def _strangeness(self, x: np.ndarray) -> np.ndarray:
        """`[N]` what rows are judged by: the larger, the stranger."""
        distances = self._distances(x)
        if self.judge == "residual":
            return distances
        with np.errstate(over="ignore"):
            inside = self._coordinates(x) / self._spread
            return lengths(np.column_stack([inside, distances / self._noise]))

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Minus what each row is judged by.

        Args:
            X: `[N, d]`.

        Returns:
            `[N]`; the lower, the stranger.
        """
        return -self._strangeness(self._rows(X))

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """`score_samples - offset_`: negative for outliers.

        Args:
            X: `[N, d]`.

        Returns:
            `[N]`.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """-1 for outliers, 1 for others.

        Args:
            X: `[N, d]`.

        Returns:
            `[N]` of int.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: ArrayLike) -> Explanation:
        """Which features and components made rows strange.

        Args:
            X: `[N, d]`.

        Returns:
            The parts of every row's distance.
        """
        x = self._rows(X)
        residual = self._residual(x)
        peak = np.max(np.abs(residual), axis=1, keepdims=True)
        squares = (residual / np.where(peak > 0, peak, 1)) ** 2
        total = squares.sum(axis=1, keepdims=True)
        with np.errstate(over="ignore"):
            scores = self._coordinates(x) / self._spread
        return Explanation(
            distance=lengths(residual),
            residual=residual,
            feature_share=squares / np.where(total > 0, total, 1),
            component_score=scores,
            contribution=self._contribution(x, residual, scores),
            names=column_names(getattr(self, "feature_names_in_", None), x.shape[1]),
            inside_share=self._inside_share(residual, scores),
        )

    def _inside_share(self, residual: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """`[N]` share of the squared score that is not the residual's."""
        if self.judge == "residual":
            return np.zeros(len(scores))
        with np.errstate(over="ignore"):
            inside, outside = lengths(scores), lengths(residual / self._noise)
        peak = np.maximum(inside, outside)
        inside, outside = (
            part / np.where(peak > 0, peak, 1) for part in (inside, outside)
        )
        total = inside**2 + outside**2
        return inside**2 / np.where(total > 0, total, 1)

    def _contribution(
        self, x: np.ndarray, residual: np.ndarray, scores: np.ndarray
    ) -> np.ndarray:
        """`[N, d]` x_f (A x)_f, where x^T A x is the squared score of a row x."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.judge == "residual":
                return residual**2
            inside = (scores / self._spread) @ self.pca_.components_
            return self._centred(x) * (inside + residual / self._noise / self._noise)


def thinned(x: np.ndarray) -> np.ndarray:
    """Of a longer table, `MEDIAN_ROWS` evenly spaced rows."""
    return x[:: -(-len(x) // MEDIAN_ROWS)]


def at_centre(x: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """`[N]` distances from a centre that may be rounding of the entries."""
    return lengths(entry_rounding(np.abs(x) + np.abs(centre), x.dtype))


def column_names(names: Iterable[str] | None, dim: int) -> tuple[str, ...]:
    """Names of the features; `x0`, `x1`, ... where there are none."""
    made_up = [f"x{index}" for index in range(dim)]
    return tuple(map(str, made_up if names is None else names))
