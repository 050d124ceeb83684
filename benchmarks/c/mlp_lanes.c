/* As mlp.c, with points as lanes: 8 to a vector, up to 64 to a block that stays in L1.

   Per block three products of matrices, each in tiles of 16 vector registers. */
#include "kernel.h"
#include <string.h>

enum { H = 16, LANES = 8, BLOCK = 8, PARAMETERS = 337 };

typedef double v8 __attribute__((vector_size(64)));
typedef long m8 __attribute__((vector_size(64)));

struct net {
    double w1[H][2], b1[H], w2[H][H], b2[H], w3[H], b3;
};

struct sums { /* the gradient, to be summed over the lanes, and the loss */
    v8 w1[H][2], b1[H], w2[H][H], b2[H], w3[H], b3, none[LANES - 1], loss, zero[LANES - 1];
};

struct block {
    v8 x[BLOCK], y[BLOCK], label[BLOCK], h1[H][BLOCK], h2[H][BLOCK], d1[H][BLOCK], d2[H][BLOCK];
};

#define UNROLL _Pragma("GCC unroll 16")
#define INLINE static inline __attribute__((always_inline))

INLINE v8 select8(m8 mask, v8 a) { return (v8)((m8)a & mask); }
INLINE v8 relu(v8 z) { return select8(z > 0, z); }

/* ROWS x WIDTH vectors of: out[r][v] = init[r] + sum over c of a[r][c] b[c][v],
   with a[r][c] at a[r*row + c*column]. */
#define DEFINE_TILE(NAME, ROWS, WIDTH)                                                       \
    INLINE void NAME(const double *a, int row, int column, const double *init,               \
                     v8 (*RESTRICT b)[BLOCK], v8 (*RESTRICT out)[BLOCK], int r, int v)       \
    {                                                                                        \
        v8 s[ROWS][WIDTH];                                                                   \
        UNROLL for (int k = 0; k < ROWS; k++)                                                \
            UNROLL for (int l = 0; l < WIDTH; l++)                                           \
                s[k][l] = (v8){0} + (init ? init[r + k] : 0);                                \
        for (int c = 0; c < H; c++)                                                          \
            UNROLL for (int k = 0; k < ROWS; k++)                                            \
                UNROLL for (int l = 0; l < WIDTH; l++)                                       \
                    s[k][l] += a[(r + k) * row + c * column] * b[c][v + l];                  \
        UNROLL for (int k = 0; k < ROWS; k++)                                                \
            UNROLL for (int l = 0; l < WIDTH; l++)                                           \
                out[r + k][v + l] = s[k][l];                                                 \
    }
DEFINE_TILE(tile4x4, 4, 4)
DEFINE_TILE(tile16x1, 16, 1)

/* All H rows of that, for so many vectors. */
INLINE void product(const double *a, int row, int column, const double *init,
                    v8 (*RESTRICT b)[BLOCK], v8 (*RESTRICT out)[BLOCK], int vectors)
{
    int v = 0;

    for (; v + 4 <= vectors; v += 4)
        for (int r = 0; r < H; r += 4)
            tile4x4(a, row, column, init, b, out, r, v);
    for (; v < vectors; v++)
        tile16x1(a, row, column, init, b, out, 0, v);
}

/* sums[j][i] += sum over v of d[j][v] h[i][v] */
INLINE void outer(v8 (*RESTRICT d)[BLOCK], v8 (*RESTRICT h)[BLOCK], v8 (*RESTRICT sums)[H],
                  int vectors)
{
    for (int j = 0; j < H; j += 4)
        for (int i = 0; i < H; i += 4) {
            v8 s[4][4];
            UNROLL for (int k = 0; k < 4; k++)
                UNROLL for (int l = 0; l < 4; l++)
                    s[k][l] = sums[j + k][i + l];
            for (int v = 0; v < vectors; v++)
                UNROLL for (int k = 0; k < 4; k++)
                    UNROLL for (int l = 0; l < 4; l++)
                        s[k][l] += d[j + k][v] * h[i + l][v];
            UNROLL for (int k = 0; k < 4; k++)
                UNROLL for (int l = 0; l < 4; l++)
                    sums[j + k][i + l] = s[k][l];
        }
}

/* One block's losses and gradients, added to the sums. Lanes labelled 0 are padding. */
INLINE void step(const struct net *net, struct block *t, struct sums *g, int vectors)
{
    for (int j = 0; j < H; j++)
        for (int v = 0; v < vectors; v++)
            t->h1[j][v] = relu(net->b1[j] + net->w1[j][0] * t->x[v] + net->w1[j][1] * t->y[v]);
    product(net->w2[0], H, 1, net->b2, t->h1, t->h2, vectors);
    for (int v = 0; v < vectors; v++) {
        v8 score[4] = {(v8){0} + net->b3}, zero = {0};
        UNROLL for (int j = 0; j < H; j++)
            score[j % 4] += net->w3[j] * (t->h2[j][v] = relu(t->h2[j][v]));
        v8 margin = 1 - t->label[v] * (score[0] + score[1] + (score[2] + score[3]));
        m8 active = (margin > 0) & (t->label[v] != 0);
        v8 d = select8(active, -t->label[v]);
        g->loss += select8(active, margin);
        g->b3 += d;
        UNROLL for (int j = 0; j < H; j++) {
            g->w3[j] += d * t->h2[j][v];
            g->b2[j] += t->d2[j][v] = select8(t->h2[j][v] > zero, d * net->w3[j]);
        }
    }
    outer(t->d2, t->h1, g->w2, vectors);
    product(net->w2[0], 1, H, 0, t->d2, t->d1, vectors);
    for (int j = 0; j < H; j++) {
        v8 s0 = g->w1[j][0], s1 = g->w1[j][1], s2 = g->b1[j];
        for (int v = 0; v < vectors; v++) {
            v8 d = select8(t->h1[j][v] > 0, t->d1[j][v]);
            s0 += d * t->x[v];
            s1 += d * t->y[v];
            s2 += d;
        }
        g->w1[j][0] = s0;
        g->w1[j][1] = s1;
        g->b1[j] = s2;
    }
}

/* The sums over the lanes of eight vectors. */
INLINE v8 totals(const v8 *a)
{
    v8 b[4], c[2];

    for (int k = 0; k < 4; k++)
        b[k] = __builtin_shuffle(a[2 * k], a[2 * k + 1], (m8){0, 8, 2, 10, 4, 12, 6, 14}) +
               __builtin_shuffle(a[2 * k], a[2 * k + 1], (m8){1, 9, 3, 11, 5, 13, 7, 15});
    for (int k = 0; k < 2; k++)
        c[k] = __builtin_shuffle(b[2 * k], b[2 * k + 1], (m8){0, 1, 8, 9, 4, 5, 12, 13}) +
               __builtin_shuffle(b[2 * k], b[2 * k + 1], (m8){2, 3, 10, 11, 6, 7, 14, 15});
    return __builtin_shuffle(c[0], c[1], (m8){0, 1, 2, 3, 8, 9, 10, 11}) +
           __builtin_shuffle(c[0], c[1], (m8){4, 5, 6, 7, 12, 13, 14, 15});
}

void kernel(long n, const double *const *in, double *const *out)
{
    const struct net *net = (const struct net *)in[0];
    struct sums g = {0};
    struct block t;

    for (long k = 0; k < n; k += LANES * BLOCK) {
        long left = n - k < LANES * BLOCK ? n - k : LANES * BLOCK;
        if (left < LANES * BLOCK)
            memset(t.x, 0, sizeof t.x + sizeof t.y + sizeof t.label);
        memcpy(t.x, in[1] + k, left * sizeof(double));
        memcpy(t.y, in[2] + k, left * sizeof(double));
        memcpy(t.label, in[3] + k, left * sizeof(double));
        if (left > LANES * (BLOCK - 1))
            step(net, &t, &g, BLOCK);
        else
            step(net, &t, &g, (left + LANES - 1) / LANES);
    }
    for (unsigned k = 0; k < PARAMETERS; k += LANES) {
        v8 sums = totals((const v8 *)&g + k);
        unsigned count = PARAMETERS - k < LANES ? PARAMETERS - k : LANES;
        memcpy(out[1] + k, &sums, count * sizeof(double));
    }
    *out[0] = totals(&g.loss)[0];
}
