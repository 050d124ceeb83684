"""Reading programs, and writing them in other words."""

import pickle

from miniflow.ops import TABLE


def variants(program):
    """The same program in other words."""
    some = [name for k, name in enumerate(TABLE) if k % 2]
    yield "itself", program
    yield "expanded", program.expanded(())
    yield "partly expanded", program.expanded(some)
    yield "pickled", pickle.loads(pickle.dumps(program))


def names(program):
    return [step.op.name for step in program.instructions]
