# C types for core.py, and in C what columns.py is in Python.
#
# C code that calls no Python comes in one go: nothing can run in between.

cimport cython
from cpython.array cimport array, clone
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.math cimport NAN
from libc.string cimport memset


cdef extern from "engine.h":
    const int BUILTINS
    const char *MADE_OF
    const int CODES
    int ARITY[]
    int DIRECT[]
    ctypedef double (*Unary)(double) noexcept
    ctypedef double (*Binary)(double, double) noexcept
    ctypedef double (*Ternary)(double, double, double) noexcept
    ctypedef double (*Quaternary)(double, double, double, double) noexcept
    const Unary value1[]
    const Binary value2[]
    const Ternary value3[]
    const Binary partial1[]
    const Ternary partial2[]
    const Quaternary partial3[]
    ctypedef struct Handle:
        Py_ssize_t row
    uint64_t get_ident()
    Value new(object kind)
    int install(object kind, object name, object method) except -1
    int prepare_handles(
        object kind, void *table, void *thread, void *scopes, object nowhere
    ) except -1
    void quicken()
    Py_ssize_t replay_arithmetic(void *table, Py_ssize_t row)
    Py_ssize_t pending_row(const unsigned char *mark, Py_ssize_t stop)
    Py_ssize_t last_mark(const char *marks, Py_ssize_t stop)
    void shorten(void *pool, Py_ssize_t used, Py_ssize_t *reserved)
    int lengthen(void *column, size_t used, size_t size, size_t item) except -1
    bint own_rows(list values, void *tape, int *rows)
    bint is_made(void *handle)
    void set_row(void *owner, Py_ssize_t row)
    object called_type()


cdef int CONSTANT, LEAF, SHARED, PENDING, DONE, DOT, SUM
cdef int ADD, SUB, MUL, DIV, POW, MOD, FLOORDIV, NEG, POS, ABS, RINT, TRUNC, FLOOR, CEIL


@cython.final
cdef class Table:
    # as engine.h has them
    cdef void **owner
    cdef int *operation
    cdef int *left
    cdef int *right
    cdef int *pool
    cdef double *value
    cdef double *adjoint
    cdef unsigned char *mark
    cdef readonly Py_ssize_t count, capacity, pooled
    cdef public Py_ssize_t noted, held, muted
    cdef Py_ssize_t chain, pending
    cdef public uint64_t thread
    cdef public dict scopes
    # and the rest
    cdef Py_ssize_t reserved  # of the pool
    cdef public Py_ssize_t opened, version
    cdef public dict labels, grads, homes, others, names
    cdef public tuple path
    cdef public object trace, swept
    cdef readonly bint sweeping
    cdef bint dirty, due

    @cython.locals(code=int, arity=int, left=int, right=int, n=Py_ssize_t, number=double,
                   handle=Value, xs=list)
    cpdef Value record(self, object op, object operands, object y=*)
    @cython.locals(n=Py_ssize_t)
    cpdef Value enter(self, Value handle, int code, double number)
    @cython.locals(home=Value, n=Py_ssize_t, number=double)
    cpdef int row(self, object x) except -1
    @cython.locals(v=Value)
    cpdef object operand(self, object x, object what)
    cpdef double number(self, object x, object what) except? -1.0
    @cython.locals(code=int)
    cpdef object op(self, Py_ssize_t row)
    cpdef double value_of(self, Py_ssize_t row) except? -1.0
    cpdef tuple entry(self, Py_ssize_t row)
    cpdef push(self, name)
    cpdef pop(self)
    @cython.locals(arity=int, left=int, right=int, k=Py_ssize_t)
    cpdef tuple operands(self, Py_ssize_t row)
    @cython.locals(found=Value)
    cpdef Value handle(self, Py_ssize_t row)
    cpdef list rows_of(self, Value x)
    cpdef object primal(self, Py_ssize_t row)
    @cython.locals(row=Py_ssize_t, place=Py_ssize_t, arity=int, left=Py_ssize_t, right=Py_ssize_t,
                   k=Py_ssize_t, x=Py_ssize_t, mark=bytearray, found=list)
    cpdef list reached(self, object rows, Py_ssize_t floor=*)
    @cython.locals(leaves=list)
    cpdef sweep(self, Value v, double seed)
    @cython.locals(operation="int *", left="int *", right="int *", value="double *",
                   adjoint="double *", mark="unsigned char *", code=int, g=double, y=double,
                   a=int, b=int, direct=int, i=int)
    cdef _pull(self, Py_ssize_t row, double seed)
    @cython.locals(slope=double, x=Py_ssize_t, k=Py_ssize_t, xs=list, rows=tuple)
    cdef int _pull_any(self, Py_ssize_t row) except -1
    cdef void _reach(self, Py_ssize_t x, double contribution) noexcept
    @cython.locals(leaves=list, x=Py_ssize_t)
    cdef list _reached_leaves(self)
    @cython.locals(row=Py_ssize_t)
    cdef _unmark(self)
    @cython.locals(x=Py_ssize_t, version=Py_ssize_t)
    cdef accumulate(self, list leaves)
    @cython.locals(row=Py_ssize_t)
    cpdef feed(self, Value v, double adjoint)
    cdef double _recomputed(self, Py_ssize_t row) except? -1.0
    cpdef make_room(self, Py_ssize_t rows)
    cpdef settle(self)
    cpdef bint idle(self)
    @cython.locals(count=Py_ssize_t, version=Py_ssize_t, marks=bytearray)
    cpdef compact(self)
    @cython.locals(marks=bytearray, row=Py_ssize_t, arity=int, left=Py_ssize_t, right=Py_ssize_t,
                   k=Py_ssize_t, a=Py_ssize_t, b=Py_ssize_t)
    cpdef bytearray needed(self, Py_ssize_t count)


@cython.final
cdef class Value:
    cdef readonly Table _tape
    cdef readonly Py_ssize_t _row
    cdef object __weakref__


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


@cython.locals(table=Table)
cpdef Table home(Value v, object what)
@cython.locals(table=Table, code=int)
cdef object _operation(Value v)
@cython.locals(table=Table, row=Py_ssize_t)
cdef double _gradient(Value v) except? -1.0
cdef Table latest
@cython.locals(table=Table)
cpdef Table current()
cpdef double plain(Value x)
cpdef frozen(what)
cpdef bint is_leaf(Value v)
@cython.locals(table=Table, y=double, handle=Value, n=Py_ssize_t)
cdef Value _unary(int code, Value a)
@cython.locals(left=Py_ssize_t, right=Py_ssize_t, u=Value, v=Value, table=Table, y=double,
               handle=Value, n=Py_ssize_t)
cdef object _binary(int code, object a, object b)
@cython.locals(table=Table)
cpdef object dot(list xs, list ws)
@cython.locals(code=int)
cpdef object neuron(list ws, list xs, object b, object activation)
@cython.locals(table=Table)
cdef object _slow_binary(int code, object a, object b)


# --- what columns.py is in Python ---------------------------------------------

cdef inline int prepare(kind, Table table, Table nowhere) except -1:
    """Make the class of Values ready; those that belong to no tape belong to `nowhere`."""
    nowhere.value[0] = NAN
    prepare_handles(kind, <void *>table, &table.thread, <void *>table.scopes, nowhere)
    quicken()
    return 0


cdef inline void *pointer(Value handle):
    return <void *>handle


cdef inline bint made(Value handle):
    """Whether a Value stands for a row already."""
    return is_made(<void *>handle)


cdef inline object living(void *owner):
    return None if owner == NULL else <object>owner


cdef inline int known(int code) except -1:
    if code >= CODES:
        raise OverflowError("miniflow: more than 65,536 operations have been defined")
    if ARITY[code] == 0 and code > 2:
        learn()
    return code


cdef inline int learn() except -1:
    """Take notice of operations that have been defined."""
    from miniflow.ops import BY_CODE

    cdef int code, direct
    for code, op in enumerate(BY_CODE[:CODES]):
        direct = 0
        if code < BUILTINS:
            direct = 1 if value1[code] != NULL else 2 if value2[code] != NULL else 0
        DIRECT[code] = direct
        ARITY[code] = op.arity
    return 0


cdef inline int resize(Table table, Py_ssize_t capacity) except -1:
    """Give every column that many rows, or at least as many as are in use."""
    cdef size_t used = table.count, size = capacity
    known(3)
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
    lengthen(&table.adjoint, used, size, sizeof(double))
    lengthen(&table.mark, used, size, 1)
    table.capacity = capacity
    table.version += 1
    return 0


cdef inline void release(Table table):
    """Give the columns' memory back."""
    free(table.owner)
    free(table.operation)
    free(table.left)
    free(table.right)
    free(table.value)
    free(table.adjoint)
    free(table.mark)
    free(table.pool)


cdef inline Py_ssize_t last(bytearray marks, Py_ssize_t stop):
    return last_mark(PyByteArray_AS_STRING(marks), stop)


cdef inline bytearray owned(Table table, Py_ssize_t count):
    """A mark for each of `count` rows for which a Value stands."""
    cdef bytearray marks = bytearray(count)
    cdef char *mark = PyByteArray_AS_STRING(marks)
    cdef Py_ssize_t row
    for row in range(min(count, table.count)):
        mark[row] = table.owner[row] != NULL
    return marks


cdef inline array numbered(bytearray marks):
    """The number that each marked row will have once the others are gone."""
    cdef Py_ssize_t count = len(marks), row
    cdef array places = clone(array("i"), count, False)
    cdef char *mark = PyByteArray_AS_STRING(marks)
    cdef int kept = 0
    for row in range(count):
        places.data.as_ints[row] = kept
        kept += mark[row]
    return places


cdef inline list usable(Table table, operands, what):
    """The operands as Values that can be used here and floats."""
    cdef list found = list(operands)
    cdef Py_ssize_t k
    for k in range(len(found)):
        x = found[k]
        if type(x) is not Value or (<Value>x)._tape is not table:
            found[k] = table.operand(x, what)
    return found


cdef inline double at(double *numbers, int *places, Py_ssize_t k) noexcept:
    return numbers[k if places == NULL else places[k]]


cdef inline bint is_wide(int code) noexcept:
    """Whether C has the value of an operation of more than two operands."""
    return code == SUM or code == DOT or (code < BUILTINS and value3[code] != NULL)


cdef inline double wide(int code, double *numbers, int *places, Py_ssize_t count) noexcept:
    """That value, of the numbers, or of those at the places if there are any."""
    cdef Py_ssize_t k, half = count // 2
    cdef double total
    if code == SUM:
        total = at(numbers, places, 0)
        for k in range(1, count):
            total += at(numbers, places, k)
        return total
    if code == DOT:
        total = at(numbers, places, 0) * at(numbers, places, half)
        for k in range(1, half):
            total += at(numbers, places, k) * at(numbers, places, half + k)
        return total
    return value3[code](at(numbers, places, 0), at(numbers, places, 1), at(numbers, places, 2))


cdef inline double evaluate(object op, list operands) except? -1.0:
    """The value of an operation on Values and floats."""
    cdef int code = known(op.code)
    cdef Py_ssize_t k, count = len(operands)
    cdef double *numbers
    cdef double y
    if not is_wide(code):
        return op.number(*[_plain(x) for x in operands])
    numbers = <double *>calloc(count, sizeof(double))
    if numbers == NULL:
        raise MemoryError
    for k in range(count):
        numbers[k] = _plain(operands[k])
    y = wide(code, numbers, NULL, count)
    free(numbers)
    return y


cdef inline double _plain(object x):
    cdef Value v
    if type(x) is Value:
        v = x
        return v._tape.value[v._row]
    return x


cdef inline int *ints(list numbers) except? NULL:
    """A column of ints."""
    cdef Py_ssize_t k, count = len(numbers)
    cdef int *found = <int *>calloc(count + 1, sizeof(int))
    if found == NULL:
        raise MemoryError
    for k in range(count):
        found[k] = numbers[k]
    return found


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
    cdef Py_ssize_t k, count = replay.right[n]
    if is_wide(replay.code[n]):
        return wide(replay.code[n], slots, pool, count)
    return replay.ops[n].number(*[slots[pool[k]] for k in range(count)])


cdef inline int reserve(Table table, Py_ssize_t operands) except -1:
    """Make room in the pool."""
    cdef int *pool
    cdef Py_ssize_t size = 2 * (table.pooled + operands)
    if table.pooled + operands <= table.reserved:
        return 0
    if size > 2147483647:
        raise MemoryError("miniflow: a tape of more than 2,147,483,647 operands")
    pool = <int *>realloc(table.pool, size * sizeof(int))
    if pool == NULL:
        raise MemoryError
    table.pool = pool
    table.reserved = size
    return 0


cdef inline int gather(Table table, list operands) except -1:
    """Put the operands' rows into the pool, in one piece; where they begin."""
    cdef Py_ssize_t start = table.pooled, count = len(operands), k
    reserve(table, count)
    for k in range(count):
        table.pool[start + k] = table.row(operands[k])
    table.pooled = start + count
    return start


cdef inline Value dot_of_own(Table table, list xs, list ws):
    """The entry of a dot product of this tape's own Values; None for anything else."""
    cdef Py_ssize_t half = len(xs), n
    cdef Value handle
    cdef double y
    cdef int *pool
    if half == 0 or len(ws) != half or table.muted:
        return None
    handle = new(Value)
    while table.count >= table.capacity:
        table.make_room(1)
    reserve(table, 2 * half)
    # in one go from here on: no Python; but what a collection has run may have changed the lists
    if len(xs) != half or len(ws) != half:
        return None
    pool = table.pool + table.pooled
    if not (own_rows(xs, <void *>table, pool) and own_rows(ws, <void *>table, pool + half)):
        return None
    y = wide(DOT, table.value, pool, 2 * half)
    n = table.count
    table.operation[n] = DOT
    table.left[n] = table.pooled
    table.right[n] = 2 * half
    table.value[n] = y
    table.owner[n] = <void *>handle
    handle._tape = table
    handle._row = n
    table.pooled += 2 * half
    table.count = n + 1
    return handle


cdef inline Py_ssize_t following(Table table, Py_ssize_t row) noexcept:
    """The next row that a sweep has to replay and that is not plain arithmetic; -1 if none."""
    return replay_arithmetic(<void *>table, row)


cdef inline int pull_wide(Table table, Py_ssize_t row) except -1:
    """Pass on the adjoint of an entry of any kind."""
    cdef int code = table.operation[row]
    cdef Py_ssize_t start = table.left[row], count = table.right[row], half = count // 2, k, x
    cdef int *pool = table.pool + start
    cdef double g = table.adjoint[row], y = table.value[row], slope
    cdef double *value = table.value
    cdef bint three = code < BUILTINS and value3[code] != NULL
    if code != SUM and code != DOT and not three:
        return table._pull_any(row)
    for k in range(count):
        x = pool[k]
        if table.operation[x] == CONSTANT:
            continue
        if three:
            if partial3[3 * code + k] == NULL:
                continue
            slope = partial3[3 * code + k](value[pool[0]], value[pool[1]], value[pool[2]], y)
        elif code == SUM:
            slope = 1.0
        elif k < half:
            slope = value[pool[half + k]]
        else:
            slope = value[pool[k - half]]
        table._reach(x, g * slope)
    return 0


cdef inline bint commit(
    Table table, Py_ssize_t version, Py_ssize_t held, bytearray marks, array places, tuple sides
) except -1:
    """Move the marked rows together, drop the others and take over side tables.

    False, with nothing changed, if the table is no longer what it was for `marks`.
    """
    cdef Py_ssize_t count = len(marks), row, k, start
    cdef int *place = places.data.as_ints
    cdef char *mark = PyByteArray_AS_STRING(marks)
    cdef int arity, pooled = 0, kept = 0
    cdef Py_ssize_t noted = 0
    for side in (*sides[:4], sides[5]):
        for row in side:
            noted = max(noted, row + 1)
    # what the table was the last to know stays until the end: it may have finalizers
    dropped = (table.labels, table.grads, table.homes, table.others, table.scopes, table.names)
    if table.count != count or table.version != version or table.held != held:
        return False
    for row in range(count):
        if not mark[row]:
            continue
        arity = ARITY[table.operation[row]]
        table.operation[kept] = table.operation[row]
        if arity == 1 or arity == 2:
            table.left[kept] = place[table.left[row]]
            table.right[kept] = place[table.right[row]] if arity == 2 else 0
        elif arity:
            start = table.left[row]
            table.left[kept] = pooled
            table.right[kept] = table.right[row]
            for k in range(table.right[kept]):
                table.pool[pooled] = place[table.pool[start + k]]
                pooled += 1
        table.value[kept] = table.value[row]
        table.adjoint[kept] = table.adjoint[row]
        table.owner[kept] = table.owner[row]
        set_row(table.owner[kept], kept)
        kept += 1
    # rows given up are unused ones again
    memset(table.operation + kept, 0, (count - kept) * sizeof(int))
    memset(table.adjoint + kept, 0, (count - kept) * sizeof(double))
    memset(table.owner + kept, 0, (count - kept) * sizeof(void *))
    table.labels, table.grads, table.homes, table.others, table.scopes, table.names = sides
    table.pooled = pooled
    table.noted = noted
    table.count = kept
    table.version += 1
    return True
