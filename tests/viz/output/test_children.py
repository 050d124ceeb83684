"""No picture outlives the Python that asked for it: interrupted, killed, or in a thread."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from support.diagrams import texts
from support.drawn import leaf
from support.project import INSTALLED
from viz import draw_dot
from viz.output import children

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

PATIENCE = 30.0  # seconds, of which a test needs a few hundredths
# draws a graph that Graphviz does not finish within its time
DRAWING = """
from viz.output.pictures import picture
edges = [f"a{k} -> a{j};" for k in range(400) for j in range(k + 1, min(k + 60, 400))]
picture(f"digraph {{ nslimit=999 {' '.join(edges)} }}", "svg")
"""


def running(pid):
    """Whether a process is there, and not only its exit status."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def until(condition):
    """Wait for what has to come."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def child_of(pid):
    """The processes that a process has started."""
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


@pytest.fixture(params=["dot", "wheel"])
def drawing(request):
    """A Python that waits for Graphviz, and the process that it waits for."""
    if not Path("/proc/self/task").exists() or not children._tied():
        pytest.skip("only where the system ends a child with its parent")
    request.getfixturevalue("no_dot")
    if request.param == "dot":
        request.getfixturevalue("fake_dot")("import time\ntime.sleep(600)")
    python = subprocess.Popen(
        [sys.executable, "-c", DRAWING], cwd=INSTALLED, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: drawing_of(python.pid))
        yield python, int(drawing_of(python.pid))
    finally:
        python.kill()
        python.wait()


def drawing_of(pid):
    """The child that draws, once it is what it will be; "" until then."""
    for child in child_of(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "-Tsvg" in words and words[0] != "/bin/sh" and "setpriv" not in words[0]:
            return child
    return ""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_drawing_outlives_its_python(drawing, end):
    python, pid = drawing
    assert running(pid)
    python.send_signal(end)  # to it alone: a terminal would tell its children, too
    assert python.wait(PATIENCE) != 0
    until(lambda: not running(pid))


def test_a_thread_may_draw_while_others_come_and_go(no_dot):
    found = []

    def draw():
        threading.Thread(target=time.sleep, args=(0.01,)).start()
        found.append(texts(draw_dot(leaf()).pipe("svg"))["v0"])

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [texts(draw_dot(leaf()).pipe("svg"))["v0"]] * 2


@pytest.mark.slow
def test_where_a_child_is_not_tied_to_its_parent_its_time_is_up(monkeypatch):
    monkeypatch.setattr(children, "_tied", list)
    command = children._bounded([sys.executable, "-c", "while True: pass"], 0.0)
    assert subprocess.run(command, check=False).returncode < 0


def test_a_child_gets_what_it_is_given():
    echo = "import sys; print(sys.stdin.read().upper(), end='!'); sys.exit('no ink')"
    code, written, complaints = children.output_of(
        [sys.executable, "-c", echo], b"a b", os.environ, PATIENCE
    )
    assert (code, written, complaints) == (1, b"A B!", "no ink\n")


def test_a_signal_is_a_negative_status():
    code = "import os; os.kill(os.getpid(), 9)"
    assert children.output_of([sys.executable, "-c", code], b"", os.environ, PATIENCE)[0] == -9
