"""|cos| per rank on held-out instances, beside classical methods of as many products.

All start from the network's own start vectors. `P` counts products of S with one block
of vectors; the network's block has R = min(8, d) of them, that of the others k.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from config import Recipe, start_of
from jaxtyping import Array

from spectral_tf import (
    EnsembleConfig,
    Estimate,
    ModelConfig,
    Network,
    evaluate,
    krylov,
    sample_batch,
)
from spectral_tf.apps.report import plain_table
from spectral_tf.constructive import block_lanczos, subspace_iteration
from spectral_tf.evaluation import PredictFn, Statistic, orthogonal_iteration_predict
from spectral_tf.model import register_starts
from spectral_tf.sampling import row_blocks, svd_reduce
from spectral_tf.settings import random_key
from spectral_tf.spectra import covariance
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
    """Block Lanczos from the network's own start vectors, in float64 by numpy.

    Full reorthogonalisation, twice, and what vanishes is dropped: the most that so many
    products allow.
    """

    def host(matrix: Any, start: Any) -> tuple[np.ndarray, np.ndarray]:
        # They come as arrays of JAX, which would stay in single precision.
        rows = np.linalg.qr(np.asarray(start, np.float64).T)[0].T
        pairs = block_lanczos(np.asarray(matrix, np.float64), rows, products, k)
        return pairs[0].astype(np.float32), pairs[1].astype(np.float32)

    k = config.num_components

    def run(x: Array, mask: Array) -> Estimate:
        matrix, dim = covariance(x, mask), x.shape[1]
        start = register_starts(config, dim, x.dtype)
        shapes = (
            jax.ShapeDtypeStruct((k,), jnp.float32),
            jax.ShapeDtypeStruct((k, dim), jnp.float32),
        )
        return Estimate(
            *jax.pure_callback(host, shapes, matrix, start, vmap_method="sequential")
        )

    return run


def mean_square(errors: Statistic, count: int) -> float:
    """Mean of the squares, from the mean and the 95 % interval of `count` errors."""
    return errors.mean**2 + (errors.half_width / 1.96) ** 2 * (count - 1)


def methods_of(recipe: Recipe, network: Network, case: Case) -> dict[str, PredictFn]:
    """Name -> what is scored: network, what it started from, classics."""
    config, params = network
    model = config.replace(num_components=case.num_components)
    products = model.num_products
    methods: dict[str, PredictFn] = {f"network, P={products}": Network(model, params)}
    for times in DEPTHS if model.looped and case.ensemble else ():
        deep = model.replace(num_blocks=times * model.num_blocks)
        methods[f"network, {times} P"] = Network(deep, params)
    methods |= constructions_of(recipe, model)
    for factor in (1, 2, 3):
        method = orthogonal_iteration_predict(model, factor * products)
        methods[f"orthogonal iteration, {factor} P"] = method
    if recipe.is_krylov or case.ensemble is not None:
        methods["block Lanczos, P"] = lanczos_predict(model, products)
    return methods


def constructions_of(recipe: Recipe, model: ModelConfig) -> dict[str, PredictFn]:
    """What training started from, and with a past what is written down exactly."""
    k = model.num_components
    if recipe.is_krylov:
        start, params = start_of(recipe)
        exact, weights = krylov(**recipe.construction)
        return {
            "its start, untrained": Network(start.replace(num_components=k), params),
            "construction, P": Network(exact.replace(num_components=k), weights),
        }
    options: dict[str, Any] = dict(recipe.construction)
    options["num_iters"] = model.num_blocks
    written, start = subspace_iteration(**options)
    untrained = Network(written.replace(num_components=k), start)
    return {"its construction, untrained": untrained}


def counts(recipe: Recipe, case: Case) -> int:
    """Instances to score on: a quarter where block Lanczos, slow, stands beside all."""
    return (
        min(case.count, max(200, case.count // 4)) if recipe.is_krylov else case.count
    )


def scores(recipe: Recipe, network: Network, *, smoke: bool = False) -> list[dict]:
    """Every case that the network takes; per rank with intervals."""
    config = network.config
    found = []
    for case in CASES[:1] if smoke else CASES:
        count = 4 if smoke else counts(recipe, case)
        case = dataclasses.replace(case, count=count)
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
