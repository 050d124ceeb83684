# C types for compaction.py, and how arrays are compacted.

cimport cython
from cpython.array cimport array, clone
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.string cimport memset

from miniflow.tape.storage cimport Handle, Storage, is_leaf, plain, resize


cdef extern from "columns.h":
    const int CONSTANT
    const int SHARED
    Py_ssize_t last_mark(const char *marks, Py_ssize_t stop)
    void *nobody
    int marks_before(const char *marks, const int *blocks, Py_ssize_t n)
    void move_number(double *column, Py_ssize_t to, Py_ssize_t start)
    void clear_numbers(double *column, Py_ssize_t start, Py_ssize_t stop)
    void set_entry(void *owner, Py_ssize_t entry)
    void give_up(void *table)


cdef int OTHER


cdef class Compaction(Storage):
    cpdef hold(self)
    cpdef settle(self)
    @cython.locals(n=Py_ssize_t)
    cdef Py_ssize_t append(
        self, Handle handle, void *reference, int code, Py_ssize_t left, Py_ssize_t right,
        double number, object extra=*
    ) except -1
    @cython.locals(number=double, shared=bint)
    cdef Py_ssize_t entry_of(self, object x) except -1
    cpdef make_room(self, Py_ssize_t entries)
    cpdef room_for(self, Py_ssize_t entries)
    cpdef shed(self)
    @cython.locals(count=Py_ssize_t, version=Py_ssize_t, marks=bytearray, smallest=Py_ssize_t)
    cpdef compact(self)
    @cython.locals(marks=bytearray, n=Py_ssize_t)
    cpdef bytearray needed(self, Py_ssize_t count)
    @cython.locals(arity=int, left=Py_ssize_t, right=Py_ssize_t, k=Py_ssize_t, x=Py_ssize_t)
    cdef mark_operands(self, Py_ssize_t n, bytearray marks, Py_ssize_t floor)
    cpdef Py_ssize_t open_scope(self) except -1
    cpdef end_scope(self, Py_ssize_t scope)
    cpdef drop_scope(self, Py_ssize_t scope)
    @cython.locals(count=Py_ssize_t)
    cpdef bint keep(self, bytearray marks, Py_ssize_t version, Py_ssize_t held) except -1
    @cython.locals(before=Py_ssize_t, place=Py_ssize_t, n=Py_ssize_t)
    cdef dict _renumbered(self, dict starts, bytearray marks)


# --- what columns.py is in Python ---------------------------------------------

cdef inline object holding(Compaction table):
    """A context that holds the entries of a table in place: the table itself."""
    return table


cdef inline void trim(Compaction table):
    """Use entries above the last one that has a Value anew."""
    give_up(<void *>table)


cdef inline shed_last(Compaction table):
    """Drop the last entry, if nobody needs it and all that it has is an operation."""
    cdef Py_ssize_t n = table.count - 1
    if n < 0 or table.owner[n] != NULL or table.held or table.sweeping or table.scopes:
        return
    if n not in table.others or n in table.labels:
        return
    if n + 1 in table.names or n + 1 in table.places:  # of the entries to come
        return
    dropped = table.others.pop(n)  # until the end: it may have finalizers
    table.noted = n
    table.version += 1
    trim(table)


cdef inline Py_ssize_t last(bytearray marks, Py_ssize_t stop):
    return last_mark(PyByteArray_AS_STRING(marks), stop)


cdef inline bytearray owned(Storage table, Py_ssize_t count):
    """A mark for each of `count` entries for which a Value stands."""
    cdef bytearray marks = bytearray(count)
    cdef char *mark = PyByteArray_AS_STRING(marks)
    cdef Py_ssize_t n
    for n in range(min(count, table.count)):
        mark[n] = table.owner[n] != NULL
    return marks


cdef inline array numbered(bytearray marks):
    """What tells the number that each marked entry will have once the others are gone."""
    cdef Py_ssize_t count = len(marks), n
    cdef array places = clone(array("i"), count // 16 + 1, False)
    cdef char *mark = PyByteArray_AS_STRING(marks)
    cdef int kept = 0
    for n in range(count):
        if n % 16 == 0:
            places.data.as_ints[n // 16] = kept
        kept += mark[n]
    if count % 16 == 0:
        places.data.as_ints[count // 16] = kept
    return places


cdef inline int new_number(array places, bytearray marks, Py_ssize_t n):
    """That number of one entry."""
    return marks_before(PyByteArray_AS_STRING(marks), places.data.as_ints, n)


cdef inline bint commit(
    Storage table, Py_ssize_t version, Py_ssize_t held, bytearray marks, array places, tuple sides
) except -1:
    """Move the marked entries together, drop the others and take over side tables.

    False, with nothing changed, if the table is no longer what it was for `marks`.
    """
    cdef Py_ssize_t count = len(marks), n, k, start
    cdef int *blocks = places.data.as_ints
    cdef char *mark = PyByteArray_AS_STRING(marks)
    cdef int arity, pooled = 0, kept = 0
    cdef Py_ssize_t noted = 0, before = min(table.noted, count)  # from there on no gradients
    for side in (*sides[:3], *sides[4:]):
        for n in side:
            noted = max(noted, n + 1)
    # what the table was the last to know stays until the end: it may have finalizers
    dropped = (
        table.labels, table.homes, table.others, table.scopes, table.names, table.places
    )
    if table.count != count or table.version != version or table.held != held:
        return False
    for n in range(count):
        if not mark[n]:
            continue
        arity = table.arity[table.operation[n]]
        table.operation[kept] = table.operation[n]
        if arity == 1 or arity == 2:
            table.left[kept] = marks_before(mark, blocks, table.left[n])
            table.right[kept] = marks_before(mark, blocks, table.right[n]) if arity == 2 else 0
        elif arity:
            start = table.left[n]
            table.left[kept] = pooled
            table.right[kept] = table.right[n]
            for k in range(table.right[kept]):
                table.pool[pooled] = marks_before(mark, blocks, table.pool[start + k])
                pooled += 1
        else:
            table.right[kept] = table.right[n]  # when its data was set
        table.value[kept] = table.value[n]
        move_number(table.adjoint, kept, n)
        move_number(table.grads, kept, n)
        if n < before and kept >= noted and table.grads[kept] != 0.0:
            noted = kept + 1
        table.owner[kept] = table.owner[n]
        set_entry(table.owner[kept], kept)
        kept += 1
    # entries given up are unused ones again
    memset(table.operation + kept, 0, (count - kept) * sizeof(int))
    clear_numbers(table.adjoint, kept, count)
    clear_numbers(table.grads, kept, before)
    memset(table.owner + kept, 0, (count - kept) * sizeof(void *))
    table.labels, table.homes, table.others = sides[:3]
    table.scopes, table.names, table.places = sides[3:]
    table.changed = marks_before(mark, blocks, min(table.changed, count))
    table.checked = marks_before(mark, blocks, min(table.checked, count))
    table.fresh = -1
    table.pooled = pooled
    table.noted = noted
    table.count = kept
    table.version += 1
    table.moves += 1
    return True
