"""How `gmm-small` is trained: sizes, families, and what it is for."""

from spectral_tf.config import (
    ClusterConfig,
    ClusterFamily,
    ClusterModelConfig,
    ClusterTrainConfig,
)

SEED = 5
PURPOSE = (
    "clusters the rows of a table into K groups, K from 2 to 5 given; any d, any "
    "N >= K; trained on Gaussian mixtures with d <= 16 and N from 16 to 256"
)
LOW, HIGH = (1, 4), (5, 1024)
"""Dimensions at which means lie apart by more, and by less, for the same overlap."""
SEPARATIONS = {LOW: (0.25, 1.8), HIGH: (0.1, 0.8)}

FAMILIES: dict[str, tuple[float, ClusterConfig]] = {
    "isotropic": (0.25, ClusterConfig()),
    "diagonal": (0.25, ClusterConfig(covariance="diagonal", scale_range=(0.3, 1.9))),
    "heavy tails": (0.15, ClusterConfig(noise="student_t", scale_range=(0.6, 1.4))),
    "outliers": (0.15, ClusterConfig(outlier_share=0.05, scale_range=(0.6, 1.4))),
}


def families() -> tuple[ClusterFamily, ...]:
    """Each of `FAMILIES` at low and at high d, and two classes through the overlap."""
    found = []
    for dims, (low, high) in SEPARATIONS.items():
        changes = {"num_classes": 5, "min_classes": 2, "proposals": 16}
        changes |= {"min_separation": low, "separation": high}
        found += [
            ClusterFamily(instances=one.replace(**changes), weight=weight, dims=dims)
            for weight, one in FAMILIES.values()
        ]
    two = ClusterConfig(
        family="bi_class", signal=1.0, separation=4.0, min_separation=0.7
    )
    return (*found, ClusterFamily(instances=two, weight=0.2))


def train_config(*, smoke: bool) -> ClusterTrainConfig:
    """The run that makes the checkpoint; with `smoke` two steps of a tiny one."""
    config = ClusterTrainConfig(
        model=ClusterModelConfig(gradient_limit=0.05),
        shapes=((2, 64), (2, 256), (4, 32), (8, 96), (16, 128)),
        families=families(),
        batch_size=32,
        num_steps=4000,
        learning_rate=1.5e-3,
        warmup_steps=100,
        max_grad_norm=1.0,
        ema_decay=0.99,
        steps_per_call=10,
        calls_per_save=10,
        confidence_weight=0.2,
        calls_per_eval=40,
        eval_instances=256,
        seed=SEED,
    )
    if not smoke:
        return config
    return config.replace(
        model=config.model.replace(
            num_blocks=1, num_heads=2, scalar_channels=4, token_channels=4
        ),
        shapes=((2, 16),),
        families=(ClusterFamily(),),
        batch_size=2,
        num_steps=2,
        steps_per_call=1,
        warmup_steps=1,
        calls_per_eval=1,
        calls_per_save=1,
        eval_instances=2,
    )
