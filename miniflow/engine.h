/* What the compiled engine has of C besides tape.pxd: handles, and the table's rules.

   A Value is made and dropped for each operation, so it does not go through the general
   machinery of Python's types: it has a stock of its own. */

#include <Python.h>
#include <stdint.h>

#define CODES (1 << 16) /* operations that there can be */
#define STOCK 256       /* handles kept for the next operations */

typedef double (*Unary)(double);
typedef double (*Binary)(double, double);
typedef double (*Ternary)(double, double, double);
typedef double (*Quaternary)(double, double, double, double);

#include "rules.h"

static int ARITY[CODES];
static int DIRECT[CODES];
static unsigned char FOLLOWS[2 * CODES];

/* How Table and Value begin; `prepare` checks that it is so. */
typedef struct {
    PyObject_HEAD
    void *methods;
    void **owner;
} TableHead;

typedef struct {
    PyObject_HEAD
    TableHead *tape;
    Py_ssize_t row;
    PyObject *references;
} Handle;

static PyTypeObject *handle_type;
static Handle *stock[STOCK];
static int stocked = 0;

/* Threads are told apart by numbers that are never used again. */
static inline uint64_t get_ident(void)
{
    return PyThreadState_GetID(PyThreadState_Get());
}

static PyObject *handle_alloc(PyTypeObject *type, Py_ssize_t items)
{
    Handle *v;
    (void)items;
    if (stocked) {
        v = stock[--stocked];
        _Py_NewReference((PyObject *)v);
    }
    else {
        v = PyObject_GC_New(Handle, type);
        if (v == NULL) return NULL;
    }
    v->tape = NULL;
    v->row = 0;
    v->references = NULL;
    PyObject_GC_Track((PyObject *)v);
    return (PyObject *)v;
}

/* A Value that has no tape yet. */
static inline PyObject *new(PyObject *type)
{
    PyObject *v = handle_alloc((PyTypeObject *)type, 0);
    if (v == NULL) return NULL;
    Py_INCREF(Py_None);
    ((Handle *)v)->tape = (TableHead *)Py_None;
    return v;
}

static void handle_dealloc(PyObject *o)
{
    Handle *v = (Handle *)o;
    TableHead *tape = v->tape;
    PyObject_GC_UnTrack(o);
    if (tape != NULL && (PyObject *)tape != Py_None && tape->owner[v->row] == v) {
        tape->owner[v->row] = NULL;
    }
    if (v->references != NULL) PyObject_ClearWeakRefs(o);
    v->tape = NULL;
    if (stocked < STOCK) stock[stocked++] = v;
    else PyObject_GC_Del(o);
    Py_XDECREF((PyObject *)tape);
}

/* Give the class of Values its stock of handles. */
static int prepare(PyObject *type, PyObject *table, void **owner)
{
    PyTypeObject *t = (PyTypeObject *)type;
    if (t->tp_basicsize != sizeof(Handle) || ((TableHead *)table)->owner != owner) {
        PyErr_SetString(PyExc_ImportError, "miniflow.tape: compiled for another layout");
        return -1;
    }
    t->tp_alloc = handle_alloc;
    t->tp_dealloc = handle_dealloc;
    /* a cycle is broken in its dicts: what is left of it still knows its table */
    t->tp_clear = Py_TYPE(table)->tp_clear = NULL;
    handle_type = t;
    return 0;
}

/* Give the class of Values one more method. */
static int install(PyObject *type, PyObject *name, PyObject *method)
{
    int failed = PyDict_SetItem(((PyTypeObject *)type)->tp_dict, name, method);
    PyType_Modified((PyTypeObject *)type);
    return failed;
}

/* The rows of the Values in a list; 0 if it holds anything but Values of that tape. */
static inline int own_rows(PyObject *list, void *tape, int *rows)
{
    Py_ssize_t k, count = PyList_GET_SIZE(list);
    for (k = 0; k < count; k++) {
        PyObject *x = PyList_GET_ITEM(list, k);
        if (Py_TYPE(x) != handle_type || (void *)((Handle *)x)->tape != tape) return 0;
        rows[k] = (int)((Handle *)x)->row;
    }
    return 1;
}

/* Tell the handle that stands for a row, if there is one, that the row has moved. */
static inline void set_row(void *owner, Py_ssize_t row)
{
    if (owner != NULL) ((Handle *)owner)->row = row;
}

/* The last row before `stop` that a sweep has yet to replay, -1 if there is none. */
static inline Py_ssize_t pending_row(const unsigned char *mark, Py_ssize_t stop)
{
    while (--stop >= 0 && mark[stop] != 1) {}
    return stop;
}

/* The last marked row before `stop`, -1 if there is none. */
static inline Py_ssize_t last_mark(const char *marks, Py_ssize_t stop)
{
    while (--stop >= 0 && !marks[stop]) {}
    return stop;
}

/* Give a column `size` items, its first `used` ones and zeros; -1 without memory. */
static int lengthen(void *where, size_t used, size_t size, size_t item)
{
    void **place = where, *found = calloc(size, item);
    if (found == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (used) memcpy(found, *place, used * item);
    free(*place);
    *place = found;
    return 0;
}
