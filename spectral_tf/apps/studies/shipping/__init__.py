"""Groups of deliveries: found, compared, put into words, and doubted."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.apps.studies.shipping.config import ShippingConfig
    from spectral_tf.apps.studies.shipping.data import load_deliveries
    from spectral_tf.apps.studies.shipping.page import shipping_page
    from spectral_tf.apps.studies.shipping.study import shipping_study

__all__ = ["ShippingConfig", "load_deliveries", "shipping_page", "shipping_study"]

_HOMES = {
    "config": ("ShippingConfig",),
    "data": ("load_deliveries",),
    "page": ("shipping_page",),
    "study": ("shipping_study",),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
