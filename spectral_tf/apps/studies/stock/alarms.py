"""Why an item is alarmed: the windows that stand out, and the sales behind them."""

from typing import Any

import numpy as np

from spectral_tf.apps.studies.stock.config import StockConfig
from spectral_tf.apps.studies.stock.demand import Demand
from spectral_tf.apps.studies.stock.kpis import Alarm, Truth
from spectral_tf.apps.studies.stock.rows import Rows
from spectral_tf.estimators import SpectralOutlierDetector


def told(
    alarms: list[Alarm],
    found: SpectralOutlierDetector,
    rows: Rows,
    quantity: np.ndarray,
    context: tuple[Demand, Truth, StockConfig],
) -> list[dict[str, Any]]:
    """The alarms with their reasons, the largest score first.

    Args:
        alarms: of the detector.
        found: the detector.
        rows: what it was shown.
        quantity: `[T, n]` sales with faults.
        context: the demand, what was injected, the configuration.

    Returns:
        JSON-ready. Of each alarm: `date`, `item`, `score`, `fault` (its kind, or None),
        and of each window `days`, `sold`, `expected`, `deviations` and `share` of the
        squared score.
    """
    demand, truth, config = context
    if not alarms:
        return []
    x = np.stack([rows.later[one.day, one.item] for one in alarms])
    reasons = found.explain(x)
    squared = reasons.contribution.sum(axis=1, keepdims=True)
    shares = reasons.contribution / np.where(squared > 0, squared, 1)
    documents = []
    for index, one in enumerate(alarms):
        day = rows.start + one.day
        windows = []
        for place, length in enumerate(config.windows):
            days = slice(max(0, day - length + 1), day + 1)
            windows.append(
                {
                    "days": length,
                    "sold": float(quantity[days, one.item].sum()),
                    "expected": float(rows.expected[days, one.item].sum()),
                    "deviations": float(x[index, place]),
                    "share": float(shares[index, place]),
                }
            )
        documents.append(
            {
                "date": str(demand.dates[day]),
                "row": one.day * len(demand.items) + one.item + 1,
                "item": demand.items[one.item],
                "score": one.score,
                "fault": None if one.event is None else truth.events[one.event].kind,
                "components": reasons.component_score[index].tolist(),
                "windows": windows,
            }
        )
    return sorted(documents, key=lambda document: -document["score"])
