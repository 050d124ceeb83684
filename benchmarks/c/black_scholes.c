/* Price of a call option and its five derivatives, n points at once.

   in:  spot, strike, rate, volatility, time to maturity, n of each
   out: the price, then its derivatives by each, n of each */
#include "kernel.h"
#include <math.h>

static inline double cdf(double x) { return 0.5 * (1 + erf(x * M_SQRT1_2)); }

void kernel(long n, const double *const *in, double *const *out)
{
    const double *RESTRICT spot = in[0], *RESTRICT strike = in[1], *RESTRICT rate = in[2];
    const double *RESTRICT volatility = in[3], *RESTRICT time = in[4];
    double *RESTRICT price = out[0], *RESTRICT delta = out[1], *RESTRICT dual = out[2];
    double *RESTRICT rho = out[3], *RESTRICT vega = out[4], *RESTRICT theta = out[5];

#pragma omp simd
    for (long i = 0; i < n; i++) {
        double root = sqrt(time[i]), deviation = volatility[i] * root, inverse = 1 / deviation;
        double growth = rate[i] * time[i];
        double d1 = (log(spot[i] / strike[i]) + growth) * inverse + 0.5 * deviation;
        double p1 = cdf(d1), p2 = exp(-growth) * cdf(d1 - deviation), present = strike[i] * p2;
        double slope = spot[i] * exp(-0.5 * d1 * d1) * (0.5 * M_2_SQRTPI * M_SQRT1_2);

        price[i] = spot[i] * p1 - present;
        delta[i] = p1;
        dual[i] = -p2;
        rho[i] = time[i] * present;
        vega[i] = slope * root;
        theta[i] = 0.5 * slope * volatility[i] * volatility[i] * inverse + rate[i] * present;
    }
}
