/* Hinge loss of MLP(2, [16, 16, 1]) summed over n points, and its gradient: one by one.

   in:  337 parameters (per layer the weights, a row per neuron, then the biases),
        two coordinates and the label, n of each
   out: the loss; its gradient */
#include "kernel.h"
#include <string.h>

enum { H = 16 };

struct net {
    double w1[H][2], b1[H], w2[H][H], b2[H], w3[H], b3;
};

#define EACH(j) _Pragma("omp simd") for (int j = 0; j < H; j++)

void kernel(long n, const double *const *in, double *const *out)
{
    const struct net *RESTRICT net = (const struct net *)in[0];
    const double *x = in[1], *y = in[2], *label = in[3];
    struct net g = {0}; /* the gradient */
    double loss = 0, columns[H][H];

    for (int i = 0; i < H; i++)
        for (int j = 0; j < H; j++)
            columns[i][j] = net->w2[j][i];
    for (long k = 0; k < n; k++) {
        double h1[H], h2[H], d1[H], d2[H], score = net->b3;

        EACH(j) {
            double z = net->b1[j] + net->w1[j][0] * x[k] + net->w1[j][1] * y[k];
            h1[j] = z > 0 ? z : 0;
            h2[j] = net->b2[j];
            d1[j] = 0;
        }
        for (int i = 0; i < H; i++)
            EACH(j) h2[j] += columns[i][j] * h1[i];
        EACH(j) h2[j] = h2[j] > 0 ? h2[j] : 0;
#pragma omp simd reduction(+ : score)
        for (int j = 0; j < H; j++)
            score += net->w3[j] * h2[j];
        double margin = 1 - label[k] * score;
        if (!(margin > 0))
            continue;
        loss += margin;
        g.b3 -= label[k];
        EACH(j) {
            g.w3[j] -= label[k] * h2[j];
            d2[j] = h2[j] > 0 ? -label[k] * net->w3[j] : 0;
            g.b2[j] += d2[j];
        }
        for (int j = 0; j < H; j++)
            EACH(i) {
                g.w2[j][i] += d2[j] * h1[i];
                d1[i] += d2[j] * net->w2[j][i];
            }
        EACH(j) {
            double d = h1[j] > 0 ? d1[j] : 0;
            g.b1[j] += d;
            g.w1[j][0] += d * x[k];
            g.w1[j][1] += d * y[k];
        }
    }
    *out[0] = loss;
    memcpy(out[1], &g, sizeof g);
}
