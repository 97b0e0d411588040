"""The commands that write down, describe and score networks.

What they need is imported when they run, so that the program starts fast.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from spectral_tf.apps.analysis.commands import Shown
from spectral_tf.config import EnsembleConfig, require
from spectral_tf.config.wording import counted

if TYPE_CHECKING:
    from spectral_tf.sampling.instance import Instance


def _any_dim() -> EnsembleConfig:
    """A family with the k that every d allows, since the network's overrules it."""
    return EnsembleConfig(num_components=1)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Score a network on synthetic or real instances, beside orthogonal iteration."""

    # A shipped name, or the folder of a run or of weights; default: constructed.
    weights: str | None = None
    # synthetic, digits, mnist, fashion-mnist, or a file.
    data: str = "synthetic"
    # Family of the synthetic instances; its k is overruled by the network's.
    ensemble: EnsembleConfig = dataclasses.field(default_factory=_any_dim)
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

    def _instances(self, k: int) -> "tuple[str, Instance, tuple[str, ...]]":
        """Name of the instances, they, and what is to be told of their table."""
        from spectral_tf.sampling.real import row_blocks, svd_reduce
        from spectral_tf.sampling.sampler import sample_batch
        from spectral_tf.settings import random_key
        from spectral_tf.tables.load import load_table

        key = random_key(self.seed)
        self._check(k)
        if self.data == "synthetic":
            config = self.ensemble.replace(num_components=k)
            name = f"{config.flat()['spectrum']} d={config.dim} N={config.num_samples}"
            return name, sample_batch(key, config, self.num_instances), ()
        table = load_table(self.data)
        most = min(table.x.shape)
        require(
            0 <= self.svd <= most,
            f"svd={self.svd} must lie in 0..{most} ({most} is the smaller side of the "
            "table); lower it, or bring a larger table.",
        )
        x = svd_reduce(table.x, self.svd) if self.svd else table.x
        dim = x.shape[1]
        if self.weights is not None:  # else `row_blocks` names the option
            require(
                k <= dim,
                f"{k}, the k of --weights {self.weights}, must be <= {dim}, "
                f"{'--svd' if self.svd else 'the features'}; choose other weights, or "
                f"{'raise it' if self.svd else 'bring a larger table'}.",
            )
        blocks = row_blocks(
            key,
            x,
            block_size=self.block_size,
            num_components=k,
            max_blocks=self.num_instances,
        )
        return f"{table.name} d={dim} N={self.block_size}", blocks, table.notes

    def _check(self, k: int) -> None:
        """Refuse here what a configuration would refuse by a name of its own."""
        require(
            self.num_instances >= 1,
            f"num_instances={self.num_instances} must be >= 1; ask for at least one.",
        )
        if self.data != "synthetic":
            return
        asked, change = f"Evaluate.num_components={k}", "ask for fewer components"
        if self.weights is not None:
            asked, change = (
                f"{k}, the k of --weights {self.weights},",
                "raise the latter",
            )
        require(k >= 1, f"{asked} must be >= 1; ask for at least one component.")
        dim = self.ensemble.dim
        require(k <= dim, f"{asked} must be <= EnsembleConfig.dim={dim}; {change}.")

    def run(self) -> Shown:
        """Sample or read, and score.

        Returns:
            The table of scores.

        Raises:
            ConfigError: for a parameter that is out of bounds.
            DataError: for data that cannot be used.
            ParamsError: for weights that cannot.
        """
        from spectral_tf.apps.demo import Contestant, compare
        from spectral_tf.apps.report.tables import HEADER, plain_table, table_rows
        from spectral_tf.constructive.power_method import power_method_params
        from spectral_tf.estimators.networks import load_network

        if self.weights is None:
            name, batch, notes = self._instances(self.num_components)
            sizes = batch.x.shape[2], self.num_components, self.num_iters
            network = power_method_params(*sizes)
            chosen = Contestant("constructed", network, self.num_iters)
        else:
            network = load_network(self.weights)
            name, batch, notes = self._instances(network.config.num_components)
            chosen = Contestant(
                Path(self.weights).name, network, network.config.num_products
            )
        entries = compare(chosen, name, batch)
        document = {
            "notes": list(notes),
            "entries": [entry.to_dict() for entry in entries],
        }
        sentences = "".join(f"{note}\n" for note in notes)
        return Shown(document, sentences + plain_table(HEADER, table_rows(entries)))


@dataclasses.dataclass(frozen=True)
class Construct:
    """Write down weights whose forward pass runs the power method."""

    # d, the features of an instance; any N will do.
    dim: int
    # k, the eigenpairs asked for, at most d.
    num_components: int = 3
    # Iterations (columns: of all vectors together; squaring: squarings per vector;
    # krylov: products).
    num_iters: int = 60
    # register, columns (the paper's), rms, squaring, accelerated or krylov.
    variant: str = "register"
    # Relative error of the piecewise-linear normaliser; default: what deflation needs.
    accuracy: float | None = None
    # Smallest eigenvalue, over the trace, that is normalised; default min(1e-3, 1/4d).
    smallest: float | None = None
    # Start vectors of krylov, at most d run; default max(8, k).
    block: int | None = None
    # Say what every head and every MLP does.
    explain: bool = False
    # New PNG of the residual stream, its named rows over at most 40 blocks.
    figure: Path | None = None
    # Folder for config.json and params.npz; must not exist. Default: only describe.
    out: Path | None = None
    # Print the summary as JSON on stdout and nothing else.
    json: bool = False

    def run(self) -> Shown:
        """Construct, and write what is asked for.

        Returns:
            What was constructed; the files are in place then.

        Raises:
            ConfigError: for a parameter that is out of bounds.
            FileExistsError: for a folder or a figure that exists.
            ParamsError: if the weights cannot be written.
        """
        from spectral_tf.apps.report.stream_figure import (
            check_figure,
            composition_figure,
            save_figure,
        )
        from spectral_tf.constructive.explain import explained, summary
        from spectral_tf.constructive.power_method import (
            Options,
            power_method_composition,
            power_method_params,
        )
        from spectral_tf.model.network import Network
        from spectral_tf.model.params import save_weights

        if self.figure is not None:
            check_figure(self.figure)
        sizes = self.dim, self.num_components, self.num_iters, self.variant
        options = Options(
            accuracy=self.accuracy, smallest=self.smallest, block=self.block
        )
        composition = power_method_composition(*sizes, **options)
        config, params = power_method_params(*sizes, **options)
        if self.out is not None:
            save_weights(self.out, Network(config, params))
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
            "config": config.flat(),
            "out": str(self.out),
            "figure": str(self.figure),
            "blocks": blocks,
        }
        return Shown(document, "\n".join(lines) + "\n")


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

    def run(self) -> Shown:
        """Count.

        Returns:
            The table.

        Raises:
            ConfigError: for an unknown preset, or sizes that are out of bounds.
            ParamsError: for weights that cannot be read.
        """
        from spectral_tf.apps.report.tables import plain_table
        from spectral_tf.constructive.explain import summary
        from spectral_tf.estimators.networks import load_network
        from spectral_tf.model.describe import cost_table
        from spectral_tf.model.presets import PRESETS, model_preset

        require(
            self.preset in PRESETS,
            f"unknown preset {self.preset!r}; choose one of {', '.join(PRESETS)}.",
        )
        require(
            self.dim is None or self.dim >= 1,
            f"dim={self.dim} must be >= 1; leave it out for the model's.",
        )
        if self.weights is None:
            config = model_preset(self.preset)
        else:
            config = load_network(self.weights).config
        dim = self.dim or config.dim or 10
        rows = cost_table(config, num_samples=self.num_samples, dim=dim)
        cells = [(row.name, f"{row.params:,}", f"{row.flops:,}") for row in rows]
        head = (
            f"{counted(config.num_blocks, 'block')}, {config.layout.kind}; FLOPs "
            f"of one forward pass at N={self.num_samples}, d={dim}\n"
        )
        document = {
            "config": config.flat(),
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        if config.is_dense:
            head += "".join(f"{line}\n" for line in summary(config))
        table = plain_table(("part", "parameters", "FLOPs"), cells)
        return Shown(document, head + table)


@dataclasses.dataclass(frozen=True)
class Models:
    """Table of the checkpoints that are shipped."""

    # Print the table as JSON on stdout and nothing else.
    json: bool = False

    def run(self) -> Shown:
        """Read the manifests."""
        from spectral_tf.apps.report.tables import wrapped_table
        from spectral_tf.weights import models_table

        rows = models_table()
        cells = [
            (row.name, f"{row.parameters:,}", f"{row.kilobytes:,.0f}", row.purpose)
            for row in rows
        ]
        table = wrapped_table(("name", "parameters", "kB", "what it is for"), cells)
        return Shown({"models": [row._asdict() for row in rows]}, table)
