# C types for quick.py.

cimport cython

from miniflow.tape.core cimport Table, Value, current


@cython.locals(table=Table, leaves=list, muted=Py_ssize_t, slopes=list)
cpdef tuple short_call(object f, tuple args, dict kwargs, object k)
@cython.locals(floor=Py_ssize_t, n=Py_ssize_t, v=Value)
cdef list _slopes(Table table, list leaves, Value out)
cdef class Shortcut:
    cdef object _f, _position, _general
    cdef bint _both


cdef class Stretch:
    cdef readonly Table table
    cdef readonly Py_ssize_t _scope


@cython.locals(table=Table, single=bint, entries=list, found=list)
cpdef object short_gradient(object target, object sources)
cdef bint _is_open(Table table)
cdef bint _all(xs, kind)
