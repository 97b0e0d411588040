"""Principal component analysis by a transformer, as scikit-learn has it."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_array, check_is_fitted

from spectral_tf.certificate import Certificate
from spectral_tf.config import ConfigError, DataError, require
from spectral_tf.estimators.components import component_count, precision_of
from spectral_tf.estimators.engines import rank_limit
from spectral_tf.estimators.laziness import is_lazy
from spectral_tf.estimators.lazy_tables import applied, lazy_summary
from spectral_tf.estimators.networks import Weights
from spectral_tf.estimators.rank import numerical_rank
from spectral_tf.estimators.seen import Seen, seen_with, shifted_to, summary_of
from spectral_tf.estimators.solution import Options, Solution, Summary, judge, solve
from spectral_tf.estimators.validation import (
    check_flags,
    clear_errors,
    origin_of,
    seed_of,
    unchanged_on_error,
    validated,
)
from spectral_tf.exact import Origin, centre_for, exact_columns, restored
from spectral_tf.moments import check_memory


class SpectralPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """PCA whose components a transformer proposes and a certificate checks.

    Attributes and conventions are those of `sklearn.decomposition.PCA`; what is more:
    `certificate_` (or None), `engine_`, `engine_reason_`, `n_iter_` (products with the
    covariance that networks took; 1 for none), `n_samples_`.

    Args:
        n_components: k as an int, 0 included; a share of the variance in (0, 1); None
            for all; `"mle"` for Minka's choice among the directions that vary.
        engine: `constructed` (weights that run the power method, any table),
            `pretrained` (trained weights, see `weights`), `exact` (LAPACK), or `auto`:
            constructed, after a proposal of the trained network if `weights` fit;
            exact for more than 32 or for all components.
        weights: a shipped name such as `"pca-base"` (the default of `pretrained`); the
            path of a checkpoint's `.json`; the folder of a run of `spectral-tf
            pretrain` or of saved weights; or `(config, params)`.
        certify: True computes `certificate_`: a proof, or where that would take more
            than three times the fit and about a second, a statement that is false with
            a chance of at most 1e-3 (status `probable`); `"proof"` and `"probable"` ask
            for either; without it (False) nothing is replaced.
        tol: radians: a component is certified if its angle to the true one is proven
            to be smaller.
        fallback: what happens to components that are not: `eigh` replaces them by an
            exact solver's, `warn` keeps them with a `CertificateWarning`, `raise`
            raises `CertificateError`.
        whiten: scale the transformed columns to unit variance. In a null direction,
            whose variance is not proven to be more than rounding (a few roundings of
            the largest variance), the transformed column is 0, and
            `inverse_transform` reads nothing from it.
        max_iter: most iterations of the constructed network.
        random_state: of the start vectors; None is a fixed seed.

    Example:
        >>> import numpy as np
        >>> from spectral_tf.estimators import SpectralPCA
        >>> x = np.random.default_rng(0).normal(size=(200, 5)) * [9.0, 5, 2, 1, 1]
        >>> pca = SpectralPCA(n_components=2).fit(x)
        >>> pca.certificate_.status
        ('certified', 'certified')

    Source: Tipping & Bishop (1999) for the probabilistic model.
    """

    components_: np.ndarray
    explained_variance_: np.ndarray
    certificate_: Certificate | None

    def __init__(
        self,
        n_components: int | float | str | None = None,
        *,
        engine: str = "auto",
        weights: Weights | None = None,
        certify: bool | str = True,
        tol: float = 1e-3,
        fallback: str = "eigh",
        whiten: bool = False,
        max_iter: int = 600,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.engine = engine
        self.weights = weights
        self.certify = certify
        self.tol = tol
        self.fallback = fallback
        self.whiten = whiten
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> "SpectralPCA":
        """Find the components of a table.

        Args:
            X: `[N, d]` rows are samples, N >= 2; finite real numbers. A Dask array or
                dataframe is summed up on the user's cluster and never gathered.
            y: not used.

        Returns:
            self.

        Raises:
            ValueError: for a table or a parameter that cannot be used; the message
                says what to do.
        """
        del y
        options = self._options()
        with unchanged_on_error(self):
            if is_lazy(X):
                summary, dtype = lazy_summary(self, X)
            else:
                x = validated(self, X, reset=True, rows=2)
                keeps = options.keeps_rows(x.shape, self.n_components)
                summary, dtype = Summary.of_rows(x, keeps_rows=keeps), x.dtype
            self._moments = None
            self._fitted(summary, options, dtype)
        return self

    def partial_fit(
        self, X: ArrayLike | Iterator[ArrayLike], y: Any = None
    ) -> "SpectralPCA":
        """Add rows to those seen so far, and find the components of all of them.

        Exact, unlike incremental SVDs: the mean and the covariance of all rows are
        kept (d^2 numbers), or the rows while they are fewer than the columns; and
        iteration starts from the last components. Rows given to `fit` are not among
        them: after it, this starts anew.

        Args:
            X: `[n, d]` rows, or an iterator over such chunks (see `read_chunks`), of
                which only one is held at a time.
            y: not used.

        Returns:
            self.

        Raises:
            ValueError: as `fit`, or if d^2 numbers are more than the memory that is
                free; if a chunk of an iterator is refused, nothing of that iterator is
                added.
        """
        del y
        options = self._options()
        chunks: Iterable[Any] = X if isinstance(X, Iterator) else [X]
        moments: Seen | None = getattr(self, "_moments", None)
        dtype = None
        with unchanged_on_error(self):
            for chunk in chunks:
                at_least = 2 if moments is None and chunks is not X else 1
                x = validated(self, chunk, reset=moments is None, rows=at_least)
                if moments is not None and self._needs_origin(chunk):
                    moments = self._given_origin(chunk, moments)
                    x = validated(self, chunk)
                moments = seen_with(moments, x)
                dtype = x.dtype if dtype is None else np.promote_types(dtype, x.dtype)
            require(dtype is not None, "the iterator has no chunks; give at least one.")
            assert moments is not None
            if moments.count < 2:
                raise DataError("there is 1 row; a covariance needs at least 2.")
            start = getattr(self, "components_", None) if self._has_seen() else None
            self._fitted(summary_of(moments), options, dtype, start)
        self._moments = moments
        return self

    def _needs_origin(self, chunk: Any) -> list[int]:
        """Columns that float64 does not hold, though it held those of earlier rows."""
        origin = origin_of(self)
        return [
            index
            for index, column in exact_columns(chunk)
            if not (origin and origin[index]) and centre_for(column)
        ]

    def _given_origin(self, chunk: Any, seen: Seen) -> Seen:
        """The rows so far, relative to an exact origin in the columns that need it."""
        seen, moved = shifted_to(seen, self._needs_origin(chunk))
        before = origin_of(self) or (0,) * seen.dim
        origin = tuple(map(sum, zip(before, moved, strict=True)))
        self._origin = origin if any(origin) else None
        return seen

    def _has_seen(self) -> bool:
        return getattr(self, "_moments", None) is not None

    def _options(self) -> Options:
        options = Options(
            engine=self.engine,
            weights=self.weights,
            certify=self.certify,
            tol=self.tol,
            fallback=self.fallback,
            max_iter=self.max_iter,
            random_state=self.random_state,
        )
        options.check()
        check_flags(self, "whiten")
        seed = seed_of(self.random_state)
        return dataclasses.replace(options, random_state=seed)

    def _fitted(
        self,
        summary: Summary,
        options: Options,
        dtype: Any,
        start: np.ndarray | None = None,
    ) -> None:
        """Set what `fit` learns; nothing is set if anything fails."""
        unit = summary.variance_unit
        solution = component_count(self.n_components, summary, dtype).solved(
            lambda k: solve(summary, k, options, start)
        )
        judge(solution, options)
        self._set(solution, summary, unit, dtype)
        self._set_rank(solution.eigenvalues, summary, dtype)

    def _set_rank(self, values: np.ndarray, summary: Summary, dtype: Any) -> None:
        """What is known of the rounding; `_rank`: components that vary, by proof."""
        self._rounding = summary.rounding(values, dtype)
        self._unit = summary.scale
        self._rank = numerical_rank(values, self._rounding.floors(self.components_))
        left = max(min(rank_limit(summary.source), summary.count) - len(values), 1)
        rest = summary.total - float(values.sum())
        self._is_whole = rest <= left * summary.floor(dtype)

    def _set(
        self, solution: Solution, summary: Summary, unit: float, dtype: Any
    ) -> None:
        values = solution.eigenvalues * unit
        k, total = len(values), summary.total * unit
        if not total <= float(np.finfo(dtype).max):
            raise DataError(
                f"the variance of the columns is beyond the largest {dtype}; give the "
                "table in float64, or divide it by a constant."
            )
        most = min(rank_limit(summary.source), summary.count)
        rest = max(total - float(values.sum()), 0.0)
        self.components_ = solution.eigenvectors.astype(dtype)
        self.explained_variance_ = values.astype(dtype)
        # Of the source, where nothing over- or underflows.
        whole = summary.total
        ratio = solution.eigenvalues / whole if whole > 0 else np.zeros(k)
        self.explained_variance_ratio_ = ratio.astype(dtype)
        scales = np.sqrt(solution.eigenvalues * summary.count) * summary.scale
        self.singular_values_ = scales.astype(dtype)
        self._middle = summary.mean.astype(dtype)
        self.mean_ = restored(self._middle, origin_of(self))
        self.noise_variance_ = dtype.type(rest / (most - k) if k < most else 0.0)
        self.n_components_ = k
        self.n_samples_ = summary.count
        self.engine_ = solution.engine
        self.engine_reason_ = solution.reason
        self.n_iter_ = max(solution.products, 1)
        certificate = solution.certificate
        self.certificate_ = certificate and certificate.in_units(unit)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def transform(self, X: ArrayLike) -> Any:
        """Coordinates of rows in the components.

        Args:
            X: `[N, d]`; of a Dask array or dataframe the result is a Dask array.

        Returns:
            `[N, k]`.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return applied(self, X, "transform", self.n_components_)
        return self._projected(validated(self, X))

    def _projected(self, x: np.ndarray) -> np.ndarray:
        """Coordinates of rows that are relative to the origin."""
        scores = self._centred(x) @ self.components_.T
        if not self.whiten:
            return scores
        scale = self._whitening()
        with np.errstate(over="ignore"):
            return np.divide(scores, scale, out=np.zeros_like(scores), where=scale > 0)

    def _centred(self, x: np.ndarray) -> np.ndarray:
        """Rows, relative to the origin, minus the mean."""
        return x - (self.mean_ if origin_of(self) is None else self._middle)

    def _moved(self, origin: Origin | None) -> None:
        """Learn that the rows of `fit` were relative to an origin."""
        self._origin = origin
        self.mean_ = restored(self._middle, origin)

    def _whitening(self) -> np.ndarray:
        """`[k]` standard deviations of the scores; 0 in a null direction."""
        scale = self.singular_values_ / math.sqrt(max(self.n_samples_ - 1, 1))
        # Of a variance, which is a square, small units leave nothing.
        scale = scale.astype(self.components_.dtype)
        return np.where(np.arange(len(scale)) < self._rank, scale, 0)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Rows from coordinates in the components.

        Args:
            X: `[N, k]`.

        Returns:
            `[N, d]`.
        """
        check_is_fitted(self)
        with clear_errors(X):
            kinds: Any = [np.float64, np.float32]
            least = min(self.n_components_, 1)
            scores = check_array(
                X, input_name="X", dtype=kinds, ensure_min_features=least
            )
        if scores.shape[1] != self.n_components_:
            raise ConfigError(
                f"X has shape {scores.shape}; inverse_transform expects [N, "
                f"{self.n_components_}], the coordinates that transform returns."
            )
        if self.whiten:
            scores = scores * self._whitening()
        if origin_of(self) is None:
            return scores @ self.components_ + self.mean_
        return restored(scores @ self.components_ + self._middle, origin_of(self))

    def score_samples(self, X: ArrayLike) -> Any:
        """Log-likelihood of each row under the probabilistic model.

        Args:
            X: `[N, d]`; of a Dask array or dataframe the result is a Dask array.

        Returns:
            `[N]` in nats.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return applied(self, X, "score_samples", None)
        centred = self._centred(validated(self, X))
        # Rows that are far out have a density of 0, not NaN.
        size = np.maximum(np.max(np.abs(centred), axis=1), 1)
        squares, logdet = self._squared_distances(centred / size[:, None])
        with np.errstate(over="ignore"):
            fit = squares * size * size
        return -0.5 * (fit + centred.shape[1] * math.log(2 * math.pi) - logdet)

    def _squared_distances(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """`[N]` x^T P x, and log det P, of the precision P of the model."""
        noise = float(self.noise_variance_)
        if noise > 0 and self.n_components_ < rows.shape[1]:
            # P is diagonal in the components and their complement: not formed.
            variances = np.maximum(self.explained_variance_, self.noise_variance_)
            scores = rows @ self.components_.T
            left = rows - scores @ self.components_
            with np.errstate(over="ignore"):
                inside = np.sum(scores * scores / variances, axis=1)
                squares = inside + np.sum(left * left, axis=1) / self.noise_variance_
            rest = rows.shape[1] - self.n_components_
            logdet = -float(np.sum(np.log(variances))) - rest * math.log(noise)
            return squares, logdet
        precision = self.get_precision()
        with np.errstate(divide="ignore"):
            sign, logdet = np.linalg.slogdet(precision)
        squares = np.sum(rows * (rows @ precision), axis=1)
        return squares, float(logdet) if sign > 0 else -math.inf

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean log-likelihood of rows under the probabilistic model.

        Args:
            X: `[N, d]`.
            y: not used.

        Returns:
            Nats per row.
        """
        del y
        return float(np.mean(self.score_samples(X)))

    def get_covariance(self) -> np.ndarray:
        """`[d, d]` covariance of the probabilistic model."""
        check_is_fitted(self)
        dim = self.components_.shape[1]
        check_memory(dim, dim, "a covariance")
        excess = np.maximum(self.explained_variance_ - self.noise_variance_, 0.0)
        covariance = (self.components_.T * excess) @ self.components_
        covariance.flat[:: len(covariance) + 1] += self.noise_variance_
        return covariance

    def get_precision(self) -> np.ndarray:
        """`[d, d]` inverse of `get_covariance`."""
        check_is_fitted(self)
        dim = self.components_.shape[1]
        check_memory(dim, dim, "a covariance")
        return precision_of(
            self.components_,
            self.explained_variance_,
            float(self.noise_variance_),
            self._rank,
        )
