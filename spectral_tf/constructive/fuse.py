r"""Constructed weights, fast: by rules on the weights, never by another algorithm.

1. A +- pair of relu heads, or of hidden units, is one linear map.
2. A linear head over the data is re-associated:
   :math:`\sum_i V h_i \langle K h_i, Q h_j\rangle = (\sum_i V h_i (K h_i)^\top) Q h_j`,
   O(N) instead of O(N^2).
3. A moment of rows that a loop does not write is computed before the loop.
4. What is provably zero is dropped: zero maps, rows that stay zero, pairs of tokens
   that a gate closes, by interval arithmetic.
5. What the answer does not depend on is not computed.
6. Equal blocks are one block in a loop, and moving rows costs nothing, because rows
   that are always used together are one array.

So a fused `krylov` is block Lanczos on the rows: a product is X^T (X u), or one with
the moment of the rows where that costs less, and all other sublayers are scores and
mixtures of the b registers' vectors, before the read-out `ritz` as it is.

`fusion/` holds the rules. Networks that they do not cover (softmax, equivariant, layer
norm, ...) and dense ones in which they find no structure are evaluated as they are.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spectral_tf.config import ModelConfig
from spectral_tf.constructive.fusion.answer import answer_tokens
from spectral_tf.constructive.fusion.plan import make_plan
from spectral_tf.constructive.fusion.records import Plan
from spectral_tf.constructive.fusion.runner import Runner
from spectral_tf.model.inputs import check_fits, check_rows, scaled_rows
from spectral_tf.model.network import Network
from spectral_tf.model.params import check_params
from spectral_tf.model.readout import read_tokens
from spectral_tf.model.ritz import basis_of, ritz
from spectral_tf.model.transformer import Estimate, predict
from spectral_tf.settings import standard_settings
from spectral_tf.spectra import canonical_sign

Fused = Callable[..., Estimate]


def is_covered(config: ModelConfig) -> bool:
    """True if the rules know every part of the architecture.

    Args:
        config: the model.

    Returns:
        Whether `fuse` can do more than evaluate the network as it is.
    """
    return (
        config.is_dense
        and config.block in (("attention", "mlp"), ("attention",))
        and config.attention in ("relu", "linear")
        and config.dense.mlp == "plain"
        and config.activation == "relu"
        and config.layout.readout in ("linear", "rayleigh", "ritz")
        and not config.terminator
        and config.dense.positions == "none"
        and not config.dense.skip_gain
        and (
            config.layout.norm == "none"
            or (config.layout.norm == "rms" and config.dense.norm_position == "post")
        )
    )


@standard_settings()
def fuse(network: Network[ModelConfig]) -> Fused:
    """A function equal to `predict` to rounding, fast where weights are constructed.

    Args:
        network: any that finds eigenpairs; its parameters are concrete (not traced):
            they are analysed here, once.

    Returns:
        `(x [N, d], mask [N] | None = None) -> Estimate`, to be jitted or vmapped by the
        caller. It makes no array of N x N numbers for constructed weights.

    Raises:
        ParamsError: if the parameters do not fit the model.

    Example:
        >>> import jax, spectral_tf
        >>> fast = jax.jit(spectral_tf.fuse(spectral_tf.power_method_params(10, 3, 60)))
        >>> x = jax.random.normal(jax.random.key(0), (1000, 10))
        >>> fast(x).eigenvectors.shape
        (3, 10)
    """
    config, params = network
    check_params(config, params)
    plan = fusion_plan(network)
    if plan is None:
        return lambda x, mask=None: predict(config, params, x, mask)

    @standard_settings()
    def fused(
        x: Float[Array, "N d"], mask: Bool[Array, " N"] | None = None
    ) -> Estimate:
        check_fits(config, x)
        check_rows(x, mask)
        inputs = scaled_rows(config, x, mask)
        runner = Runner(plan, inputs, masked=mask is not None)
        state = runner.nodes(plan.nodes, runner.start())
        tokens = answer_tokens(plan, state, inputs.x.dtype)
        if config.layout.readout == "ritz":
            vectors = basis_of(config, (inputs.x, tokens))
            estimate = ritz(config, vectors, jnp.zeros(2), inputs.unscale)
        else:
            outer = {
                name: runner.constant(plan.params[name])
                for name in ("vector_kernel", "value_kernel", "value_bias")
                if name in plan.params
            }
            estimate = read_tokens(config, outer, tokens, inputs)
        return estimate._replace(eigenvectors=canonical_sign(estimate.eigenvectors))

    return fused


def fusion_plan(network: Network[ModelConfig]) -> Plan | None:
    """What `fuse` found; None if it evaluates the network as it is.

    Args:
        network: any that finds eigenpairs.

    Returns:
        The plan, for those who want to look at it.
    """
    config, params = network
    if not is_covered(config):
        return None
    plan = make_plan(config, params)
    if plan is None:
        return None
    heads = [head for site in plan.sites.values() for head in site.heads]
    return plan if any(head.kind == "linear" for head in heads) else None
