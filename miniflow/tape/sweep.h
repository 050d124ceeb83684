/* The part of a sweep that is plain arithmetic, in C: what `_pull` in core.py does, on columns at
   hand. Included after handles.h. */

/* Pass a contribution on to the adjoint of an entry: `_reach`. */
INLINE void pass_on(
    TableHead *t, const int *operation, Py_ssize_t x, double contribution, double *adjoint,
    unsigned char *mark, Py_ssize_t floor, Py_ssize_t *pending)
{
    if (operation[x] == CODE_constant || x < floor) return;
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

/* A sweep from entry `n` down as far as it meets only operations whose partials are plain
   arithmetic. The next entry to be replayed, -1 if nothing is pending. */
APART static Py_ssize_t replay_arithmetic(void *table, Py_ssize_t n)
{
    TableHead *t = table;
    int *operation = t->operation, *left = t->left, *right = t->right, count;
    double *value = t->value, *adjoint = t->flow, g, da, db;
    unsigned char *mark = t->mark;
    Py_ssize_t floor = t->floor, pending = t->pending, a, b;
    for (; pending; n--) {
        while (mark[n] != PENDING) n--;
        a = left[n];
        b = right[n];
        g = adjoint[n];
        count = slopes(operation[n], value, a, b, value[n], &da, &db);
        if (!count) break;
        mark[n] = 0;
        pending--;
        if (count == 1) { /* apart, so that each case of the switch goes straight to its own */
            pass_on(t, operation, a, g * da, adjoint, mark, floor, &pending);
        }
        else {
            pass_on(t, operation, a, g * da, adjoint, mark, floor, &pending);
            pass_on(t, operation, b, g * db, adjoint, mark, floor, &pending);
        }
    }
    t->pending = pending;
    return pending ? n : -1;
}
