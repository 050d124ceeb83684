/* The part of a recorded sweep that takes no decision, in C: what `pull_by` in recorded.py does for
   rows that select nothing, where nothing is gated. */

#ifndef MINIFLOW_RECORDED_H
#define MINIFLOW_RECORDED_H

#include "columns.h"
#include "wide.h"

#define NUMBERED 1024 /* operations whose partials are kept here */
#define MOST_SLOTS 200
#define MARGIN (8 * MOST_SLOTS) /* entries that one entry's contributions may take */

enum { EMPTY = -1, NUMBER = -2, OPEN = -1 }; /* NONE, PLAIN and ALWAYS in recorded.py */

/* A number on its way: an entry's, or a plain one. */
typedef struct {
    double number;
    int place;
} Slot;

/* A formula of a partial: as `Formula` in recorded.py. */
typedef struct {
    const int *steps;
    const double *numbers;
    int inputs, count, given, result;
} Partial;

static Partial PARTIALS[3 * NUMBERED];
static char STRAIGHT[NUMBERED]; /* operations for which `record_straight` is */

/* The columns that entries are appended to; of its own, so that they stay in registers. */
typedef struct {
    int *operation, *left, *right;
    double *value;
    Py_ssize_t count;
} Tape;

/* The columns of a sweep. */
typedef struct {
    int *arrived, *gate;
    char *follow;
    double *given;
    Py_ssize_t floor;
    int add, mul, neg;
} Columns;

static inline int appended(Tape *t, int code, int left, int right, double number)
{
    Py_ssize_t n = t->count++;
    t->operation[n] = code;
    t->left[n] = left;
    t->right[n] = right;
    t->value[n] = number;
    return (int)n;
}

static inline int entry_in(Tape *t, Slot x)
{
    return x.place == NUMBER ? appended(t, CONSTANT, 0, 0, x.number) : x.place;
}

static inline Slot loaded(const Tape *t, int n)
{
    Slot found = {t->value[n], t->operation[n] == CONSTANT ? NUMBER : n};
    return found;
}

/* The result of an operation with that value: an entry if an operand is one. */
static inline Slot result(Tape *t, int code, int arity, Slot a, Slot b, double number)
{
    Slot y = {number, NUMBER};
    if (a.place != NUMBER || (arity == 2 && b.place != NUMBER)) {
        int left = entry_in(t, a), right = arity == 1 ? left : entry_in(t, b);
        y.place = appended(t, code, left, right, number);
    }
    return y;
}

static inline Slot done(Tape *t, const Rules *rules, const Columns *s, int code, Slot a, Slot b)
{
    int arity = rules->arity[code];
    double number = code == s->mul ? a.number * b.number
                    : arity == 1   ? rules->value1[code](a.number)
                                   : rules->value2[code](a.number, b.number);
    return result(t, code, arity, a, b, number);
}

static inline Slot times(Tape *t, const Columns *s, Slot g, Slot slope)
{
    if (slope.place == NUMBER && slope.number == 1.0) return g;
    if (g.place == NUMBER && g.number == 1.0) return slope;
    if (slope.place == NUMBER && slope.number == -1.0) {
        return result(t, s->neg, 1, g, g, -g.number);
    }
    return result(t, s->mul, 2, g, slope, g.number * slope.number);
}

static inline void arrives(Tape *t, const Columns *s, Py_ssize_t x, Slot amount)
{
    Py_ssize_t k = x - s->floor;
    if (s->arrived[k] != EMPTY) {
        Slot before = {s->given[k], s->arrived[k]};
        amount = result(t, s->add, 2, before, amount, before.number + amount.number);
    }
    s->arrived[k] = amount.place;
    s->given[k] = amount.number;
}

/* Whether contributions of an entry may come to its operand x, and need no gate. */
static inline int followed_by(const Columns *s, Py_ssize_t x, int *gated)
{
    if (x < s->floor || !s->follow[x - s->floor]) return 0;
    *gated |= s->gate[x - s->floor] != OPEN; /* it is OPEN where nothing has arrived */
    return 1;
}

/* A partial of an entry, of whose operands and itself `own` is a list. */
static inline Slot slope_of(
    Tape *t, const Rules *rules, const Columns *s, const Partial *f, const int *own, Slot *slots)
{
    int first = f->inputs + f->count, k;
    const int *step = f->steps;
    if (f->result < f->inputs) return loaded(t, own[f->result]);
    if (f->result >= first) {
        Slot given = {f->numbers[f->result - first], NUMBER};
        return given;
    }
    for (k = 0; k < f->inputs; k++) slots[k] = loaded(t, own[k]);
    for (k = 0; k < f->given; k++) {
        slots[first + k].place = NUMBER;
        slots[first + k].number = f->numbers[k];
    }
    for (k = 0; k < f->count; k++, step += 4) {
        slots[f->inputs + k] = done(t, rules, s, step[0], slots[step[1]], slots[step[2]]);
    }
    return slots[f->result];
}

/* Mark the entries of one or two operands that come from marked ones, from entry `n` on as far as
   there are no others; the next one. */
static Py_ssize_t follow_straight(void *table, const int *arity, char *follow, Py_ssize_t floor,
                                  Py_ssize_t n, Py_ssize_t stop)
{
    const TableHead *t = table;
    for (; n < stop; n++) {
        int count = arity[t->operation[n]];
        Py_ssize_t a = t->left[n] - floor, b = (count == 2 ? t->right[n] : t->left[n]) - floor;
        if (count == 0) continue;
        if (count < 0 || count > 2) break;
        follow[n - floor] |= (char)((a >= 0 && follow[a]) | (b >= 0 && follow[b]));
    }
    return n;
}

/* A recorded sweep from entry `n` down as far as it meets only such entries, and room. The next
   entry to be replayed, or one below `floor`. */
static Py_ssize_t record_straight(
    void *table, const Rules *rules, const Columns *columns, Py_ssize_t n)
{
    TableHead *head = table;
    Tape tape = {head->operation, head->left, head->right, head->value, head->count}, *t = &tape;
    const Columns copied = *columns, *s = &copied;
    const Py_ssize_t most = head->capacity - MARGIN;
    Slot slots[MOST_SLOTS];
    for (; n >= s->floor; n--) {
        Py_ssize_t k = n - s->floor;
        int code = t->operation[n], arity, a, b, by_a, by_b, own[3], gated = 0;
        const Partial *partials;
        Slot g = {s->given[k], s->arrived[k]};
        if (g.place == EMPTY || !s->follow[k] || code <= SHARED) continue;
        if (code >= NUMBERED || !STRAIGHT[code] || s->gate[k] != OPEN || t->count > most) break;
        partials = &PARTIALS[3 * code];
        arity = rules->arity[code];
        a = t->left[n];
        b = t->right[n];
        by_a = partials[0].inputs && followed_by(s, a, &gated);
        by_b = arity == 2 && partials[1].inputs && followed_by(s, b, &gated);
        if (gated) break;
        own[0] = a;
        own[1] = arity == 2 ? b : (int)n;
        own[2] = (int)n;
        if (by_a) {
            arrives(t, s, a, times(t, s, g, slope_of(t, rules, s, partials, own, slots)));
        }
        if (by_b) {
            arrives(t, s, b, times(t, s, g, slope_of(t, rules, s, partials + 1, own, slots)));
        }
    }
    head->count = t->count;
    return n;
}

#endif
