/* What the compiled engine has of C besides core.pxd: handles, the table's rules, and objects
   that are called without detours.

   A Value is made and dropped for each operation, so it does not go through the general
   machinery of Python's types: it has a stock of its own. */

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#define CODES (1 << 16) /* operations that there can be */
#define STOCK 256       /* handles kept for the next operations */

enum { PENDING = 1, DONE = 2 }; /* marks of a sweep, as in core.py */

#ifdef __GNUC__
#define APART __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))
#else
#define APART
#define INLINE static inline
#endif

#if defined(_MSC_VER)
#define PER_THREAD __declspec(thread)
#elif defined(__GLIBC__) /* which keeps room for libraries that are loaded late: no call */
#define PER_THREAD __thread __attribute__((tls_model("initial-exec")))
#else
#define PER_THREAD __thread
#endif

typedef double (*Unary)(double);
typedef double (*Binary)(double, double);
typedef double (*Ternary)(double, double, double);
typedef double (*Quaternary)(double, double, double, double);

#include "rules.h"

static int ARITY[CODES];
static int DIRECT[CODES];

/* How Table and Value begin; `prepare` checks that it is so. */
typedef struct {
    PyObject_HEAD
    void *methods;
    void **owner;
    int *operation, *left, *right, *pool;
    double *value, *adjoint;
    unsigned char *mark;
    Py_ssize_t count, capacity, pooled, noted, held, muted, chain, pending;
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
static Py_ssize_t stocked = 0;

/* Threads are told apart by numbers that are never used again; 0 is nobody, 1 who never asked. */
static PER_THREAD uint64_t ident = 1;

static inline uint64_t get_ident(void)
{
    static uint64_t last = 1;
    if (ident == 1) ident = ++last;
    return ident;
}

/* Handles in stock belong to `limbo`, a table with a row of no account, and are counted once:
   the garbage collector knows them all the time, and anybody who finds one there can look.
   `limbo` counts a full stock from the start. */
static PyObject *limbo = NULL;

/* Make a quarter of a stock; -1 without memory. */
APART static int restock(void)
{
    while (stocked < STOCK / 4) {
        Handle *v = PyObject_GC_New(Handle, handle_type);
        if (v == NULL) return -1;
        if (stocked == STOCK) { /* garbage was collected meanwhile */
            PyObject_GC_Del(v);
            return 0;
        }
        v->references = NULL;
        v->row = 0;
        v->tape = (TableHead *)limbo;
        PyObject_GC_Track((PyObject *)v);
        stock[stocked++] = v;
    }
    return 0;
}

/* A Value that no table counts. */
static PyObject *handle_alloc(PyTypeObject *type, Py_ssize_t items)
{
    (void)type;
    (void)items;
    if (!stocked && restock()) return NULL;
    return (PyObject *)stock[--stocked];
}

/* A Value that stands for no row yet. */
static PyObject *new(PyObject *type)
{
    PyObject *v = handle_alloc((PyTypeObject *)type, 0);
    if (v != NULL) Py_INCREF(limbo);
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
    Py_ssize_t n = t->count, k;
    int arity;
    if (t->held || PyDict_GET_SIZE(t->scopes)) return;
    while (n > t->noted && t->owner[n - 1] == NULL) n--;
    for (k = n; k < t->count && t->pooled; k++) {
        arity = ARITY[t->operation[k]];
        if (arity < 0 || arity > 2) {
            t->pooled = t->left[k];
            break;
        }
    }
    memset(t->operation + n, 0, (t->count - n) * sizeof(int));
    memset(t->adjoint + n, 0, (t->count - n) * sizeof(double));
    t->count = n;
}

static inline void put_by(Handle *v)
{
#ifdef Py_TRACE_REFS
    _Py_NewReference((PyObject *)v);
#else
    Py_SET_REFCNT((PyObject *)v, 1);
#endif
    v->row = 0;
    v->tape = (TableHead *)limbo;
    stock[stocked++] = v;
}

/* A handle goes, whatever is to be done for it. */
APART static void bury(Handle *v)
{
    PyObject *o = (PyObject *)v;
    TableHead *t = v->tape;
    /* what __init__ has refused has no table */
    if ((PyObject *)t != Py_None && t->owner[v->row] == v) {
        t->owner[v->row] = NULL;
        if (v->row == t->count - 1) give_up(t);
    }
    if (v->references != NULL) { /* callbacks must not find what is going */
        PyObject_GC_UnTrack(o);
        PyObject_ClearWeakRefs(o);
        PyObject_GC_Track(o);
    }
    if (stocked < STOCK) {
        put_by(v);
    }
    else {
        PyObject_GC_UnTrack(o);
        PyObject_GC_Del(o);
    }
    Py_DECREF((PyObject *)t);
}

/* A handle goes: mostly one that stood for a row in the middle of its tape. */
static void handle_dealloc(PyObject *o)
{
    Handle *v = (Handle *)o;
    TableHead *t = v->tape;
    if ((PyObject *)t == Py_None || t->owner[v->row] != v || v->row == t->count - 1
        || v->references != NULL || stocked == STOCK) {
        bury(v);
        return;
    }
    t->owner[v->row] = NULL;
    put_by(v);
    Py_DECREF((PyObject *)t);
}

/* Append a row, for which there is room, and a Value that stands for it. */
INLINE PyObject *append(
    TableHead *t, Py_ssize_t n, int code, Py_ssize_t left, Py_ssize_t right, double y)
{
    Handle *v = stock[--stocked];
    v->tape = t;
    v->row = n;
    Py_INCREF((PyObject *)t);
    t->owner[n] = v;
    t->operation[n] = code;
    t->left[n] = (int)left;
    t->right[n] = (int)right;
    t->value[n] = y;
    t->count = n + 1;
    return (PyObject *)v;
}

/* Whether this thread can append two rows and a Value without more ado. */
static inline int is_ready(TableHead *t)
{
    return stocked && !t->muted && t->thread == ident && t->count + 2 <= t->capacity;
}

/* What `_binary` in core.py does, where it has nothing to decide and nothing to make room for:
   operators on Values of this thread's tape and floats. All else goes there. */
INLINE PyObject *operate(
    int code, Binary value, PyObject *a, PyObject *b, binaryfunc otherwise)
{
    Handle *u = (Handle *)a, *w = (Handle *)b;
    TableHead *t;
    Py_ssize_t n;
    double x;
    if (Py_TYPE(a) == handle_type) {
        t = u->tape;
        if (!is_ready(t)) return otherwise(a, b);
        n = t->count;
        if (Py_TYPE(b) == handle_type) {
            if (w->tape != t) return otherwise(a, b);
            return append(t, n, code, u->row, w->row, value(t->value[u->row], t->value[w->row]));
        }
        if (Py_TYPE(b) != &PyFloat_Type) return otherwise(a, b);
        x = t->value[n] = PyFloat_AS_DOUBLE(b);
        return append(t, n + 1, code, u->row, n, value(t->value[u->row], x));
    }
    if (Py_TYPE(a) != &PyFloat_Type || Py_TYPE(b) != handle_type || !is_ready(w->tape)) {
        return otherwise(a, b);
    }
    t = w->tape;
    n = t->count;
    x = t->value[n] = PyFloat_AS_DOUBLE(a);
    return append(t, n + 1, code, n, w->row, value(x, t->value[w->row]));
}

/* The operators that are most in use. */
#define OPERATOR(name)                                                             \
    static binaryfunc name##_otherwise;                                            \
    static PyObject *name##_operator(PyObject *a, PyObject *b)                     \
    {                                                                              \
        return operate(CODE_##name, name##_value, a, b, name##_otherwise);         \
    }
OPERATOR(add)
OPERATOR(sub)
OPERATOR(mul)
OPERATOR(div)

#define QUICKEN(name, slot)              \
    name##_otherwise = methods->slot;    \
    methods->slot = name##_operator

static void quicken(void)
{
    PyNumberMethods *methods = handle_type->tp_as_number;
    QUICKEN(add, nb_add);
    QUICKEN(sub, nb_subtract);
    QUICKEN(mul, nb_multiply);
    QUICKEN(div, nb_true_divide);
}

/* Give the class of Values its stock of handles, and operators. */
static int prepare_handles(
    PyObject *type, void *table, void *thread, void *scopes, PyObject *nowhere)
{
    PyTypeObject *t = (PyTypeObject *)type;
    TableHead *head = table;
    int k, same = (void *)&head->thread == thread && (void *)head->scopes == scopes;
    if (t->tp_basicsize != sizeof(Handle) || !same) {
        PyErr_SetString(PyExc_ImportError, "miniflow.tape.core: compiled for another layout");
        return -1;
    }
    t->tp_alloc = handle_alloc;
    t->tp_dealloc = handle_dealloc;
    /* a cycle is broken in its dicts: what is left of it still knows its table */
    t->tp_clear = Py_TYPE((PyObject *)table)->tp_clear = NULL;
    t->tp_new = handle_new;
    handle_type = t;
    limbo = nowhere;
    for (k = 0; k <= STOCK; k++) Py_INCREF(limbo);
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
    if ((PyObject *)v->tape == Py_None) { /* Cython leaves it so */
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
    while (--stop >= 0 && mark[stop] != PENDING) {}
    return stop;
}

/* Pass a contribution on to the adjoint of a row: `_reach` in core.py, on columns at hand. */
INLINE void pass_on(
    TableHead *t, const int *operation, Py_ssize_t x, double contribution, double *adjoint,
    unsigned char *mark, Py_ssize_t *pending)
{
    if (operation[x] == CODE_constant) return;
    if (mark[x]) {
        adjoint[x] += contribution;
        return;
    }
    adjoint[x] = contribution;
    if (operation[x] > CODE_shared) {
        mark[x] = PENDING;
        ++*pending;
    }
    else {
        mark[x] = DONE;
        t->left[x] = (int)t->chain;
        t->chain = x;
    }
}

/* A sweep from `row` down as far as it meets only operations whose partials are plain arithmetic:
   what `_pull` in core.py does. The next row to be replayed, -1 if nothing is pending. */
APART static Py_ssize_t replay_arithmetic(void *table, Py_ssize_t row)
{
    TableHead *t = table;
    int *operation = t->operation, *left = t->left, *right = t->right, count;
    double *value = t->value, *adjoint = t->adjoint, g, da, db;
    unsigned char *mark = t->mark;
    Py_ssize_t pending = t->pending, a, b;
    for (; pending; row--) {
        while (mark[row] != PENDING) row--;
        a = left[row];
        b = right[row];
        g = adjoint[row];
        count = slopes(operation[row], value, a, b, value[row], &da, &db);
        if (!count) break;
        mark[row] = 0;
        pending--;
        if (count == 1) { /* apart, so that each case of the switch goes straight to its own */
            pass_on(t, operation, a, g * da, adjoint, mark, &pending);
        }
        else {
            pass_on(t, operation, a, g * da, adjoint, mark, &pending);
            pass_on(t, operation, b, g * db, adjoint, mark, &pending);
        }
    }
    t->pending = pending;
    return pending ? row : -1;
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

/* An object whose calls its method `run` answers, and once it has one its shortcut. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *shortcut;
} Called;

typedef PyObject *(*Direct)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

static PyObject *called_call(
    PyObject *o, PyObject *const *args, size_t count, PyObject *names)
{
    PyObject *f = ((Called *)o)->shortcut, *found;
    if (f == NULL || f == Py_None) {
        f = PyObject_GetAttrString(o, "run");
        if (f == NULL) return NULL;
    }
    else {
        Py_INCREF(f); /* it may be replaced meanwhile */
    }
    if (PyCFunction_CheckExact(f)
        && PyCFunction_GET_FLAGS(f) == (METH_FASTCALL | METH_KEYWORDS)) {
        Direct direct = (Direct)(void (*)(void))PyCFunction_GET_FUNCTION(f);
        found = direct(PyCFunction_GET_SELF(f), args, PyVectorcall_NARGS(count), names);
    }
    else {
        found = PyObject_Vectorcall(f, args, count, names);
    }
    Py_DECREF(f);
    return found;
}

static PyObject *called_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Called *o = (Called *)type->tp_alloc(type, 0);
    (void)args;
    (void)kwargs;
    if (o != NULL) o->call = called_call;
#if PY_VERSION_HEX < 0x030C0000
    /* classes do not inherit yet that their objects are called like this */
    if (type->tp_call == PyVectorcall_Call) type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
#endif
    return (PyObject *)o;
}

static int called_traverse(PyObject *o, visitproc visit, void *arg)
{
    Py_VISIT(((Called *)o)->shortcut);
    return 0;
}

static int called_clear(PyObject *o)
{
    Py_CLEAR(((Called *)o)->shortcut);
    return 0;
}

static void called_dealloc(PyObject *o)
{
    PyObject_GC_UnTrack(o);
    called_clear(o);
    Py_TYPE(o)->tp_free(o);
}

static PyMemberDef called_members[] = {
    {"shortcut", T_OBJECT, offsetof(Called, shortcut), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject called = {PyVarObject_HEAD_INIT(NULL, 0)};

/* The class of such objects. */
static PyObject *called_type(void)
{
    if (called.tp_flags & Py_TPFLAGS_READY) return Py_NewRef((PyObject *)&called);
    called.tp_name = "miniflow.tape.core.Called";
    called.tp_basicsize = sizeof(Called);
    called.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC
                      | Py_TPFLAGS_HAVE_VECTORCALL;
    called.tp_vectorcall_offset = offsetof(Called, call);
    called.tp_call = PyVectorcall_Call;
    called.tp_new = called_new;
    called.tp_traverse = called_traverse;
    called.tp_clear = called_clear;
    called.tp_dealloc = called_dealloc;
    called.tp_members = called_members;
    return PyType_Ready(&called) < 0 ? NULL : Py_NewRef((PyObject *)&called);
}
