"""Misclassification against |mu| for two classes; writes JSON and the figure.

python experiments/phase_transition/run.py [--smoke] [--out DIR]
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sklearn
from config import Study, study
from floor import (
    all_best_labels,
    all_expected_losses,
    angle_posterior,
    gibbs_posterior,
)
from methods import (
    CENTRED,
    CHEAP,
    FLOOR,
    KNOWS,
    NETWORK,
    Method,
    first,
    methods,
    network,
    power_method,
)
from plot import draw
from tables import text
from theory import rates, threshold

from spectral_tf.clustering import ClusterInstance, misclassification, sample_clusters
from spectral_tf.config import ClusterConfig
from spectral_tf.evaluation import Statistic
from spectral_tf.settings import random_key

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

NAME = "phase_transition"
Record = dict[str, Any]


def wrong_shares(labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """`[B]` misclassification of each instance."""
    pairs = zip(labels, truth, strict=True)
    return np.array([misclassification(found, true, 2) for found, true in pairs])


def statistic(values: np.ndarray) -> dict[str, float]:
    return dataclasses.asdict(Statistic.of(values))


def truth_of(instances: ClusterInstance) -> np.ndarray:
    return np.asarray(instances.labels)


def differing(one: np.ndarray, other: np.ndarray) -> dict[str, int]:
    """Rows on different sides, under the better naming, and all rows."""
    return {
        "rows": round(float(np.sum(wrong_shares(one, other)) * one.shape[1])),
        "of": one.size,
    }


def check_floor(plan: Study, batch: ClusterInstance, labels: np.ndarray) -> Record:
    """The floor's labels against other ways to the same posterior.

    Args:
        plan: the study.
        batch: instances of the point, of which the first ones are taken.
        labels: of the floor's chain, which starts in a random direction.
    """
    part, labels = first(batch, plan.checked), labels[: plan.checked]
    x, mean, truth = part.x, part.means[:, 0], truth_of(part)
    key, wrong = random_key(plan.seed + 2), wrong_shares(labels, truth)
    long = gibbs_posterior(key, x, mean, plan.long_chain, at_truth=True)
    others = {"chain from the truth": long}
    if x.shape[2] == 2:
        others["integral over the angle"] = angle_posterior(x, mean)
    found: Record = {}
    for name, posterior in others.items():
        signs = (np.asarray(all_best_labels(x, posterior)) < 0).astype(int)
        losses = all_expected_losses(x, posterior, jnp.asarray(1.0 - 2 * labels))
        expected = np.asarray(losses, np.float64)
        found[name] = {
            "floor - other": statistic(wrong - wrong_shares(signs, truth)),
            "expected": statistic(expected),
            "measured - expected": statistic(wrong - expected),
            **differing(labels, signs),
        }
    return found


def check_network(
    plan: Study, batch: ClusterInstance, labels: dict[str, np.ndarray]
) -> Record:
    """Rows on which the constructed network differs from the classical method."""
    count = plan.instances
    same_steps = power_method(batch, plan.num_iters)
    truth = truth_of(batch)
    classical = labels[CENTRED][:count]
    wrong = [wrong_shares(one, truth) for one in (labels[NETWORK], classical)]
    return {
        "power method": differing(labels[NETWORK], same_steps),
        "leading direction": differing(labels[NETWORK], classical),
        "network - leading direction": statistic(wrong[0] - wrong[1]),
    }


def drawn(plan: Study, case: tuple[int, int], signal: float) -> ClusterInstance:
    """Instances of one point; those of another point are independent of them."""
    config = ClusterConfig(
        family="bi_class", signal=signal, dim=case[0], num_samples=case[1]
    )
    key = random_key(plan.seed)
    for index in (plan.cases.index(case), plan.signals.index(signal)):
        key = jax.random.fold_in(key, index)
    return sample_clusters(key, config, plan.many)


def run_point(
    plan: Study, case: tuple[int, int], signal: float, named: dict[str, Method]
) -> Record:
    """Every method at one |mu|."""
    dim, num_samples = case
    every = drawn(plan, case, signal)
    batch = first(every, plan.instances)
    labels, wrong, seconds = {}, {}, {}
    for name, method in named.items():
        begin, used = time.perf_counter(), every if name in CHEAP else batch
        labels[name] = method(used)
        wrong[name] = wrong_shares(labels[name], truth_of(used))
        seconds[name] = time.perf_counter() - begin
    scored = {
        name: statistic(values)
        | {
            "instances": len(values),
            "excess": statistic(values[: plan.instances] - wrong[FLOOR]),
            "seconds": seconds[name],
        }
        for name, values in wrong.items()
    }
    theory = rates(dim, num_samples, signal)
    return {
        "dim": dim,
        "num_samples": num_samples,
        "signal": signal,
        "threshold": threshold(dim, num_samples),
        "rates": theory,
        "methods": scored,
        "knows mu - exact": statistic(wrong[KNOWS] - theory[KNOWS]),
        "floor": check_floor(plan, batch, labels[FLOOR]),
        "network": check_network(plan, batch, labels),
    }


def run_deep(plan: Study, case: tuple[int, int]) -> Record:
    """A deeper network against the leading direction, at one |mu|."""
    batch = first(drawn(plan, case, plan.deep_signal), plan.deep_instances)
    classical = methods(plan, case)[CENTRED](batch)
    depths = {
        f"tau = {num_iters}": differing(
            network(case[0], num_iters, "spectral")(batch), classical
        )
        for num_iters in (plan.num_iters, plan.deep_iters)
    }
    return {"dim": case[0], "num_samples": case[1], "depths": depths}


def main() -> int:
    written = [f"{NAME}.json"]
    args = harness.options(
        __file__, __doc__, smoke="small and meaningless", written=written
    )
    plan = study(smoke=args.smoke)
    begin, used, points = time.perf_counter(), time.process_time(), []
    for case in plan.cases:
        named = methods(plan, case)
        for signal in plan.signals:
            points.append(run_point(plan, case, signal, named))
            seconds = time.perf_counter() - begin
            print(f"{case}, |mu| = {signal}: {seconds:.0f} s so far", file=sys.stderr)
    results = {
        **harness.circumstances(),
        "study": dataclasses.asdict(plan),
        "points": points,
        "deep": [run_deep(plan, case) for case in plan.cases],
        "seconds": time.perf_counter() - begin,
        "processor_seconds": time.process_time() - used,
    }
    results["versions"]["scikit-learn"] = sklearn.__version__
    harness.write(args.out / f"{NAME}.json", results)
    draw(results, args.out / f"{NAME}.png")
    print(f"{text(results)}\nWritten to {args.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
