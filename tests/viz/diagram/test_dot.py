"""Diagrams: what is drawn, how it is written, and that it is always the same."""

import doctest
import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as mm
import viz.diagram.cards
import viz.diagram.dot
from miniflow import Value, grad, no_grad, trace
from miniflow.ops import TABLE
from support.diagrams import SVG, edges, line, nodes, numbers_in, shown, texts, walk, written
from support.drawn import (
    AWKWARD,
    GRAPHS,
    chain,
    choice,
    dot_product,
    double,
    graphs,
    leaf,
    neuron,
    program,
    readme,
)
from support.golden import DIAGRAMS as GOLDEN
from support.profiles import examples, scaled
from support.project import INSTALLED, TESTS
from viz import draw_dot, render

# --- what is drawn ------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_the_dot_is_that_of_the_golden_file(name):
    golden = GOLDEN / f"{name}.dot"
    assert draw_dot(GRAPHS[name]()).source == golden.read_text("utf-8")


def test_there_is_no_golden_file_without_a_graph():
    assert {path.stem for path in GOLDEN.glob("*.dot")} == GRAPHS.keys()


def test_the_documentation_is_right():
    found = doctest.testmod(viz.diagram.dot)
    assert (found.failed, found.attempted > 0) == (0, True)


def test_both_edges_of_a_sum_with_itself_are_drawn(no_dot):
    diagram = draw_dot(double())
    assert edges(diagram) == {("op1", "v1"): 1, ("v0", "op1"): 2}
    svg = ET.fromstring(diagram.pipe("svg"))
    assert sum(group.get("class") == "edge" for group in svg.iter(f"{SVG}g")) == 3


def test_a_picture_shows_labels_numbers_gradients_and_operations(no_dot):
    drawn = texts(draw_dot(neuron()).pipe("svg"))
    assert len(drawn) == 10 + 5
    assert drawn["v0"] == ["x1", "value", "2.0000", "gradient", "-1.5000"]
    assert drawn["v9"] == ["o", "value", "0.7071", "gradient", "1.0000"]
    assert drawn["op9"] == ["tanh"]


def test_leaves_constants_results_and_operations_look_different():
    diagram = draw_dot(Value(1.0) * 2.0)
    fills = [re.findall('fillcolor="(.*?)"', line(diagram, x)) for x in ("v0", "v1", "v2", "op2")]
    assert len(set(map(tuple, fills))) == 4


def test_a_constant_has_no_gradient():
    drawn = draw_dot(Value(1.0) * 2.0)
    assert "gradient" not in line(drawn, "v1")
    with no_grad():
        assert "gradient" not in draw_dot(Value(1.0) * 2.0).source


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.0, "0.0000"),
        (-0.0, "0.0000"),
        (1.0, "1.0000"),
        (-2.5, "-2.5000"),
        (645.57725947, "645.5773"),
        (99999.0, "99999.0000"),
        (1234567.0, "1.235e+06"),
        (0.01, "0.0100"),
        (0.00123456, "0.001235"),
        (-1.5e-7, "-1.5e-07"),
        (5e-324, "4.941e-324"),
        (1.7e308, "1.7e+308"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_are_readable(x, text):
    v = Value(x)
    v.grad = x
    assert numbers_in(draw_dot(v), "v0") == [("value", text), ("gradient", text)]


def test_a_place_is_named_where_operands_cannot_change_places():
    a, b = Value(5.0), Value(2.0)
    for y in (a - b, a / b, a**b, a % b, mm.atan2(a, b), mm.copysign(a, b)):
        diagram = draw_dot(y)
        assert edges(diagram) == {("op2", "v2"): 1, ("v0", "op2:0"): 1, ("v1", "op2:1"): 1}
        assert re.findall(r">(\w)</font>", line(diagram, "op2")) == ["1", "2"]
    assert edges(draw_dot(b - a))[("v1", "op2:0")] == 1
    assert edges(draw_dot(a - a)) == {("op1", "v1"): 1, ("v0", "op1:0"): 1, ("v0", "op1:1"): 1}


def test_the_places_of_where_and_dot_have_names():
    assert re.findall(r">(\w+)</font>", line(draw_dot(choice()), "op5")) == ["if", "then", "else"]
    assert re.findall(r">(\w+)</font>", line(draw_dot(dot_product()), "op4")) == list("1212")


def interior(interval):
    low, high = interval
    return [x for x in (-3.5, -1.25, -0.5, 0.25, 0.75, 2.0, 3.5) if low < x < high]


@pytest.mark.parametrize("op", [op for op in TABLE.values() if op.arity == 2], ids=repr)
def test_only_operations_that_commute_are_drawn_without_places(op):
    numbers = list(itertools.product(*map(interior, op.domain)))
    commutes = all(op.value(a, b) == op.value(b, a) for a, b in numbers)
    assert commutes == op.commutative
    places = 'port="0"' in draw_dot(Value._record(op, (Value(1.0), Value(1.0)))).source
    assert places == (not commutes)


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
def test_edges_run_in_the_direction_asked_for(no_dot, rankdir):
    diagram = draw_dot(choice(), rankdir=rankdir)
    plain = diagram.pipe("plain", encoding="utf-8").splitlines()
    at = {
        words[1]: tuple(map(float, words[2:4]))
        for words in map(str.split, plain)
        if words[0] == "node"
    }
    axis, sign = {"LR": (0, 1), "RL": (0, -1), "TB": (1, -1), "BT": (1, 1)}[rankdir]
    for tail, head in edges(diagram):
        assert (at[head.split(":")[0]][axis] - at[tail][axis]) * sign > 0


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
def test_every_direction_draws_every_place(no_dot, rankdir):
    drawn = texts(draw_dot(choice(), rankdir=rankdir).pipe("svg"))
    assert sorted(drawn["op5"]) == ["else", "if", "then", "where"]


@given(graphs())
def test_every_node_and_every_edge_is_drawn_exactly_once(roots):
    values, pairs = walk(roots)
    diagram = draw_dot(roots, limit=None)
    values.sort(key=lambda v: v._entry)
    numbers = {id(v): n for n, v in enumerate(values)}
    computed = [n for n, v in enumerate(values) if v.inputs]
    assert nodes(diagram) == Counter(
        [f"v{n}" for n in range(len(values))] + [f"op{n}" for n in computed]
    )
    drawn = Counter()
    for (tail, head), count in edges(diagram).items():
        drawn[tail, head.split(":")[0]] += count
    expected = Counter((f"v{numbers[x]}", f"op{numbers[y]}") for x, y in pairs)
    expected.update((f"op{n}", f"v{n}") for n in computed)
    assert drawn == expected
    for n, v in enumerate(values):
        ports = [(numbers[id(x)], k) for k, x in enumerate(v.inputs)]
        found = re.findall(rf"^\tv(\d+) -> op{n}:(\d+)(?: \[.*)?$", diagram.source, re.M)
        assert found in ([], [(str(x), str(k)) for x, k in ports])


@examples(5)
@given(graphs())
def test_graphviz_reads_every_diagram(roots):
    values, _ = walk(roots)
    computed = sum(bool(v.inputs) for v in values)
    assert len(texts(draw_dot(roots, limit=None).pipe("svg"))) == len(values) + computed


# --- always the same ----------------------------------------------------------


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_gives_the_same_bytes(seed):
    code = (
        "import viz; from support.drawn import GRAPHS\n"
        "for build in GRAPHS.values(): print(viz.draw_dot(build()).source, end='')"
    )
    variables = {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=INSTALLED,
        env=os.environ | variables,
        capture_output=True,
        check=True,
    )
    golden = [(GOLDEN / f"{name}.dot").read_bytes() for name in GRAPHS]
    assert done.stdout.replace(b"\r\n", b"\n") == b"".join(golden)


def test_older_entries_and_compaction_change_nothing(small_table):
    table = small_table(1 << 10)
    golden = (GOLDEN / "readme.dot").read_text("utf-8")
    other = Value(0.0)
    for _ in range(700):
        other = other + 1.0
    y = readme()
    assert draw_dot(y).source == golden
    before = y._entry
    del other
    table.compact()
    assert y._entry < before
    assert draw_dot(y).source == golden


def test_drawing_changes_nothing():
    y = readme()
    state = [(v.data, v.grad, v.label) for v in walk([y])[0]]
    draw_dot(y)
    assert state == [(v.data, v.grad, v.label) for v in walk([y])[0]]
    assert y._tape.held == 0


def test_a_leaf_of_another_thread_is_drawn_once(in_thread):
    shared = in_thread(lambda: Value(2.0, label="w"))
    y = shared * shared + shared
    y.backward()
    assert nodes(draw_dot(y)) == Counter(["v0", "v1", "v2", "op1", "op2"])
    assert numbers_in(draw_dot(y), "v0") == [("value", "2.0000"), ("gradient", "5.0000")]
    assert draw_dot(in_thread(double)).source == (GOLDEN / "double.dot").read_text("utf-8")


def test_several_roots_share_their_graph():
    a = Value(1.0)
    b, c = a * 2.0, a * 3.0
    assert nodes(draw_dot([b, c, b])) == nodes(draw_dot((c, b)))
    assert len(nodes(draw_dot([b, c]))) == 7


# --- labels come out as written -----------------------------------------------


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_labels_come_out_as_written(no_dot, rankdir):
    leaves = [Value(0.0, label=label) for label in AWKWARD]
    drawn = texts(draw_dot(leaves, rankdir=rankdir).pipe("svg"))
    for n, label in enumerate(AWKWARD):
        lines, numbers = drawn[f"v{n}"][:-4], drawn[f"v{n}"][-4:]
        assert written(lines) == shown(label)
        assert numbers == ["value", "0.0000", "gradient", "0.0000"]


@examples(10)
@given(st.lists(st.text(min_size=1), min_size=20, max_size=100))
def test_any_text_is_a_label(labels):
    drawn = texts(draw_dot([Value(0.0, label=label) for label in labels]).pipe("svg"))
    for n, label in enumerate(labels):
        allowed = re.sub("\r\n?", "\n", label).replace("\t", "    ")
        allowed = re.sub("[\0-\x09\x0b-\x1f\ufffe\uffff]", "\ufffd", allowed)
        assert written(drawn[f"v{n}"][:-4]) == shown(allowed)


def test_what_xml_cannot_hold_is_replaced(no_dot):
    v = Value(0.0, label="nul\0 bell\a tab\t return\r\nlone\ud800")
    drawn = texts(draw_dot(v).pipe("svg"))["v0"]
    assert written(drawn[:-4]) == "nul\ufffd bell\ufffd tab     return\nlone\ufffd"


@pytest.mark.parametrize("symbol", ["<", "<>", "{a|b}", r"\N", "\\", '"', "&lt;", "<b>", "a  b"])
@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_symbols_of_operations_come_out_as_written(no_dot, row, symbol, rankdir):
    one = row("odd", lambda x: x, 1.0, symbol=symbol)
    del TABLE["odd"]  # an entry keeps its operation
    two = row("odd", lambda x, y: x, 1.0, None, symbol=symbol)
    drawn = texts(draw_dot(two(one(Value(1.0)), 2.0), rankdir=rankdir).pipe("svg"))
    assert written(drawn["op1"]) == symbol
    assert symbol in [written([text]) for text in drawn["op3"]]


# --- large graphs -------------------------------------------------------------


def test_a_graph_over_400_nodes_is_folded():
    assert len(nodes(draw_dot(chain(399)))) == 400 + 399
    assert 5 < len(draw_dot(chain(400)).body) < 50
    assert draw_dot(chain(2), limit=2).source == draw_dot(chain(2), fold=True).source
    assert len(nodes(draw_dot(chain(400), fold=False))) == 401 + 400


def test_a_large_graph_is_drawn_on_request(no_dot, tmp_path):
    y = chain(450)
    assert len(nodes(draw_dot(y, limit=None))) == 901
    assert len(nodes(draw_dot(y, limit=451))) == 901
    assert len(texts(render(y, tmp_path / "x.svg", limit=None).read_bytes())) == 901


@pytest.mark.slow
def test_a_very_deep_graph_gives_dot(tmp_path):
    depth = scaled(100_000)
    path = render(chain(depth), tmp_path / "deep.dot", limit=None)
    with path.open(encoding="utf-8") as lines:
        assert sum(" -> " in line for line in lines) == 2 * depth


# --- programs -----------------------------------------------------------------


def test_every_slot_guard_and_operand_of_a_program_is_drawn_once():
    drawn, traced = draw_dot(program()), program()
    slots = traced.first + len(traced)
    steps = range(traced.first, slots)
    assert nodes(drawn) == Counter([f"v{k}" for k in range(slots)] + [f"op{k}" for k in steps])
    found = edges(drawn)
    for k, (_, operands) in zip(steps, traced.instructions, strict=True):
        assert found[f"op{k}", f"v{k}"] == 1
        for x in operands:
            assert sum(
                n
                for (tail, head), n in found.items()
                if (tail, head.split(":")[0]) == (f"v{x}", f"op{k}")
            ) == operands.count(x)
    for k, guard in enumerate(traced.guards):
        assert found[f"v{guard.left}", f"guard{k}"] == found[f"v{guard.right}", f"guard{k}"] == 1


def test_a_programs_results_and_guards_are_told_apart():
    drawn, traced = draw_dot(program()), program()
    for slot in range(traced.first + len(traced)):
        assert ("peripheries" in line(drawn, f"v{slot}")) == (slot in traced.outputs)
    assert r'guard0 [label="sum_of_both \> 1.0"' in drawn.source
    assert 'guard1 [label="not x == y"' in drawn.source


def test_the_program_of_a_derivative_is_drawn(no_dot, tmp_path):
    path = render(trace(grad(lambda x, y: mm.sin(x * y)), 1.0, 2.0), tmp_path / "d.svg")
    assert b"cos" in path.read_bytes()


def test_a_large_program_is_folded():
    def power(steps):
        def f(x):
            y = x
            for k in range(steps):
                y = y * x
                if y > k:
                    y = y - 1.0
            return y

        return trace(f, 1.5)

    for traced in (power(500), power(140)):  # as far as Graphviz can draw it is not, if one asks
        drawn = draw_dot(traced)
        assert len(drawn.body) < 100
        assert 'guards [label="' in drawn.source
    assert draw_dot(traced, limit=None).source.count('shape="hexagon"') == 140


# --- refusals -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (3.0, "root must be made of Values, got float 3.0; give y itself, not y.data"),
        ("x", "got str 'x'"),
        (None, "got NoneType None"),
        ([Value(1.0), 2], "got int 2"),
        (abs, "<built-in function abs>; call it and draw the result"),
        ({Value(1.0)}, "got set"),
        ("x" * 1000, "got str"),
    ],
)
def test_only_values_are_drawn(tmp_path, root, message):
    with pytest.raises(TypeError, match=re.escape(message)) as caught:
        draw_dot(root)
    assert len(str(caught.value)) < 200
    with pytest.raises(TypeError, match=re.escape(message)):
        render(root, tmp_path / "x.svg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rankdir": "lr"}, "rankdir must be one of LR, TB, RL, BT, got 'lr'"),
        ({"rankdir": None}, "rankdir must be one of .*, got None"),
        ({"format": "bogus"}, "format must be 'svg', 'png', 'pdf' or another .*, got 'bogus'"),
        ({"format": None}, "format must be .*, got None"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw_dot(leaf(), **options)


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_dot([])
