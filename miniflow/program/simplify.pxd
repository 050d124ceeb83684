# C types for simplify.py.

cimport cython
from libc.stdlib cimport free
from libc.string cimport memcpy

from miniflow.tape.core cimport Table
from miniflow.tape.storage cimport RULES as ENGINE, known, lengthen


cdef int *DIRECT
cdef int IS_INPUT, IS_CAPTURED, IS_CONSTANT, IS_WIDE


cdef extern from *:
    """
    /* An Instruction. If its operation is a row of the table, no cycle goes through it or its
       operands, which are numbers: the search for garbage need not look at the thousands of them. */
    static PyObject *instruction_of(PyObject *kind, PyObject *op, PyObject *operands, int of_table)
    {
        PyTypeObject *type = (PyTypeObject *)kind;
        PyObject *found = type->tp_alloc(type, 2);
        if (found == NULL) return NULL;
        Py_INCREF(op);
        Py_INCREF(operands);
        PyTuple_SET_ITEM(found, 0, op);
        PyTuple_SET_ITEM(found, 1, operands);
        if (of_table) {
            PyObject_GC_UnTrack(found);
            PyObject_GC_UnTrack(operands);
        }
        return found;
    }
    """
    object instruction_of(object kind, object op, tuple operands, bint of_table)


cdef inline long long bits_of(double x):
    """A double's bits."""
    cdef long long found
    memcpy(&found, &x, sizeof(x))
    return found


@cython.final
cdef class Builder:
    cdef readonly Py_ssize_t inputs, base, count, entries
    cdef readonly dict captured, constants, wide, outside
    cdef readonly list guards, lines
    cdef public object places
    cdef int origin
    cdef dict _known
    cdef int *kind
    cdef int *left
    cdef int *right
    cdef int *origins
    cdef int *nodes
    # and the rest
    cdef Py_ssize_t room, reserved  # for nodes, for entries
    cdef int *table  # where each row of one or two operands is found: 1 + its node, or 0
    cdef size_t mask  # of a hash

    @cython.locals(node=Py_ssize_t, found=Py_ssize_t)
    cdef Py_ssize_t _node(self, object what, int kind, dict contents, object content) except -1
    cpdef Py_ssize_t capture(self, object v) except -1
    cpdef Py_ssize_t constant(self, double x) except -1
    @cython.locals(plain=list, direct=int, code=int)
    cpdef Py_ssize_t emit(self, object op, tuple operands) except -1
    @cython.locals(x=Py_ssize_t)
    cdef bint _some_constant(self, tuple operands) except -1
    @cython.locals(code=int, left=int, right=int)
    cpdef object step(self, Py_ssize_t node)
    @cython.locals(n=Py_ssize_t, code=int, a=Py_ssize_t, b=Py_ssize_t, node=Py_ssize_t, x=Py_ssize_t)
    cpdef record(self, Table table, list entries)
    @cython.locals(node=Py_ssize_t)
    cpdef Py_ssize_t node_of(self, Table table, Py_ssize_t n) except -1
    cpdef Py_ssize_t known_node(self, Py_ssize_t n) except -2
    @cython.locals(k=Py_ssize_t, node=Py_ssize_t)
    cpdef name_adjoints(self, list adjoints, dict called)
    @cython.locals(needed=bytearray, node=Py_ssize_t, x=Py_ssize_t)
    cdef bytearray _needed(self, object outputs)
    @cython.locals(node=Py_ssize_t)
    cdef list _kept(self, bytearray needed)
    @cython.locals(
        found=list, k=Py_ssize_t, node=Py_ssize_t, code=int, a=Py_ssize_t, b=Py_ssize_t,
        places=tuple, operands=tuple, x=Py_ssize_t,
    )
    cdef list _renumbered(self, list kept, list slot, Py_ssize_t first)
    @cython.locals(node=Py_ssize_t)
    cdef object _places_of(self, list kept)


cdef inline void connect():
    """Take over the engine's rules."""
    global DIRECT
    DIRECT = ENGINE.direct


cdef inline int *empty() noexcept:
    """A column of ints."""
    return NULL


cdef inline void drop_columns(Builder builder):
    """Give the columns' memory back."""
    free(builder.kind)
    free(builder.left)
    free(builder.right)
    free(builder.origins)
    free(builder.nodes)
    free(builder.table)


cdef inline int set_up(Builder builder) except -1:
    """Be ready to find rows."""
    grow(builder, 64)


cdef inline int grow(Builder builder, Py_ssize_t room) except -1:
    """Room for more nodes; the table has twice as many places, all rows are found anew."""
    cdef Py_ssize_t used = builder.count
    cdef Py_ssize_t node
    cdef size_t place
    lengthen(&builder.kind, used, room, sizeof(int))
    lengthen(&builder.left, used, room, sizeof(int))
    lengthen(&builder.right, used, room, sizeof(int))
    lengthen(&builder.origins, used, room, sizeof(int))
    lengthen(&builder.table, 0, 2 * room, sizeof(int))
    builder.room, builder.mask = room, 2 * room - 1
    for node in range(used):
        if builder.kind[node] >= 0:
            place = place_of(builder, builder.kind[node], builder.left[node], builder.right[node])
            builder.table[place] = node + 1


cdef inline size_t place_of(Builder builder, int code, int left, int right) noexcept:
    """Where a row stands in the table, or may stand."""
    cdef size_t hashed = <size_t>left * 0x9E3779B97F4A7C15u
    cdef Py_ssize_t node
    hashed = (hashed ^ (hashed >> 29) ^ <size_t>right) * 0xBF58476D1CE4E5B9u
    hashed = (hashed ^ (hashed >> 32) ^ <size_t>code) * 0x94D049BB133111EBu
    hashed = (hashed ^ (hashed >> 31)) & builder.mask
    while builder.table[hashed]:
        node = builder.table[hashed] - 1
        if (
            builder.left[node] == left and builder.right[node] == right
            and builder.kind[node] == code
        ):
            break
        hashed = (hashed + 1) & builder.mask
    return hashed


cdef inline Py_ssize_t append(Builder builder, int kind, int left, int right) except -1:
    """A new node."""
    cdef Py_ssize_t node = builder.count
    if node == builder.room:
        grow(builder, 2 * node)
    builder.kind[node], builder.left[node], builder.right[node] = kind, left, right
    builder.origins[node] = builder.origin
    builder.count = node + 1
    return node


cdef inline Py_ssize_t found_or_new(Builder builder, int code, int left, int right) except -1:
    """The node of a row of one or two operands."""
    cdef size_t place = place_of(builder, code, left, right)
    cdef Py_ssize_t node = builder.table[place] - 1
    if node >= 0:
        return node
    if builder.count == builder.room:
        grow(builder, 2 * builder.count)
        place = place_of(builder, code, left, right)
    node = append(builder, code, left, right)
    builder.table[place] = node + 1
    return node


cdef inline int extend(Builder builder, Py_ssize_t entries) except -1:
    """Room for the nodes of so many entries, -1 at first."""
    cdef Py_ssize_t n
    if entries > builder.reserved:
        lengthen(&builder.nodes, builder.entries, 2 * entries, sizeof(int))
        builder.reserved = 2 * entries
    for n in range(builder.entries, entries):
        builder.nodes[n] = -1
    builder.entries = max(entries, builder.entries)
