/* Handles in C: a Value is made and dropped for each operation, so it does not go through the
   general machinery of Python's types. It has a free list of its own, and operators that record
   at once where there is nothing to decide. */

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#include "columns.h"
#include "wide.h"

#define PUBLIC_NAME "miniflow.Value" /* in errors, and where pickles find it */
#define CODES (1 << 16)  /* operations that there can be */
#define FREE_LIST 256    /* handles kept for the next operations */
#define EXACT (1LL << 53) /* ints between -EXACT and EXACT are floats */

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

#include "rules.h"

static int ARITY[CODES];
static int DIRECT[CODES];
static unsigned char SELECTS[CODES]; /* how an operation selects operands */

static PyTypeObject *handle_type;
static HandleHead *free_list[FREE_LIST];
static Py_ssize_t free_count = 0;

/* Threads are told apart by numbers that are never used again; 0 is nobody, 1 who never asked. */
static PER_THREAD uint64_t ident = 1;

static inline uint64_t get_ident(void)
{
    static uint64_t last = 1;
    if (ident == 1) ident = ++last;
    return ident;
}

/* Handles in the free list belong to `nowhere`, a table with an entry of no account, and are
   counted once: the garbage collector knows them all the time, and anybody who finds one there
   can look. `nowhere` counts a full free list from the start. */
static PyObject *nowhere = NULL;

/* What may be muted while it runs, by its frame: then it is to be asked for (muting.py). */
static PyObject *pausable = NULL;
static PyObject *settable = NULL; /* what Values have that can be set */

/* Make a quarter of a free list; -1 without memory. */
APART static int refill(void)
{
    while (free_count < FREE_LIST / 4) {
        HandleHead *v = PyObject_GC_New(HandleHead, handle_type);
        if (v == NULL) return -1;
        if (free_count == FREE_LIST) { /* garbage was collected meanwhile */
            PyObject_GC_Del(v);
            return 0;
        }
        v->references = NULL;
        v->entry = 0;
        v->tape = (TableHead *)nowhere;
        PyObject_GC_Track((PyObject *)v);
        free_list[free_count++] = v;
    }
    return 0;
}

/* A Value that no table counts. */
static PyObject *handle_alloc(PyTypeObject *type, Py_ssize_t items)
{
    (void)type;
    (void)items;
    if (!free_count && refill()) return NULL;
    return (PyObject *)free_list[--free_count];
}

/* A Value that stands for no entry yet. */
static PyObject *new(PyObject *type)
{
    PyObject *v = handle_alloc((PyTypeObject *)type, 0);
    if (v != NULL) Py_INCREF(nowhere);
    return v;
}

/* Raise what a function of refusals.py makes. */
static PyObject *refuse(const char *what, PyObject *name)
{
    PyObject *words = PyImport_ImportModule("miniflow.tape.refusals"), *error;
    if (words == NULL) return NULL;
    error = PyObject_CallMethod(words, what, name == NULL ? NULL : "O", name);
    Py_DECREF(words);
    if (error != NULL) PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return NULL;
}

static PyObject *handle_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    if (type != handle_type) return refuse("subclass", NULL);
    return new((PyObject *)type);
}

/* Set or delete an attribute: the words are those of refusals.py where there is none to set. */
static int handle_setattro(PyObject *v, PyObject *name, PyObject *number)
{
    if (number != NULL) {
        if (PyObject_GenericSetAttr(v, name, number) == 0) return 0;
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return -1;
        if (PySequence_Contains(settable, name) > 0) return -1;
        PyErr_Clear();
    }
    refuse(number == NULL ? "deletion" : "attribute", name);
    return -1;
}

static inline void put_by(HandleHead *v)
{
#ifdef Py_TRACE_REFS
    _Py_NewReference((PyObject *)v);
#else
    Py_SET_REFCNT((PyObject *)v, 1);
#endif
    v->entry = 0;
    v->tape = (TableHead *)nowhere;
    free_list[free_count++] = v;
}

/* A handle goes, whatever is to be done for it. */
APART static void let_go(HandleHead *v)
{
    PyObject *o = (PyObject *)v;
    TableHead *t = v->tape;
    /* what __init__ has refused has no table */
    if ((PyObject *)t != Py_None && t->owner[v->entry] == v) {
        t->owner[v->entry] = NULL;
        if (v->entry == t->count - 1) give_up(t);
    }
    if (v->references != NULL) { /* callbacks must not find what is going */
        PyObject_GC_UnTrack(o);
        PyObject_ClearWeakRefs(o);
        PyObject_GC_Track(o);
    }
    if (free_count < FREE_LIST) {
        put_by(v);
    }
    else {
        PyObject_GC_UnTrack(o);
        PyObject_GC_Del(o);
    }
    Py_DECREF((PyObject *)t);
}

/* A handle goes: mostly one that stood for an entry in the middle of its tape. */
static void handle_dealloc(PyObject *o)
{
    HandleHead *v = (HandleHead *)o;
    TableHead *t = v->tape;
    if ((PyObject *)t == Py_None || t->owner[v->entry] != v || v->entry == t->count - 1
        || v->references != NULL || free_count == FREE_LIST) {
        let_go(v);
        return;
    }
    t->owner[v->entry] = NULL;
    put_by(v);
    Py_DECREF((PyObject *)t);
}

/* --- recording at once ----------------------------------------------------------------- */

/* Append an entry, for which there is room, and a Value that stands for it. */
INLINE PyObject *append(
    TableHead *t, Py_ssize_t n, int code, Py_ssize_t left, Py_ssize_t right, double y)
{
    HandleHead *v = free_list[--free_count];
    v->tape = t;
    v->entry = n;
    Py_INCREF((PyObject *)t);
    t->owner[n] = v;
    t->operation[n] = code;
    t->left[n] = (int)left;
    t->right[n] = (int)right;
    t->value[n] = y;
    t->count = n + 1;
    return (PyObject *)v;
}

/* Whether this thread can append two entries and a Value without more ado. */
static inline int is_ready(TableHead *t)
{
    return free_count && !t->muted && !PyDict_GET_SIZE(pausable) && t->thread == ident
           && t->count + 2 <= t->capacity;
}

/* What `record` in core.py does for an operation on one operand, where there is nothing to
   decide and nothing to make room for. All else goes `otherwise`. */
INLINE PyObject *record_unary(int code, Unary value, PyObject *a, unaryfunc otherwise)
{
    HandleHead *u = (HandleHead *)a;
    TableHead *t;
    if (Py_TYPE(a) != handle_type || !is_ready(u->tape)) return otherwise(a);
    t = u->tape;
    return append(t, t->count, code, u->entry, u->entry, value(t->value[u->entry]));
}

/* The same for two operands: Values of this thread's tape and floats. */
INLINE PyObject *record_binary(
    int code, Binary value, PyObject *a, PyObject *b, binaryfunc otherwise)
{
    HandleHead *u = (HandleHead *)a, *w = (HandleHead *)b;
    TableHead *t;
    Py_ssize_t n;
    double x;
    if (Py_TYPE(a) == handle_type) {
        t = u->tape;
        if (!is_ready(t)) return otherwise(a, b);
        n = t->count;
        if (Py_TYPE(b) == handle_type) {
            if (w->tape != t) return otherwise(a, b);
            return append(
                t, n, code, u->entry, w->entry, value(t->value[u->entry], t->value[w->entry]));
        }
        if (!PyFloat_CheckExact(b)) return otherwise(a, b);
        x = t->value[n] = PyFloat_AS_DOUBLE(b);
        return append(t, n + 1, code, u->entry, n, value(t->value[u->entry], x));
    }
    if (!PyFloat_CheckExact(a) || Py_TYPE(b) != handle_type || !is_ready(w->tape)) {
        return otherwise(a, b);
    }
    t = w->tape;
    n = t->count;
    x = t->value[n] = PyFloat_AS_DOUBLE(a);
    return append(t, n + 1, code, n, w->entry, value(x, t->value[w->entry]));
}

/* Whether it is worth trying again: the free list was empty and could be filled. */
static inline int is_refilled(void)
{
    if (free_count) return 0;
    if (!refill()) return 1;
    PyErr_Clear();
    return 0;
}

/* A float for an int that is one; else the object itself. A new reference, NULL on an error. */
static PyObject *as_float(PyObject *x)
{
    int overflow;
    long long whole;
    if (!PyLong_CheckExact(x)) return Py_NewRef(x);
    whole = PyLong_AsLongLongAndOverflow(x, &overflow);
    if (overflow || whole <= -EXACT || whole >= EXACT) return Py_NewRef(x);
    return PyFloat_FromDouble((double)whole);
}

/* An operator where the short way has failed: once more, with ints as floats. */
static PyObject *again(PyObject *a, PyObject *b, binaryfunc quick, binaryfunc otherwise)
{
    PyObject *y = NULL, *x = as_float(a), *z = as_float(b);
    if (x != NULL && z != NULL) {
        y = x != a || z != b || is_refilled() ? quick(x, z) : otherwise(x, z);
    }
    Py_XDECREF(x);
    Py_XDECREF(z);
    return y;
}

/* Python's operators on Values. */
#define BINARY(name)                                                                   \
    static binaryfunc name##_otherwise;                                                \
    static PyObject *name##_slow(PyObject *a, PyObject *b);                            \
    static PyObject *name##_operator(PyObject *a, PyObject *b)                         \
    {                                                                                  \
        return record_binary(CODE_##name, name##_value, a, b, name##_slow);            \
    }                                                                                  \
    APART static PyObject *name##_slow(PyObject *a, PyObject *b)                       \
    {                                                                                  \
        return again(a, b, name##_operator, name##_otherwise);                         \
    }
#define UNARY(name)                                                                    \
    static unaryfunc name##_otherwise;                                                 \
    static PyObject *name##_slow(PyObject *a);                                         \
    static PyObject *name##_operator(PyObject *a)                                      \
    {                                                                                  \
        return record_unary(CODE_##name, name##_value, a, name##_slow);                \
    }                                                                                  \
    APART static PyObject *name##_slow(PyObject *a)                                    \
    {                                                                                  \
        return is_refilled() ? name##_operator(a) : name##_otherwise(a);               \
    }
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(mod)
BINARY(floordiv)
UNARY(neg)
UNARY(pos)
UNARY(abs)

static ternaryfunc pow_otherwise;
static PyObject *pow_slow(PyObject *a, PyObject *b);
static PyObject *pow_quick(PyObject *a, PyObject *b)
{
    return record_binary(CODE_pow, pow_value, a, b, pow_slow);
}
static PyObject *pow_any(PyObject *a, PyObject *b)
{
    return pow_otherwise(a, b, Py_None);
}
APART static PyObject *pow_slow(PyObject *a, PyObject *b)
{
    return again(a, b, pow_quick, pow_any);
}
static PyObject *pow_operator(PyObject *a, PyObject *b, PyObject *modulus)
{
    return modulus == Py_None ? pow_quick(a, b) : pow_otherwise(a, b, modulus);
}

/* The same for any row of the operation table; NotImplemented where it is not so simple. */
static PyObject *no_unary(PyObject *a)
{
    (void)a;
    return Py_NewRef(Py_NotImplemented);
}

static PyObject *no_binary(PyObject *a, PyObject *b)
{
    (void)a;
    (void)b;
    return Py_NewRef(Py_NotImplemented);
}

static PyObject *quick_unary(int code, Unary value, PyObject *a)
{
    if (PyFloat_CheckExact(a)) return PyFloat_FromDouble(value(PyFloat_AS_DOUBLE(a)));
    is_refilled();
    return record_unary(code, value, a, no_unary);
}

static PyObject *quick_binary(int code, Binary value, PyObject *a, PyObject *b)
{
    if (PyFloat_CheckExact(a) && PyFloat_CheckExact(b)) {
        return PyFloat_FromDouble(value(PyFloat_AS_DOUBLE(a), PyFloat_AS_DOUBLE(b)));
    }
    is_refilled();
    return record_binary(code, value, a, b, no_binary);
}

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
    QUICKEN(mod, nb_remainder);
    QUICKEN(floordiv, nb_floor_divide);
    QUICKEN(pow, nb_power);
    QUICKEN(neg, nb_negative);
    QUICKEN(pos, nb_positive);
    QUICKEN(abs, nb_absolute);
}

/* --- the class of Values --------------------------------------------------------------- */

/* What Values are built on is not made by itself. */
static PyObject *refuse_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)type;
    PyErr_SetString(PyExc_TypeError, "a Value is built on this class, which makes none: take Value");
    return NULL;
}

/* Give the class of Values its free list of handles, and operators. */
static int prepare_handles(
    PyObject *type, void *table, void *thread, void *scopes, PyObject *nobodys,
    PyObject *muted_frames, PyObject *attributes)
{
    PyTypeObject *t = (PyTypeObject *)type, *base;
    TableHead *head = table;
    int k, same = (void *)&head->thread == thread && (void *)head->scopes == scopes;
    if (t->tp_basicsize != sizeof(HandleHead) || !same) {
        PyErr_SetString(PyExc_ImportError, "miniflow.tape.core: compiled for another layout");
        return -1;
    }
    t->tp_alloc = handle_alloc;
    t->tp_dealloc = handle_dealloc;
    /* a cycle is broken in its dicts: what is left of it still knows its table */
    t->tp_clear = Py_TYPE((PyObject *)table)->tp_clear = NULL;
    t->tp_new = handle_new;
    t->tp_setattro = handle_setattro;
    settable = Py_NewRef(attributes);
    t->tp_flags |= Py_TPFLAGS_BASETYPE; /* __init_subclass__ refuses, in words of ours */
    for (base = t->tp_base; base != &PyBaseObject_Type; base = base->tp_base) {
        base->tp_new = refuse_new;
        base->tp_vectorcall = NULL;
        base->tp_name = PUBLIC_NAME;
    }
    t->tp_name = PUBLIC_NAME;
    handle_type = t;
    nowhere = nobodys;
    pausable = Py_NewRef(muted_frames);
    for (k = 0; k <= FREE_LIST; k++) Py_INCREF(nowhere);
    quicken();
    return 0;
}

/* Give the class of Values one more method. */
static int install(PyObject *type, PyObject *name, PyObject *method)
{
    int failed = PyDict_SetItem(((PyTypeObject *)type)->tp_dict, name, method);
    PyType_Modified((PyTypeObject *)type);
    return failed;
}

/* The entries of the Values in a list; 0 if it holds anything but Values of that tape. */
static inline int own_entries(PyObject *list, void *tape, int *entries)
{
    Py_ssize_t k, count = PyList_GET_SIZE(list);
    for (k = 0; k < count; k++) {
        PyObject *x = PyList_GET_ITEM(list, k);
        if (Py_TYPE(x) != handle_type || (void *)((HandleHead *)x)->tape != tape) return 0;
        entries[k] = (int)((HandleHead *)x)->entry;
    }
    return 1;
}

/* Whether a handle stands for an entry; if not, whoever finds it meanwhile finds it nowhere. */
static inline int is_made(void *handle)
{
    HandleHead *v = handle;
    if ((PyObject *)v->tape == Py_None) { /* Cython leaves it so */
        Py_INCREF(nowhere);
        v->tape = (TableHead *)nowhere;
        Py_DECREF(Py_None);
    }
    return v->tape->owner[v->entry] == v;
}
