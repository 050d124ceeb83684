"""Diagrams: what is drawn, how it is written, and that it is always the same.

The golden files hold the DOT of GRAPHS. After a change that is meant to change it:

    PYTHONPATH=. python tests/test_viz.py

writes them anew; look at the difference, and at the pictures, before committing.
"""

import doctest
import io
import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import graphviz
import pytest
from expressions import micrograd_readme
from hypothesis import given, settings
from hypothesis import strategies as st

import miniflow.math as mm
import viz.diagram.cards
import viz.diagram.dot
import viz.output.bundled
from miniflow import Value, grad, no_grad, trace
from miniflow.ops import TABLE
from viz import Diagram, draw_dot, render, snapshot

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
SVG = "{http://www.w3.org/2000/svg}"
MAGIC = {
    "svg": b"<?xml",
    "png": b"\x89PNG\r\n",
    "pdf": b"%PDF",
    "dot": b"digraph",
    "gv": b"digraph",
}

AWKWARD = [
    *r"<>{}|\&'`~!@#$%^*()-_=+[];:,./?" '"',
    *("<b>bold</b>", "<<b>x</b>>", "<", "<>", "<f0> x", "{a|b}", "{", "}|{", "a|b"),
    *(r"\N", r"\G", r"\E", r"\T", r"\H", r"\L", r"\l", r"\r", r"\n", "\\", r"\\", r"\\\N", "a\\"),
    *('"', '""', '\\"', '"\\', '"];', "a -> b", "// no comment", "/*", "#", 'charset="latin-1"'),
    *("&amp;", "&lt;", "&#60;", "&nbsp;", "& ", "&nosuch;", "%s %d %%", "-->", "a--b", "]]>"),
    *(" ", "  ", " a", "a ", "  a   b  ", "a\nb", "\na", "a\n", "a\n\nb", "\n", " \n ", "<\n>"),
    *(
        "é",
        "θ₁",
        "Σ·∂",
        "日本語",
        "😀",
        "👩‍👩‍👧",
        "e\u0301",
        "שלום",
        "a\xa0b",
        "digraph",
        "node",
        "x" * 200,
    ),
]

OPERATIONS = [op for op in TABLE.values() if op.name != "round_to"]  # its digits are no NaN


# --- graphs that tests draw ---------------------------------------------------


def leaf():
    return Value(3.0, label="x")


def double():
    a = Value(2.0, label="a")
    y = a + a
    y.backward()
    return y


def neuron():
    """The neuron of micrograd's lecture."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    terms = x1 * w1, x2 * w2
    for term, label in zip(terms, ("x1*w1", "x2*w2"), strict=True):
        term.label = label
    total = terms[0] + terms[1]
    total.label = "x1*w1 + x2*w2"
    n = total + b
    n.label = "n"
    o = n.tanh()
    o.label = "o"
    o.backward()
    return o


def readme():
    """The expression of micrograd's README."""
    a = Value(-4.0, label="a")
    b = Value(2.0, label="b")
    g = micrograd_readme(a, b)
    g.label = "g"
    g.backward()
    return g


def choice():
    x, z = Value(3.0, label="x"), Value(0.5, label="z")
    y = mm.where(x - z, x * x, z / x)
    y.backward()
    return y


def dot_product():
    w = [Value(-3.0, label="w1"), Value(1.0, label="w2")]
    x = [Value(2.0, label="x1"), Value(0.0, label="x2")]
    return mm.dot(w, x)


def awkward():
    a = Value(1e-9, label='<b>{x|y}</b> "q" \\N & &lt;')
    b = Value(float("inf"), label="two\nlines")
    with no_grad():
        c = a * 1e30
    c.label = "  "
    y = a * b + c
    y.label = "\\"
    y.backward()
    return y


def program():
    w = Value(2.0, label="w")

    def f(x, y):
        sum_of_both = w * x + y
        if sum_of_both > 1.0 and x != y:
            return mm.tanh(sum_of_both) ** 2, sum_of_both, 3.0
        return x, y, w

    return trace(f, 2.0, 3.0)


GRAPHS = {
    f.__name__: f for f in (leaf, double, neuron, readme, choice, dot_product, awkward, program)
}


def write_golden_files():
    for name, build in GRAPHS.items():
        render(build(), GOLDEN / f"{name}.dot")


# --- reading diagrams ---------------------------------------------------------


def edges(diagram):
    """How often each edge is drawn; (tail, head), without the sides of boxes."""
    pairs = re.findall(r"^\t(\w+) -> (\w+(?::\d+)?)", diagram.source, re.M)
    return Counter(pairs)


def nodes(diagram):
    """How often each node is drawn."""
    return Counter(re.findall(r"^\t+((?:v|op)\d+) \[", diagram.source, re.M))


def line(diagram, node):
    (found,) = re.findall(rf"^\t+{node} \[.*$", diagram.source, re.M)
    return found


def numbers_in(diagram, node):
    """The captions in a box, with the numbers beside them."""
    return re.findall(r">(data|grad)</font></td><td [^>]*>([^<]*)<", line(diagram, node))


def texts(svg):
    """What is written in each node of an SVG."""
    groups = ET.fromstring(svg).iter(f"{SVG}g")
    return {
        group.find(f"{SVG}title").text: [text.text for text in group.iter(f"{SVG}text")]
        for group in groups
        if group.get("class") == "node"
    }


def written(lines):
    """Lines of SVG text as the string that they show."""
    return "\n".join(lines).replace("\xa0", " ")


def shown(label):
    """A label as `written` gives it back: an empty line holds one space."""
    return re.sub("^$", " ", label.replace("\xa0", " "), flags=re.M)


# --- with and without the program `dot` ---------------------------------------


@pytest.fixture
def no_dot(monkeypatch, tmp_path_factory):
    """A machine without the program `dot`."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("bin")))


@pytest.fixture
def fake_dot(monkeypatch, tmp_path_factory):
    """A machine with a program `dot`; a function that says what the program does.

    It leaves its arguments and what it read in the file that the function returns.
    """

    def install(code="print('drawn by dot', end='')"):
        folder = tmp_path_factory.mktemp("bin")
        log, program = folder / "log", folder / "dot"
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"open({str(log)!r}, 'w').write(repr(sys.argv[1:]) + sys.stdin.read())\n{code}\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return log

    if os.name == "nt":
        pytest.skip("no scripts without an extension")
    return install


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
    assert drawn["v0"] == ["x1", "data", "2.0000", "grad", "-1.5000"]
    assert drawn["v9"] == ["o", "data", "0.7071", "grad", "1.0000"]
    assert drawn["op9"] == ["tanh"]


def test_leaves_constants_results_and_operations_look_different():
    diagram = draw_dot(Value(1.0) * 2.0)
    fills = [re.findall('fillcolor="(.*?)"', line(diagram, x)) for x in ("v0", "v1", "v2", "op2")]
    assert len(set(map(tuple, fills))) == 4


def test_a_constant_has_no_gradient():
    drawn = draw_dot(Value(1.0) * 2.0)
    assert "grad" not in line(drawn, "v1")
    with no_grad():
        assert "grad" not in draw_dot(Value(1.0) * 2.0).source


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
    assert numbers_in(draw_dot(v), "v0") == [("data", text), ("grad", text)]


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


@st.composite
def graphs(draw):
    """A few of the Values of a random graph: any operations on any operands."""
    values = [Value(draw(st.floats(-2, 2))) for _ in range(draw(st.integers(1, 3)))]
    ops = st.sampled_from(OPERATIONS)
    for _ in range(draw(st.integers(0, 12))):
        op = draw(ops)
        count = op.arity if op.arity > 0 else 2 * draw(st.integers(1, 3))
        operands = [draw(st.sampled_from(values) | st.floats(-2, 2)) for _ in range(count)]
        y = op(*operands)
        if isinstance(y, Value):
            values.append(y)
    return draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))


def walk(roots):
    """The Values that `roots` come from, and the pairs (operand, result): the naive way."""
    found, pairs, todo = {}, [], list(roots)
    while todo:
        v = todo.pop()
        if id(v) not in found:
            found[id(v)] = v
            operands = v.inputs
            pairs += [(id(x), id(v)) for x in operands]
            todo += operands
    return list(found.values()), pairs


@given(graphs())
def test_every_node_and_every_edge_is_drawn_exactly_once(roots):
    values, pairs = walk(roots)
    diagram = draw_dot(roots, limit=None)
    values.sort(key=lambda v: v._row)
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


@settings(max_examples=5)
@given(graphs())
def test_graphviz_reads_every_diagram(roots):
    values, _ = walk(roots)
    computed = sum(bool(v.inputs) for v in values)
    assert len(texts(draw_dot(roots, limit=None).pipe("svg"))) == len(values) + computed


# --- always the same ----------------------------------------------------------


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_gives_the_same_bytes(seed):
    code = (
        "import sys; sys.path.insert(0, 'tests'); import test_viz\n"
        "for build in test_viz.GRAPHS.values(): print(test_viz.draw_dot(build()).source, end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
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
    before = y._row
    del other
    table.compact()
    assert y._row < before
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
    assert numbers_in(draw_dot(y), "v0") == [("data", "2.0000"), ("grad", "5.0000")]
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
        assert numbers == ["data", "0.0000", "grad", "0.0000"]


@settings(max_examples=10)
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
    del TABLE["odd"]
    two = row("odd", lambda x, y: x, 1.0, None, symbol=symbol)
    drawn = texts(draw_dot(two(one(Value(1.0)), 2.0), rankdir=rankdir).pipe("svg"))
    assert written(drawn["op1"]) == symbol
    assert symbol in [written([text]) for text in drawn["op3"]]


# --- large graphs -------------------------------------------------------------


def chain(length):
    y = Value(1.0)
    for _ in range(length):
        y = -y
    return y


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


def test_a_very_deep_graph_gives_dot(tmp_path):
    path = render(chain(100_000), tmp_path / "deep.dot", limit=None)
    with path.open(encoding="utf-8") as lines:
        assert sum(" -> " in line for line in lines) == 200_000


# --- files --------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot", "gv", "SVG", "Png"])
def test_the_suffix_tells_the_format(no_dot, tmp_path, suffix):
    path = tmp_path / f"graph.v2.{suffix}"
    assert render(neuron(), str(path)) == path
    assert path.read_bytes().startswith(MAGIC[suffix.lower()])
    assert list(tmp_path.iterdir()) == [path]


def test_a_dot_file_holds_the_source_and_needs_no_graphviz(no_dot, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    y = neuron()
    assert render(y, tmp_path / "x.dot").read_text("utf-8") == draw_dot(y).source


def test_the_png_is_sharp(no_dot, tmp_path):
    at = {}
    for form in ("svg", "png"):
        content = render(leaf(), tmp_path / f"x.{form}").read_bytes()
        at[form] = content
    points = float(ET.fromstring(at["svg"]).get("width").removesuffix("pt"))
    pixels = int.from_bytes(at["png"][16:20], "big")
    assert pixels == pytest.approx(2 * points, abs=3)


def test_a_finished_diagram_can_be_rendered(no_dot, tmp_path):
    diagram = draw_dot(neuron(), rankdir="TB")
    other = graphviz.Digraph(body=["\ta -> b\n"], engine="circo")
    assert texts(render(diagram, tmp_path / "a.svg").read_bytes())["op9"] == ["tanh"]
    assert texts(render(other, tmp_path / "b.svg").read_bytes()) == {"a": ["a"], "b": ["b"]}
    assert render(other, tmp_path / "b.gv").read_text() == other.source


@pytest.mark.parametrize("name", ["graph", "graph.", ".svg", "graph.bmp", "graph.svgz", "svg"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"does not tell the format.*\.svg, \.png, \.pdf, \.dot"):
        render(leaf(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_program_dot_is_used_where_there_is_one(fake_dot, tmp_path):
    log = fake_dot()
    y = neuron()
    for form, options in [("svg", []), ("pdf", []), ("png", ["-Gdpi=144"])]:
        assert render(y, tmp_path / f"x.{form}").read_text() == "drawn by dot"
        assert log.read_text("utf-8") == repr(["-Kdot", f"-T{form}", *options]) + draw_dot(y).source
    assert draw_dot(y).pipe() == b"drawn by dot"


def test_the_program_dot_is_found_at_each_call(fake_dot, monkeypatch, tmp_path):
    fake_dot()
    assert draw_dot(leaf()).pipe() == b"drawn by dot"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert draw_dot(leaf()).pipe().startswith(b"<?xml")


def test_without_any_graphviz_the_remedy_is_named(no_dot, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(RuntimeError, match="pip install pygraphviz"):
        render(leaf(), tmp_path / "x.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "sys.exit('Warning: eh\\nError: out of ink\\nmore')",
            "cannot draw svg: Error: out of ink$",
        ),
        ("sys.exit('Format: not recognized')", "cannot draw svg: Format: not recognized$"),
        ("import os; os.kill(os.getpid(), 11)", r"crashed \(signal 11\).*too large"),
    ],
)
def test_a_failure_leaves_the_old_file(fake_dot, tmp_path, code, message):
    fake_dot(code)
    path = tmp_path / "x.svg"
    path.write_text("old")
    with pytest.raises(RuntimeError, match=message):
        render(leaf(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_bundled_graphviz_explains_its_failures(no_dot):
    with pytest.raises(RuntimeError, match='cannot draw webp: Error: Format: "webp" not recog'):
        draw_dot(leaf(), format="webp").pipe()


def test_the_stand_in_reads_dot_and_writes_a_picture(monkeypatch):
    source, content = io.BytesIO(b'digraph { a [label="A"]; a -> b }'), io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=source))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=content))
    viz.output.bundled.main("-Kdot", "-Tsvg", "-Gdpi=72")
    assert texts(content.getvalue()) == {"a": ["A"], "b": ["b"]}


def test_a_missing_folder_is_an_error(no_dot, tmp_path):
    with pytest.raises(FileNotFoundError):
        render(leaf(), tmp_path / "nowhere" / "x.svg")


def test_nothing_is_printed(no_dot, tmp_path, capfd):
    render(chain(1200), tmp_path / "x.svg", limit=None)
    assert capfd.readouterr() == ("", "")


# --- notebooks: a graphviz.Digraph like any other -----------------------------


def test_a_notebook_shows_a_diagram(no_dot):
    bundle = draw_dot(neuron())._repr_mimebundle_()
    assert texts(bundle["image/svg+xml"])["v9"] == ["o", "data", "0.7071", "grad", "1.0000"]
    bundle = draw_dot(neuron())._repr_mimebundle_(include=["image/png"])
    assert bundle["image/png"].startswith(MAGIC["png"])


def test_pipe_gives_bytes_or_text(no_dot):
    diagram = draw_dot(Value(1.0, label="é"), format="pdf")
    assert isinstance(diagram, graphviz.Digraph)
    assert diagram.pipe().startswith(MAGIC["pdf"])
    assert diagram.pipe("png", renderer="cairo", formatter="gd").startswith(MAGIC["png"])
    assert ">é<" in diagram.pipe("svg", encoding="utf-8")
    assert ">é<".encode("utf-16-le") in diagram.pipe("svg", encoding="utf-8").encode("utf-16-le")
    assert diagram.pipe("svg", encoding="latin-1").startswith("<?xml")


def test_render_as_in_a_micrograd_notebook(no_dot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = neuron()
    assert draw_dot(y).render("gout") == "gout.svg"
    assert draw_dot(y, format="png").render("gout", directory="out", cleanup=True) == str(
        Path("out", "gout.png")
    )
    assert draw_dot(y).render(outfile="named.pdf", cleanup=True) == "named.pdf"
    assert draw_dot(y).render("gout", format="svg", renderer="cairo") == "gout.cairo.svg"
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert found == ["gout.cairo.svg", "gout.svg", "named.pdf", str(Path("out", "gout.png"))]
    assert Path("gout").read_text("utf-8") == draw_dot(y).source
    assert texts(Path("gout.svg").read_bytes())["op9"] == ["tanh"]
    with pytest.raises(FileExistsError, match="exists"):
        draw_dot(y).render("gout", raise_if_result_exists=True)


def test_a_copy_is_a_diagram_and_can_be_extended(no_dot):
    copy = draw_dot(leaf()).copy()
    assert isinstance(copy, Diagram)
    copy.edge("v0", "more")
    assert texts(copy.pipe("svg"))["more"] == ["more"]


def test_importing_viz_imports_nothing_else():
    code = (
        "import sys, viz\n"
        "assert not {'graphviz', 'pygraphviz', 'miniflow'} & sys.modules.keys()\n"
        "viz.draw_dot\n"
        "assert 'graphviz' in sys.modules and 'pygraphviz' not in sys.modules\n"
        "from viz import *\n"
        "render, Diagram\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert {"draw_dot", "render", "Diagram"} <= set(dir(viz))
    with pytest.raises(AttributeError, match="no attribute 'drawdot'"):
        viz.drawdot  # noqa: B018 - reading it is the test


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
    def power(x):
        y = x
        for k in range(500):
            y = y * x
            if y > k:
                y = y - 1.0
        return y

    drawn = draw_dot(trace(power, 1.5))
    assert len(drawn.body) < 100
    assert 'guards [label="' in drawn.source
    assert draw_dot(trace(power, 1.5), limit=None).source.count('shape="hexagon"') == 500


# --- refusals -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (3.0, "3.0 is a float, not a Value; compute it from Values"),
        ("x", "'x' is a str"),
        (None, "None is a NoneType"),
        ([Value(1.0), 2], "2 is a int"),
        (abs, "is a builtin_function_or_method, not a Value; call it and draw the result"),
        ({Value(1.0)}, "is a set"),
        ("x" * 1000, "is a str"),
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
        ({"rankdir": "lr"}, "rankdir 'lr' is none of LR, TB, RL, BT"),
        ({"rankdir": None}, "rankdir None is none of"),
        ({"format": "bogus"}, "format 'bogus' is unknown.*'svg', 'png', 'pdf'"),
        ({"format": None}, "format None is unknown"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw_dot(leaf(), **options)


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_dot([])


# --- graphs that take Graphviz long -------------------------------------------


def decay(steps):
    """Euler's method for y' = -k y: the leaf k is used at every step."""
    k, y = Value(0.5, label="k"), Value(1.0, label="y")
    for _ in range(steps):
        y = y - 0.1 * k * y
    return y


def hunters(steps):
    """Euler's method for the equations of Lotka and Volterra."""
    a, b, c, d = [Value(0.1 * k, label=name) for k, name in enumerate("abcd", 1)]
    x, y = Value(10.0, label="x"), Value(5.0, label="y")
    for _ in range(steps):
        x, y = x + 0.1 * (a * x - b * x * y), y + 0.1 * (c * x * y - d * y)
    return x + y


def alternating(steps):
    a, v = Value(1.1, label="a"), Value(1.0, label="v")
    for k in range(steps):
        v = v * a if k % 2 else v + a
    return v


LOOPS = {
    "decay": lambda: decay(25),
    "hunters": lambda: hunters(12),
    "alternating": lambda: alternating(60),
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_loop_that_uses_a_leaf_at_every_step_is_drawn_in_time(no_dot, loop):
    diagram = draw_dot(loop())
    assert diagram.plainer
    ET.fromstring(diagram.pipe("svg"))  # of the first try: the limit is not met
    assert "is drawn again there" in diagram.source


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_leaf_that_is_drawn_again_keeps_every_edge(loop):
    root = loop()
    found = edges(draw_dot(root))
    entries = snapshot(root)
    heads = [f"op{n}" for n, operands in enumerate(entries.operands) for _ in operands]
    drawn = [head.partition(":")[0] for _, head in found.elements() if head.startswith("op")]
    assert Counter(drawn) == Counter(heads)
    tails = {tail.partition("_")[0] for tail, head in found if head.startswith("op")}
    assert tails == {f"v{x}" for operands in entries.operands for x in operands}


def test_small_graphs_have_each_leaf_once():
    assert "_" not in "".join(nodes(draw_dot(decay(10))))


def test_a_plainer_picture_is_drawn_where_the_first_one_takes_too_long(fake_dot, monkeypatch):
    monkeypatch.setattr("viz.output.pictures.SECONDS", 5.0)
    log = fake_dot(
        "text = open(__file__.replace('dot', 'log')).read()\n"
        "if '∂ ' in text:\n    import time\n    time.sleep(60)\n"
        "print('plain', end='')"
    )
    y = neuron()
    assert "∂ " in draw_dot(y).source
    assert draw_dot(y).pipe("svg") == b"plain"
    assert "∂ " not in log.read_text("utf-8")


def test_what_is_too_slow_all_the_same_is_an_error_with_a_remedy(fake_dot, monkeypatch, tmp_path):
    monkeypatch.setattr("viz.output.pictures.SECONDS", 0.3)
    fake_dot("import time\ntime.sleep(60)")
    path = tmp_path / "y.svg"
    path.write_text("old")
    with pytest.raises(RuntimeError, match=r"more than 0.3 s to draw svg: .* fold the graph"):
        render(neuron(), path)
    assert path.read_text() == "old"


def test_a_bracket_in_a_label_is_a_bracket(no_dot):
    x = Value(1.0, label="]")
    source = draw_dot(x + x).source
    assert "&#93;" in source
    assert "]" in texts(draw_dot(x + x).pipe("svg"))["v0"]


if __name__ == "__main__":
    write_golden_files()
