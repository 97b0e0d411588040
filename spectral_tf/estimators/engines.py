"""Who proposes the eigenpairs: a constructed network, a trained one, or LAPACK.

The constructed network runs in passes (`krylov_passes.py`), a trained one once or
twice.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from spectral_tf.certificate.sources import CentredRows, Matrix, Source
from spectral_tf.config import ModelConfig, require
from spectral_tf.config.wording import counted
from spectral_tf.estimators.forward import Forward, cast
from spectral_tf.estimators.krylov_passes import Effort, solved
from spectral_tf.estimators.lapack import top_pairs
from spectral_tf.estimators.networks import (
    Weights,
    default_weights,
    for_table,
    load_network,
    misfit,
    register_starts,
)
from spectral_tf.estimators.polish import Span
from spectral_tf.model.network import Network
from spectral_tf.moments import check_memory
from spectral_tf.settings import compiled_settings
from spectral_tf.weights import most_components

MOST_COMPONENTS = 32
"""Beyond, an exact solver costs less than iterating so many vectors."""
DOUBLE_FLOOR, DOUBLE_SQUARINGS = 1e-10, 20
"""Of a network that keeps its past, in float64."""
ENGINES = ("auto", "constructed", "pretrained", "exact")


class Proposal(NamedTuple):
    """Eigenpairs of a source, in its units, and where they come from.

    Attributes:
        eigenvalues: `[k]` descending.
        eigenvectors: `[k, d]` rows.
        engine: `constructed`, `pretrained`, `pretrained, constructed` or `exact`.
        products: with S, that the network took.
        guards: `[g, d]` rows near the eigenvectors beyond, for a probable statement.
    """

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    engine: str
    products: int
    guards: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which engine runs, and why.

    Attributes:
        engine: one of `ENGINES` but `auto`.
        reason: one sentence.
        network: of the pre-trained engine.
        is_refined: whether the constructed network goes on from the trained answer.
    """

    engine: str
    reason: str
    network: Network[ModelConfig] | None = None
    is_refined: bool = False


def choose_engine(
    engine: str, weights: Weights | None, k: int, source: Source
) -> Choice:
    """Decide which engine proposes k eigenpairs of a source.

    Args:
        engine: one of `ENGINES`.
        weights: of a trained network, see `Weights`; None with `pretrained` takes the
            checkpoint `DEFAULT`, if it is shipped.
        k: how many.
        source: S.

    Returns:
        The choice.

    Raises:
        ConfigError: for an unknown engine, or `pretrained` without weights that fit.
        PretrainedError: for an unknown or damaged checkpoint.
    """
    require(
        engine in ENGINES,
        f"engine={engine!r} is unknown; choose one of {', '.join(ENGINES)}.",
    )
    require(
        engine == "pretrained" or engine == "auto" or weights is None,
        f"engine={engine!r} does not read weights; leave weights None, or use "
        "engine='pretrained' or 'auto'.",
    )
    most = rank_limit(source)
    if engine == "pretrained" and weights is None:
        weights = default_weights()
    network = None if weights is None else load_network(weights)
    problem = None if network is None else misfit(network.config, k)
    if engine == "pretrained":
        require(problem is None, f"engine='pretrained': {problem}")
        return Choice(engine, "as asked", network)
    if engine != "auto":
        return Choice(engine, "as asked")
    if k > MOST_COMPONENTS or k >= most:
        reason = (
            f"{k} of at most {counted(most, 'component')} are asked for; networks "
            f"propose up to {MOST_COMPONENTS}, and fewer than all"
        )
        return Choice("exact", reason)
    if network is None:
        return Choice("constructed", "it needs no trained weights")
    if problem is not None:
        return Choice("constructed", f"the trained weights do not fit: {problem}")
    reason = "the trained network proposes, the constructed one refines"
    return Choice("pretrained", reason, network, is_refined=True)


def rank_limit(source: Source) -> int:
    """How many eigenvalues can differ from zero."""
    return min(source.x.shape) if isinstance(source, CentredRows) else source.dim


def propose(
    choice: Choice,
    source: Source,
    k: int,
    effort: Effort,
    start: np.ndarray,
) -> Proposal:
    """Run the chosen engine.

    Args:
        choice: of `choose_engine`.
        source: S.
        k: how many pairs.
        effort: of the constructed network.
        start: `[n, d]` start vectors, n >= k; those beyond k guard the last gap.

    Returns:
        The proposal.
    """
    if choice.engine == "exact":
        return exact(source, k)
    if choice.network is None:
        return constructed(source, k, effort, start)
    first = pretrained(choice.network, source, k, start, effort.tol)
    if not choice.is_refined:
        return first
    start = np.concatenate([first.eigenvectors, start[k:]])
    refined = constructed(source, k, effort, start)
    products = first.products + refined.products
    return refined._replace(engine="pretrained, constructed", products=products)


def exact(source: Source, k: int) -> Proposal:
    """LAPACK: `eigh` of the covariance, `svd` of a table with few rows."""
    if isinstance(source, Matrix):
        return Proposal(*top_pairs(source.values, k), "exact", 0)
    if len(source.x) > source.dim:
        check_memory(source.dim, source.dim, "a covariance")
        return Proposal(*top_pairs(source.covariance, k), "exact", 0)
    _, scales, rows = np.linalg.svd(source.x, full_matrices=False)
    return Proposal(scales[:k] ** 2 / len(source.x), rows[:k], "exact", 0)


def constructed(source: Source, k: int, effort: Effort, start: np.ndarray) -> Proposal:
    """The Krylov network in passes, until it is accurate or will not become so."""
    span, products, _ = solved(source, k, effort, start)
    values, vectors = span.values[:k], span.vectors[:k]
    return Proposal(values, vectors, "constructed", products, span.vectors[k:])


@compiled_settings()
def pretrained(
    network: Network[ModelConfig],
    source: Source,
    k: int,
    start: np.ndarray,
    tol: float = 0.0,
) -> Proposal:
    """A trained network: one forward pass, or two where its registers keep their past.

    The second starts from all that the first one answers, and is taken where the first
    k do not look accurate to a tenth of `tol`; the better one is the answer.
    """
    config, params = network
    if config.layout.readout != "ritz":
        config = for_table(config, k, source.dim)
        return forward_pass(Network(config, params), source, start[:k])
    most = min(most_components(config), rank_limit(source))
    config = for_table(config, max(k, most), source.dim)
    config = config.replace(norm_floor=DOUBLE_FLOOR, squarings=DOUBLE_SQUARINGS)
    network = Network(config, params)
    # By numpy, which compiles nothing for a new d.
    rng = np.random.default_rng(config.start_seed)
    more = rng.standard_normal((config.num_registers, source.dim))[len(start) :]
    first = np.concatenate([start, more])[: config.num_registers]
    first = forward_pass(network, source, first)
    angle = Span.of(source, first.eigenvectors).angle(k)
    if angle > tol / 10:
        second = forward_pass(network, source, first.eigenvectors)
        products = first.products + second.products
        # Weights that training has left inexact can lose by it.
        if Span.of(source, second.eigenvectors).angle(k) < angle:
            first = second
        first = first._replace(products=products)
    values, vectors = first.eigenvalues[:k], first.eigenvectors[:k]
    return first._replace(eigenvalues=values, eigenvectors=vectors)


def forward_pass(
    network: Network[ModelConfig], source: Source, start: np.ndarray
) -> Proposal:
    """What a trained network answers from some start vectors."""
    config, params = network
    run = Forward.of(source)
    first = register_starts(config, start)
    values, vectors = run(config, cast(params, run.dtype), first)
    return in_order(values, vectors, "pretrained", config.num_products)


def in_order(
    values: np.ndarray, vectors: np.ndarray, engine: str, products: int
) -> Proposal:
    """The proposal with eigenvalues descending."""
    order = np.argsort(-values, kind="stable")
    return Proposal(values[order], vectors[order], engine, products)
