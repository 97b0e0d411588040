"""Pre-training: state, step, data parallelism, loop and verified checkpoints."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.training.batch import Draw, draw, instance_loss, parts_of
    from spectral_tf.training.checkpoint import (
        CheckpointError,
        DamagedCheckpointWarning,
        Restored,
        checkpoint_folders,
        restore_best,
        restore_latest,
        save_checkpoint,
    )
    from spectral_tf.training.distributed import join
    from spectral_tf.training.heldout import Heldout
    from spectral_tf.training.hot_start import (
        trainable,
        with_adaptive_mlp,
        with_exact_images,
    )
    from spectral_tf.training.lines import ProgressLines
    from spectral_tf.training.loop import NonFiniteError, pretrain
    from spectral_tf.training.parallel import lowered_steps, parallel_steps
    from spectral_tf.training.presence import RunLock
    from spectral_tf.training.provenance import versions
    from spectral_tf.training.records import Progress, Records
    from spectral_tf.training.state import (
        Trained,
        TrainState,
        init_state,
        learning_rate,
        optimiser,
    )
    from spectral_tf.training.step import train_step
    from spectral_tf.training.stopping import Interrupted, Preempted
    from spectral_tf.training.tasks import Task, task_of
    from spectral_tf.training.tensorboard import LogWarning, TensorboardSink

__all__ = [
    "CheckpointError",
    "DamagedCheckpointWarning",
    "Draw",
    "Heldout",
    "Interrupted",
    "LogWarning",
    "NonFiniteError",
    "Preempted",
    "Progress",
    "ProgressLines",
    "Records",
    "Restored",
    "RunLock",
    "Task",
    "TensorboardSink",
    "TrainState",
    "Trained",
    "checkpoint_folders",
    "draw",
    "init_state",
    "instance_loss",
    "join",
    "learning_rate",
    "lowered_steps",
    "optimiser",
    "parallel_steps",
    "parts_of",
    "pretrain",
    "restore_best",
    "restore_latest",
    "save_checkpoint",
    "task_of",
    "train_step",
    "trainable",
    "versions",
    "with_adaptive_mlp",
    "with_exact_images",
]

_HOMES = {
    "batch": ("Draw", "draw", "instance_loss", "parts_of"),
    "checkpoint": (
        "CheckpointError",
        "DamagedCheckpointWarning",
        "Restored",
        "checkpoint_folders",
        "restore_best",
        "restore_latest",
        "save_checkpoint",
    ),
    "distributed": ("join",),
    "heldout": ("Heldout",),
    "hot_start": ("trainable", "with_adaptive_mlp", "with_exact_images"),
    "lines": ("ProgressLines",),
    "loop": ("NonFiniteError", "pretrain"),
    "parallel": ("lowered_steps", "parallel_steps"),
    "presence": ("RunLock",),
    "provenance": ("versions",),
    "records": ("Progress", "Records"),
    "state": ("TrainState", "Trained", "init_state", "learning_rate", "optimiser"),
    "step": ("train_step",),
    "stopping": ("Interrupted", "Preempted"),
    "tasks": ("Task", "task_of"),
    "tensorboard": ("LogWarning", "TensorboardSink"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
