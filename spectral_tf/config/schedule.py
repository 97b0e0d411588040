"""Which block's weights run at each place of a forward pass, as a short text.

`"0 (1 2)*3 3"` runs block 0, then blocks 1 and 2 three times, then block 3: eight
blocks with four sets of weights. Repeats may be nested: `"0 ((1 2)*3 3)*2"`.
"""

import functools
import re

from spectral_tf.config.base import require
from spectral_tf.config.wording import counted

# A bracket that opens, one that closes with its repeats, or a block with or without.
_TOKEN = re.compile(r"\s*(?:(\()|\)\s*\*\s*(\d+)\b|(\d+)\b(?:\s*\*\s*(\d+)\b)?)")
MOST_BLOCKS = 10_000_000


@functools.lru_cache(maxsize=256)
def parse_schedule(text: str) -> tuple[int, ...]:
    """Block indices of a schedule, in the order in which they run.

    Args:
        text: indices, and groups `( ... )*n` or `i*n`, separated by spaces.

    Returns:
        One index per place.

    Raises:
        ConfigError: if the text cannot be read, is empty, repeats zero times, or does
            not use every index from 0 up to its largest.
    """
    stack: list[list[int]] = [[]]
    position, text = 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        is_closing = match is not None and match[2] is not None
        require(
            match is not None and not (is_closing and len(stack) == 1),
            f"schedule {text!r} cannot be read from {text[position:]!r} on; write "
            "block indices and groups with repeats, e.g. '0 (1 2)*3 3'.",
        )
        assert match is not None
        position = match.end()
        if match[1]:
            stack.append([])
            continue
        body = stack.pop() if is_closing else [int(match[3])]
        count = int(match[2] if is_closing else match[4] or 1)
        require(
            1 <= count * len(body) <= MOST_BLOCKS,
            f"schedule {text!r} repeats {counted(len(body), 'block')} "
            f"{counted(count, 'time')}; that must be 1 to {MOST_BLOCKS} blocks.",
        )
        stack[-1].extend(body * count)
    require(
        len(stack) == 1 and bool(stack[0]),
        f"schedule {text!r} has no blocks or an open bracket; close it with ')*n'.",
    )
    blocks = tuple(stack[0])
    unused = sorted(set(range(max(blocks))) - set(blocks))
    require(
        not unused,
        f"schedule {text!r} never runs the blocks {unused[:5]}; number those that "
        "have weights 0, 1, 2, ... without a gap.",
    )
    return blocks
