# C types for core.py, and in C what columns.py is in Python.

cimport cython
from cpython.array cimport array
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.math cimport NAN

from miniflow.tape.compaction cimport Compaction
from miniflow.tape.reading cimport Readable, pending_entry
from miniflow.tape.replaying cimport Replaying, same
from miniflow.tape.storage cimport (
    RULES, Binary, Handle, Storage, Ternary, Unary, plain,
)


cdef extern from "handles.h":
    const int BUILTINS
    const char *MADE_OF
    const int CODES
    const int CODE_sum
    const int CODE_dot
    int ARITY[]
    int DIRECT[]
    unsigned char SELECTS[]
    ctypedef double (*Quaternary)(double, double, double, double) noexcept
    const Unary value1[]
    const Binary value2[]
    const Ternary value3[]
    const Binary partial1[]
    const Ternary partial2[]
    const Quaternary partial3[]
    uint64_t get_ident()
    Value new(object kind)
    int install(object kind, object name, object method) except -1
    int prepare_handles(
        object kind, void *table, void *thread, void *scopes, object nowhere, object pausable,
        object settable
    ) except -1
    object quick_unary(int code, Unary value, object a)
    object quick_binary(int code, Binary value, object a, object b)
    double wide_sum(const double *numbers, const int *places, Py_ssize_t count)
    double wide_dot(const double *numbers, const int *places, Py_ssize_t count)
    double wide_three(Ternary value, const double *numbers, const int *places)
    bint own_entries(list values, void *tape, int *entries)
    bint is_made(void *handle)


cdef extern from "sweep.h":
    Py_ssize_t replay_arithmetic(void *table, Py_ssize_t n)


cdef extern from "columns.h":
    const int CONSTANT
    const int LEAF
    const int SHARED
    const int PENDING
    const int DONE


cdef int OTHER


cdef class Number(Readable):
    pass


@cython.final
cdef class Table(Replaying):
    cpdef Value enter(self, Number v, int code, double number)
    @cython.locals(code=int, arity=int, left=int, right=int, number=double, v=Value, xs=list)
    cpdef Value record(self, object op, object operands, object y=*)
    cpdef Value constant(self, double number)
    @cython.locals(leaves=list)
    cpdef sweep(self, Number v, double seed)
    @cython.locals(n=Py_ssize_t, k=Py_ssize_t)
    cpdef list gradients(self, list entries, list seeds, list sources)
    @cython.locals(operation="int *", left="int *", right="int *", value="double *",
                   adjoint="double *", mark="unsigned char *", code=int, g=double, y=double,
                   a=int, b=int, direct=int, k=int, how=int, slope=double, flat=bint)
    cdef _pull(self, Py_ssize_t n)
    @cython.locals(slope=double, x=Py_ssize_t, k=Py_ssize_t, xs=list, operands=tuple)
    cdef int _pull_any(self, Py_ssize_t n) except -1
    cdef void _reach(self, Py_ssize_t n, double contribution, double condition) noexcept


@cython.final
cdef class Value(Number):
    pass


@cython.locals(table=Table)
cpdef object compare(object holds, Value a, object b)
cdef Table latest
@cython.locals(table=Table)
cpdef Table current()
cpdef thawed(what)
cpdef object dot_entry(list xs, list ws)
cpdef object neuron(list ws, list xs, object b, object activation)


# --- what columns.py is in Python ---------------------------------------------

cdef object call_any  # what a row answers, in Python
cdef object row_type  # the class of most rows
cdef object operate_any  # what an operator answers where there is no short way
cdef dict pausable  # of muting.py: what may be muted while it runs
cdef object running


cdef inline int prepare(kind, Table table, Table nowhere, operate, call) except -1:
    """Make the class of Values ready; those that belong to no tape belong to `nowhere`."""
    global call_any, operate_any, pausable, row_type, running
    from miniflow.operation import Op
    from miniflow.tape import muting, refusals

    nowhere.value[0] = NAN
    nowhere.thread = 0  # nobody records there
    pausable, running = muting.pausable, muting.running
    prepare_handles(
        kind, <void *>table, &table.thread, <void *>table.scopes, nowhere, pausable,
        refusals.SETTABLE
    )
    call_any, operate_any, row_type = Op.__call__, operate, Op
    Op.__call__ = call
    RULES.arity, RULES.selects, RULES.direct = ARITY, SELECTS, DIRECT
    RULES.value1, RULES.value2, RULES.value3 = value1, value2, value3
    RULES.partial1, RULES.partial2 = partial1, partial2
    RULES.builtins, RULES.sum, RULES.dot = BUILTINS, CODE_sum, CODE_dot
    RULES.known = known
    return 0


cdef inline object quick(object op, tuple operands):
    """What a row answers, by the short way where there is one."""
    cdef int code = known(op.code), direct = DIRECT[code]
    cdef object found = NotImplemented
    if direct == 1 and len(operands) == 1:
        found = quick_unary(code, value1[code], operands[0])
    elif direct == 2 and len(operands) == 2:
        found = quick_binary(code, value2[code], operands[0], operands[1])
    return call_any(op, *operands) if found is NotImplemented else found


cdef inline object answer(object f, object x):
    """What a function answers, by the short way if it is a row of the operation table."""
    cdef int code
    cdef object found = NotImplemented
    if type(f) is row_type:
        code = known(f.code)
        if DIRECT[code] == 1:
            found = quick_unary(code, value1[code], x)
    return f(x) if found is NotImplemented else found


cdef inline object unary(object op, object a):
    """An operator on a Value; the short way to what `record` does is in handles.h."""
    return operate_any(op, a)


cdef inline object binary(object op, object a, object b):
    """An operator on two operands, one at least a Value."""
    return operate_any(op, a, b)


cdef inline bint is_muted(Table table) except -1:
    """Whether results are constants, and not recorded."""
    return table.muted > 0 or (len(pausable) > 0 and len(running()) > 0)


cdef inline void *pointer(Handle handle):
    return <void *>handle


cdef inline bint made(Handle handle):
    """Whether a Value stands for an entry already."""
    return is_made(<void *>handle)


cdef inline object living(void *owner):
    return None if owner == NULL else <object>owner


cdef inline Value stand_for(Table table, Py_ssize_t n):
    """A new Value for an entry that has none."""
    cdef Value found = new(Value)
    if table.owner[n] != NULL:  # garbage was collected meanwhile, and somebody has asked
        return <object>table.owner[n]
    found._tape = table
    found._entry = n
    table.owner[n] = <void *>found
    table.version += 1
    return found


cdef inline int known(int code) except -1:
    if code >= CODES:
        raise OverflowError("miniflow: more than 65,536 operations have been defined")
    if ARITY[code] == 0 and code > 2:
        learn()
    return code


cdef inline int learn() except -1:
    """Take notice of operations that have been defined."""
    from miniflow.operation import BY_CODE

    cdef int code, direct
    for code, op in enumerate(BY_CODE[:CODES]):
        direct = 0
        if code < BUILTINS:
            direct = 1 if value1[code] != NULL else 2 if value2[code] != NULL else 0
        DIRECT[code] = direct
        SELECTS[code] = op.selects
        ARITY[code] = op.arity
    return 0


cdef inline int *arities() except NULL:
    """How many operands an operation has, by its code."""
    known(OTHER)
    return ARITY


# --- entries with any number of operands --------------------------------------

cdef inline list usable(Table table, operands, what):
    """The operands as Values that can be used here and floats."""
    cdef list found = list(operands)
    cdef Py_ssize_t k
    for k in range(len(found)):
        x = found[k]
        if type(x) is not Value or (<Value>x)._tape is not table:
            found[k] = table.operand(x, what)
    return found


cdef inline bint is_wide(int code) noexcept:
    """Whether C has the value of an operation of more than two operands."""
    return code == CODE_sum or code == CODE_dot or (code < BUILTINS and value3[code] != NULL)


cdef inline double wide(int code, double *numbers, int *places, Py_ssize_t count) noexcept:
    """That value, of the numbers, or of those at the places if there are any."""
    if code == CODE_sum:
        return wide_sum(numbers, places, count)
    if code == CODE_dot:
        return wide_dot(numbers, places, count)
    return wide_three(value3[code], numbers, places)


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
        return v._tape.value[v._entry]
    return x


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
    """Put the operands' entries into the pool, in one piece; where they begin."""
    cdef Py_ssize_t start = table.pooled, count = len(operands), k
    reserve(table, count)
    for k in range(count):
        x = operands[k]
        if type(x) is Value and (<Value>x)._tape is table:
            table.pool[start + k] = (<Value>x)._entry
        else:
            table.pool[start + k] = table.entry_of(x)
    table.pooled = start + count
    return start


cdef inline Value dot_of_own(Table table, list xs, list ws):
    """The entry of a dot product of this tape's own Values; None for anything else."""
    cdef Py_ssize_t half = len(xs)
    cdef Value v
    cdef int *pool
    if half == 0 or len(ws) != half or is_muted(table):
        return None
    v = new(Value)
    table.room_for(1)
    reserve(table, 2 * half)
    # atomic from here on; but what a collection has run may have changed lists and table
    if len(xs) != half or len(ws) != half or table.count >= table.capacity:
        return None
    pool = table.pool + table.pooled
    if not (own_entries(xs, <void *>table, pool)
            and own_entries(ws, <void *>table, pool + half)):
        return None
    v._tape = table
    table.append(
        v, <void *>v, CODE_dot, table.pooled, 2 * half,
        wide_dot(table.value, pool, 2 * half)
    )
    table.pooled += 2 * half
    return v


# --- a sweep ------------------------------------------------------------------

cdef inline double *spare_column(Table table, list sources) except NULL:
    """A column for a sweep that changes no gradient, where sources have 0."""
    cdef Py_ssize_t n
    if table.spared < table.count:
        free(table.spare)
        table.spared = 0
        table.spare = <double *>calloc(table.capacity, sizeof(double))
        if table.spare == NULL:
            raise MemoryError
        table.spared = table.capacity
    for n in sources:
        table.spare[n] = 0.0
    return table.spare


cdef inline Py_ssize_t lowest(list entries) except -1:
    cdef Py_ssize_t found = entries[0], n
    for n in entries:
        found = min(found, n)
    return found


cdef inline Py_ssize_t highest(list entries) except -1:
    cdef Py_ssize_t found = entries[0], n
    for n in entries:
        found = max(found, n)
    return found


cdef inline Py_ssize_t following(Table table, Py_ssize_t n) noexcept:
    """The next entry that a sweep has to replay and that is not plain arithmetic; -1 if none."""
    return replay_arithmetic(<void *>table, n)


cdef inline int pull_wide(Table table, Py_ssize_t n) except -1:
    """Pass on the adjoint of an entry of any kind."""
    cdef int code = table.operation[n]
    cdef Py_ssize_t start = table.left[n], count = table.right[n], half = count // 2, k, x
    cdef int *pool = table.pool + start
    cdef double g = table.flow[n], y = table.value[n], slope
    cdef double *value = table.value
    cdef bint three = code < BUILTINS and value3[code] != NULL
    if code != CODE_sum and code != CODE_dot and not three:
        return 0 if code == OTHER and pull_together(table, n) else table._pull_any(n)
    for k in range(count):
        x = pool[k]
        if table.operation[x] == CONSTANT:
            continue
        if three:
            if partial3[3 * code + k] == NULL:
                continue
            slope = partial3[3 * code + k](value[pool[0]], value[pool[1]], value[pool[2]], y)
        elif code == CODE_sum:
            slope = 1.0
        elif k < half:
            slope = value[pool[half + k]]
        else:
            slope = value[pool[k - half]]
        table._reach(x, g * slope, slope if SELECTS[code] >> k & 1 else 1.0)
    return 0


cdef inline bint pull_at_hand(Table table, Py_ssize_t n, array numbers, array slopes) except -1:
    """The same by partials that are known, if operands are as they were; whether that will do."""
    cdef Py_ssize_t k, x, count = table.right[n]
    cdef int *pool = table.pool + table.left[n]
    cdef double *then = numbers.data.as_doubles
    cdef double *slope = slopes.data.as_doubles
    cdef double g = table.flow[n]
    if len(numbers) != count or len(slopes) != count or table.flow != table.adjoint or g - g != 0.0:
        return False
    for k in range(count):
        x = pool[k]
        if table.operation[x] != LEAF or not same(table.value[x], then[k]):
            return False
    for k in range(count):
        if slope[k] != 0.0:  # else the leaf's gradient would not change
            table._reach(pool[k], g * slope[k], 1.0)
    return True


cdef inline bint pull_together(Table table, Py_ssize_t n) except -1:
    """The same where an operation has all partials at once; whether it has."""
    cdef object op = table.others[n]
    cdef Py_ssize_t k, x, count
    cdef list xs, slopes
    cdef double g = table.flow[n], slope, condition
    if op.arity >= 0:
        return False
    if op.at_hand is not None and pull_at_hand(table, n, op.at_hand[0], op.at_hand[1]):
        return True
    count = table.right[n]
    xs = [table.value[table.pool[table.left[n] + k]] for k in range(count)]
    found = op.slopes(xs, table.value[n])
    if found is None:
        return False
    slopes = found
    for k in range(count):  # Python may have been asked, and have recorded: columns may move
        x, slope = table.pool[table.left[n] + k], slopes[k]
        if slope != 0.0 and table.operation[x] != CONSTANT:
            table._reach(x, g * slope, 1.0)
        elif table.flow != table.adjoint or table.arity[table.operation[x]] or g - g != 0.0:
            # else it is a leaf, whose gradient would not change
            condition = 0.0 if table.operation[x] == CONSTANT else op.condition(k, xs, slope)
            table._reach(x, g * slope, condition)
    return True
