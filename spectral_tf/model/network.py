"""A network is one value: its configuration and its parameters.

Constructions, checkpoints and training all give one; `evaluate`, `fuse`, `trace`,
`expand`, `jax.jit` and `jax.vmap` take one. It is a pytree whose leaves are the
parameters, so that it can be an argument of a compiled function or be differentiated.
"""

import math
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, overload

import jax
from flax import struct
from jaxtyping import Array, Bool, Float

from spectral_tf.config import AnyModel, ClusterModelConfig, ModelConfig
from spectral_tf.config.wording import counted
from spectral_tf.model.cluster import ClusterEstimate, ClusterTable, predict_clusters
from spectral_tf.model.readout import Estimate
from spectral_tf.model.transformer import predict

Model = TypeVar("Model", bound=AnyModel)


# Compared by identity, as functions are: `jax.jit(network)` needs a hash.
class Network(struct.PyTreeNode, Generic[Model], eq=False):
    """A configuration and the parameters that it runs with.

    It unpacks as the pair `config, params = network`, and is called like a function.

    Attributes:
        config: `ModelConfig` of a network that finds eigenpairs, or
            `ClusterModelConfig` of one that clusters; static under JAX.
        params: nested dictionaries of arrays, constructed, trained or anything between.

    Example:
        >>> import jax, spectral_tf
        >>> network = spectral_tf.power_method_params(5, 2, 30)
        >>> tables = jax.random.normal(jax.random.key(0), (8, 40, 5))
        >>> network(tables[0]).eigenvalues.shape
        (2,)
        >>> jax.vmap(network)(tables).eigenvectors.shape
        (8, 2, 5)

    Source: optimistix, where a solver is one value.
    """

    config: Model = struct.field(pytree_node=False)
    params: Any = struct.field()

    def __iter__(self) -> Iterator[Any]:
        """Unpack as `config, params`."""
        return iter((self.config, self.params))

    @overload
    def __call__(
        self: "Network[ModelConfig]",
        x: Float[Array, "N d"],
        mask: Bool[Array, " N"] | None = None,
        start: Float[Array, "k d"] | None = None,
    ) -> Estimate: ...

    @overload
    def __call__(
        self: "Network[ClusterModelConfig]",
        x: Float[Array, "N d"] | ClusterTable,
        num_classes: int,
        mask: Bool[Array, " N"] | None = None,
        *,
        num_starts: int = 8,
    ) -> ClusterEstimate: ...

    def __call__(self, x: Any, *args: Any, **options: Any) -> Any:
        """What the network answers for one table; `jax.vmap` it for many.

        Args:
            x: `[N, d]` rows; any finite scale.
            *args: of eigenpairs, `mask, start` as for `predict`; of clusters,
                `num_classes, mask` as for `predict_clusters`.
            **options: the same by name.

        Returns:
            `Estimate` of eigenpairs, or `ClusterEstimate`.

        Raises:
            ConfigError: if x has another d, or N, than the weights are made for.
            DataError: if x has no (valid) row, or NaN or infinity in one.
        """
        if isinstance(self.config, ClusterModelConfig):
            return predict_clusters(self.config, self.params, x, *args, **options)
        return _eigenpairs(self.config, self.params, x, *args, **options)

    @property
    def num_parameters(self) -> int:
        """How many numbers the parameters are."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.params))

    def __repr__(self) -> str:
        """One line: kind, sizes, number of parameters."""
        count = counted(self.num_parameters, "parameter")
        return f"Network({_summary(self.config)}, {count})"


def _eigenpairs(
    config: ModelConfig, params: Any, x: Any, mask: Any = None, start: Any = None
) -> Estimate:
    """`predict` with the start vectors in their place."""
    return predict(config, params, x, mask, start=start)


def _summary(config: AnyModel) -> str:
    """Kind and sizes of a network."""
    if isinstance(config, ClusterModelConfig):
        return f"clusters, {counted(config.num_blocks, 'block')}, any d, N and K"
    sublayers = "+".join(config.block)
    dim = "any d" if config.dim is None else f"d={config.dim}"
    rows = "any N" if config.num_samples is None else f"N={config.num_samples}"
    return (
        f"eigenpairs, {config.layout.kind}, {counted(config.num_blocks, 'block')} "
        f"of {sublayers}, k={config.num_components}, {dim}, {rows}"
    )
