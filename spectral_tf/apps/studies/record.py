"""The audit entry of a proof of concept, and how its decision is made again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spectral_tf.apps.analysis.document import package_versions
from spectral_tf.apps.analysis.record import device_document, engine_digests
from spectral_tf.apps.audit import AuditError
from spectral_tf.apps.studies.shipping.config import ShippingConfig
from spectral_tf.apps.studies.shipping.data import load_deliveries
from spectral_tf.apps.studies.shipping.study import shipping_study
from spectral_tf.apps.studies.stock.config import StockConfig
from spectral_tf.apps.studies.stock.demand import load_demand
from spectral_tf.apps.studies.stock.study import case_of, judgement
from spectral_tf.certificate import STATUSES

STOCK = "poc stock"
SHIPPING = "poc shipping"


def stock_entry(document: Mapping[str, Any], data: str | None) -> dict[str, Any]:
    """The body of the entry of a stock study.

    No sales are in it: dates and items of the alarms, scores, shares, digests.

    Args:
        document: of `stock_study`, or of `judgement` with `config` and `data`.
        data: as the command was given it.

    Returns:
        JSON-ready.
    """
    source, components = document["data"], document["components"]
    alarms = sorted(document["alarms"], key=lambda one: one["row"])
    status = components["status"]
    return {
        **_command(STOCK, document, data),
        "schema": _schema(
            source["days"] * source["items"],
            [f"{days} d" for days in document["config"]["windows"]],
        ),
        "engine": document["engine"],
        "certificate": {
            **{name: status.count(name) for name in STATUSES},
            "tol": components["tol"],
            "status": status,
        },
        **_circumstances(),
        "decision": {
            "threshold": min((one["score"] for one in alarms), default=0.0),
            "alarms": [_alarm(one) for one in alarms],
        },
    }


def _alarm(one: Mapping[str, Any]) -> dict[str, Any]:
    squares = [score**2 for score in one["components"]]
    total = sum(squares) or 1.0
    return {
        "row": one["row"],
        "date": one["date"],
        "item": one["item"],
        "score": one["score"],
        "features": [
            {"column": f"{window['days']} d", "share": window["share"]}
            for window in one["windows"]
        ],
        "components": [
            {"component": place, "share": square / total}
            for place, square in enumerate(squares, start=1)
        ],
    }


def shipping_entry(document: Mapping[str, Any], data: str | None) -> dict[str, Any]:
    """The body of the entry of a shipping study.

    Args:
        document: of `shipping_study`.
        data: as the command was given it.

    Returns:
        JSON-ready: sizes and a digest of the groups, the strangest deliveries with
        scores and shares; no value of the table.
    """
    source, certificate = document["data"], document["certificate"]
    used = document["features"]["used"]
    kept, shape = len(certificate["entries"]), (source["rows"], len(used))
    engine, strange = certificate["engine"], document["strange"]
    return {
        **_command(SHIPPING, document, data),
        "schema": _schema(source["rows"], [column["name"] for column in used]),
        "engine": {
            "name": engine,
            "reason": certificate["reason"],
            "sha256": engine_digests(engine, kept, shape, None),
            "weights": None,
        },
        "certificate": {
            **certificate["status_counts"],
            "tol": certificate["tol"],
            "status": [one["status"] for one in certificate["entries"]],
        },
        **_circumstances(),
        "decision": {
            "method": document["methods"]["described"]["method"],
            "sizes": [one["rows"] for one in document["groups"]],
            "labels_sha256": document["labels_sha256"],
            "threshold": strange["threshold"],
            "alarms": [
                {
                    "row": one["row"],
                    "score": one["score"],
                    "features": [
                        {"column": one["column"], "share": one["column_share"]}
                    ],
                    "components": [],
                }
                for one in strange["top"]
            ],
        },
    }


def _command(
    name: str, document: Mapping[str, Any], data: str | None
) -> dict[str, Any]:
    """What was run, on which data."""
    config, source = document["config"], document["data"]
    path = source["path"]
    return {
        "kind": "poc",
        "command": {"name": name, "arguments": {"data": data, "config": config}},
        "seed": config["seed"],
        "input": {
            "source": source["name"],
            "path": path,
            "bytes": None if path is None else Path(path).stat().st_size,
            "sha256": source["sha256"],
        },
    }


def _schema(rows: int, names: Sequence[str]) -> dict[str, Any]:
    """The table that was analysed: columns of numbers without gaps."""
    columns = [{"name": name, "dtype": "float64", "filled": 0} for name in names]
    return {"rows": rows, "columns": columns, "left_out": []}


def _circumstances() -> dict[str, Any]:
    """Software and device of this process."""
    return {"versions": package_versions(), "device": device_document()}


def rerun_shipping(entry: Mapping[str, Any], data: Path | None) -> dict[str, Any]:
    """Run a shipping study again.

    Args:
        entry: of the log.
        data: the table, if it is no longer at the recorded path.

    Returns:
        The entry that would be written now.

    Raises:
        AuditError: if the entry lacks something.
        DataError: if the table cannot be read.
        ConfigError: for settings that this version refuses.
    """
    values, given, path = _recorded(entry, data)
    config = ShippingConfig.from_dict(values)
    return shipping_entry(shipping_study(load_deliveries(path), config), given)


def _recorded(
    entry: Mapping[str, Any], data: Path | None
) -> tuple[dict[str, Any], str | None, str | None]:
    """Settings, the data as they were given, and the path to read."""
    try:
        arguments = entry["command"]["arguments"]
        path = str(data) if data is not None else entry["input"]["path"]
        return dict(arguments["config"]), arguments.get("data"), path
    except (KeyError, TypeError) as error:
        raise AuditError(
            f"entry {entry.get('id')} lacks what a proof of concept records ({error}); "
            "use the version that it names."
        ) from error


def rerun_stock(entry: Mapping[str, Any], data: Path | None) -> dict[str, Any]:
    """Make the decision of a stock study again.

    Args:
        entry: of the log.
        data: the table, if it is no longer at the recorded path.

    Returns:
        The entry that would be written now.

    Raises:
        AuditError: if the entry lacks something.
        DataError: if the table cannot be read.
        ConfigError: for settings that this version refuses.
    """
    values, given, path = _recorded(entry, data)
    config = StockConfig.from_dict(values)
    demand = load_demand(path)
    document = judgement(case_of(demand, config), config)
    document |= {"data": demand.document(), "config": config.to_dict()}
    return stock_entry(document, given)


RERUNS = {STOCK: rerun_stock, SHIPPING: rerun_shipping}
"""Command -> how it is run again."""
