"""Executors that the tests make up: their workers are this process, and what travels is pickled.

Like those of `concurrent.futures` they have `submit`, and their futures `result` and `cancel`.
"""

import pickle
from concurrent.futures import BrokenExecutor

from miniflow.compiled import executors


class Late:
    """Tasks are done when a result is wanted: all that wait, in an order drawn from `rng`.

    Attributes:
        count: how many tasks there were.
        sizes: how many bytes of each task travelled.
        forgetful: how likely it is that a worker knows no program any more.
        lost: the numbers of the tasks of which no result comes.
        waiting: the tasks that are not done.
    """

    def __init__(self, rng, *, forgetful=0.0, lost=()):
        self.rng = rng
        self.forgetful = forgetful
        self.lost = lost
        self.count = 0
        self.sizes = []
        self.waiting = []

    def submit(self, f, *args):
        text = pickle.dumps((f, args))
        self.sizes.append(len(text))
        task = Task(self, text, self.count in self.lost)
        self.count += 1
        self.waiting.append(task)
        return task

    def work(self):
        """Do all that waits."""
        while self.waiting:
            if self.rng.random() < self.forgetful:
                executors._runners.clear()
            self.waiting.pop(self.rng.randrange(len(self.waiting))).do()


class Task:
    """A future."""

    def __init__(self, executor, text, lost):
        self.executor = executor
        self.text = text
        self.lost = lost

    def do(self):
        f, args = pickle.loads(self.text)
        self.found = pickle.dumps(f(*args))

    def result(self):
        if self in self.executor.waiting:
            self.executor.work()
        if self.lost:
            raise BrokenExecutor("its worker is gone")
        return pickle.loads(self.found)

    def cancel(self):
        if self in self.executor.waiting:
            self.executor.waiting.remove(self)


class Idle:
    """It is given nothing to do, or that is a mistake."""

    def submit(self, f, *args):
        raise AssertionError("what is small stays here")


def no_programs():
    """Let this process be a new worker, which knows none."""
    executors._runners.clear()
