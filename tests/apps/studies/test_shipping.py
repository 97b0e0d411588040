"""Planted groups of deliveries are found, named, compared and put into a report."""

import csv
import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from spectral_tf.apps.report.page.parts import (
    LANGUAGES,
    Chart,
    Details,
    Facts,
    Heat,
    Notice,
    Section,
    Table,
    Text,
)
from spectral_tf.apps.studies.shipping.config import ShippingConfig
from spectral_tf.apps.studies.shipping.data import load_deliveries
from spectral_tf.apps.studies.shipping.features import features_of
from spectral_tf.apps.studies.shipping.sections import shipping_sections
from spectral_tf.apps.studies.shipping.study import STAGES, shipping_study
from spectral_tf.config import ConfigError, DataError

SMALL = ShippingConfig(
    max_clusters=4,
    resamples=5,
    resample_rows=150,
    sweep_resamples=4,
    sweep_spectral=4,
    sweep_rows=150,
    common_rows=150,
    graph_rows=120,
    num_starts=1,
    draws=60,
    points=400,
)
SIZES = (180, 120, 90)
SLOW_ROW = 40
HOSTILE = ("<script>alert(1)</script>", "{value} of {0}", '"><img src=x onerror=a()>')


def write(path, head, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([head, *rows])
    return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Lunch orders, far evening orders, and large orders on busy days; shuffled."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat([0, 1, 2], SIZES))
    time = np.array([18.0, 45, 30])[truth] + rng.normal(size=len(truth))
    time[SLOW_ROW] += 25
    hour = np.array([12.0, 19, 16])[truth] + 0.2 * rng.normal(size=len(truth))
    distance = np.array([2.0, 7, 2])[truth] + 0.3 * rng.random(len(truth))
    items = np.array([2, 2, 9])[truth] + rng.integers(0, 2, len(truth))
    days = np.array([["Tue", "Wed"], ["Thu", "Fri"], ["Sat", "Sun"]])
    day = days[truth, rng.integers(0, 2, len(truth))]
    head = ["time_to_delivery", "hour", "day", "distance", "item_a", "item_b"]
    columns = (time, hour, day, distance, items // 2, items - items // 2)
    rows = [list(row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    return write(tmp_path_factory.mktemp("planted") / "d.csv", head, rows), truth


@pytest.fixture(scope="module")
def document(planted):
    return shipping_study(load_deliveries(planted[0]), SMALL)


def group_of_size(document, size):
    (found,) = [one for one in document["groups"] if abs(one["rows"] - size) <= 1]
    return found


def test_the_planted_groups_are_found(document, planted):
    assert document["number"]["k"] == 3
    shown = document["map"]
    assert len(shown["row"]) == sum(SIZES)
    truth = planted[1][np.array(shown["row"]) - 1]
    assert adjusted_rand_score(truth, shown["group"]) > 0.98
    figures = document["methods"]["figures"]
    assert figures["KMeans"]["stability"]["value"] > 0.95
    assert figures["SpectralClusterer"]["stability"]["value"] > 0.9
    assert document["methods"]["reference"]["value"] < 0.9
    assert all(one["recovery"]["value"] > 0.95 for one in document["groups"])
    assert document["certificate"]["is_certified"]


def test_groups_are_named_by_what_was_planted(document):
    lunch, far, large = (group_of_size(document, size) for size in SIZES)
    assert {"early in the day", "fast"} <= {*lunch["name"]["en"].split(", ")}
    assert {"far", "slow"} <= {*far["name"]["en"].split(", ")}
    assert "large orders" in large["name"]["en"]
    assert "遠距離" in far["name"]["ja"]
    assert "品数が多い" in large["name"]["ja"]
    assert document["groups"][0] is lunch, "the largest group comes first"


def test_words_have_the_means_of_the_group_in_the_tables_units(document, planted):
    table, truth = load_deliveries(planted[0]), planted[1]
    mean = lambda name, group: float(table.column(name)[truth == group].mean())
    lunch, far, large = (group_of_size(document, size)["words"]["en"] for size in SIZES)
    hour = round(60 * mean("hour", 0))
    assert f"ordered at {hour // 60}:{hour % 60:02d} on average" in lunch
    assert f"{mean('time_to_delivery', 0):.1f} min from order to delivery" in lunch
    assert f"distance {mean('distance', 1):.1f} (all: " in far
    items = mean("item_a", 2) + mean("item_b", 2)
    assert f"{items:.1f} items on average" in large
    assert "only on Sat or Sun (100%; all: 23%)" in large
    ja = group_of_size(document, SIZES[2])["words"]["ja"]
    assert "曜日は土・日のみ" in ja
    assert f"品数は平均 {items:.1f} 点" in ja


def test_the_strange_delivery_is_first_and_its_time_is_the_reason(document):
    first = document["strange"]["top"][0]
    assert first["row"] == SLOW_ROW + 1
    assert first["column"] == "time_to_delivery"
    assert first["value"] - first["expected"] > 12
    assert first["words"]["en"].startswith("Delivery time ")
    assert "more than its other columns make one expect" in first["words"]["en"]
    assert first["words"]["ja"].startswith("配達時間 ")
    assert "上回ります" in first["words"]["ja"]


def test_the_same_seed_gives_the_same_document_and_another_does_not(document, planted):
    table, stages = load_deliveries(planted[0]), []
    again = shipping_study(table, SMALL, stages.append)
    assert tuple(stages) == STAGES
    without = lambda one: {k: v for k, v in one.items() if k != "seconds"}
    assert without(again) == without(document)
    other = SMALL.replace(seed=1, n_clusters=4)
    found = shipping_study(table, other)
    assert found["number"] != document["number"]
    assert len(found["groups"]) == 4
    assert not found["number"]["is_chosen"]
    assert "was given" in written(check_sections(found), "en")


def test_sections_are_made_of_the_document_alone(document):
    read_back = json.loads(json.dumps(document, allow_nan=False))
    assert read_back == document
    same = zip(shipping_sections(document), shipping_sections(read_back), strict=True)
    for one, other in same:
        assert written((one,), "en") == written((other,), "en")
    assert "nan" not in written(shipping_sections(document), "en").lower().split()


def parts_of(parts) -> Iterator[object]:
    for part in parts:
        yield part
        if isinstance(part, Details):
            yield from parts_of(part.parts)


def texts_of(value) -> Iterator[Text | str]:
    """Every text in a part, wherever it stands."""
    if isinstance(value, Text | str):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from texts_of(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from texts_of(one)


def written(sections, lang) -> str:
    texts = texts_of(tuple(sections))
    return "\n".join(one.of(lang) if isinstance(one, Text) else one for one in texts)


def check_sections(document) -> tuple[Section, ...]:
    """What holds for the sections of every document."""
    sections = shipping_sections(document)
    sizes = [one["rows"] for one in document["groups"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == document["data"]["rows"]
    parts = list(parts_of([part for section in sections for part in section.parts]))
    figures = [part for part in parts if isinstance(part, Chart | Heat)]
    assert len({one.id for one in figures}) == len(figures) >= 7
    assert len({one.id for one in sections}) == len(sections)
    assert all(isinstance(f.note, Text) and len(f.note.en) > 60 for f in figures)
    for part in parts:
        if isinstance(part, Table):
            assert {len(row) for row in part.rows} == {len(part.head)}
    assert any(isinstance(part, Notice) for part in parts)
    assert any(isinstance(part, Facts) for part in parts)
    for lang in LANGUAGES:
        text = written(sections, lang)
        for group in document["groups"]:
            assert group["words"][lang] in text
        for one in document["strange"]["top"]:
            assert one["words"][lang] in text
    for one in texts_of(sections):
        if isinstance(one, Text):
            assert bool(one.en) == bool(one.ja)
    return sections


def test_sections_hold_every_groups_words_in_both_languages(document):
    sections = check_sections(document)
    heat = next(p for s in sections for p in s.parts if isinstance(p, Heat))
    assert heat.values.shape == (3, 5)
    assert heat.is_signed
    ja = written(sections, "ja")
    assert "原因の説明ではありません" in ja
    assert "a description, not a cause" in written(sections, "en")


def test_a_table_without_groups_is_called_one(tmp_path):
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(400, 3)).round(4).tolist()
    path = write(tmp_path / "cloud.csv", ["a", "b", "c"], rows)
    found = shipping_study(load_deliveries(path), SMALL)
    check_sections(found)
    column = found["strange"]["top"][0]["column"]
    assert found["strange"]["top"][0]["words"]["en"].startswith(f"{column} ")
    text = written(shipping_sections(found)[:1], "en")
    assert "come back when other" not in text
    assert "slices, not islands" in text or "They touch" in text


def test_a_handful_of_strange_deliveries_is_called_no_pattern(document):
    groups = [dict(one) for one in document["groups"]]
    assert "no pattern" not in written(shipping_sections(document), "en")
    groups[2]["share"] = 0.005
    text = written(shipping_sections(document | {"groups": groups}), "en")
    assert "less than 1% are in each of these groups: 3. That is a handful" in text


def test_hostile_names_survive_as_text(tmp_path):
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], 80)
    x = rng.normal(size=(160, 3)) + 8 * labels[:, None]
    texts = np.array(["<b>x</b>", "{y}"])[labels]
    rows = [[*row, text] for row, text in zip(x.tolist(), texts.tolist(), strict=True)]
    path = write(tmp_path / "hostile.csv", [*HOSTILE, "kind {}"], rows)
    found = shipping_study(load_deliveries(path), SMALL.replace(n_clusters=2))
    sections = check_sections(found)
    for lang in LANGUAGES:
        text = written(sections, lang)
        assert all(name in text for name in (*HOSTILE, "kind {}"))
    words = " ".join(one["words"]["en"] for one in found["groups"])
    assert "kind {}: only <b>x</b>" in words
    assert any(f"high {name}" in words for name in HOSTILE)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"n_clusters": 1}, "must lie in 2..12"),
        ({"n_clusters": 13}, "must lie in 2..12"),
        ({"n_clusters": "many"}, "n_clusters"),
        ({"max_clusters": 20}, "must lie in 2..12"),
        ({"resamples": 3}, "must be >= 4"),
        ({"seed": -1}, "must be >= 0"),
        ({"graph_rows": 5}, "must be >= 50"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        ShippingConfig(**values)


def test_more_groups_than_the_resamples_can_hold_are_refused(tmp_path):
    rng = np.random.default_rng(5)
    path = write(tmp_path / "few.csv", ["a", "b"], rng.normal(size=(110, 2)).tolist())
    with pytest.raises(DataError, match="12 groups in resamples of 55 rows"):
        shipping_study(load_deliveries(path), SMALL.replace(n_clusters=12))


@pytest.mark.long
def test_the_public_table_has_the_groups_that_its_report_names():
    table = load_deliveries(None)
    found = shipping_study(table, ShippingConfig())
    check_sections(found)
    assert found["number"]["k"] == 6
    assert found["methods"]["described"]["method"] == "KMeans"
    names = " ".join(one["name"]["en"] for one in found["groups"])
    for word in ("far, slow", "early in the day, fast", "quiet days", "large orders"):
        assert word in names
    assert all(one["recovery"]["value"] > 0.9 for one in found["groups"])
    losses = [one["verdict"] for one in found["methods"]["comparison"]]
    assert losses == ["loss"] * 3, "the report says so, too"
    assert features_of(table).about[0].name == "time_to_delivery"
