"""Write `golden.json`: what every composition is, size by size.

    python -m tests.constructive.golden

Written from the code before compositions became programs. A new composition adds cases;
a case that is there must not change.
"""

import functools
import hashlib
import itertools
import json
import re
from pathlib import Path

import numpy as np

import tests.conftest  # noqa: F401 - JAX set up as in the tests
from spectral_tf.config import Channels, ModelConfig, parse_schedule
from spectral_tf.constructive.equivariant import equivariant_power_method
from spectral_tf.constructive.explain import explained
from spectral_tf.constructive.lanczos_dense import orthonormal_start
from spectral_tf.constructive.mixture import mixture_composition, mixture_params
from spectral_tf.constructive.power_method import (
    power_method_composition,
    power_method_params,
)
from spectral_tf.constructive.subspace import subspace_iteration
from spectral_tf.model.params import flatten_params
from spectral_tf.model.transformer import gaussian_start

FILE = Path(__file__).parent / "golden.json"
LATER = ("schedule", "kind", "norm_floor", "squarings", "terminator")
"""Of a configuration: compared by the order of blocks; unknown to the old code."""
SIZES = {
    "register": [(2, 1, 1), (2, 2, 3), (5, 3, 7), (5, 1, 8), (9, 4, 40)],
    "rms": [(2, 1, 1), (2, 2, 3), (5, 3, 7), (5, 1, 8), (9, 4, 40)],
    "accelerated": [(2, 1, 1), (2, 2, 30), (5, 3, 7), (5, 1, 9), (9, 4, 40)],
    "columns": [(2, 1, 1), (2, 2, 3), (5, 3, 7), (5, 1, 8), (6, 4, 40)],
    "squaring": [(2, 1, 1), (2, 2, 3), (5, 3, 7), (5, 1, 2), (6, 4, 12)],
    "krylov": [(2, 1, 1), (5, 3, 4), (12, 9, 2)],
}
LIMITS = {
    "register": [{"accuracy": 0.01, "smallest": 0.05}, {"smallest": 1e-5}],
    "rms": [{"accuracy": 0.01, "smallest": 0.05}],
    "accelerated": [{"accuracy": 0.01, "smallest": 0.05}],
    "columns": [{"accuracy": 0.01}, {"smallest": 1e-2}],
    "squaring": [{"accuracy": 0.2}, {"accuracy": 1e-4, "smallest": 0.01}],
    "krylov": [{"block": 3}],
}
MIXTURES = [
    *itertools.product(("spectral", "spectral_rms"), (2, 5), (1, 9), (None,)),
    *itertools.product(("lloyd", "em"), (1, 3), (1, 6), (2, 5)),
]
EQUIVARIANT = [(1, 4, 2), (2, 5, 1), (3, 60, 2), (5, 7, 9)]
SUBSPACE = [{}, {"looped": True}, {"registers": 5, "inner": 1, "rounds": 3}]


def cases():
    """Name -> function that builds `(composition or None, (config, params))`."""
    found = {}
    for variant, sizes in SIZES.items():
        plain = [(size, {}) for size in sizes]
        limited = [((4, 2, 8), limits) for limits in LIMITS[variant]]
        for size, limits in plain + limited:
            words = " ".join(f"{name}={value}" for name, value in limits.items())
            build = functools.partial(power_method, *size, variant, **limits)
            found[f"{variant} {size} {words}".strip()] = build
    for variant, dim, num_iters, classes in MIXTURES:
        options = {"num_classes": classes, "knots": 16} if classes else {}
        build = functools.partial(mixture, dim, num_iters, variant, **options)
        found[f"{variant} {(dim, num_iters)} {classes or 2}"] = build
    for k, num_iters, rounds in EQUIVARIANT:
        for shifts in (None, np.linspace(0.1, 0.2, num_iters)):
            build = functools.partial(equivariant, k, num_iters, rounds, shifts)
            name = "shared" if shifts is None else "shifted"
            found[f"equivariant {(k, num_iters, rounds)} {name}"] = build
    for options in SUBSPACE:
        build = functools.partial(subspace, **options)
        found[f"subspace {options}"] = build
    return found


def power_method(*sizes, **limits):
    composition = power_method_composition(*sizes, **limits)
    return composition, power_method_params(*sizes, **limits)


def mixture(*sizes, **options):
    return mixture_composition(*sizes, **options), mixture_params(*sizes, **options)


def equivariant(k, num_iters, rounds, shifts):
    return None, equivariant_power_method(k, num_iters, rounds=rounds, shifts=shifts)


def subspace(**options):
    return None, subspace_iteration(2, 4, **options)


def digest(*texts):
    """A short name of some bytes."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text if isinstance(text, bytes) else str(text).encode())
        total.update(b"\0")
    return total.hexdigest()[:24]


def plain_counts(text):
    """Counts as they were written when the file was: 4747, not 4,747.

    What a count is belongs to the construction, how it is written to `counted`.
    """
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


def described(composition, network):
    """JSON-ready: order, text, every byte of the weights, and sums that round alike."""
    config, params = network
    leaves = {path: np.asarray(leaf) for path, leaf in flatten_params(params).items()}
    shapes = {path: [str(leaf.dtype), *leaf.shape] for path, leaf in leaves.items()}
    plain = {k: v for k, v in config.flat().items() if k not in LATER}
    flat = np.concatenate(
        [leaves[path].astype(np.float64).ravel() for path in sorted(leaves)]
    )
    content = [(path, leaves[path].tobytes()) for path in sorted(leaves)]
    found = {
        "schedule": config.schedule,
        "order": digest(config.block_order),
        "config": digest(json.dumps(plain, sort_keys=True)),
        "shapes": digest(json.dumps(shapes, sort_keys=True)),
        "params": digest(*itertools.chain(*content)),
        "sum": float(flat @ np.cos(np.arange(flat.size))),
        "size": float(np.abs(flat).sum()),
    }
    if composition is not None:
        assert parse_schedule(composition.schedule) == composition.order
        found["explained"] = digest(plain_counts(json.dumps(explained(composition))))
        found["names"] = [gadget.name for gadget in composition.gadgets]
    return found


@functools.cache
def arithmetic():
    """What this machine makes of the functions that round: start vectors and knots.

    Where it is as it was when the file was written, weights are equal to the last byte;
    elsewhere they are equal to rounding.
    """
    starts = []
    for k, dim in itertools.product(range(1, 6), (2, 4, 5, 6, 9)):
        config = ModelConfig(num_components=k, layout=Channels(scalars=2 * k + 2))
        rows = gaussian_start(config, min(k, dim), dim, np.float32)
        starts.append(np.asarray(rows).tobytes())
    # Of LAPACK, in the type of the weights.
    bases = [orthonormal_start(dim, min(8, dim)) for dim in (2, 4, 5, 12)]
    starts += [basis.astype(np.float32).tobytes() for basis in bases]
    knots = [np.geomspace(low, 1.0, 99).tobytes() for low in (1e-10, 1e-6, 1e-3)]
    return digest(*starts, *knots)


def main():
    """Write the file."""
    written = {name: described(*build()) for name, build in cases().items()}
    document = {"arithmetic": arithmetic(), "cases": written}
    FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
