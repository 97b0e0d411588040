"""What every `run.py` does around its measurement: options, a free folder, the file.

A script stands in a folder of its own and adds the repository to its path for this.
"""

import argparse
import datetime
import json
import math
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax

from spectral_tf.training import versions


def options(
    script: str,
    description: str | None,
    *,
    smoke: str,
    written: Iterable[str] = (),
    more: Callable[[argparse.ArgumentParser], object] | None = None,
) -> argparse.Namespace:
    """`smoke`, `out` and what `more` adds; ends the program where results would go.

    Without `--out` the results go to `results/` beside the script, those of a smoke,
    which mean nothing, to a new temporary folder.

    Args:
        script: `__file__` of the experiment.
        description: its `__doc__`, of which the first line is shown.
        smoke: what `--smoke` does.
        written: files of `out` that are never replaced; one that exists is refused.
        more: adds options to the parser.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help=smoke)
    parser.add_argument("--out", type=Path, help="folder of the results")
    if more is not None:
        more(parser)
    args = parser.parse_args()
    if args.out is None:
        beside = Path(script).parent / "results"
        args.out = Path(tempfile.mkdtemp()) if args.smoke else beside
    refuse_taken(args.out, written)
    jax.config.update("jax_disable_most_optimizations", args.smoke)  # compile fast
    return args


def refuse_taken(out: Path, names: Iterable[str]) -> None:
    """End the program, as for a wrong option, if one of these files is in `out`."""
    for name in names:
        if (out / name).exists():
            print(f"{out / name} exists; move it, or give --out", file=sys.stderr)
            raise SystemExit(2)


def circumstances() -> dict[str, Any]:
    """When, with which versions and on what this runs; part of every document."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "date": now.isoformat(timespec="seconds"),
        "versions": versions() | {"python": platform.python_version()},
        "machine": f"{platform.machine()}, {jax.default_backend()}",
    }


def finite(value: Any) -> Any:
    """NaN and infinity to None, for JSON."""
    if isinstance(value, dict):
        return {name: finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(path: Path, document: Any, indent: int | None = 1) -> None:
    """Strict JSON, whole or not at all; NaN and infinity become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.tmp")
    partial.write_text(json.dumps(finite(document), indent=indent))
    partial.replace(path)
