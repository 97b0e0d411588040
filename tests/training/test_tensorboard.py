"""One real run seen in every way: event files byte by byte, a trace, its folder."""

import json
import resource
import shutil
import struct
import sys
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto import event_pb2 as _event_pb2

from spectral_tf.apps.watch.commands import write_curve
from spectral_tf.apps.watch.read import read_run
from spectral_tf.config import ConfigError, TrainConfig
from spectral_tf.training.checkpoint import restore_latest
from spectral_tf.training.loop import Progress, pretrain
from spectral_tf.training.profile import ProfileWarning, profile
from spectral_tf.training.tensorboard import LogWarning, TensorboardSink, scalars
from tests.training.test_parallel import TINY

# Made at import from descriptors: a type checker does not see its names.
event_pb2: Any = _event_pb2
CONFIG = TINY.replace(shapes=((3, 6),), num_steps=5, steps_per_call=1)


def crc32c(data):
    """Castagnoli's polynomial, reflected, bit by bit; masked as in record files."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def events(path):
    """The events of a file; its frames must fill it to the last byte."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        check, body = data[8:12], data[12 : 12 + length]
        assert struct.unpack("<I", check) == (crc32c(data[:8]),)
        assert struct.unpack("<I", data[12 + length : 16 + length]) == (crc32c(body),)
        found.append(event_pb2.Event.FromString(body))
        data = data[16 + length :]
    return found


def written(folder):
    """(step, tag) -> number, of all files."""
    return {
        (event.step, value.tag): value.simple_value
        for path in sorted(folder.iterdir())
        for event in events(path)
        for value in event.summary.value
    }


def seen(step, **metrics):
    return Progress(step, 9, 0.5, 64.0, {"loss": 0.25, "cosine": [0.9, 0.5], **metrics})


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A run of five calls with a log, and a trace of calls 3 and 4."""
    root = tmp_path_factory.mktemp("watched")
    with (
        TensorboardSink(root / "log") as sink,
        profile(root / "trace", (2, 4)) as trace,
    ):

        def on_call(progress):
            sink(progress)
            trace(progress)
            states.append(trace.is_tracing)

        states: list[bool] = []
        pretrain(CONFIG, root / "run", on_call=on_call, devices=jax.devices()[:1])
    return root, states


@pytest.mark.slow
def test_the_log_holds_the_numbers_of_the_run(watched):
    root, _ = watched
    lines = (root / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 5
    wanted = {}
    for line in lines:
        record = json.loads(line)
        step = record.pop("step")
        for name, value in record.items():
            if isinstance(value, list):
                for rank, one in enumerate(value, start=1):
                    wanted[step, f"{name}/rank_{rank}"] = one
            else:
                wanted[step, name] = value
    found = written(root / "log")
    assert found.keys() == wanted.keys()
    assert {(1, "cosine/rank_2"), (5, "learning_rate"), (5, "grad_norm")} <= {*found}
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=str(name))


@pytest.mark.slow
def test_the_trace_is_of_the_calls_asked_for(watched):
    root, states = watched
    assert states == [False, True, True, False, False]
    files = [path for path in (root / "trace").rglob("*") if path.is_file()]
    assert any(path.name.endswith(".xplane.pb") for path in files)
    assert sum(path.stat().st_size for path in files) > 1000


@pytest.mark.slow
def test_the_folder_of_the_run_is_read_back_without_its_checkpoints(watched):
    folder = watched[0] / "run"
    run = read_run(folder)
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert TrainConfig.from_dict(run.config) == CONFIG
    assert (run.step, run.horizon, run.state) == (5, 5, "finished")
    assert run.instances == 5 * CONFIG.batch_size
    np.testing.assert_array_equal(run.last("cosine"), last["cosine"])
    np.testing.assert_array_equal(run.metrics["grad_norm"][-1], last["grad_norm"])
    assert run.seconds == pytest.approx(last["seconds"])
    params = restore_latest(folder).state.params
    assert run.num_params == sum(leaf.size for leaf in jax.tree.leaves(params))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert run.num_bytes == sum(path.stat().st_size for path in files)
    shutil.copytree(folder, copy := folder.with_name("copy"))
    shutil.rmtree(copy / "checkpoints")
    bare = read_run(copy)
    assert bare.num_bytes < run.num_bytes
    assert (bare.extreme("loss"), bare.step) == (run.extreme("loss"), 5)
    assert write_curve(copy).read_bytes().startswith(b"\x89PNG")


def test_what_is_held_out_and_what_is_added_later_is_written(tmp_path):
    metrics = {
        "heldout": {"loss": 0.5, "cosine": [0.75, 0.5]},
        "note": "text",
        "nothing": None,
        "many": np.array([1.0, 2.0]),
    }
    with TensorboardSink(tmp_path / "deep" / "log") as sink:
        sink(seen(7, **metrics))
        # On disk before the run ends.
        assert len(written(tmp_path / "deep" / "log")) == 11
    found = written(tmp_path / "deep" / "log")
    assert found[7, "heldout/loss"] == 0.5
    assert found[7, "heldout/cosine/rank_2"] == 0.5
    assert found[7, "many/rank_2"] == 2
    assert found[7, "horizon"] == 9
    assert {tag for _, tag in found} & {"note", "nothing", "step"} == set()
    assert dict(scalars("a", {"b": {"c": [1]}})) == {"a/b/c/rank_1": 1.0}


def test_a_resumed_run_hides_the_steps_it_repeats(tmp_path):
    for start in (1, 3):
        with TensorboardSink(tmp_path) as sink:
            sink(seen(start))
            sink(seen(start + 1))
    first, second = (events(path) for path in sorted(tmp_path.iterdir()))
    start = event_pb2.SessionLog.START
    logs = lambda found: [e for e in found if e.session_log.status == start]
    assert logs(first) == []
    assert [event.step for event in logs(second)] == [3]
    assert second.index(logs(second)[0]) < min(
        place for place, event in enumerate(second) if event.summary.value
    )


def test_closing_twice_and_calling_late_do_nothing(tmp_path):
    sink = TensorboardSink(tmp_path)
    sink(seen(1))
    sink.close()
    sink.close()
    sink(seen(2))
    assert {step for step, _ in written(tmp_path)} == {1}
    TensorboardSink(tmp_path / "unused").close()
    assert list((tmp_path / "unused").iterdir()) == []


def test_a_full_disk_warns_once_and_training_goes_on(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with TensorboardSink(tmp_path) as sink:
        sink(seen(1))
        size = next(tmp_path.iterdir()).stat().st_size
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
            try:
                sink(seen(2))
                sink(seen(3))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [one.category for one in caught] == [LogWarning]
    assert "training goes on without it" in str(caught[0].message)


def test_a_missing_package_or_a_bad_folder_is_refused_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"log cannot go to .*file.*choose a folder"):
        TensorboardSink(tmp_path / "file")
    with (
        pytest.raises(ConfigError, match=r"trace cannot go to .*file.*choose a folder"),
        profile(tmp_path / "file"),
    ):
        pass
    monkeypatch.setitem(sys.modules, "tensorboardX.record_writer", None)
    with pytest.raises(ConfigError, match=r"pip install 'spectral_tf\[watch\]'"):
        TensorboardSink(tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_run_that_ends_or_fails_early_leaves_the_trace_up_to_there(tmp_path):
    with (  # noqa: PT012 - the run fails in the third call
        pytest.raises(FloatingPointError),
        profile(tmp_path, (1, 100)) as trace,
    ):
        for step in (1, 2):
            jax.block_until_ready(jnp.ones(3) + step)
            trace(seen(step))
        raise FloatingPointError
    assert not trace.is_tracing
    assert any(tmp_path.rglob("*.xplane.pb"))
    # A second trace can start: the first was ended.
    jax.profiler.start_trace(tmp_path / "second")
    jax.profiler.stop_trace()


@pytest.mark.parametrize("calls", [(0, 2), (2, 2), (3, 1)])
def test_calls_that_cannot_be_traced_are_refused(calls, tmp_path):
    with (
        pytest.raises(ConfigError, match=r"1 <= first < last.*Try \(1, 3\)"),
        profile(tmp_path / "trace", calls),
    ):
        pass
    assert not (tmp_path / "trace").exists()


def test_a_run_too_short_to_trace_says_so(tmp_path):
    with (  # noqa: PT031 - the warning comes when the inner block ends
        pytest.warns(ProfileWarning, match=r"ended after 2 calls, before call 6"),
        profile(tmp_path, (5, 6)) as trace,
    ):
        trace(seen(1))
        trace(seen(2))
    assert list(tmp_path.iterdir()) == []
