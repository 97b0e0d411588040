"""What sets each group apart, in the table's units and in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectral_tf.apps.report.page.parts import Text, Words
from spectral_tf.apps.studies.intervals import Estimate
from spectral_tf.apps.studies.shipping.features import Feature, Features
from spectral_tf.apps.studies.words import say

TOP = 3
"""Features that describe a group."""
NOTABLE = 0.25
"""Standard deviations from the mean of all from which a feature is mentioned."""
NAMING = 0.5
"""Standard deviations from which a feature gives a group its name."""
LIFT = 0.15
"""How much larger the share of a label must be in a group than in all."""
DEFINING = 0.4
"""From which it is in the group's name."""
RARE = 0.05
"""Share below which a label is not worth a word."""
MOST_LEVELS = 3
"""Labels that a phrase names."""
ONLY = 0.995
"""Share of a group from which the others are not worth a word."""
WEEK = say.table("day")
"""Days, as labels have them, in the order of a week."""


def groups_of(
    features: Features, labels: np.ndarray, recovered: Sequence[Estimate]
) -> list[dict[str, Any]]:
    """Everything that is said of every group.

    Args:
        features: the table.
        labels: `[N]` 0 to K - 1, the largest group first.
        recovered: how well each comes back in resamples.

    Returns:
        For each group: `group` from 1, `rows`, `share`, `name`, `words`, `means` (and
        as they are `shown`), `contrasts` (differences from the mean of all in standard
        deviations), `levels` (shares of the values of each label) and `recovery`.
    """
    mean, scale = features.mean, features.scale
    found = []
    for group, estimate in enumerate(recovered):
        own = labels == group
        means = features.raw[own].mean(axis=0)
        contrasts = (means - mean) / scale
        levels = {
            name: _shares(values, own) for name, values in features.labels.items()
        }
        about = {"means": means, "contrasts": contrasts, "levels": levels}
        found.append(
            {
                "group": group + 1,
                "rows": int(own.sum()),
                "share": float(own.mean()),
                "name": _name(features.about, about),
                "phrases": [_plain(one) for one in _phrases(features, about)],
                "means": means.tolist(),
                "shown": [
                    one.plain(float(mean))
                    for one, mean in zip(features.about, means, strict=True)
                ],
                "contrasts": contrasts.tolist(),
                "levels": levels,
                "recovery": estimate.to_dict(),
            }
        )
    _tell_apart(found)
    for one in found:
        one["words"] = _words(one)
    return found


def largest_first(labels: np.ndarray, k: int) -> np.ndarray:
    """`[k]` old number of each group, the largest first."""
    return np.argsort(-np.bincount(labels, minlength=k), kind="stable")


def _plain(text: Text) -> dict[str, str]:
    return {"en": text.en, "ja": text.ja}


def _shares(values: np.ndarray, own: np.ndarray) -> dict[str, dict[str, float]]:
    """Value of a label -> its share in a group and in all, in the order of a week."""
    names = sorted(map(str, np.unique(values)))
    if {*names} <= {*WEEK}:
        names.sort(key=[*WEEK].index)
    return {
        name: {
            "group": float(np.mean(values[own] == name)),
            "all": float(np.mean(values == name)),
        }
        for name in names
    }


def _name(about: Sequence[Feature], group: Mapping[str, Any]) -> dict[str, str]:
    """A short name: what differs most, at most three features and a label."""
    contrasts = group["contrasts"]
    word = lambda i: about[i].high if contrasts[i] > 0 else about[i].low
    order = np.argsort(-np.abs(contrasts), kind="stable")[:TOP].tolist()
    named = [i for i in order if abs(contrasts[i]) >= NAMING]
    chosen = [word(i) for i in named]
    told = {about[i].levels_of for i in named}
    for name, levels in group["levels"].items():
        top = [] if name in told else _raised(levels)
        if top and _gained(levels, top) >= DEFINING:
            chosen.append(say.joined("list.slash", [day_text(one) for one in top]))
    if not chosen:
        return _plain(say("shipping.groups.average", mild=word(order[0])))
    return _plain(say.joined("list.words", chosen))


def day_text(label: str) -> Words:
    """The name of a day; any other label as it is."""
    return WEEK.get(label, label)


def _tell_apart(groups: list[dict[str, Any]]) -> None:
    """No two groups of one name: a number behind it."""
    for lang in ("en", "ja"):
        names = [one["name"][lang] for one in groups]
        for one, name in zip(groups, names, strict=True):
            if names.count(name) > 1:
                one["name"][lang] = f"{name} ({one['group']})"


def _phrases(features: Features, about: Mapping[str, Any]) -> list[Text]:
    """Half a sentence for each feature that differs, the largest difference first."""
    means, contrasts = about["means"], about["contrasts"]
    order = np.argsort(-np.abs(contrasts), kind="stable")[:TOP]
    told, found = set(), []
    for i in order:
        if abs(contrasts[i]) < NOTABLE:
            continue
        feature = features.about[i]
        levels = about["levels"].get(feature.levels_of, {})
        told.add(feature.levels_of)
        said = _level_phrase(levels, least=0.0)
        found.append(said or feature.said(float(means[i]), float(features.mean[i])))
    for name, levels in about["levels"].items():
        said = None if name in told else _level_phrase(levels, least=LIFT, name=name)
        if said is not None:
            found.append(said)
    return found


def _raised(levels: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Values of a label that are more frequent in a group, in the label's order."""
    lift = {value: one["group"] - one["all"] for value, one in levels.items()}
    top = sorted((v for v in lift if lift[v] > 0), key=lambda v: -lift[v])
    top = [v for v in top[:MOST_LEVELS] if levels[v]["group"] >= RARE]
    return [value for value in levels if value in top]


def _gained(levels: Mapping[str, Mapping[str, float]], top: Sequence[str]) -> float:
    """How much larger their share is in the group than in all."""
    return sum(levels[value]["group"] - levels[value]["all"] for value in top)


def _level_phrase(
    levels: Mapping[str, Mapping[str, float]], least: float, name: str = ""
) -> Text | None:
    """The values of a label that are more frequent in a group than in all."""
    top = _raised(levels)
    if not top or _gained(levels, top) < max(least, RARE):
        return None
    own = sum(levels[value]["group"] for value in top)
    whole = sum(levels[value]["all"] for value in top)
    levels_said = _either([day_text(value) for value in top])
    if name:
        frequency = _frequency(own, levels_said)
        return say(
            "shipping.groups.by_label",
            name=name,
            frequency=frequency,
            own=own,
            whole=whole,
        )
    frequency = _frequency(own, say("shipping.groups.on_days", levels=levels_said))
    return say("shipping.groups.by_day", frequency=frequency, own=own, whole=whole)


def _either(parts: Sequence[Words]) -> Text:
    """`Mon, Tue or Wed`."""
    *first, last = parts
    return say.joined(
        "list.or", [say.joined("list.words", first)] * bool(first) + [last]
    )


def _frequency(share: float, levels: Text) -> Text:
    """How much of a group has these values."""
    if share >= ONLY:
        return say("shipping.groups.only", levels=levels)
    if share > 0.5:
        return say("shipping.groups.mostly", levels=levels)
    return say("shipping.groups.more_often", levels=levels)


def _words(group: Mapping[str, Any]) -> dict[str, str]:
    """The sentence about a group."""
    phrases = [Text(**phrase) for phrase in group["phrases"]]
    return _plain(
        say(
            "shipping.groups.sentence",
            group=group["group"],
            name=Text(**group["name"]),
            rows=group["rows"],
            share=group["share"],
            phrases=say.joined("list.sentences", phrases)
            if phrases
            else say("shipping.groups.no_column"),
        )
    )
