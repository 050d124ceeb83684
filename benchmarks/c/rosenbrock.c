/* Rosenbrock's function of n > 1 numbers, and its gradient.

   in:  x[n]
   out: the value; the gradient[n] */
#include "kernel.h"

enum { CHAINS = 32 }; /* of partial sums, for additions not to wait for each other */

/* The terms of x[0]: its part of the value; its derivative, given its part in the term before. */
static inline double term(const double *x, double before, double *g)
{
    double a = x[1] - x[0] * x[0], b = 1 - x[0];
    *g = 200 * before - 400 * a * x[0] - 2 * b;
    return 100 * a * a + b * b;
}

void kernel(long n, const double *const *in, double *const *out)
{
    const double *RESTRICT x = in[0];
    double *RESTRICT g = out[1], sums[CHAINS] = {0}, value = term(x, 0, g);
    long i = 1;

    for (; i + CHAINS < n; i += CHAINS)
#pragma omp simd
        for (int k = 0; k < CHAINS; k++)
            sums[k] += term(x + i + k, x[i + k] - x[i + k - 1] * x[i + k - 1], g + i + k);
    for (; i < n - 1; i++)
        value += term(x + i, x[i] - x[i - 1] * x[i - 1], g + i);
    g[n - 1] = 200 * (x[n - 1] - x[n - 2] * x[n - 2]);
    for (int k = 0; k < CHAINS; k++)
        value += sums[k];
    *out[0] = value;
}
