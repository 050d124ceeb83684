# C types for quick.py.

cimport cython
from cpython.array cimport array

from miniflow.tape.core cimport CONSTANT, LEAF, Table, Value, current, spare_column


@cython.locals(table=Table, leaves=list, muted=Py_ssize_t, slopes=list)
cpdef tuple short_call(object f, tuple args, dict kwargs, object k)
@cython.locals(floor=Py_ssize_t, n=Py_ssize_t, v=Value)
cdef list _slopes(Table table, list leaves, Value out)
@cython.locals(v=Value, parts=list)
cdef object _plain_constant(Table table, object x)
@cython.locals(found=list)
cpdef object layout_of(tuple args)
@cython.locals(table=Table, first=Value, single=bint)
cpdef object short_eager(object f, tuple args, object finish)
@cython.locals(floor=Py_ssize_t, v=Value)
cdef bint used_outside(Table table, Value first, object results) except -1
cdef object _recordable(Table table, object x)
@cython.locals(v=Value)
cdef object _its_number(object x)
cdef bint _has_values(tuple args)
cdef bint _of_numbers(object xs)
cdef class Shortcut:
    cdef object _f, _position, _general
    cdef bint _both


cdef class Stretch:
    cdef readonly Table table
    cdef readonly Py_ssize_t _scope


@cython.locals(table=Table, single=bint, entries=list, found=list)
cpdef object short_gradient(object target, object sources)
@cython.locals(table=Table, found="array", numbers="double *", k=Py_ssize_t, v=Value)
cpdef object numbers_of(tuple values)
@cython.locals(table=Table, found="array")
cpdef object gradients_of(tuple values)
@cython.locals(table=Table, found="double *", k=Py_ssize_t, v=Value)
cpdef bint set_numbers(tuple values, array numbers) except -1
@cython.locals(table=Table)
cpdef zero_gradients(tuple values)
@cython.locals(table=Table, v=Value)
cdef Table own_table(tuple values, bint leaves)
cdef bint _is_open(Table table)
cdef bint _all(xs, kind)


# --- what columns.py is in Python ---------------------------------------------

cdef inline double *slots_of(array numbers):
    return numbers.data.as_doubles


cdef inline int gradients_into(Table table, tuple values, double *found) except -1:
    """What `Table.gradient` says of Values of this table: by one pass over what leaves have."""
    cdef Py_ssize_t k, n
    cdef double number
    cdef double *column
    if table.sweeping or len(table.grads) > 2 * len(values):  # others have most of them
        for k in range(len(values)):
            found[k] = table.gradient(<Value>values[k])
        return 0
    column = spare_column(table, [])
    for k in range(len(values)):
        column[(<Value>values[k])._entry] = 0.0
    for n, number in table.grads.items():
        column[n] = number
    for k in range(len(values)):
        n = (<Value>values[k])._entry
        found[k] = column[n] if table.operation[n] == LEAF else table.adjoint[n]
    return 0


cdef inline bint forgets_all(Table table, tuple values) except -1:
    """Set all gradients of leaves to 0, if all that is accumulated is theirs; whether it was."""
    cdef Py_ssize_t k, n
    cdef double number
    cdef double *column
    if table.sweeping or len(table.grads) > len(values):
        return False
    column = spare_column(table, [])
    for n, number in table.grads.items():
        column[n] = 0.0
    for k in range(len(values)):
        n = (<Value>values[k])._entry
        if table.operation[n] != LEAF:
            return False
        column[n] = 1.0
    for n, number in table.grads.items():
        if column[n] == 0.0:
            return False
    table.grads.clear()
    table.version += 1
    return True
