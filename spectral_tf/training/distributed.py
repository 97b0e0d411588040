"""Many processes as one run: each host of a cluster runs the same command."""

import jax

from spectral_tf.config import ConfigError, require

TIMEOUT = 60
"""Seconds until a process that no longer answers stops the others."""


def join(
    detect: bool,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Join the processes of a run, before anything else touches a device.

    With `detect` alone JAX reads the launcher's environment (SLURM, Open MPI, GKE, TPU
    pods). By hand all three others are given. With neither nothing happens.

    Args:
        detect: let JAX find the other processes.
        coordinator: `host:port` of process 0.
        num_processes: how many there are.
        process_id: which one this is, from 0.

    Raises:
        ConfigError: if only some of the three are given, they do not fit, or no
            launcher is found.

    Source: JAX documentation, "Introduction to multi-controller JAX".
    """
    by_hand = (coordinator, num_processes, process_id)
    if not detect and all(value is None for value in by_hand):
        return
    given = [value is not None for value in by_hand]
    require(
        all(given) or (detect and not any(given)),
        f"coordinator={coordinator}, num_processes={num_processes}, process_id="
        f"{process_id}: give all three, or only --distributed on a cluster whose "
        "launcher JAX knows (SLURM, Open MPI, GKE, TPU pods).",
    )
    if num_processes is not None and process_id is not None:
        require(
            0 <= process_id < num_processes,
            f"process_id={process_id} must lie in 0..{num_processes - 1}, below "
            f"num_processes={num_processes}.",
        )
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            heartbeat_timeout_seconds=TIMEOUT // 2,
        )
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"the processes cannot be joined: {str(error).splitlines()[0]} Give "
            "--coordinator HOST:PORT --num-processes N --process-id I by hand, the "
            "same on every host but for the last."
        ) from error
