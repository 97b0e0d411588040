"""Grids of small trained networks: runs of one configuration are trained together.

A run is a loss and a seed. All runs of a configuration are one compiled program, in
which they are a leading axis; runs of one seed see the same instances, batches and
first weights.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import methods
import nets
import numpy as np
from instances import errors
from records import Values

from spectral_tf import ModelConfig, Network, TrainConfig
from spectral_tf.objective import LOSSES, eigenvalue_loss
from spectral_tf.sampling import Instance
from spectral_tf.settings import compiled_settings, random_key
from spectral_tf.training import init_state, learning_rate, optimiser

NAMES = tuple(LOSSES)


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long every network of a grid learns, from what, and on what it is scored."""

    shape: tuple[int, int]
    k: int
    steps: int
    batch: int
    rate: float
    known: int
    tested: int
    seeds: int = 3


FULL = Budget(
    shape=(5, 10), k=2, steps=800, batch=16, rate=3e-3, known=20_000, tested=1_000
)
SMOKE = Budget(
    shape=(3, 4), k=2, steps=1, batch=2, rate=3e-3, known=4, tested=4, seeds=2
)
"""A step of tiny networks, whose numbers mean nothing."""


class Run(NamedTuple):
    """What tells runs of one configuration apart; arrays over the runs.

    Attributes:
        seed: `[P]` of the instances, the batches and the first weights.
        vectors: `[P, losses]` weight of each of `NAMES`, 1 for one of them.
        values: `[P]` weight of the eigenvalues' error.
    """

    seed: Any
    vectors: Any
    values: Any


def runs(losses: dict[str, float], seeds: int) -> Run:
    """Every loss, with the weight of its eigenvalue error, for every seed."""
    one_hot = np.eye(len(NAMES), dtype=np.float32)
    rows = [one_hot[NAMES.index(loss)] for loss in losses]
    return Run(
        jnp.asarray(np.tile(np.arange(seeds), len(losses))),
        jnp.asarray(np.repeat(rows, seeds, axis=0)),
        jnp.asarray(np.repeat(list(losses.values()), seeds).astype(np.float32)),
    )


def stacked(trees: list[Any]) -> Any:
    """Trees of equal shapes, as one with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _loss(config: ModelConfig, params: Any, instance: Instance, run: Run) -> Any:
    """As the losses of the package, but chosen by a number and not by the program."""
    estimate = Network(config, params)(instance.x)
    each_loss = jnp.stack(
        [jnp.mean(LOSSES[name](estimate, instance)) for name in NAMES]
    )
    value_error = jnp.mean(eigenvalue_loss(estimate, instance))
    return jnp.sum(run.vectors * each_loss) + run.values * value_error


@functools.partial(jax.jit, static_argnums=0)
def _train(config: TrainConfig, params: Any, data: Instance, run: Run, key: Any) -> Any:
    """All steps of all runs."""
    mover, known = optimiser(config), data.x.shape[1]

    def step(carry: Any, index: Any, run: Run, key: Any) -> tuple[Any, None]:
        params, moments = carry
        chosen = jax.random.randint(
            jax.random.fold_in(key, index), (config.batch_size,), 0, known
        )
        batch = jax.tree.map(lambda leaf: leaf[run.seed, chosen], data)
        mean = lambda params: jnp.mean(
            jax.vmap(lambda one: _loss(config.model, params, one, run))(batch)
        )
        updates, moments = mover.update(jax.grad(mean)(params), moments, params)
        rate = learning_rate(config, index, config.num_steps)
        return (jax.tree.map(lambda p, u: p - rate * u, params, updates), moments), None

    def train(params: Any, run: Run, key: Any) -> Any:
        steps = lambda carry, index: step(carry, index, run, key)
        start = (params, mover.init(params))
        return jax.lax.scan(steps, start, jnp.arange(config.num_steps))[0][0]

    return jax.vmap(train)(params, run, key)


@functools.partial(jax.jit, static_argnums=0)
def _answers(config: ModelConfig, params: Any, x: Any, seed: Any) -> Any:
    """`[P, B, ...]`: what each run's network answers for its seed's rows."""
    answer = lambda pair: jax.vmap(Network(config, pair[0]))(x[pair[1]])
    return jax.lax.map(answer, (params, seed))


@functools.cache
def instances(budget: Budget) -> tuple[Instance, Instance]:
    """`[seeds, ...]` instances to learn from, with LAPACK's signs, and unseen ones."""
    draw = lambda what, seed, count: nets.instances(
        *(what, seed, (budget.shape, budget.k, count)), by_convention=False
    )
    seeds = range(budget.seeds)
    known = stacked([draw("instances", seed, budget.known) for seed in seeds])
    return known, stacked([draw("unseen", seed, budget.tested) for seed in seeds])


@compiled_settings()
def trained(model: ModelConfig, budget: Budget, losses: dict[str, float]) -> Values:
    """Errors on unseen instances of every loss and seed.

    Args:
        model: for the budget's shape and k.
        budget: of the grid.
        losses: of `NAMES`, each with the weight of the eigenvalues' error.

    Returns:
        Loss -> what `instances.errors` gives, seed after seed; and the parameters.
    """
    config = nets.run_of(
        model,
        budget.shape,
        **{"num_steps": budget.steps, "batch_size": budget.batch, "seed": 0},
        **{"learning_rate": budget.rate, "steps_per_call": 1},
        warmup_steps=min(50, budget.steps - 1),
    )
    known, unseen = instances(budget)
    seeds = range(budget.seeds)
    first = [init_state(config.replace(seed=seed)).params for seed in seeds]
    keys = jnp.stack([random_key(seed + 1) for seed in seeds])
    run = runs(losses, budget.seeds)
    params = jax.tree.map(lambda leaf: leaf[run.seed], stacked(first))
    params = _train(config, params, known, run, keys[run.seed])
    found = _answers(model, params, unseen.x, run.seed)
    values, vectors = (np.asarray(leaf, np.float64) for leaf in found)
    result: Values = {"parameters": Network(model, first[0]).num_parameters}
    for index, loss in enumerate(losses):
        result[loss] = []
        for seed in seeds:
            place = index * budget.seeds + seed
            answer = methods.Answer(values[place], vectors[place])
            truth = jax.tree.map(lambda leaf, seed=seed: leaf[seed], unseen)
            result[loss].append(errors(answer, truth))
    return result
