"""What a diagram's boxes, lines, colours, frames and legend say."""

import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import fields
from inspect import signature

import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as mm
from miniflow import Tape, Value, define, grad, scope, trace
from miniflow.nn import MLP, Layer
from miniflow.ops import TABLE
from support.diagrams import SVG, edges, line, nodes, numbers_in, shown, texts, walk, written
from support.drawn import AWKWARD, GRAPHS, graphs, several
from support.profiles import examples
from support.project import INSTALLED, TESTS
from viz import diff, draw_dot, draw_network, render, snapshot
from viz.diagram.options import GraphOptions
from viz.output.palette import LIGHT, THEMES, signed
from viz.output.text import number_text


def attribute(diagram, node, name):
    """An attribute of a node; None where it has none of its own."""
    text = re.sub(r"label=<.*>>? ", "", line(diagram, node))
    found = re.search(rf'\b{name}="([^"]*)"', text)
    return found and found[1]


def partials(diagram):
    """The local derivatives along the edges to operations."""
    return re.findall(r"label=< ∂ (\S+) <br/>", diagram.source)


def frames(diagram):
    """The nodes in each frame, by the names of the frames around it."""
    found, open_ = {}, []
    for text in diagram.body:
        if "subgraph" in text:
            open_.append("")
        elif name := re.search(r"graph \[label=<<b>(.*?)</b>>", text):
            open_[-1] = name[1]
        elif text.strip() == "}":
            open_.pop()
        elif node := re.match(r"\t+(\w+) \[", text):
            found.setdefault("/".join(open_), []).append(node[1])
    assert not open_
    return found


def product():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    y = a * b + 1.0
    y.backward()
    return y


# --- kinds --------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES)
def test_each_kind_has_its_fill(theme):
    y = product()
    drawn = draw_dot(y, theme=theme, parameters=y.inputs[0].inputs[1])
    fills = {node: attribute(drawn, node, "fillcolor") for node in nodes(drawn)}
    colours = THEMES[theme]
    assert fills == {
        "v0": colours.input,
        "v1": colours.parameter,
        "v2": colours.computed,
        "op2": colours.operation,
        "v3": colours.constant,
        "v4": colours.output,
        "op4": colours.operation,
    }
    assert drawn.graph_attr["bgcolor"] == colours.background
    other = THEMES["light" if theme == "dark" else "dark"]
    assert not [x for x in other if re.fullmatch("#.*", x) and x in drawn.source]


def test_kinds_differ_by_more_than_colour():
    y = product()
    drawn = draw_dot(y, parameters=[y.inputs[0].inputs[1]])
    assert attribute(drawn, "v1", "style") == "filled"  # no round corners
    assert "dashed" in attribute(drawn, "v3", "style")
    assert attribute(drawn, "v4", "peripheries") == "2"


def test_leaves_of_modules_are_parameters_with_names():
    model = Layer(2, 1, seed=1)
    y = model([Value(1.0, label="x"), 2.0])
    drawn = draw_dot(y)
    kinds = {attribute(drawn, node, "fillcolor"): [] for node in nodes(drawn)}
    for node in nodes(drawn):
        kinds[attribute(drawn, node, "fillcolor")].append(texts(drawn.pipe("svg"))[node][0])
    assert sorted(kinds[LIGHT.parameter]) == ["b", "w.0", "w.1"]
    assert kinds[LIGHT.input] == ["x", "value"]  # a neuron's plain number, too
    model.neurons[0].b.label = "bias"
    assert ">bias<" in draw_dot(y).source


def test_parameters_are_named_by_the_module_that_is_given():
    model = MLP(1, [1], seed=1)
    y = model([1.0])
    named = {name for name, _ in model.named_parameters()}
    for found in (draw_dot(y, parameters=model), draw_dot(y)):
        assert set(re.findall(r'tooltip="(layers[^"]*)"', found.source)) == named
        assert ">w.0<" in found.source  # the frames say the rest


@pytest.mark.parametrize("wrong", [3.0, "w", [Value(1.0), None]])
def test_parameters_are_values(wrong):
    with pytest.raises(TypeError, match="draw_dot: parameters must be a module or Values, got"):
        draw_dot(product(), parameters=wrong)


def test_a_leaf_that_is_drawn_alone_is_an_input():
    assert attribute(draw_dot(Value(1.0)), "v0", "fillcolor") == LIGHT.input


# --- numbers, gradients and local derivatives ---------------------------------


def test_edges_tell_the_local_derivative():
    assert partials(draw_dot(product())) == ["-3.0000", "2.0000", "1.0000"]
    assert partials(draw_dot(GRAPHS["neuron"]()))[-1] == "0.5000"


def test_an_edge_has_the_colour_of_what_flows_back_along_it():
    drawn = draw_dot(product())
    colours = re.findall(r'^\t(\w+) -> \w+ \[color="(\S+)"', drawn.source, re.M)
    expected = {"v0": signed(-3.0, 3.0, LIGHT), "v1": signed(2.0, 3.0, LIGHT)}
    assert dict(colours) == expected | {"v2": signed(1.0, 3.0, LIGHT)}


def test_constants_and_flat_operands_have_no_local_derivative():
    a, b = Value(2.5), Value(1.0)
    assert partials(draw_dot(a * 3.0)) == ["3.0000"]
    assert partials(draw_dot(mm.floor(a))) == []
    assert partials(draw_dot(mm.where(a, b, b))) == ["1.0000", "0.0000"]


@pytest.mark.parametrize("op", TABLE.values(), ids=repr)
def test_every_local_derivative_is_the_tables(op, monkeypatch):
    count = op.arity if op.arity > 0 else 4
    lows = [max(low, -1.5) for low, _ in (op.domain * count)[:count]]
    highs = [min(high, 2.5) for _, high in (op.domain * count)[:count]]
    xs = [0.3 * a + 0.7 * b for a, b in zip(lows, highs, strict=True)]
    xs = [round(x) if op.name in ("round_to", "ldexp") else x for x in xs]
    y = op(*[Value(x) for x in xs])
    expected = [op.partial(k, xs, y.data) for k in range(count) if op.follows(k)]
    assert partials(draw_dot(y)) == [*map(number_text, expected)]


def test_zero_gradients_are_grey_and_what_is_no_number_is_red():
    v = [Value(1.0) for _ in range(4)]
    for x, number in zip(v, (0.0, float("nan"), float("-inf"), 2.0), strict=True):
        x.grad = number
    drawn = draw_dot(v)
    colours = [attribute(drawn, f"v{n}", "color") for n in range(4)]
    assert colours == [LIGHT.zero, LIGHT.wrong, LIGHT.wrong, LIGHT.positive]


def test_values_that_are_no_numbers_stand_on_red():
    drawn = draw_dot([Value(float("nan")), Value(float("inf")), Value(1.0)])
    assert ["bgcolor" in line(drawn, f"v{n}").split(">value<")[1] for n in range(3)] == [
        True,
        True,
        False,
    ]


def test_details():
    y = product()
    full, values, structure = [draw_dot(y, detail=x) for x in ("full", "values", "structure")]
    assert (len(partials(full)), len(partials(values)), len(partials(structure))) == (3, 0, 0)
    assert numbers_in(full, "v4") == numbers_in(values, "v4")
    assert [x for _, x in numbers_in(values, "v4")] == ["-5.0000", "1.0000"]
    assert ">value<" not in structure.source
    assert "gradient" not in structure.source
    drawn = texts(structure.pipe("svg"))
    assert [drawn[f"v{n}"] for n in range(5)] == [["a"], ["b"], [], ["1"], []]
    assert edges(full) == edges(values) == edges(structure)


def test_a_nameless_leaf_without_numbers_says_what_it_is():
    assert texts(draw_dot(Value(1.0), detail="structure").pipe("svg"))["v0"] == ["input"]


@pytest.mark.parametrize("detail", ["full", "values", "structure"])
@pytest.mark.parametrize("name", GRAPHS)
def test_in_a_compact_diagram_operations_are_in_their_results_box(name, detail):
    root = GRAPHS[name]()
    plain, compact = draw_dot(root, detail=detail), draw_dot(root, detail=detail, compact=True)
    assert set(nodes(compact)) == {node for node in nodes(plain) if not node.startswith("op")}
    assert sum(edges(compact).values()) == sum(edges(plain).values()) - sum(
        node.startswith("op") for node in nodes(plain)
    )
    first, second = texts(plain.pipe("svg")), texts(compact.pipe("svg"))
    for node, lines in second.items():
        operation = first.get(f"op{node[1:]}", []) if node[0] == "v" else []
        assert sorted(lines) == sorted(first[node] + operation)


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
def test_compact_diagrams_run_in_every_direction(rankdir):
    drawn = draw_dot(GRAPHS["choice"](), rankdir=rankdir, compact=True)
    assert {"if", "then", "else", "where"} <= set(texts(drawn.pipe("svg"))["v5"])


# --- every graph, every option ------------------------------------------------

OPTIONS = st.fixed_dictionaries(
    {
        "detail": st.sampled_from(["full", "values", "structure"]),
        "theme": st.sampled_from(["light", "dark"]),
        "compact": st.booleans(),
        "rankdir": st.sampled_from(["LR", "TB", "RL", "BT"]),
        "legend": st.none() | st.booleans(),
    }
)


@given(graphs(), OPTIONS)
def test_with_any_options_every_node_and_edge_is_drawn_once(roots, options):
    values, pairs = walk(roots)
    drawn = draw_dot(roots, limit=None, **options)
    assert max(nodes(drawn).values()) == 1
    assert sum(node.startswith("v") for node in nodes(drawn)) == len(values)
    operations = sum(bool(v.inputs) for v in values)
    assert sum(edges(drawn).values()) == len(pairs) + (0 if options["compact"] else operations)


@examples(10)
@given(graphs(), OPTIONS, st.none() | st.booleans())
def test_graphviz_draws_every_diagram(roots, options, fold):
    drawn = draw_dot(roots, limit=None, fold=fold, **options)
    svg = ET.fromstring(drawn.pipe("svg"))
    groups = [group.get("class") for group in svg.iter(f"{SVG}g")]
    assert groups.count("edge") == sum(edges(drawn).values())


def test_older_uses_of_the_parameters_work():
    y = product()
    assert draw_dot(y, "png", "TB", limit=3).format == "png"
    assert draw_dot(y, format="svg", rankdir="TB", limit=None).source.count("rankdir=TB") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detail": "all"}, "detail must be one of full, values, structure, got 'all'"),
        ({"theme": "sepia"}, "theme must be one of light, dark, got 'sepia'"),
        ({"theme": None}, "theme must be one of light, dark, got None"),
        ({"detail": []}, r"detail must be one of .*, got \[\]"),
    ],
)
def test_unknown_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=f"draw_dot: {message}"):
        draw_dot(product(), **options)
    with pytest.raises(ValueError, match=f"render: {message}"):
        render(product(), tmp_path / "x.svg", **options)
    with pytest.raises(ValueError, match=f"diff: {message}"):
        diff(product(), product(), **options)


@pytest.mark.parametrize("draw", [draw_dot, lambda y, **options: diff(y, y, **options)])
def test_a_limit_is_a_number(draw):
    with pytest.raises(TypeError, match=r"limit must be a number, or None .*, got str"):
        draw(product(), limit="9")
    assert draw(product(), limit=float("inf")).source == draw(product(), limit=None).source


def test_the_options_and_their_defaults_are_the_same_everywhere():
    defaults = {field.name: field.default for field in fields(GraphOptions)}
    for draw in (draw_dot, render, diff, draw_network):
        found = {name: x.default for name, x in signature(draw).parameters.items()}
        found = {name: x for name, x in found.items() if name in defaults}
        assert {**found, "detail": "full"}.items() <= defaults.items()
        assert len(found) == (3 if draw is draw_network else len(defaults) - (draw is render))


# --- frames -------------------------------------------------------------------


def test_scopes_are_frames():
    x = Value(2.0, label="x")
    with scope("outer"):
        y = x * 2.0
        with scope("inner"):
            z = y.tanh()
        z = z + y
    found = frames(draw_dot(z + 1.0))
    assert found.pop("") == ["v5", "v6", "op6"]
    assert found == {
        "outer": ["v0", "v1", "v2", "op2", "v4", "op4"],
        "outer/inner": ["v3", "op3"],
    }


def test_modules_are_frames_around_their_parameters():
    model = MLP(2, [2, 1], seed=1)
    x = [Value(1.0, label="x"), Value(2.0, label="y")]
    found = frames(draw_dot((model(x) - 1.0) ** 2))
    neurons = {f"MLP/layers.{k}/neurons.{n}" for k, n in ((0, 0), (0, 1), (1, 0))}
    assert set(found) == {"", "MLP/layers.0", *neurons}
    assert len(found["MLP/layers.0"]) == 2  # inputs
    assert len(found["MLP/layers.0/neurons.1"]) == 3 + 3 + 3  # parameters, operations, results
    assert len(found["MLP/layers.1/neurons.0"]) == 3 + 2 + 2


def test_a_parameter_of_two_frames_is_in_what_is_around_both():
    w = Value(1.0)
    with scope("outer"):
        with scope("a"):
            y = w * 2.0
        with scope("b"):
            y = w * y
    found = frames(draw_dot(y, parameters=[w]))
    assert found["outer"] == ["v0"]


def test_names_of_frames_come_out_as_written():
    leaves = []
    for label in AWKWARD:
        with scope(label):
            leaves.append(Value(1.0, label="x"))
    svg = ET.fromstring(draw_dot(leaves).pipe("svg"))
    drawn = [
        written([text.text for text in group.iter(f"{SVG}text")])
        for group in svg.iter(f"{SVG}g")
        if group.get("class") == "cluster"
    ]
    assert drawn == [shown(label) for label in dict.fromkeys(AWKWARD)]


def test_very_deep_scopes_are_drawn():
    y = Value(1.0)

    def deeper(y, depth):
        with scope(f"level {depth}"):
            return deeper(y * 2.0, depth - 1) if depth else y * 3.0

    found = frames(draw_dot(deeper(y, 100)))
    assert max(name.count("/") for name in found) == 7


# --- labels with what could mean something ------------------------------------

DANGEROUS = [
    "<script>alert(1)</script>",
    "</b></td></tr></table>>",
    "]]><script>",
    '"><img src=x onerror=alert(1)>',
    "a\nb\r\nc",
    "{x|y}",
    "😀 é",
    "&amp;&lt;",
    "\\N\\",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("compact", [False, True])
def test_nothing_in_a_label_has_a_meaning(compact):
    for text in DANGEROUS:
        odd = define("odd", lambda x: x, 1.0, symbol=text)
        del TABLE["odd"]  # an entry keeps its operation
        with scope(text):
            y = odd(Value(1.0, label=text))
        y.label = text
        svg = draw_dot(y, compact=compact).pipe("svg")
        tree = ET.fromstring(svg)
        assert not [x for x in tree.iter() if "script" in x.tag or "image" in x.tag]
        for node in ("v0", "v1"):
            assert shown(text.replace("\r\n", "\n")) in written(texts(svg)[node])


# --- what can be drawn --------------------------------------------------------


def test_nested_values_are_drawn_together():
    a = Value(1.0)
    nest = {"x": [a * 2.0, (a + 1.0,)], "y": a}
    assert draw_dot(nest).source == draw_dot([nest["x"][0], nest["x"][1][0], a]).source


def test_a_tape_is_drawn_with_what_it_uses_from_before():
    x = Value(2.0, label="x")
    early = x * 3.0
    early.label = "early"
    with Tape() as tape:
        y = early * x
        z = y + 1.0
        Value(5.0, label="unused")
    drawn = draw_dot(tape)
    lines = texts(drawn.pipe("svg"))
    assert [lines[node][0] for node in ("v0", "v1")] == ["x", "early"]
    assert "op1" not in lines
    assert len([node for node in lines if node.startswith("v")]) == 2 + len(tape)
    outputs = [node for node in nodes(drawn) if attribute(drawn, node, "peripheries")]
    assert len(outputs) == 1
    assert z.data == 13.0


def test_an_empty_tape_is_refused():
    with Tape() as tape:
        pass
    with pytest.raises(ValueError, match="draw_dot: there is nothing to draw in an empty Tape"):
        draw_dot(tape)


def test_forward_and_derivative_part_of_a_program_are_told_apart():
    def f(x):
        with scope("inner"):
            return mm.sin(x) * x

    assert set(frames(draw_dot(trace(f, 1.0)))) == {"inner"}
    found = frames(draw_dot(trace(grad(f), 1.0)))
    assert set(found) == {"", "forward/inner", "reverse sweep/inner"}
    again = frames(draw_dot(trace(grad(grad(f)), 1.0)))
    assert "reverse sweep of the reverse sweep/inner" in again


def test_what_a_program_captures_is_a_parameter():
    w = Value(2.0, label="w")
    drawn = draw_dot(trace(lambda x: w * x, 1.0))
    assert attribute(drawn, "v1", "fillcolor") == LIGHT.parameter
    assert "value" not in drawn.source


def test_a_snapshot_keeps_what_was():
    y = product()
    before, text = snapshot(y), draw_dot(y).source
    y.inputs[0].inputs[0].data = 7.0
    y.forward().backward()
    assert draw_dot(before).source == text
    assert draw_dot(y).source != text
    assert repr(before) == "<Graph of 5 entries>"


def test_drawing_is_refused_while_a_function_is_traced():
    def f(x):
        draw_dot(x * x)
        return x

    with pytest.raises(RuntimeError, match="drawing a graph while a function is traced"):
        trace(f, 1.0)


# --- the legend ---------------------------------------------------------------


def legend(diagram):
    return re.findall(r">([^<>]+)<", diagram.graph_attr.get("label", ""))


def test_the_legend_has_what_the_diagram_has():
    assert legend(draw_dot(Value(1.0))) == []
    found = legend(draw_dot(product()))
    assert found[:5] == ["input", "constant", "operation", "computed", "output"]
    assert "∂ on an edge: local derivative" in found
    assert "NaN or infinite" in found
    found = legend(draw_dot(product(), detail="structure"))
    assert found == ["input", "constant", "operation", "computed", "output"]
    assert "hexagon: holds on this path" in legend(draw_dot(GRAPHS["program"]()))


def test_a_legend_can_be_asked_for_and_left_out():
    assert legend(draw_dot(product(), legend=False)) == []
    assert legend(draw_dot(Value(1.0), legend=True))[0] == "input"


def test_a_notebook_shows_the_legend():
    svg = draw_dot(product())._repr_mimebundle_()["image/svg+xml"]
    assert "local derivative" in svg


# --- always the same ----------------------------------------------------------


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_gives_the_same_bytes(seed):
    code = """
        import sys
        from support.drawn import several
        sys.stdout.buffer.write(several().encode())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=INSTALLED, env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(TESTS)}, capture_output=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == several().encode()
