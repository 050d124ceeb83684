"""Networks: every neuron and weight in its place, the colours, what is left out."""

import itertools
import math
import re
import xml.etree.ElementTree as ET

import graphviz
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value
from miniflow.nn import GRU, MLP, Layer, Module, Neuron, Sequential, Softmax
from support.golden import NETWORKS as GOLDEN
from support.networks import MODELS, long, nest, neuron, small, stack
from support.profiles import examples
from viz import Diagram, draw_network, render
from viz.model.network import _brief, _room, _slots, title
from viz.output.palette import DARK, LIGHT, THEMES, signed

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
RADIUS = 0.26


# --- reading diagrams ---------------------------------------------------------


def places(diagram):
    """Where each node is, in inches."""
    found = re.findall(r'^\t(\w+) \[.*pos="([^,]+),([^!]+)!"', diagram.source, re.M)
    return {name: (float(x), float(y)) for name, x, y in found}


def lines(diagram):
    """The weights' lines, in the order in which they are drawn."""
    return re.findall(r"^\t([xn]\d+_\d+) -> (n\d+_\d+) ", diagram.source, re.M)


def line(diagram, start):
    (found,) = re.findall(rf"^\t{re.escape(start)} \[.*$", diagram.source, re.M)
    return found


def circles(diagram):
    return {name for name in places(diagram) if re.fullmatch(r"[xn]\d+_\d+", name)}


def groups(svg, kind):
    """The nodes or edges of an SVG by title."""
    found = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class") == kind]
    return {g.find(f"{SVG}title").text: g for g in found}


def texts(svg):
    return [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]


# --- what is drawn ------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_the_dot_is_that_of_the_golden_file(name):
    assert draw_network(MODELS[name]()).source == (GOLDEN / f"{name}.dot").read_text("utf-8")


def test_there_is_no_golden_file_without_a_model():
    assert {path.stem for path in GOLDEN.iterdir()} == MODELS.keys()


@given(
    sizes=st.lists(st.integers(1, 16), min_size=2, max_size=4),
    rankdir=st.sampled_from(["LR", "TB", "RL", "BT"]),
)
@examples(30)
def test_every_neuron_and_every_weight_is_drawn_once(sizes, rankdir):
    nin, *nouts = sizes
    diagram = draw_network(MLP(nin, nouts, seed=0), rankdir=rankdir)
    rows = [[f"x0_{k}" for k in range(nin)]]
    rows += [[f"n{n}_{k}" for k in range(size)] for n, size in enumerate(nouts)]
    assert circles(diagram) == set(itertools.chain(*rows))
    expected = [pair for row in itertools.pairwise(rows) for pair in itertools.product(*row)]
    assert sorted(lines(diagram)) == sorted(expected)


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    rankdir=st.sampled_from(["LR", "TB", "RL", "BT"]),
    longest=st.integers(3, 20),
)
@examples(40)
def test_circles_never_touch_and_layers_are_columns(sizes, rankdir, longest):
    nin, *nouts = sizes
    diagram = draw_network(MLP(nin, nouts, seed=0), rankdir=rankdir, longest=longest)
    at = places(diagram)
    spots = [at[name] for name in circles(diagram)]
    assert all(math.dist(a, b) > 2 * RADIUS + 0.1 for a, b in itertools.combinations(spots, 2))
    axis, sign = {"LR": (0, 1), "RL": (0, -1), "TB": (1, -1), "BT": (1, 1)}[rankdir]
    columns = {}
    for name in circles(diagram):
        layer = -1 if name[0] == "x" else int(name[1:].split("_")[0])
        columns.setdefault(layer, set()).add(at[name][axis] * sign)
    positions = [columns[layer] for layer in sorted(columns)]
    assert all(len(column) == 1 for column in positions)
    assert sorted(itertools.chain(*positions)) == list(itertools.chain(*positions))


@given(sizes=st.lists(st.integers(1, 30), min_size=2, max_size=4), longest=st.integers(3, 20))
@examples(30)
def test_what_is_left_out_is_counted(sizes, longest):
    nin, *nouts = sizes
    diagram = draw_network(MLP(nin, nouts, seed=0), longest=longest)
    drawn = dict.fromkeys(["x0", *[f"n{n}" for n in range(len(nouts))]], 0)
    for name in circles(diagram):
        drawn[name.split("_")[0]] += 1
    for (name, count), size in zip(drawn.items(), sizes, strict=True):
        missing = re.findall(rf'{name}_gap \[label="… (\d+) more …"', diagram.source)
        assert count + sum(map(int, missing)) == size
        assert count <= longest


def test_a_stack_of_linears_is_drawn_as_neurons():
    diagram = draw_network(stack())
    assert len(lines(diagram)) == 12 + 12 + 6
    drawn = texts(diagram.pipe("svg"))
    for text in (
        "4 · relu",
        "3 · tanh",
        "2 · softmax",
        "4.0",
        "Sequential   3 → 4 → 3 → 2   44 parameters",
    ):
        assert text in [x.replace("\xa0", " ") for x in drawn]
    assert "and 8 parameters outside of neurons: 1.weight.0, 1.weight.1, 1.weight.2, …" in drawn
    assert "0.weight.3.2" in line(diagram, "x0_2 -> n0_3")
    assert "no bias" in line(diagram, "n1_0")
    with pytest.raises(TypeError, match="this GRU holds no Neuron, no Layer and no Linear"):
        draw_network(GRU(2, 3))


def test_an_activation_behind_an_activation_is_named_with_it():
    model = Sequential(Layer(1, 2, activation="tanh", seed=1), Softmax())
    assert "2 · softmax of tanh" in draw_network(model).source


def test_a_long_layer_shows_its_first_and_last_neurons():
    assert _slots(300, 5) == [0, 1, None, 298, 299]
    assert _slots(300, 6) == [0, 1, 2, None, 298, 299]
    assert _slots(5, 5) == [0, 1, 2, 3, 4]
    assert _slots(4, 3) == [0, None, 3]
    source = draw_network(long(), longest=5).source
    assert "… 296 more …" in source
    assert {"n0_0", "n0_299"} < circles(draw_network(long(), longest=5))


def test_of_very_many_layers_the_middle_ones_are_left_out():
    diagram = draw_network(MLP(1, [2] * 60, seed=1))
    layers = {int(name[1:].split("_")[0]) for name in circles(diagram) if name[0] == "n"}
    assert layers == {*range(12), *range(49, 60)}
    assert "… 37 more layers …" in diagram.source
    assert ("n11_0", "n49_0") not in lines(diagram)
    assert "->" not in title(MLP(1, [2] * 60, seed=1))


def test_a_picture_shows_names_sizes_activations_and_biases():
    model = small()
    model.layers[0].neurons[2].b.data = -0.25
    drawn = texts(draw_network(model).pipe("svg"))
    for text in ("inputs", "layers.0", "4 · tanh", "layers.1", "2 · linear", "-0.25"):
        assert text in drawn
    assert "MLP   3 → 4 → 2   26 parameters" in [text.replace("\xa0", " ") for text in drawn]


def test_numbers_are_written_where_there_is_room():
    model = neuron()
    for k, x in enumerate((0.5, -0.25, 1e-9)):
        model.w[k].data = x
    drawn = texts(draw_network(model).pipe("svg"))
    assert {"0.50", "-0.25", "1e-9"} <= set(drawn)
    assert "n1_0_0" not in places(draw_network(MLP(16, [16, 16], seed=1)))


@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=24), st.booleans()
)
def test_numbers_beside_lines_do_not_overlap(ends, flat):
    share = _room(ends, flat)
    if share is not None:
        at = sorted(a + share * (b - a) for a, b in ends)
        assert all(b - a >= (0.149 if flat else 0.379) for a, b in itertools.pairwise(at))
        assert 0.2 < share < 0.8


def test_one_line_or_lines_far_apart_have_their_numbers_in_the_middle():
    assert _room([(0.0, 3.0)], True) == 0.5
    assert _room([(0.0, 0.0), (1.0, 1.0)], True) == 0.5
    assert _room([(0.0, 0.0), (0.0, 0.0)], True) is None
    assert _room([(k, k) for k in range(25)], True) is None


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1.00"), (-0.256, "-0.26"), (9.999, "10.0"),
        (-12.34, "-12.3"), (123.4, "123"), (0.004, "4e-3"), (1234.0, "1e3"), (-2.5e-300, "-2e-300"),
        (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan"),
    ],
)  # fmt: skip
def test_numbers_in_circles_are_short(x, text):
    assert _brief(x) == text


@given(st.floats(-1e308, 1e308) | st.sampled_from([math.inf, -math.inf]))
def test_numbers_in_circles_are_true_and_short(x):
    assert len(_brief(x)) <= 7
    assert float(_brief(x)) == pytest.approx(x, rel=0.34, abs=0)


# --- sign, size, zero, nan ----------------------------------------------------


def test_a_lines_colour_and_width_are_its_weights():
    model = Neuron(5, seed=1)
    for w, x in zip(model.w, (-2.0, 1.0, 0.0, math.nan, math.inf), strict=True):
        w.data = x
    diagram = draw_network(model)
    pens = [line(diagram, f"x0_{k} -> n0_0") for k in range(5)]
    assert f'color="{LIGHT.negative}"' in pens[0]
    assert f'color="{signed(1.0, 2.0, LIGHT)}"' in pens[1]
    assert f'color="{LIGHT.zero}"' in pens[2]
    assert all(f'color="{LIGHT.wrong}"' in pen and "style=dashed" in pen for pen in pens[3:])
    widths = [float(re.search("penwidth=([0-9.]+)", pen)[1]) for pen in pens]
    assert widths[0] > widths[1] > widths[2] > 0
    assert not any("dashed" in pen for pen in pens[:3])


def test_stronger_lines_lie_on_top():
    model = Neuron(4, seed=1)
    for w, x in zip(model.w, (0.5, math.nan, -1.0, 0.25), strict=True):
        w.data = x
    assert [tail for tail, _ in lines(draw_network(model))] == ["x0_3", "x0_0", "x0_2", "x0_1"]


def test_a_ring_is_the_bias():
    model = Layer(1, 3, seed=1)
    for unit, x in zip(model.neurons, (-9.0, 0.0, math.nan), strict=True):
        unit.b.data = x
    diagram = draw_network(model)
    rings = [line(diagram, f"n0_{k}") for k in range(3)]
    colours = [LIGHT.negative, LIGHT.zero, LIGHT.wrong]
    assert all(f' color="{c}"' in ring for c, ring in zip(colours, rings, strict=True))
    assert 'style="filled,dashed"' in rings[2]


def test_the_legend_speaks_of_nan_only_if_there_is_one():
    assert "nan, inf" not in draw_network(small()).source
    assert "nan, inf" in draw_network(nest()).source


def test_pointing_at_a_line_shows_its_name_number_and_gradient():
    model = small()
    model([1.0, 2.0, 3.0])[1].backward()
    model.layers[1].neurons[1].w[3].grad = -1.5e-7
    w = model.layers[1].neurons[1].w[3]
    edge = groups(draw_network(model).pipe("svg"), "edge")["n0_3->n1_1"]
    (tip,) = [a.get(f"{XLINK}title") for a in edge.iter(f"{SVG}a")]
    assert tip.split() == ["layers.1.neurons.1.w.3", f"{w.data:.4f}", "gradient", f"{w.grad:.4g}"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_changes_colours_only(theme):
    colours = THEMES[theme]
    diagram = draw_network(nest(), theme=theme)
    strip = re.compile(r'"?#[0-9a-f]{6}"?')
    assert strip.sub("", diagram.source) == strip.sub("", draw_network(nest()).source)
    assert diagram.graph_attr["bgcolor"] == colours.background
    used = set(re.findall("#[0-9a-f]{6}", diagram.source))
    other = DARK if theme == "light" else LIGHT
    assert not used & set(other)


# --- other modules ------------------------------------------------------------


def test_layers_that_fit_follow_each_other_and_others_begin_a_part():
    diagram = draw_network(nest())
    assert {name.split("_")[0] for name in circles(diagram)} == {"x0", "n0", "n1", "n2", "x3", "n3"}
    assert ("n1_1", "n2_0") in lines(diagram)
    assert ("x3_4", "n3_0") in lines(diagram)
    at = places(diagram)
    assert at["x3_0"][1] < min(at[f"x0_{k}"][1] for k in range(2)) - 2 * RADIUS


def test_names_of_parts_and_mixed_activations_are_shown():
    drawn = [t.replace("\xa0", " ") for t in texts(draw_network(nest()).pipe("svg"))]
    for text in ("encoder.layers.0", "head", "2 · mixed", "silu", "linear", "parts.a b"):
        assert text in drawn


def test_parameters_that_are_not_drawn_are_mentioned():
    assert "and 1 parameter outside of neurons: gain" in draw_network(nest()).source
    assert "outside of neurons" not in draw_network(small()).source


def test_a_module_that_is_held_twice_is_drawn_once():
    model = Module()
    model.first = model.second = Neuron(2, seed=1)
    assert len(circles(draw_network(model))) == 3


def test_weights_that_are_plain_numbers_are_drawn():
    model = Neuron(3, seed=1)
    model.w = np.array([1.0, -2.0, 0.5])
    diagram = draw_network(model)
    assert f'color="{LIGHT.negative}"' in line(diagram, "x0_1 -> n0_0")
    assert "gradient" not in line(diagram, "x0_1 -> n0_0")


AWKWARD = [
    "<b>",
    "{a|b}",
    r"\N",
    "\\",
    '"',
    "&lt;",
    "a\nb",
    "]]>",
    "<script>x</script>",
    "é 😀",
    "$x$",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_names_come_out_as_written(name):
    def activation(x):
        return x

    activation.__name__ = name
    model = Module()
    model.__dict__[name] = Layer(2, 2, activation=activation, seed=1)
    model.__dict__[f"other {name}"] = Value(1.0)
    svg = draw_network(model).pipe("svg")
    drawn = "\n".join(t or "" for t in texts(svg)).replace("\xa0", " ")
    for text in (f"{name}\n2 · {name}", f"outside of neurons: other {name}"):
        assert text in drawn
    tips = [a.get(f"{XLINK}title") for a in groups(svg, "edge")["x0_0->n0_0"].iter(f"{SVG}a")]
    assert tips[0].replace("\n", " ").startswith(f"{name}.neurons.0.w.0".replace("\n", " "))
    assert not list(ET.fromstring(svg).iter(f"{SVG}script"))


# --- always the same, anywhere ------------------------------------------------


def test_drawing_changes_nothing():
    model = nest()
    before = repr([(name, p.data, p.grad) for name, p in model.named_parameters()])
    assert draw_network(model).source == draw_network(model).source
    assert repr([(name, p.data, p.grad) for name, p in model.named_parameters()]) == before


def test_it_is_a_diagram_like_any_other(tmp_path):
    diagram = draw_network(small(), format="png")
    assert isinstance(diagram, Diagram)
    assert isinstance(diagram, graphviz.Digraph)
    assert diagram.pipe().startswith(b"\x89PNG")
    path = render(diagram, tmp_path / "net.svg")
    ends = [name for name in places(diagram) if re.fullmatch(r"key\d[ab]", name)]  # no boxes
    assert len(groups(path.read_bytes(), "node")) == len(places(diagram)) - len(ends)
    assert "layout=neato" in render(diagram, tmp_path / "net.dot").read_text("utf-8")


def test_graphviz_puts_every_circle_where_it_was_told_to():
    diagram = draw_network(small())
    plain = diagram.pipe("plain", encoding="utf-8").splitlines()
    drawn = {w[1]: (float(w[2]), float(w[3])) for w in map(str.split, plain) if w[0] == "node"}
    at = places(diagram)
    (dx, dy) = (drawn["x0_0"][k] - at["x0_0"][k] for k in (0, 1))
    for name, (x, y) in at.items():
        assert drawn[name] == pytest.approx((x + dx, y + dy), abs=0.01)


def test_the_drawing_of_a_large_network_is_small():
    diagram = draw_network(MLP(100, [100] * 10, seed=1))
    assert len(lines(diagram)) == 15 * 15 * 10
    assert len(diagram.source) < 600_000


# --- refusals -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Value(1.0), "model must be a Module, got Value.*; draw_dot draws"),
        (MLP, r"make one, as in MLP\(2"),
        ([Neuron(1)], "make the list an attribute of a Module"),
        (3.0, r"model must be a Module, got float 3\.0; give an MLP"),
        (None, "NoneType"),
        (Module(), r"holds no Neuron, no Layer and no Linear; draw_dot\(model\(x\)\)"),
    ],
)
def test_only_networks_are_drawn(model, message):
    with pytest.raises(TypeError, match=message):
        draw_network(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rankdir": "lr"}, "rankdir must be one of LR, TB, RL, BT, got 'lr'"),
        ({"format": "bogus"}, "format must be .*, got 'bogus'"),
        ({"theme": "blue"}, "theme must be one of light, dark, got 'blue'"),
        ({"theme": ["dark"]}, r"theme must be one of light, dark, got \["),
        ({"longest": 2}, "longest must be an int, 3 or more, got 2"),
        ({"longest": 4.0}, r"longest must .*, got 4\.0"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"draw_network: .*{message}"):
        draw_network(small(), **options)
