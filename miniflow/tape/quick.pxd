# C types for quick.py.

cimport cython
from cpython.array cimport array

from miniflow.tape.core cimport CONSTANT, LEAF, Table, Value, current


@cython.locals(table=Table, leaves=list, muted=Py_ssize_t, slopes=list)
cpdef tuple short_call(object f, tuple args, dict kwargs, object k)
@cython.locals(floor=Py_ssize_t, n=Py_ssize_t, v=Value)
cdef list _slopes(Table table, list leaves, Value out)
@cython.locals(v=Value, parts=list)
cdef object _plain_constant(Table table, object x)
@cython.locals(found=list)
cpdef object layout_of(tuple args)
@cython.locals(
    table=Table, first=Value, numbers=list, inner=Py_ssize_t, k=Py_ssize_t, derivative=Shortcut,
)
cpdef object short_eager(object f, tuple args, object finish)
cdef bint _gather(object x, list found, int levels) except -1
@cython.locals(floor=Py_ssize_t, v=Value)
cpdef bint used_outside(Table table, Value first, object results) except -1
cdef object _recordable(Table table, object x)
@cython.locals(v=Value)
cdef object _with_plain_numbers(object x)
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


@cython.final
cdef class Bundle:
    cdef readonly tuple values
    cdef Table _table
    cdef Py_ssize_t _moves
    cdef array _entries
    cdef bint _leaves

    @cython.locals(k=Py_ssize_t)
    cpdef bint holds(self, list values) except -1
    @cython.locals(v=Value, n=Py_ssize_t)
    cdef bint _is_of(self, Table table) except -1
    @cython.locals(
        table=Table, found="array", numbers="double *", entries="int *", k=Py_ssize_t,
    )
    cpdef object numbers(self)
    @cython.locals(
        table=Table, found="array", numbers="double *", entries="int *", k=Py_ssize_t, n=Py_ssize_t,
    )
    cpdef object gradients(self)
    @cython.locals(table=Table, found="double *", k=Py_ssize_t, v=Value)
    cpdef bint set_numbers(self, array numbers) except -1
    @cython.locals(table=Table, entries="int *", k=Py_ssize_t, n=Py_ssize_t)
    cpdef zero_gradients(self)


cdef bint _is_open(Table table)
cdef bint _all(xs, kind)


# --- what columns.py is in Python ---------------------------------------------

cdef inline double *slots_of(array numbers):
    return numbers.data.as_doubles


cdef inline int *entries_of(array numbers):
    return numbers.data.as_ints
