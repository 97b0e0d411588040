"""Configurations: every bound is refused with value, bound and remedy; JSON inverts."""

import dataclasses
import inspect
import itertools
import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_tf import config as configs
from spectral_tf.apps import cli
from spectral_tf.apps.demo import DemoConfig
from spectral_tf.config import Config, ConfigError
from spectral_tf.model.presets import PRESETS, model_preset

M, E, T = CONFIGS = configs.ModelConfig, configs.EnsembleConfig, configs.TrainConfig
D, C, S = PARTS = configs.Dense, configs.Channels, configs.InputScaling
GPT2, THEORY = model_preset("paper_gpt2"), model_preset("theory")
JOINT: dict[str, Any] = {"block": ("attention", "mlp")}
DENSE: dict[str, Any] = {**JOINT, "layout": D(dim=10)}
FLAT = D(dim=10, readout="flatten", num_samples=5)

FAMILIES = [kind for kind in get_args(configs.Family) if kind is not configs.Imported]
Case = tuple[type[Config], dict[str, Any], str]


def bad(cls: type[Config], expected: str, **kwargs: Any) -> Case:
    """Refused arguments; `expected` is value | bound | remedy in the message."""
    return cls, kwargs, expected


BOUNDS: list[Case] = [
    bad(cls, f"{name}={value}|must be {bound};|raise it", **{name: value})
    for cls, value, bound, names in (
        (M, 0, ">= 1", "num_components num_blocks mlp_width num_heads"),
        (M, 0, ">= 1", "cross_heads register_tokens"),
        (D, 0, ">= 1", "dim width head_dim num_samples value_dim"),
        (C, 0, ">= 1", "dim max_components"),
        (C, 1, ">= 2", "vectors"),
        (M, 1, ">= 2", "num_heads"),
        (M, -1, ">= 0", "squarings"),
        (C, -1, ">= 0", "raw scalars"),
        (M, 0, "> 0", "norm_eps"),
        (C, 0, "> 0", "gradient_limit"),
        (E, 0, ">= 1", "num_samples dim num_components"),
        (configs.Spiked, 0, ">= 1", "rank"),
        (configs.LowRank, 0, ">= 1", "rank"),
        (configs.Gapped, 0, ">= 1", "rank"),
        (configs.PowerLaw, 0, "> 0", "exponent"),
        (configs.Spiked, 0, "> 0", "spike"),
        (configs.StudentT, 2, "> 2", "degrees_of_freedom"),
        (T, 0, ">= 1", "batch_size num_steps steps_per_call"),
        (T, -1, ">= 0", "warmup_steps calls_per_save eigenvalue_weight seed"),
        (T, 1, ">= 2", "keep_checkpoints"),
        (T, 0, "> 0", "learning_rate max_grad_norm"),
    )
    for name in names.split()
]
MODEL: list[Case] = [
    bad(M, "=3|<= max_components=2|fewer", layout=C(max_components=2)),
    bad(M, "num_components=3|<= dim=2|fewer", layout=C(dim=2)),
    bad(M, "scalars=7|>= 8|at least 8", layout=C(scalars=7)),
    bad(M, "=11|>= 12|at least 12", layout=C(scalars=11, max_components=5)),
    bad(M, "schedule='0*3'|runs 3 blocks|num_blocks=8; set num", schedule="0*3"),
    bad(M, "looped=True|one block|False", looped=True, schedule="0*8"),
    bad(M, "register_tokens=2|>= num_components=3|raise", **DENSE, register_tokens=2),
    bad(M, "register_tokens=5|<= max", register_tokens=5, layout=C(max_components=4)),
    bad(M, "block=()|never reads|include 'attention'", block=()),
    bad(M, "('mlp',)|never reads|'cross'", block=("mlp",)),
    bad(M, "block=|mixes|use ('attention', 'mlp')", block=("attention", "cross")),
    bad(M, "|rotations|use 'cross', 'self' and 'mlp'|layout=Dense", **JOINT),
    bad(M, "|rotations|use 'input' or 'none'", inputs=S(centre="network")),
    bad(M, "|needs readout='linear'", **DENSE, inputs=S(centre="network")),
    bad(M, "|needs 'attention'", layout=FLAT),
    bad(M, "layout=3|one of Dense, Channels", layout=3),
    bad(S, "unit_frobenius=True|set both", unit_trace=False, unit_frobenius=True),
    bad(C, "raw=4|< vectors=4|norm", raw=4),
    bad(C, "vectors=4|twice raw=1|ritz", raw=1, readout="ritz"),
    bad(C, "norm='layer'|'none', 'rms'", norm="layer"),
    bad(C, "readout='linear'|'rayleigh', 'ritz'", readout="linear"),
    bad(D, "dim=None|int", dim=None),
    bad(D, "(9, 8)|72|at most width=64|larger width", dim=10, norm_groups=(9, 8)),
    bad(D, "(0, 8)|>= 1|use smaller", dim=10, norm_groups=(0, 8)),
    bad(D, "num_samples=None|learned|set num_samples=N", dim=10, positions="learned"),
    bad(D, "num_samples=None|flatten|set num_samples=N", dim=10, readout="flatten"),
    bad(D, "causal=True|only for|use causal=False", dim=10, causal=True),
    bad(D, "norm_groups=None|readout='ritz'", dim=10, readout="ritz"),
]
RUNS: list[Case] = [
    bad(E, "num_components=11|<= dim=10|fewer", num_components=11),
    bad(E, "rank=11|<= dim=10|lower it", family=configs.Spiked(rank=11)),
    bad(E, "rank=11|<= dim=10|lower it", family=configs.LowRank(rank=11)),
    bad(E, "min_samples=51|1..num_samples=50|use None", min_samples=51),
    bad(E, "min_samples=0|1..num_samples=50|use None", min_samples=0),
    bad(T, "final_fraction=0.0|(0, 1]|use 1", final_fraction=0.0),
    bad(T, "final_fraction=1.5|(0, 1]|use 1", final_fraction=1.5),
    bad(T, "num_steps=210|multiple of steps_per_call=25|change", num_steps=210),
    bad(T, "warmup_steps=2000|< num_steps=2000|lower it", warmup_steps=2000),
    bad(T, "shapes=()|at least one|try ((10, 50),)", shapes=()),
    bad(T, "(d=2, N=9)|>= model.num_components=3|raise", shapes=((2, 9),)),
    bad(T, "(d=9, N=1)|N >= 2|raise", shapes=((9, 1),)),
    bad(T, "(d=9, N=50)|dim=10 only|agree", model=THEORY, shapes=((9, 50),)),
    bad(T, "N=49|num_samples=50 only|agree", model=GPT2, shapes=((10, 49),)),
]
REFUSED = BOUNDS + MODEL + RUNS


@pytest.mark.parametrize(("cls", "kwargs", "expected"), REFUSED)
def test_bound_is_refused_with_value_bound_and_remedy(cls, kwargs, expected):
    with pytest.raises(ConfigError) as caught:
        cls(**({"dim": 10} if cls is D else {}) | kwargs)
    message = str(caught.value)
    owners = [cls] if cls is not M else [M, *PARTS]
    assert message.startswith(tuple(f"{owner.__name__}." for owner in owners))
    assert [part for part in expected.split("|") if part not in message] == [], message


@pytest.mark.parametrize(
    ("cls", "kwargs"),
    [
        (M, {"num_components": 3, "layout": C(max_components=3, dim=3)}),
        (M, {"layout": C(scalars=8, vectors=2), "num_heads": 2}),
        (M, {"num_heads": 1, "layout": C(initialisation="random")}),
        (M, {"num_blocks": 5, "schedule": "0 (1)*3 2"}),
        (M, DENSE | {"register_tokens": 3}),
        (M, DENSE | {"layout": D(dim=10, norm_groups=(8, 8))}),
        (E, {"dim": 3, "family": configs.LowRank(rank=3), "min_samples": 1}),
        (E, {"dim": 3, "family": configs.Gapped(rank=9), "min_samples": 50}),
        (T, {"final_fraction": 1.0, "warmup_steps": 1999, "shapes": ((3, 2),)}),
    ],
)
def test_value_on_the_bound_is_accepted(cls, kwargs):
    cls(**kwargs)


FIELDS = [
    (cls, field.name)
    for cls in (*CONFIGS, *PARTS, *FAMILIES)
    for field in dataclasses.fields(cls)
    if field.init
]


@pytest.mark.parametrize(("cls", "name"), FIELDS)
def test_wrong_type_is_refused_by_field(cls, name):
    with pytest.raises(ConfigError, match=rf"^{cls.__name__}\.{name}=.* must be "):
        cls(**({"dim": 10} if cls is D else {}) | {name: object()})


@pytest.mark.parametrize(
    ("cls", "name", "value", "expected"),
    [
        (M, "num_blocks", True, "int"),
        (M, "num_blocks", 8.0, "int"),
        (M, "looped", 1, "bool"),
        (M, "attention", "gauss", "one of 'relu', 'linear', 'softmax'"),
        (M, "block", ["cross"], "tuple"),
        (C, "max_components", (1, 2, 3), "int"),
        (configs.PowerLaw, "exponent", True, "float"),
        (T, "shapes", ((6, 30.0),), "tuple"),
    ],
)
def test_near_miss_of_a_type_names_the_type(cls, name, value, expected):
    with pytest.raises(ConfigError) as caught:
        cls(**{name: value})
    assert f"{name}={value!r} must be" in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_survives_json(name):
    assert_survives_json(model_preset(name))
    assert_survives_json(model_preset(name, num_components=2, mlp_width=32))


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown preset 'gpt'.*equivariant.*theory"):
        model_preset("gpt")
    with pytest.raises(ConfigError, match=r"no field depth, tau;.*num_blocks"):
        M.from_dict({"tau": 3, "depth": 2})
    with pytest.raises(ConfigError, match=r"EnsembleConfig has no field size"):
        T.from_dict({"ensemble": {"size": 3}})
    with pytest.raises(ConfigError, match=r"TrainConfig.model=3 must be an object"):
        T.from_dict({"model": 3})
    with pytest.raises(ConfigError, match=r"num_blocks=0"):
        T.from_dict({"model": {"num_blocks": 0}})


@pytest.mark.parametrize("cls", [*CONFIGS, C, S])
def test_frozen_hashable_keyword_only(cls):
    one, other = cls(), cls()
    name = dataclasses.fields(cls)[1].name
    assert (one, hash(one)) == (other, hash(other))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, name, getattr(one, name))
    with pytest.raises(TypeError):
        cls(getattr(one, name))


def test_replace_checks_again():
    config = E()
    assert config.replace(dim=4).dim == 4
    assert config.dim == 10
    with pytest.raises(ConfigError, match=r"num_components=3 must be <= dim=2"):
        config.replace(dim=2)


def assert_survives_json(config: Config) -> None:
    text = json.dumps(config.to_dict(), allow_nan=False)
    back = type(config).from_dict(json.loads(text))
    assert (back, hash(back)) == (config, hash(config))


POSITIVE = st.floats(1e-12, 1e12)
STARTS = st.sampled_from(get_args(configs.Initialisation))


@st.composite
def ensemble_configs(draw) -> Config:
    dim, samples = draw(st.integers(1, 64)), draw(st.integers(1, 200))
    values = {
        "exponent": POSITIVE,
        "rank": st.integers(1, dim),
        "spike": POSITIVE,
        "degrees_of_freedom": st.floats(2.001, 1e12),
    }
    kind = draw(st.sampled_from(FAMILIES))
    names = {field.name for field in dataclasses.fields(kind)}
    options = {name: draw(value) for name, value in values.items() if name in names}
    return E(
        family=kind(**options),
        num_samples=samples,
        dim=dim,
        num_components=draw(st.integers(1, dim)),
        min_samples=draw(st.none() | st.integers(1, samples)),
    )


@st.composite
def model_configs(draw) -> Config:
    k, unique = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    shared = {
        "num_components": k,
        "num_blocks": unique * draw(st.integers(1, 4)),
        "looped": draw(st.booleans()),
        "norm_eps": draw(POSITIVE),
        "start_seed": draw(st.integers(0, 2**31)),
    }
    if draw(st.booleans()):
        return M(
            layout=C(
                max_components=draw(st.none() | st.integers(k, 9)),
                initialisation=draw(STARTS),
            ),
            block=("cross", *draw(st.lists(st.sampled_from(["self", "mlp"])))),
            **shared,
        )
    groups = st.tuples(st.integers(1, 8), st.integers(1, 8))
    layout = THEORY.dense.replace(
        dim=draw(st.integers(k, 64)), norm_groups=draw(st.none() | groups)
    )
    return THEORY.replace(layout=layout, **shared)


@given(ensemble_configs(), model_configs())
def test_drawn_config_survives_json(ensemble, model):
    samples = model.num_samples or max(2, ensemble.min_samples or 0)
    shape = (model.dim or model.num_components, samples)
    train = T(model=model, ensemble=ensemble, shapes=(shape, shape))
    for config in (ensemble, model, train):
        assert_survives_json(config)


@pytest.mark.parametrize(
    "cls",
    [*CONFIGS, *PARTS, *get_args(configs.Family), DemoConfig, *get_args(cli.Command)],
)
def test_every_field_has_a_comment_of_its_own(cls):
    """They are the help texts; without one tyro repeats that of the field above."""
    classes = [one for one in cls.__mro__ if hasattr(one, "__dataclass_fields__")]
    source = "".join(inspect.getsource(one) for one in classes if one is not Config)
    lines = [line.strip() for line in source.splitlines()]
    starts = tuple(f"{field.name}: " for field in dataclasses.fields(cls))
    above = [one for one, line in itertools.pairwise(lines) if line.startswith(starts)]
    assert len(above) == len(starts)
    assert [line for line in above if not line.startswith("# ")] == []


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ConfigError, match=rf"learning_rate={value} must be finite"):
        configs.TrainConfig(learning_rate=value)


def test_valid_rows_must_fit_every_shape():
    ensemble = configs.EnsembleConfig(min_samples=40)
    with pytest.raises(ConfigError, match=r"min_samples=40 must be <= N=30 of every"):
        configs.TrainConfig(ensemble=ensemble, shapes=((10, 50), (6, 30)))
