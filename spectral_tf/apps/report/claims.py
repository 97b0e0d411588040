"""What a comparison shows, in sentences that follow from its numbers alone.

Two methods are compared instance by instance, so that the interval of a difference is
that of the pairs: much narrower than those of the two means, which mostly say how
different the instances are.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from spectral_tf.config import require
from spectral_tf.config.wording import agreed, counted
from spectral_tf.evaluation import Scores, Statistic

DEGREES = 180 / np.pi


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """One method against another on the same instances.

    Attributes:
        instances: what they were scored on, e.g. `synthetic d=10 N=50`.
        method: e.g. `trained, 8 products`.
        against: the other method.
        cosine: per rank, the method's |cos| less the other's; above 0 is better.
        angle: the method's largest principal angle less the other's, radians; below 0
            is better.
    """

    instances: str
    method: str
    against: str
    cosine: tuple[Statistic, ...]
    angle: Statistic

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return dataclasses.asdict(self)


def compared(
    instances: str, ours: tuple[str, Scores], other: tuple[str, Scores]
) -> Comparison:
    """The differences of two methods, in pairs.

    Args:
        instances: name of the set.
        ours: name of the method, and its scores.
        other: name of what it is compared with, and its scores of the same instances.

    Returns:
        `Comparison`.

    Raises:
        ConfigError: if they are not scores of as many instances and ranks.
    """
    (method, mine), (against, its) = ours, other
    require(
        mine.cosine.shape == its.cosine.shape,
        f"scores of shape {mine.cosine.shape} cannot be compared in pairs with those "
        f"of shape {its.cosine.shape}; score both on the same instances.",
    )
    return Comparison(
        instances=instances,
        method=method,
        against=against,
        cosine=tuple(map(Statistic.of, (mine.cosine - its.cosine).T)),
        angle=Statistic.of(mine.angle - its.angle),
    )


def verdict(comparisons: Sequence[Comparison]) -> str:
    """On how many ranks and sets the method is better, and by how much.

    Args:
        comparisons: of one method with one other, a set of instances each.

    Returns:
        Two clauses without a full stop: of |cos| per rank, and of the largest angle per
        set. A difference whose 95 % interval has 0 in it is counted as undecided.
    """
    gains = [rank for item in comparisons for rank in item.cosine]
    angles = [
        Statistic(
            mean=-item.angle.mean * DEGREES, half_width=item.angle.half_width * DEGREES
        )
        for item in comparisons
    ]
    ranks = _clause(gains, "rank", ("higher", "lower"), "{:.4f}")
    spans = _clause(angles, "set", ("smaller", "larger"), "{:.2f} degrees")
    return f"|cos| is {ranks}; the largest principal angle is {spans}"


def _clause(
    gains: Sequence[Statistic], noun: str, words: tuple[str, str], form: str
) -> str:
    """`higher on 10 of 12 ranks (by 0.0210 to 0.3400), lower on 1 (...)`."""
    total, (better, worse) = counted(len(gains), noun), words
    above = [gain.mean for gain in gains if gain.mean - gain.half_width > 0]
    below = [-gain.mean for gain in gains if gain.mean + gain.half_width < 0]
    rest = [gain for gain in gains if not abs(gain.mean) > gain.half_width]
    text = f"{better} on {len(above)} of {total}{_range(above, form)}"
    if below:
        text += f", {worse} on {len(below)}{_range(below, form)}"
    if rest:
        has = agreed(len(rest), "has", "have")
        text += f", undecided on {len(rest)}, which {has} 0 in the 95% interval"
        text += _widest(rest, form)
    return text


def _range(sizes: Sequence[float], form: str) -> str:
    """Least and most of the differences, as they are rounded."""
    if not sizes:
        return ""
    least, most = form.format(min(sizes)), form.format(max(sizes))
    number = least.partition(" ")[0]
    return f" (by {most})" if least == most else f" (by {number} to {most})"


def _widest(gains: Sequence[Statistic], form: str) -> str:
    """The largest difference, with its interval."""
    largest = max(gains, key=lambda gain: abs(gain.mean))
    number, _, unit = form.partition(" ")
    mean = number.replace(":", ":+").format(largest.mean)
    width = number.format(largest.half_width)
    return f" (at most {mean} ± {width}{unit and f' {unit}'})"
