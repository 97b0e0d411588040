"""The shipping study: number of groups, methods, words, strange deliveries."""

import dataclasses
import hashlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from spectral_tf.apps.analysis.document import finite, package_versions
from spectral_tf.apps.studies.shipping.baselines import METHODS, OURS, quiet
from spectral_tf.apps.studies.shipping.config import ShippingConfig
from spectral_tf.apps.studies.shipping.contrasts import groups_of, largest_first
from spectral_tf.apps.studies.shipping.data import Deliveries
from spectral_tf.apps.studies.shipping.features import Features, features_of
from spectral_tf.apps.studies.shipping.kpis import (
    agreement,
    comparison,
    described_method,
    key_figures,
)
from spectral_tf.apps.studies.shipping.outliers import strangest
from spectral_tf.apps.studies.shipping.stability import (
    chosen_number,
    labelled,
    recovery,
    reference_of,
    resamples_of,
    stability,
    sweep,
)
from spectral_tf.certificate import Certificate
from spectral_tf.config import DataError
from spectral_tf.config.wording import counted
from spectral_tf.estimators import SpectralClusterer, SpectralPCA

STAGES = (
    "trying numbers of groups",
    "comparing the methods",
    "describing the groups",
    "looking for strange deliveries",
)


class _Whole(NamedTuple):
    """The methods on the whole table.

    Attributes:
        clusterer: ours, fitted.
        finals: method -> `[N]` labels.
        seconds: method -> of the fit.
    """

    clusterer: SpectralClusterer
    finals: dict[str, np.ndarray]
    seconds: dict[str, float]


def shipping_study(
    deliveries: Deliveries,
    config: ShippingConfig,
    on_stage: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Group the deliveries, and find out how far the groups can be trusted.

    Args:
        deliveries: the table.
        config: the settings.
        on_stage: called with the name of each stage as it begins; see `STAGES`.

    Returns:
        Everything that the report shows, JSON-ready. The same for the same table and
        settings, but for `seconds`.

    Raises:
        DataError: if the table has too few columns that vary.
    """
    # Threads cost more than they save on tables of few columns, and on a busy machine
    # they wait for each other; with one, sums also have one order.
    with threadpool_limits(1):
        return finite(_studied(deliveries, config, on_stage))


def _studied(
    deliveries: Deliveries,
    config: ShippingConfig,
    on_stage: Callable[[str], None] | None,
) -> dict[str, Any]:
    total = len(deliveries.numbers)
    table = deliveries.thinned(config.most_rows, config.seed)
    features = features_of(table)
    seconds, reference = _Stopwatch(on_stage), reference_of(features.x, config)
    seconds.begin(STAGES[0])
    tried = sweep(features.x, reference, config)
    is_chosen = config.n_clusters == "auto"
    k = chosen_number(tried) if is_chosen else int(config.n_clusters)
    seconds.begin(STAGES[1])
    compared = _compared(features.x, reference, k, config)
    method = compared["described"]["method"]
    seconds.begin(STAGES[2])
    whole = _whole(features.x, k, config)
    groups, labels = _groups(features, whole.finals[method], compared, k, config)
    seconds.begin(STAGES[3])
    strange = strangest(features, table.rows, labels, config)
    seconds.end()
    return {
        "kind": "shipping",
        "config": config.to_dict(),
        "data": _about(table, total),
        "features": _features(features),
        "number": {"k": k, "is_chosen": is_chosen, "tried": tried},
        "methods": {
            **{name: compared[name] for name in ("figures", "described")},
            "reference": compared["reference"],
            "comparison": comparison(compared["figures"]),
            "agreement": agreement(whole.finals),
            "rows": compared["rows"],
        },
        "groups": groups,
        "labels_sha256": hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest(),
        "map": _map(features.x, labels, whole.clusterer, table.rows, config),
        "certificate": _certificate(whole.clusterer, len(features.about)),
        "strange": strange,
        "versions": package_versions(),
        "seconds": {
            "stages": seconds.stages,
            "whole_fit": whole.seconds,
            "resample_fit": compared["seconds"],
        },
    }


class _Stopwatch:
    """Seconds of each stage; tells the caller as one begins."""

    def __init__(self, on_stage: Callable[[str], None] | None) -> None:
        self.stages: dict[str, float] = {}
        self._on_stage = on_stage
        self._name, self._start = "", 0.0

    def begin(self, name: str) -> None:
        """End the last stage and begin another."""
        self.end()
        if self._on_stage is not None:
            self._on_stage(name)
        self._name, self._start = name, time.perf_counter()

    def end(self) -> None:
        """End the last stage."""
        if self._name:
            self.stages[self._name] = time.perf_counter() - self._start
        self._name = ""


def _compared(
    x: np.ndarray, reference: np.ndarray, k: int, config: ShippingConfig
) -> dict[str, Any]:
    """All methods with the same number of groups on the same resamples."""
    plan = resamples_of(len(x), config.resamples, config.resample_rows, config)
    _refuse_too_many(k, plan.rows.shape[1])
    found = {name: labelled(name, x, k, plan, config) for name in METHODS}
    figures = key_figures(found, x, plan, config)
    described = described_method(figures)
    without = labelled(described.method, reference, k, plan, config)
    return {
        "figures": figures,
        "described": described._asdict(),
        "reference": stability(without.labels, config).to_dict(),
        "labels": found[described.method].labels,
        "common": plan.common,
        "rows": {"resample": plan.rows.shape[1], "common": len(plan.common)},
        "seconds": {name: one.seconds for name, one in found.items()},
    }


def _refuse_too_many(k: int, rows: int) -> None:
    if rows < 5 * k:
        raise DataError(
            f"{counted(k, 'group')} in resamples of {counted(rows, 'row')} cannot be "
            "told apart; ask for fewer (n_clusters), or give a longer table."
        )


def _whole(x: np.ndarray, k: int, config: ShippingConfig) -> _Whole:
    """Every method on the whole table, its rows in random order."""
    order = np.random.default_rng([config.seed, 8]).permutation(len(x))
    finals, seconds = {}, {}
    start = time.perf_counter()
    with quiet():
        clusterer = SpectralClusterer(
            k, n_init=config.num_starts, random_state=config.seed
        ).fit(x[order])
    seconds[OURS] = time.perf_counter() - start
    finals[OURS] = clusterer.predict(x)
    for name, method in METHODS.items():
        if name == OURS:
            continue
        start = time.perf_counter()
        fitted = method(x[order], k, config.seed, config)
        seconds[name] = time.perf_counter() - start
        finals[name] = np.asarray(fitted(x)).astype(np.int64)
    return _Whole(clusterer, finals, seconds)


def _groups(
    features: Features,
    labels: np.ndarray,
    compared: dict[str, Any],
    k: int,
    config: ShippingConfig,
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The groups in words, and `[N]` labels with the largest group first.

    A group without rows is left out.
    """
    order = [old for old in largest_first(labels, k).tolist() if np.any(labels == old)]
    new = np.zeros(k, np.int64)
    new[order] = np.arange(len(order))
    labels = new[labels]
    own = labels[compared["common"]]
    recovered = recovery(compared["labels"], own, k, config)[: len(order)]
    return groups_of(features, labels, recovered), labels


def _about(table: Deliveries, total: int) -> dict[str, Any]:
    return {
        "name": table.name,
        "path": table.path,
        "sha256": table.sha256,
        "rows": len(table.numbers),
        "rows_read": total,
        "citation": dataclasses.asdict(table.citation),
        "notes": [dataclasses.asdict(note) for note in table.notes],
    }


def _features(features: Features) -> dict[str, Any]:
    return {
        "used": [
            one.document()
            | {
                "mean": one.plain(float(features.mean[i])),
                "least": one.plain(float(features.raw[:, i].min())),
                "most": one.plain(float(features.raw[:, i].max())),
            }
            for i, one in enumerate(features.about)
        ],
        "left_out": [dataclasses.asdict(note) for note in features.left_out],
    }


def _map(
    x: np.ndarray,
    labels: np.ndarray,
    clusterer: SpectralClusterer,
    rows: np.ndarray,
    config: ShippingConfig,
) -> dict[str, Any]:
    """Some deliveries in the first two components."""
    pca = clusterer.pca_
    if pca.n_components_ < 2:
        pca = SpectralPCA(2, random_state=config.seed).fit(x)
    rng = np.random.default_rng([config.seed, 9])
    shown = np.sort(rng.permutation(len(x))[: config.points])
    scores = pca.transform(x[shown])
    return {
        "x": scores[:, 0].tolist(),
        "y": scores[:, 1].tolist(),
        "group": (labels[shown] + 1).tolist(),
        "row": rows[shown].tolist(),
        "shares": pca.explained_variance_ratio_[:2].tolist(),
        "loadings": pca.components_[:2].tolist(),
    }


def _certificate(clusterer: SpectralClusterer, dim: int) -> dict[str, Any]:
    """What is proven about the components in which ours grouped the deliveries."""
    pca = clusterer.pca_
    certificate: Certificate | None = pca.certificate_
    assert certificate is not None
    return {
        **certificate.to_dict(),
        "shares": pca.explained_variance_ratio_.tolist(),
        "engine": pca.engine_,
        "reason": pca.engine_reason_,
        "is_certified": certificate.is_certified,
        # Then the mixture is one in all columns, and the components decide nothing.
        "is_whole_space": pca.n_components_ == dim,
    }
