"""|cos| per rank on held-out instances, beside classical methods of as many products.

All start from the network's own start vectors. `P` counts products of S with one block
of vectors; the network's block has R = min(8, d) of them, that of the others k.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from config import Recipe
from jaxtyping import Array

from spectral_tf import (
    EnsembleConfig,
    Estimate,
    ModelConfig,
    Network,
    evaluate,
    sample_batch,
    subspace_iteration,
)
from spectral_tf.apps.report import plain_table
from spectral_tf.evaluation import PredictFn, Statistic, orthogonal_iteration_predict
from spectral_tf.model import gaussian_start
from spectral_tf.sampling import row_blocks, svd_reduce
from spectral_tf.settings import random_key
from spectral_tf.spectra import covariance, gram_schmidt, symmetric_eigh
from spectral_tf.tables import load_table

SEED = 20_251
"""Of all held-out instances; no recipe trains with it."""


@dataclasses.dataclass(frozen=True)
class Case:
    """Instances to score on."""

    name: str
    num_components: int
    count: int
    ensemble: EnsembleConfig | None = None
    images: str | None = None
    svd: int = 0
    block: int = 10


def synthetic(dim: int, samples: int, count: int) -> Case:
    ensemble = EnsembleConfig(dim=dim, num_samples=samples, num_components=4)
    return Case(f"authors d={dim} N={samples}", 4, count, ensemble)


WHITENED, RAW = "SVD 10, whitened, N=10", "raw d=784, N=100"

CASES = (
    synthetic(10, 50, 10_000),
    synthetic(30, 100, 10_000),
    synthetic(128, 300, 2_000),
    Case(f"MNIST, {WHITENED}", 5, 2_048, images="mnist", svd=10),
    Case(f"MNIST, {RAW}", 5, 50, images="mnist", block=100),
    Case(f"Fashion, {WHITENED}", 5, 2_048, images="fashion-mnist", svd=10),
    Case(f"Fashion, {RAW}", 5, 200, images="fashion-mnist", block=100),
)
"""Fashion-MNIST is a Debian package, `dataset-fashion-mnist`."""

DEPTHS = (2, 4, 8)
"""A looped network also runs at so many times its depth."""


def instances(case: Case) -> Any:
    key = random_key(SEED)
    if case.ensemble is not None:
        return sample_batch(key, case.ensemble, case.count)
    table = load_table(case.images or "mnist")
    x = svd_reduce(table.x, case.svd) if case.svd else table.x
    if case.svd:
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    return row_blocks(
        key,
        x,
        block_size=case.block,
        num_components=case.num_components,
        max_blocks=case.count,
    )


def lanczos_predict(config: ModelConfig, products: int) -> PredictFn:
    """Block Lanczos with k start vectors: Rayleigh-Ritz on the Krylov space."""

    def run(x: Array, mask: Array) -> Estimate:
        matrix, k = covariance(x, mask), config.num_components
        dim = x.shape[1]
        block = gaussian_start(config, k, dim, x.dtype)
        basis = gram_schmidt(block)
        most = min(products, -(-dim // k))
        for _ in range(most):
            block = block @ matrix
            block = block - block @ basis.T @ basis
            block = gram_schmidt(block)
            basis = jnp.concatenate([basis, block])[:dim]
        projected = basis @ matrix @ basis.T
        values, vectors = symmetric_eigh((projected + projected.T) / 2)
        top = jnp.argsort(-values)[:k]
        return Estimate(values[top], vectors[:, top].T @ basis)

    return run


def mean_square(errors: Statistic, count: int) -> float:
    """Mean of the squares, from the mean and the 95 % interval of `count` errors."""
    return errors.mean**2 + (errors.half_width / 1.96) ** 2 * (count - 1)


def methods_of(recipe: Recipe, network: Network, case: Case) -> dict[str, PredictFn]:
    """Name -> what is scored: network, what it started from, classics."""
    config, params = network
    options: dict[str, Any] = dict(recipe.construction)
    options["num_iters"] = config.num_blocks
    written, start = subspace_iteration(**options)
    model = config.replace(num_components=case.num_components)
    untrained = written.replace(num_components=case.num_components)
    products = model.num_products
    methods: dict[str, PredictFn] = {f"network, P={products}": Network(model, params)}
    for times in DEPTHS if model.looped and case.ensemble else ():
        deep = model.replace(num_blocks=times * model.num_blocks)
        methods[f"network, {times} P"] = Network(deep, params)
    methods["its construction, untrained"] = Network(untrained, start)
    for factor in (1, 2, 3):
        method = orthogonal_iteration_predict(model, factor * products)
        methods[f"orthogonal iteration, {factor} P"] = method
    if case.ensemble is not None:
        methods["block Lanczos, P"] = lanczos_predict(model, products)
    return methods


def scores(recipe: Recipe, network: Network, *, smoke: bool = False) -> list[dict]:
    """Every case that the network takes; per rank with intervals."""
    config = network.config
    found = []
    for case in CASES[:1] if smoke else CASES:
        case = dataclasses.replace(case, count=4) if smoke else case
        batch = instances(case)
        if config.dim is not None and batch.x.shape[2] > config.dim:
            continue
        for name, method in methods_of(recipe, network, case).items():
            report = evaluate(method, batch)
            found.append(
                {
                    "instances": case.name,
                    "method": name,
                    "n": report.num_instances,
                    "cosine": [rank.mean for rank in report.cosine],
                    "half_width": [rank.half_width for rank in report.cosine],
                    "eigenvalue_error": [r.mean for r in report.eigenvalue_error],
                    "squared_error": [
                        mean_square(rank, report.num_instances)
                        for rank in report.eigenvalue_error
                    ],
                }
            )
    return found


def score_table(found: list[dict]) -> str:
    """The table of README.md.

    `value err^2` is the mean of ((found - true) / true)^2 of an eigenvalue, at the rank
    where it is largest.
    """
    most = max(len(one["cosine"]) for one in found)
    ranks = (f"|cos| {j + 1}" for j in range(most))
    header = ("instances", "method", "n", *ranks, "value err^2")
    rows, before = [], ""
    for one in found:
        cells = [
            f"{mean:.4f} ± {width:.4f}" if np.isfinite(width) else f"{mean:.4f}"
            for mean, width in zip(one["cosine"], one["half_width"], strict=True)
        ]
        cells += [""] * (most - len(cells))
        if "squared_error" in one:
            cells.append(f"{max(one['squared_error']):.3%}")
        name = one["instances"] if one["instances"] != before else ""
        rows.append((name, one["method"], str(one["n"]), *cells))
        before = one["instances"]
    return plain_table(header, rows)
