# C types for simplify.py.

cimport cython

from miniflow.tape.core cimport Table


@cython.final
cdef class Builder:
    cdef readonly Py_ssize_t inputs, count
    cdef readonly dict captured, constants, instructions
    cdef readonly list guards, lines
    cdef public object places
    cdef object origin
    cdef dict origins, _known

    @cython.locals(node=Py_ssize_t)
    cdef object _node(self, object what, dict kind, object content)
    cpdef object capture(self, object v)
    cpdef object constant(self, double x)
    @cython.locals(plain=list)
    cpdef object emit(self, object op, tuple operands)
    cdef bint _are_constant(self, tuple operands) except -1
    @cython.locals(operands=list)
    cpdef record(self, Table table, list entries, dict nodes, Py_ssize_t start)
    cpdef object leaf(self, Table table, Py_ssize_t n, dict nodes, Py_ssize_t start)
    @cython.locals(k=Py_ssize_t, slots=list)
    cdef list _slots(self, list order)
    @cython.locals(operands=tuple, found=list)
    cdef list _renumbered(self, list nodes, list slots)
    @cython.locals(needed=bytearray, operands=tuple)
    cdef bytearray _needed(self, object outputs)
