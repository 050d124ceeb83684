"""Random functions over all rows of the table, with shared parts, constants, branches and loops."""

from hypothesis import strategies as st

from miniflow.testing.strategies import anything, programs
from support.strategies import several


@st.composite
def functions(draw, longest=12, forks=True):
    """Drawn functions of one to three numbers; their result is a list of nodes."""
    f = draw(programs(wild=True, max_size=longest, branches=forks))
    last = f.count + len(f.steps) - 1
    nodes = draw(st.lists(st.integers(0, last), min_size=1, max_size=3))
    return f._replace(result=[*nodes, last])


def points(f):
    """Any arguments of a function."""
    return several(anything, f.count)
