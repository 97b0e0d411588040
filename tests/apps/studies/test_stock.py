"""The stock study: faults as published, rows from the past alone, fair key figures."""

import itertools

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from spectral_tf.apps.studies.methods import mahalanobis, spectral
from spectral_tf.apps.studies.stock.config import StockConfig
from spectral_tf.apps.studies.stock.demand import load_demand
from spectral_tf.apps.studies.stock.faults import (
    DISTANCE,
    KINDS,
    after_days,
    fault_days,
    inject,
)
from spectral_tf.apps.studies.stock.kpis import alarms_of, key_figures, truth_of
from spectral_tf.apps.studies.stock.rows import item_days, window_sum
from spectral_tf.apps.studies.stock.study import case_of
from spectral_tf.config import ConfigError, DataError

DAYS, ITEMS, START = 220, 30, 132
CONFIG = StockConfig(events=3, resamples=20)


@pytest.fixture(scope="module")
def demand(tmp_path_factory):
    """Poisson counts with a weekly rhythm, written and read as a user's file."""
    rng = np.random.default_rng(1)
    dates = pd.date_range("2025-01-01", periods=DAYS)
    weekly = np.array([1, 1, 1, 1.2, 1.6, 1.8, 0.6])
    rhythm = weekly[np.arange(DAYS) % 7]
    counts = rng.poisson(rng.uniform(1, 8, ITEMS) * rhythm[:, None])
    names = [f"item {i}" for i in range(ITEMS)]
    long = pd.DataFrame(
        {
            "date": np.repeat(dates, ITEMS),
            "item": np.tile(names, DAYS),
            "quantity": counts.ravel(),
        }
    )
    path = tmp_path_factory.mktemp("demand") / "demand.csv"
    long.to_csv(path, index=False)
    return load_demand(str(path)), counts, path


@pytest.fixture(scope="module")
def case(demand):
    return case_of(demand[0], CONFIG)


def test_a_file_is_read_as_it_is(demand):
    found, counts, path = demand
    order = [f"item {i}" for i in range(ITEMS)]
    columns = [found.items.index(name) for name in order]
    assert_array_equal(found.quantity[:, columns], counts)
    assert found.path == str(path.resolve())
    assert found.weekdays[0] == pd.Timestamp(found.dates[0]).weekday()


def test_bookings_of_a_day_are_summed_and_closed_days_left_out(demand, tmp_path):
    frame = pd.read_csv(demand[2])
    halves = frame.assign(quantity=frame.quantity / 2)
    kept = ~frame.date.isin(["2025-02-03", "2025-02-04"])
    path = tmp_path / "twice.csv"
    pd.concat([halves[kept], halves[kept]]).to_csv(path, index=False)
    found = load_demand(str(path))
    assert len(found.dates) == DAYS - 2
    assert found.quantity.sum() == pytest.approx(frame.quantity[kept].sum())
    assert any("2 of 220 days" in note.en for note in found.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="item"), "no column item"),
        (lambda f: f.assign(date="soon"), "ISO dates"),
        (lambda f: f.assign(quantity=-1.0), "must be finite and >= 0"),
        (lambda f: f.assign(quantity="many"), "must have numbers"),
        (lambda f: f.assign(quantity=np.nan), "missing values"),
        (lambda f: f[f.date < "2025-03-01"], "at least 120 days"),
        (lambda f: f[f["item"] == "item 1"], "5 to 5000 items"),
    ],
)
def test_tables_that_are_refused(demand, tmp_path, change, message):
    path = tmp_path / "wrong.csv"
    change(pd.read_csv(demand[2])).to_csv(path, index=False)
    with pytest.raises(DataError, match=message):
        load_demand(str(path))
    with pytest.raises(DataError, match=r"\.csv or \.parquet"):
        load_demand(str(tmp_path / "absent.csv"))


def test_faults_are_what_the_generator_publishes(demand, case):
    true, changed = demand[0].quantity, case.quantity
    assert len(case.events) == 3 * len(KINDS)
    shape = true.shape
    where = fault_days(shape, case.events)
    assert_array_equal(changed[~where], true[~where])
    assert not where[:START].any()
    for one in case.events:
        rows = slice(one.first, one.last + 1)
        before, after = true[rows, one.item], changed[rows, one.item]
        least, most = KINDS[one.kind].days
        assert least <= len(before) <= most
        assert before.any()
        if one.kind in ("stock-out", "missing days"):
            assert_array_equal(after, 0)
        elif one.kind == "drift":
            grown = before * (1 + 2 * (np.arange(28) + 1) / 28)
            assert np.all((after > grown - 1) & (after < grown + 1))
        else:
            factor = {"double booking": 2, "unit error": 10}[one.kind]
            assert_array_equal(after, factor * before)
    for one in case.events:
        for other in case.events:
            if one is not other and one.item == other.item:
                gap = max(one.first - other.last, other.first - one.last)
                assert gap >= DISTANCE


def test_the_same_seed_gives_the_same_faults_and_another_others(demand, case):
    again = inject(demand[0].quantity, START, 3, 0)
    assert again[1] == case.events
    assert inject(demand[0].quantity, START, 3, 1)[1] != case.events


def test_more_faults_than_there_is_room_are_refused(demand):
    with pytest.raises(DataError, match="no place is left for another"):
        inject(demand[0].quantity, START, 100, 0)


def test_the_past_does_not_know_what_comes_later(demand, case):
    clean = item_days(demand[0].quantity, demand[0], CONFIG)
    assert_array_equal(clean.past, case.rows.past)
    assert not np.array_equal(clean.later, case.rows.later)


def test_columns_of_poisson_counts_have_the_variance_that_is_promised(demand):
    from spectral_tf.apps.studies.stock.rows import expected_quantity

    found = demand[0]
    expected = expected_quantity(found.quantity, found.weekdays, START)
    z = 2 * (np.sqrt(found.quantity + 0.375) - np.sqrt(expected + 0.375))
    assert z[:START].std() == pytest.approx(1, abs=0.05)
    assert window_sum(z, 7)[START:].std() == pytest.approx(1, abs=0.1)


def test_windows_are_sums_over_the_last_days():
    z = np.random.default_rng(0).normal(size=(30, 3))
    for days in (1, 3, 14):
        found = window_sum(z, days)
        for day in (days - 1, 29):
            direct = z[day - days + 1 : day + 1].sum(axis=0) / days**0.5
            assert_allclose(found[day], direct, atol=1e-12)


def test_who_knows_the_truth_finds_everything_and_who_guesses_does_not(case):
    shape = case.rows.later.shape[:2]
    truth = truth_of(case.events, shape, case.rows.start, CONFIG.memory)
    rng = np.random.default_rng(0)
    noise = rng.random(shape)
    few = CONFIG.replace(alarms_per_week=5)
    perfect = key_figures(truth.is_fault + 0.1 * noise, truth, few)
    blind = key_figures(noise, truth, few)
    assert perfect["average_precision"]["value"] == 1
    assert perfect["recall"]["value"] == 1
    assert perfect["days_until_detection"]["value"] <= 3
    assert blind["average_precision"]["value"] < 0.2
    assert blind["recall"]["value"] < 1
    assert perfect["precision"]["value"] > 2 * blind["precision"]["value"]
    for figure in (perfect["recall"], blind["precision"]):
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_alarms_are_few_and_an_item_is_silent_afterwards(case):
    truth, shape = case.truth, case.rows.later.shape[:2]
    scores = np.random.default_rng(0).random(shape)
    found = alarms_of(scores, truth, CONFIG.replace(alarms_per_week=4))
    weeks = np.bincount([one.day // 7 for one in found])
    assert weeks.max() == 4
    by_item: dict[int, list[int]] = {}
    for one in found:
        assert one.score == scores[one.day, one.item]
        by_item.setdefault(one.item, []).append(one.day)
    for item, days in by_item.items():
        for one, next_one in itertools.pairwise(sorted(days)):
            grows = scores[next_one, item] > scores[one, item]
            assert grows or next_one - one >= CONFIG.memory


def test_days_after_a_fault_count_for_neither_side(case):
    shape = case.quantity.shape
    after = after_days(shape, case.events, 13)
    assert not np.any(after & fault_days(shape, case.events))
    worst = np.where(case.truth.is_after, 9.0, 0.0) + case.truth.is_fault
    figures = key_figures(worst, case.truth, CONFIG)
    assert figures["average_precision"]["value"] == 1


def test_the_constructed_network_scores_as_the_mahalanobis_distance(case):
    rows = case.rows.later.reshape(-1, 4)
    ours = spectral(engine="constructed")(case.rows.past)(rows)
    assert_allclose(ours, mahalanobis(case.rows.past)(rows), rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("past", 0.1), ("windows", (2, 3)), ("events", 0), ("past_rows", (5,))],
)
def test_settings_that_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        StockConfig(**{name: value})
