"""Train from constructed weights; score and watch the network before and after.

python experiments/hot_start/run.py [--smoke] [--out DIR]
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from config import Arm, Study, study
from measure import (
    answers_by_block,
    composition_of,
    multiply_shifts,
    shifted_predict,
)

from spectral_tf import (
    EnsembleConfig,
    ModelConfig,
    Network,
    TrainConfig,
    evaluate,
    power_method_params,
    pretrain,
    sample_batch,
)
from spectral_tf.apps.report import plain_table
from spectral_tf.evaluation import PredictFn, Statistic, orthogonal_iteration_predict
from spectral_tf.model import flatten_params
from spectral_tf.sampling import Instance
from spectral_tf.settings import random_key
from spectral_tf.training import init_state, parallel_steps, trainable

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

MOST_PRODUCTS = 16
Report = dict[str, Any]


def train_config(what: Study, arm: Arm, model: ModelConfig) -> TrainConfig:
    """The run of an arm; ten calls, so that the loss is seen on the way."""
    return TrainConfig(
        model=model,
        shapes=((what.dim, what.num_samples),),
        batch_size=arm.batch_size,
        num_steps=arm.num_steps,
        steps_per_call=max(1, arm.num_steps // 10),
        warmup_steps=min(20, arm.num_steps - 1),
        learning_rate=arm.learning_rate,
        seed=what.seed,
    )


def train(arm: Arm, config: TrainConfig, params: Any) -> tuple[Any, list[float]]:
    """Parameters after training, and the mean loss of every call."""
    losses: list[float] = []
    if arm.hold_zeros:
        see = lambda progress: losses.append(progress.metrics["loss"])
        state = pretrain(config, init_params=params, on_call=see).state
    else:
        state = init_state(config, params, hold_zeros=False)
        steps, horizon = parallel_steps(config), jnp.int32(config.num_steps)
        while int(state.step) < config.num_steps:
            state, metrics = steps(state, random_key(config.seed), horizon)
            losses.append(float(jnp.mean(metrics["loss"])))
    return jax.tree.map(jnp.asarray, jax.device_get(state.params)), losses


def distances(before: Any, after: Any) -> dict[str, float | None]:
    """Role -> norm of the change over the norm before; None where that is zero."""
    old, new = flatten_params(before), flatten_params(after)
    found: dict[str, float | None] = {}
    for path, leaf in old.items():
        size = float(jnp.linalg.norm(leaf.ravel()))
        change = float(jnp.linalg.norm((new[path] - leaf).ravel()))
        found[path] = change / size if size else None
    return found


def counts(params: Any) -> dict[str, int]:
    """Weights that are not 0, and all of them."""
    leaves = jax.tree.leaves(params)
    moved = sum(int(jnp.sum(leaf != 0)) for leaf in leaves)
    return {"not_zero": moved, "all": sum(leaf.size for leaf in leaves)}


def mean_cosine(report: Report) -> float:
    return float(np.mean([rank["mean"] for rank in report["cosine"]]))


def run_arm(what: Study, arm: Arm, batch: Instance) -> Report:
    """Everything that is shown of one arm."""
    sizes = what.dim, what.num_components, arm.num_iters, arm.variant
    options: dict[str, Any] = dict(arm.options)
    written = power_method_params(*sizes, **options)
    products = composition_of(arm, what.dim, what.num_components).places("multiply")
    model, before = trainable(written)
    config = train_config(what, arm, model)
    begin = time.perf_counter()
    after, losses = train(arm, config, before)
    seconds = time.perf_counter() - begin
    shifts = multiply_shifts(arm, model, after)
    score = lambda predict: evaluate(predict, batch).to_dict()
    scores = {
        "before": score(Network(model, before)),
        "after": score(Network(model, after)),
        "shifted iteration": score(shifted_predict(model, shifts)),
    }
    along = {
        name: answers_by_block(model, params, batch)
        for name, params in (("before", before), ("after", after))
    }
    gains = (along["after"] - along["before"])[:, -1].T
    return {
        "arm": dataclasses.asdict(arm),
        "train": config.to_dict(),
        "seconds": seconds,
        "loss": losses,
        "weights": counts(before),
        "distance": distances(before, after),
        "shifts": shifts,
        "scores": scores,
        "gain": [dataclasses.asdict(Statistic.of(rank)) for rank in gains],
        "blocks": {
            name: np.mean(each, axis=0).tolist() for name, each in along.items()
        },
        "is_product": [place in products for place in range(model.num_blocks)],
    }


def classics(model: ModelConfig, batch: Instance, most: int) -> list[Report]:
    """Orthogonal iteration with 1, 2, ... products with S."""
    predicts: list[PredictFn] = [
        orthogonal_iteration_predict(model, count) for count in range(1, most + 1)
    ]
    return [evaluate(predict, batch).to_dict() for predict in predicts]


def products_that_match(report: Report, classic: list[Report]) -> float:
    """Products with which orthogonal iteration has this mean |cos|, interpolated."""
    each = [mean_cosine(one) for one in classic]
    return float(np.interp(mean_cosine(report), each, np.arange(1, len(each) + 1)))


def show(statistic: dict[str, float], form: str = ".4f") -> str:
    return f"{statistic['mean']:{form}} ± {statistic['half_width']:.4f}"


def score_table(summary: Report) -> str:
    """|cos| before and after, beside orthogonal iteration."""
    header = ("network", "rank", "before", "after", "gain", "classic", "equals")
    rows = []
    for one in summary["arms"]:
        arm, scores = one["arm"], one["scores"]
        classic = summary["classic"][arm["num_iters"] - 1]
        equals = f"{products_that_match(scores['after'], summary['classic']):.1f}"
        for rank, gain in enumerate(one["gain"]):
            before, after, other = (
                show(report["cosine"][rank])
                for report in (scores["before"], scores["after"], classic)
            )
            name, last = (arm["name"], equals) if rank == 0 else ("", "")
            shown = (before, after, show(gain, "+.4f"), other)
            rows.append((name, str(rank + 1), *shown, last))
    return plain_table(header, rows)


def distance_table(summary: Report) -> str:
    """Relative change of every role that is not zero throughout."""
    arms = summary["arms"]
    paths = sorted({path for one in arms for path in one["distance"]})
    share = lambda own: f"{own['not_zero']:,} of {own['all']:,}"
    rows = [("how many are not 0", *(share(one["weights"]) for one in arms))]
    for path in paths:
        values = [one["distance"].get(path) for one in arms]
        if any(value is not None for value in values):
            shown = ("-" if value is None else f"{value:.2g}" for value in values)
            rows.append((path.replace("blocks/", ""), *shown))
    return plain_table(("weights", *(one["arm"]["name"] for one in arms)), rows)


def shift_table(summary: Report) -> str:
    """Learned shifts, and orthogonal iteration with these shifts."""
    k = len(summary["classic"][0]["cosine"])
    header = (
        "network",
        "shifts, over the trace",
        *(f"|cos| {j + 1}" for j in range(k)),
    )
    rows = [
        (
            one["arm"]["name"],
            " ".join(f"{shift:.3f}" for shift in one["shifts"]),
            *(show(rank) for rank in one["scores"]["shifted iteration"]["cosine"]),
        )
        for one in summary["arms"]
        if one["arm"]["hold_zeros"]
    ]
    return plain_table(header, rows)


def text(summary: Report) -> str:
    """The tables of README.md."""
    count = summary["study"]["num_instances"]
    return (
        f"Mean |cos| on {count} held-out instances, 95 % intervals; gain is paired by "
        "instance.\nclassic: orthogonal iteration with as many products with S; "
        "equals: with how many it\nwould have the mean |cos| of `after`.\n\n"
        f"{score_table(summary)}\n"
        "Norm of the change of the weights over their norm.\n\n"
        f"{distance_table(summary)}\n"
        "u <- S u became u <- (S - shift) u; orthogonal iteration with these shifts "
        "has\n\n"
        f"{shift_table(summary)}"
    )


def main() -> int:
    args = harness.options(
        __file__, __doc__, smoke="two small runs", written=["summary.json"]
    )
    begin, what = time.perf_counter(), study(smoke=args.smoke)
    ensemble = EnsembleConfig(
        dim=what.dim, num_samples=what.num_samples, num_components=what.num_components
    )
    key = random_key(what.seed + 1)
    batch = sample_batch(key, ensemble, what.num_instances)
    arms = []
    for arm in what.arms:
        print(f"{arm.name}: {arm.num_steps} steps", file=sys.stderr)
        arms.append(run_arm(what, arm, batch))
    plain = ModelConfig(num_components=what.num_components)
    most = 2 if args.smoke else MOST_PRODUCTS
    summary = {
        **harness.circumstances(),
        "study": dataclasses.asdict(what),
        "classic": classics(plain, batch, most),
        "arms": arms,
        "seconds": time.perf_counter() - begin,
    }
    harness.write(args.out / "summary.json", summary)
    print(f"{text(summary)}\n{summary['seconds']:.0f} s. Written to {args.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
