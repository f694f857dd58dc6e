"""Which operations share a kernel: no thread meets what another one writes."""

from __future__ import annotations

from named_networks import NETWORKS

from graphbptt.codegen.rows.fusion import fuse_rows
from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.compiler import compile_network
from graphbptt.ir.expression import Load
from graphbptt.ir.operations import Assignment, Compute, Row, Silence, Softmax, View

PLAN = compile_network(NETWORKS[0]())


def copy(out: View, source: View | Row, accumulate: bool = False) -> Compute:
    return Compute((Assignment(out, Load(source), accumulate),))


def fuse(*operations: RowOperation, whole: bool = True) -> list[int]:
    """How many operations each kernel has."""
    return [len(group) for group in fuse_rows(PLAN, operations, whole)]


A, B, C = (View(name, 0, 4) for name in "abc")


def test_neighbours_at_the_same_columns_share_a_kernel() -> None:
    assert fuse(copy(B, A), copy(C, B), copy(View("d", 3, 7), C)) == [3]


def test_other_columns_of_the_same_buffer_do_not_matter() -> None:
    assert fuse(copy(View("b", 4, 8), A), copy(C, B)) == [2]


def test_columns_that_lie_elsewhere_in_what_was_written_are_another_threads() -> None:
    assert fuse(copy(B, A), copy(View("c", 0, 2), View("b", 2, 4))) == [1, 1]
    assert fuse(copy(View("c", 0, 2), View("b", 2, 4)), copy(B, A)) == [1, 1]


def test_repeated_loads_are_read_by_other_threads() -> None:
    wide = View("c", 0, 8)
    assert fuse(copy(wide, B), copy(A, Row(0, 4))) == [2]
    assert fuse(copy(B, A), copy(wide, B)) == [1, 1]


def test_other_steps_meet_only_where_all_steps_are_at_once() -> None:
    earlier = View("b", 0, 4, shift=-1)
    assert fuse(copy(B, A), copy(C, earlier)) == [1, 1]
    assert fuse(copy(B, A), copy(C, earlier), whole=False) == [2]


def test_what_adds_to_two_steps_is_two_kernels() -> None:
    both = Compute((Assignment(View("b", 0, 4, shift=-1), Load(A), True), Assignment(B, Load(A))))
    first, second = fuse_rows(PLAN, [both], whole=True)
    assert [item.accumulate for (part,) in (first, second) for item in part.assignments] == [False, True]
    assert fuse_rows(PLAN, [both], whole=False) == [(both,)]


def test_additions_to_the_columns_of_several_writes_are_behind_these() -> None:
    """Where they begin with the columns of a write, each thread adds to what it wrote itself."""
    first, second, union = (View("b", *columns, shift=-1) for columns in ((0, 2), (2, 4), (0, 4)))
    added = Assignment(union, Load(View("a", 0, 4)), True)
    one, other = (Assignment(out, Load(View("a", 0, 2))) for out in (first, second))
    both = Compute((added, one, other))
    kernels = [(Compute((one,)), Compute((other,))), (Compute((added,)),)]
    assert fuse_rows(PLAN, [both], whole=False) == kernels
    assert fuse(Compute((added, one)), whole=False) == [1]


def test_softmax_stays_alone() -> None:
    assert fuse(copy(B, A), Softmax(C, B), copy(View("d", 0, 4), A)) == [1, 1, 1]


def test_slopes_are_silenced_width_by_width() -> None:
    silence = Silence((A, View("d", 0, 2), B))
    assert fuse_rows(PLAN, [silence], whole=True) == [(Silence((A, B)), Silence((View("d", 0, 2),)))]


def test_gates_and_what_reads_them_share_a_kernel() -> None:
    """With an assignment for each gate, so that every thread finds what it made itself."""
    plan = compile_network(NETWORKS[1]())
    (stage,) = (stage for stage in plan.stages if stage.mode == "forward")
    for sweep, gates in ((stage.forward, 4), (stage.backward, 3)):
        rows = [operation for _, operation in sweep.each if isinstance(operation, RowOperation)]
        (group,) = fuse_rows(plan, rows, whole=False)
        outs = [write.view for operation in group for write in operation.writes()]
        assert {view.width for view in outs} == {5}
        assert len([view for view in outs if plan.buffer[view.buffer].lanes == 4]) >= gates


def test_columns_stay_together_where_no_kernel_is_saved() -> None:
    plan = compile_network(NETWORKS[1]())
    (wide,) = (buffer for buffer in plan.buffers if buffer.kind == "net" and buffer.lanes == 4)
    whole = View(wide.name, 0, wide.width)
    operation = Compute((Assignment(whole, Load(whole) + Load(whole)),))
    assert fuse_rows(plan, [operation], whole=True) == [(operation,)]
