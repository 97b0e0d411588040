"""The stock study: from demand to a document that a report is made of."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from spectral_tf.apps.analysis.record import engine_digests
from spectral_tf.apps.studies.assumptions import checks
from spectral_tf.apps.studies.fine_tune import FineTuned, fine_tuned
from spectral_tf.apps.studies.methods import (
    NETWORK,
    Method,
    detector,
    first_column,
    forest,
    largest_deviation,
    mahalanobis,
    network,
    pca_distance,
    spectral,
)
from spectral_tf.apps.studies.network import computation
from spectral_tf.apps.studies.stock.alarms import told
from spectral_tf.apps.studies.stock.config import StockConfig
from spectral_tf.apps.studies.stock.demand import Demand
from spectral_tf.apps.studies.stock.faults import Event, inject
from spectral_tf.apps.studies.stock.kpis import (
    Truth,
    alarms_of,
    average_precision,
    key_figures,
    paired_precision,
    truth_of,
)
from spectral_tf.apps.studies.stock.rows import Rows, item_days

Stage = Callable[[str], None]
OURS = ("constructed", "pre-trained", "fine-tuned")
MAIN = OURS[0]
"""The method whose alarms are shown and logged."""
EXTRA = "largest window"
"""A baseline that was not asked for, and the hardest to beat."""


class Case(NamedTuple):
    """The data of the study: rows, what was injected."""

    demand: Demand
    quantity: np.ndarray
    rows: Rows
    events: list[Event]
    truth: Truth


def case_of(demand: Demand, config: StockConfig) -> Case:
    """Inject faults, make the rows.

    Args:
        demand: the true one.
        config: how.

    Returns:
        The case.

    Raises:
        DataError: if the table has no room for the faults.
    """
    start = round(config.past * len(demand.dates))
    quantity, events = inject(demand.quantity, start, config.events, config.seed)
    rows = item_days(quantity, demand, config)
    shape = rows.later.shape[:2]
    truth = truth_of(events, shape, start, config.memory)
    return Case(demand, quantity, rows, events, truth)


def judgement(case: Case, config: StockConfig) -> dict[str, Any]:
    """What the main method decides: the part that an audit makes again.

    Args:
        case: the data.
        config: the settings.

    Returns:
        JSON-ready: `alarms` with their reasons, `components` with their certificate,
        `engine` with the digest of its weights.
    """
    found = detector(case.rows.past, engine="constructed")
    certificate = found.pca_.certificate_
    assert certificate is not None
    scores = _scores(found.score_samples, case.rows)
    alarms = alarms_of(scores, case.truth, config)
    context = case.demand, case.truth, config
    kept, shape = len(certificate.entries), case.rows.past.shape
    return {
        "alarms": told(alarms, found, case.rows, case.quantity, context),
        "components": {
            "eigenvalues": found.pca_.explained_variance_.tolist(),
            "shares": found.pca_.explained_variance_ratio_.tolist(),
            "loadings": found.pca_.components_.tolist(),
            "status": list(certificate.status),
            "tol": certificate.tol,
        },
        "engine": {
            "name": found.pca_.engine_,
            "reason": found.pca_.engine_reason_,
            "sha256": engine_digests(found.pca_.engine_, kept, shape, None),
            "weights": None,
        },
    }


def stock_study(
    demand: Demand, config: StockConfig, on_stage: Stage = lambda _: None
) -> dict[str, Any]:
    """Everything that the report of a stock study shows.

    Args:
        demand: the true one.
        config: the settings.
        on_stage: told what begins.

    Returns:
        JSON-ready.

    Raises:
        DataError: if the table cannot be used so.
    """
    on_stage("injecting faults")
    case = case_of(demand, config)
    tuned = None
    if config.fine_tune_steps:
        on_stage(f"fine-tuning {NETWORK} on the past")
        tuned = _tuned(case.rows.past, config)
    on_stage("key figures of every method")
    methods, every = [], {}
    for name, method in _methods(config, tuned).items():
        every[name], document = _judged(name, method, case, config)
        methods.append(document)
    on_stage("how many past cases are needed")
    needed = _past_needed(case, config)
    on_stage("what the network computes")
    seen = case.rows.past[:: max(1, len(case.rows.past) // 200)]
    return {
        "kind": "stock",
        "config": config.to_dict(),
        "data": demand.document(),
        "past": {
            "days": case.rows.start,
            "first_later": str(demand.dates[case.rows.start]),
            "rows": len(case.rows.past),
            "later_rows": int(case.rows.later[..., 0].size),
        },
        "events": [_event_document(one, demand) for one in case.events],
        "methods": methods,
        "best": _best(methods, every, case, config),
        "days": [str(day) for day in demand.dates[case.rows.start :]],
        "daily": np.max(every[MAIN], axis=1).tolist(),
        **judgement(case, config),
        "fine_tuning": None if tuned is None else _tuning_document(tuned),
        "past_needed": needed,
        "network": computation(seen, columns=_column_names(config)),
        "checks": checks(case.rows.past, case.rows.x.shape[1]),
    }


def _column_names(config: StockConfig) -> tuple[str, ...]:
    return tuple(f"{days} d" for days in config.windows)


def _event_document(event: Event, demand: Demand) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "item": demand.items[event.item],
        "first": str(demand.dates[event.first]),
        "last": str(demand.dates[event.last]),
    }


def _methods(config: StockConfig, tuned: FineTuned | None) -> dict[str, Method]:
    found: dict[str, Method] = {
        "constructed": spectral(engine="constructed"),
        "pre-trained": network(NETWORK),
    }
    if tuned is not None:
        found["fine-tuned"] = spectral(
            engine="pretrained", weights=tuned.weights, fallback="warn"
        )
    return found | {
        "PCA (PyOD's formula)": pca_distance,
        "Mahalanobis (NumPy)": mahalanobis,
        "IsolationForest": forest(config.seed),
        "seasonal z-score": first_column,
        EXTRA: largest_deviation,
    }


def _scores(score: Callable[[np.ndarray], np.ndarray], rows: Rows) -> np.ndarray:
    """`[D, n]`, the larger the stranger; `score` as `score_samples`."""
    later = rows.later
    return -score(later.reshape(-1, later.shape[-1])).reshape(later.shape[:2])


def _judged(
    name: str, method: Method, case: Case, config: StockConfig
) -> tuple[np.ndarray, dict[str, Any]]:
    """A method's scores `[D, n]`; its key figures and its seconds."""
    begun = time.perf_counter()
    score = method(case.rows.past)
    fitted = time.perf_counter()
    scores = _scores(lambda x: -score(x), case.rows)
    done = time.perf_counter()
    figures = key_figures(scores, case.truth, config)
    seconds = {"fit": fitted - begun, "score": done - fitted}
    return scores, {"name": name, "seconds": seconds, **figures}


def _best(
    methods: list[dict[str, Any]],
    every: dict[str, np.ndarray],
    case: Case,
    config: StockConfig,
) -> dict[str, Any]:
    """The baseline of the largest average precision, and by how much it differs."""
    baselines = [one for one in methods if one["name"] not in OURS]
    best = max(baselines, key=lambda one: one["average_precision"]["value"] or 0.0)
    gain = paired_precision(every[MAIN], every[best["name"]], case.truth, config)
    return {"baseline": best["name"], "gain": gain.to_dict()}


def _tuned(past: np.ndarray, config: StockConfig, *, augmented: bool = False) -> Any:
    return fine_tuned(past, config.fine_tune_steps, config.seed, augmented=augmented)


def _tuning_document(tuned: FineTuned) -> dict[str, Any]:
    found = tuned._asdict()
    del found["weights"]
    return {**found, "network": NETWORK}


def _past_needed(case: Case, config: StockConfig) -> list[dict[str, Any]]:
    """Average precision by the number of past rows, and of whole past."""
    past = case.rows.past
    order = np.random.default_rng(config.seed).permutation(len(past))
    counts = [n for n in config.past_rows if n < len(past)]
    found = []
    for count in [*counts, len(past)]:
        rows = past[np.sort(order[:count])]
        methods = _methods(config, None)
        if count in config.fine_tune_rows and config.fine_tune_steps:
            for name, augmented in (("fine-tuned", False), ("augmented", True)):
                tuned = _tuned(rows, config, augmented=augmented)
                options: dict[str, Any] = {"engine": "pretrained", "fallback": "warn"}
                methods[name] = spectral(weights=tuned.weights, **options)
        for name, method in methods.items():
            score = method(rows)
            scores = _scores(lambda x, score=score: -score(x), case.rows)
            precision = average_precision(scores, case.truth)
            found.append({"rows": count, "method": name, "precision": precision})
    return found
