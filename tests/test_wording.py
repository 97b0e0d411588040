"""Counts agree with their nouns, shares are written one way, refusals name options."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectral_tf.apps.analysis.option_names import in_options, option_names
from spectral_tf.apps.cli import Command, main
from spectral_tf.config.wording import agreed, counted, json_text, percent

PACKAGE = Path(__file__).parents[1] / "spectral_tf"
FILES = sorted(PACKAGE.rglob("*.py"))
NOUNS = (
    "rows|columns|components|clusters|blocks|heads|tokens|groups|deliveries|runs|"
    "calls|alarms|bookings|items|days|steps|entries|lines|cells|bytes|instances|"
    "answers|products|iterations|ranks|devices|arrays|features|registers|knots|values|"
    "fields|processes|samples|checkpoints"
)
PLURAL = re.compile(rf"^ (more )?(numeric |past |other )?({NOUNS})\b")


def is_plain(number: ast.FormattedValue) -> bool:
    """Whether it may be a whole number: no text in quotes, no decimals."""
    spec = ast.unparse(number.format_spec) if number.format_spec else ""
    return number.conversion == -1 and "." not in spec


def plain_counts(tree: ast.AST) -> list[int]:
    """Lines where a variable stands before a noun that is always in the plural."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for number, text in zip(node.values, node.values[1:], strict=False):
            if not isinstance(number, ast.FormattedValue) or not is_plain(number):
                continue
            is_fixed = ast.unparse(number.value).isupper()
            if not is_fixed and isinstance(text, ast.Constant):
                lines += [node.lineno] * bool(PLURAL.match(str(text.value)))
    return lines


def documentation(tree: ast.AST) -> set[int]:
    """Ids of the strings that are statements of their own."""
    return {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}


def spaced_percents(tree: ast.AST) -> Iterator[int]:
    """Lines of texts that write `87 %`."""
    ignored = documentation(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in ignored:
            continue
        if isinstance(text := node.value, str):
            yield from [node.lineno] * bool(re.search(r"(\d|^) %(?![\w(])", text))


def test_a_count_goes_with_its_noun():
    assert counted(1, "row") == "1 row"
    assert counted(0, "row") == "0 rows"
    assert counted(12345, "entry", "entries") == "12,345 entries"
    assert agreed(1, "is", "are") == "is"
    assert agreed(0, "is", "are") == agreed(2, "is", "are") == "are"


def test_no_count_stands_before_a_fixed_plural():
    """`counted` writes all of them."""
    found = {
        str(path): plain_counts(ast.parse(path.read_text("utf-8"))) for path in FILES
    }
    faults = [f"{path}:{line}" for path, lines in found.items() for line in lines]
    assert not faults, f"use `counted` in {faults}"


def test_that_check_sees_a_fixed_plural():
    assert plain_counts(ast.parse('f"{n} rows"')) == [1]
    assert plain_counts(ast.parse('f"{n:,} more columns"')) == [1]
    assert not plain_counts(ast.parse("f\"{counted(n, 'row')} and {MOST} rows\""))


def test_a_percentage_has_no_space():
    found = {
        str(p): list(spaced_percents(ast.parse(p.read_text("utf-8")))) for p in FILES
    }
    assert not {path: lines for path, lines in found.items() if lines}


TEXTS = sorted(PACKAGE.rglob("en.toml"))
"""What the pages and the proofs of concept say, with places for numbers."""
FIXED = re.compile(
    r"\{\w+(:[,d]*)?\} (more )?(numeric |past |other )?"
    rf"({NOUNS})\b(?! on average)"  # which is no whole number
)
SPACED = re.compile(r"[\d}] %(?![\w(])")


def texts_of(table: dict[str, Any]) -> Iterator[str]:
    """All texts of a TOML file."""
    for value in table.values():
        if isinstance(value, dict):
            yield from texts_of(value)
        elif isinstance(value, str):
            yield value


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.parent.name)
def test_texts_in_files_follow_the_same_rules(path):
    texts = list(texts_of(tomllib.loads(path.read_text("utf-8"))))
    assert len(texts) > 10
    assert not [text for text in texts if FIXED.search(text)], "use {n:count row}"
    assert not [text for text in texts if SPACED.search(text)]


def test_that_check_sees_both_faults():
    texts = list(texts_of({"a": {"b": "{n:,} more rows"}, "c": "{n} days", "d": 1}))
    assert all(map(FIXED.search, texts))
    assert len(texts) == 2
    assert not FIXED.search("{n:count row} and {days:.1f} days")
    assert SPACED.search("{share:.0f} % of them")
    assert SPACED.search("the 95 % interval")
    assert not SPACED.search("{share:.0%} of them, 95% interval")


def test_there_are_texts_in_files():
    assert len(TEXTS) == 2


def test_that_check_sees_a_space():
    assert list(spaced_percents(ast.parse('f"{x:.0f} %"'))) == [1]
    assert list(spaced_percents(ast.parse('say("95 % interval")'))) == [1]
    assert percent(0.87) == "87%"
    assert percent(0.0534, 1) == "5.3%"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("demo --svd 2", "--svd=2 must be 0 or >= --num-components=3."),
        ("demo --num-iters 0", "--num-iters=0 must be >= 1"),
        ("demo --max-seconds nan", "--max-seconds=nan must be finite"),
        ("evaluate --ensemble.dim 0", "--ensemble.dim=0 must be >= 1"),
        ("pretrain --run-dir x --batch-size 0", "--batch-size=0 must be >= 1"),
        (
            "pretrain --run-dir x --model.mlp-width 0",
            "--model.mlp-width=0 must be >= 1",
        ),
        (
            "pretrain --run-dir x --model.width 8",
            "--model.width=8 means nothing for --model.parameterisation=equivariant;",
        ),
        (
            "pretrain --run-dir x --model.raw-channels 5",
            "--model.raw-channels=5 must be < --model.vector-channels=4",
        ),
        (
            "pretrain --run-dir x --model.parameterisation dense --model.dim 0",
            "--model.dim=0 must be >= 1",
        ),
        ("pretrain --run-dir x --table.holdout 2", "--table.holdout=2.0 must"),
        ("poc stock --events -1", "--events=-1 must be >= 1"),
        ("poc shipping --resamples 0", "--resamples=0 must be"),
        ("pca x.csv --seed -1", "--seed=-1 must be >= 0"),
        (
            "construct --dim 3 --num-components 9",
            "--num-components=9 must lie in 1..--dim=3",
        ),
    ],
)
def test_a_refusal_names_the_option(argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"spectral-tf: {said}"), err
    assert err.count("\n") == 1
    assert "Config" not in err


def test_words_that_are_no_options_stay():
    names = option_names(Command, ["pretrain", "--run-dir", "x"])
    assert in_options("the data of seed 3 in run_dir", names) == (
        "the data of seed 3 in --run-dir"
    )
    assert in_options("'t.csv' lies in a/seed=3/x.csv", names) == (
        "'t.csv' lies in a/seed=3/x.csv"
    )
    assert in_options("model.looped=True", names) == "--model.looped"
    assert in_options("ModelConfig.looped=False", names) == "--model.no-looped"
    assert in_options("OtherConfig.looped=2", names) == "OtherConfig.looped=2"
    assert in_options("init='random' is", names) == "--init=random is"


def test_other_faults_of_arguments_are_still_tyros(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--svd", "x"])
    assert stop.value.code == 2
    assert "--svd INT" in capsys.readouterr().err


def write(path: Path, x: np.ndarray, names: list[str] | None = None) -> str:
    names = names or [f"c{i}" for i in range(x.shape[1])]
    rows = [",".join(names), *(",".join(map(repr, row)) for row in x.tolist())]
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return str(path)


def near_a_line(rows: int = 60) -> np.ndarray:
    """`[rows, 3]` one component and a little noise, and one row off it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 1)) @ [[1.0, 1.0, 1.0]]
    x += 0.05 * rng.normal(size=x.shape)
    x[7, 1] += 9
    return x


def test_one_outlier_by_one_component(tmp_path, capsys):
    source = write(tmp_path / "t.csv", near_a_line())
    out = str(tmp_path / "o")
    argv = ["detect", source, "--n-components", "1", "--contamination", "0.01"]
    assert main([*argv, "--judge", "residual", "--out", out]) == 0
    text = capsys.readouterr().out
    assert "1 of 60 rows is an outlier: further than" in text
    assert "from its reconstruction by 1 component (" in text
    assert "1 of 1 component is proven to lie" in text
    assert "true one (" in text


def test_the_combined_score_is_not_called_a_distance_from_the_reconstruction(
    tmp_path, capsys
):
    source = write(tmp_path / "t.csv", near_a_line())
    argv = ["detect", source, "--n-components", "1", "--out", str(tmp_path / "o")]
    assert main([*argv, "--judge", "combined"]) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if " of 60" in one)
    assert "score above" in line
    assert "combines" in line
    assert "further than" not in line
    assert "(--judge combined)" in line


def test_what_is_said_of_one_column(tmp_path, capsys):
    x = near_a_line()
    x[3, 0] = np.nan
    source = write(tmp_path / "t.csv", x)
    argv = ["pca", source, "--impute", "median", "--columns", "c0", "c1"]
    assert main([*argv, "--out", str(tmp_path / "o")]) == 0
    text = capsys.readouterr().out
    assert "Left out 1 column that was not chosen." in text
    assert "Filled 1 missing value with the median of its column: 1 in 'c0'" in text


def test_a_column_that_was_left_out_is_not_said_to_be_filled(tmp_path, capsys):
    x = np.column_stack([near_a_line(), np.full(60, 4.0)])
    x[::2, 3] = np.nan
    x[3, 0] = np.nan
    source = write(tmp_path / "t.csv", x, ["a", "b", "c", "ni"])
    argv = ["pca", source, "--impute", "median", "--out", str(tmp_path / "o")]
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert "Filled 1 missing value with the median of its column: 1 in 'a'" in text
    assert "Left out column 'ni': it is constant (4)." in text
    assert "in 'ni'" not in text
    summary = json.loads((tmp_path / "o" / "summary.json").read_text("utf-8"))
    assert list(summary["imputed"]) == ["a"]


def test_the_letters_of_other_scripts_stand_in_the_files(tmp_path, capsys):
    names = ["売上高", "größe", "तापमान"]
    source = write(tmp_path / "t.csv", near_a_line(), names)
    folder = tmp_path / "o"
    assert main(["detect", source, "--out", str(folder), "--json"]) == 0
    out = capsys.readouterr().out
    for text in (out, (folder / "summary.json").read_text("utf-8")):
        assert all(name in text for name in names)
        assert "\\u" not in text
    assert names[0] in (folder / "explanations.json").read_text("utf-8")
    assert json.loads(out)["columns"] == names


def test_letters_that_an_encoding_lacks_are_escaped():
    assert json_text({"a": "売"}) == '{"a": "売"}'
    assert json.loads(json_text({"a": "売"}, "cp1252")) == {"a": "売"}
    assert "売" not in json_text({"a": "売"}, "cp1252")
    assert json.loads(json_text({"a": "\udce4"})) == {"a": "\udce4"}


def test_tables_fit_a_terminal(tmp_path, capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    long = [f"a_rather_long_name_of_a_column_{i}" for i in range(3)]
    source = write(tmp_path / "t.csv", near_a_line(), long)
    argv = ["pca", source, "--n-components", "1", "--out", str(tmp_path / "o")]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if "largest loadings" in line)
    table = lines[start : lines.index("", start)]
    assert max(map(len, table)) <= 100
    assert sum(line.count("a_rather_long") for line in table) == 3
