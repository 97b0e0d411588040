"""The README from top to bottom, with nothing installed but what it said to install.

Its shell and Python blocks are run in their order, in a copy of the repository and the
virtual environment that the README makes there. A line with `pip install` extends the
environment; what comes before it must do without. Lines that run the tests are for
developers, and `.ci/run` runs them.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.test_readme import BLOCKS, SHORTER

ROOT = Path(__file__).parents[1]
QUICK = SHORTER | {
    "demo": "--steps 1 --num-instances 4 --num-iters 3 --svd 0 --max-blocks 2",
}
PLACEHOLDERS = {"DIR/audit.jsonl": "out/audit.jsonl", "DIR": "out"}
OUTSIDE = "dataset-fashion-mnist|jax\\["
"""What a machine may not have, and a walk does not install."""


def steps() -> list[tuple[str, str]]:
    """`(shell or python, text)` in the README's order: lines of shell, whole blocks."""
    found = []
    for kind, text in BLOCKS:
        if kind == "python":
            found.append((kind, text))
        elif kind in ("bash", "sh", "shell"):
            lines = re.sub(r"\\\n", " ", text).splitlines()
            found += [("shell", without_comment(line)) for line in lines]
    return [(kind, text) for kind, text in found if text and not left_out(kind, text)]


def without_comment(line: str) -> str:
    """A line of shell, without what follows a `#` after a space."""
    return re.sub(r"(^|\s)#.*$", "", line).strip()


def left_out(kind: str, text: str) -> bool:
    """Whether a line is for developers, or for other machines."""
    return kind == "shell" and bool(re.search(f"pytest|git clone|{OUTSIDE}", text))


def shortened(line: str) -> str:
    """The same commands, with less work and real names for the placeholders."""

    def options(match: re.Match[str]) -> str:
        names = match["names"].split()
        for count in (2, 1):
            extra = QUICK.get(" ".join(names[:count]))
            if extra is not None and len(names) >= count:
                return f"{match[0]} {extra}"
        return match[0]

    for name, real in PLACEHOLDERS.items():
        line = re.sub(rf"(?<![\w/]){re.escape(name)}(?![\w])", real, line)
    parts = re.split(r"(\s*&&\s*)", line)
    return "".join(
        re.sub(r"^\S*spectral-tf (?P<names>[a-z]+( [a-z]+)?).*$", options, part)
        for part in parts
    )


def copy_of_the_repository(place: Path) -> None:
    """What a clone would have, changes that are not committed included."""
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
    for name in names.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)


def walker(clone: Path) -> dict[str, str]:
    """The environment of somebody who has nothing but the clone."""
    bare = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME", "PYTEST_CURRENT_TEST"}
    environment = {k: v for k, v in os.environ.items() if k not in bare}
    return environment | {
        "PATH": f"{clone / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_CONSTRAINT": str(ROOT / ".ci" / "constraints.txt"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "JAX_PLATFORMS": "cpu",
        # Most of a step is compiling, and its speed is of no interest.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "MPLBACKEND": "Agg",
    }


def test_lines_are_read_as_a_shell_reads_them():
    assert without_comment("a --b 1   # says c") == "a --b 1"
    assert without_comment("# only words") == ""
    assert without_comment("pip install '.[x]#y'") == "pip install '.[x]#y'"
    assert left_out("shell", ".venv/bin/python -m pytest -n 2")
    assert not left_out("shell", ".venv/bin/pip install -q -e .")
    assert shortened("x && .venv/bin/spectral-tf demo").endswith(QUICK["demo"])
    assert shortened("spectral-tf poc stock --out a").endswith("--out a --quick")
    assert (
        shortened("spectral-tf pca DIR/x --out DIR")
        == "spectral-tf pca out/x --out out"
    )
    assert shortened("spectral-tf models") == "spectral-tf models"


def test_the_walk_installs_before_it_runs():
    kinds = steps()
    first = next(i for i, (_, text) in enumerate(kinds) if "pip install" in text)
    assert not any("spectral" in text for _, text in kinds[:first])
    assert sum(kind == "python" for kind, _ in kinds) >= 2
    assert sum("spectral-tf" in text for _, text in kinds) >= 10


@pytest.mark.long
def test_every_step_works_with_what_was_installed_by_then(tmp_path):
    clone = tmp_path / "clone"
    copy_of_the_repository(clone)
    rows = np.random.default_rng(0).normal(size=(60, 4)) * [4.0, 3.0, 2.0, 1.0]
    table = clone / "FILE.csv"
    np.savetxt(table, rows, delimiter=",", header="a,b,c,d", comments="")
    environment = walker(clone)
    for number, (kind, text) in enumerate(steps(), start=1):
        line = ["bash", "-euo", "pipefail", "-c", shortened(text)]
        command = line if kind == "shell" else [".venv/bin/python", "-c", text]
        done = subprocess.run(
            command,
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"step {number}: {text}\n{done.stderr}"
