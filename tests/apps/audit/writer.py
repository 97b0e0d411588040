"""A process that appends to a log until it is done or killed; imports the room only.

    python writer.py REPOSITORY LOG COUNT BYTES

Every entry that `append_entry` returned for is acknowledged by a line on stdout.
"""

import random
import sys
import types
from pathlib import Path


def main(repository, log, count, most):
    # These folders without their front doors, which import JAX.
    for name in ("spectral_tf", "spectral_tf.config"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(repository, *name.split(".")))]
        sys.modules[name] = package
    from spectral_tf.apps.audit import append_entry

    assert not {"jax", "numpy"} & set(sys.modules)
    rng = random.Random()
    for index in range(int(count)):
        padding = "x" * rng.randrange(int(most))
        receipt = append_entry(Path(log), {"index": index, "padding": padding})
        sys.stdout.write(f"{receipt.id} {receipt.n} {receipt.head}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
