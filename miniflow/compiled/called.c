/* Objects whose calls lead straight to machine code: what called.py is in C.

   A call goes by vectorcall to the shortcut, with no tuple of arguments and no lookup. */

#include <Python.h>
#include <stddef.h>
#include <structmember.h>

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
    called.tp_name = "miniflow.compiled.called.Called";
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

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "miniflow.compiled.called", NULL, -1, NULL, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_called(void)
{
    PyObject *m = PyModule_Create(&module);
    PyObject *type = m == NULL ? NULL : called_type();
    if (type == NULL || PyModule_AddObject(m, "Called", type) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(m);
        return NULL;
    }
    return m;
}
