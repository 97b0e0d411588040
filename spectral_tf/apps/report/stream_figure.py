"""A picture of the residual stream: the named rows of a few tokens, block by block."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectral_tf.apps.report.figures import STYLE
from spectral_tf.config import EnsembleConfig, ModelConfig, PowerLaw, require
from spectral_tf.config.wording import counted
from spectral_tf.constructive.composition import Composition
from spectral_tf.constructive.residual_layout import ResidualLayout, Stream
from spectral_tf.model.transformer import SpectralTransformer
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.settings import random_key

MOST_BLOCKS = 40
"""Blocks that fit with a name each; a longer network is shown up to here."""
MOST_ENTRIES = 8
"""Entries of a named row that are drawn; of a longer row the first ones."""
TABLE_ROWS = 50


def stream_figure(
    layout: ResidualLayout,
    tokens: Mapping[str, np.ndarray],
    blocks: Sequence[str],
    title: str,
) -> Figure:
    """One panel for each token: entries of the named rows down, blocks across.

    Rows that stay 0 are only named above the panel. Rows of one entry have their values
    written into the cells, since these may be far above 1.

    Args:
        layout: the rows.
        tokens: name -> `[L + 1, D]` a token at the start and after each block.
        blocks: `[L]` what the blocks are called.
        title: above all panels.

    Returns:
        The figure. Blue is negative, white 0, red positive.
    """
    streams = {name: layout.split(rows) for name, rows in tokens.items()}
    heights = [_height(stream) for stream in streams.values()]
    height = 1.9 + sum(0.3 + 0.14 * lines for lines in heights)
    size = max(7.0, 2.6 + 0.23 * len(blocks)), height
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=size, layout="constrained")
        shape: dict[str, Any] = {"nrows": len(tokens), "height_ratios": heights}
        axes = figure.subplots(sharex=True, squeeze=False, **shape)[:, 0]
        image: Any = None
        for axis, (name, stream) in zip(axes, streams.items(), strict=True):
            image = _panel(axis, name, stream)
        names = ["start", *blocks]
        axes[-1].set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes[-1].set_xlabel("after block")
        bar = figure.colorbar(image, ax=list(axes), extend="both", pad=0.01, aspect=40)
        bar.set_label("value; white is 0, beyond 1 the colour stays")
        figure.suptitle(title, fontsize=10)
    return figure


def _height(stream: Stream) -> int:
    """Lines of a panel."""
    used = [rows for rows in stream.values() if rows.any()]
    return sum(min(rows.shape[1], MOST_ENTRIES) for rows in used)


def _panel(axis: Axes, name: str, stream: Stream) -> Any:
    """Draw one token; the image, for the colour bar."""
    used = {row: values.T for row, values in stream.items() if values.any()}
    idle = [row for row in stream if row not in used]
    lines = [values[:MOST_ENTRIES] for values in used.values()]
    picture = np.concatenate(lines)
    image = axis.imshow(picture, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
    sizes = np.array([len(line) for line in lines])
    ends = np.cumsum(sizes) - 0.5
    centres = ends - sizes / 2
    labels = [
        row
        if len(values) <= MOST_ENTRIES
        else f"{row} ({MOST_ENTRIES} of {len(values)})"
        for row, values in used.items()
    ]
    axis.set_yticks(centres, labels, fontsize=8)
    axis.tick_params(length=0)
    axis.hlines(ends[:-1], -0.5, picture.shape[1] - 0.5, color="black", lw=0.6)
    for centre, line in zip(centres, lines, strict=True):
        if len(line) == 1:
            _write_values(axis, centre, line[0])
    zero = f"   0 in all these blocks: {', '.join(idle)}" if idle else ""
    axis.set_title(f"{name}{zero}", loc="left", fontsize=9)
    return image


def _write_values(axis: Axes, centre: float, values: np.ndarray) -> None:
    """The numbers of a row of one entry, where they are not 0."""
    for block, value in enumerate(values):
        if value:
            text = f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
            text = f"{value:.2g}" if 0.01 <= abs(value) < 1000 else text
            colour = "white" if abs(value) > 0.6 else "black"
            place = block, centre
            where: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 5.5}
            axis.text(*place, text.removeprefix("0"), color=colour, **where)


def shown_tokens(composition: Composition, k: int) -> dict[str, int]:
    """The register tokens worth a panel, by name.

    Args:
        composition: the network.
        k: eigenpairs asked for.

    Returns:
        Name -> index among the register tokens: the first and the last of the k
        registers (and the guard), or the ring token that receives what is found, a
        column and the worker.
    """
    names = [name for name, _ in composition.layout.sizes]
    if "work" in names:
        return {
            f"ring token {k} (receives every vector found)": k - 1,
            "column token 1 (column 1 of the matrices)": k,
            "worker (iterates)": composition.num_registers - 1,
        }
    found = {"register 1 (eigenpair 1)": 0}
    if k > 1:
        found[f"register {k} (eigenpair {k})"] = k - 1
    if composition.num_registers > k:
        found["guard register"] = composition.num_registers - 1
    return found


def composition_figure(
    composition: Composition, config: ModelConfig, params: Any
) -> Figure:
    """The stream of a constructed network on a random table of 50 rows, seed 0.

    Args:
        composition: the network.
        config: its configuration.
        params: its parameters.

    Returns:
        The figure, of the first `MOST_BLOCKS` blocks.
    """
    dim, k = composition.layout.size("x"), config.num_components
    table = EnsembleConfig(
        family=PowerLaw(), dim=dim, num_samples=TABLE_ROWS, num_components=k
    )
    x = sample_batch(random_key(0), table, 1).x[0]
    model = SpectralTransformer(config)
    inside: Any = model.apply({"params": params}, x, capture=True)[1]
    shown = min(config.num_blocks, MOST_BLOCKS)
    start = composition.register_rows()[None]
    states = np.concatenate([start, np.asarray(inside.state[1])[:shown]])
    tokens = {
        name: states[:, index] for name, index in shown_tokens(composition, k).items()
    }
    names = [composition.gadgets[index].name for index in composition.order[:shown]]
    which = (
        f"all {counted(shown, 'block')}"
        if shown == config.num_blocks
        else f"the first {shown} of {counted(config.num_blocks, 'block')}"
    )
    title = f"Residual stream over {which}, d={dim}, k={k}, N={TABLE_ROWS} random rows"
    return stream_figure(composition.layout, tokens, names, title)


def check_figure(path: Path) -> None:
    """Refuse a figure's file before anything is computed.

    Args:
        path: where the figure shall go.

    Raises:
        ConfigError: if it is not named .png.
        FileExistsError: if it exists; nothing is overwritten.
    """
    require(
        path.suffix == ".png",
        f"figure={str(path)!r} must end in .png; give e.g. {path.stem}.png.",
    )
    if path.exists():
        raise FileExistsError(f"{path} exists; choose another file or remove it.")


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a new PNG file; folders above it are made.

    Args:
        figure: what to write.
        path: of the file; must not exist.

    Returns:
        `path`.

    Raises:
        ConfigError: if it is not named .png.
        FileExistsError: if it exists; nothing is overwritten.
    """
    check_figure(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path
