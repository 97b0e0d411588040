"""The columns that form groups: which, in which units, in which words, and why."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.studies.shipping.data import Deliveries
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
DIFFERENT = Text("number of different items", "異なる品目の数")
NO_UNIT = Text("", "")
PACE = Text("time per unit of distance", "距離あたりの時間")


@dataclasses.dataclass(frozen=True)
class Feature:
    """A column that forms groups.

    Attributes:
        name: in figures and tables.
        label: what it is.
        short: the same in a word or two.
        why: why it is there.
        high, low: a group that has more, or less, of it; a word or two.
        phrase: half a sentence with `{value}` and `{all}`.
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
    unit: Text = NO_UNIT
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
            return Text(f"{text} hours", f"{text} 時間")
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
        return Text(self.phrase.en.format(**known), self.phrase.ja.format(**known))

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


TIME = Feature(
    "time_to_delivery",
    Text("minutes from order to delivery", "注文から配達までの時間"),
    Text("delivery time", "配達時間"),
    Text(
        "what the customer feels, and the result of all the rest",
        "顧客が実感する品質であり、ほかの条件がすべて表れる結果だからです",
    ),
    Text("slow", "所要時間が長い"),
    Text("fast", "所要時間が短い"),
    Text(
        "{value} min from order to delivery (all: {all})",
        "配達時間は平均 {value} 分（全体 {all} 分）",
    ),
    Text("min", "分"),
)
HOUR = Feature(
    "hour",
    Text("time of day of the order", "注文時刻"),
    Text("time of the order", "注文時刻"),
    Text(
        "kitchen and roads are fuller at some hours",
        "厨房や道路の混み具合は時間帯で変わるからです",
    ),
    Text("late in the day", "遅い時間帯"),
    Text("early in the day", "早い時間帯"),
    Text(
        "ordered at {value} on average (all: {all})",
        "注文時刻は平均 {value}（全体 {all}）",
    ),
    style="clock",
)
DISTANCE = Feature(
    "distance",
    Text("distance to the customer", "配達先までの距離"),
    Text("distance", "距離"),
    Text(
        "a longer way takes longer; its unit is that of the source",
        "遠いほど時間がかかるからです（単位は元データのまま）",
    ),
    Text("far", "遠距離"),
    Text("near", "近距離"),
    Text("distance {value} (all: {all})", "距離は平均 {value}（全体 {all}）"),
)
ITEMS = Feature(
    "items",
    Text("items in the order", "注文の品数"),
    Text("number of items", "品数"),
    Text(
        "a large order takes longer to make", "品数が多いと準備に時間がかかるからです"
    ),
    Text("large orders", "品数が多い"),
    Text("small orders", "品数が少ない"),
    Text(
        "{value} items on average (all: {all})",
        "品数は平均 {value} 点（全体 {all} 点）",
    ),
    Text("", "点"),
    is_count=True,
)
DAY_LOAD = Feature(
    "day_load",
    Text(
        "how busy the day of the week is: its share of all orders",
        "曜日の忙しさ（全注文に占めるその曜日の割合）",
    ),
    Text("busyness of the day", "曜日の忙しさ"),
    Text(
        "busy days of the week are slower; as a number it has an order, which the "
        "names of the days have not",
        "忙しい曜日ほど遅れやすいからです。曜日名には大小がないため、割合に直しました",
    ),
    Text("busy days of the week", "忙しい曜日"),
    Text("quiet days of the week", "空いている曜日"),
    Text(
        "on days of the week that take {value}% of all orders on average (all: {all}%)",
        "全注文の平均 {value}% が集まる曜日（全体 {all}%）",
    ),
    Text("%", "%"),
    levels_of=DAY,
)


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
        left_out += _alike(DIFFERENT, Text("number of items", "品数"), items, different)
    days, place = np.unique(deliveries.texts[DAY], return_inverse=True)
    share = np.bincount(place, minlength=len(days)) / len(place)
    pairs.append((DAY_LOAD, 100 * share[place]))
    if np.all(distance > 0):
        left_out += _alike(PACE, Text("distance", "距離"), distance, time / distance)
    left_out += _not_used(deliveries, {*DELIVERY_COLUMNS}, is_item)
    return pairs, left_out


def _alike(what: Text, like: Text, kept: np.ndarray, other: np.ndarray) -> list[Text]:
    """Why something that follows from other columns is no feature of its own."""
    if np.ptp(kept) == 0 or np.ptp(other) == 0:
        return []
    correlation = float(np.corrcoef(kept, other)[0, 1])
    return [
        Text(
            f"The {what.en} is left out: it follows from columns that are there "
            f"already (its correlation with the {like.en} is {correlation:.2f}) and "
            "would count them twice.",
            f"「{what.ja}」は使いません。すでにある列から求まり（{like.ja}との相関 "
            f"{correlation:.2f}）、同じ情報を二重に数えることになるためです。",
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
    return [
        Text(
            f"Column {name!r} is not used: the table is read as deliveries, with time, "
            "hour, distance, items and day.",
            f"列「{name}」は使いません。この表は配達データ（時間・時刻・距離・品数・"
            "曜日）として読みました。",
        )
        for name in others
    ]


def _as_they_are(deliveries: Deliveries) -> _Pairs:
    """Every numeric column of a table that is not known."""
    pairs = [
        (_own_feature(name, values), values)
        for name, values in zip(deliveries.columns, deliveries.numbers.T, strict=True)
    ]
    notes = [
        Text(
            f"Text column {name!r} describes the groups but does not form them: there "
            "is no distance between its values.",
            f"文字列の列「{name}」はグループの説明に使いますが、グループ分けには"
            "使いません。値どうしの距離が定まらないためです。",
        )
        for name in deliveries.texts
    ]
    return pairs, notes


def _own_feature(name: str, values: np.ndarray) -> Feature:
    """A feature whose meaning only the owner of the table knows."""
    spread = float(np.std(values))
    digits = int(np.clip(1 - np.floor(np.log10(spread)), 0, 12)) if spread > 0 else 1
    # The name may hold braces, which a phrase would read as places of values.
    quoted = name.replace("{", "{{").replace("}", "}}")
    return Feature(
        name,
        Text(name, name),
        Text(name, name),
        Text("a numeric column of the file", "ファイルの数値列です"),
        Text(f"high {name}", f"{name}が大きい"),
        Text(f"low {name}", f"{name}が小さい"),
        Text(quoted + " {value} (all: {all})", quoted + "は平均 {value}（全体 {all}）"),
        digits=digits,
        is_count=bool(np.all(values == np.round(values))),
    )
