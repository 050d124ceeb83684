"""A recording sees everything and changes nothing."""

import gc
import sys
from pathlib import Path

import pytest

import viz
from miniflow import Value
from miniflow.tape import core as tape
from support.played import trained
from viz.player import scene
from viz.player.recording import Recording, record

# --- recordings ---------------------------------------------------------------


def test_recording_changes_nothing_and_sees_everything():
    plain, before, _ = trained()
    model, seen, recording = trained(record)
    assert seen == before
    assert model.state_dict() == plain.state_dict()
    assert [(x.loss, list(x.parameters), list(x.gradients)) for x in recording.iterations] == seen
    assert recording.losses == [loss for loss, _, _ in seen]
    assert repr(recording) == "<Recording of 5 iterations, 13 parameters>"
    assert recording.names == [name for name, _ in model.named_parameters()]


def test_the_steps_of_each_iteration_end_in_its_gradients():
    _, seen, recording = trained(record)
    for iteration, (_, _, gradients) in zip(recording.iterations, seen, strict=True):
        steps = iteration.steps
        found = {
            steps.nodes[n].name: g for n, g in steps.gradients.items()
            if steps.nodes[n].kind == "parameter"
        }  # fmt: skip
        names = [x.name for x in steps.nodes if x.kind == "parameter"]
        assert sorted(found.values()) == sorted(gradients)
        assert set(recording.names) <= set(names)


def test_recordings_of_graphs_that_are_too_large_keep_one_samples_steps():
    _, _, recording = trained(lambda model: record(model, limit=20))
    assert all(map(recording.has_sample, range(5)))
    (entries,) = {x.entries for x in recording.iterations}
    (count,) = {len(x.steps.nodes) for x in recording.iterations}
    assert count < entries
    data = scene.scene_of_recording(recording)
    assert data["notices"] == []
    assert [run["whole"] for run in data["runs"]] == [entries] * 5


def test_the_tape_is_left_as_it_was(small_table):
    table = small_table()
    _, _, recording = trained(record, rounds=40)
    gc.collect()
    table.compact()
    assert (table.held, table.swept) == (0, None)
    assert sys.gettrace() is None or "watch" not in repr(sys.gettrace())
    assert len(recording) == 40
    assert table.count < 200


@pytest.mark.parametrize("limit", [20, 400])
def test_a_long_recording_lets_the_tape_compact(small_table, limit):
    table = small_table()
    counts = []
    x = Value(0.5, label="x")
    with record(limit=limit):
        for _ in range(60):
            y = x
            for _ in range(30):
                y = y * 1.01
            y.backward()
            counts.append(table.count)
    assert max(counts) < 1500


def test_errors_end_a_recording_and_keep_what_there_is():
    a = Value(2.0)
    recording = record()

    def interrupted():
        with recording:
            (a * a).backward()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(recording) == 1
    assert tape.here.table.swept is None
    assert tape.here.table.held == 0
    with pytest.raises(RuntimeError, match="has been used"), recording:
        pass
    with record(), pytest.raises(RuntimeError, match="another recording"), record():
        pass
    assert tape.here.table.swept is None


def test_other_threads_are_not_recorded(in_thread):
    with record() as recording:
        in_thread(lambda: (Value(2.0) * 3).backward())
    assert len(recording) == 0


@pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or coverage tool watches")
def test_lines_and_names_come_from_the_source():
    def square(x):
        twice = x * x
        return twice  # noqa: RET504 - a name to be seen

    with record() as recording:
        a = Value(3.0, label="a")
        b = square(a)
        out = b + 1
        out.backward()
    steps = recording.iterations[0].steps
    lines = [x.line and (Path(x.line[0]).name, x.line[1]) for x in steps.nodes if x.op]
    start = square.__code__.co_firstlineno
    assert lines == [("test_recording.py", start + 1), ("test_recording.py", start + 7)]
    assert [x.name for x in steps.nodes if x.op] == ["b", "out"]
    code = scene.scene_of_recording(recording)["graphs"][0]["code"]
    assert code[0] == {
        "file": "test_recording.py",
        "number": start + 1,
        "text": "    twice = x * x",
    }
    assert code[-1]["text"] == "    out = b + 1"


def test_a_debuggers_trace_function_is_left_alone():
    def debugger(*_):
        return None

    before = sys.gettrace()
    sys.settrace(debugger)
    try:
        with record() as recording:
            (Value(2.0) * 3).backward()
            inside = sys.gettrace()
    finally:
        sys.settrace(before)
    assert inside is debugger
    assert recording.iterations[0].steps.nodes[-1].line is None


def test_the_seed_of_a_recorded_call_is_kept():
    a = Value(3.0)
    with record() as recording:
        (a * a).backward(0.25)
    assert recording.iterations[0].steps.seed == 0.25
    assert recording.iterations[0].steps.gradients[0] == a.grad


# --- everybody ----------------------------------------------------------------


def test_recordings_have_a_public_name():
    assert viz.Recording is Recording
