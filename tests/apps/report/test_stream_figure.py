"""The picture of the residual stream: names on its axes, values in its panels."""

import json

import numpy as np
import pytest

from spectral_tf.apps.cli import main
from spectral_tf.apps.report.stream_figure import (
    MOST_BLOCKS,
    composition_figure,
    save_figure,
    stream_figure,
)
from spectral_tf.config import ConfigError
from spectral_tf.constructive.power_method import (
    VARIANTS,
    power_method_composition,
    power_method_params,
)

CONSTRUCT = ["construct", "--dim", "4", "--num-components", "2", "--num-iters", "3"]


def ticks(axis, which):
    return [label.get_text() for label in getattr(axis, f"get_{which}ticklabels")()]


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_and_blocks_have_their_names(variant):
    sizes = 4, 2, 9, variant
    composition = power_method_composition(*sizes)
    figure = composition_figure(composition, *power_method_params(*sizes))
    *panels, bar = figure.axes
    assert len(panels) in (2, 3)
    assert "0" in bar.get_ylabel()
    order = composition.order[:MOST_BLOCKS]
    names = ["start", *(composition.gadgets[index].name for index in order)]
    assert ticks(panels[-1], "x") == names
    every = {name for name, _ in composition.layout.sizes}
    for panel in panels:
        drawn = ticks(panel, "y")
        idle = panel.get_title(loc="left").split("blocks: ")[1].split(", ")
        # Each named row is drawn, or named above the panel because it stays 0.
        assert sorted([*drawn, *idle]) == sorted(every)
        picture = np.asarray(panel.images[0].get_array())
        rows = sum(composition.layout.size(name) for name in drawn)
        assert picture.shape == (rows, len(names))
    total, shown = len(composition.order), len(order)
    which = f"all {total}" if total == shown else f"the first {shown} of {total}"
    assert figure.get_suptitle().startswith(f"Residual stream over {which} blocks")


def test_entries_are_those_of_the_token_and_scalars_are_written():
    layout = power_method_composition(3, 1, 2).layout
    token = np.zeros((3, layout.width))
    token[:, layout["u"]] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    token[1, layout["r"]] = 12345.0
    figure = stream_figure(layout, {"one token": token}, ["a", "b"], "title")
    panel = figure.axes[0]
    assert ticks(panel, "y") == ["u", "r"]
    assert ticks(panel, "x") == ["start", "a", "b"]
    picture = np.asarray(panel.images[0].get_array())
    np.testing.assert_array_equal(picture[:3], token[:, layout["u"]].T)
    assert [text.get_text() for text in panel.texts] == ["1e4"]


def test_long_rows_and_long_networks_are_cut(tmp_path):
    sizes = 10, 2, 30
    figure = composition_figure(
        power_method_composition(*sizes), *power_method_params(*sizes)
    )
    assert len(ticks(figure.axes[1], "x")) == 1 + MOST_BLOCKS
    assert "u (8 of 10)" in ticks(figure.axes[0], "y")
    path = save_figure(figure, tmp_path / "new" / "stream.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FileExistsError, match=r"stream\.png exists; choose another"):
        save_figure(figure, path)
    with pytest.raises(ConfigError, match=r"must end in \.png"):
        save_figure(figure, tmp_path / "stream.pdf")


def test_construct_writes_the_figure_and_overwrites_nothing(tmp_path, capsys):
    path = tmp_path / "stream.png"
    assert main([*CONSTRUCT, "--explain", "--figure", str(path)]) == 0
    assert capsys.readouterr().out.endswith(f"figure written to {path}\n")
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")
    out = str(tmp_path / "weights")
    assert main([*CONSTRUCT, "--out", out, "--figure", str(path)]) == 2
    assert f"{path} exists; choose another file" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not (tmp_path / "weights").exists(), "something was half written"
    assert main([*CONSTRUCT, "--figure", str(tmp_path / "stream.svg")]) == 2
    assert "must end in .png" in capsys.readouterr().err
    other = tmp_path / "other.png"
    assert main([*CONSTRUCT, "--json", "--figure", str(other)]) == 0
    assert json.loads(capsys.readouterr().out)["figure"] == str(other)
