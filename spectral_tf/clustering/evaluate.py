"""Scores methods on mixtures: trained, constructed and classical by one code path.

Every score is a mean over instances with its 95 % interval. All methods see the same
rows; `excess` and `log_likelihood_gap` are differences on the same rows, so their
intervals are much narrower than those of the two scores themselves.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from spectral_tf.clustering.baselines import Method
from spectral_tf.clustering.instances import ClusterInstance
from spectral_tf.clustering.metrics import (
    ClusterAnswer,
    Scores,
    bayes_rule,
    score,
    valid_part,
)
from spectral_tf.config import require
from spectral_tf.config.wording import counted
from spectral_tf.evaluation import Statistic

BAYES = "Bayes rule"
"""Name of the row that knows the true parameters."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterReport:
    """How good one method is on one set of instances.

    Attributes:
        num_instances: B.
        scores: name of a score (see `Scores`) -> its statistic over instances; None
            where the method does not answer what the score needs.
    """

    num_instances: int
    scores: Mapping[str, Statistic | None]

    @classmethod
    def of(cls, scores: Sequence[Scores]) -> "ClusterReport":
        """The report of B >= 1 instances.

        Args:
            scores: of each instance.

        Returns:
            The report; a score that is NaN on every instance is None.
        """
        table = np.array(scores, np.float64)
        columns = zip(Scores._fields, table.T, strict=True)
        return cls(
            num_instances=len(table),
            scores={
                name: None if np.isnan(column).all() else Statistic.of(column)
                for name, column in columns
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what is not a finite number is None."""
        finite = lambda value: value if math.isfinite(value) else None
        return {
            "num_instances": self.num_instances,
            "scores": {
                name: statistic
                and {
                    "mean": finite(statistic.mean),
                    "half_width": finite(statistic.half_width),
                }
                for name, statistic in self.scores.items()
            },
        }


def each_instance(instances: ClusterInstance) -> Iterator[ClusterInstance]:
    """The instances of a batch one by one, as numpy arrays.

    Args:
        instances: batched, leading axis B on every field.

    Yields:
        `ClusterInstance` without the leading axis, and without the classes that are
        not there (weight 0, see `ClusterConfig.min_classes`): K is the true number.

    Raises:
        ConfigError: if there are no instances.
    """
    fields = jax.tree.map(np.asarray, instances)
    require(
        fields.x.ndim == 3 and len(fields.x) >= 1,
        f"instances has rows {fields.x.shape}; give a batch [B, N, d] with B >= 1, "
        "as sample_clusters makes it.",
    )
    for index in range(len(fields.x)):
        instance = ClusterInstance(*(field[index] for field in fields))
        is_present = instance.weights > 0
        yield instance._replace(
            means=instance.means[is_present],
            scales=instance.scales[is_present],
            weights=instance.weights[is_present],
        )


def evaluate_answers(
    answers: Sequence[ClusterAnswer], instances: ClusterInstance
) -> ClusterReport:
    """Score answers that are there already, e.g. of a network run in batches.

    Args:
        answers: one for each instance, on its valid rows.
        instances: batched, leading axis B >= 1.

    Returns:
        The report.

    Raises:
        ConfigError: if there are no instances, or another number of answers.
        DataError: if an answer does not fit its instance.
    """
    truths = list(each_instance(instances))
    require(
        len(answers) == len(truths),
        f"{counted(len(answers), 'answer')} given for "
        f"{counted(len(truths), 'instance')}; give one for each.",
    )
    pairs = zip(answers, truths, strict=True)
    return ClusterReport.of([score(answer, truth) for answer, truth in pairs])


def evaluate_methods(
    methods: Mapping[str, Method], instances: ClusterInstance, *, seed: int = 0
) -> dict[str, ClusterReport]:
    """Score methods, and the Bayes rule beside them, on a batch of mixtures.

    Args:
        methods: name -> method; each sees the valid rows of an instance, K and a seed.
        instances: batched, leading axis B >= 1.
        seed: instance i is answered with seed + i.

    Returns:
        Name -> report, first `BAYES`, then the methods in their order.

    Raises:
        ConfigError: if there are no instances, or a method is named as the Bayes rule.
        DataError: if an answer does not fit its instance.

    Numerics:
        BLAS and OpenMP run on one thread: these problems are small, and threads that
        wait for one another would cost more than they bring.

    Example:
        >>> import jax
        >>> from spectral_tf.clustering.baselines import k_means
        >>> from spectral_tf.config import ClusterConfig
        >>> from spectral_tf.clustering.instances import sample_clusters
        >>> config = ClusterConfig(family="bi_class", signal=4.0)
        >>> batch = sample_clusters(jax.random.key(0), config, 20)
        >>> reports = evaluate_methods({"k-means": k_means}, batch)
        >>> reports["k-means"].scores["misclassification"].mean < 0.01
        True
    """
    require(
        BAYES not in methods,
        f"a method is named {BAYES!r}, which is the row of the true parameters; "
        "rename it.",
    )
    by_method: dict[str, list[Scores]] = {BAYES: [], **{name: [] for name in methods}}
    with threadpool_limits(limits=1):
        for index, truth in enumerate(each_instance(instances)):
            best = bayes_rule(truth)
            rows, _ = valid_part(truth)
            by_method[BAYES].append(score(best, truth, best))
            for name, method in methods.items():
                answer = method(rows, len(truth.weights), seed + index)
                by_method[name].append(score(answer, truth, best))
    return {name: ClusterReport.of(scores) for name, scores in by_method.items()}
