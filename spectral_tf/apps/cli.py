"""The command line: a name to a command; printing and exit codes live here.

A command is imported when it is named, and what it needs when it runs: the overview
and `--version` need neither JAX nor anything else that is slow.

Exit codes: 0 done (or stopped by SIGTERM with all saved), 1 the run failed (not
finite, not certified) or an audit does not confirm, 2 bad input (one line on stderr
says what to do), 130 stopped by Ctrl-C, 141 nobody reads the output any more.
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union

from spectral_tf import __version__
from spectral_tf.apps.analysis.kinds import KINDS, Entry
from spectral_tf.apps.terminal import CLOSED_PIPE, abandon, readable_streams

PROGRAM = "spectral-tf"

COMMANDS = {
    "demo": Entry(
        "commands.demo",
        "Demo",
        "Construct a network, pre-train another for 400 steps, run both on real data.",
    ),
    "pretrain": Entry(
        "watch.pretrain",
        "Pretrain",
        "Pre-train on instances sampled on the devices.",
    ),
    "runs": Entry(
        "watch.commands",
        "Runs",
        "List and compare the runs of training below a folder.",
    ),
    "models": Entry(
        "commands.networks",
        "Models",
        "Table of the checkpoints that are shipped.",
    ),
    "evaluate": Entry(
        "commands.networks",
        "Evaluate",
        "Score a network on synthetic or real instances, beside orthogonal iteration.",
    ),
    "construct": Entry(
        "commands.networks",
        "Construct",
        "Write down weights whose forward pass runs the power method.",
    ),
    "describe": Entry(
        "commands.networks",
        "Describe",
        "Table of parameters and FLOPs of a network.",
    ),
    **KINDS,
    "audit": Entry(
        "commands.groups",
        "Audit",
        "The audit log of pca, cluster and detect.",
    ),
    "poc": Entry(
        "commands.groups",
        "Poc",
        "A proof of concept, from a table to a report: anomalies in stock, shipping.",
    ),
    "report": Entry(
        "studies.commands",
        "Report",
        "One HTML file of a proof of concept, to read, to print, to hand on.",
    ),
}
"""Name -> command, in the order of the overview."""

_EXIT_CODES = {
    ("config", "ConfigError"): 2,
    ("config", "DataError"): 2,
    ("settings", "DeviceError"): 2,
    ("settings", "ForkError"): 2,
    ("model.params", "ParamsError"): 2,
    ("weights", "PretrainedError"): 2,
    ("training.checkpoint", "CheckpointError"): 2,
    ("training.loop", "NonFiniteError"): 1,
    ("certificate", "CertificateError"): 1,
    ("training.stopping", "Preempted"): 0,
    ("training.stopping", "Interrupted"): 130,
}
"""(Module, error) -> exit code; of two that match, the first counts."""


def __getattr__(name: str) -> Any:
    """`Command`, the type of all commands, which imports them."""
    if name == "Command":
        return Union[tuple(entry.load() for entry in COMMANDS.values())]  # noqa: UP007
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def parse(arguments: Sequence[str]) -> Any:
    """The command that arguments name.

    Args:
        arguments: without the program's name.

    Returns:
        The command, not yet run.

    Raises:
        SystemExit: for `--help` (0), and for arguments that do not fit (2).
    """
    import tyro

    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        from spectral_tf.apps.analysis.option_names import parsed

        prog = f"{PROGRAM} {name}"
        return parsed(COMMANDS[name].load(), list(arguments[1:]), prog)
    # The shell's completion lists every option of every command.
    is_completion = name.replace("_", "-").startswith("--tyro-")
    shown, registry = _overview(), None
    if is_completion:
        from spectral_tf.apps.analysis.flat_options import REGISTRY

        shown, registry = __getattr__("Command"), REGISTRY
    return tyro.cli(shown, args=list(arguments), prog=PROGRAM, registry=registry)


def _overview() -> Any:
    """A program with the names and summaries of the commands, and nothing of them."""
    import tyro

    names = []
    for name, entry in COMMANDS.items():
        empty = dataclasses.make_dataclass(entry.kind, ())
        about = tyro.conf.subcommand(name, description=entry.summary)
        names.append(Annotated[empty, about])
    version = tyro.conf.arg(help="print the version and exit")
    fields = [
        ("version", Annotated[tyro.conf.FlagCreatePairsOff[bool], version], False),
        ("command", Annotated[Union[tuple(names)], tyro.conf.arg(name="")]),  # noqa: UP007
    ]
    return dataclasses.make_dataclass("Overview", fields, kw_only=True)


def _print(text: str) -> None:
    """A result on stdout; an error, not a traceback, where the disk is full."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        from spectral_tf.config import DataError

        abandon(sys.stdout)
        raise DataError(
            f"cannot write to standard output: {error.strerror or error}; send it "
            "somewhere else."
        ) from error


def _say(text: str) -> None:
    """A line on stderr, where there is one."""
    if sys.stderr is not None:
        print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)


def _shown(document: Any, text: str, *, as_json: bool) -> str:
    """The result for stdout: the document, or the text, and nothing else."""
    if not as_json:
        return text.rstrip("\n")
    from spectral_tf.config.wording import json_text

    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return json_text(document, encoding, indent=1)


def _in_options(message: str, arguments: Sequence[str]) -> str:
    """A refusal in the words of the command line."""
    from spectral_tf.apps.analysis.option_names import in_options, option_names

    if not arguments or arguments[0] not in COMMANDS:
        return message
    kind = COMMANDS[arguments[0]].load()
    return in_options(message, option_names(kind, arguments))


def _exit_code(error: Exception) -> int | None:
    """The code of an error that is meant for the user; None for any other."""
    for (home, name), code in _EXIT_CODES.items():
        # An error of a module that was never imported cannot have been raised.
        kind = getattr(sys.modules.get(f"spectral_tf.{home}"), name, None)
        if kind is not None and isinstance(error, kind):
            return code
    return 2 if isinstance(error, FileExistsError | PermissionError) else None


def _run(arguments: Sequence[str]) -> int:
    """Parse, run, print; the exit code."""
    try:
        if list(arguments[:1]) == ["--version"]:
            _print(f"{PROGRAM} {__version__}")
            return 0
        command = parse(arguments)
        from spectral_tf.settings import compiled_settings

        with compiled_settings():
            shown = command.run()
        _print(_shown(shown.document, shown.text, as_json=command.json))
        return 0 if getattr(shown, "is_good", True) else 1
    except KeyboardInterrupt:
        _say("stopped")
        return 130
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        text = str(error)
        if code == 2:
            text = _in_options(" ".join(text.split()), arguments)
        _say(text.partition("\n")[0])
        return code


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; None takes the process's.

    Returns:
        The exit code.
    """
    with readable_streams():
        try:
            return _run(sys.argv[1:] if argv is None else argv)
        except SystemExit:
            # The text of --help waits in the stream until here.
            if not abandon(sys.stdout, sys.stderr):
                return CLOSED_PIPE
            raise
        except BrokenPipeError:
            return CLOSED_PIPE
        finally:
            abandon(sys.stdout, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
