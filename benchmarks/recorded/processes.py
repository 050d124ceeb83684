"""Who measures where in eager.py: each contender in a process of its own, and in turns."""

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from common import again
from recorded.recorders import CONTENDERS, OURS
from recorded.tasks import TASKS

LARGE_STACK = 1 << 30


class FailedError(Exception):
    """A peer that crashed or gave another result."""


def child(name: str, task: str, *args: Any) -> Any:
    """A task in a new process, by that contender.

    Raises:
        FailedError: a peer did not get to its end; where miniflow does not, this program ends.
    """
    engine = {name: "compiled" if name == "miniflow" else "python" for name in OURS}.get(name)
    variables = {"MINIFLOW_ENGINE": engine} if engine else {}
    done = again("eager.py", json.dumps([name, task, args]), variables)
    if not done.returncode:
        return json.loads(done.stdout)
    if engine:
        raise SystemExit(f"{name}: {task} failed:\n{done.stderr}")
    if done.returncode < 0:
        raise FailedError(f"crashed ({signal.Signals(-done.returncode).name})")
    raise FailedError((done.stderr.splitlines() or ["failed"])[-1])


def run_child(name: str, task: str, args: Sequence[Any]) -> None:
    """What the new process does."""
    sys.setrecursionlimit(10**8)  # micrograd walks its graph recursively
    given = args if task in ("traced", "trained", "stopped") else (name, *args)

    def run() -> None:
        print(json.dumps(TASKS[task](*given)))

    if not CONTENDERS[name].stack:
        run()
        return
    threading.stack_size(LARGE_STACK)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def in_turns(
    names: Iterable[str], turns: int, measure: Callable[[str], Any], slow: Callable[[Any], bool]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """What each contender measured in each turn, and why some did not.

    Who turns out to be slow sits the other turns out.
    """
    found: dict[str, list[Any]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    for _ in range(turns):
        for name, results in found.items():
            if name in failures or (results and slow(results[0])):
                continue
            try:
                results.append(measure(name))
            except FailedError as reason:
                failures[name] = str(reason)
    return {name: results for name, results in found.items() if name not in failures}, failures
