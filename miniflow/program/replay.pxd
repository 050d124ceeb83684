# C types for replay.py, and its columns as arrays.

cimport cython
from libc.stdlib cimport calloc, free

from miniflow.tape.storage cimport RULES, Binary, Ternary, Unary, ints, known


cdef extern from "wide.h":
    double wide_sum(const double *numbers, const int *places, Py_ssize_t count)
    double wide_dot(const double *numbers, const int *places, Py_ssize_t count)
    double wide_three(Ternary value, const double *numbers, const int *places)


cdef int *DIRECT
cdef const Unary *value1
cdef const Binary *value2


@cython.final
cdef class Replay:
    cdef list constants, ops
    cdef Py_ssize_t first, count, checked, results
    cdef int *code
    cdef int *left
    cdef int *right
    cdef int *pool
    cdef int *checks
    cdef int *outputs

    @cython.locals(k=Py_ssize_t, n=Py_ssize_t, code=int, a=int, b=int, direct=int, y=double)
    cdef Py_ssize_t _run(self, double *slots) except -2
    @cython.locals(relation=int, at=Py_ssize_t, a=double, b=double, answer=bint)
    cdef bint _holds(self, Py_ssize_t k, double *slots)


cdef inline void connect():
    """Take over the engine's rules."""
    global DIRECT, value1, value2
    DIRECT, value1, value2 = RULES.direct, RULES.value1, RULES.value2


cdef inline void discard(Replay replay):
    """Give the columns' memory back."""
    free(replay.code)
    free(replay.left)
    free(replay.right)
    free(replay.pool)
    free(replay.checks)
    free(replay.outputs)


cdef inline double *spread(list numbers, Py_ssize_t size) except NULL:
    """So many slots, the first ones filled."""
    cdef Py_ssize_t k
    cdef double *slots = <double *>calloc(max(size, len(numbers)) + 1, sizeof(double))
    if slots == NULL:
        raise MemoryError
    try:
        for k in range(len(numbers)):
            slots[k] = numbers[k]
    except BaseException:
        free(slots)
        raise
    return slots


cdef inline void drop(double *slots):
    free(slots)


cdef inline double wide_value(Replay replay, Py_ssize_t n, double *slots) except? -1.0:
    """The result of instruction n, an operation of any kind."""
    cdef int *pool = replay.pool + replay.left[n]
    cdef int code = replay.code[n]
    cdef Py_ssize_t k, count = replay.right[n]
    if code == RULES.sum:
        return wide_sum(slots, pool, count)
    if code == RULES.dot:
        return wide_dot(slots, pool, count)
    if code < RULES.builtins and RULES.value3[code] != NULL:
        return wide_three(RULES.value3[code], slots, pool)
    return replay.ops[n].number(*[slots[pool[k]] for k in range(count)])
