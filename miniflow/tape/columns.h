/* The columns of a table in C, and how a table and what stands for an entry begin. */

#ifndef MINIFLOW_COLUMNS_H
#define MINIFLOW_COLUMNS_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#define nobody NULL /* the owner of an entry that no Value stands for */

/* Codes of what is no operation, and marks of a sweep: as in columns.py. */
enum { CONSTANT = 0, LEAF = 1, SHARED = 2 };
enum { PENDING = 1, DONE = 2 };

/* As storage.pxd has them; `prepare_handles` checks that it is so. */
typedef struct {
    PyObject_HEAD
    void *methods;
    void **owner;
    int *operation, *left, *right, *pool, *arity;
    double *value, *adjoint, *flow;
    unsigned char *mark;
    Py_ssize_t count, capacity, pooled, noted, held, muted, chain, pending, floor;
    Py_ssize_t changed, checked, fresh;
    uint64_t thread;
    PyObject *scopes;
} TableHead;

typedef struct {
    PyObject_HEAD
    TableHead *tape;
    Py_ssize_t entry;
    PyObject *references;
} HandleHead;

/* Tell what stands for an entry, if anything does, that the entry has moved. */
static inline void set_entry(void *owner, Py_ssize_t entry)
{
    if (owner != NULL) ((HandleHead *)owner)->entry = entry;
}

/* Pages of a column that were never written to take no memory: they stay so where a number does
   not change. */
static inline void move_number(double *column, Py_ssize_t to, Py_ssize_t from)
{
    if (memcmp(column + to, column + from, sizeof(double))) column[to] = column[from];
}

static inline void clear_numbers(double *column, Py_ssize_t start, Py_ssize_t stop)
{
    static const double zero = 0.0;
    for (; start < stop; start++) {
        if (memcmp(column + start, &zero, sizeof(double))) column[start] = 0.0;
    }
}

/* How many marks there are before entry n, if `blocks` has that for every 16th entry. */
static inline int marks_before(const char *marks, const int *blocks, Py_ssize_t n)
{
    int found = blocks[n >> 4];
    for (Py_ssize_t k = n & ~(Py_ssize_t)15; k < n; k++) found += marks[k];
    return found;
}

/* The last entry before `stop` that a sweep has yet to replay, -1 if there is none. */
static inline Py_ssize_t pending_before(const unsigned char *mark, Py_ssize_t stop)
{
    while (--stop >= 0 && mark[stop] != PENDING) {}
    return stop;
}

/* The last marked entry before `stop`, -1 if there is none. */
static inline Py_ssize_t last_mark(const char *marks, Py_ssize_t stop)
{
    while (--stop >= 0 && !marks[stop]) {}
    return stop;
}

/* Entries above the last one that has a Value are needed by nobody: they are unused again at
   once, down to those that side tables tell of. */
static inline void give_up(void *table)
{
    TableHead *t = table;
    Py_ssize_t n = t->count, k;
    int arity;
    if (t->held || PyDict_GET_SIZE(t->scopes)) return;
    while (n > t->noted && t->owner[n - 1] == NULL) n--;
    for (k = n; k < t->count && t->pooled; k++) {
        arity = t->arity[t->operation[k]];
        if (arity < 0 || arity > 2) {
            t->pooled = t->left[k];
            break;
        }
    }
    memset(t->operation + n, 0, (t->count - n) * sizeof(int));
    memset(t->adjoint + n, 0, (t->count - n) * sizeof(double));
    t->count = n;
    if (t->checked > n) t->checked = n;
    if (t->changed > n) t->changed = n;
    if (t->fresh >= n) t->fresh = -1;
}

/* Give a column `size` items, its first `used` ones and zeros; -1 without memory. */
static inline int lengthen(void *where, size_t used, size_t size, size_t item)
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
static inline void shorten(void *where, Py_ssize_t used, Py_ssize_t *reserved)
{
    void **place = where, *found;
    Py_ssize_t size = 2 * used + 1;
    if (4 * size > *reserved) return;
    found = realloc(*place, size * sizeof(int));
    if (found == NULL) return;
    *place = found;
    *reserved = size;
}

#endif
