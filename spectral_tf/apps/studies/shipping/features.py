"""The columns that form groups: which, in which units, in which words, and why."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.report.page.sentences import filled
from spectral_tf.apps.studies.shipping.data import Deliveries
from spectral_tf.apps.studies.words import say
from spectral_tf.config import DataError
from spectral_tf.config.wording import counted

DELIVERY_COLUMNS = ("time_to_delivery", "hour", "distance")
"""A table with these, and a text column `day`, is read as the public one."""
DAY = "day"
ITEM = "item_"
LEAST_FEATURES = 2
MOST_DIGITS = 6
LARGE = 1e12
"""Numbers with more decimals, or beyond, are written with an exponent."""
DIFFERENT = say("shipping.features.different")
PACE = say("shipping.features.pace")


@dataclasses.dataclass(frozen=True)
class Feature:
    """A column that forms groups.

    Attributes:
        name: in figures and tables.
        label: what it is.
        short: the same in a word or two.
        why: why it is there.
        high, low: a group that has more, or less, of it; a word or two.
        phrase: half a sentence with places for `value`, `all` and `name`.
        unit: behind a value.
        digits: decimals of a mean.
        is_count: single values are whole numbers.
        style: a number, or the hour of a day as a clock shows it.
        levels_of: text column whose values say more than the mean, or "".
    """

    name: str
    label: Text
    short: Text
    why: Text
    high: Text
    low: Text
    phrase: Text
    unit: Text
    digits: int = 1
    is_count: bool = False
    style: Literal["number", "clock"] = "number"
    levels_of: str = ""

    def plain(self, value: float) -> str:
        """A mean without its unit, the same in both languages."""
        if self.style == "clock":
            minutes = round(value * 60)
            return f"{minutes // 60}:{minutes % 60:02d}"
        return _rounded(value, self.digits)

    def shown(self, value: float) -> Text:
        """A single value with its unit."""
        is_whole = self.is_count and value == round(value)
        return self._with_unit(_rounded(value, 0) if is_whole else self.plain(value))

    def gap(self, one: float, other: float) -> Text:
        """The distance of two values, with its unit."""
        text = _rounded(abs(one - other), self.digits)
        if self.style == "clock":
            return say("shipping.features.hours", text=text)
        return self._with_unit(text)

    def _with_unit(self, text: str) -> Text:
        joint = "" if self.unit.en == "%" else " "
        return Text(
            f"{text}{joint}{self.unit.en}".strip(),
            f"{text}{joint}{self.unit.ja}".strip(),
        )

    def said(self, value: float, whole: float) -> Text:
        """What a mean of a group is, beside that of all."""
        known = {"value": self.plain(value), "all": self.plain(whole)}
        return filled(self.phrase, name=self.name, **known)

    def document(self) -> dict[str, Any]:
        """JSON-ready: what a report says of the column."""
        return {
            "name": self.name,
            **{
                key: dataclasses.asdict(getattr(self, key))
                for key in ("label", "short", "why", "high", "low", "unit")
            },
        }


def _rounded(value: float, digits: int) -> str:
    if digits > MOST_DIGITS or abs(value) >= LARGE:
        return f"{value:.4g}"
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


class Features(NamedTuple):
    """The table that is grouped.

    Attributes:
        about: d features.
        raw: `[N, d]` in the units of the table.
        x: `[N, d]` zero mean and unit variance.
        labels: text columns that describe groups -> `[N]`.
        left_out: one sentence for each thing that could have been a feature.
    """

    about: tuple[Feature, ...]
    raw: np.ndarray
    x: np.ndarray
    labels: Mapping[str, np.ndarray]
    left_out: tuple[Text, ...]

    @property
    def mean(self) -> np.ndarray:
        """`[d]` in the units of the table."""
        return self.raw.mean(axis=0)

    @property
    def scale(self) -> np.ndarray:
        """`[d]` standard deviations."""
        return self.raw.std(axis=0)


TEXTS = ("label", "short", "why", "high", "low", "phrase", "unit")
"""Fields of a feature that are texts, each a key of its table."""


def _feature(table: str, name: str, **options: Any) -> Feature:
    """A feature with the texts of a table."""
    known = say.table("shipping.feature")
    texts = {field: known[f"{table}.{field}"] for field in TEXTS}
    # The phrase waits for its values.
    texts |= {f: filled(texts[f], name=name) for f in TEXTS if f != "phrase"}
    return Feature(name, **texts, **options)


TIME = _feature("time", "time_to_delivery")
HOUR = _feature("hour", "hour", style="clock")
DISTANCE = _feature("distance", "distance")
ITEMS = _feature("items", "items", is_count=True)
DAY_LOAD = _feature("day_load", "day_load", levels_of=DAY)


def features_of(deliveries: Deliveries) -> Features:
    """The features of a table.

    Of a table with the columns of the public one: time, hour, distance, number of items
    and how busy the day of the week is. Of any other: its numeric columns as they are.

    Args:
        deliveries: the table.

    Returns:
        The features, standardised.

    Raises:
        DataError: if there are fewer than two, or they do not vary.
    """
    is_known = {*DELIVERY_COLUMNS} <= {*deliveries.columns} and DAY in deliveries.texts
    pairs, left_out = (_known if is_known else _as_they_are)(deliveries)
    varying = [pair for pair in pairs if np.ptp(pair[1]) > 0]
    if len(varying) < LEAST_FEATURES:
        raise DataError(
            f"{deliveries.name} has {counted(len(varying), 'column')} of numbers that "
            f"vary; groups need at least {LEAST_FEATURES}. "
            + " ".join(note.en for note in deliveries.notes)
        )
    raw = np.column_stack([values for _, values in varying])
    # In units of the largest number, so that squares of tiny ones do not vanish.
    unit = raw / np.abs(raw).max(axis=0)
    x = (unit - unit.mean(axis=0)) / unit.std(axis=0)
    about = tuple(feature for feature, _ in varying)
    return Features(about, raw, x, deliveries.texts, tuple(left_out))


_Pairs = tuple[list[tuple[Feature, np.ndarray]], list[Text]]


def _known(deliveries: Deliveries) -> _Pairs:
    """Features of a table like the public one."""
    pairs = [
        (feature, deliveries.column(feature.name)) for feature in (TIME, HOUR, DISTANCE)
    ]
    time, _, distance = (values for _, values in pairs)
    left_out = []
    is_item = [name.startswith(ITEM) for name in deliveries.columns]
    if any(is_item):
        counts = deliveries.numbers[:, is_item]
        items = counts.sum(axis=1)
        pairs.append((ITEMS, items))
        different = (counts > 0).sum(axis=1)
        left_out += _alike(DIFFERENT, ITEMS.short, items, different)
    days, place = np.unique(deliveries.texts[DAY], return_inverse=True)
    share = np.bincount(place, minlength=len(days)) / len(place)
    pairs.append((DAY_LOAD, 100 * share[place]))
    if np.all(distance > 0):
        left_out += _alike(PACE, DISTANCE.short, distance, time / distance)
    left_out += _not_used(deliveries, {*DELIVERY_COLUMNS}, is_item)
    return pairs, left_out


def _alike(what: Text, like: Text, kept: np.ndarray, other: np.ndarray) -> list[Text]:
    """Why something that follows from other columns is no feature of its own."""
    if np.ptp(kept) == 0 or np.ptp(other) == 0:
        return []
    correlation = float(np.corrcoef(kept, other)[0, 1])
    return [
        say(
            "shipping.features.redundant", what=what, like=like, correlation=correlation
        )
    ]


def _not_used(
    deliveries: Deliveries, used: set[str], is_item: list[bool]
) -> list[Text]:
    others = [
        name
        for name, item in zip(deliveries.columns, is_item, strict=True)
        if name not in used and not item
    ]
    return [say("shipping.features.not_used", name=name) for name in others]


def _as_they_are(deliveries: Deliveries) -> _Pairs:
    """Every numeric column of a table that is not known."""
    pairs = [
        (_own_feature(name, values), values)
        for name, values in zip(deliveries.columns, deliveries.numbers.T, strict=True)
    ]
    notes = [say("shipping.features.label", name=name) for name in deliveries.texts]
    return pairs, notes


def _own_feature(name: str, values: np.ndarray) -> Feature:
    """A feature whose meaning only the owner of the table knows."""
    spread = float(np.std(values))
    digits = int(np.clip(1 - np.floor(np.log10(spread)), 0, 12)) if spread > 0 else 1
    is_count = bool(np.all(values == np.round(values)))
    return _feature("other", name, digits=digits, is_count=is_count)
