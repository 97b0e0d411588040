"""Deliveries that do not fit the others, and what about them does not."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.studies.shipping.config import ShippingConfig
from spectral_tf.apps.studies.shipping.contrasts import day_text
from spectral_tf.apps.studies.shipping.features import Feature, Features
from spectral_tf.apps.studies.words import say
from spectral_tf.certificate import CertificateWarning
from spectral_tf.estimators import SpectralOutlierDetector

SHARE = 0.9
"""Of the variance, that the components have."""
SMALL = 1e-12
"""Of the largest variance: a smaller one is rounding."""
FAR = 3.0
"""Standard deviations from which a column is strange by itself."""


def strangest(
    features: Features, rows: np.ndarray, labels: np.ndarray, config: ShippingConfig
) -> dict[str, Any]:
    """The strangest deliveries, each with a sentence.

    Args:
        features: the table.
        rows: `[N]` numbers of the rows in the source.
        labels: `[N]` groups from 0.
        config: how many are listed, seed.

    Returns:
        `n_components`, `n_outliers` beyond the `threshold`, their `share`, `errors`
        (standard deviation of each column from what is expected of it), and `top`:
        row, score, group, the words, the column that fits worst with its value, the
        value that the others make one expect and its share of the distance.

    Source: `SpectralOutlierDetector`, `expected_values`.
    """
    with warnings.catch_warnings():
        # What is not proven stands in the certificate.
        warnings.simplefilter("ignore", CertificateWarning)
        # The report says which columns do not go together: the residual's share.
        found = SpectralOutlierDetector(
            SHARE, judge="residual", random_state=config.seed
        ).fit(features.x)
    scores = -found.score_samples(features.x)
    order = np.argsort(-scores, kind="stable")[: config.top]
    is_outlier = found.predict(features.x) < 0
    told = found.explain(features.x[order])
    expected = expected_values(features.x, found.center_, found.pca_.components_)
    error = np.std(features.x - expected, axis=0) * features.scale
    expected = features.mean + expected[order] * features.scale
    return {
        "n_components": int(found.n_components_),
        "threshold": float(-found.offset_),
        "n_outliers": int(is_outlier.sum()),
        "share": float(is_outlier.mean()),
        "errors": {
            one.name: dataclasses.asdict(one.gap(float(error[i]), 0.0))
            for i, one in enumerate(features.about)
        },
        "top": [
            {
                "row": int(rows[row]),
                "group": int(labels[row]) + 1,
                "score": float(scores[row]),
                **_why(features, int(row), told.feature_share[place], expected[place]),
            }
            for place, row in enumerate(order.tolist())
        ],
    }


def expected_values(x: np.ndarray, centre: np.ndarray, plane: np.ndarray) -> np.ndarray:
    r"""What the other columns of each row make one expect of each column.

    In the model of probabilistic PCA the inverse covariance is
    :math:`\Omega = V^T \Lambda^{-1} V + (I - V^T V) / \sigma^2`, with V the
    components, :math:`\Lambda` the variances along them and :math:`\sigma^2` that in
    every direction that is left. The mean of column f given the others is
    :math:`x_f - (\Omega (x - c))_f / \Omega_{ff}`.

    Args:
        x: `[N, d]`.
        centre: `[d]` c.
        plane: `[k, d]` V, with k < d.

    Returns:
        `[N, d]`.

    Source: Tipping & Bishop (1999) for the model; the mean is that of a conditioned
    normal distribution.
    """
    away = x - centre
    inside = away @ plane.T
    left = away - inside @ plane
    along = np.mean(inside**2, axis=0)
    least = SMALL * float(np.max(along)) or 1.0
    along = np.maximum(along, least)
    noise = max(float(np.sum(left**2)) / len(x) / (x.shape[1] - len(plane)), least)
    inverse = (plane.T / along) @ plane
    inverse += (np.eye(x.shape[1]) - plane.T @ plane) / noise
    return x - away @ inverse / np.diag(inverse)


def _why(
    features: Features, row: int, share: np.ndarray, expected: np.ndarray
) -> dict[str, Any]:
    """The column that fits worst, and the sentence."""
    worst = int(np.argmax(share))
    values = features.raw[row]
    seen = features.raw[:, worst].min(), features.raw[:, worst].max()
    fit = float(expected[worst])
    away = np.abs(values - features.mean) / features.scale
    order = np.argsort(-away, kind="stable").tolist()
    others = [i for i in range(len(values)) if i != worst]
    far = [i for i in order if away[i] >= FAR and i != worst]
    said = _misfit(features.about[worst], float(values[worst]), fit, seen)
    return {
        "words": _sentence(said, [_named(features, row, i) for i in far]),
        "others": dataclasses.asdict(
            say.joined("list.items", [_named(features, row, i) for i in others])
        ),
        "column": features.about[worst].name,
        "value": float(values[worst]),
        "expected": fit,
        "column_share": float(share[worst]),
        "values": values.tolist(),
        "far": [features.about[i].name for i in far],
    }


def _named(features: Features, row: int, column: int) -> Text:
    """A column's name and its value; the label itself where the number is from one."""
    feature = features.about[column]
    if feature.levels_of in features.labels:
        label = str(features.labels[feature.levels_of][row])
        return say("shipping.strange.day", day=day_text(label))
    shown = feature.shown(float(features.raw[row, column]))
    return say("shipping.strange.pair", short=feature.short, shown=shown)


def _misfit(feature: Feature, value: float, fit: float, seen: tuple[Any, Any]) -> Text:
    """What does not fit, and what was to be expected."""
    shown, short = feature.shown(value), feature.short
    if short.en != feature.name:  # a column's own name stays as it is
        short = Text(short.en.capitalize(), short.ja)
    if not seen[0] <= fit <= seen[1]:
        is_low = fit < seen[0]
        edge = feature.shown(float(seen[0] if is_low else seen[1]))
        end = (
            say("shipping.strange.smallest")
            if is_low
            else say("shipping.strange.largest")
        )
        return say(
            "shipping.strange.beyond", short=short, shown=shown, end=end, edge=edge
        )
    about = {
        "short": short,
        "shown": shown,
        "would": feature.shown(fit),
        "gap": feature.gap(value, fit),
    }
    if feature.style == "clock":
        later, earlier = say("shipping.strange.later"), say("shipping.strange.earlier")
        more = later if value > fit else earlier
        return say("shipping.strange.misfit_clock", more=more, **about)
    more = say("shipping.strange.more") if value > fit else say("shipping.strange.less")
    return say("shipping.strange.misfit", more=more, **about)


def _sentence(said: Text, also: Sequence[Text]) -> dict[str, str]:
    if not also:
        return dataclasses.asdict(say("shipping.strange.sentence", misfit=said))
    others = say.joined("list.items", also)
    sentence = say("shipping.strange.sentence_also", misfit=said, others=others)
    return dataclasses.asdict(sentence)
