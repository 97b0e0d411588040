#!/usr/bin/env bash
# rich 15.0.0: a Console that writes to standard ERROR, Console(stderr=True), takes
# standard OUTPUT away from the program when the reader of standard error has gone.
# Console.on_broken_pipe redirects file descriptor 1 (of sys.stdout) to /dev/null whatever
# the console writes to, and then raises SystemExit(1). A program that goes on after that
# (a progress display is not what it is for) prints its result to nowhere, without an
# error; its standard output was an open, healthy pipe or file. The same with
# Console(file=sys.stderr). Remedy: override on_broken_pipe in a subclass.
# Exits 0 while it is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q rich==15.0.0
cat > "$folder/program.py" <<'PY'
import os
import sys

from rich.console import Console

kind = sys.argv[1]
console = Console(stderr=True) if kind == "stderr" else Console(file=sys.stderr)
reader, writer = os.pipe()
os.close(reader)
os.dup2(writer, 2)  # standard error has lost its reader
try:
    console.print("working")
    raised = "nothing"
except SystemExit as stop:
    raised = f"SystemExit({stop.code})"
with open(sys.argv[2], "w") as notes:
    notes.write(f"raised {raised}; standard output is {os.readlink('/proc/self/fd/1')}")
print("the result")
PY
"$folder/venv/bin/python" -c 'import importlib.metadata as m; print("rich", m.version("rich"))'
for kind in stderr file; do
  "$folder/venv/bin/python" "$folder/program.py" "$kind" "$folder/notes" > "$folder/result"
  echo "Console on standard error ($kind): $(cat "$folder/notes")"
  echo "bytes of the result that arrived: $(stat -c %s "$folder/result")"
  test ! -s "$folder/result"
  grep -q 'SystemExit(1); standard output is /dev/null' "$folder/notes"
done
