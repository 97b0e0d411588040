"""The dense network in plain PyTorch, and its training step beside ours.

    python benchmarks/train_torch.py '{"batch": 64, ...}'

Prints one line of JSON; `bench_train.py --part torch` runs it. Needs PyTorch
(`pip install -e '.[torch]'`). Both sides take the same instances, drawn beforehand, and
do the same: forward, the loss 1 - cos^2, backward, clipping by the global norm, Adam.
PyTorch runs eagerly, with attention written by hand and its fused Adam. The comparison
is refused unless answers, loss and gradients of both agree on the same parameters.
"""

import functools
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from train_step import SEED, first_arguments, train_config

from spectral_tf import (
    EnsembleConfig,
    ModelConfig,
    SpectralTransformer,
    TrainConfig,
    sample_batch,
)
from spectral_tf.model import flatten_params
from spectral_tf.sampling import Instance
from spectral_tf.settings import random_key
from spectral_tf.training import (
    init_state,
    instance_loss,
    optimiser,
    parallel_steps,
    parts_of,
    train_step,
)

ALLOWED = 1e-4
"""Largest difference of answers, relative to their largest entry, and of gradients."""


def leaves_of(params: Any, torch: Any) -> dict[str, Any]:
    """Our parameters as tensors, one for each block: `blocks/...` become lists."""
    make = lambda leaf: torch.tensor(np.array(leaf), requires_grad=True)
    return {
        path: list(map(make, leaf)) if path.startswith("blocks/") else make(leaf)
        for path, leaf in flatten_params(params).items()
    }


def norm(x: Any, gain: Any, eps: float) -> Any:
    size = x.shape[-1]
    return size**0.5 * x * (x.square().sum(-1, keepdim=True) + eps).rsqrt() * gain


def attention(h: Any, leaves: dict[str, Any], block: int) -> Any:
    """ReLU attention of all tokens `[B, T, D]`, divided by their number."""
    name = "blocks/0_attention/attention/"
    query, key, value, out = (
        leaves[name + role][block] for role in ("query", "key", "value", "out")
    )
    batch, tokens, width = h.shape
    heads = query.shape[1]
    split = lambda w: (
        (h @ w.reshape(width, -1)).view(batch, tokens, heads, -1).transpose(1, 2)
    )
    scores = split(query) @ split(key).transpose(2, 3)
    mixed = (scores.relu() / tokens) @ split(value)
    return mixed.transpose(1, 2).reshape(batch, tokens, -1) @ out.reshape(-1, width)


def mlp(h: Any, leaves: dict[str, Any], block: int, torch: Any) -> Any:
    name = "blocks/1_mlp/mlp/"
    up, down = leaves[f"{name}up_kernel"][block], leaves[f"{name}down_kernel"][block]
    hidden = h @ up + leaves[f"{name}up_bias"][block]
    hidden = torch.nn.functional.gelu(hidden, approximate="tanh")
    return hidden @ down + leaves[f"{name}down_bias"][block]


def forward(config: ModelConfig, leaves: dict[str, Any], x: Any, torch: Any) -> tuple:
    """`(eigenvalues [B, k], eigenvectors [B, k, d])` of rows `[B, N, d]`."""
    count = x.shape[1]
    rows = x - x.mean(1, keepdim=True)
    trace = rows.square().sum((1, 2), keepdim=True) / count
    rows = rows * trace.rsqrt()
    data = rows @ leaves["embed_kernel"] + leaves["embed_bias"]
    registers = leaves["registers"].expand(len(x), -1, -1)
    tokens = torch.cat([data, registers], 1)
    for block in range(config.num_blocks):
        gains = [leaves[f"blocks/{i}/norm/gain"] for i in ("0_attention", "1_mlp")]
        read = norm(tokens, gains[0][block], config.norm_eps)
        tokens = tokens + attention(read, leaves, block)
        read = norm(tokens, gains[1][block], config.norm_eps)
        tokens = tokens + mlp(read, leaves, block, torch)
    answers = tokens[:, count : count + config.num_components]
    values = (answers @ leaves["value_kernel"] + leaves["value_bias"])[..., 0]
    return values * trace[:, 0], answers @ leaves["vector_kernel"]


def torch_loss(vectors: Any, targets: Any) -> Any:
    """Mean of 1 - cos^2 over ranks and instances."""
    unit = vectors / vectors.norm(dim=-1, keepdim=True)
    return (1 - (unit * targets).sum(-1).square()).mean()


class TorchStep:
    """A training step of PyTorch on a batch it is given."""

    def __init__(self, config: TrainConfig, params: Any, batch: Instance) -> None:
        self.torch = importlib.import_module("torch")
        self.config = config
        self.leaves = leaves_of(params, self.torch)
        self.x, self.targets = (
            self.torch.tensor(np.array(leaf)) for leaf in (batch.x, batch.eigenvectors)
        )
        flat: list[Any] = []
        for leaf in self.leaves.values():
            flat += leaf if isinstance(leaf, list) else [leaf]
        self.flat = flat
        self.adam = self.torch.optim.Adam(flat, lr=config.learning_rate, fused=True)

    def answer(self) -> tuple:
        return forward(self.config.model, self.leaves, self.x, self.torch)

    def backward(self) -> Any:
        self.adam.zero_grad()
        loss = torch_loss(self.answer()[1], self.targets)
        loss.backward()
        return loss.detach()

    def __call__(self) -> None:
        self.backward()
        held = [leaf for leaf in self.flat if leaf.grad is not None]
        self.torch.nn.utils.clip_grad_norm_(held, self.config.max_grad_norm)
        self.adam.step()


def our_loss(config: TrainConfig, params: Any, batch: Instance) -> jax.Array:
    part = parts_of(config)[0]
    one = lambda instance: instance_loss(config, part, params, instance, None)[0]
    return jnp.mean(jax.vmap(one)(batch))


def our_step(config: TrainConfig, params: Any, opt_state: Any, batch: Instance) -> Any:
    """`train_step` on a batch it is given, without metrics."""
    grads = jax.grad(functools.partial(our_loss, config))(params, batch)
    updates, opt_state = optimiser(config).update(grads, opt_state, params)
    updates = jax.tree.map(lambda leaf: -config.learning_rate * leaf, updates)
    return optax.apply_updates(params, updates), opt_state


def relative(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(ours)))


def differences(
    config: TrainConfig, params: Any, batch: Instance, other: TorchStep
) -> dict[str, float]:
    """How far answers and gradients of both sides are apart, relative to the largest.

    Raises:
        RuntimeError: if one exceeds ALLOWED: then they are not the same network.
    """
    model = SpectralTransformer(config.model)
    one = lambda x: model.apply({"params": params}, x)[0]
    values, vectors = jax.jit(jax.vmap(one))(batch.x)
    grads = jax.jit(jax.grad(functools.partial(our_loss, config)))(params, batch)
    theirs = [leaf.detach().numpy() for leaf in other.answer()]
    other.backward()
    gradient = lambda leaf: np.zeros(leaf.shape) if leaf.grad is None else leaf.grad
    found = {
        "eigenvalues": relative(values, theirs[0]),
        "eigenvectors": relative(vectors, theirs[1]),
    }
    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(grads))
    apart = 0.0
    for path, leaf in flatten_params(grads).items():
        tensors = other.leaves[path]
        many = isinstance(tensors, list)
        theirs = np.stack([gradient(one) for one in (tensors if many else [tensors])])
        ours = np.asarray(leaf).reshape(theirs.shape)
        apart = max(apart, float(np.max(np.abs(ours - theirs))))
    found["gradients"] = apart / largest
    if not max(found.values()) <= ALLOWED:
        raise RuntimeError(
            f"the networks differ by {found}, more than {ALLOWED:g}: the comparison is "
            "void; make train_torch.py compute what spectral_tf/model/dense.py does."
        )
    return found


def seconds_of(call: Callable[[], Any], steps: int) -> float:
    begin = time.perf_counter()
    for _ in range(steps):
        call()
    return (time.perf_counter() - begin) / steps


def our_calls(
    config: TrainConfig, params: Any, batch: Instance
) -> dict[str, Callable[[], Any]]:
    """Our step on a given batch, and the whole `train_step`, which draws its own."""
    if jax.device_count() > 1:
        return {"ours, a device for each thread, drawing included": over_cores(config)}
    step = jax.jit(functools.partial(our_step, config), donate_argnums=(0, 1))
    copied = jax.tree.map(jnp.copy, (params, optimiser(config).init(params)))
    whole = jax.jit(functools.partial(train_step, config), donate_argnums=0)
    held = {"given": copied, "whole": init_state(config)}
    _, key, horizon = first_arguments(config)

    def given() -> None:
        held["given"] = jax.block_until_ready(step(*held["given"], batch))

    def drawn() -> None:
        held["whole"] = jax.block_until_ready(whole(held["whole"], key, horizon))[0]

    return {"ours": given, "ours, drawing included": drawn}


def over_cores(config: TrainConfig) -> Callable[[], Any]:
    """The whole `train_step` by `pmap` over as many virtual devices as threads."""
    steps = parallel_steps(config.replace(steps_per_call=1))
    state, key, horizon = first_arguments(config)
    held = {"state": state}

    def call() -> None:
        found: Any = steps(held["state"], key, horizon)
        held["state"] = jax.block_until_ready(found)[0]

    return call


def compare(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds per step of both sides, interleaved; medians of ratios."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(job["threads"])
    config = train_config("dense", job["smoke"], batch_size=job["batch"])
    dim, num_samples = config.shapes[0]
    ensemble = EnsembleConfig(
        dim=dim, num_samples=num_samples, num_components=config.model.num_components
    )
    batch = sample_batch(random_key(SEED), ensemble, job["batch"])
    params = init_state(config).params
    other = TorchStep(config, params, batch)
    found = differences(config, params, batch, other)
    calls = our_calls(config, params, batch) | {"torch": other}
    for call in calls.values():
        call()  # compiles
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(job["repeats"]):
        for name, call in calls.items():
            took[name].append(seconds_of(call, job["steps"]))
    theirs = np.array(took["torch"])
    return {
        "torch": torch.__version__,
        "threads": job["threads"],
        "difference": found,
        "methods": {
            name: {
                "median_s": float(np.median(seconds)),
                "instances_per_s": job["batch"] / float(np.median(seconds)),
                "speedup": float(np.median(theirs / seconds)),
                "quartiles": np.percentile(theirs / seconds, (25, 75)).tolist(),
                "repeats": len(seconds),
            }
            for name, seconds in took.items()
        },
    }


def main() -> None:
    job = json.loads(sys.argv[1])
    cores = sorted(os.sched_getaffinity(0))  # before JAX makes its threads
    os.sched_setaffinity(0, cores[-job["threads"] :])
    jax.config.update("jax_num_cpu_devices", job["devices"])
    print(json.dumps(compare(job)))


if __name__ == "__main__":
    main()
