"""How many instances one way of training needs, in a process of its own.

    python benchmarks/train_samples.py '{"method": "equivariant", ...}'

Prints one line of JSON; `bench_train.py --part samples` runs it. All methods train at
d=10, N=50 on the same family and are scored on the same held-out instances, mean |cos|
of rank 1, after every call of the compiled function.
"""

import json
import sys
import time
from typing import Any

import jax
import numpy as np
from train_step import BATCH, SEED, SHAPE, case_model, first_arguments, tiny

from spectral_tf import TrainConfig, model_preset
from spectral_tf.training import Heldout, TrainState, parallel_steps

METHODS = ("equivariant", "equivariant, random start", "dense", "authors")
GOAL = 0.9
HELD = 512
STREAK = 10
"""So many evaluations in a row must reach GOAL; the first of them counts."""


def authors_config(options: dict[str, Any]) -> TrainConfig:
    """The recipe of He et al. (2025), section 4: GPT-2, signed loss, Adam at 1e-3."""
    return TrainConfig(
        model=model_preset("paper_gpt2"),
        loss="signed",
        eigenvalue_weight=1.0,
        learning_rate=1e-3,
        schedule="constant",
        max_grad_norm=1e6,
        **options,
    )


def config_of(method: str, job: dict[str, Any]) -> TrainConfig:
    """The run of a method; everything that is not named here is the default."""
    options: dict[str, Any] = {
        "shapes": (SHAPE,),
        "batch_size": job["batch"],
        "steps_per_call": job["steps_per_call"],
        "num_steps": job["most_steps"],
        "warmup_steps": min(100, job["most_steps"] - 1),
        "eval_instances": job["held"],
        "seed": SEED,
    }
    if method == "authors":
        config = authors_config(options)
    elif method == "dense":
        config = TrainConfig(model=case_model("dense"), learning_rate=1e-3, **options)
    else:
        config = TrainConfig(**options)
        if "random" in method:
            layout = config.model.channels.replace(initialisation="random")
            config = config.replace(model=config.model.replace(layout=layout))
    return config.replace(model=tiny(config.model)) if job["smoke"] else config


def first_of_streak(scores: list[float], streak: int) -> int | None:
    """Place of the first of `streak` scores in a row that reach GOAL; None without."""
    run = 0
    for place, score in enumerate(scores):
        run = run + 1 if score >= GOAL else 0
        if run == streak:
            return place - streak + 1
    return None


def learn(job: dict[str, Any]) -> dict[str, Any]:
    """Train until the goal is held, or the time or the instances are spent."""
    config = config_of(job["method"], job)
    steps, score = parallel_steps(config), Heldout(config)
    state, key, horizon = first_arguments(config)
    rank_one = lambda state: score(state.averaged)["cosine"][0]
    scores, seen = [rank_one(state)], [0]
    compiling = time.perf_counter()
    run: Any = jax.jit(steps, donate_argnums=0).lower(state, key, horizon).compile()
    begin = time.perf_counter()
    found = None
    while found is None and seen[-1] < config.num_steps * config.batch_size:
        if time.perf_counter() - begin > job["most_seconds"]:
            break
        new: tuple[TrainState, Any] = jax.block_until_ready(run(state, key, horizon))
        state = new[0]
        seen.append(int(state.step) * config.batch_size)
        scores.append(rank_one(state))
        found = first_of_streak(scores, job["streak"])
    return {
        "needed": None if found is None else seen[found],
        "instances": seen[-1],
        "seconds": time.perf_counter() - begin,
        "compile_s": begin - compiling,
        "start": scores[0],
        "best": max(scores),
        "last": scores[-1],
        "curve": [seen, [round(one, 4) for one in scores]],
        "heldout": digest(score),
    }


def digest(score: Heldout) -> float:
    """A sum over the held-out rows: equal for methods that are scored on the same."""
    return float(np.sum(np.abs(np.asarray(score.batches[0].x, np.float64))))


def job_of(method: str, smoke: bool, seconds: float) -> dict[str, Any]:
    """The job of a method: sizes of the run and what it may spend."""
    return {
        "method": method,
        "smoke": smoke,
        "batch": 4 if smoke else BATCH,
        "steps_per_call": 1 if smoke else 4,
        "most_steps": 2 if smoke else 2000,
        "most_seconds": seconds,
        "held": 8 if smoke else HELD,
        "streak": 2 if smoke else STREAK,
    }


def main() -> None:
    print(json.dumps(learn(json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
