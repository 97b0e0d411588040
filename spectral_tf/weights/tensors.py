"""Parameters as the bytes of a safetensors file: flat paths, little-endian float32.

The file also holds the model's configuration as JSON, so that one digest covers both.
"""

import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors.numpy import save

from spectral_tf.config import AnyModel, model_config
from spectral_tf.model.params import flatten_params, parameter_shapes
from spectral_tf.weights.manifest import PretrainedError

MOST_NAMED = 5
"""Faults that one message spells out."""


def tensor_faults(config: AnyModel, flat: Mapping[str, Any]) -> list[str]:
    """What keeps flat parameters from being weights of a model.

    Unlike `check_params` it does not ask for JAX's default float type, so that the
    same file is good with and without x64.

    Args:
        config: the model.
        flat: path -> array.

    Returns:
        One phrase for each missing, extra, misshapen, mistyped or non-finite tensor.
    """
    wanted = parameter_shapes(config)
    faults = [f"missing tensor {path}" for path in wanted if path not in flat]
    faults += [f"extra tensor {path}" for path in flat if path not in wanted]
    for path in [path for path in wanted if path in flat]:
        shape, want = tuple(np.shape(flat[path])), tuple(wanted[path].shape)
        if shape != want:
            faults.append(f"{path} has shape {shape}, expected {want}")
        elif not jnp.issubdtype(flat[path].dtype, jnp.floating):
            faults.append(f"{path} has dtype {flat[path].dtype}, expected float32")
        elif not np.all(np.isfinite(np.asarray(flat[path], np.float32))):
            faults.append(f"{path} has NaN or infinity")
    return faults


def check_tensors(config: AnyModel, flat: Mapping[str, Any], where: str) -> None:
    """Refuse flat parameters that are no weights of a model.

    Args:
        config: the model.
        flat: path -> array.
        where: what the message calls them.

    Raises:
        PretrainedError: naming the first faults.
    """
    with np.errstate(over="ignore"):  # what overflows float32 is reported as such
        faults = tensor_faults(config, flat)
    if faults:
        more = len(faults) - MOST_NAMED
        rest = f"; and {more} more" if more > 0 else ""
        raise PretrainedError(
            f"{where} does not fit its model: {'; '.join(faults[:MOST_NAMED])}{rest}. "
            "Use the weights and the configuration that belong together; finite "
            "numbers only."
        )


def to_bytes(config: AnyModel, params: Mapping[str, Any], name: str) -> bytes:
    """A safetensors file; the same parameters give the same bytes.

    Args:
        config: the model.
        params: nested dictionaries of floating-point arrays.
        name: what messages call them.

    Returns:
        Its content.

    Raises:
        PretrainedError: if params are not finite weights of the model.

    Source: the safetensors format.
    """
    flat = flatten_params(params)
    check_tensors(config, flat, f"params of {name!r}")
    # ascontiguousarray alone would make a scalar one-dimensional.
    arrays = {
        path: np.array(leaf, dtype=np.float32, order="C") for path, leaf in flat.items()
    }
    text = json.dumps(config.to_dict(), sort_keys=True)
    return save(arrays, metadata={"config": text})


def from_bytes(
    data: bytes, config: Mapping[str, Any], where: str
) -> tuple[AnyModel, dict[str, jax.Array]]:
    """Inverse of `to_bytes`.

    Args:
        data: content of a safetensors file.
        config: of the manifest; must be what the file holds as well.
        where: what messages call the file.

    Returns:
        `(config, flat parameters)`, float32 on the device.

    Raises:
        PretrainedError: for a file that is damaged, or of another model.
    """
    try:
        tensors = safetensors.deserialize(data)
        header = data[8 : 8 + int.from_bytes(data[:8], "little")]
        inner = json.loads(json.loads(header)["__metadata__"]["config"])
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise PretrainedError(
            f"{where} is no safetensors file of `save_pretrained` ({error}); fetch it "
            "again, or install the package again."
        ) from error
    if inner != config:
        raise PretrainedError(
            f"{where} holds another model configuration than its manifest; one of the "
            "two was changed: take both as `save_pretrained` wrote them."
        )
    kinds = {path: tensor["dtype"] for path, tensor in tensors}
    odd = sorted(path for path, kind in kinds.items() if kind != "F32")
    if odd:
        raise PretrainedError(
            f"{where}: {odd[0]} has dtype {kinds[odd[0]]}, expected F32; write the "
            "weights with `save_pretrained`."
        )
    try:
        model = model_config(config)
    except (ValueError, TypeError) as error:
        raise PretrainedError(
            f"{where}: this version of spectral_tf cannot build its model ({error}); "
            "install the version that wrote it, or a newer one."
        ) from error
    flat = {
        path: np.frombuffer(tensor["data"], "<f4").reshape(tensor["shape"])
        for path, tensor in tensors
    }
    check_tensors(model, flat, where)
    return model, {path: jnp.asarray(leaf, jnp.float32) for path, leaf in flat.items()}
