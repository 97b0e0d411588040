"""What the audit log says of an analysis: data, weights, settings, decision.

No value of the table is in it, but for what the analysis found: names of columns,
counts, digests, scores, shares, eigenvalues.
"""

import datetime
import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from spectral_tf.apps.analysis.answer import Answer
from spectral_tf.apps.analysis.document import finite, package_versions
from spectral_tf.apps.analysis.prepare import Prepared
from spectral_tf.apps.audit import Receipt, append_entry, new_id, start_log
from spectral_tf.config import DataError, ReadOptions
from spectral_tf.constructive.equivariant import equivariant_power_method
from spectral_tf.estimators.costs import block_size
from spectral_tf.estimators.krylov_passes import network_of
from spectral_tf.estimators.networks import default_weights, load_network
from spectral_tf.model.params import flatten_params
from spectral_tf.tables.columns import Columns, columns_digest
from spectral_tf.tables.load import AS_FOUND, load_columns
from spectral_tf.weights import load_pretrained, pretrained_names
from spectral_tf.weights.store import shipped_folder

if TYPE_CHECKING:
    from spectral_tf.apps.analysis.commands import Analysis

LOG = "audit.jsonl"
"""The log in a folder of results; `audit.head` lies beside it."""


def read_source(
    source: str, options: ReadOptions = AS_FOUND
) -> tuple[Columns, dict[str, Any]]:
    """Read a table, and take the digest of what was read.

    Args:
        source: as for `load_columns`.
        options: how a file is read.

    Returns:
        The columns, and of what file: its path, size and sha256; of a table that has a
        name and no file, the sha256 of its names, shape and numbers.

    Raises:
        DataError: as `load_columns`, or if the file changes meanwhile.
    """
    path = Path(source).expanduser()
    if not (path.suffix and path.is_file()):
        read = load_columns(source, options, bad_cells="keep")
        about = {"path": None, "bytes": None, "sha256": columns_digest(read)}
        return read, {"source": source, **about}
    before = _state(path)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    read = load_columns(source, options, bad_cells="keep")
    if _state(path) != before:
        raise DataError(f"{source} changed while it was read; try again.")
    about = {"path": str(path.resolve()), "bytes": before[0], "sha256": found}
    return read, {"source": source, **about}


def _state(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ino


def entry_of(
    command: "Analysis",
    parameters: Mapping[str, Any],
    source: Mapping[str, Any],
    table: Prepared,
    answer: Answer,
) -> dict[str, Any]:
    """The body of an entry of the audit log.

    Args:
        command: the analysis.
        parameters: of `parameters_of`.
        source: of `read_source`.
        table: as it was analysed.
        answer: what was found.

    Returns:
        Plain data; what is not finite is None.
    """
    certificate = answer.certificate
    return finite(
        {
            "kind": "analysis",
            "command": {"name": command.name, "arguments": dict(parameters)},
            "seed": parameters["seed"],
            "input": dict(source),
            "schema": {
                "rows": len(table.x),
                "columns": [
                    {
                        "name": name,
                        "dtype": str(table.x.dtype),
                        "filled": table.imputed[name].cells
                        if name in table.imputed
                        else 0,
                    }
                    for name in table.columns
                ],
                "left_out": [one.name for one in table.left_out],
            },
            "engine": _engine(answer, parameters["weights"], table),
            "certificate": {
                **certificate.counts(),
                "tol": certificate.tol,
                "status": list(certificate.status),
            },
            "versions": package_versions(),
            "device": device_document(),
            "decision": command.decision(table, answer),
        }
    )


def write_audit(
    folder: Path, entry: Mapping[str, Any], longer: Path | None
) -> list[Receipt]:
    """Write the entry into the results, and append it to a longer-lived log.

    Done before the results are in their place: there are no results without an entry,
    and a process that is killed in between leaves an entry without results.

    Args:
        folder: of the results, not in its place yet.
        entry: of `entry_of`.
        longer: path of a log; None for none.

    Returns:
        A receipt for each log, with the same id; the first by its name.

    Raises:
        OSError: if the first cannot be written.
        AuditError: if the other cannot be continued.
    """
    name = new_id()
    body = {"time": datetime.datetime.now(datetime.UTC).isoformat(), **entry}
    receipts = [start_log(folder / LOG, body, name)._replace(log=Path(LOG))]
    if longer is not None:
        receipts.append(append_entry(longer, body, name)._replace(log=longer))
    return receipts


def _engine(answer: Answer, weights: str | None, table: Prepared) -> dict[str, Any]:
    """Who proposed, with a sha256 of each network's parameters."""
    kept = len(answer.certificate.entries)
    digests = engine_digests(answer.engine, kept, table.x.shape, weights)
    for name in answer.networks:
        digests[name] = parameters_digest(load_pretrained(name).params)
    path = None if weights is None else str(Path(weights).expanduser().resolve())
    about = {"name": answer.engine, "reason": answer.reason}
    return {**about, "sha256": digests, "weights": path}


def engine_digests(
    engine: str, kept: int, shape: tuple[int, ...], weights: str | None
) -> dict[str, str]:
    """A sha256 of the parameters of each network that proposed.

    That of the constructed network is of any of its passes, with a register for each
    component that was kept and the guards.

    Args:
        engine: as an estimator's `engine_`.
        kept: components that were kept.
        shape: `(N, d)` of the table.
        weights: of the pretrained network; None for the shipped one.

    Returns:
        Name of the network -> digest; empty where only an exact solver was asked.
    """
    named = engine.split(", ")
    digests = {}
    if "constructed" in named:
        count = block_size(kept, min(shape))
        digests["constructed"] = parameters_digest(network_of(count).params)
    if "pretrained" in named:
        where = default_weights() if weights is None else Path(weights)
        digests["pretrained"] = parameters_digest(load_network(where).params)
    return digests


def power_method_digest(kept: int, shape: tuple[int, ...]) -> str:
    """What entries have for a constructed network of before registers kept their past.

    Args:
        kept: components that were kept.
        shape: `(N, d)` of the table.

    Returns:
        The digest of the network of a first pass: 20 iterations, one guard.
    """
    count = min(kept + 1, *shape)
    network = equivariant_power_method(count, 20, shifts=np.zeros(20))
    return parameters_digest(network.params)


def shipped_with(digest: str | None) -> str | None:
    """Where the shipped network with these parameters is, if it is not the default.

    Args:
        digest: of its parameters, as an entry has it; None where none proposed.

    Returns:
        Path of its manifest: an earlier default under its present name. None for the
        default itself, or if no shipped network has this digest.
    """
    if digest is None:
        return None
    for name in pretrained_names("eigenpairs"):
        if parameters_digest(load_pretrained(name).params) == digest:
            manifest = str(shipped_folder() / f"{name}.json")
            return None if name == default_weights() else manifest
    return None


def parameters_digest(params: Mapping[str, Any]) -> str:
    """Sha256 of the parameters of a network.

    Args:
        params: nested mappings with arrays as leaves.

    Returns:
        The digest over every path, type, shape and the numbers, little-endian.
    """
    found = hashlib.sha256()
    for path, leaf in flatten_params(params).items():
        array = np.asarray(leaf)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        found.update(repr((path, array.dtype.str, array.shape)).encode())
        found.update(array.tobytes())
    return found.hexdigest()


def device_document() -> dict[str, Any]:
    """The device that computes, JSON-ready.

    Returns:
        Platform, kind, count; machine and system.
    """
    first = jax.devices()[0]
    return {
        "platform": first.platform,
        "kind": first.device_kind,
        "count": jax.device_count(),
        "machine": platform.machine(),
        "system": platform.system(),
    }
