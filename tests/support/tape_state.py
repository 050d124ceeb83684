"""Whether a tape is sound: usable as before, with nothing left over."""

from miniflow import Value, engine
from miniflow.tape import columns
from miniflow.tape.core import here


def assert_clean():
    table = here.table
    assert (table.trace, table.held, table.muted, table.sweeping) == (None, 0, 0, False)
    x = Value(3.0)
    y = x * x
    y.backward()
    assert (y.data, x.grad) == (9.0, 6.0)


def assert_sound(table):
    """Nothing is left over of what was interrupted."""
    assert table.idle()
    assert table.count <= table.capacity
    if engine == "python":
        assert table.capacity <= len(table.mark)
        assert all(len(column) >= table.capacity for column, _ in columns.columns(table))
