"""What the program says of how it read a file, and the options that decide it."""

import contextlib
import io
import json
from typing import Any

import numpy as np
import pytest

from spectral_tf.apps.audit import find_entry, start_log
from spectral_tf.apps.cli import main
from tests.apps.analysis.conftest import Run, call

ROWS = 60
FAST = ["--engine", "exact"]


def cells(seed):
    return [f"{v:.3f}" for v in np.random.default_rng(seed).normal(size=ROWS)]


def lines(sep=",", /, **columns):
    rows = zip(*columns.values(), strict=True)
    return "\n".join([sep.join(columns), *map(sep.join, rows)]) + "\n"


@pytest.fixture
def analysed(tmp_path):
    """A function that runs a command, which has to work, and returns the run."""

    def run(path, *flags, command="pca", name="out"):
        done = call(command, path, *FAST, *flags, folder=tmp_path / name)
        assert (done.code, done.err) == (0, "")
        return done

    return run


@pytest.fixture
def refused(tmp_path):
    """A function that runs a command, which has to refuse, and returns the line."""

    def run(path, *flags):
        done = call("pca", path, *FAST, *flags, folder=tmp_path / "never")
        assert (done.code, done.out) == (2, "")
        assert not done.folder.exists()
        (line,) = done.err.splitlines()
        return line

    return run


def rows_of(run):
    return json.loads((run.folder / "summary.json").read_text())["rows"]


@pytest.mark.parametrize("command", ["pca", "detect"])
def test_a_header_of_numbers_is_no_row(command, write, analysed):
    path = write(lines(**{str(1100 + 100 * i): cells(i) for i in range(4)}))
    run = analysed(path, command=command)
    assert rows_of(run) == ROWS
    said = "Read line 1 as column names, although it has numbers (1100, 1200, 1300"
    assert said in run.out
    run = analysed(path, "--no-header", command=command, name="data")
    assert rows_of(run) == ROWS + 1
    assert "Read line 1" not in run.out


BAD = "n.a. (see note)"


@pytest.fixture
def spoilt(write):
    """A file in which line 19 of column `b` is no number."""
    b = cells(1)
    b[17] = BAD
    return write(lines(a=cells(0), b=b, c=cells(2)))


def test_one_bad_cell_is_refused_with_the_ways_out(spoilt, refused):
    line = refused(spoilt)
    assert f"1 of 60 cells of column 'b' is not a number ('{BAD}' on line 19)" in line
    for way in ("--impute median", "--missing", "--drop 'b'"):
        assert way in line


def test_the_ways_out_of_one_bad_cell(spoilt, analysed):
    run = analysed(spoilt, "--impute", "median", name="filled")
    assert f"'b' is not a number ('{BAD}' on line 19): taken for missing." in run.out
    assert "Filled 1 missing value with the median of its column: 1 in 'b'" in run.out
    assert run.table("components.csv")[0][3:] == ["a", "b", "c"]
    run = analysed(spoilt, "--drop", "b", name="dropped")
    assert run.table("components.csv")[0][3:] == ["a", "c"]
    assert "Left out column 'b': it was dropped, as asked." in run.out
    run = analysed(spoilt, "--columns", "a", "c", name="chosen")
    assert run.table("components.csv")[0][3:] == ["a", "c"]


def test_a_bad_cell_may_be_named(spoilt, refused, analysed):
    flags = ["--missing", BAD]
    assert "has missing values ('b': 1)" in refused(spoilt, *flags)
    run = analysed(spoilt, *flags, "--impute", "median")
    assert f"Read {BAD!r} as missing, cells by column: 'b': 1." in run.out


def test_a_dropped_column_has_no_codes(write, analysed):
    b = ["-999" if i % 7 == 0 else cell for i, cell in enumerate(cells(1))]
    path = write(lines(a=cells(0), b=b, c=cells(2)))
    assert "-999 is repeated" in analysed(path).out
    assert "-999" not in analysed(path, "--drop", "b", name="dropped").out


def test_an_index_in_parquet_may_be_kept(tmp_path, analysed):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": cells(0), "b": cells(1)}, dtype=float)
    frame.index = pandas.Index(np.arange(ROWS)[::-1] ** 2, name="key")
    frame.to_parquet(tmp_path / "t.parquet")
    run = analysed(tmp_path / "t.parquet")
    assert run.table("components.csv")[0][3:] == ["a", "b"]
    run = analysed(tmp_path / "t.parquet", "--keep-index", name="kept")
    assert "key" in run.table("components.csv")[0][3:]


def test_decimal_commas_are_never_filled_in(write, refused, analysed):
    b = [cell.replace(".", ",") for cell in cells(1)]
    path = write(lines(";", a=cells(0), b=b))
    for flags in ([], ["--impute", "median"]):
        line = refused(path, *flags)
        assert "60 of 60 cells of column 'b' are not numbers" in line
        assert "--decimal ','" in line
        assert "--impute" not in line
    run = analysed(path, "--decimal", ",")
    other = analysed(write(lines(a=cells(0), b=cells(1)), "o.csv"), name="other")
    assert run.table("scores.csv") == other.table("scores.csv")


def test_an_unnamed_shuffled_index_is_left_out(write, analysed):
    index = np.random.default_rng(5).permutation(ROWS)
    path = write(lines(**{"": map(str, index), "a": cells(0), "b": cells(1)}))
    run = analysed(path)
    assert run.table("components.csv")[0][3:] == ["a", "b"]
    assert "Left out column 'column_1': it has no name and looks like" in run.out
    run = analysed(path, "--keep-index", name="kept")
    assert run.table("components.csv")[0][3:] == ["column_1", "a", "b"]


def test_the_log_has_the_options_and_is_replayed_with_them(write, tmp_path, analysed):
    index = map(str, np.random.default_rng(5).permutation(ROWS))
    b = [cell.replace(".", ",") for cell in cells(1)]
    columns = {"": index, "a": b[::-1], "b": b, "c": b[5:] + b[:5], "d": b}
    flags = ["--sep", "|", "--decimal", ",", "--drop", "d", "--keep-index"]
    flags += ["--header", "--id-column", "c"]
    run = analysed(write(lines("|", **columns)), *flags)
    entry = find_entry(run.folder / "audit.jsonl", "last")
    assert entry["command"]["arguments"]["reading"] == {
        **{"header": True, "sep": "|", "decimal": ",", "id_column": "c"},
        **{"keep_index": True, "missing": [], "drop": ["d"]},
    }
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["columns"] == ["column_1", "a", "b"]
    said = {"column": "c", "reason": "it names the rows, as said"}
    assert said in summary["left_out"]
    shown = replayed(run.folder / "audit.jsonl", tmp_path)
    assert "The decision is confirmed." in shown.out


def test_an_entry_without_options_is_replayed(write, tmp_path, analysed):
    run = analysed(write(lines(a=cells(0), b=cells(1))))
    entry = dict(find_entry(run.folder / "audit.jsonl", "last"))
    for name in ("id", "n", "previous", "sha256"):
        entry.pop(name)
    del entry["command"]["arguments"]["reading"]
    (tmp_path / "old").mkdir()
    start_log(tmp_path / "old" / "audit.jsonl", entry)
    shown = replayed(tmp_path / "old" / "audit.jsonl", tmp_path)
    assert "The decision is confirmed." in shown.out


def replayed(log, tmp_path):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["audit", "show", str(log), "last"])
    assert (code, err.getvalue()) == (0, "")
    return Run(code, out.getvalue(), "", tmp_path)


def test_the_engines_are_explained_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["pca", "--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for engine in ("auto", "constructed", "pretrained", "exact"):
        assert f"{engine}: " in words
    assert "--engine {auto,constructed,pretrained,exact}" in words
    for option in ("--header, --no-header", "--sep STR", "--id-column STR", "--drop"):
        assert option in words


@pytest.mark.parametrize("kind", ["csv", "parquet", "parquet of numbers"])
def test_rows_are_named_in_the_results(kind, write, tmp_path, analysed):
    rng = np.random.default_rng(0)
    ids = [f"{1000 + i}" for i in rng.permutation(ROWS)]
    if kind != "parquet of numbers":
        ids = [f"sample {name}" for name in ids]
    columns = {"sample": ids, **{name: cells(i) for i, name in enumerate("abc")}}
    columns["c"][23] = "40"
    path = write(lines(**columns))
    if kind != "csv":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        values: dict[str, Any] = {
            k: list(map(float, v)) for k, v in columns.items() if k != "sample"
        }
        values["sample"] = ids if kind == "parquet" else list(map(int, ids))
        path = tmp_path / "table.parquet"
        parquet.write_table(pyarrow.table(values), path)
    flags = ["--id-column", "sample"]
    run = analysed(path, *flags, "--top", "2", command="detect", name="detect")
    head, rows = run.table("outliers.csv")
    assert head[:3] == ["row", "id", "score"]
    assert [row[1] for row in rows] == ids
    assert f"row 24 ({ids[23]}) " in run.out
    told = json.loads((run.folder / "explanations.json").read_text())
    assert (told[0]["row"], told[0]["id"]) == (24, ids[23])
    strangest = json.loads((run.folder / "summary.json").read_text())["results"]
    assert strangest["strangest"][0]["id"] == ids[23]
    for command, file in {"pca": "scores.csv", "cluster": "labels.csv"}.items():
        more = ["--n-clusters", "2"] if command == "cluster" else []
        run = analysed(path, *flags, *more, command=command, name=command)
        head, rows = run.table(file)
        assert head[:2] == ["row", "id"]
        assert [row[1] for row in rows] == ids
