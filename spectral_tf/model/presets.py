"""Named model configurations."""

from typing import Any

from spectral_tf.config import ModelConfig, require

PRESETS: dict[str, dict[str, Any]] = {
    "equivariant": {},
    "theory": {
        "parameterisation": "dense",
        "block": ("attention", "mlp"),
        "attention": "relu",
        "attention_scale": "mean",
        "norm": "none",
        "norm_position": "pre",
        "skip_gain": False,
        "mlp": "plain",
        "activation": "relu",
        "readout": "linear",
        "dim": 10,
    },
    "register": {
        "parameterisation": "dense",
        "block": ("attention", "mlp"),
        "attention": "relu",
        "attention_scale": "mean",
        "norm": "rms",
        "norm_position": "pre",
        "skip_gain": False,
        "mlp": "plain",
        "activation": "gelu",
        "mlp_width": 256,
        "readout": "linear",
        "dim": 10,
    },
    "paper_gpt2": {
        "parameterisation": "dense",
        "block": ("attention", "mlp"),
        "attention": "softmax",
        "causal": True,
        "norm": "layer",
        "norm_position": "pre",
        "norm_eps": 1e-5,
        "skip_gain": False,
        "mlp": "plain",
        "activation": "gelu",
        "num_blocks": 12,
        "mlp_width": 256,
        "positions": "learned",
        "readout": "flatten",
        "centre": "none",
        "unit_trace": False,
        "dim": 10,
        "num_samples": 50,
    },
}


def model_preset(name: str, **changes: Any) -> ModelConfig:
    """Model configuration by name.

    Args:
        name: `equivariant` (default for training), `theory` (relu attention, no
            norm, relu MLP, dense), `register` (dense, trainable), `paper_gpt2`
            (the architecture that the authors train).
        **changes: fields to override, those of its layout and of its input by the
            names of `ModelConfig.flat`, e.g. `dim=16, num_blocks=4`.

    Returns:
        The configuration. The dense presets are for d = 10 (paper_gpt2: N = 50)
        unless `changes` says otherwise.

    Raises:
        ConfigError: for an unknown name, or an invalid combination.

    Source: He et al. (2025), arXiv:2501.01312, sections 2 and 4.
    """
    require(
        name in PRESETS,
        f"unknown preset {name!r}; choose one of {', '.join(sorted(PRESETS))}.",
    )
    return ModelConfig.from_flat(**(PRESETS[name] | changes))
