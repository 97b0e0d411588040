"""How well can LAPACK's sign be learned, and what does that allow a perfect PCA?

The paper scores a network by the signed cosine to the eigenvectors that LAPACK returns,
whose signs no definition fixes. Here the vectors are LAPACK's own, up to the sign, so
all that is scored is how well the sign is guessed.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import methods
import numpy as np
import scipy.linalg
from records import Interval, Records, Values, over_seeds
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from spectral_tf import EnsembleConfig
from spectral_tf.apps.report import plain_table

CONVENTION, COORDINATE = "largest entry > 0", "one coordinate"
LINEAR, TREES = "logistic, own vector", "trees, all vectors"
DRIVERS = ("ev", "evr", "evd, upper", "evd, float32", "svd of X")
RESOLUTIONS = (1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
STEPS = range(len(RESOLUTIONS))


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run."""

    dims: tuple[int, ...] = (2, 5, 10, 20, 30, 50)
    k: int = 4
    rows_per_column: int = 5
    training: int = 8_000
    tested: int = 4_000
    perturbed: int = 1_000
    curve: tuple[int, ...] = (1_000, 3_000, 10_000, 30_000)
    curve_dim: int = 10
    scored: int = 1_000
    networks: tuple[str, ...] = tuple(methods.SHIPPED)
    seeds: int = 3


def plan(*, smoke: bool) -> Plan:
    """The run, or one whose numbers mean nothing."""
    small = Plan(
        dims=(3,),
        k=2,
        training=40,
        tested=20,
        perturbed=10,
        curve=(20,),
        curve_dim=3,
        scored=4,
        networks=("pca-small",),
        seeds=2,
    )
    return small if smoke else Plan()


def tables(plan: Plan, dim: int) -> EnsembleConfig:
    k = min(plan.k, dim)
    rows = plan.rows_per_column * dim
    return EnsembleConfig(dim=dim, num_samples=rows, num_components=k)


def oriented(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors `[B, k, d]` by the convention, and +1 or -1 where LAPACK has it so."""
    index = np.argmax(np.abs(vectors), axis=2)[..., None]
    signs = np.sign(np.take_along_axis(vectors, index, axis=2))[..., 0]
    return vectors * signs[..., None], signs


def features(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`[B, k + k d]`: what a perfect PCA knows: eigenvalues and unsigned vectors."""
    scaled = values / values[:, :1]
    return np.concatenate([scaled, vectors.reshape(len(vectors), -1)], axis=1)


def trees(x: np.ndarray, signs: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Gradient-boosted trees' guess of the signs of unseen instances."""
    if len(np.unique(signs)) < 2:
        return np.full(len(unseen), signs[0])
    model = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    return np.asarray(model.fit(x, signs).predict(unseen))


def odd_rule(own: np.ndarray, signs: np.ndarray) -> LogisticRegression:
    """A linear guess from the vector alone that turns with it."""
    odd = LogisticRegression(fit_intercept=False)
    # Mirrored, so that both classes are there.
    return odd.fit(np.concatenate([own, -own]), np.concatenate([signs, -signs]))


def guesses(train: Values, test: Values, rank: int) -> dict[str, np.ndarray]:
    """Of each rule, learned on one set, the signs of the other."""
    own, signs = train["vectors"][:, rank], train["signs"][:, rank]
    other = test["vectors"][:, rank]
    agreement = np.mean(np.sign(own) == signs[:, None], axis=0)
    best = int(np.argmax(np.abs(agreement - 0.5)))
    side = 1 if agreement[best] >= 0.5 else -1
    odd = odd_rule(own, signs)
    return {
        CONVENTION: np.ones(len(other)),
        COORDINATE: side * np.sign(other[:, best]),
        LINEAR: np.asarray(odd.predict(other)),
        TREES: trees(train["features"], signs, test["features"]),
    }


def sample(plan: Plan, dim: int, key: Any, count: int) -> Values:
    """Vectors, signs and features of instances."""
    matrix = methods.covariances_of(key, tables(plan, dim), count)
    values, raw = methods.exact(matrix, min(plan.k, dim))
    vectors, signs = oriented(raw)
    whole = features(values, vectors)
    return {"vectors": vectors, "signs": signs, "features": whole, "matrix": matrix}


def learned(plan: Plan, dim: int, seed: int) -> Values:
    """Share of right signs of each rule and rank."""
    train, test = (
        sample(plan, dim, methods.key_for("sign", seed, dim, side), count)
        for side, count in enumerate((plan.training, plan.tested))
    )
    right: dict[str, list[float]] = {}
    for rank in range(train["signs"].shape[1]):
        truth = test["signs"][:, rank]
        for rule, guess in guesses(train, test, rank).items():
            right.setdefault(rule, []).append(float(np.mean(guess == truth)))
    return {"right": right}


def by_drivers(x: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """`[B, k, d]` vectors of the same tables by other routes through LAPACK."""
    matrix = methods.covariances(x)
    top = lambda columns: np.swapaxes(columns, 1, 2)[:, : -k - 1 : -1]
    of_each = lambda route: np.stack([route(one)[1] for one in matrix])
    centred = x - x.mean(axis=1, keepdims=True)
    routes: dict[str, Callable[[Any], Any]] = {
        "ev": functools.partial(scipy.linalg.eigh, driver="ev"),
        "evr": functools.partial(scipy.linalg.eigh, driver="evr"),
        "evd, upper": functools.partial(scipy.linalg.eigh, driver="evd", lower=False),
    }
    answers = {name: top(of_each(route)) for name, route in routes.items()}
    answers["evd, float32"] = top(np.linalg.eigh(matrix.astype(np.float32))[1])
    answers["svd of X"] = np.linalg.svd(centred, full_matrices=False)[2][:, :k]
    return answers


def stability(plan: Plan, dim: int, seed: int) -> Values:
    """Signs by other drivers, and after a change of S by a share of its size."""
    key, k = methods.key_for("stability", seed, dim), min(plan.k, dim)
    x = methods.rows_of(key, tables(plan, dim), plan.perturbed)
    matrix = methods.covariances(x)
    vectors = methods.exact(matrix, k).vectors
    same = lambda other: np.mean(np.sum(vectors * other, axis=2) > 0, axis=0).tolist()
    agree = {name: same(other) for name, other in by_drivers(x, k).items()}
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(matrix.shape)
    noise = noise + np.swapaxes(noise, 1, 2)
    size = lambda stack: np.linalg.norm(stack, axis=(1, 2), keepdims=True)
    noise = noise * size(matrix) / size(noise)
    moved = lambda step: methods.exact(matrix + step * noise, k).vectors
    flipped = [[1 - share for share in same(moved(step))] for step in RESOLUTIONS]
    return {"agree": agree, "flipped": flipped}


def curve(plan: Plan, count: int, seed: int) -> Values:
    """Share of right signs of the trees, learned from so many instances."""
    dim = plan.curve_dim
    key = functools.partial(methods.key_for, "curve", seed)
    train = sample(plan, dim, key(0), count)
    test = sample(plan, dim, key(1), plan.tested)
    right = [
        float(
            np.mean(
                trees(train["features"], train["signs"][:, rank], test["features"])
                == test["signs"][:, rank]
            )
        )
        for rank in range(train["signs"].shape[1])
    ]
    return {"right": right}


def networks(plan: Plan, seed: int) -> Values:
    """The shipped networks and LAPACK, scored with and without the sign.

    With the sign twice: by the convention, and as the logistic rule guesses it.
    """
    dim, key = plan.curve_dim, functools.partial(methods.key_for, "networks", seed)
    train = sample(plan, dim, key(0), plan.training)
    k = train["signs"].shape[1]
    matrix = methods.covariances_of(key(1), tables(plan, dim), plan.scored)
    truth = methods.exact(matrix, k).vectors
    rules = [
        odd_rule(train["vectors"][:, rank], train["signs"][:, rank])
        for rank in range(k)
    ]
    scored = {"exact": functools.partial(methods.exact, k=k)}
    result = {}
    for name, method in (scored | methods.compared(k, plan.networks)).items():
        answer = method(matrix)
        answer = answer._replace(vectors=oriented(answer.vectors)[0])
        cosine = methods.cosines(answer, truth)
        guess = [
            rule.predict(answer.vectors[:, rank]) for rank, rule in enumerate(rules)
        ]
        result[name] = {
            "unsigned": np.abs(cosine).mean(axis=0).tolist(),
            "by the convention": cosine.mean(axis=0).tolist(),
            "sign guessed": (cosine * np.stack(guess, axis=1)).mean(axis=0).tolist(),
        }
    return result


def measure(plan: Plan, records: Records) -> dict[str, Any]:
    """Everything, from the records where it is there: seed after seed."""
    sizes = {"N/d": plan.rows_per_column, "k": plan.k}
    results: dict[str, Any] = {"learned": {}, "stability": {}, "curve": {}}
    for dim in plan.dims:
        base = {**sizes, "d": dim, "training": plan.training, "tested": plan.tested}
        results["learned"][dim] = records.of_seeds(
            {"what": "learned", **base}, plan.seeds, learned, plan, dim
        )
        base = {**sizes, "d": dim, "n": plan.perturbed}
        results["stability"][dim] = records.of_seeds(
            {"what": "stability", **base}, plan.seeds, stability, plan, dim
        )
    for count in plan.curve:
        base = {**sizes, "d": plan.curve_dim, "n": count, "tested": plan.tested}
        results["curve"][count] = records.of_seeds(
            {"what": "curve", **base}, plan.seeds, curve, plan, count
        )
    base = {**sizes, "d": plan.curve_dim, "n": plan.scored}
    results["networks"] = records.of_seeds(
        {"what": "networks", **base}, plan.seeds, networks, plan
    )
    return results


def best_rule(seeds: list[Values], rank: int) -> list[float]:
    """Of each seed the share of right signs by the rule that is best on average."""
    rules = seeds[0]["right"]
    mean = lambda rule: np.mean([seed["right"][rule][rank] for seed in seeds])
    best = max(rules, key=mean)
    return [seed["right"][best][rank] for seed in seeds]


def ceiling(seeds: list[Values], rank: int) -> Interval:
    """Mean signed cosine of exact vectors whose signs are guessed by the best rule."""
    return Interval.of([2 * share - 1 for share in best_rule(seeds, rank)])


def plot(plan: Plan, results: dict[str, Any], path: Path) -> None:
    """Ceiling against d; flips against the change of S; shares against instances."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for rank in range(plan.k):
        dims = [dim for dim in plan.dims if dim > rank]
        marks = [ceiling(results["learned"][dim], rank) for dim in dims]
        style = {"label": f"rank {rank + 1}", "color": f"C{rank}"}
        errors = [mark.half_width for mark in marks]
        axes[0].errorbar(dims, [m.mean for m in marks], errors, marker="o", **style)
        if rank < min(plan.k, plan.curve_dim):
            draw_curve(axes[2], results["curve"], rank, style)
            draw_flips(axes[1], results["stability"][plan.curve_dim], rank, style)
    axes[0].set(xlabel="d", ylabel="mean signed cosine", ylim=(-0.05, 1.05))
    axes[0].set_title("Exact vectors, sign guessed by the best rule")
    axes[1].set(xscale="log", xlabel="|change of S| / |S|", xlim=(1e-7, 0.2))
    axes[1].set_title(f"Share of LAPACK's signs that flip, d = {plan.curve_dim}")
    axes[2].set(xscale="log", xlabel="instances learned from", ylim=(0.45, 1.02))
    axes[2].set_title(f"Share of right signs by trees, d = {plan.curve_dim}")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_curve(
    axis: Any, curves: dict[int, list[Values]], rank: int, style: Any
) -> None:
    marks = [
        Interval.of([seed["right"][rank] for seed in seeds])
        for seeds in curves.values()
    ]
    errors = [mark.half_width for mark in marks]
    axis.errorbar(list(curves), [m.mean for m in marks], errors, marker="o", **style)


def draw_flips(axis: Any, seeds: list[Values], rank: int, style: Any) -> None:
    """Share of flips against the change of S, of one d."""
    rows = [[step[rank] for step in seed["flipped"]] for seed in seeds]
    marks = over_seeds(rows)
    errors = [mark.half_width for mark in marks]
    means = [mark.mean for mark in marks]
    axis.errorbar(RESOLUTIONS, means, errors, marker="o", **style)


def rank_table(title: str, rows: list[tuple[str, list[Interval]]], k: int) -> str:
    """A row of intervals per rank for each name."""
    header = (title, *(f"rank {rank + 1}" for rank in range(k)))
    fill = lambda marks: [mark.text() for mark in marks] + [""] * (k - len(marks))
    return plain_table(header, [(name, *fill(marks)) for name, marks in rows])


def table(plan: Plan, results: dict[str, Any]) -> str:
    """The page's tables."""
    rules, drivers, flips, ceilings = [], [], [], []
    for dim in plan.dims:
        k, seeds = min(plan.k, dim), results["learned"][dim]
        marks = [ceiling(seeds, rank) for rank in range(k)]
        ceilings.append((f"d={dim}", marks))
        rules += [
            (f"d={dim} {rule}", over_seeds([seed["right"][rule] for seed in seeds]))
            for rule in seeds[0]["right"]
        ]
        seeds = results["stability"][dim]
        drivers += [
            (f"d={dim} {name}", over_seeds([seed["agree"][name] for seed in seeds]))
            for name in DRIVERS
        ]
        flips += [
            (
                f"d={dim} {step:g}",
                over_seeds([seed["flipped"][place] for seed in seeds]),
            )
            for place, step in enumerate(RESOLUTIONS)
        ]
    curves = [
        (f"n={count}", over_seeds([seed["right"] for seed in seeds]))
        for count, seeds in results["curve"].items()
    ]
    seeds = results["networks"]
    scored = [
        (f"{name}, {kind}", over_seeds([seed[name][kind] for seed in seeds]))
        for name in seeds[0]
        for kind in seeds[0][name]
    ]
    return "\n\n".join(
        rank_table(title, rows, plan.k)
        for title, rows in (
            ("mean signed cosine of exact vectors, best rule", ceilings),
            ("share of right signs", rules),
            ("same sign as LAPACK's evd, lower", drivers),
            ("share flipped by a change of S", flips),
            (f"trees, d={plan.curve_dim}", curves),
            (f"mean cosine, d={plan.curve_dim}", scored),
        )
    )
