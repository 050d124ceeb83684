/* What the operation table's rules are in C, and values of operations on many operands. */

#ifndef MINIFLOW_WIDE_H
#define MINIFLOW_WIDE_H

#include <Python.h>

typedef double (*Unary)(double);
typedef double (*Binary)(double, double);
typedef double (*Ternary)(double, double, double);
typedef double (*Quaternary)(double, double, double, double);

/* What other modules of the engine ask the core for. */
typedef struct {
    int *arity;           /* operands of an operation, by its code */
    unsigned char *selects; /* how it selects them */
    int *direct;          /* operands of rows that C has, by an operation's code */
    const Unary *value1;  /* their values */
    const Binary *value2;
    const Ternary *value3;
    int builtins, sum, dot;  /* how many rows C knows of, and two codes */
    int (*known)(int);       /* the code, once all of this knows it; -1 with an error set */
} Rules;

/* Number k of some, or the one at place k of a list of places. */
static inline double at(const double *numbers, const int *places, Py_ssize_t k)
{
    return numbers[places == NULL ? k : places[k]];
}

/* The sum of the numbers from left to right. */
static inline double wide_sum(const double *numbers, const int *places, Py_ssize_t count)
{
    double total = at(numbers, places, 0);
    for (Py_ssize_t k = 1; k < count; k++) total += at(numbers, places, k);
    return total;
}

/* The dot product of their first half with the second. */
static inline double wide_dot(const double *numbers, const int *places, Py_ssize_t count)
{
    Py_ssize_t half = count / 2;
    double total = at(numbers, places, 0) * at(numbers, places, half);
    for (Py_ssize_t k = 1; k < half; k++) {
        total += at(numbers, places, k) * at(numbers, places, half + k);
    }
    return total;
}

/* An operation on three of them. */
static inline double wide_three(Ternary value, const double *numbers, const int *places)
{
    return value(at(numbers, places, 0), at(numbers, places, 1), at(numbers, places, 2));
}

#endif
