"""Training on a table: what a block is, what is held out, and whether it helps."""

import functools
import itertools
import json
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spectral_tf.apps.cli import main
from spectral_tf.apps.watch.fine_tuning import filled_in
from spectral_tf.apps.watch.read import read_run
from spectral_tf.config import ConfigError, DataError, TableConfig, TrainConfig
from spectral_tf.estimators.networks import load_network, trained_on
from spectral_tf.model.params import flatten_params, load_weights
from spectral_tf.sampling.blocks import block_rows, distinct, is_synthetic
from spectral_tf.sampling.past import load_past
from spectral_tf.spectra import covariance, top_eigenpairs
from spectral_tf.training import batch, parallel, step
from spectral_tf.training.checkpoint import (
    CheckpointError,
    restore_best,
    restore_latest,
)
from spectral_tf.training.heldout import Heldout
from spectral_tf.training.loop import pretrain
from spectral_tf.training.state import init_state
from tests.training.test_parallel import TINY, relative_difference

ONE = jax.devices()[:1]
NAMES = "a,b,c,d,e"


def numbered_rows(count=50, dim=5):
    """Row i, column j is i + 1000 j and a little noise: an entry says where it is."""
    rows, columns = np.arange(count), np.arange(dim)
    return np.asarray(rows[:, None] + 1000.0 * columns[None], float)


def correlated(count, dim, *, seed=0):
    """Strongly correlated columns: an AR(1) along the columns, in random order."""
    rng = np.random.default_rng(seed)
    lags = np.abs(np.subtract.outer(np.arange(dim), np.arange(dim)))
    mix = np.linalg.cholesky(0.95**lags)[rng.permutation(dim)]
    return rng.standard_normal((count, dim)) @ mix.T


@pytest.fixture
def saved(tmp_path):
    """A function that saves a table and returns a configuration of it."""

    def save(x, **options):
        path = tmp_path / "past.npy"
        np.save(path, x)
        return TableConfig(source=str(path), **options)

    return save


def config_on(table, **changes):
    model = TINY.model.replace(block=("cross",))
    return TINY.replace(**{"model": model, "table": table} | changes)


def drawn(config, rows, indices: Sequence[int] = range(8), step=3, seed=0):
    """The instances of the first shape of a run at a step."""
    (part,) = batch.parts_of(config)
    source = batch.Draw(jax.random.key(seed), step, 0.5, jnp.asarray(rows))
    return batch.draw(part, source, jnp.asarray(indices))


def test_the_last_rows_are_held_out_and_the_scaling_is_that_of_the_others(saved):
    x = np.random.default_rng(0).normal(3.0, 7.0, (41, 4))
    past = load_past(saved(x))
    assert (past.training.shape, past.heldout.shape) == ((32, 4), (9, 4))
    mean, scale = x[:32].mean(axis=0), x[:32].std(axis=0)
    np.testing.assert_allclose(past.training, (x[:32] - mean) / scale, atol=1e-5)
    np.testing.assert_allclose(past.heldout, (x[32:] - mean) / scale, atol=1e-5)
    raw = load_past(saved(x, standardize=False))
    np.testing.assert_allclose(
        raw.training, (x[:32] - mean) / scale.max(), atol=1e-5, rtol=1e-5
    )


def test_a_block_depends_on_key_step_and_index_alone(saved):
    config = config_on(saved(correlated(60, 6), rescale=0.3))
    rows = load_past(config.table).training
    together = drawn(config, rows)
    alone = drawn(config, rows, [5])
    others = drawn(config, rows, [9, 30, 5, 77])
    for name in together._fields:
        one = np.asarray(getattr(together, name))[5]
        np.testing.assert_array_equal(one, np.asarray(getattr(alone, name))[0])
        np.testing.assert_array_equal(one, np.asarray(getattr(others, name))[2])
    for other in (drawn(config, rows, step=4), drawn(config, rows, seed=1)):
        assert not np.any(np.all(together.x == other.x, axis=(1, 2)))


def test_training_blocks_hold_training_rows_and_held_out_blocks_the_others():
    rows, first = numbered_rows(), 40
    table = TableConfig(source="x", synthetic_share=0.0)
    config = config_on(table, eval_instances=64)
    blocks = np.asarray(drawn(config, rows[:first], range(400)).x)
    seen = np.unique(blocks % 1000)
    assert set(seen) == set(range(first)), "every training row is drawn, and no other"
    held = Heldout(config.replace(shapes=((5, 8),)), rows[first:]).batches[0]
    assert set(np.unique(np.asarray(held.x) % 1000)) == set(range(first, 50))


def test_rows_of_a_block_are_distinct_unless_drawn_with_replacement(key):
    rows = jnp.asarray(numbered_rows(12), jnp.float32)
    size = 3, 12
    for again in (False, True):
        table = TableConfig(source="x", replacement=again)
        draw = lambda one, table=table: block_rows(one, rows, size, table)
        blocks = np.asarray(jax.vmap(draw)(jax.random.split(key, 50)))
        numbers, places = blocks % 1000, blocks // 1000
        counts = [len(np.unique(one[:, 0])) for one in numbers]
        assert (set(counts) == {12}) == (not again)
        assert np.all(places == places[:, :1]), "columns of one block are of one choice"
        assert all(len(set(one[0])) == 3 for one in places)
        assert len({tuple(sorted(one[0])) for one in places}) == 10, "all of 5 over 3"


def test_every_subset_is_drawn_equally_often(key):
    draw = jax.vmap(lambda one: distinct(one, 2, 5))
    found = np.sort(np.asarray(draw(jax.random.split(key, 5000))), axis=1)
    counts = [np.sum(np.all(found == pair, axis=1)) for pair in wanted_pairs(5)]
    assert sum(counts) == 5000
    # 10 pairs, 500 each, standard deviation 21.
    assert max(abs(count - 500) for count in counts) < 85


def wanted_pairs(most):
    return [np.array(pair) for pair in itertools.combinations(range(most), 2)]


@pytest.mark.long
def test_targets_are_eigenpairs_of_the_block_and_projections_keep_its_trace(key):
    rows = jnp.asarray(correlated(80, 6), jnp.float32)
    table = TableConfig(source="x", narrow="projection", rescale=0.5, rotate=True)
    config = config_on(table.replace(synthetic_share=0.0))
    found = drawn(config, rows)
    for index in range(3):
        matrix = covariance(found.x[index])
        values, vectors = top_eigenpairs(matrix, 2)
        np.testing.assert_allclose(found.eigenvalues[index], values, rtol=1e-5)
        np.testing.assert_allclose(found.eigenvectors[index], vectors, atol=1e-3)
    # Turned alone, a block has the eigenvalues that it had; rescaled, it has others.
    options = TableConfig(source="x", rotate=True), TableConfig(source="x", rescale=0.5)
    plain = block_rows(key, rows, (6, 20), TableConfig(source="x"))
    spectrum = lambda x: np.asarray(top_eigenpairs(covariance(x), 6)[0])
    turned, scaled = (block_rows(key, rows, (6, 20), one) for one in options)
    np.testing.assert_allclose(spectrum(turned), spectrum(plain), rtol=1e-4)
    assert np.max(np.abs(np.asarray(turned - plain))) > 0.1
    ratio = np.asarray(scaled / plain)
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], (20, 6)), rtol=1e-4)
    assert np.ptp(ratio[0]) > 0.1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_synthetic_share_is_exact_and_its_instances_are_those_of_no_table(share):
    chosen = np.asarray(is_synthetic(jnp.arange(2000), share))
    sums = np.cumsum(chosen)
    wanted = np.floor(share * np.arange(1, 2001) + 1e-4)
    np.testing.assert_array_equal(sums, wanted)
    if share == 0.5:
        table = TableConfig(source="x", synthetic_share=share)
        mixed = drawn(config_on(table), correlated(40, 6).astype(np.float32))
        pure = drawn(config_on(table), correlated(40, 6, seed=1).astype(np.float32))
        (part,) = batch.parts_of(TINY)
        alone = batch.Draw(jax.random.key(0), 3, 0.5)
        want = batch.draw(part, alone, jnp.arange(8)).x
        same = np.all(np.asarray(mixed.x) == np.asarray(want), axis=(1, 2))
        np.testing.assert_array_equal(same, chosen[:8])
        same = np.all(np.asarray(mixed.x) == np.asarray(pure.x), axis=(1, 2))
        np.testing.assert_array_equal(same, chosen[:8])


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "count"),
    [(kind, count) for kind in ("pmap", "shard_map") for count in (2, 4)],
)
def test_gradients_on_a_table_are_those_of_one_device(kind, count):
    rows = correlated(60, 6).astype(np.float32)
    config = config_on(TableConfig(source="x", rescale=0.2), parallel=kind)
    arguments = init_state(config), jax.random.key(1)
    single = jax.jit(functools.partial(step.gradients, config))
    want, _ = single(*arguments, rows=jnp.asarray(rows))

    def program(state, key, rows):
        axis = {"axis_name": parallel.AXIS, "num_shards": count}
        return step.gradients(config, state, key, rows=rows, **axis)

    run = parallel.over_devices(program, kind, jax.devices()[:count])
    grads, _ = run(*arguments, rows)
    flat = jax.tree.map(np.asarray, (grads, want))
    assert relative_difference(*flat) <= 1e-5


@pytest.mark.long
def test_the_rows_are_an_argument_of_the_program_and_move_once():
    config = config_on(TableConfig(source="x", synthetic_share=0.0))
    state, key = init_state(config), jax.random.key(0)
    steps = parallel.parallel_steps(config, ONE)
    tables = [correlated(60, 6, seed=seed).astype(np.float32) for seed in (0, 1)]
    first, second = (parallel.on_rows(steps, rows, ONE) for rows in tables)
    moved, _ = first(state, key, jnp.int32(4))
    compiled = []
    record = lambda event, *_, **__: compiled.append(event) if "comp" in event else None
    jax.monitoring.register_event_duration_secs_listener(record)
    try:
        other, metrics = second(state, key, jnp.int32(4))
        jax.block_until_ready(metrics)
        assert compiled == []
    finally:
        jax.monitoring.unregister_event_duration_listener(record)
    with jax.transfer_guard_host_to_device("disallow"):
        jax.block_until_ready(first(*jax.device_put((moved, key)), horizon_of(4)))
    flat = jax.tree.map(np.asarray, (moved.params, other.params))
    assert relative_difference(*flat) > 0, "another table, another gradient"


def horizon_of(steps):
    with jax.transfer_guard("allow"):
        return jax.device_put(jnp.int32(steps))


def run_config(table, **changes):
    """A run of six steps that is scored before the first and after every third."""
    options = {"num_steps": 6, "steps_per_call": 1, "calls_per_save": 2}
    options |= {"calls_per_eval": 3, "eval_instances": 16, "ema_decay": 0.5}
    return config_on(table, **options | changes)


def equal_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, *jax.device_get((a, b)))


def lines(run):
    return [json.loads(one) for one in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.long
def test_a_run_on_a_table_resumes_bit_for_bit_but_not_with_another_table(
    saved, tmp_path
):
    x, whole, halves = correlated(60, 6), tmp_path / "whole", tmp_path / "halves"
    config = run_config(saved(x, synthetic_share=0.0))
    want = pretrain(config, whole, devices=ONE)

    def stop(progress):
        if progress.step == 4:
            raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        pretrain(config, halves, on_call=stop, devices=ONE)
    saved(x + 1e-6)
    with pytest.raises(CheckpointError, match=r"past.npy is not the table .* began"):
        pretrain(config, halves, resume=True, devices=ONE)
    saved(x)
    equal_bits(pretrain(config, halves, resume=True, devices=ONE), want)
    scored = [
        {one["step"]: one.get("heldout") for one in lines(r)} for r in (whole, halves)
    ]
    assert scored[0] == scored[1]
    assert [at for at, found in scored[0].items() if found] == [0, 3, 6]
    meta = restore_latest(whole).meta
    assert meta["table"]["training_rows"] == 48
    assert meta["table"]["heldout_rows"] == 12
    assert "BLOCK_STREAM" in meta["data"]["rule"]
    assert restore_latest(whole).config == config
    assert read_run(whole).extreme("heldout/loss") is not None


SMALL = """--table.synthetic-share 0 --ema-decay 0.9 --model.num-components 2
    --model.num-blocks 2 --model.block cross self mlp --model.mlp-width 4
    --model.vector-channels 2 --model.scalar-channels 8"""
FLAGS = f"""{SMALL} --shapes 16 20 --batch-size 32 --warmup-steps 5
    --steps-per-call 20 --num-steps 40 --eval-instances 64"""


@pytest.mark.long
@pytest.mark.parametrize("rate", [3e-3, 1.0])
def test_the_command_says_whether_it_helped(rate, saved, tmp_path, capsys):
    """d=16, neighbours correlated by 0.95: not what a network is made for."""
    source, run = saved(correlated(600, 16)).source, tmp_path / "run"
    given = ["--data", source, "--run-dir", str(run), "--learning-rate", str(rate)]
    assert main(["pretrain", *given, *FLAGS.split()]) == 0
    said = " ".join(capsys.readouterr().out.split())
    scored = {one["step"]: one["heldout"]["loss"] for one in lines(run)[::2]}
    assert list(scored) == [0, 40]
    best = restore_best(run)
    if rate < 1:
        assert scored[40] < 0.9 * scored[0]
        assert f"fell from {scored[0]:.4f} to {scored[40]:.4f} at step 40" in said
        model, params = load_weights(run / "best")
        assert model == best.config.model
        equal_bits(params, best.state.averaged)
    else:
        assert scored[40] > scored[0]
        assert "Fine-tuning did not help" in said
        assert "The weights that the run started from are the better ones" in said
        assert int(best.state.step) == 0
        assert not (run / "best").exists()
        start = flatten_params(init_state(best.config).params)
        equal_bits(flatten_params(best.state.params), start)


def test_what_the_command_fills_in_for_shipped_weights(saved):
    past, origin = load_past(saved(correlated(300, 16))), trained_on("pca-small")
    assert isinstance(origin, TrainConfig)
    given = TrainConfig(model=load_network("pca-small").config, num_steps=500)
    found = filled_in(given, past, origin, is_hot=True)
    assert found.mixture == origin.mixture
    assert len(found.mixture) > 5
    assert found.rank_weights == origin.rank_weights
    assert found.shapes == ((16, 30),)
    assert found.model == given.model.replace(
        layout=given.model.channels.replace(gradient_limit=1.0)
    )
    assert 0 < found.learning_rate <= 3e-4
    assert found.num_steps == 500, "what the user gave is left alone"
    cold = filled_in(given, past, None, is_hot=False)
    assert cold.learning_rate == given.learning_rate
    assert cold.model == given.model
    assert cold.shapes == found.shapes


def test_dense_weights_have_no_limit_of_gradients_to_fill_in(saved):
    past, model = (
        load_past(saved(correlated(300, 16))),
        load_network("pca-dense").config,
    )
    given = TrainConfig(model=model, shapes=((16, 30),))
    assert filled_in(given, past, None, is_hot=True).model == model


@pytest.mark.long
def test_the_command_tells_what_it_left_out(tmp_path, capsys):
    rows = [f"{i * i % 7},7,{i * i % 5}" for i in range(40)]
    (tmp_path / "past.csv").write_text("\n".join(["a,b,c", *rows]))
    where = ["--data", str(tmp_path / "past.csv"), "--run-dir", str(tmp_path / "run")]
    short = """--shapes 2 4 --num-steps 2 --steps-per-call 1 --warmup-steps 1
        --batch-size 4 --calls-per-eval 2 --eval-instances 4"""
    assert main(["pretrain", *where, *SMALL.split(), *short.split()]) == 0
    said = capsys.readouterr().out
    assert "Left out column 'b': over the training rows it is constant (7)." in said
    assert "held-out |cos| by rank, step 0" in said


@pytest.mark.parametrize(
    ("text", "shapes", "words"),
    [
        ("a,b\n1,2\n,3\n4,\n5,7\n", (2, 2), r"missing values \('a': 1, 'b': 1\)"),
        ("a,b\n" + "1,2\n" * 20, (1, 2), "no column of .* varies over its 16"),
        ("a,b\n1,2\n3,5\n", (2, 2), "has 2 rows, of which holdout=0.2 leaves 1"),
        ("a,b\n" + "1,2\n3,4\n" * 20, (3, 4), "has 2 columns that vary; lower d"),
        ("a,b\n" + "1,2\n3,4\n" * 20, (2, 9), "N must be <= 8"),
        ("a,b\n" + "1,2\n3,4\n" * 19 + "1,1e300\n5,4\n", (2, 4), "'b': 1"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(text, shapes, words, tmp_path):
    path = tmp_path / "past.csv"
    path.write_text(text)
    model = TINY.model.replace(num_components=1)
    config = run_config(TableConfig(source=str(path)), model=model, shapes=(shapes,))
    with pytest.raises(DataError, match=words):
        pretrain(config, tmp_path / "run", devices=ONE)
    assert not (tmp_path / "run").exists()


def test_a_column_that_is_constant_over_the_training_rows_is_left_out(tmp_path):
    rows = [f"{i},7,{i * i % 5}" for i in range(40)] + ["40,8,1"] * 10
    (tmp_path / "past.csv").write_text("\n".join(["a,b,c", *rows]))
    past = load_past(TableConfig(source=str(tmp_path / "past.csv")))
    assert past.columns == ("a", "c")
    wanted = "Left out column 'b': over the training rows it is constant (7)."
    assert wanted in past.notes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"holdout": 1.0}, "holdout=1.0 must lie between 0 and 1"),
        ({"synthetic_share": 1.0}, r"synthetic_share=1.0 must lie in \[0, 1\)"),
        ({"rescale": -0.1}, "rescale=-0.1 must be >= 0"),
        ({"narrow": "some"}, "narrow='some' must be one of 'subset', 'projection'"),
    ],
)
def test_a_configuration_out_of_bounds_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        TableConfig(**changes)
