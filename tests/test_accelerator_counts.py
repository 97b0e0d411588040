"""Reading compiled programs: loops, cycles, launches, collectives, phases."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.accelerator import absent, hlo

TPU = """\
HloModule jit_f, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %s = f32[]{:T(128)} add(%a, %b), backend_config={"flag_configs":[]}
}

%inner_body (p: (s32[], f32[8,10])) -> (s32[], f32[8,10]) {
  %p = (s32[]{:T(128)}, f32[8,10]{1,0:T(8,128)S(1)}) parameter(0)
  %fusion.1 = f32[8,10]{1,0:T(8,128)S(1)} fusion(%x), kind=kLoop, calls=%fused, \
metadata={op_name="jit(f)/while/body/jvp(net)/dot_general" stack_frame_id=4}, \
backend_config={"window_config":{"estimated_cycles":"100","bounds":["1"]}}
  ROOT %t = (s32[], f32[8,10]{1,0}) tuple(%i, %fusion.1)
}

%inner_test (p: (s32[], f32[8,10])) -> pred[] {
  %bound = s32[]{:T(128)} constant(8), metadata={op_name="jit(f)"}
  %p = (s32[]{:T(128)}, f32[8,10]{1,0:T(8,128)S(1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %bound), direction=LT
}

%outer_body (p: (s32[], f32[8,10])) -> (s32[], f32[8,10]) {
  %p = (s32[]{:T(128)}, f32[8,10]{1,0:T(8,128)S(1)}) parameter(0)
  %while.1 = (s32[]{:T(128)}, f32[8,10]{1,0:T(8,128)S(1)}) while(%t), \
condition=%inner_test, body=%inner_body
  %copy.1 = f32[8,10]{0,1:T(8,128)} copy(%y), metadata={op_name="jit(f)/while/body/\
transpose(jvp(net))/dot_general"}, backend_config={"estimated_cycles":"50"}
  %psum = f32[43879]{0:T(1024)S(1)} all-reduce(%g), channel_id=1, to_apply=%add, \
metadata={op_name="jit(f)/while/body/psum"}, backend_config={"estimated_cycles":"7"}
  %eigh = (f32[8,4,4]{2,1,0}, f32[8,4]{1,0}) custom-call(%m), \
custom_call_target="EighTpu", metadata={op_name="jit(f)/jvp(sampling)/targets/eigh"}
  %room = f32[8]{0} custom-call(), custom_call_target="AllocateBuffer"
  ROOT %t = (s32[], f32[8,10]{1,0}) tuple(%i, %copy.1)
}

%outer_test (p: (s32[], f32[8,10])) -> pred[] {
  %bound = s32[]{:T(128)} constant(10)
  %p = (s32[]{:T(128)}, f32[8,10]{1,0:T(8,128)S(1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %bound), direction=LT
}

ENTRY %main (p: f32[8,10]) -> f32[8,10] {
  %p = f32[8,10]{1,0:T(8,128)} parameter(0)
  %while.2 = (s32[]{:T(128)}, f32[8,10]{1,0:T(8,128)S(1)}) while(%t), \
condition=%outer_test, body=%outer_body
  ROOT %last = f32[8,10]{1,0:T(8,128)} fusion(%w), kind=kLoop, calls=%fused, \
metadata={op_name="jit(f)/update/add"}, backend_config={"estimated_cycles":"3"}
}
"""

GPU = """\
%body (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %p = (s32[], f32[4]{0}) parameter(0)
  %gemm = (f32[48,28]{1,0}, s8[33554432]{0}) custom-call(%a, %b), \
custom_call_target="__cublas$lt$matmul"
  %sum-start = f32[4]{0} all-reduce-start(%x), to_apply=%add
  %sum-done = f32[4]{0} all-reduce-done(%sum-start)
  ROOT %t = (s32[], f32[4]{0}) tuple(%i, %sum-done)
}

%test (p: (s32[], f32[4])) -> pred[] {
  ROOT %f = pred[] fusion(%p), kind=kLoop, calls=%fused_compare
}

%branch (p: f32[4]) -> f32[4] {
  ROOT %f = f32[4]{0} fusion(%p), kind=kLoop, calls=%fused
}

ENTRY %main (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  %bit = f32[2,2]{1,0} bitcast(%p)
  %call = f32[4]{0} call(%p), to_apply=%branch
  %if = f32[4]{0} conditional(%q, %p, %p), branch_computations={%branch, %branch}
  %while = (s32[], f32[4]{0}) while(%t), condition=%test, body=%body, \
backend_config={"known_trip_count":{"n":"5"},"known_init_step":{"init":"0"}}
  ROOT %open = (s32[], f32[4]{0}) while(%t), condition=%test, body=%body
}
"""


def test_cycles_of_nested_loops_are_multiplied():
    costs = hlo.costs(TPU)
    assert costs.cycles == 10 * (8 * 100 + 50 + 7) + 3
    assert costs.copies == 10 * 50
    assert costs.cycles_by == {
        "targets": 0,
        "sampling": 0,
        "update": 3,
        "backward": 500,
        "forward": 8000,
        "other": 70,
    }
    assert costs.unknown_loops == 0


def test_collectives_have_their_bytes_once_for_every_run():
    assert hlo.costs(TPU).collectives == {"all-reduce": [4 * 43879] * 10}
    assert hlo.costs(GPU).collectives == {"all-reduce": [16] * 6}


def test_a_library_call_is_named_and_room_for_memory_is_none():
    assert hlo.costs(TPU).library_calls == {"EighTpu": 10}
    assert hlo.costs(GPU).library_calls == {"__cublas$lt$matmul": 6}


def test_launches_are_kernels_and_calls_alone():
    tpu, gpu = hlo.costs(TPU), hlo.costs(GPU)
    assert tpu.launches == 10 * (8 * 1 + 3) + 1
    assert tpu.launches_by["targets"] == 10
    # One call, two branches, and 5 + 1 turns of a product and a sum.
    assert gpu.launches == 3 + 6 * 2
    assert gpu.cycles == 0


def test_a_loop_that_depends_on_the_data_is_counted_as_such():
    assert hlo.costs(GPU).unknown_loops == 1
    until = TPU.replace("direction=LT", "direction=NE")
    assert hlo.costs(until).unknown_loops == 2  # the outer body is seen once


def test_bytes_of_shapes():
    assert hlo.shape_bytes("f32[16,3]{1,0:T(8,128)S(1)}") == 192
    assert hlo.shape_bytes("(bf16[4]{0}, pred[2,2]{1,0}, s32[])") == 8 + 4 + 4
    assert hlo.shape_bytes("token[]") == 0


def test_the_dearest_scopes_come_first():
    (first, times, scope), (second, *_) = hlo.dearest(TPU, 2)
    assert (first, times, second) == (8000, 80, 500)
    assert scope == "fusion: jit(f)/while/body/jvp(net)/dot_general"


def test_a_text_that_is_no_program_is_refused():
    with pytest.raises(ValueError, match="no ENTRY computation"):
        hlo.read_program("HloModule empty")


def test_a_program_of_this_machine_is_read_the_same_way():
    """A loop of 7 in a loop of 5: the sine is computed 35 times."""

    def f(x):
        inner = lambda x, _: (jnp.sin(x) @ x, None)
        outer = lambda x, _: (jax.lax.scan(inner, x, None, length=7)[0] + 1, None)
        return jax.lax.scan(outer, x, None, length=5)[0]

    text = str(jax.jit(f).lower(jnp.eye(32)).compile().as_text())
    steps, unknown = hlo.walk(hlo.read_program(text))
    assert unknown == 0
    inner = [times for step, times in steps if "sin" in step.scope]
    assert inner
    assert set(inner) == {35}


def test_an_absent_compiler_is_one_line_that_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(absent.importlib.util, "find_spec", lambda _: None)
    for name in absent.TARGETS:
        line = absent.missing(name)
        assert line is not None
        extra = "gpu-compiler" if name == "h200" else "tpu-compiler"
        assert f"pip install -e '.[{extra}]'" in line
        assert "\n" not in line
        with pytest.raises(RuntimeError, match="pip install"):
            absent.target(name)
