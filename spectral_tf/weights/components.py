"""Which k trained weights serve."""

from spectral_tf.config import Channels, ConfigError, ModelConfig
from spectral_tf.config.wording import counted
from spectral_tf.weights.manifest import PretrainedError


def most_components(config: ModelConfig) -> int:
    """The largest k that trained weights of a model serve.

    Args:
        config: the model.

    Returns:
        For an equivariant network the registers that it has codes for (and runs, if
        their number is fixed); for a dense one the k that it was trained for.
    """
    if config.is_dense:
        return config.num_components
    return min(config.register_rows, config.register_tokens or config.register_rows)


def with_components(config: ModelConfig, num_components: int) -> ModelConfig:
    """The model for another k, served by the same parameters.

    Args:
        config: the model.
        num_components: k.

    Returns:
        The configuration; its parameters have the same names and shapes.

    Raises:
        PretrainedError: if the weights do not serve this k.
    """
    k, most = num_components, most_components(config)
    if not isinstance(k, int) or isinstance(k, bool):
        raise PretrainedError(
            f"num_components={k!r} must be a whole number, 1 to {most}."
        )
    if k == config.num_components:
        return config
    if config.layout.readout == "flatten":
        raise PretrainedError(
            f"num_components={k}: the weights of a flatten read-out are for "
            f"{counted(most, 'component')} only; leave num_components out."
        )
    if not 1 <= k <= most:
        raise PretrainedError(
            f"num_components={k} must be 1 to {most}, which the weights are trained "
            "for; ask for fewer, or train with a larger max_components."
        )
    layout, tokens = config.layout, config.num_registers
    if isinstance(layout, Channels):
        tokens = config.register_tokens
        layout = layout.replace(max_components=config.register_rows)
    try:
        return config.replace(num_components=k, layout=layout, register_tokens=tokens)
    except ConfigError as error:
        raise PretrainedError(f"num_components={k} does not fit: {error}") from error
