"""Clusters of a Gaussian mixture: instances, metrics, baselines, one evaluation."""

from typing import TYPE_CHECKING

from spectral_tf.lazy import lazily

if TYPE_CHECKING:
    from spectral_tf.clustering.baselines import (
        CovarianceType,
        Method,
        gaussian_mixture,
        k_means,
        leading_direction,
        spectral_clustering,
    )
    from spectral_tf.clustering.evaluate import (
        BAYES,
        ClusterReport,
        each_instance,
        evaluate_answers,
        evaluate_methods,
    )
    from spectral_tf.clustering.instances import (
        ClusterInstance,
        cluster_batch_at,
        sample_cluster_instance,
        sample_clusters,
    )
    from spectral_tf.clustering.metrics import (
        ClusterAnswer,
        Scores,
        bayes_rule,
        best_matching,
        log_likelihood,
        misclassification,
        score,
        valid_part,
    )
    from spectral_tf.clustering.objective import best_renaming, renamed

__all__ = [
    "BAYES",
    "ClusterAnswer",
    "ClusterInstance",
    "ClusterReport",
    "CovarianceType",
    "Method",
    "Scores",
    "bayes_rule",
    "best_matching",
    "best_renaming",
    "cluster_batch_at",
    "each_instance",
    "evaluate_answers",
    "evaluate_methods",
    "gaussian_mixture",
    "k_means",
    "leading_direction",
    "log_likelihood",
    "misclassification",
    "renamed",
    "sample_cluster_instance",
    "sample_clusters",
    "score",
    "spectral_clustering",
    "valid_part",
]

_HOMES = {
    "baselines": (
        "CovarianceType",
        "Method",
        "gaussian_mixture",
        "k_means",
        "leading_direction",
        "spectral_clustering",
    ),
    "evaluate": (
        "BAYES",
        "ClusterReport",
        "each_instance",
        "evaluate_answers",
        "evaluate_methods",
    ),
    "instances": (
        "ClusterInstance",
        "cluster_batch_at",
        "sample_cluster_instance",
        "sample_clusters",
    ),
    "metrics": (
        "ClusterAnswer",
        "Scores",
        "bayes_rule",
        "best_matching",
        "log_likelihood",
        "misclassification",
        "score",
        "valid_part",
    ),
    "objective": ("best_renaming", "renamed"),
}
"""Module -> the public names that it defines."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
