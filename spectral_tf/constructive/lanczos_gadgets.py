r"""Gadgets of `krylov`: registers that keep their past, in dense rows.

A register keeps P + 1 vectors, u the newest, :math:`q_1, \dots, q_P` those before it,
and their images, w of u and :math:`c_i` of :math:`q_i`. The norm layer covers the first
half, row by row: what is shorter than its floor becomes 0.
"""

import dataclasses
import itertools

import numpy as np

from spectral_tf.config.wording import counted
from spectral_tf.constructive.gadgets import (
    GATE,
    Gadget,
    ReluMLP,
    assign,
    linear_pair,
    stacked,
)
from spectral_tf.constructive.residual_layout import ResidualLayout, Stream


def kept_rows(layout: ResidualLayout) -> tuple[list[str], list[str]]:
    """Rows of the vectors and of their images, newest first.

    Args:
        layout: `krylov_layout`.

    Returns:
        `(["u", "q1", ...], ["w", "c1", ...])`.
    """
    names = [name for name, _ in layout.sizes]
    half = names.index("w")
    return names[:half], names[half : 2 * half]


def multiply(layout: ResidualLayout) -> Gadget:
    r"""w <- Sigma u, and everything moves one place on: the image is the next u.

    Heads +,- with Q: u, K: x, V: x -> w give :math:`w_j = \Sigma u_j` exactly, as in
    `register_gadgets.multiply`. The MLP keeps: :math:`q_{i+1} \leftarrow q_i,\ q_1
    \leftarrow u,\ u \leftarrow d\,w,\ c_{i+1} \leftarrow c_i,\ c_1 \leftarrow w,\ w
    \leftarrow 0`, exactly (moves). The norm makes u of unit length; the factor d is for
    its floor alone: with rows of unit trace the mean eigenvalue is 1/d, so a direction
    is dropped where its image is shorter than that, times the floor.

    Args:
        layout: `krylov_layout`.

    Returns:
        The gadget, without its norm.

    Source: He et al. (2025), power iteration layer.
    """
    vectors, images = kept_rows(layout)
    u, x, factor = layout.read("u"), layout.read("x"), float(layout.size("x"))
    moves = {
        after: {before: 1.0}
        for rows in (vectors, images)
        for before, after in itertools.pairwise(rows)
    }

    def semantics(stream: Stream) -> Stream:
        # w_j = sum_i x_i <x_i, u_j> = Sigma u_j
        image = stream["w"] + (stream["u"] @ stream["x"].T) @ stream["x"]
        before = stream | {"w": image}
        moved = {after: before[source] for after, (source,) in moves.items()}
        return stream | moved | {"u": factor * image, "w": np.zeros_like(image)}

    return Gadget(
        name="multiply",
        heads=linear_pair(u, x, x, layout.write("w")),
        mlp=assign(layout, u={"w": factor}, w={}, **moves),
        semantics=semantics,
        explain=(
            "heads 0, 1 (registers read data): multiply, w = Sigma u",
            f"mlp: keep, {_moved(vectors)}; {_moved(images)}; u <- {factor:g} w, "
            "w <- 0",
        ),
    )


def _moved(rows: list[str]) -> str:
    """`q1 <- u, ..., q6 <- q5`, what comes from where."""
    pairs = [f"{after} <- {row}" for row, after in itertools.pairwise(rows)]
    return ", ".join(pairs if len(pairs) < 3 else [pairs[0], "...", pairs[-1]])


def senders(block: int) -> np.ndarray:
    """`[b, b + 2]` bool: which candidate is read at each turn.

    At turn 0 none, so that only what is older counts; at turns 1 to b - 1 the candidate
    before that number; at the last two all of them.
    """
    turn, sender = np.arange(block + 2), np.arange(block)[:, None]
    return (turn == sender + 1) | (turn >= block)


def deflate(layout: ResidualLayout) -> Gadget:
    r"""Remove from each u what is kept, and at its turn what a u before it holds.

    Heads +,- for each kept row with scores :math:`\pm\langle u_j, q_{i,l}\rangle` and
    V: :math:`q_i \to u` add :math:`-\sum_l q_{i,l}\langle q_{i,l}, u_j\rangle`,
    exactly. One more pair has scores :math:`\pm\langle u_j, u_l\rangle - B(1[l \ge j] +
    1[l \text{ is not read at this turn}])` and V: u -> u: candidates l < j whose turn
    it is. Both gates are :math:`\langle -B(low_j + 1 - M\,turn), pos_l\rangle`, zero
    exactly where both are open, and :math:`B > |\langle u_j,u_l\rangle|`. All heads
    read the same u, so it becomes :math:`u_j - Q^\top Q u_j - \sum_l u_l \langle
    u_l,u_j\rangle`. Data tokens have u = q = 0 and no code: they neither send nor
    receive. The MLP moves the one-hot row `turn` on by one, the last to the first
    (moves); on data tokens it is 0 and stays so.

    Args:
        layout: `krylov_layout`.

    Returns:
        The gadget, without its norm.

    Source: Bjorck (1967), BIT 7, for candidates in turn (modified Gram-Schmidt).
    """
    (newest, *older), _ = kept_rows(layout)
    block = layout.size("pos")
    read_at = senders(block).astype(float)
    ones = np.ones((block, 1)) @ layout.read("one")
    closed = layout.read("low") + ones - read_at @ layout.read("turn")
    u, write = layout.read(newest), layout.write(newest, -1.0)
    heads = linear_pair(u, u, u, write, (-GATE * closed, layout.read("pos")))
    for row in older:
        key = layout.read(row)
        heads += linear_pair(u, key, key, write)

    def semantics(stream: Stream) -> Stream:
        rows = stream["u"]
        # low[j, l] = 1[l >= j] on registers; data tokens have u = 0 anyway.
        is_open = (1.0 - stream["low"]) * (stream["turn"] @ read_at.T)
        after = rows - (rows @ rows.T * (is_open @ stream["pos"].T)) @ rows
        for name in older:
            after = after - (rows @ stream[name].T) @ stream[name]
        return stream | {"u": after, "turn": np.roll(stream["turn"], 1, axis=-1)}

    return Gadget(
        name="deflate",
        heads=heads,
        mlp=_next_turn(layout),
        semantics=semantics,
        explain=(
            "heads 0, 1 (register j reads l < j whose turn it is): deflate, u -= u_l "
            "<u_l, u>",
            f"heads 2 to {2 * len(older) + 1} (registers read registers), two for each "
            f"of {counted(len(older), 'kept row')}: deflate, u -= sum_l q_l <q_l, u>",
            f"mlp: turn moves on, the last of {block + 2} to the first",
        ),
    )


def _next_turn(layout: ResidualLayout) -> ReluMLP:
    """The row `turn` rotated by one, by +- pairs as in `assign`."""
    turn = layout.read("turn")
    change = stacked(np.roll(turn, 1, axis=0) - turn)
    return ReluMLP(
        up=stacked(change, -change),
        down=np.concatenate([layout.write("turn"), layout.write("turn", -1.0)], axis=1),
    )


def normalised(gadget: Gadget, eps: float, floor: float) -> Gadget:
    r"""The same block in a network that normalises every vector row after a sublayer.

    As `followed_by_norm`, of all rows u and q, and with a floor: :math:`v \leftarrow
    v/\sqrt{|v|^2+\epsilon}` where :math:`|v|` is above it, else 0. Rows that are not
    written are of unit length, or 0, and stay so, which is why the norm between the
    sublayers needs no place here: attention writes u or w, the MLP what it moves.

    Args:
        gadget: a block that writes u in one of its sublayers only.
        eps: `norm_eps` of the model.
        floor: `norm_floor` of the model.

    Returns:
        The gadget, with the norm in its meaning.
    """

    def semantics(stream: Stream) -> Stream:
        after = gadget.semantics(stream)
        names = [name for name in after if name == "u" or name[0] == "q"]
        return after | {name: floored(after[name], eps, floor) for name in names}

    explain = (
        *gadget.explain,
        f"norm: normalise, u <- u / |u|, and 0 where |u| <= {floor:g}",
    )
    return dataclasses.replace(gadget, semantics=semantics, explain=explain)


def floored(rows: np.ndarray, eps: float, floor: float) -> np.ndarray:
    """Rows of unit length, or 0 where no longer than the floor."""
    squared = np.sum(rows**2, axis=-1, keepdims=True)
    return np.where(squared > floor**2, rows / np.sqrt(squared + eps), 0.0)
