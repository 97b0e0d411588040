"""What a compiled program costs, read from its text (XLA's optimised HLO).

Counted, not timed: the same program gives the same counts on any machine. A TPU's
compiler writes `estimated_cycles` beside most instructions, which are summed; a GPU's
does not, and what is counted there is launches of kernels. An instruction in a loop
counts as often as the loop runs, and a loop in a loop again.

Not seen: what happens inside a library call (`EighTpu`, `cusolver_syevd_ffi`), whose
iterations are its own, and overlap of instructions that can run side by side.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

ITEM_BYTES = {
    **dict.fromkeys(("pred", "s8", "u8", "f8e4m3fn", "f8e5m2"), 1),
    **dict.fromkeys(("bf16", "f16", "s16", "u16"), 2),
    **dict.fromkeys(("f32", "s32", "u32"), 4),
    **dict.fromkeys(("f64", "s64", "u64", "c64"), 8),
}
COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "reduce-scatter",
    "collective-permute",
)
SILENT = frozenset(
    (
        *("parameter", "constant", "tuple", "get-tuple-element", "bitcast"),
        *("after-all", "partition-id", "replica-id", "while", "call", "conditional"),
        *("opt-barrier", "add-dependency", "domain"),
    )
)
"""Instructions that launch nothing by themselves."""
NOT_LAUNCHED = ("AllocateBuffer", "Sharding", "SPMDFullToShardShape")
"""Custom calls that only reserve memory or carry a note."""

PHASES = (
    ("targets", r"\btargets\b"),
    ("sampling", r"\bsampling\b"),
    ("update", r"\bupdate\b"),
    ("backward", r"transpose\("),
    ("forward", r"jvp\("),
)
"""Parts of a training step, by the names that the traced program has; first match."""
OTHER = "other"
"""Copies of loop states and what the compiler gives no name."""


class Instruction(NamedTuple):
    """One line of a computation.

    Attributes:
        opcode: `fusion`, `copy`, `while`, ...
        shape: of the result, as it is written.
        cycles: that the compiler estimates; 0 where it does not.
        scope: where it comes from in the traced program, or "".
        line: all of it.
    """

    opcode: str
    shape: str
    cycles: int
    scope: str
    line: str


class Program(NamedTuple):
    """A compiled program: its computations by name, and the one that is run."""

    computations: dict[str, list[Instruction]]
    entry: str


def read_program(text: str) -> Program:
    """Parse the text of a compiled program.

    Args:
        text: of `Compiled.as_text()`.

    Returns:
        The program.

    Raises:
        ValueError: if no computation is marked as the entry.
    """
    computations: dict[str, list[Instruction]] = {}
    entry, lines = None, None
    for line in text.splitlines():
        head = re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$", line)
        if head:
            lines = computations[head[2]] = []
            entry = head[2] if head[1] else entry
        elif line.startswith("}"):
            lines = None
        elif lines is not None and " = " in line:
            lines.append(read_instruction(line))
    if entry is None:
        raise ValueError(
            "the text has no ENTRY computation; expected what Compiled.as_text() gives."
        )
    return Program(computations, entry)


def read_instruction(line: str) -> Instruction:
    """Parse one line `%name = shape opcode(operands), attributes`."""
    right = line.split(" = ", 1)[1]
    end = _closing(right) if right.startswith("(") else right.index(" ")
    shape, rest = right[:end], right[end:].strip()
    cycles = re.search(r'"estimated_cycles":"(\d+)"', rest)
    scope = re.search(r'op_name="([^"]*)"', rest)
    return Instruction(
        opcode=rest.split("(", 1)[0],
        shape=shape,
        cycles=int(cycles[1]) if cycles else 0,
        scope=scope[1] if scope else "",
        line=line,
    )


def _closing(text: str) -> int:
    """Index after the bracket that closes the first one."""
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return index + 1
    raise ValueError(f"a shape does not end: {text[:80]}")


def trip_count(program: Program, loop: Instruction) -> int | None:
    """How often a loop runs: as the compiler notes it, or by the bound it tests.

    Args:
        program: that the loop is in.
        loop: a `while`.

    Returns:
        None where it depends on the data.
    """
    noted = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.line)
    if noted:
        return int(noted[1])
    condition = program.computations.get(_named(loop.line, "condition"), [])
    # A counted loop tests one counter, from 0, against one constant.
    tests = [i for i in condition if i.opcode == "compare" and "direction=LT" in i.line]
    bounds = [
        int(value)
        for i in condition
        for value in re.findall(r"\bs32\[\]\S* constant\((\d+)\)", i.line)
    ]
    return bounds[0] if len(tests) == len(bounds) == 1 and len(condition) <= 5 else None


def _named(line: str, attribute: str) -> str:
    match = re.search(rf"\b{attribute}=%?([\w.\-]+)", line)
    return match[1] if match else ""


def _branches(instruction: Instruction) -> list[str]:
    """Computations that a call or a conditional runs."""
    line = instruction.line
    listed = re.search(r"(?:branch_computations|called_computations)=\{([^}]*)\}", line)
    names = [name.strip(" %") for name in listed[1].split(",")] if listed else []
    single = ("to_apply", "true_computation", "false_computation")
    return names + [name for a in single if (name := _named(line, a))]


class Walk(NamedTuple):
    """Instructions with how often they run, and the loops whose count is not known."""

    steps: list[tuple[Instruction, int]]
    unknown_loops: int


def walk(program: Program) -> Walk:
    """Every instruction that is run, with the number of times.

    A loop of unknown count is taken as one that runs once, and is counted; every
    branch of a conditional is taken once.

    Args:
        program: of `read_program`.

    Returns:
        The walk.
    """
    steps: list[tuple[Instruction, int]] = []
    unknown = 0

    def visit(name: str, times: int) -> None:
        nonlocal unknown
        for instruction in program.computations.get(name, []):
            steps.append((instruction, times))
            if instruction.opcode == "while":
                trips = trip_count(program, instruction)
                unknown += trips is None
                body = _named(instruction.line, "body")
                visit(body, times * (1 if trips is None else trips))
            elif instruction.opcode in ("call", "conditional"):
                for branch in _branches(instruction):
                    visit(branch, times)

    visit(program.entry, 1)
    return Walk(steps, unknown)


def shape_bytes(shape: str) -> int:
    """Bytes of the arrays of a shape, without the padding of a layout."""
    arrays = re.findall(r"\b([a-z]+\d*\w*)\[([\d,]*)\]", shape)
    return sum(
        ITEM_BYTES.get(kind, 0)
        * math.prod(int(size) for size in sizes.split(",") if size)
        for kind, sizes in arrays
    )


def phase(scope: str) -> str:
    """The part of a training step that an instruction is of."""
    for name, pattern in PHASES:
        if re.search(pattern, scope):
            return name
    return OTHER


def is_launch(instruction: Instruction) -> bool:
    """Whether a GPU is given a kernel, or a call of a library, for it."""
    opcode = instruction.opcode
    if opcode in SILENT or opcode.endswith("-done"):
        return False
    return opcode != "custom-call" or not any(
        f'"{name}"' in instruction.line for name in NOT_LAUNCHED
    )


class Costs(NamedTuple):
    """What one call of a program costs.

    Attributes:
        cycles: estimated, of all instructions; 0 where the compiler gives none.
        launches: kernels and library calls.
        copies: of the cycles, those of copies between layouts or memories.
        cycles_by: phase -> cycles.
        launches_by: phase -> launches.
        collectives: opcode -> bytes of the result of each, one entry for each run.
        library_calls: name -> times.
        unknown_loops: loops whose count depends on the data, taken as 1.
    """

    cycles: int
    launches: int
    copies: int
    cycles_by: dict[str, int]
    launches_by: dict[str, int]
    collectives: dict[str, list[int]]
    library_calls: dict[str, int]
    unknown_loops: int


def costs(text: str) -> Costs:
    """Count a compiled program.

    Args:
        text: of `Compiled.as_text()`.

    Returns:
        The counts of one call.
    """
    steps, unknown = walk(read_program(text))
    names = [name for name, _ in PHASES] + [OTHER]
    cycles_by, launches_by = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    copies, collectives, calls = 0, {}, {}
    for instruction, times in steps:
        part = phase(instruction.scope)
        cycles_by[part] += times * instruction.cycles
        launches_by[part] += times * is_launch(instruction)
        if re.match("copy|transpose", instruction.opcode):
            copies += times * instruction.cycles
        opcode = instruction.opcode.removesuffix("-start")
        if opcode in COLLECTIVES:
            sizes = [shape_bytes(instruction.shape)] * times
            collectives.setdefault(opcode, []).extend(sizes)
        if opcode == "custom-call" and is_launch(instruction):
            target = re.search(r'custom_call_target="([^"]+)"', instruction.line)
            name = target[1] if target else "?"
            calls[name] = calls.get(name, 0) + times
    return Costs(
        cycles=sum(cycles_by.values()),
        launches=sum(launches_by.values()),
        copies=copies,
        cycles_by=cycles_by,
        launches_by=launches_by,
        collectives=collectives,
        library_calls=calls,
        unknown_loops=unknown,
    )


def dearest(text: str, count: int) -> Iterator[tuple[int, int, str]]:
    """Where the cycles go: `(cycles, times, scope)` of the dearest scopes.

    Args:
        text: of `Compiled.as_text()`.
        count: how many.

    Yields:
        The largest first.
    """
    totals: dict[str, list[int]] = {}
    for instruction, times in walk(read_program(text)).steps:
        entry = totals.setdefault(f"{instruction.opcode}: {instruction.scope}", [0, 0])
        entry[0] += times * instruction.cycles
        entry[1] += times * is_launch(instruction)
    for scope, (cycles, launches) in sorted(
        totals.items(), key=lambda item: item[1], reverse=True
    )[:count]:
        yield cycles, launches, scope
