"""The commands write a log, and `audit` makes their decisions again."""

import contextlib
import hashlib
import io
import json
from typing import Any

import jax
import numpy as np
import pytest

from spectral_tf.apps.analysis.record import power_method_digest
from spectral_tf.apps.audit import append_entry, find_entry, start_log, verify_log
from spectral_tf.apps.cli import main
from spectral_tf.apps.report import table_figures
from spectral_tf.model.network import Network
from spectral_tf.model.params import init_params, save_weights
from spectral_tf.model.presets import model_preset

COMMANDS = {
    "detect": ["--top", "2", "--n-components", "3"],
    "cluster": ["--n-clusters", "2"],
    "pca": ["--n-components", "2"],
}


def run(*arguments):
    """`(exit code, stdout, stderr)` of the program."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


def write_table(path):
    """90 rows in two groups, two of the rows out of the plane of the others."""
    rng = np.random.default_rng(3)
    x = (
        rng.normal(size=(90, 2)) @ rng.normal(size=(2, 5))
        + 7 * (np.arange(90) % 2)[:, None]
    )
    x += 0.05 * rng.normal(size=x.shape)
    x[[10, 41], [4, 1]] += 3.0
    np.savetxt(path, x, delimiter=",", header="a,b,c,d,e", comments="", fmt="%.9f")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table, and the folder and output of each command on it."""
    folder = tmp_path_factory.mktemp("made")
    table, said = write_table(folder / "table.csv"), {}
    for command, flags in COMMANDS.items():
        where = ["--out", folder / command, "--audit", folder / "long.jsonl"]
        code, said[command], err = run(
            command, table, *flags, *where, "--engine", "exact"
        )
        assert (code, err) == (0, "")
    return folder, said


def forged(folder, entry, **decision):
    """A log with the same entry but for some of the decision; its chain is good."""
    names = {"id", "n", "previous", "sha256"}
    body: Any = {name: value for name, value in entry.items() if name not in names}
    body["decision"] = body["decision"] | decision
    start_log(folder / "audit.jsonl", body)
    return folder / "audit.jsonl"


def checks(log, *flags):
    """Exit code, and check -> whether it is the same."""
    code, out, err = run("audit", "show", log, "last", "--json", *flags)
    assert err == ""
    return code, {one["name"]: one["is_same"] for one in json.loads(out)["checks"]}


def test_the_entry_says_what_was_done_to_what(made):
    folder, said = made
    entry = find_entry(folder / "detect" / "audit.jsonl", "last")
    raw = (folder / "table.csv").read_bytes()
    assert entry["input"]["sha256"] == hashlib.sha256(raw).hexdigest()
    assert entry["input"]["path"] == str((folder / "table.csv").resolve())
    assert entry["command"]["name"] == "detect"
    assert entry["command"]["arguments"]["top"] == 2
    assert (entry["seed"], entry["schema"]["rows"]) == (0, 90)
    assert [one["name"] for one in entry["schema"]["columns"]] == list("abcde")
    assert entry["engine"] == {
        "name": "exact",
        "reason": "as asked",
        "sha256": {},
        "weights": None,
    }
    assert entry["certificate"]["certified"] == len(entry["certificate"]["status"])
    assert {"jax", "numpy", "spectral_tf"} <= entry["versions"].keys()
    assert entry["device"]["platform"] == jax.default_backend()
    decision = entry["decision"]
    assert {one["row"] for one in decision["alarms"]} >= {11, 42}
    assert all(one["score"] > decision["threshold"] for one in decision["alarms"])
    assert len(decision["alarms"][0]["features"]) == 3
    assert f"Audit entry {entry['id']} in audit.jsonl" in said["detect"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_value_of_the_table_is_in_a_log(command, made):
    folder, _ = made
    log = (folder / command / "audit.jsonl").read_text()
    cells = np.loadtxt(folder / "table.csv", delimiter=",", skiprows=1).ravel()
    assert [cell for cell in cells if f"{cell:.6f}"[:-1] in log] == []


def test_the_longer_log_has_the_same_entries(made):
    folder, said = made
    verdict = verify_log(folder / "long.jsonl")
    assert (verdict.is_intact, verdict.entries) == (True, 3)
    for command in COMMANDS:
        own = find_entry(folder / command / "audit.jsonl", "last")
        other = find_entry(folder / "long.jsonl", own["id"])
        chain = {"n", "previous", "sha256"}
        assert {k: v for k, v in own.items() if k not in chain} == {
            k: v for k, v in other.items() if k not in chain
        }
        for entry in (own, other):
            assert f"head {entry['sha256']}" in said[command]
        summary = json.loads((folder / command / "summary.json").read_text())
        heads = [receipt["head"] for receipt in summary["audit"]]
        assert heads == [own["sha256"], other["sha256"]]
        assert {"audit.head", "audit.jsonl"} <= set(summary["files"])
        assert summary["files"] == sorted(p.name for p in (folder / command).iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_decision_is_confirmed(command, made):
    folder, _ = made
    code, out, err = run("audit", "show", folder / command / "audit.jsonl", "last")
    assert (code, err) == (0, "")
    assert "DIFFERS" not in out
    assert out.rstrip().endswith("The decision is confirmed.")
    assert str(folder / "table.csv") in out
    for name in {
        "detect": ["threshold", "alarms", "scores"],
        "pca": ["eigenvalues"],
    }.get(command, ["sizes", "labels"]):
        assert f"same     {name}: " in out


def test_an_entry_of_an_earlier_construction_is_confirmed(tmp_path):
    table = write_table(tmp_path / "table.csv")
    flags = ["--n-components", "2", "--engine", "constructed"]
    assert run("pca", table, *flags, "--out", tmp_path / "pca")[0] == 0
    entry = find_entry(tmp_path / "pca" / "audit.jsonl", "last")
    kept = len(entry["certificate"]["status"])
    for digest, is_known in (
        (power_method_digest(kept, (90, 5)), True),
        ("0" * 64, False),
    ):
        names = {"id", "n", "previous", "sha256"}
        body: Any = {name: v for name, v in entry.items() if name not in names}
        body["engine"] = body["engine"] | {"sha256": {"constructed": digest}}
        folder = tmp_path / digest[:4]
        folder.mkdir()
        start_log(folder / "audit.jsonl", body)
        code, said = checks(folder / "audit.jsonl")
        assert said["weights"] is is_known
        assert code == (0 if is_known else 1)


def test_an_entry_of_an_earlier_default_network_is_confirmed(tmp_path, monkeypatch):
    table = write_table(tmp_path / "table.csv")
    flags = ["--n-components", "2", "--engine", "pretrained", "--out", tmp_path / "pca"]
    with monkeypatch.context() as patch:
        patch.setattr("spectral_tf.estimators.networks.DEFAULT", "pca-base-1")
        assert run("pca", table, *flags)[0] == 0
    log = tmp_path / "pca" / "audit.jsonl"
    digest = find_entry(log, "last")["engine"]["sha256"]["pretrained"]
    code, out, err = run("audit", "show", log, "last")
    assert (code, err) == (0, "")
    assert digest in out
    assert out.rstrip().endswith("The decision is confirmed.")


@pytest.mark.parametrize("is_named", [True, False])
def test_an_entry_of_the_residual_is_confirmed_whatever_the_default(is_named, tmp_path):
    """Without a judge it is older than the choice, and means the residual."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 4))
    x += 0.1 * rng.normal(size=x.shape)
    x[[3, 9]] += [[2, 0, 0, 0], [9, 9, 9, 9]]
    np.save(tmp_path / "t.npy", x)
    flags = ["--engine", "exact", "--out", tmp_path / "o", "--judge", "residual"]
    assert run("detect", tmp_path / "t.npy", *flags)[0] == 0
    log = tmp_path / "o" / "audit.jsonl"
    entry = find_entry(log, "last")
    assert entry["command"]["arguments"]["judge"] == "residual"
    if not is_named:
        del entry["command"]["arguments"]["judge"]
        (tmp_path / "old").mkdir()
        log = forged(tmp_path / "old", entry)
    code, same = checks(log)
    assert code == 0
    assert set(same.values()) == {True}
    entry["command"]["arguments"]["judge"] = "combined"
    (tmp_path / "other").mkdir()
    assert checks(forged(tmp_path / "other", entry))[0] == 1


def test_other_data_is_named_and_what_follows_from_it(made, tmp_path):
    folder, _ = made
    log, copy = folder / "detect" / "audit.jsonl", tmp_path / "copy.csv"
    copy.write_bytes((folder / "table.csv").read_bytes())
    assert checks(log, "--data", copy) == (0, dict.fromkeys(checks(log)[1], True))
    lines = copy.read_text().splitlines()
    lines[11] = lines[12]  # one of the two strange rows is gone
    copy.write_text("\n".join(lines) + "\n")
    code, found = checks(log, "--data", copy)
    assert code == 1
    assert {name for name, same in found.items() if not same} >= {"input", "alarms"}
    code, out, _ = run("audit", "show", log, "last", "--data", copy)
    assert code == 1
    assert "no longer: row 11" in out
    assert "The decision is NOT confirmed" in out
    code, out, err = run("audit", "show", log, "last", "--data", tmp_path / "no.csv")
    assert (code, out) == (2, "")
    assert "no.csv' is not a file" in err


def test_a_forged_decision_is_told_from_the_true_one(made, tmp_path):
    """The chain is in order; only the second run can say it."""
    folder, _ = made
    entry = find_entry(folder / "detect" / "audit.jsonl", "last")
    alarms, threshold = entry["decision"]["alarms"], entry["decision"]["threshold"]
    features = [{"column": "a", "share": 1.0}]
    first = alarms[0]
    cases: list[tuple[dict, set]] = [
        ({"threshold": threshold * (1 + 1e-5)}, {"threshold"}),
        ({"threshold": threshold * (1 + 1e-8)}, set()),
        ({"alarms": alarms[1:]}, {"alarms"}),
        ({"alarms": [*alarms, first | {"row": 7}]}, {"alarms"}),
        ({"alarms": [first | {"score": 9.0}, *alarms[1:]]}, {"scores"}),
        ({"alarms": [first | {"features": features}, *alarms[1:]]}, {"reasons"}),
    ]
    for place, (changed, expected) in enumerate(cases):
        (tmp_path / str(place)).mkdir()
        code, found = checks(forged(tmp_path / str(place), entry, **changed))
        assert {name for name, same in found.items() if not same} == expected
        assert code == int(bool(expected))


@pytest.mark.parametrize(
    ("command", "changed", "expected"),
    [
        ("cluster", {"sizes": [44, 46]}, {"sizes"}),
        ("cluster", {"labels_sha256": "0" * 64}, {"labels"}),
        ("pca", {"eigenvalues": [4.0, 1.0]}, {"eigenvalues"}),
        ("pca", {"eigenvalues": [4.0]}, {"eigenvalues"}),
    ],
)
def test_a_forged_answer_of_the_other_commands(
    command, changed, expected, made, tmp_path
):
    entry = find_entry(made[0] / command / "audit.jsonl", "last")
    code, found = checks(forged(tmp_path, entry, **changed))
    assert code == 1
    assert {name for name, same in found.items() if not same} == expected


def test_other_weights_are_named(tmp_path):
    """The constructed engine and the trained one, each with its digest."""
    table, weights = write_table(tmp_path / "table.csv"), tmp_path / "weights"
    config = model_preset("equivariant")
    save_weights(weights, Network(config, init_params(config, jax.random.key(0))))
    flags = ["--n-components", "2", "--weights", weights]
    assert run("pca", table, *flags, "--out", tmp_path / "out")[0] == 0
    log = tmp_path / "out" / "audit.jsonl"
    entry = find_entry(log, "last")
    assert entry["engine"]["sha256"].keys() == {"constructed", "pretrained"}
    assert checks(log) == (0, dict.fromkeys(checks(log)[1], True))
    for path in weights.iterdir():
        path.unlink()
    weights.rmdir()
    assert run("audit", "show", log, "last")[0] == 2
    save_weights(weights, Network(config, init_params(config, jax.random.key(1))))
    code, found = checks(log)
    assert code == 1
    assert {name for name, same in found.items() if not same} == {"weights"}


def test_verify_says_so_and_where(tmp_path):
    log = tmp_path / "audit.jsonl"
    entry = {"command": "pca", "threshold": 1.25}
    receipt = [append_entry(log, entry) for _ in range(3)][-1]
    code, out, _ = run("audit", "verify", log)
    assert code == 0
    assert f"is intact: 3 entries, head {receipt.head}" in out
    append_entry(log, {"command": "pca"})
    code, out, _ = run("audit", "verify", log, "--expect", receipt.head)
    assert (code, "1 was added since" in out) == (0, True)
    assert run("audit", "verify", log, "--expect", "f" * 64)[0] == 1
    lines = log.read_bytes().splitlines(keepends=True)
    name = json.loads(lines[2])["id"]
    lines[2] = lines[2].replace(b"1.25", b"1.24")
    log.write_bytes(b"".join(lines))
    code, out, _ = run("audit", "verify", log)
    assert code == 1
    assert f"NOT intact: line 3 (id {name}): it was altered" in out
    code, out, _ = run("audit", "verify", log, "--json")
    document = json.loads(out)
    assert (code, document["is_intact"], document["entries"]) == (1, False, 1)
    assert (document["fault"]["line"], document["fault"]["id"]) == (3, name)


def test_an_entry_of_a_damaged_log_is_run_again_but_not_confirmed(made, tmp_path):
    for end in ("jsonl", "head"):
        copied = (made[0] / "detect" / f"audit.{end}").read_bytes()
        (tmp_path / f"audit.{end}").write_bytes(copied)
    (tmp_path / "audit.head").unlink()
    code, out, _ = run("audit", "show", tmp_path / "audit.jsonl", "last")
    assert code == 1
    assert "DIFFERS" not in out
    assert "NOT intact" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "absent.jsonl"], "there is no audit log absent.jsonl"),
        (["verify", "table.csv"], "must be a file whose name ends in .jsonl"),
        (["verify", "absent.jsonl", "--expect", "12"], "64 hexadecimal digits"),
        (["show", "absent.jsonl", "last"], "there is no audit log absent.jsonl"),
        (["show", "mine.jsonl", "zz"], "no entry has an id that begins with 'zz'"),
        (["show", "mine.jsonl", "last"], "of no command that can be run again"),
    ],
)
def test_bad_input_is_exit_code_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    append_entry(tmp_path / "mine.jsonl", {"command": "of another program"})
    code, out, err = run("audit", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err


def test_no_results_without_an_entry(tmp_path, monkeypatch):
    table, log = write_table(tmp_path / "table.csv"), tmp_path / "mine.jsonl"
    start = ["pca", table, "--engine", "exact", "--audit"]
    inside = tmp_path / "out" / "mine.jsonl"
    code, _, err = run(*start, inside, "--out", tmp_path / "out")
    assert (code, "choose another folder" in err) == (2, True)
    code, _, err = run(*start, tmp_path / "mine.log", "--out", tmp_path / "out")
    assert (code, "ends in .jsonl" in err) == (2, True)
    append_entry(log, {"command": "pca"})
    before = log.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(table_figures, "scree_figure", fail)
        assert run(*start, log, "--out", tmp_path / "out")[0] == 2
    assert log.read_bytes() == before
    log.write_bytes(before + b"{}\n")
    code, _, err = run(*start, log, "--out", tmp_path / "out")
    assert (code, "no writer left there" in err) == (2, True)
    assert not (tmp_path / "out").exists()
