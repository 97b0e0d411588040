"""Fine-tune a shipped network on past rows of real tables; score it on later ones.

python experiments/fine_tuning/run.py [--smoke] [--out DIR]

A study that was stopped goes on: finished arms are kept in DIR/partial.json.
"""

import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from config import AUGMENTED, Arm, Study, study

from spectral_tf import TrainConfig, pretrain
from spectral_tf.apps.report import plain_table
from spectral_tf.apps.watch import filled_in, read_run
from spectral_tf.config import TableConfig
from spectral_tf.estimators import load_network, trained_on
from spectral_tf.sampling import load_past
from spectral_tf.tables import column_scaling, load_columns
from spectral_tf.training import Heldout, restore_best, trainable

sys.path.append(str(Path(__file__).parents[2]))
from experiments import harness

Report = dict[str, Any]


def rows_of(name: str, seed: int) -> np.ndarray:
    """A table in random order, because some of these are sorted by class.

    Images of 28 x 28 are averaged over squares of 2 x 2 pixels: 196 columns.
    """
    if name == "breast-cancer":
        from sklearn.datasets import load_breast_cancer

        x = np.asarray(load_breast_cancer(return_X_y=True)[0], float)
    else:
        x = load_columns(name).x
    if x.shape[1] == 784:
        x = x.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196)
    return x[np.random.default_rng(seed).permutation(len(x))]


def test_rows(x: np.ndarray, arm: Arm, holdout: float) -> np.ndarray:
    """The last fifth of a table, scaled by the rows that the arm trains on."""
    training = x[: arm.past - int(np.ceil(holdout * arm.past))]
    mean, scale, reasons = column_scaling(training)
    kept = [index for index, reason in enumerate(reasons) if reason is None]
    later = x[-(len(x) // 5) :, kept]
    return ((later - mean[kept]) / scale[kept]).astype(np.float32)


def arm_config(what: Study, arm: Arm, path: Path, model: Any) -> TrainConfig:
    """The run of an arm: what the command fills in, and the arm's own blocks."""
    table = (AUGMENTED if arm.augmented else TableConfig()).replace(source=str(path))
    per_call = max(1, what.num_steps // 4)
    given = TrainConfig(
        model=model,
        table=table,
        num_steps=what.num_steps,
        steps_per_call=per_call,
        warmup_steps=min(20, what.num_steps - 1),
        batch_size=what.batch_size,
        eval_instances=what.num_instances,
        calls_per_eval=1,
        seed=what.seed,
    )
    past = load_past(table)
    config = filled_in(given, past, trained_on(what.weights), is_hot=True)
    if not arm.augmented:
        return config
    (dim, count), *_ = config.shapes
    return config.replace(shapes=((dim, count), (max(2, dim // 2), count)))


def scorers(what: Study, config: TrainConfig, later: np.ndarray) -> dict[str, Heldout]:
    """What is scored besides the run itself: later rows, and instances of old."""
    one = {"eval_instances": what.num_instances, "seed": what.seed + 1, "mixture": ()}
    shape = later.shape[1], what.test_rows
    return {
        "later rows": Heldout(config.replace(shapes=(shape,), **one), later),
        "random": Heldout(
            config.replace(shapes=((10, 50),), table=TableConfig(), **one)
        ),
    }


def run_arm(what: Study, arm: Arm, folder: Path) -> Report:
    """Everything that is shown of one arm."""
    x = rows_of(arm.table, what.seed)
    if arm.past > len(x) - len(x) // 5:
        raise SystemExit(f"{arm.table} has {len(x)} rows, too few for {arm.past} past")
    path = folder / "past.npy"
    np.save(path, x[: arm.past])
    model, params = trainable(load_network(what.weights))
    config = arm_config(what, arm, path, model)
    clock = time.perf_counter()
    pretrain(config, folder / "run", init_params=params)
    seconds = time.perf_counter() - clock
    best, metrics = restore_best(folder / "run"), read_run(folder / "run").metrics
    score = scorers(what, config, test_rows(x, arm, config.table.holdout))
    scores = {
        name: {"before": scorer(params), "after": scorer(best.state.averaged)}
        for name, scorer in score.items()
    }
    return {
        "arm": dataclasses.asdict(arm),
        "train": config.to_dict() | {"table": config.table.to_dict() | {"source": ""}},
        "best_step": int(best.state.step),
        "heldout": metrics["heldout/loss"].tolist(),
        "steps": metrics["step"].tolist(),
        "training_seconds": float(np.nanmax(metrics["seconds"])),
        "seconds": seconds,
        "scores": scores,
    }


def cosines(scores: Report, name: str, when: str) -> str:
    return " ".join(f"{value:.3f}" for value in scores[name][when]["cosine"])


def mean_gain(one: Report, name: str) -> float:
    """Gain of the mean |cos| over all ranks."""
    means = [np.mean(one["scores"][name][w]["cosine"]) for w in ("before", "after")]
    return float(means[1] - means[0])


def text(summary: Report) -> str:
    """The tables of README.md."""
    ranks, gains = [], []
    for one in summary["arms"]:
        name, scores = Arm(**one["arm"]).name, one["scores"]
        ranks.append((name, "before", cosines(scores, "later rows", "before")))
        ranks.append(("", "after", cosines(scores, "later rows", "after")))
        held = [one["heldout"][0], np.nanmin(one["heldout"])]
        gains.append(
            (
                name,
                " x ".join(map(str, one["train"]["shapes"][0])),
                str(one["best_step"]),
                f"{held[0]:.4f} -> {held[1]:.4f}",
                f"{mean_gain(one, 'later rows'):+.4f}",
                f"{mean_gain(one, 'random'):+.4f}",
                f"{one['training_seconds']:.0f}",
            )
        )
    head = ("table, past rows, blocks", "d x N", "best", "held-out loss")
    return (
        "Gain of the mean |cos| over all ranks. later rows: blocks of rows that no run "
        "has seen;\nrandom: instances of `authors`, d=10 N=50, which the network was "
        "trained on first.\n\n"
        + plain_table((*head, "later rows", "random", "seconds"), gains)
        + "\nMean |cos| on the later rows, rank by rank.\n\n"
        + plain_table(("table, past rows, blocks", "", "|cos| 1 to 8"), ranks)
    )


def begun(what: Study, path: Path) -> Report:
    """What a stopped run of the same study left, or an empty report."""
    described = json.loads(json.dumps(dataclasses.asdict(what)))
    if path.exists():
        found = json.loads(path.read_text())
        same = {"study": described, "versions": harness.circumstances()["versions"]}
        if {name: found[name] for name in same} == same:
            return found
        raise SystemExit(
            f"{path} is of another study or of other versions; move it, or give --out"
        )
    return {
        **harness.circumstances(),
        "study": described,
        "arms": [],
        "seconds": 0.0,
    }


def main() -> int:
    args = harness.options(
        __file__, __doc__, smoke="one run of one step", written=["summary.json"]
    )
    what, out = study(smoke=args.smoke), args.out
    summary = begun(what, out / "partial.json")
    for arm in what.arms[len(summary["arms"]) :]:
        print(f"{arm.name}: begun", file=sys.stderr)
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            summary["arms"].append(run_arm(what, arm, Path(folder)))
        jax.clear_caches()  # the next one has other shapes
        summary["seconds"] += time.perf_counter() - begin
        # After every arm, so that a run that is cut short leaves what it had.
        harness.write(out / "partial.json", summary)
    (out / "partial.json").rename(out / "summary.json")
    print(f"{text(summary)}\n{summary['seconds']:.0f} s. Written to {out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
