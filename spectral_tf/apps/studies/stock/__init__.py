"""Anomalies in the daily demand of many items, found from the past alone."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.studies.stock.config import StockConfig
    from spectral_tf.apps.studies.stock.demand import load_demand
    from spectral_tf.apps.studies.stock.sections import stock_page
    from spectral_tf.apps.studies.stock.study import stock_study

__all__ = ["StockConfig", "load_demand", "stock_page", "stock_study"]

_HOMES = {
    "config": ("StockConfig",),
    "demand": ("load_demand",),
    "sections": ("stock_page",),
    "study": ("stock_study",),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
