# C types for reading.py.

cimport cython

from miniflow.tape.compaction cimport Compaction, last
from miniflow.tape.storage cimport Handle, Storage, plain


cdef extern from "columns.h":
    const int CONSTANT
    const int LEAF
    const int SHARED
    Py_ssize_t pending_before(const unsigned char *mark, Py_ssize_t stop)


cdef int OTHER


cdef class Reading(Compaction):
    @cython.locals(code=int)
    cpdef object op(self, Py_ssize_t n)
    cpdef double value_of(self, Py_ssize_t n) except? -1.0
    cpdef tuple properties(self, Py_ssize_t n)
    @cython.locals(arity=int, left=int, right=int, k=Py_ssize_t)
    cpdef tuple operands(self, Py_ssize_t n)
    cpdef list entries_of(self, Handle x)
    cpdef object operand(self, object x, object what)
    @cython.locals(table=Storage)
    cpdef admit(self, Handle v, object what)
    cpdef double number(self, object x, object what) except? -1.0
    cpdef object primal(self, Py_ssize_t n)
    cpdef object handle(self, Py_ssize_t n)
    @cython.locals(marks=bytearray, n=Py_ssize_t, found=list)
    cpdef list reached(self, object entries, Py_ssize_t floor=*)
    @cython.locals(n=Py_ssize_t)
    cpdef bint self_contained(self, Py_ssize_t floor)
    @cython.locals(n=Py_ssize_t)
    cdef bint uses_before(self, Py_ssize_t floor, Py_ssize_t start, bint leaves) noexcept
    @cython.locals(n=Py_ssize_t)
    cpdef bint depends_before(self, list entries, Py_ssize_t floor) except -1
    @cython.locals(k=Py_ssize_t, a=int, b=int, arity=int)
    cdef bint _uses(self, Py_ssize_t n, Py_ssize_t floor, bint leaves) noexcept
    @cython.locals(code=int)
    cdef bint _is_before(self, Py_ssize_t n, Py_ssize_t floor, bint leaves) noexcept
    cpdef bint idle(self)


cdef class Readable(Handle):
    pass


# --- what columns.py is in Python ---------------------------------------------

cdef inline Py_ssize_t pending_entry(const unsigned char *mark, Py_ssize_t stop):
    """The last entry before `stop` that a sweep has yet to replay."""
    return pending_before(mark, stop)
