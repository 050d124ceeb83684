"""Files and notebooks: formats, Graphviz at hand or not, and a Digraph like any other."""

import io
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import graphviz
import pytest

import viz.output.bundled
import viz.output.pictures
from miniflow import Value
from support.diagrams import texts
from support.drawn import chain, leaf, neuron
from support.project import INSTALLED
from viz import Diagram, draw_dot, render

MAGIC = {
    "svg": b"<?xml",
    "png": b"\x89PNG\r\n",
    "pdf": b"%PDF",
    "dot": b"digraph",
    "gv": b"digraph",
}


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


def test_a_png_that_would_be_huge_has_fewer_pixels_for_an_inch(no_dot, tmp_path):
    y = Value(1.0)
    for _ in range(150):
        y = y.tanh()
    content = render(y, tmp_path / "x.png", limit=None).read_bytes()
    width, height = (int.from_bytes(content[k : k + 4], "big") for k in (16, 20))
    assert 10_000 < width <= viz.output.pictures.LONGEST_SIDE + 99
    assert width * height < 1.1 * viz.output.pictures.PIXELS


@pytest.mark.parametrize(
    ("size", "dpi"), [((100, 50), 144), ((14400, 7200), 17), ((1_000_000, 20), 2), ((0, 0), 144)]
)
def test_the_resolution_fits_the_size(size, dpi):
    resolution, svg_size = viz.output.pictures._resolution, viz.output.pictures.SVG_SIZE
    width, height = size
    svg = f'<svg width="{width}pt" height="{height}pt"\n viewBox="0 0 1 1">'
    assert resolution(svg, svg_size) == dpi
    assert resolution(f'bb="0,0,{width}.5,{height}"', viz.output.pictures.BOUNDS) == dpi
    assert resolution("no picture", svg_size) == 144


def test_a_finished_diagram_can_be_rendered(no_dot, tmp_path):
    diagram = draw_dot(neuron(), rankdir="TB")
    other = graphviz.Digraph(body=["\ta -> b\n"], engine="circo")
    assert texts(render(diagram, tmp_path / "a.svg").read_bytes())["op9"] == ["tanh"]
    assert texts(render(other, tmp_path / "b.svg").read_bytes()) == {"a": ["a"], "b": ["b"]}
    assert render(other, tmp_path / "b.gv").read_text() == other.source


@pytest.mark.parametrize("name", ["graph", "graph.", ".svg", "graph.bmp", "graph.svgz", "svg"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"path must end in \.svg, \.png, \.pdf, \.dot or \.gv"):
        render(leaf(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_program_dot_is_used_where_there_is_one(fake_dot, tmp_path):
    log = fake_dot()
    y = leaf()
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
    viz.output.bundled.draw_input("-Kdot", "-Tsvg", "-Gdpi=72")
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
    assert texts(bundle["image/svg+xml"])["v9"] == ["o", "value", "0.7071", "gradient", "1.0000"]
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
    subprocess.run([sys.executable, "-c", code], cwd=INSTALLED, check=True)
    assert {"draw_dot", "render", "Diagram"} <= set(dir(viz))
    with pytest.raises(AttributeError, match="no attribute 'drawdot'"):
        viz.drawdot  # noqa: B018 - reading it is the test
