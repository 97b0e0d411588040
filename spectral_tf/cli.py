"""The command line: typed arguments to functions; printing and exit codes live here.

Exit codes: 0 done (or stopped by SIGTERM with all saved), 1 the run failed (not
finite, not certified) or an audit does not confirm, 2 bad input (one line on stderr
says what to do), 130 stopped by Ctrl-C.
"""

import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from spectral_tf.analysis.audit_commands import Show, Verify
from spectral_tf.analysis.commands import Analysis, Cluster, Detect, Pca, Shown
from spectral_tf.certificate import CertificateError
from spectral_tf.config import (
    ConfigError,
    DataError,
    EnsembleConfig,
    require,
)
from spectral_tf.constructive.explain import explained, summary
from spectral_tf.constructive.power_method import (
    Options,
    power_method_composition,
    power_method_params,
)
from spectral_tf.demo import DemoConfig, Network, compare, run_demo
from spectral_tf.estimators.networks import load_network
from spectral_tf.model.describe import cost_table
from spectral_tf.model.params import ParamsError, save_weights
from spectral_tf.model.presets import PRESETS, model_preset
from spectral_tf.practice.commands import Report, Shipping, Stock
from spectral_tf.report.stream_figure import (
    check_figure,
    composition_figure,
    save_figure,
)
from spectral_tf.report.tables import HEADER, plain_table, table_rows
from spectral_tf.sampling.instance import Instance
from spectral_tf.sampling.real import row_blocks, svd_reduce
from spectral_tf.sampling.sampler import sample_batch
from spectral_tf.sampling.tables import load_table
from spectral_tf.settings import DeviceError, ForkError, compiled_settings, random_key
from spectral_tf.training.checkpoint import CheckpointError
from spectral_tf.training.loop import NonFiniteError
from spectral_tf.training.stopping import Interrupted, Preempted
from spectral_tf.watch.commands import Runs
from spectral_tf.watch.live import Watch
from spectral_tf.watch.pretrain import Pretrain
from spectral_tf.weights import PretrainedError, models_table

BAD_INPUT = (
    ConfigError,
    DataError,
    ParamsError,
    PretrainedError,
    CheckpointError,
    FileExistsError,
    PermissionError,
    DeviceError,
    ForkError,
)
Flat = tyro.conf.arg(name="")


def _show(as_json: bool, document: Any, text: str) -> None:
    """The result on stdout: the document, or the text, and nothing else."""
    print(json.dumps(document, indent=1) if as_json else text.rstrip("\n"))


@dataclasses.dataclass(frozen=True)
class Demo:
    """Construct, pre-train for about 75 s, and run both on real data."""

    # What is trained, and what it is shown.
    config: Annotated[DemoConfig, Flat] = dataclasses.field(default_factory=DemoConfig)
    # Folder of the results; default runs/<time>-demo.
    out: Path | None = None
    # Print report.json on stdout and nothing else.
    json: bool = False

    def run(self) -> int:
        """Run the command; the exit code."""
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        folder = self.out or Path("runs") / f"{stamp}-demo"
        with Watch(quiet=self.json) as watch:
            result = run_demo(
                self.config, folder, on_call=watch.call, on_stage=watch.stage
            )
        text = f"\n{result.table}\n" + "\n".join(result.sentences) + "\n"
        _show(self.json, result.report, text)
        return 0


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Score a network on synthetic or real instances, beside orthogonal iteration."""

    # A shipped name, or the folder of a run or of weights; default: constructed.
    weights: str | None = None
    # synthetic, digits, mnist, fashion-mnist, or a file.
    data: str = "synthetic"
    # Family of the synthetic instances; its k is overruled by the network's.
    ensemble: EnsembleConfig = dataclasses.field(default_factory=EnsembleConfig)
    # Synthetic instances, or at most so many real blocks.
    num_instances: int = 200
    # Rows of a real block.
    block_size: int = 50
    # Features of real data that an SVD keeps; 0 keeps all.
    svd: int = 0
    # Constructed weights: k, the eigenpairs asked for.
    num_components: int = 3
    # Constructed weights: iterations, four blocks each.
    num_iters: int = 60
    # Seed of the synthetic instances, or of the shuffle of real rows.
    seed: int = 1
    # Print the report as JSON on stdout and nothing else.
    json: bool = False

    def _instances(self, k: int) -> tuple[str, Instance]:
        key = random_key(self.seed)
        if self.data == "synthetic":
            config = self.ensemble.replace(num_components=k)
            name = f"{config.spectrum} d={config.dim} N={config.num_samples}"
            return name, sample_batch(key, config, self.num_instances)
        table = load_table(self.data)
        x = svd_reduce(table.x, self.svd) if self.svd else table.x
        blocks = row_blocks(
            key,
            x,
            block_size=self.block_size,
            num_components=k,
            max_blocks=self.num_instances,
        )
        return f"{table.name} d={x.shape[1]} N={self.block_size}", blocks

    def run(self) -> int:
        """Run the command; the exit code."""
        if self.weights is None:
            name, batch = self._instances(self.num_components)
            config, params = power_method_params(
                batch.x.shape[2], self.num_components, self.num_iters
            )
            chosen = Network("constructed", config, params, self.num_iters)
        else:
            config, params = load_network(self.weights)
            name, batch = self._instances(config.num_components)
            chosen = Network(
                Path(self.weights).name, config, params, config.num_products
            )
        entries = compare(chosen, name, batch)
        document = {"entries": [entry.to_dict() for entry in entries]}
        _show(self.json, document, plain_table(HEADER, table_rows(entries)))
        return 0


@dataclasses.dataclass(frozen=True)
class Construct:
    """Write down weights whose forward pass runs the power method."""

    # d, the features of an instance; any N will do.
    dim: int
    # k, the eigenpairs asked for, at most d.
    num_components: int = 3
    # Iterations (columns: of all vectors together; squaring: squarings per vector).
    num_iters: int = 60
    # register, columns (the paper's), rms, squaring or accelerated.
    variant: str = "register"
    # Relative error of the piecewise-linear normaliser; default: what deflation needs.
    accuracy: float | None = None
    # Smallest eigenvalue, over the trace, that is normalised; default min(1e-3, 1/4d).
    smallest: float | None = None
    # Say what every head and every MLP does.
    explain: bool = False
    # New PNG of the residual stream, its named rows over at most 40 blocks.
    figure: Path | None = None
    # Folder for config.json and params.npz; must not exist. Default: only describe.
    out: Path | None = None
    # Print the summary as JSON on stdout and nothing else.
    json: bool = False

    def run(self) -> int:
        """Run the command; the exit code."""
        if self.figure is not None:
            check_figure(self.figure)
        sizes = self.dim, self.num_components, self.num_iters, self.variant
        options = Options(accuracy=self.accuracy, smallest=self.smallest)
        composition = power_method_composition(*sizes, **options)
        config, params = power_method_params(*sizes, **options)
        if self.out is not None:
            save_weights(self.out, config, params)
        blocks = explained(composition)
        lines = [f"{self.variant}:", *summary(config)]
        for block in blocks:
            lines.append(f"block {block['block']}: {block['name']}")
            lines += [f"    {line}" for line in block["explain"]] * self.explain
        if self.out is not None:
            lines.append(f"weights written to {self.out}")
        if self.figure is not None:
            figure = composition_figure(composition, config, params)
            save_figure(figure, self.figure)
            lines.append(f"figure written to {self.figure}")
        document = {
            "config": config.to_dict(),
            "out": str(self.out),
            "figure": str(self.figure),
            "blocks": blocks,
        }
        _show(self.json, document, "\n".join(lines) + "\n")
        return 0


@dataclasses.dataclass(frozen=True)
class Describe:
    """Table of parameters and FLOPs of a network."""

    # One of the named configurations: equivariant, theory, register, paper_gpt2.
    preset: str = "equivariant"
    # A shipped name, or the folder of a run or of weights, instead of a preset.
    weights: str | None = None
    # N of the instance that the FLOPs are counted for.
    num_samples: int = 50
    # d of that instance; default: the model's, or 10 where it has none.
    dim: int | None = None
    # Print the table as JSON on stdout and nothing else.
    json: bool = False

    def run(self) -> int:
        """Run the command; the exit code."""
        require(
            self.preset in PRESETS,
            f"unknown preset {self.preset!r}; choose one of {', '.join(PRESETS)}.",
        )
        if self.weights is None:
            config = model_preset(self.preset)
        else:
            config = load_network(self.weights)[0]
        dim = self.dim or config.dim or 10
        rows = cost_table(config, num_samples=self.num_samples, dim=dim)
        cells = [(row.name, f"{row.params:,}", f"{row.flops:,}") for row in rows]
        head = (
            f"{config.num_blocks} blocks, {config.parameterisation}; FLOPs of one "
            f"forward pass at N={self.num_samples}, d={dim}\n"
        )
        document = {
            "config": config.to_dict(),
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        if config.parameterisation == "dense":
            head += "".join(f"{line}\n" for line in summary(config))
        table = plain_table(("part", "parameters", "FLOPs"), cells)
        _show(self.json, document, head + table)
        return 0


@dataclasses.dataclass(frozen=True)
class Models:
    """Table of the checkpoints that are shipped."""

    # Print the table as JSON on stdout and nothing else.
    json: bool = False

    def run(self) -> Shown:
        """Read the manifests."""
        rows = models_table()
        cells = [
            (row.name, f"{row.parameters:,}", f"{row.kilobytes:,.0f}", row.purpose)
            for row in rows
        ]
        table = plain_table(("name", "parameters", "kB", "what it is for"), cells)
        return Shown({"models": [row._asdict() for row in rows]}, table)


@dataclasses.dataclass(frozen=True)
class Audit:
    """The audit log of pca, cluster and detect."""

    # What to do with a log.
    command: Annotated[Verify | Show, Flat]

    def run(self) -> int:
        """Run the command; the exit code."""
        if isinstance(self.command, Show):
            from spectral_tf.practice.record import RERUNS

            judged = self.command.run(RERUNS)
        else:
            judged = self.command.run()
        _show(self.command.json, judged.document, judged.text)
        return 0 if judged.is_good else 1


@dataclasses.dataclass(frozen=True)
class Poc:
    """A proof of concept, from a table to a report: anomalies in stock, shipping."""

    # What it is about.
    command: Annotated[Stock | Shipping, Flat]

    def run(self) -> int:
        """Run the command; the exit code."""
        with Watch(quiet=self.command.json) as watch:
            shown = self.command.run(watch.stage)
        _show(self.command.json, *shown)
        return 0


Command = (
    Demo
    | Pretrain
    | Runs
    | Models
    | Evaluate
    | Construct
    | Describe
    | Pca
    | Cluster
    | Detect
    | Audit
    | Poc
    | Report
)


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; None takes the process's.

    Returns:
        The exit code.

    Source: ours.
    """
    try:
        command = tyro.cli(Command, args=argv, prog="spectral-tf")
        with compiled_settings():
            if not isinstance(command, Analysis | Pretrain | Runs | Models | Report):
                return command.run()
            _show(command.json, *command.run())
            return 0
    except BAD_INPUT as error:
        print(f"spectral-tf: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except NonFiniteError as error:
        print(f"spectral-tf: {error}", file=sys.stderr)
        return 1
    except CertificateError as error:
        print(f"spectral-tf: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except Preempted as error:
        print(f"spectral-tf: {error}", file=sys.stderr)
        return 0
    except Interrupted as error:
        print(f"spectral-tf: {error}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("spectral-tf: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
