# C types for replaying.py.

cimport cython
from libc.math cimport copysign
from libc.string cimport memset

from miniflow.tape.compaction cimport last
from miniflow.tape.reading cimport Reading
from miniflow.tape.storage cimport Handle, Storage, plain


cdef extern from "columns.h":
    const int LEAF
    const int SHARED


cdef int REACHED, MOVED, LATEST

cdef bint same(double a, double b) noexcept


cdef class Replaying(Reading):
    @cython.locals(n=Py_ssize_t, moved=bint)
    cpdef set_data(self, Handle v, double number)
    @cython.locals(entries=list, old=list, n=Py_ssize_t, number=double)
    cpdef replay(self, Handle v)
    cdef double _recomputed(self, Py_ssize_t n) except? -1.0
    @cython.locals(stale=Py_ssize_t)
    cpdef refuse_stale(self, list entries)
    cdef bint _doubtful(self, list entries) except -1
    @cython.locals(n=Py_ssize_t, home=Handle)
    cdef _notice_others(self)
    @cython.locals(marks=bytearray, n=Py_ssize_t)
    cdef Py_ssize_t _stale(self, list entries) except -2
    @cython.locals(arity=int, left=Py_ssize_t, right=Py_ssize_t, k=Py_ssize_t)
    cdef bint _moved(self, Py_ssize_t n, bytearray marks) except -1
    cdef bint _holds(self, Py_ssize_t n) except -1
    @cython.locals(code=int, x=Py_ssize_t, found=Py_ssize_t, latest="long long", when="long long")
    cdef object _set_last(self, Py_ssize_t n)
    @cython.locals(n=Py_ssize_t)
    cdef unmark_leaves(self)
    @cython.locals(foreign=list, n=Py_ssize_t)
    cdef accumulate(self)
    cdef begin_sweep(self, double *column, Py_ssize_t floor, list entries, list seeds)
    cdef clean(self)


# --- what columns.py is in Python ---------------------------------------------

cdef inline void unmark(Storage table):
    """Take all marks away."""
    memset(table.mark, 0, table.capacity)


cdef inline void add_adjoints(Storage table):
    """Add the adjoints of the leaves that a sweep has reached to their gradients, all at once."""
    cdef Py_ssize_t n = table.chain
    while n >= 0:
        if table.operation[n] == LEAF:
            table.grads[n] += table.adjoint[n]
            table.noted = max(table.noted, n + 1)
        n = table.left[n]
    table.version += 1
