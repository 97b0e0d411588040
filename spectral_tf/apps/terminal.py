"""Standard output and error as they are found: any encoding, a closed pipe, none."""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

CLOSED_PIPE = 141
"""Exit code when the reader of the output has gone: 128 + SIGPIPE, as in a shell."""

_SUBSTITUTES = {
    **dict.fromkeys("–—−‐", "-"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
    **dict.fromkeys("─━╸╺═", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("•·∙", "*"),
    **{"±": "+-", "×": "x", "÷": "/", "…": "...", "≤": "<=", "≥": ">=", "≈": "~"},
    **{"λ": "lambda", "σ": "sigma", "µ": "u", "°": " deg", "→": "->", "←": "<-"},
    **{"\N{NO-BREAK SPACE}": " ", "\N{INFINITY}": "inf"},
}
HANDLER = "spectral_tf.substitutes"
"""Name of what stands in for a letter, as `errors=` of a stream."""


def _substituted(error: UnicodeError) -> tuple[str | bytes, int]:
    r"""A sign as ASCII, anything else by its code: `\u540d`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = ""
    for place in range(error.start, error.end):
        letter = error.object[place]
        escape = letter.encode("ascii", "backslashreplace").decode("ascii")
        text += _SUBSTITUTES.get(letter, escape)
    return text, error.end


codecs.register_error(HANDLER, _substituted)


@contextlib.contextmanager
def readable_streams() -> Iterator[None]:
    r"""Let standard output and error write every letter, whatever their encoding.

    A letter that the encoding lacks becomes ASCII that can be read: `+-` for `±`, the
    escape `\u540d` for a Japanese one. What the streams did before is restored.

    Yields:
        Nothing.
    """
    streams = [
        stream
        for stream in (sys.stdout, sys.stderr)
        if isinstance(stream, io.TextIOWrapper)
    ]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors=HANDLER)
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            with contextlib.suppress(OSError, ValueError):  # flushes first
                stream.reconfigure(errors=errors)


def abandon(*streams: Any) -> bool:
    """Flush streams; what they cannot write goes nowhere.

    Python flushes its streams when it ends, and would complain there once more.

    Args:
        streams: that may be closed, or have lost their reader.

    Returns:
        True if everything was written.
    """
    is_whole = True
    for stream in streams:
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            is_whole = False
            with contextlib.suppress(OSError, ValueError):
                _redirect(stream)
    return is_whole


def _redirect(stream: Any) -> None:
    """Let a stream write to nowhere."""
    if stream is None:
        return
    target = stream.fileno()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, target)
    finally:
        os.close(nowhere)
    stream.flush()
