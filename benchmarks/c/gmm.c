/* The Gaussian mixture objective of ADBench with D = 2, K = 5, and its gradient.

   in:  alphas[K], means[K][D], icf[K][D (D + 1) / 2], points[n][D], all row by row
   out: the objective; its derivatives by alphas, means and icf

   Per component the gradient follows from six moments, sums over the points of w, w y0, w y1,
   w y0^2, w y1^2 and w y0 y1, with y = Q (point - mean) and w the component's share. */
#include "kernel.h"
#include <math.h>

enum { K = 5, BLOCK = 64 };

struct component {
    double alpha, mean[2], log_diagonal[2], low, q0, q1, moments[6];
};

/* One block's logsumexps, added up; its moments are added to the components'. */
static double block(long size, const double (*RESTRICT points)[2], struct component *components)
{
    double y0[K][BLOCK], y1[K][BLOCK], terms[K][BLOCK], shares[BLOCK], value = 0;

    for (int k = 0; k < K; k++) {
        struct component c = components[k];
        for (long i = 0; i < size; i++) {
            double u0 = points[i][0] - c.mean[0], u1 = points[i][1] - c.mean[1];
            double a = c.q0 * u0, b = c.q1 * u1 + c.low * u0;
            y0[k][i] = a;
            y1[k][i] = b;
            terms[k][i] = c.alpha + c.log_diagonal[0] + c.log_diagonal[1] - 0.5 * (a * a + b * b);
        }
    }
    for (long i = 0; i < size; i++) {
        double biggest = terms[0][i], total = 0;
        for (int k = 1; k < K; k++)
            biggest = terms[k][i] > biggest ? terms[k][i] : biggest;
        for (int k = 0; k < K; k++)
            total += terms[k][i] = exp(terms[k][i] - biggest);
        value += biggest + log(total);
        shares[i] = 1 / total;
    }
    for (int k = 0; k < K; k++) {
        double s = 0, s0 = 0, s1 = 0, s00 = 0, s11 = 0, s01 = 0;
        for (long i = 0; i < size; i++) {
            double w = terms[k][i] * shares[i], a = w * y0[k][i], b = w * y1[k][i];
            s += w;
            s0 += a;
            s1 += b;
            s00 += a * y0[k][i];
            s11 += b * y1[k][i];
            s01 += a * y1[k][i];
        }
        double sums[6] = {s, s0, s1, s00, s11, s01};
        for (int m = 0; m < 6; m++)
            components[k].moments[m] += sums[m];
    }
    return value;
}

void kernel(long n, const double *const *in, double *const *out)
{
    const double *alphas = in[0], *means = in[1], *icf = in[2];
    const double (*points)[2] = (const double(*)[2])in[3];
    struct component components[K];
    double value = 0, biggest = alphas[0], total = 0;

    for (int k = 0; k < K; k++, means += 2, icf += 3) {
        components[k] = (struct component){alphas[k], {means[0], means[1]}, {icf[0], icf[1]},
                                           icf[2], exp(icf[0]), exp(icf[1]), {0}};
        biggest = fmax(biggest, alphas[k]);
    }
    for (int k = 0; k < K; k++)
        total += exp(alphas[k] - biggest);
    for (long start = 0; start + BLOCK <= n; start += BLOCK)
        value += block(BLOCK, points + start, components);
    value += block(n % BLOCK, points + n / BLOCK * BLOCK, components);
    value -= n * (biggest + log(total)) + n * log(2 * M_PI);
    value += K * (3 * M_LN2 + 0.5 * log(M_PI) + lgamma(1.5)); /* of Wishart's prior, gamma = 1 */
    for (int k = 0; k < K; k++) {
        struct component c = components[k];
        double *m = c.moments, *by_mean = out[2] + 2 * k, *by_icf = out[3] + 3 * k;
        value += 0.5 * (c.q0 * c.q0 + c.q1 * c.q1 + c.low * c.low);
        out[1][k] = m[0] - n * exp(c.alpha - biggest) / total;
        by_mean[0] = c.q0 * m[1] + c.low * m[2];
        by_mean[1] = c.q1 * m[2];
        by_icf[0] = m[0] - m[3] + c.q0 * c.q0;
        by_icf[1] = m[0] - m[4] + c.low / c.q0 * m[5] + c.q1 * c.q1;
        by_icf[2] = -m[5] / c.q0 + c.low;
    }
    *out[0] = value;
}
