# C types for simplify.py.

cimport cython
from libc.string cimport memcpy

from miniflow.tape.core cimport Table


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
    cdef readonly Py_ssize_t inputs, count
    cdef readonly dict captured, constants, instructions
    cdef readonly list guards, lines
    cdef public object places
    cdef object origin
    cdef list origins
    cdef readonly dict outside
    cdef dict _known

    @cython.locals(node=Py_ssize_t)
    cdef object _node(self, object what, dict kind, object content)
    cpdef object capture(self, object v)
    cpdef object constant(self, double x)
    @cython.locals(plain=list, before=Py_ssize_t, of_table=bint)
    cpdef object emit(self, object op, tuple operands)
    cdef bint _some_constant(self, tuple operands) except -1
    @cython.locals(found=list, pair=tuple, arity=int, a=Py_ssize_t, b=Py_ssize_t)
    cpdef record(self, Table table, list entries, list nodes, Py_ssize_t base)
    cpdef object node_of(self, Table table, Py_ssize_t n, list nodes, Py_ssize_t base)
    @cython.locals(k=Py_ssize_t, slots=list)
    cdef list _slots(self, list order)
    @cython.locals(found=list, node=Py_ssize_t)
    cdef list _kept(self, bytearray needed)
    @cython.locals(
        found=list, nodes=list, steps=list, k=Py_ssize_t, node=Py_ssize_t, of_table=bint,
        operands=tuple, places=tuple, pair=tuple, x=Py_ssize_t,
    )
    cdef list _renumbered(self, bytearray needed, list slots)
    cdef object _places_of(self, bytearray needed)
    @cython.locals(
        needed=bytearray, nodes=list, steps=list, k=Py_ssize_t, node=Py_ssize_t, operands=tuple,
        x=Py_ssize_t,
    )
    cdef bytearray _needed(self, object outputs)
