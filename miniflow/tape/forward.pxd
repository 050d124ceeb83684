# C types for forward.py.

cimport cython

from miniflow.tape.core cimport Table
from miniflow.tape.storage cimport RULES, Binary, Ternary


cdef int *DIRECT
cdef const unsigned char *SELECTS
cdef const Binary *partial1
cdef const Ternary *partial2


@cython.locals(n=Py_ssize_t, floor=Py_ssize_t, stop=Py_ssize_t, found=list, there=bytearray)
cdef list _plain_tangents(Table table, list inputs, list given, list outputs)
@cython.locals(code=int, a=Py_ssize_t, b=Py_ssize_t, direct=int, y=double, how=int, at=Py_ssize_t,
               x=Py_ssize_t, slope=double)
cdef int _carry(
    Table table, Py_ssize_t n, Py_ssize_t floor, list found, bytearray there
) except -1
cdef bint _is_flat(Table table, Py_ssize_t exponent)
cdef _carry_any(Table table, Py_ssize_t n, Py_ssize_t floor, list found, bytearray there)


cdef inline void connect():
    """Take over the engine's rules."""
    global DIRECT, SELECTS, partial1, partial2
    DIRECT, SELECTS, partial1, partial2 = (
        RULES.direct, RULES.selects, RULES.partial1, RULES.partial2
    )
