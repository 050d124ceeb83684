# C types for recorded.py, and its columns as arrays.

cimport cython
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from miniflow.tape.core cimport Table, Value, reserve
from miniflow.tape.storage cimport RULES, Rules, ints, known


cdef extern from "columns.h":
    const int CONSTANT
    void *nobody


cdef extern from "recorded.h":
    ctypedef struct Partial:
        const int *steps
        const double *numbers
        int inputs, count, given, result
    ctypedef struct Columns:
        int *arrived
        int *gate
        char *follow
        double *given
        Py_ssize_t floor
        int add, mul, neg
    const int NUMBERED
    Partial PARTIALS[]
    char STRAIGHT[]
    Py_ssize_t follow_straight(
        void *table, const int *arity, char *follow, Py_ssize_t floor, Py_ssize_t n, Py_ssize_t stop
    ) noexcept
    Py_ssize_t record_straight(
        void *table, const Rules *rules, const Columns *columns, Py_ssize_t n
    ) noexcept


cdef int *ARITY
cdef const unsigned char *SELECTS
cdef int NONE, NO_ENTRY, ALWAYS, NO_CONDITION
cdef int ADJOINT, AMOUNT, BEFORE, GATE, OTHER_GATE, ZERO, MINUS_ZERO, ONE, GIVEN, CONDITION
cdef int FIRST_SLOT, MOST_SLOTS
cdef int MUL, ADD, NEG, WHERE, CODE_SUM, CODE_DOT
cdef int BASE
cdef object BY_CODE
cdef list _formulas


@cython.final
cdef class Formula:
    cdef readonly int inputs, count, given, result, condition
    cdef public list lines
    cdef int *steps
    cdef double *numbers


cdef list formulas_of(Py_ssize_t code)


@cython.final
cdef class RecordedSweep:
    cdef Table table
    cdef Py_ssize_t floor, top
    cdef object trace
    cdef public object merging
    cdef int *place
    cdef double *number
    cdef int *arrived
    cdef double *given
    cdef int *gate
    cdef char *clean
    cdef char *follow

    @cython.locals(table=Table, floor=Py_ssize_t, n=Py_ssize_t, arity=int, a=Py_ssize_t,
                   b=Py_ssize_t, k=Py_ssize_t)
    cdef _follow(self)
    cdef bint followed(self, Py_ssize_t n) noexcept
    cdef put(self, Py_ssize_t slot, object x)
    cpdef add(self, Py_ssize_t n, object cotangent)
    @cython.locals(table=Table, floor=Py_ssize_t, n=Py_ssize_t)
    cpdef run(self)
    cpdef bint has_arrived(self, Py_ssize_t n)
    @cython.locals(n=int)
    cdef object taken(self, int slot)
    @cython.locals(found=int)
    cpdef object held(self, Py_ssize_t n)
    @cython.locals(k=Py_ssize_t)
    cpdef replace(self, Py_ssize_t n, object x)
    cpdef land(self, Py_ssize_t n, object x, int gate)
    cpdef int gated(self, Py_ssize_t n)
    @cython.locals(table=Table, code=int, formulas=list, start=Py_ssize_t)
    cdef int pull(self, Py_ssize_t n) except -1
    @cython.locals(code=int, arity=int, how=int, k=int, x=Py_ssize_t, slope=int,
                   condition=int, formula=Formula)
    cdef int pull_by(
        self, Py_ssize_t n, list formulas, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c
    ) except -1
    @cython.locals(table=Table, start=Py_ssize_t, count=Py_ssize_t, half=Py_ssize_t, k=Py_ssize_t,
                   x=Py_ssize_t, slope=int)
    cdef int pull_wide(self, Py_ssize_t n, bint product) except -1
    @cython.locals(table=Table)
    cdef int pull_any(self, Py_ssize_t n) except -1
    @cython.locals(found=int)
    cpdef object adjoint(self, Py_ssize_t n)


cdef void give(RecordedSweep sweep, int slot, double number) noexcept
@cython.locals(table=Table)
cdef void fetch(RecordedSweep sweep, int slot, Py_ssize_t n) noexcept
cdef void copy(RecordedSweep sweep, int slot, int source) noexcept
@cython.locals(n=int)
cdef int entry(RecordedSweep sweep, int slot) noexcept
@cython.locals(table=Table, place="int *", arity=int, y=double, plain=bint, left=int, right=int,
               n=int)
cdef void do(RecordedSweep sweep, int slot, int code, int a, int b, int c) noexcept
cdef void choose(RecordedSweep sweep, int slot, int condition, int a, int b) noexcept
@cython.locals(gate=int, amount=int)
cdef void pass_on(
    RecordedSweep sweep, Py_ssize_t n, Py_ssize_t x, int slope, int condition
) except *
@cython.locals(place="int *", number="double *")
cdef int product(RecordedSweep sweep, int slope) noexcept
cdef void arrive(RecordedSweep sweep, Py_ssize_t n, int amount, int gate) except *
@cython.locals(k=Py_ssize_t)
cdef void land(RecordedSweep sweep, Py_ssize_t n, int amount, int gate) noexcept
cdef int together(RecordedSweep sweep, Py_ssize_t k, int amount, int gate) noexcept
cdef void let_in(RecordedSweep sweep, int slot, int gate, int nothing) noexcept
cdef int both(RecordedSweep sweep, int gate, int condition) noexcept
cdef int either(RecordedSweep sweep, int gate, int other) noexcept
@cython.locals(after=int, k=int)
cdef int partial_slot(RecordedSweep sweep, Formula formula, int slot) noexcept
cdef void need(RecordedSweep sweep, Formula formula, int slot) noexcept
@cython.locals(at=int, code=int, a=int, b=int, c=int, arity=int, chosen=int)
cdef void take_step(RecordedSweep sweep, Formula formula, int slot) noexcept


# --- what columns are in C ------------------------------------------------------

cdef inline void connect():
    """Take over the engine's rules."""
    global ARITY, SELECTS
    ARITY, SELECTS = RULES.arity, RULES.selects


cdef inline int *blank(Py_ssize_t count) except NULL:
    """A column of -1."""
    cdef int *found = <int *>malloc((count + 1) * sizeof(int))
    if found == NULL:
        raise MemoryError
    memset(found, 255, count * sizeof(int))
    return found


cdef inline char *marks(Py_ssize_t count) except NULL:
    """A mark for each entry, not set."""
    cdef char *found = <char *>calloc(count + 1, 1)
    if found == NULL:
        raise MemoryError
    return found


cdef inline double *unused(Py_ssize_t count) except NULL:
    """A column of floats that nobody has asked for yet."""
    cdef double *found = <double *>malloc((count + 1) * sizeof(double))
    if found == NULL:
        raise MemoryError
    return found


cdef inline double *doubles(list numbers) except NULL:
    """A column of floats."""
    cdef Py_ssize_t k
    cdef double *found = unused(len(numbers))
    for k in range(len(numbers)):
        found[k] = numbers[k]
    return found


cdef inline void give_back(RecordedSweep sweep):
    """Give the columns' memory back."""
    free(sweep.place)
    free(sweep.number)
    free(sweep.arrived)
    free(sweep.given)
    free(sweep.gate)
    free(sweep.clean)
    free(sweep.follow)


cdef inline int ready(Table table) except -1:
    """Make sure that there is room for what one contribution records."""
    if table.capacity - table.count < 8 * MOST_SLOTS:
        table.room_for(8 * MOST_SLOTS)
    if table.reserved - table.pooled < 5 * MOST_SLOTS:
        reserve(table, 5 * MOST_SLOTS)
    return 0


cdef inline int push(Table table, int code, int left, int right, double number) noexcept:
    """Append an entry that no Value stands for; its number."""
    cdef Py_ssize_t n = table.count
    table.operation[n] = code
    table.left[n] = left
    table.right[n] = right
    table.value[n] = number
    table.count = n + 1
    return n


cdef inline int write_down(int code, list formulas) except -1:
    """Tell C of a row's partials."""
    cdef Py_ssize_t k
    cdef Formula formula
    cdef Partial *partial
    if code >= NUMBERED or SELECTS[code] or len(formulas) > 2:
        return 0
    for k in range(len(formulas)):
        if formulas[k] is not None:
            formula = formulas[k]
            if not formula.straight():
                return 0
            partial = &PARTIALS[3 * code + k]
            partial.steps, partial.numbers = formula.steps, formula.numbers
            partial.inputs, partial.count = formula.inputs, formula.count
            partial.given, partial.result = formula.given, formula.result
    STRAIGHT[code] = 1
    return 0


cdef inline Py_ssize_t follow_quickly(RecordedSweep sweep, Py_ssize_t n) noexcept:
    """Mark entries that come from the sources, from one on as far as C can; the next one."""
    return follow_straight(<void *>sweep.table, ARITY, sweep.follow, sweep.floor, n, sweep.top)


cdef inline Py_ssize_t quickly(RecordedSweep sweep, Py_ssize_t n) except -2:
    """Sweep as far as C can from an entry down; the next one."""
    cdef Columns columns
    columns.arrived, columns.gate, columns.follow = sweep.arrived, sweep.gate, sweep.follow
    columns.given, columns.floor = sweep.given, sweep.floor
    columns.add, columns.mul, columns.neg = ADD, MUL, NEG
    ready(sweep.table)
    return record_straight(<void *>sweep.table, &RULES, &columns, n)


cdef inline bint has_value(int code) except -1:
    """Whether `computed` knows an operation."""
    known(code)
    return code < RULES.builtins and (
        RULES.value1[code] != NULL or RULES.value2[code] != NULL or RULES.value3[code] != NULL
    )


cdef inline double computed(int code, double *number, int a, int b, int c) noexcept:
    """The value of an operation on the numbers of up to three slots."""
    if RULES.value2[code] != NULL:
        return RULES.value2[code](number[a], number[b])
    if RULES.value1[code] != NULL:
        return RULES.value1[code](number[a])
    return RULES.value3[code](number[a], number[b], number[c])


cdef inline int three(Table table, int a, int b, int c) noexcept:
    """Put three operands into the pool; where they begin."""
    cdef Py_ssize_t start = table.pooled
    table.pool[start] = a
    table.pool[start + 1] = b
    table.pool[start + 2] = c
    table.pooled = start + 3
    return start
