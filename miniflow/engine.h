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
    int *operation, *left, *right, *pool;
    double *value, *adjoint;
    unsigned char *mark;
    Py_ssize_t count, capacity, pooled, noted, held, muted;
    uint64_t thread;
    PyObject *scopes;
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

/* Handles in stock belong to `limbo`, a table with a row of no account, and are counted once:
   the garbage collector knows them all the time, and anybody who finds one there can look. */
static PyObject *limbo = NULL;

static PyObject *handle_alloc(PyTypeObject *type, Py_ssize_t items)
{
    Handle *v;
    (void)items;
    if (stocked) {
        v = stock[--stocked];
        Py_DECREF(limbo);
    }
    else {
        v = PyObject_GC_New(Handle, type);
        if (v == NULL) return NULL;
        v->references = NULL;
        v->row = 0;
        PyObject_GC_Track((PyObject *)v);
    }
    v->tape = NULL;
    return (PyObject *)v;
}

/* A Value that has no tape yet. */
static PyObject *new(PyObject *type)
{
    PyObject *v = handle_alloc((PyTypeObject *)type, 0);
    if (v == NULL) return NULL;
    Py_INCREF(limbo);
    ((Handle *)v)->tape = (TableHead *)limbo;
    return v;
}

static PyObject *handle_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    return new((PyObject *)type);
}

/* Rows above the last one that has a Value are needed by nobody: they are unused again at once,
   down to those that side tables tell of. */
static void give_up(TableHead *t)
{
    Py_ssize_t n = t->count, pooled = t->pooled;
    int arity;
    if (t->held || PyDict_GET_SIZE(t->scopes)) return;
    while (n > t->noted && t->owner[n - 1] == NULL) {
        arity = ARITY[t->operation[--n]];
        if (arity < 0 || arity > 2) pooled = t->left[n];
    }
    memset(t->operation + n, 0, (t->count - n) * sizeof(int));
    memset(t->adjoint + n, 0, (t->count - n) * sizeof(double));
    t->pooled = pooled;
    t->count = n;
}

static void handle_dealloc(PyObject *o)
{
    Handle *v = (Handle *)o;
    TableHead *tape = v->tape;
    /* __init__ that has failed leaves None */
    if (tape != NULL && (PyObject *)tape != Py_None && tape->owner[v->row] == v) {
        tape->owner[v->row] = NULL;
        if (v->row == tape->count - 1) give_up(tape);
    }
    if (v->references != NULL) { /* callbacks must not find what is going */
        PyObject_GC_UnTrack(o);
        PyObject_ClearWeakRefs(o);
        PyObject_GC_Track(o);
    }
    v->row = 0;
    if (stocked < STOCK) {
#ifdef Py_TRACE_REFS
        _Py_NewReference(o);
#else
        Py_SET_REFCNT(o, 1);
#endif
        Py_INCREF(limbo);
        v->tape = (TableHead *)limbo;
        stock[stocked++] = v;
    }
    else {
        PyObject_GC_UnTrack(o);
        PyObject_GC_Del(o);
    }
    Py_XDECREF((PyObject *)tape);
}

/* What `_binary` in tape.py does, where it has nothing to decide: operators on Values of this
   thread's tape and floats. All else goes there. */
static inline PyObject *operate(int code, PyObject *a, PyObject *b, binaryfunc otherwise)
{
    int first = Py_TYPE(a) == handle_type, second = Py_TYPE(b) == handle_type;
    TableHead *t = ((Handle *)(first ? a : b))->tape;
    Handle *v;
    double x, y;
    Py_ssize_t n;
    if (first ? !(second ? ((Handle *)b)->tape == t : Py_TYPE(b) == &PyFloat_Type)
              : !(second && Py_TYPE(a) == &PyFloat_Type)) {
        return otherwise(a, b);
    }
    if (t->muted || t->thread != get_ident()) return otherwise(a, b);
    v = (Handle *)handle_alloc(handle_type, 0); /* may collect garbage: rows are read later */
    if (v == NULL) return NULL;
    n = t->count;
    if (n + 2 > t->capacity) {
        Py_DECREF((PyObject *)v);
        return otherwise(a, b);
    }
    x = first ? t->value[((Handle *)a)->row] : PyFloat_AS_DOUBLE(a);
    y = second ? t->value[((Handle *)b)->row] : PyFloat_AS_DOUBLE(b);
    if (!second) t->value[n++] = y;
    else if (!first) t->value[n++] = x;
    t->operation[n] = code;
    t->left[n] = first ? (int)((Handle *)a)->row : (int)n - 1;
    t->right[n] = second ? (int)((Handle *)b)->row : (int)n - 1;
    t->value[n] = value2[code](x, y);
    t->owner[n] = v;
    Py_INCREF((PyObject *)t);
    v->tape = t;
    v->row = n;
    t->count = n + 1;
    return (PyObject *)v;
}

/* The operators that are most in use. */
#define OPERATOR(name)                                            \
    static int name##_code;                                       \
    static binaryfunc name##_otherwise;                           \
    static PyObject *name##_operator(PyObject *a, PyObject *b)    \
    {                                                             \
        return operate(name##_code, a, b, name##_otherwise);      \
    }
OPERATOR(add)
OPERATOR(sub)
OPERATOR(mul)
OPERATOR(div)

static void quicken(int add, int sub, int mul, int div)
{
    PyNumberMethods *methods = handle_type->tp_as_number;
    add_code = add;
    sub_code = sub;
    mul_code = mul;
    div_code = div;
    add_otherwise = methods->nb_add;
    sub_otherwise = methods->nb_subtract;
    mul_otherwise = methods->nb_multiply;
    div_otherwise = methods->nb_true_divide;
    methods->nb_add = add_operator;
    methods->nb_subtract = sub_operator;
    methods->nb_multiply = mul_operator;
    methods->nb_true_divide = div_operator;
}

/* Give the class of Values its stock of handles, and operators. */
static int prepare_handles(
    PyObject *type, void *table, void *thread, void *scopes, PyObject *nowhere)
{
    PyTypeObject *t = (PyTypeObject *)type;
    TableHead *head = table;
    int same = (void *)&head->thread == thread && (void *)head->scopes == scopes;
    if (t->tp_basicsize != sizeof(Handle) || !same) {
        PyErr_SetString(PyExc_ImportError, "miniflow.tape: compiled for another layout");
        return -1;
    }
    t->tp_alloc = handle_alloc;
    t->tp_dealloc = handle_dealloc;
    /* a cycle is broken in its dicts: what is left of it still knows its table */
    t->tp_clear = Py_TYPE((PyObject *)table)->tp_clear = NULL;
    t->tp_new = handle_new;
    handle_type = t;
    limbo = nowhere;
    Py_INCREF(limbo);
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

/* Whether a handle stands for a row; if not, whoever finds it meanwhile finds it in limbo. */
static inline int is_made(void *handle)
{
    Handle *v = handle;
    if ((PyObject *)v->tape == Py_None) {
        Py_INCREF(limbo);
        v->tape = (TableHead *)limbo;
        Py_DECREF(Py_None);
    }
    return v->tape->owner[v->row] == v;
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

/* Give memory of the pool back, where much more is reserved than is used. */
static void shorten(void *where, Py_ssize_t used, Py_ssize_t *reserved)
{
    void **place = where, *found;
    Py_ssize_t size = 2 * used + 1;
    if (4 * size > *reserved) return;
    found = realloc(*place, size * sizeof(int));
    if (found == NULL) return;
    *place = found;
    *reserved = size;
}
