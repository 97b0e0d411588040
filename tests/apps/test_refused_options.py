"""A refusal names the option that was typed, not another that it sets."""

import re

import numpy as np
import pytest

from spectral_tf.apps.analysis.option_names import in_options, option_names
from spectral_tf.apps.cli import COMMANDS, main

SET = re.compile(r"(?<![\w.-])(--)?([a-z_]\w*(?:[.-]\w+)*)=")
"""What a refusal says is set to something, with or without dashes."""


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            "evaluate --num-components 11",
            "--num-components=11 must be <= --ensemble.dim=10",
        ),
        (
            "evaluate --ensemble.dim 2",
            "--num-components=3 must be <= --ensemble.dim=2",
        ),
        ("evaluate --num-components 0", "--num-components=0 must be >= 1"),
        (
            "evaluate --weights pca-base --ensemble.dim 2",
            "8, the k of --weights pca-base, must be <= --ensemble.dim=2",
        ),
        (
            "evaluate --weights pca-small --data w.csv --num-components 2",
            "8, the k of --weights pca-small, must be <= 5, the features;",
        ),
        (
            "evaluate --weights pca-small --data w.csv --svd 3 --num-components 2",
            "8, the k of --weights pca-small, must be <= 3, --svd;",
        ),
        ("evaluate --data w.csv --num-components 7", "--num-components=7 must lie in"),
        (
            "evaluate --ensemble.num-components 11",
            "--ensemble.num-components=11 must be <= --ensemble.dim=10",
        ),
        ("evaluate --num-instances 0", "--num-instances=0 must be >= 1"),
        ("evaluate --data digits --num-instances 0", "--num-instances=0 must be >= 1"),
        ("evaluate --data digits --svd 100", "--svd=100 must lie in 0..64"),
        ("evaluate --data digits --svd -1", "--svd=-1 must lie in 0..64"),
        ("evaluate --data digits --num-components 70", "--num-components=70 must lie"),
        ("evaluate --data digits --block-size 1", "--block-size=1 must lie in 2.."),
        (
            "pretrain --run-dir x --ensemble.dim 2",
            "--ensemble.num-components=3 must be <= --ensemble.dim=2",
        ),
        (
            "pretrain --run-dir x --ensemble.min-samples 400",
            "--ensemble.min-samples=400 must lie in 1..--ensemble.num-samples=50",
        ),
        (
            "pretrain --run-dir x --model.num-components 11 --shapes 10 50",
            "--shapes has (d=10, N=50); d must be >= --model.num-components=11",
        ),
        ("demo --num-components 9", "--num-components=9 must be <= 8"),
        ("describe --dim 0", "--dim=0 must be >= 1"),
        ("describe --num-samples 0", "--num-samples=0 must be >= 1"),
    ],
)
def test_a_refusal_names_what_was_typed(argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(60, 5))
    np.savetxt("w.csv", rows, delimiter=",", header="a,b,c,d,e", comments="")
    assert main(argv.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"spectral-tf: {said}"), err
    options = option_names(COMMANDS[argv.split()[0]].load(), argv.split()).values()
    for dashes, name in SET.findall(err.replace("(d=10", "")):
        assert dashes, f"{name} is no option in {err}"
        assert f"--{name}" in options, err


def test_a_smaller_dim_needs_no_second_option(capsys):
    """The family's own k, which nothing reads, has no say."""
    argv: str = (
        "evaluate --ensemble.dim 2 --num-components 2 --num-instances 2 --num-iters 2"
    )
    assert main([str(word) for word in argv.split()]) == 0
    assert "d=2" in capsys.readouterr().out


def test_a_shared_name_is_of_the_configuration_before_it():
    names = option_names(COMMANDS["pretrain"].load(), ["x"])
    for kind, option in (("EnsembleConfig", "ensemble"), ("ModelConfig", "model")):
        said = in_options(f"{kind}.num_components=3 must be <= dim=2", names)
        assert said == f"--{option}.num-components=3 must be <= --{option}.dim=2"
    assert in_options("num_components=3 must be <= dim=2", names) == (
        "num_components=3 must be <= dim=2"
    )
