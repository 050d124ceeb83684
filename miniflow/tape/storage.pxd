# C types for storage.py, and the columns as arrays.
#
# C code that calls no Python is atomic: nothing can run in between.

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free


cdef extern from "columns.h":
    const int LEAF
    void shorten(void *pool, Py_ssize_t used, Py_ssize_t *reserved)
    int lengthen(void *column, size_t used, size_t size, size_t item) except -1


cdef extern from "wide.h":
    ctypedef double (*Unary)(double) noexcept
    ctypedef double (*Binary)(double, double) noexcept
    ctypedef double (*Ternary)(double, double, double) noexcept
    ctypedef struct Rules:
        int *arity
        unsigned char *selects
        int *direct
        const Unary *value1
        const Binary *value2
        const Ternary *value3
        const Binary *partial1
        const Ternary *partial2
        int builtins
        int sum
        int dot
        int (*known)(int) except -1


cdef Rules RULES  # filled in by the core


cdef inline int known(int code) except -1:
    """The code, once the rules know it."""
    return RULES.known(code)


cdef class Handle:
    # as columns.h has them
    cdef readonly Storage _tape
    cdef readonly Py_ssize_t _entry
    cdef object __weakref__


cdef class Storage:
    # as columns.h has them
    cdef void **owner
    cdef int *operation
    cdef int *left
    cdef int *right
    cdef int *pool
    cdef int *arity
    cdef double *value
    cdef double *adjoint
    cdef double *flow
    cdef unsigned char *mark
    cdef readonly Py_ssize_t count, capacity, pooled
    cdef public Py_ssize_t noted, held, muted
    cdef Py_ssize_t chain, pending, floor, changed, checked, fresh
    cdef public uint64_t thread
    cdef public dict scopes
    # and the rest
    cdef double *grads
    cdef Py_ssize_t reserved  # of the pool
    cdef double *spare  # see `spare_column`; so many numbers:
    cdef Py_ssize_t spared
    cdef public Py_ssize_t opened, version, moves
    cdef public dict labels, homes, others, names, places
    cdef public tuple open_names
    cdef public object trace, swept, watch
    cdef readonly bint sweeping
    cdef bint dirty, due, mixed
    cdef int changes

    @cython.locals(n=Py_ssize_t)
    cpdef set_label(self, Handle v, label)
    @cython.locals(n=Py_ssize_t)
    cpdef double gradient(self, Handle v) except? -1.0
    @cython.locals(n=Py_ssize_t)
    cpdef set_gradient(self, Handle v, double number)
    @cython.locals(n=Py_ssize_t)
    cpdef feed(self, Handle v, double adjoint)
    cpdef push(self, name)
    cpdef pop(self)
    cdef _rename(self, tuple names)
    cpdef locate(self, place)


cpdef double plain(Handle v)
cpdef bint is_leaf(Handle v)


# --- what columns.py is in Python ---------------------------------------------

cdef inline int resize(Storage table, Py_ssize_t capacity) except -1:
    """Give every column that many entries, or at least as many as are in use."""
    cdef size_t used = table.count, size = capacity
    cdef bint aside  # whether a sweep fills the spare column at present
    if capacity < table.count:
        return 0
    if capacity > 2147483647:
        raise MemoryError("miniflow: a tape of more than 2,147,483,647 entries")
    if capacity < table.capacity:  # from here on columns may be as short as that
        table.capacity = capacity
        shorten(&table.pool, table.pooled, &table.reserved)
    lengthen(&table.owner, used, size, sizeof(void *))
    lengthen(&table.operation, used, size, sizeof(int))
    lengthen(&table.left, used, size, sizeof(int))
    lengthen(&table.right, used, size, sizeof(int))
    lengthen(&table.value, used, size, sizeof(double))
    aside = table.sweeping and table.flow != table.adjoint
    lengthen(&table.adjoint, used, size, sizeof(double))
    if not aside:
        table.flow = table.adjoint
        free(table.spare)
        table.spare = NULL
        table.spared = 0
    lengthen(&table.grads, min(used, <size_t>table.noted), size, sizeof(double))
    lengthen(&table.mark, used, size, 1)
    table.capacity = capacity
    table.version += 1
    return 0


cdef inline void release(Storage table):
    """Give the columns' memory back."""
    free(table.owner)
    free(table.operation)
    free(table.left)
    free(table.right)
    free(table.value)
    free(table.adjoint)
    free(table.grads)
    free(table.spare)
    free(table.mark)
    free(table.pool)


cdef inline int *ints(list numbers) except? NULL:
    """A column of ints."""
    cdef Py_ssize_t k, count = len(numbers)
    cdef int *found = <int *>calloc(count + 1, sizeof(int))
    if found == NULL:
        raise MemoryError
    for k in range(count):
        found[k] = numbers[k]
    return found
