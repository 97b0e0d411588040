"""Whatever is handed in: a right answer or a clear refusal, and never a third thing."""

import functools
import re
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from spectral_tf.certificate import Certificate
from spectral_tf.estimators import (
    SpectralClusterer,
    SpectralOutlierDetector,
    SpectralPCA,
)
from tests.estimators.malformed import (
    BAD,
    GOOD,
    Given,
    Rng,
    given,
    kept_type,
    numbers,
    plain,
)

pytestmark = pytest.mark.usefixtures("no_type_checks")
QUICK, FULL = 400, 10_000
BARE = re.compile(
    r"truth value of an array|broadcast|out of bounds|out of range|Singular matrix"
    r"|did not converge|infs or NaNs|did not contain a loop|matmul|invalid literal"
    r"|has no attribute|XLA|jax|could not be promoted|0-dimensional arrays"
    r"|cannot convert float|zero-size array|need at least one array|SeedSequence",
    re.IGNORECASE,
)
NEVER = (
    *(IndexError, KeyError, AttributeError, RecursionError, FloatingPointError),
    *(np.linalg.LinAlgError, ZeroDivisionError, OverflowError, RuntimeError),
    *(AssertionError, UnicodeError),
)
WRONG: dict[str, list[Any]] = {
    "n_components": [-1, 0.0, 1.5, "all", True, np.nan, 10**6, [1], 1j, np.ones(2)],
    "tol": [0, np.nan, -1e-3, "small", None, 2.0, 1j, np.ones(2)],
    "engine": ["gpu", None, 3, [], np.ones(2)],
    "fallback": ["hope", None, np.ones(2)],
    "max_iter": [0, -5, 1.5, "many", None, np.nan],
    "random_state": ["abc", -1, 1.5, np.nan, object()],
    "whiten": ["yes", None, np.ones(2)],
    "certify": ["yes", None, np.ones(2)],
    "contamination": [0.7, 0, -0.1, "few", None, np.nan, True, np.ones(2)],
    "robust": ["yes", None, np.ones(2)],
    "n_clusters": [0, -1, "many", 2.5, None, True, 10**6, np.ones(2)],
    "max_clusters": [0, "many", 2.5, None],
    "n_init": [0, "many", None],
}


class Case(NamedTuple):
    """An estimator with its parameters, and what it is given."""

    estimator: Any
    wrong: str | None
    given: Given

    def __str__(self) -> str:
        shape = getattr(self.given.table, "shape", "")
        return f"{self.estimator!r} given {self.given.name} {shape}"


def complaint(call: Callable[[], Any], must: str) -> tuple[Any, str | None]:
    """The value of a call, and what is wrong with how it went."""
    value = None
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            value = call()
    except (ValueError, TypeError) as error:
        text = str(error)
        is_bare = BARE.search(text) or len(text) <= 15 or isinstance(error, NEVER)
        if is_bare:
            return None, f"bare {type(error).__name__}: {text[:200]}"
        return None, f"refused: {text[:200]}" if must == "good" else None
    except Exception as error:  # noqa: BLE001
        return None, f"{type(error).__name__}: {str(error)[:200]}"
    leaked = [one for one in seen if not issubclass(one.category, ConvergenceWarning)]
    if leaked:
        return value, f"{leaked[0].category.__name__}: {leaked[0].message}"
    return value, "accepted" if must == "bad" else None


def estimator(rng: Rng, shape: tuple[int, ...]) -> tuple[Any, str | None]:
    """One of the three with parameters that fit the shape, or one that does not."""
    rows, columns = shape if len(shape) == 2 and min(shape) > 1 else (4, 4)
    most = min(rows, columns, 3)
    engine = str(rng.choice(["auto", "constructed", "exact", "exact"]))
    kind = rng.integers(3)
    if kind == 0:
        share = {"n_components": 0.7, "engine": "exact"}
        made = SpectralPCA(int(rng.integers(1, most + 1)), engine=engine)
        made.set_params(whiten=bool(rng.integers(2)))
        made.set_params(**(share if rng.uniform() < 0.2 else {}))
    elif kind == 1:
        number = "auto" if rng.uniform() < 0.2 else int(rng.integers(1, most + 1))
        made = SpectralClusterer(number, max_clusters=3, n_init=1, engine=engine)
    else:
        k = int(rng.integers(1, max(most, 2)))
        robust = bool(rng.integers(2))
        made = SpectralOutlierDetector(k, engine=engine, robust=robust)
        made.set_params(contamination=0.1 if rng.uniform() < 0.3 else "auto")
    if rng.uniform() < 0.8:
        return made, None
    name = str(rng.choice([one for one in WRONG if one in made.get_params()]))
    value = WRONG[name][rng.integers(len(WRONG[name]))]
    return made.set_params(**{name: value}), name


def case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    handed = given(rng)
    made, wrong = estimator(rng, getattr(handed.table, "shape", (4, 2)))
    if wrong == "max_clusters":
        made.set_params(n_clusters="auto")
    return Case(made, wrong, handed)


class Truth:
    """Eigenpairs of the covariance of a table by LAPACK, relative to a power of two."""

    def __init__(self, table: np.ndarray) -> None:
        wide = table.astype(np.longdouble)
        centred = wide - wide.mean(axis=0)
        self.unit = np.ldexp(np.longdouble(1), np.frexp(np.abs(centred).max())[1])
        centred /= self.unit
        self.count = len(table)
        self.matrix = (centred.T @ centred / len(table)).astype(np.float64)
        values, columns = np.linalg.eigh(self.matrix)
        self.values, self.rows = np.maximum(values[::-1], 0), columns.T[::-1]
        self.norm = float(np.linalg.norm(self.matrix))

    def error(self, pca: SpectralPCA, dtype: type) -> str | None:
        """What is not as the table has it."""
        exact = dtype == np.float64
        close = 1e-9 if exact else 1e-5
        values, rows = self.values[: pca.n_components_], pca.components_
        off = np.abs(rows.astype(float) @ rows.T.astype(float) - np.eye(len(rows)))
        if off.max() > 10 * (1e-6 if exact else 1e-5):
            return f"components are not orthonormal: {off.max():.2g}"
        # What the values are known to: to rounding, and to the square of an angle.
        slack = (close + pca.tol**2) * self.norm
        total = self.values.sum()
        if total > 0:
            ratio = pca.explained_variance_ratio_
            if np.abs(ratio - values / total).max() > slack / total + close:
                return f"ratios {ratio} are not {values / total}"
        scales = np.sqrt(values * self.count) * self.unit
        tiny = np.finfo(dtype).tiny
        away = np.abs(pca.singular_values_ - scales)
        if np.any(away > np.sqrt(slack * self.count) * self.unit + tiny):
            return f"singular values {pca.singular_values_} are not {scales}"
        certificate = pca.certificate_
        if certificate is None:
            return "there is no certificate"
        return self.overstated(certificate, rows.astype(np.float64), exact)

    def overstated(
        self, certificate: Certificate, rows: np.ndarray, exact: bool
    ) -> str | None:
        """A bound on an angle that does not hold."""
        for entry in certificate.entries:
            first, last = entry.ranks
            if entry.angle_bound >= 1.57:
                continue
            if last > len(rows):
                return f"a claim about ranks {entry.ranks} of {len(rows)}"
            true, own = self.rows[first - 1 : last], rows[first - 1 : last]
            off = own - (own @ true.T) @ true
            sine = float(np.linalg.norm(off, 2))
            gaps = [
                abs(self.values[i - 1] - self.values[i])
                for i in (first - 1, last)
                if 0 < i < len(self.values)
            ]
            doubt = 1e-14 * self.norm / max(min(gaps, default=np.inf), 1e-300)
            if sine > np.sin(entry.angle_bound) + doubt + (1e-8 if exact else 1e-6):
                return f"rank {entry.rank} is {sine:.2g} off, not {entry.angle_bound}"
        return None


def not_finite(fitted: Any) -> str | None:
    for name, value in vars(fitted).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            if not np.isfinite(value).all():
                return f"{name} is not finite"
        elif isinstance(value, float) and name.endswith("_") and not np.isfinite(value):
            return f"{name} is {value}"
    return None


def judge_pca(pca: SpectralPCA, handed: Given) -> str | None:
    x, dtype = numbers(handed.table), kept_type(handed.table)
    kinds = {pca.components_.dtype, pca.explained_variance_.dtype, pca.mean_.dtype}
    if kinds != {np.dtype(dtype)}:
        return f"dtype {kinds}, not {dtype}"
    return not_finite(pca) or Truth(x).error(pca, dtype)


def judge_clusters(found: SpectralClusterer, handed: Given) -> str | None:
    known = set(range(found.n_clusters_))
    if len(found.labels_) != len(handed.table) or not set(found.labels_) <= known:
        return f"labels {found.labels_}"
    return not_finite(found) or judge_pca(found.pca_, handed)


def judge_outliers(found: SpectralOutlierDetector, handed: Given) -> str | None:
    fault = not_finite(found) or not_finite(found.pca_)
    return fault if fault or found.robust else judge_pca(found.pca_, handed)


JUDGES: dict[type, Callable[[Any, Given], str | None]] = {
    SpectralPCA: judge_pca,
    SpectralClusterer: judge_clusters,
    SpectralOutlierDetector: judge_outliers,
}
METHODS = {
    SpectralPCA: ["transform", "score_samples", "score"],
    SpectralClusterer: ["predict", "predict_proba"],
    SpectralOutlierDetector: ["predict", "score_samples", "explain"],
}


def judge_answer(name: str, answer: Any, rows: int) -> str | None:
    """What any answer about rows must be."""
    if name == "score":
        return None if isinstance(answer, float) else f"score is {answer!r}"
    if name == "explain":
        shares = answer.feature_share.sum(axis=1)
        is_right = np.all((np.abs(shares - 1) < 1e-5) | (answer.distance == 0))
        return None if is_right else f"shares sum to {shares}"
    if len(answer) != rows:
        return f"{name} has {len(answer)} rows, not {rows}"
    if name == "predict_proba" and np.abs(answer.sum(axis=1) - 1).max() > 1e-6:
        return "probabilities do not sum to 1"
    return f"{name} gives NaN" if np.isnan(answer).any() else None


def new_rows(rng: Rng, handed: Given) -> Given:
    """The same table, or one that is like it or not."""
    width = numbers(handed.table).shape[1]
    kinds = ["same", "one", "view", "huge", "wide", "narrow", "bad"]
    kind = str(rng.choice(kinds))
    x = np.sign(rng.normal(size=(3, width)))
    if hasattr(handed.table, "columns"):
        return handed if kind != "wide" else Given("wide", numbers(x)[:, :1], "bad")
    if kind == "same":
        return handed
    if kind == "bad":
        name = str(rng.choice([one for one in BAD if one != "one row"]))
        return Given(name, BAD[name](rng), "bad")
    made = {
        "one": Given("one row", x[:1], "good"),
        "view": Given("a view", np.asfortranarray(x)[::-1], "good"),
        "huge": Given("huge rows", x * 10.0 ** rng.uniform(30, 300), "any"),
        "wide": Given("one column more", np.c_[x, x[:, :1]], "bad"),
        "narrow": Given("a row", x[0], "bad"),
    }
    return made[kind]


def fault(seed: int) -> str | None:
    """What is wrong with how one case goes."""
    one = case(seed)
    wrong = one.wrong is not None
    in_parts = isinstance(one.estimator, SpectralPCA) and seed % 3 == 0
    method = one.estimator.partial_fit if in_parts else one.estimator.fit
    fit = functools.partial(method, one.given.table)
    fitted, problem = complaint(fit, "bad" if wrong else one.given.verdict)
    if problem is None and fitted is not None and not wrong:
        problem = JUDGES[type(fitted)](fitted, one.given)
        rng = np.random.default_rng([seed, 1])
        problem = problem or fault_of_methods(fitted, new_rows(rng, one.given))
    return problem and f"case {seed}: {one}: {problem}"


def fault_of_methods(fitted: Any, later: Given) -> str | None:
    for name in METHODS[type(fitted)]:
        call = functools.partial(getattr(fitted, name), later.table)
        answer, problem = complaint(call, later.verdict)
        if problem is None and answer is not None:
            problem = judge_answer(name, answer, len(later.table))
        if problem is not None:
            return f"{name} of {later.name}: {problem}"
    return None


def run(seeds: range) -> list[str]:
    return [found for seed in seeds if (found := fault(seed)) is not None]


@pytest.mark.parametrize("part", range(4))
def test_a_right_answer_or_a_clear_refusal(part):
    faults = run(range(part, QUICK, 4))
    assert not faults, "\n".join(faults[:10])


@pytest.mark.parametrize(
    "wrong",
    [
        *([[1.0, np.nan]], [[1.0, np.inf]], [["a", "b"]], [[None, 1.0]], [[1j, 1.0]]),
        *([[10**400, 1.0]], [[1.0, 2.0], [3.0]], [1.0, 2.0], [[1.0]], 5.0, None, "a"),
        *(np.zeros((0, 2)), np.zeros((1, 3)), np.zeros((1, 2), "M8[D]")),
        *(sparse.csr_array(np.eye(2)), np.zeros((1, 2), "V8"), np.zeros((1, 2, 1))),
        np.ma.masked_array([[1.0, 2.0]], [[True, False]]),
    ],
    ids=lambda wrong: f"{type(wrong).__name__} {wrong}"[:30],
)
def test_coordinates_that_are_refused(wrong):
    pca = SpectralPCA(2).fit(plain(np.random.default_rng(0)))
    assert complaint(lambda: pca.inverse_transform(wrong), "bad")[1] is None


@pytest.mark.long
def test_a_right_answer_or_a_clear_refusal_ten_thousand_times():
    faults = run(range(QUICK, QUICK + FULL))
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults[:20])


def test_every_kind_of_table_and_every_method_is_tried():
    cases = [case(seed) for seed in range(QUICK)]
    names = Counter(one.given.name for one in cases)
    assert len(names) > 0.9 * (len(GOOD) + len(BAD))
    assert len({one.wrong for one in cases}) == len(WRONG) + 1
    assert {type(one.estimator) for one in cases} == {*JUDGES}


def test_the_judge_sees_wrong_answers():
    x = plain(np.random.default_rng(3))
    handed = Given("plain", x, "good")
    pca = SpectralPCA(2).fit(x)
    assert judge_pca(pca, handed) is None
    for name, change in {
        "components_": lambda rows: rows[::-1],
        "explained_variance_ratio_": lambda ratio: ratio * 1.1,
        "singular_values_": lambda scales: scales * 1.1,
        "mean_": lambda mean: mean.astype(np.float32),
        "explained_variance_": lambda values: values * np.nan,
    }.items():
        other = SpectralPCA(2).fit(x)
        setattr(other, name, change(getattr(other, name)))
        assert judge_pca(other, handed) is not None, name


def test_the_judge_sees_how_a_call_went():
    def raise_it(error: Exception) -> Callable[[], Any]:
        def call() -> None:
            raise error

        return call

    assert complaint(lambda: 1, "good") == (1, None)
    assert complaint(lambda: 1, "any") == (1, None)
    assert complaint(lambda: 1, "bad") == (1, "accepted")
    clear = raise_it(ValueError("X has a hole in row 3; fill it."))
    assert complaint(clear, "bad") == (None, None)
    assert "refused" in str(complaint(clear, "good")[1])
    for error in (
        IndexError("index 3 is out of range of this and that"),
        np.linalg.LinAlgError("SVD did something that is not said"),
        ValueError("no"),
        ValueError("operands could not be broadcast together"),
        OverflowError("int too large to convert to float"),
    ):
        assert complaint(raise_it(error), "bad")[1] is not None
    warn = lambda: warnings.warn("overflow", RuntimeWarning, stacklevel=1)
    assert "overflow" in str(complaint(warn, "any")[1])
