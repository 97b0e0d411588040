"""What each shipped checkpoint is constructed from, and what it is trained on."""

import dataclasses
from typing import Any

import numpy as np

from spectral_tf import (
    EnsembleConfig,
    MixturePart,
    Network,
    TrainConfig,
    krylov,
    unroll,
)
from spectral_tf.constructive import POLAR, subspace_iteration
from spectral_tf.settings import random_key
from spectral_tf.training import with_adaptive_mlp


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One checkpoint: the construction it starts from, and its training."""

    purpose: str
    construction: dict[str, Any]
    shapes: tuple[tuple[int, int], ...]
    num_steps: int
    batch_size: int
    learning_rate: float = 5e-4
    depths: tuple[int, ...] = ()
    warm_starts: float = 0.0
    # d of the dense network that is written out after training; 0 = none.
    dense_dim: int = 0
    eigenvalue_weight: float = 0.0
    seed: int = 0

    @property
    def is_krylov(self) -> bool:
        """True if its registers keep their past."""
        return "num_products" in self.construction


def part(spectrum: str, weight: float = 1.0, **options: Any) -> MixturePart:
    return MixturePart(
        ensemble=EnsembleConfig.from_flat(spectrum=spectrum, **options), weight=weight
    )


MIXTURE = (
    part("authors", 4.0),
    part("whitened"),
    part("uniform"),
    part("semicircle", 0.5),
    part("marchenko_pastur", 0.5),
    part("power_law", exponent_range=(0.3, 2.0)),
    part("spiked", rank=6, spike_range=(1.5, 20.0)),
    part("student_t", 0.5),
    part("scaled", 0.5),
)
"""Families of all recipes; no image, and no table of the evaluation, is among them."""

RANK_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 0.7, 0.4, 0.3, 0.2)

GAINS = (0.9, 0.1)
"""Of the terminator, where training starts: a gain of 0 would stay 0."""

RECIPES = {
    "pca-base": Recipe(
        purpose="PCA of any table: d >= 2, N >= 2, k <= 8; 6 products with S",
        construction={"num_components": 8, "num_products": 6},
        shapes=((24, 48), (64, 100), (128, 200)),
        num_steps=300,
        batch_size=4,
        learning_rate=5e-4,
        eigenvalue_weight=1.0,
    ),
    "pca-small": Recipe(
        purpose="the same at two thirds of the cost: 4 products with S",
        construction={"num_components": 8, "num_products": 4},
        shapes=((24, 48), (64, 100), (128, 200)),
        num_steps=600,
        batch_size=4,
        learning_rate=5e-4,
        eigenvalue_weight=1.0,
    ),
    "pca-base-1": Recipe(
        purpose="an earlier pca-base, registers without a past: 12 products with S",
        construction={"num_components": 8, "num_iters": 12},
        shapes=((10, 50), (24, 48), (48, 100)),
        num_steps=900,
        batch_size=16,
        learning_rate=3e-4,
    ),
    "pca-small-1": Recipe(
        purpose="an earlier pca-small, registers without a past: 6 products with S",
        construction={"num_components": 8, "num_iters": 6},
        shapes=((4, 12), (10, 50), (10, 10), (24, 48)),
        num_steps=2400,
        batch_size=16,
    ),
    "pca-looped": Recipe(
        purpose="one block's weights, 6 to 10 times in training, more often if asked",
        construction={"num_components": 8, "num_iters": 8, "looped": True},
        shapes=((10, 50), (10, 50), (24, 48), (48, 100)),
        depths=(6, 8, 8, 10),
        warm_starts=0.5,
        num_steps=600,
        batch_size=16,
        learning_rate=3e-4,
    ),
    "pca-dense": Recipe(
        purpose="ordinary dense weights, for tables of at most 16 columns",
        construction={"num_components": 4, "num_iters": 8, "mlp_width": 4},
        shapes=((10, 50), (16, 64), (12, 24)),
        num_steps=1800,
        batch_size=16,
        learning_rate=1e-4,
        dense_dim=16,
    ),
}


def start_of(recipe: Recipe, *, smoke: bool = False) -> Network:
    """What training starts from."""
    options: dict[str, Any] = dict(recipe.construction)
    if recipe.is_krylov:
        options |= {"num_products": 2} if smoke else {}
        network = krylov(**options, polar=POLAR, terminator=True)
        model, params = unroll(network)
        gains = params["terminator"] * 0 + np.array(GAINS)
        # A gradient through a norm needs more under its root.
        model = model.replace(norm_eps=1e-16)
        return Network(model, {**params, "terminator": gains})
    options |= {"num_iters": 2} if smoke else {}
    model, params = subspace_iteration(**options)
    # Products of vectors would be most of a dense network's hidden units, and nothing
    # reads them in these blocks (see `with_adaptive_mlp`).
    products = not (recipe.dense_dim or recipe.depths)
    key = random_key(recipe.seed)
    return with_adaptive_mlp(Network(model, params), key, products=products)


def train_config(recipe: Recipe, *, smoke: bool = False) -> tuple[TrainConfig, Any]:
    """The run of a recipe, and its first parameters."""
    model, params = start_of(recipe, smoke=smoke)
    # Where a register nearly depends on those before it, gradients through deflation
    # overflow; each instance's gradient is cut where it does.
    model = model.replace(layout=model.channels.replace(gradient_limit=1.0))
    config = TrainConfig(
        model=model,
        shapes=recipe.shapes[:1] if smoke else recipe.shapes,
        mixture=MIXTURE,
        depths=recipe.depths,
        warm_starts=recipe.warm_starts,
        eigenvalue_weight=recipe.eigenvalue_weight,
        rank_weights=RANK_WEIGHTS[: model.num_components],
        batch_size=2 if smoke else recipe.batch_size,
        num_steps=2 if smoke else recipe.num_steps,
        steps_per_call=1 if smoke else 10,
        warmup_steps=1 if smoke else 50,
        learning_rate=recipe.learning_rate,
        ema_decay=0.99,
        calls_per_save=3 if recipe.is_krylov else 30,
        calls_per_eval=1 if smoke else (0 if recipe.is_krylov else 60),
        eval_instances=2 if smoke else 128,
        seed=recipe.seed,
    )
    return config, params
