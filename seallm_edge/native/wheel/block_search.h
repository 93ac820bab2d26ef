/* ggml's searches for the scales of a block of weights, several tries at a time: the same bytes, faster.

   For each 16 or 32 weights ggml tries 16 to 37 scales, one after another, and sums each try's error in a fixed order.
   Here a lane of a vector is a try, so each sum keeps its order and each operation its rounding. Where a try that wins
   moves the ground for those after it, these are done once more. A block that is not plain (with something that is no
   finite number, or all next to one value) goes to ggml's own function, which project.cmake has renamed to plain_*.

   Included by ggml-quants.c. It includes itself twice: for SSE2, which every x86-64 has, and for AVX2. */
#ifndef LANES
#include <immintrin.h>

#define SMALLEST_RANGE 1e-30f
#define LARGEST_RANGE 1e30f
#define MOST_WEIGHTS 32    /* in a block, by every caller */
#define ROUNDER 12582912.f /* 1.5 * 2^23: adding it and taking it away rounds as nearest_int does ... */
#define MOST_ROUNDED 4e6f  /* ... up to here */

/* Half away from zero, for every float that an int holds; unlike a call of libm it can be vectorized. */
#define roundf(value) ((float)(int)((value) + copysignf(0x1.fffffep-2f, (value))))

static inline int nearest_int(float value);
static inline int plain_best_index_int8(int n, const int8_t * values, float x);
static float plain_make_qx_quants(int n, int nmax, const float * GGML_RESTRICT x, int8_t * GGML_RESTRICT L,
                                  int rmse_type, const float * GGML_RESTRICT qw);
static float plain_make_qkx3_quants(int n, int nmax, const float * GGML_RESTRICT x, const float * GGML_RESTRICT weights,
                                    uint8_t * GGML_RESTRICT L, float * GGML_RESTRICT the_min,
                                    uint8_t * GGML_RESTRICT Laux, float rmin, float rdelta, int nstep, bool use_mad);

/* A block of n weights x, to be stored as min + scale * (0 to nmax), with what the tries have in common. */
struct block {
    int n, nmax, nstep;
    const float *x, *w;
    float lowest, highest, sum_w, sum_x, rmin, rdelta;
    bool use_mad;
    float min, scale;
};

/* Whether no weight goes past MOST_ROUNDED when it is measured from `ground`. */
static inline bool is_measurable(const struct block * b, float ground) {
    const float farthest = MAX(fabsf(b->highest - ground), fabsf(b->lowest - ground));
    return farthest * (b->nmax + 2) < MOST_ROUNDED * fabsf(b->highest - ground);
}

#define LANES 4
#define FLOATS __m128
#define MASK __m128i
#define TARGET
#define FOR_TARGET(name) name##_sse2
#define LARGER _mm_max_ps
#define SMALLER _mm_min_ps
#include "block_search.h"

#define LANES 8
#define FLOATS __m256
#define MASK __m256i
#define TARGET __attribute__((target("avx2")))
#define FOR_TARGET(name) name##_avx2
#define LARGER _mm256_max_ps
#define SMALLER _mm256_min_ps
#include "block_search.h"

/* The place of the value nearest to x among IQ4's 16, without branches. */
static inline int best_index_int8(int n, const int8_t * values, float x) {
    static const float middles[15] = {-115.5f, -93.5f, -74.f, -57.f, -42.f, -28.5f, -16.f, -4.5f,
                                      7.f,     19.f,   31.5f, 45.5f, 61.f,  79.f,   101.f};
    if (values != kvalues_iq4nl || n != 16) {
        return plain_best_index_int8(n, values, x);
    }
    int index = 0;
    for (int m = 0; m < 15; ++m) index += !(x < middles[m]);
    return index;
}

static float make_qx_quants(int n, int nmax, const float * GGML_RESTRICT x, int8_t * GGML_RESTRICT L, int rmse_type,
                            const float * GGML_RESTRICT qw) {
    float max = 0, amax = 0, sum = 0, squares[MOST_WEIGHTS];
    for (int i = 0; i < n; ++i) {
        const float ax = fabsf(x[i]);
        if (ax > amax) {
            amax = ax;
            max = x[i];
        }
        sum += x[i];
        squares[i] = x[i] * x[i];
    }
    const bool is_plain = amax >= GROUP_MAX_EPS && amax < LARGEST_RANGE && sum == sum;
    if (rmse_type != 1 || !is_plain) {
        return plain_make_qx_quants(n, nmax, x, L, rmse_type, qw);
    }
    const float * w = qw ? qw : squares;
    return __builtin_cpu_supports("avx2") ? scale_avx2(n, nmax, x, w, max, L) : scale_sse2(n, nmax, x, w, max, L);
}

static float make_qkx3_quants(int n, int nmax, const float * GGML_RESTRICT x, const float * GGML_RESTRICT weights,
                              uint8_t * GGML_RESTRICT L, float * GGML_RESTRICT the_min, uint8_t * GGML_RESTRICT Laux,
                              float rmin, float rdelta, int nstep, bool use_mad) {
    float squares[MOST_WEIGHTS];
    if (!weights) {
        for (int i = 0; i < n; ++i) squares[i] = x[i] * x[i];
        weights = squares;
    }
    struct block b = {.n = n, .nmax = nmax, .nstep = nstep, .x = x, .w = weights, .lowest = x[0], .highest = x[0],
                      .sum_w = weights[0], .sum_x = weights[0] * x[0], .rmin = rmin, .rdelta = rdelta,
                      .use_mad = use_mad};
    for (int i = 1; i < n; ++i) {
        if (x[i] < b.lowest) b.lowest = x[i];
        if (x[i] > b.highest) b.highest = x[i];
        b.sum_w += weights[i];
        b.sum_x += weights[i] * x[i];
    }
    b.min = MIN(b.lowest, 0);
    const float range = b.highest - b.min;
    const bool is_plain = range > SMALLEST_RANGE && range < LARGEST_RANGE && b.sum_x == b.sum_x;
    if (!is_plain || !(__builtin_cpu_supports("avx2") ? scale_and_min_avx2(&b, L) : scale_and_min_sse2(&b, L))) {
        return plain_make_qkx3_quants(n, nmax, x, weights, L, the_min, Laux, rmin, rdelta, nstep, use_mad);
    }
    *the_min = -b.min;
    return b.scale;
}

static float make_qkx2_quants(int n, int nmax, const float * GGML_RESTRICT x, const float * GGML_RESTRICT weights,
                              uint8_t * GGML_RESTRICT L, float * GGML_RESTRICT the_min, uint8_t * GGML_RESTRICT Laux,
                              float rmin, float rdelta, int nstep, bool use_mad) {
    return make_qkx3_quants(n, nmax, x, weights, L, the_min, Laux, rmin, rdelta, nstep, use_mad);
}

#else

/* Fills `quants` with each weight's l (0 to nmax) in each try, and `sums` with the sums of w*l, w*l*l and w*l*x. */
TARGET static inline void FOR_TARGET(tried_sums)(const struct block * b, FLOATS iscale, FLOATS * quants,
                                                 FLOATS * sums) {
    const FLOATS zero = {0}, most = zero + (float)b->nmax;
    FLOATS sum_l = zero, sum_l2 = zero, sum_xl = zero;
    for (int i = 0; i < b->n; ++i) {
        const FLOATS l = SMALLER(LARGER(iscale * (b->x[i] - b->min), zero), most) + ROUNDER - ROUNDER;
        const FLOATS wl = b->w[i] * l;
        quants[i] = l;
        sum_l += wl;
        sum_l2 += wl * l;
        sum_xl += wl * b->x[i];
    }
    sums[0] = sum_l;
    sums[1] = sum_l2;
    sums[2] = sum_xl;
}

/* The summed errors of each try. */
TARGET static inline FLOATS FOR_TARGET(tried_errors)(const struct block * b, FLOATS scale, FLOATS min,
                                                     const FLOATS * quants) {
    const FLOATS zero = {0};
    FLOATS error = zero;
    for (int i = 0; i < b->n; ++i) {
        const FLOATS diff = scale * quants[i] + min - b->x[i];
        const FLOATS cost = b->use_mad ? LARGER(diff, zero - diff) : (FLOATS)(diff * diff);
        error += b->w[i] * cost;
    }
    return error;
}

/* Sets the block's best scale and min, and L to each weight's l; false if ggml's own function has to do it. Step -1 is
   nmax / range itself; the others are make_qkx2_quants' own, where a winner's min is the ground of the steps after. */
TARGET static bool FOR_TARGET(scale_and_min)(struct block * b, uint8_t * L) {
    FLOATS quants[MOST_WEIGHTS], sums[3], iscale = {0};
    float best_error = 0, best_iscale = 0, best_ground = b->min;
    for (int step = -1; step <= b->nstep;) {
        const float ground = b->min;
        if (!is_measurable(b, ground)) {
            return false;
        }
        for (int k = 0; k < LANES; ++k) {
            iscale[k] = (step + k < 0 ? b->nmax : b->rmin + b->rdelta * (step + k) + b->nmax) / (b->highest - ground);
        }
        FOR_TARGET(tried_sums)(b, iscale, quants, sums);
        const FLOATS D = b->sum_w * sums[1] - sums[0] * sums[0];
        FLOATS scale = (b->sum_w * sums[2] - b->sum_x * sums[0]) / D;
        FLOATS min = (sums[1] * b->sum_x - sums[0] * sums[2]) / D;
        const MASK above = (MASK)(min > 0);
        min = (FLOATS)(~above & (MASK)min);
        scale = (FLOATS)((above & (MASK)(sums[2] / sums[1])) | (~above & (MASK)scale));
        if (step < 0) {
            scale[0] = 1 / iscale[0];
            min[0] = ground;
        }
        const FLOATS error = FOR_TARGET(tried_errors)(b, scale, min, quants);
        int k = 0;
        for (; k < LANES && step + k <= b->nstep && b->min == ground; ++k) {
            if (step + k < 0 || (D[k] > 0 && error[k] < best_error)) {
                best_error = error[k];
                best_iscale = iscale[k];
                best_ground = ground;
                b->scale = scale[k];
                b->min = min[k];
            }
        }
        step += k;
    }
    for (int i = 0; i < b->n; ++i) {
        const int l = nearest_int(best_iscale * (b->x[i] - best_ground));
        L[i] = MAX(0, MIN(b->nmax, l));
    }
    return true;
}

/* The best scale for x stored as scale * (-nmax to nmax - 1), with each weight's number + nmax in L. */
TARGET static float FOR_TARGET(scale)(int n, int nmax, const float * x, const float * w, float max, int8_t * L) {
    enum { tries = 19, first = 9, groups = (tries + LANES - 1) / LANES };
    FLOATS iscales[groups], sumlx[groups], suml2[groups];
    const FLOATS zero = {0}, least = zero - (float)nmax, most = zero + (float)(nmax - 1);
    for (int k = 0; k < groups * LANES; ++k) {
        iscales[k / LANES][k % LANES] = -(nmax + 0.1f * (k - first)) / max;
    }
    for (int g = 0; g < groups; ++g) {
        FLOATS lx = zero, l2 = zero;
        for (int i = 0; i < n; ++i) {
            const FLOATS l = SMALLER(LARGER(iscales[g] * x[i], least), most) + ROUNDER - ROUNDER;
            lx += w[i] * x[i] * l;
            l2 += w[i] * l * l;
        }
        sumlx[g] = lx;
        suml2[g] = l2;
    }
    const float *iscale = (const float *)iscales, *lx = (const float *)sumlx, *l2 = (const float *)suml2;
    float scale = l2[first] ? lx[first] / l2[first] : 0, best = scale * lx[first], best_iscale = iscale[first];
    for (int k = 0; k < tries; ++k) {
        if (k != first && l2[k] > 0 && lx[k] * lx[k] > best * l2[k]) {
            scale = lx[k] / l2[k];
            best = scale * lx[k];
            best_iscale = iscale[k];
        }
    }
    for (int i = 0; i < n; ++i) {
        const int l = nearest_int(best_iscale * x[i]);
        L[i] = nmax + MAX(-nmax, MIN(nmax - 1, l));
    }
    return scale;
}

#undef LANES
#undef FLOATS
#undef MASK
#undef TARGET
#undef FOR_TARGET
#undef LARGER
#undef SMALLER
#endif
