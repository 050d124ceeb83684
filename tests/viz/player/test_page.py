"""Pages: one small file without a network, the same at each run."""

import configparser
import re

import pytest

import miniflow.math as mm
import viz
from miniflow import Tape, Value, trace
from miniflow.nn import MLP, Layer, Linear, Module, Neuron, Sequential, Tanh
from support.expressions import micrograd_readme
from support.played import trained
from support.project import ROOT
from viz.output import palette
from viz.player import page as player
from viz.player import scene
from viz.player.recording import record


def example():
    """The expression of micrograd's README, labelled."""
    a, b = Value(-4.0, label="a"), Value(2.0, label="b")
    g = micrograd_readme(a, b)
    g.label = "g"
    return g, a, b


def test_a_page_is_one_small_file_without_a_network(tmp_path):
    g, _, _ = example()
    path = viz.play(g, str(tmp_path / "steps.html"), title="A & B")
    text = path.read_text(encoding="utf-8")
    data = re.search(r'id="data">(.*?)</script>', text)[1]
    assert len(text) - len(data) < 140_000
    assert len(text) < 400_000
    assert "<title>A &amp; B</title>" in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(eval|fetch|import|XMLHttpRequest|innerHTML)\b\(?", text)
    assert [x.name for x in tmp_path.iterdir()] == ["steps.html"]


def test_the_same_code_gives_the_same_page(tmp_path):
    pages = [viz.play(example()[0], tmp_path / f"{k}.html").read_bytes() for k in range(2)]
    assert pages[0] == pages[1]


def test_a_failure_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "steps.html"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(TypeError):
        viz.play(None, path)
    assert path.read_text(encoding="utf-8") == "before"


def test_runs_of_one_structure_share_a_graph():
    _, _, recording = trained(record)
    data = scene.scene_of_recording(recording)
    assert len(data["graphs"]) == 1
    assert [x["graph"] for x in data["runs"]] == [0] * 5


def test_different_graphs_are_laid_out_up_to_a_limit():
    x = Value(1.5, label="x")
    with record() as recording:
        for k in range(1, scene.GRAPHS + 3):
            y = x
            for _ in range(k):
                y = y * x
            y.backward()
    data = scene.scene_of_recording(recording)
    assert len(data["graphs"]) == scene.GRAPHS
    assert data["runs"][-1] is None
    assert "different graphs" in data["notices"][-1]


@pytest.mark.slow
def test_long_trainings_are_thinned_out_evenly():
    _, _, recording = trained(record, rounds=60)
    data = scene.scene_of_recording(recording)
    shown = data["training"]["shown"]
    assert (shown[0], shown[-1]) == (1, 60)
    assert len(shown) < 60
    assert "evenly spread" in data["notices"][0]
    assert len(data["training"]["curve"]) == 60
    assert len(player.page(data, theme="auto", title="x")) < 900_000


def test_models_with_very_many_parameters_show_the_loss_alone(monkeypatch):
    monkeypatch.setattr(scene, "FLOATS", 500)

    class Many(Module):
        def __init__(self):
            self.w = [Value(0.1) for _ in range(scene.FLOATS)]

    model = Many()
    with record(model) as recording:
        for _ in range(2):
            mm.sum([model.w[0] * 2]).backward()
    data = scene.scene_of_recording(recording)
    assert data["training"]["names"] == []
    assert "too many for this page" in " ".join(data["notices"])


class Scaled(Module):
    """A model that is no chain of layers."""

    def __init__(self):
        self.first = Neuron(2, seed=1)
        self.second = Neuron(2, seed=2)
        self.scale = Value(1.0)

    def __call__(self, x):
        return self.scale * (self.first(x) + self.second(x))


@pytest.mark.parametrize(
    ("model", "sizes", "titles"),
    [
        (MLP(2, [3, 1], seed=1), [3, 1], ["layers.0.neurons.0", "layers.1.neurons.0"]),
        (Layer(2, 2, seed=1), [2], ["neurons.1"]),
        (Neuron(2, seed=1), [1], ["the neuron"]),
        (
            Sequential(Linear(2, 3, bias=False, seed=1), Tanh(), Linear(3, 1, seed=1)),
            [3, 1],
            ["0", "2"],
        ),
        (Scaled(), [], ["first", "second", "the model"]),
    ],
    ids=lambda x: type(x).__name__,
)
def test_networks_are_found_in_models(model, sizes, titles):
    with record(model) as recording:
        for _ in range(2):
            out = model([1.0, 2.0])
            mm.sum(out if isinstance(out, list) else [out]).backward()
    training = scene.scene_of_recording(recording)["training"]
    assert [len(layer) for layer in training["layers"]] == sizes
    assert set(titles) <= {x["title"] for x in training["groups"]}
    members = [k for group in training["groups"] for k in group["members"]]
    assert sorted(members) == list(range(len(recording.names)))


def test_the_style_uses_variables_that_exist():
    style = player.joined("style/{}.css", player.STYLE_PARTS)
    given_ones = set(re.findall(r"--([\w-]+):", player.colours() + style)) | {"turn"}
    assert set(re.findall(r"var\(--([\w-]+)", style)) <= given_ones
    assert {f"--{name}" for name in palette.LIGHT._fields} <= set(
        re.findall(r"--[\w-]+", player.colours())
    )
    assert not re.search(r"#[0-9a-f]{3,6}\b(?=;)", style)  # colours come from the palette


def test_the_pages_parts_are_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options.package_data"]["viz"].replace(" ", "").split(",")
    files = {x for name in listed for x in (ROOT / "viz").glob(name)}
    there = {x for x in (ROOT / "viz").rglob("*") if x.suffix in (".html", ".css", ".js")}
    assert there <= files
    assert all(list((ROOT / "viz").glob(name)) for name in listed)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("script/*.js", player.SCRIPT_PARTS), ("style/*.css", player.STYLE_PARTS)],
)
def test_each_part_of_the_page_is_joined_once(pattern, names):
    there = [x.stem for x in (ROOT / "viz" / "player").glob(pattern)]
    assert sorted(names) == sorted(there)


def test_play_takes_what_draw_dot_takes_or_says_what_to_play(tmp_path):
    x = Value(2.0, label="x")
    with Tape() as tape:
        y = x * x + 1.0
    y.label = "y"
    pages = [viz.play(root, tmp_path / "x.html").read_text() for root in (y, [y], {"a": y}, tape)]
    assert len(set(pages)) == 1
    with Tape() as two:
        _ = x * 2.0, x * 3.0
    for root, words in (
        (two, "root must be one Value, got 2; .* play one of them, or their sum"),
        (viz.snapshot(y), "play the Value that it was taken of"),
        (trace(lambda a: a * a, 2.0), "draw_dot draws it; play what the function returns"),
        (MLP(2, [1], seed=1), r"play what it computes, model\(x\)"),
        ([MLP(2, [1], seed=1)], r"play what it computes, model\(x\)"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            viz.play(root, tmp_path / "x.html")


@pytest.mark.parametrize("name", ["x.svg", "x", "x.html.gz", "x.pdf", "html"])
def test_a_page_is_html(tmp_path, name):
    with pytest.raises(ValueError, match=r"play: path must end in \.html or \.htm, which tells"):
        viz.play(Value(2.0, label="a") * 3, tmp_path / name)
    assert not (tmp_path / name).exists()
