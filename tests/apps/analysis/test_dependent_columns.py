"""The command `detect` on totals beside their parts: rounding is no outlier."""

import re

import numpy as np
import pytest

from spectral_tf.apps.cli import main


@pytest.fixture
def said(tmp_path, capsys):
    """What the command says of four columns and their sums."""

    def detect(judge: str, fault: float = 0.0) -> list[str]:
        parts = np.random.default_rng(0).gamma(5, 20, (400, 4))
        x = np.c_[parts, parts.sum(axis=1), parts[:, 0] + parts[:, 1]]
        x[7, 0] += fault
        lines = [
            "a,b,c,d,total,half",
            *(",".join(map(repr, row)) for row in x.tolist()),
        ]
        path = tmp_path / f"{judge}{fault}.csv"
        path.write_text("\n".join(lines) + "\n")
        out = tmp_path / f"{judge}{fault}"
        argv = ["detect", str(path), "--n-components", "4", "--judge", judge]
        assert main([*argv, "--out", str(out)]) == 0
        return capsys.readouterr().out.splitlines()

    return detect


def rows_of(lines: list[str]) -> list[str]:
    return [line for line in lines if re.match(r"row +\d", line)]


def test_rounding_is_no_distance_from_the_reconstruction(said):
    lines = said("residual")
    assert any(line.startswith("0 of 400 rows are outliers: ") for line in lines), lines
    assert not [line for line in rows_of(lines) if "outlier" in line]
    assert "4 of 4 components are proven" in "\n".join(lines)


def test_the_combined_judge_speaks_of_places_alone(said):
    """The tails of gamma are far out in the plane; nothing is off it."""
    lines = said("combined")
    (count,) = (line for line in lines if " of 400 rows are outliers" in line)
    assert int(count.split()[0]) < 0.12 * 400
    rows = rows_of(lines)
    assert rows
    for row in rows:
        assert "no feature differs from its reconstruction" in row
        assert "(all components: 100% of the squared score)" in row


@pytest.mark.parametrize("judge", ["residual", "combined"])
def test_a_fault_of_a_thousandth_comes_first(judge, said):
    first, second = (line.split() for line in rows_of(said(judge, 1e-3))[:2])
    assert first[:2] == ["row", "8"]
    assert first[3] == "outlier"
    assert float(first[2]) > 10 * float(second[2])
    text = " ".join(first)
    assert "reconstruction" in text
    assert "no feature" not in text
