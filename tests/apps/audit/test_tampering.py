"""Whatever is done to a log or to its head is seen, and where."""

import json
import random
import re
from collections.abc import Callable

import pytest

from spectral_tf.apps.audit import append_entry, verify_log
from spectral_tf.apps.audit.lines import sealed

ANY = object()
"""The fault is somewhere in the files; which line is a matter of the bytes."""


def flip(rng, lines, head):
    """One bit of one byte; the newline counts as part of its line."""
    place = rng.randrange(len(lines))
    raw = bytearray(lines[place])
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return [*lines[:place], bytes(raw), *lines[place + 1 :]], head, place + 1


def another_spelling(rng, lines, head):
    """The same JSON in other bytes."""
    place = rng.randrange(len(lines))
    loose = json.dumps(json.loads(lines[place]), separators=rng.choice([(",", ": ")]))
    spaced = lines[place][:-1] + b" \n"
    changed = rng.choice([loose.encode() + b"\n", spaced])
    return [*lines[:place], changed, *lines[place + 1 :]], head, place + 1


def delete(rng, lines, head):
    low = rng.randrange(len(lines))
    high = rng.randrange(low + 1, len(lines) + 1)
    return lines[:low] + lines[high:], head, low + 1


def duplicate(rng, lines, head):
    place, target = rng.randrange(len(lines)), rng.randrange(len(lines) + 1)
    copied = [*lines[:target], lines[place], *lines[target:]]
    first = next((i for i, line in enumerate(lines) if line != copied[i]), len(lines))
    return copied, head, first + 1


def swap(rng, lines, head):
    one, other = sorted(rng.sample(range(len(lines)), 2))
    swapped = list(lines)
    swapped[one], swapped[other] = lines[other], lines[one]
    return swapped, head, one + 1


def insert(rng, lines, head):
    """Any text, or an entry that continues the chain."""
    place = rng.randrange(1, len(lines) + 1)
    before = json.loads(lines[place - 1])
    good = sealed({"command": "detect"}, "0" * 16, before["n"] + 1, before["sha256"])
    added = rng.choice([b"\n", b"{}\n", b"# a comment\n", rng.randbytes(40), good])
    # A good one is in its place: the line that follows it is not, or where it stands
    # in the place of the last, the head says that it is another.
    after = added == good and place < len(lines) - 1
    return [*lines[:place], added, *lines[place:]], head, place + 1 + after


def truncate(rng, lines, head):
    """At any byte."""
    raw = b"".join(lines)
    cut = rng.randrange(len(raw))
    return [raw[:cut]], head, raw[:cut].count(b"\n") + 1


def edit_number(rng, lines, head):
    """Another number; the line is JSON as before."""
    place = rng.randrange(len(lines))
    numbers = list(re.finditer(rb"(?<=[:\[])-?\d+(\.\d+)?(?=[,}\]])", lines[place]))
    number = rng.choice(numbers)
    value = rng.choice([b"0", b"17", b"-3.25", b"1" + number[0]])
    changed = lines[place][: number.start()] + value + lines[place][number.end() :]
    json.loads(changed)
    return [*lines[:place], changed, *lines[place + 1 :]], head, place + 1


def edit_and_seal(rng, lines, head):
    """Another threshold, with the digests of that line made to fit."""
    place = rng.randrange(1, len(lines))
    entry = json.loads(lines[place])
    body = {
        n: v for n, v in entry.items() if n not in ("id", "n", "previous", "sha256")
    }
    body["threshold"] = rng.uniform(0, 9)
    changed = sealed(body, entry["id"], entry["n"], entry["previous"])
    blamed = min(place + 2, len(lines))  # the line that no longer continues it
    return [*lines[:place], changed, *lines[place + 1 :]], head, blamed


def seal_all_anew(rng, lines, head):
    """From one line on, the whole chain is made to fit; only the head is not."""
    start = rng.randrange(1, len(lines))
    previous, new = json.loads(lines[start - 1])["sha256"], list(lines[:start])
    for line in lines[start:]:
        entry = json.loads(line)
        body = {
            n: v for n, v in entry.items() if n not in ("id", "n", "previous", "sha256")
        }
        new.append(
            sealed(body | {"x": rng.random()}, entry["id"], entry["n"], previous)
        )
        previous = json.loads(new[-1])["sha256"]
    return new, head, len(lines)


def flip_head(rng, lines, head):
    raw = bytearray(head)
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return lines, bytes(raw), ANY


def edit_head(rng, lines, head):
    """Another number or digest, spelled as a head is."""
    found = json.loads(head)
    name = rng.choice(["entries", "size", "sha256", "log", "format"])
    old = found[name]
    found[name] = old[::-1] + "0" if isinstance(old, str) else rng.randrange(10**4)
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return lines, text.encode() + b"\n", ANY


def lose_head(rng, lines, head):
    del rng, head
    return lines, None, None


def empty_head(rng, lines, head):
    return lines, head[: rng.randrange(len(head))], None


def lose_log(rng, lines, head):
    del rng, lines
    return None, head, 1


TAMPERINGS: list[Callable] = [
    flip,
    another_spelling,
    delete,
    duplicate,
    swap,
    insert,
    truncate,
    edit_number,
    edit_and_seal,
    seal_all_anew,
    flip_head,
    edit_head,
    lose_head,
    empty_head,
    lose_log,
]


def put(path, content):
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(content)


def tamper(log, count, seed):
    """Undetected and misplaced tamperings among `count`."""
    rng = random.Random(seed)
    beside = log.with_suffix(".head")
    raw, head = log.read_bytes(), beside.read_bytes()
    lines, done, wrong = raw.splitlines(keepends=True), 0, []
    while done < count:
        how = TAMPERINGS[done % len(TAMPERINGS)]
        new, new_head, where = how(rng, list(lines), head)
        new_raw = None if new is None else b"".join(new)
        if (new_raw, new_head) == (raw, head):
            continue
        put(log, new_raw)
        put(beside, new_head)
        fault = verify_log(log).fault
        if fault is None or (where is not ANY and fault.line != where):
            wrong.append((how.__name__, where, fault))
        done += 1
    put(log, raw)
    put(beside, head)
    assert verify_log(log).is_intact
    return wrong


def test_500_tamperings_are_seen_in_their_line(log):
    assert tamper(log, 500, seed=0) == []


@pytest.mark.long
def test_10000_tamperings_are_seen_in_their_line(log):
    assert tamper(log, 10_000, seed=1) == []


def test_every_byte_of_the_log_and_of_the_head_counts(tmp_path):
    log = tmp_path / "audit.jsonl"
    append_entry(log, {"command": "detect", "threshold": 1.25})
    for path in (log, log.with_suffix(".head")):
        raw = path.read_bytes()
        for place, byte in enumerate(raw):
            other = byte ^ (1 << place % 8)
            path.write_bytes(raw[:place] + bytes([other]) + raw[place + 1 :])
            assert not verify_log(log).is_intact, (path.name, place, other)
        path.write_bytes(raw)
    assert verify_log(log).is_intact


def test_a_rewritten_log_and_head_need_the_digest_that_was_kept(log, tmp_path):
    kept = verify_log(log).last
    grown = append_entry(log, {"command": "pca"}).head
    verdict = verify_log(log, kept)
    assert (verdict.is_intact, verdict.since) == (True, 1)
    assert verify_log(log, grown).since == 0
    forged = tmp_path / "forged" / "audit.jsonl"
    for _ in range(8):
        append_entry(forged, {"command": "pca"})
    for end in (".jsonl", ".head"):
        log.with_suffix(end).write_bytes(forged.with_suffix(end).read_bytes())
    assert verify_log(log).is_intact, "nothing inside the files can show this"
    verdict = verify_log(log, kept)
    assert not verdict.is_intact
    assert verdict.fault is not None
    assert "the log was rewritten" in verdict.fault.sentence()
