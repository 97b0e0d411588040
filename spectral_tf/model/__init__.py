"""The one transformer: its two parameterisations, its parameter tree, its presets.

`expand`, a module here, is exported as a function by `spectral_tf` alone.
"""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.model.channels import ChannelBlock, register_codes
    from spectral_tf.model.cluster import (
        ClusterEstimate,
        ClusterTransformer,
        predict_clusters,
    )
    from spectral_tf.model.dense import DenseBlock
    from spectral_tf.model.describe import CostRow, cost_table, total_flops
    from spectral_tf.model.expand import without_idle_units
    from spectral_tf.model.moment import Moment, reads_moment_only, scaled_moment
    from spectral_tf.model.network import Network
    from spectral_tf.model.params import (
        ParamsError,
        block_path,
        check_params,
        count_params,
        flatten_params,
        init_params,
        load_weights,
        parameter_shapes,
        save_weights,
        unflatten_params,
        unroll,
    )
    from spectral_tf.model.presets import PRESETS, model_preset
    from spectral_tf.model.readout import Estimate
    from spectral_tf.model.transformer import (
        Intermediates,
        SpectralTransformer,
        default_start,
        gaussian_start,
        predict,
        predict_from_covariance,
        register_starts,
    )

__all__ = [
    "PRESETS",
    "ChannelBlock",
    "ClusterEstimate",
    "ClusterTransformer",
    "CostRow",
    "DenseBlock",
    "Estimate",
    "Intermediates",
    "Moment",
    "Network",
    "ParamsError",
    "SpectralTransformer",
    "block_path",
    "check_params",
    "cost_table",
    "count_params",
    "default_start",
    "flatten_params",
    "gaussian_start",
    "init_params",
    "load_weights",
    "model_preset",
    "parameter_shapes",
    "predict",
    "predict_clusters",
    "predict_from_covariance",
    "reads_moment_only",
    "register_codes",
    "register_starts",
    "save_weights",
    "scaled_moment",
    "total_flops",
    "unflatten_params",
    "unroll",
    "without_idle_units",
]

_HOMES = {
    "channels": ("ChannelBlock", "register_codes"),
    "cluster": ("ClusterEstimate", "ClusterTransformer", "predict_clusters"),
    "dense": ("DenseBlock",),
    "describe": ("CostRow", "cost_table", "total_flops"),
    "expand": ("without_idle_units",),
    "moment": ("Moment", "reads_moment_only", "scaled_moment"),
    "network": ("Network",),
    "params": (
        "ParamsError",
        "block_path",
        "check_params",
        "count_params",
        "flatten_params",
        "init_params",
        "load_weights",
        "parameter_shapes",
        "save_weights",
        "unflatten_params",
        "unroll",
    ),
    "presets": ("PRESETS", "model_preset"),
    "readout": ("Estimate",),
    "transformer": (
        "Intermediates",
        "SpectralTransformer",
        "default_start",
        "gaussian_start",
        "predict",
        "predict_from_covariance",
        "register_starts",
    ),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
