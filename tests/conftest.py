"""Set JAX up before anything imports it: four CPU devices, no silent broadcasting."""

import importlib
import os
import pkgutil
from collections.abc import Iterator

# Before the first import of jax's backends and of matplotlib.
os.environ["MPLBACKEND"] = "Agg"
# scikit-learn's checks of array API input are skipped without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Most of the time goes into compiling small programs once: do not optimise them.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import hypothesis
import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")

LONGEST = ("test_readme.py", "test_demo.py", "test_distributed.py")
"""Files that are begun first."""

# Derandomised: the same examples everywhere, and no database in the work tree.
hypothesis.settings.register_profile("repo", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repo")


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Keep beartype off the configs: their own checks speak first, as for users.

    Without this a wrong type would raise beartype's error here and `ConfigError`
    outside the tests, and `exponent=2` would be refused only here.
    """
    import spectral_tf.apps.studies.commands  # noqa: F401 - defines configurations, too
    from spectral_tf import config

    for module in pkgutil.iter_modules(config.__path__, f"{config.__name__}."):
        importlib.import_module(module.name)
    kinds = config.Config.__subclasses__()
    while kinds:
        cls = kinds.pop()
        kinds += cls.__subclasses__()
        vars(cls)["__init__"].__no_type_check__ = True


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what is marked `long` or `gpu`, unless -m names it; longest first."""
    named = str(config.getoption("markexpr"))
    unasked = {"long", "gpu"} - {mark for mark in ("long", "gpu") if mark in named}
    left = [item for item in items if unasked & {m.name for m in item.iter_markers()}]
    if left:
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=left)
    # Begun last, a test of a minute or two would keep the other workers waiting.
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_programs() -> Iterator[None]:
    """Programs of one file are of no use to the next; kept, they fill gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture
def key() -> jax.Array:
    """The one key of the tests; fold or split it for more."""
    return jax.random.key(0)


@pytest.fixture
def x64() -> Iterator[None]:
    """Run the test in double precision."""
    with jax.enable_x64(True):
        yield
