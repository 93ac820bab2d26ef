/* ggml's products of quantized weights with a few rows of activations, 1 to MOST_ROWS at a time: the weights are read
   and unpacked once for all rows, where ggml does it once for each, or lays tiles out that only pay from dozens on.

   A reply is written in steps of a few rows: one for each conversation, and one for each guess of a next token. For any
   number of rows a result is the same, bit by bit: the order in which one is added up does not depend on the others.

   Included by ggml-cpu.c, and so compiled once for each kind of processor; without AVX2 there is nothing in it. */
__attribute__((visibility("default"))) int seallm_row_products(void);

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>

#define MOST_ROWS 48         /* from here on ggml's own ways are as fast */
#define GROUP_ROWS 8         /* whose sums fit in registers beside unpacked weights */
/* Weight rows for which a thread comes back: few where they have to stay in its cache for the next group of rows, else
   as many as deal the work out evenly, because a stream that breaks off is read more slowly. */
#define FEWEST_WEIGHT_ROWS 32
#define MOST_WEIGHT_ROWS 192
#define CHUNKS_A_THREAD 4

#if defined(__AVX512VNNI__) && defined(__AVX512VL__) && defined(__AVX512BW__)
/* 64 products, as two halves that are added up at the end: whole numbers, so in any order */
#define WIDE __m512i
#define WIDE_ZERO _mm512_setzero_si512()
#define WIDE_OF(low, high) _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)
#define WIDE_ADD(sum, q, a, scales) _mm512_dpwssd_epi32(sum, _mm512_maddubs_epi16(q, _mm512_loadu_si512(a)), scales)
#define WIDE_SUM(sum) _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1))
#define QUADS(a, b) _mm256_dpbusd_epi32(_mm256_setzero_si256(), a, b)
/* one factor must be unsigned: weights and 128 */
#define Q8_0_EXCESS 128
#define Q8_0_SIZE(q) _mm256_xor_si256(q, _mm256_set1_epi8((char) 128))
#define Q8_0_SIGNED(a, q) (a)
#else
typedef struct { __m256i low, high; } WIDE;
#define WIDE_ZERO ((WIDE) { _mm256_setzero_si256(), _mm256_setzero_si256() })
#define WIDE_OF(low, high) ((WIDE) { low, high })
static inline WIDE wide_add(WIDE sum, WIDE q, const int8_t * a, WIDE scales) {
    const __m256i low = _mm256_maddubs_epi16(q.low, _mm256_loadu_si256((const __m256i *) a));
    const __m256i high = _mm256_maddubs_epi16(q.high, _mm256_loadu_si256((const __m256i *) (a + 32)));
    sum.low = _mm256_add_epi32(sum.low, _mm256_madd_epi16(low, scales.low));
    sum.low = _mm256_add_epi32(sum.low, _mm256_madd_epi16(high, scales.high));
    return sum;
}
#define WIDE_ADD wide_add
#define WIDE_SUM(sum) ((sum).low)
#define QUADS(a, b) _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1))
/* one factor must be unsigned: weights without their sign, which the other takes; pairs of 255 * 127 would not fit */
#define Q8_0_EXCESS 0
#define Q8_0_SIZE(q) _mm256_sign_epi8(q, q)
#define Q8_0_SIGNED(a, q) _mm256_sign_epi8(a, q)
#endif

/* Weights come from memory once, in order; a processor's own prefetching stops at the end of each page. */
#define PREFETCH(block)                                                                                                \
    do {                                                                                                               \
        _mm_prefetch((const char *) (block) + 2048, _MM_HINT_T0);                                                     \
        if (sizeof(*(block)) > 64) { _mm_prefetch((const char *) (block) + 2048 + 64, _MM_HINT_T0); }                  \
        if (sizeof(*(block)) > 128) { _mm_prefetch((const char *) (block) + 2048 + 128, _MM_HINT_T0); }                \
    } while (0)

static inline float row_sum(__m256 v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

static inline float row_half(ggml_half h) { return _cvtsh_ss(h); }

/* Activations of a group of rows as products read them: 32 of each row side by side (of Q8_K 64), in `q`; and, for each
   block of them, one of these. Products compute with all GROUP_ROWS lanes of the scales, whatever the number of rows:
   those without a row are 0, because what lies in working memory may be subnormal numbers, with which an Intel processor
   takes 150 cycles and more for each operation. */
struct side_q8_0 {
    float scale[GROUP_ROWS];
    float excess[GROUP_ROWS]; /* that making unsigned weights of signed ones adds */
};
struct side_q8_K {
    float scale[GROUP_ROWS];
    int16_t sums16[GROUP_ROWS][16]; /* of 16 activations each */
    int16_t sums32[GROUP_ROWS][8];
};

/* Each of these: `rows` results, next to one another in `out`, of one row of n weights with a group of activations.
   `rows` is a constant where they are called. */
typedef void (*row_product)(int n, const void * weights, const int8_t * q, const void * sides, float * out);
/* unrolled before anything else, so that what is kept for each row is in registers */
#define EACH_ROW(r) _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++)
#define KERNEL static inline __attribute__((always_inline)) void

static inline __m256i load(const void * p) { return _mm256_loadu_si256((const __m256i *) p); }

KERNEL product_q8_0(const int rows, int n, const void * weights, const int8_t * a, const void * sides, float * out) {
    const block_q8_0 * w = weights;
    const struct side_q8_0 * side = sides;
    __m256 sums[GROUP_ROWS], excess = _mm256_setzero_ps();
    EACH_ROW(r) { sums[r] = _mm256_setzero_ps(); }
    for (int b = 0; b < n / QK8_0; b++, a += 32 * rows) {
        PREFETCH(w + b);
        const __m256i q = load(w[b].qs), size = Q8_0_SIZE(q);
        const __m256 d = _mm256_set1_ps(row_half(w[b].d));
        float scales[GROUP_ROWS] __attribute__((aligned(32)));
        _mm256_store_ps(scales, _mm256_mul_ps(d, _mm256_loadu_ps(side[b].scale)));
        excess = _mm256_fmadd_ps(d, _mm256_loadu_ps(side[b].excess), excess);
        EACH_ROW(r) {
            const __m256i quads = QUADS(size, Q8_0_SIGNED(load(a + 32 * r), q));
            sums[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(quads), _mm256_broadcast_ss(scales + r), sums[r]);
        }
    }
    float extra[GROUP_ROWS];
    _mm256_storeu_ps(extra, excess);
    EACH_ROW(r) { out[r] = row_sum(sums[r]) - extra[r]; }
}

KERNEL product_q4_K(const int rows, int n, const void * weights, const int8_t * a, const void * sides, float * out) {
    const block_q4_K * w = weights;
    const struct side_q8_K * side = sides;
    const __m256i low_nibbles = _mm256_set1_epi8(15);
    __m256 sums[GROUP_ROWS];
    __m128 mins[GROUP_ROWS];
    EACH_ROW(r) { sums[r] = _mm256_setzero_ps(); mins[r] = _mm_setzero_ps(); }
    for (int b = 0; b < n / QK_K; b++) {
        PREFETCH(w + b);
        /* 8 scales and 8 minima of 6 bits each. ref: ggml-quants.c, get_scale_min_k4 */
        uint32_t packed[3];
        memcpy(packed, w[b].scales, 12);
        const __m256i both = _mm256_cvtepu8_epi16(_mm_set_epi32(
            (int) (((packed[2] >> 4) & 0x0f0f0f0f) | (((packed[1] >> 6) & 0x03030303) << 4)),
            (int) (packed[1] & 0x3f3f3f3f),
            (int) ((packed[2] & 0x0f0f0f0f) | (((packed[0] >> 6) & 0x03030303) << 4)),
            (int) (packed[0] & 0x3f3f3f3f)));
        const __m128i min16 = _mm256_extracti128_si256(both, 1);
        const __m256i scale16 = _mm256_broadcastsi128_si256(_mm256_castsi256_si128(both));
        WIDE total[GROUP_ROWS];
        EACH_ROW(r) { total[r] = WIDE_ZERO; }
        for (int j = 0; j < 4; j++, a += 64 * rows) {
            const __m256i q = load(w[b].qs + 32 * j);
            const WIDE both_q = WIDE_OF(_mm256_and_si256(q, low_nibbles),
                                        _mm256_and_si256(_mm256_srli_epi16(q, 4), low_nibbles));
            const WIDE scales = WIDE_OF(
                _mm256_shuffle_epi8(scale16, _mm256_set1_epi16((short) (0x0100 + 0x0404 * j))),
                _mm256_shuffle_epi8(scale16, _mm256_set1_epi16((short) (0x0302 + 0x0404 * j))));
            EACH_ROW(r) { total[r] = WIDE_ADD(total[r], both_q, a + 64 * r, scales); }
        }
        const __m256 d = _mm256_set1_ps(row_half(w[b].d)), d_min = _mm256_set1_ps(-row_half(w[b].dmin));
        const __m256 scale = _mm256_loadu_ps(side[b].scale);
        float scales[GROUP_ROWS] __attribute__((aligned(32))), min_scales[GROUP_ROWS] __attribute__((aligned(32)));
        _mm256_store_ps(scales, _mm256_mul_ps(d, scale));
        _mm256_store_ps(min_scales, _mm256_mul_ps(d_min, scale));
        EACH_ROW(r) {
            const __m128 below = _mm_cvtepi32_ps(
                _mm_madd_epi16(min16, _mm_loadu_si128((const __m128i *) side[b].sums32[r])));
            mins[r] = _mm_fmadd_ps(below, _mm_broadcast_ss(min_scales + r), mins[r]);
            sums[r] = _mm256_fmadd_ps(
                _mm256_cvtepi32_ps(WIDE_SUM(total[r])), _mm256_broadcast_ss(scales + r), sums[r]);
        }
    }
    EACH_ROW(r) {
        out[r] = row_sum(_mm256_add_ps(sums[r], _mm256_insertf128_ps(_mm256_setzero_ps(), mins[r], 0)));
    }
}

KERNEL product_q6_K(const int rows, int n, const void * weights, const int8_t * a, const void * sides, float * out) {
    const block_q6_K * w = weights;
    const struct side_q8_K * side = sides;
    const __m256i low_nibbles = _mm256_set1_epi8(15), two_bits = _mm256_set1_epi8(48);
    /* lanes 0 to 7 take the first of two scales, lanes 8 to 15 the second */
    const __m256i pair = _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
                                          2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
    __m256 sums[GROUP_ROWS];
    EACH_ROW(r) { sums[r] = _mm256_setzero_ps(); }
    for (int b = 0; b < n / QK_K; b++) {
        PREFETCH(w + b);
        const __m256i scale16 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) w[b].scales));
        WIDE total[GROUP_ROWS];
        EACH_ROW(r) { total[r] = WIDE_ZERO; }
        for (int half = 0; half < 2; half++) {
            const __m256i l0 = load(w[b].ql + 64 * half), l1 = load(w[b].ql + 64 * half + 32);
            const __m256i h = load(w[b].qh + 32 * half);
            const WIDE q[2] = {
                WIDE_OF(_mm256_or_si256(_mm256_and_si256(l0, low_nibbles),
                                        _mm256_and_si256(_mm256_slli_epi16(h, 4), two_bits)),
                        _mm256_or_si256(_mm256_and_si256(l1, low_nibbles),
                                        _mm256_and_si256(_mm256_slli_epi16(h, 2), two_bits))),
                WIDE_OF(_mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(l0, 4), low_nibbles),
                                        _mm256_and_si256(h, two_bits)),
                        _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(l1, 4), low_nibbles),
                                        _mm256_and_si256(_mm256_srli_epi16(h, 2), two_bits))),
            };
            const __m256i s8 = half ? _mm256_permute2x128_si256(scale16, scale16, 0x11)
                                    : _mm256_permute2x128_si256(scale16, scale16, 0x00);
            for (int j = 0; j < 2; j++, a += 64 * rows) {
                const WIDE scales = WIDE_OF(
                    _mm256_shuffle_epi8(s8, _mm256_add_epi8(pair, _mm256_set1_epi8((char) (8 * j)))),
                    _mm256_shuffle_epi8(s8, _mm256_add_epi8(pair, _mm256_set1_epi8((char) (8 * j + 4)))));
                EACH_ROW(r) { total[r] = WIDE_ADD(total[r], q[j], a + 64 * r, scales); }
            }
        }
        float scales[GROUP_ROWS] __attribute__((aligned(32)));
        _mm256_store_ps(scales, _mm256_mul_ps(_mm256_set1_ps(row_half(w[b].d)), _mm256_loadu_ps(side[b].scale)));
        EACH_ROW(r) { /* weights are stored 32 too high */
            const __m256i excess = _mm256_slli_epi32(_mm256_madd_epi16(scale16, load(side[b].sums16[r])), 5);
            const __m256 sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(WIDE_SUM(total[r]), excess));
            sums[r] = _mm256_fmadd_ps(sum, _mm256_broadcast_ss(scales + r), sums[r]);
        }
    }
    EACH_ROW(r) { out[r] = row_sum(sums[r]); }
}

#define PRODUCT(type, rows)                                                                                            \
    static void product_##type##_##rows(int n, const void * w, const int8_t * q, const void * sides, float * out) {    \
        product_##type(rows, n, w, q, sides, out);                                                                     \
    }
#define PRODUCTS(type)                                                                                                 \
    PRODUCT(type, 1) PRODUCT(type, 2) PRODUCT(type, 3) PRODUCT(type, 4)                                                \
    PRODUCT(type, 5) PRODUCT(type, 6) PRODUCT(type, 7) PRODUCT(type, 8)                                                \
    static const row_product products_##type[GROUP_ROWS] = {                                                           \
        product_##type##_1, product_##type##_2, product_##type##_3, product_##type##_4,                                \
        product_##type##_5, product_##type##_6, product_##type##_7, product_##type##_8,                                \
    };
PRODUCTS(q8_0)
PRODUCTS(q4_K)
PRODUCTS(q6_K)

static const row_product * products_of(enum ggml_type type) {
    return type == GGML_TYPE_Q8_0 ? products_q8_0
         : type == GGML_TYPE_Q4_K ? products_q4_K
         : type == GGML_TYPE_Q6_K ? products_q6_K : NULL;
}

static bool is_row_product(const struct ggml_tensor * dst) {
    const struct ggml_tensor * weights = dst->src[0], * input = dst->src[1];
    return products_of(weights->type) && input->type == GGML_TYPE_F32 && input->ne[1] <= MOST_ROWS
        && ggml_nrows(input) == input->ne[1] && ggml_nrows(weights) == weights->ne[1] && ggml_is_contiguous(weights)
        && input->nb[0] == sizeof(float) && dst->nb[0] == sizeof(float);
}

static size_t side_size(enum ggml_type type) {
    return type == GGML_TYPE_Q8_0 ? sizeof(struct side_q8_0) : sizeof(struct side_q8_K);
}

/* Bytes of working memory for dst, all threads together. */
static size_t row_products_size(const struct ggml_tensor * dst) {
    if (!is_row_product(dst)) { return 0; }
    const enum ggml_type type = dst->src[0]->type;
    const int64_t n = dst->src[1]->ne[0], n_rows = dst->src[1]->ne[1];
    const int64_t n_groups = (n_rows + GROUP_ROWS - 1) / GROUP_ROWS;
    return n * n_rows + n_groups * (n / ggml_blck_size(type)) * side_size(type) + 128;
}

static void fill_q8_0(const float * x, int rows, int r, int8_t * q, struct side_q8_0 * side) {
    if (r == 0) { memset(side, 0, sizeof(*side)); }
    block_q8_0 a;
    quantize_row_q8_0(x, &a, QK8_0);
    memcpy(q + 32 * r, a.qs, 32);
    int sum = 0;
    for (int i = 0; i < QK8_0; i++) { sum += a.qs[i]; }
    side->scale[r] = row_half(a.d);
    side->excess[r] = side->scale[r] * (float) (Q8_0_EXCESS * sum);
    GGML_UNUSED(rows);
}

static void fill_q8_K(const float * x, int rows, int r, int8_t * q, struct side_q8_K * side) {
    if (r == 0) { memset(side->scale, 0, sizeof(side->scale)); }
    block_q8_K a;
    quantize_row_q8_K(x, &a, QK_K);
    for (int i = 0; i < QK_K / 64; i++) { memcpy(q + 64 * (i * rows + r), a.qs + 64 * i, 64); }
    side->scale[r] = a.d;
    memcpy(side->sums16[r], a.bsums, sizeof(a.bsums));
    for (int i = 0; i < 8; i++) { side->sums32[r][i] = (int16_t) (a.bsums[2 * i] + a.bsums[2 * i + 1]); }
}

/* Whether this kind of processor has them. */
int seallm_row_products(void) { return 1; }

/* Compute dst where it is such a product; false leaves it to ggml. Every thread of the pool calls it. */
static bool row_products(const struct ggml_compute_params * params, struct ggml_tensor * dst) {
    if (params->use_ref || !is_row_product(dst)) { return false; }
    const struct ggml_tensor * weights = dst->src[0], * input = dst->src[1];
    const enum ggml_type type = weights->type;
    const int64_t n = input->ne[0], n_rows = input->ne[1], n_out = weights->ne[1];
    const int64_t block = ggml_blck_size(type), n_blocks = n / block;
    char * sides = (char *) (((uintptr_t) params->wdata + 63) & ~(uintptr_t) 63);
    int8_t * q = (int8_t *) sides + (n_rows + GROUP_ROWS - 1) / GROUP_ROWS * n_blocks * side_size(type);
    GGML_ASSERT((size_t) (q + n * n_rows - (int8_t *) params->wdata) <= params->wsize);

    for (int64_t row = 0; row < n_rows; row++) {
        const int rows = (int) MIN(GROUP_ROWS, n_rows - row / GROUP_ROWS * GROUP_ROWS), r = (int) (row % GROUP_ROWS);
        const float * x = (const float *) ((const char *) input->data + row * input->nb[1]);
        int8_t * group_q = q + row / GROUP_ROWS * GROUP_ROWS * n;
        char * group_sides = sides + row / GROUP_ROWS * n_blocks * side_size(type);
        for (int64_t b = params->ith * n_blocks / params->nth; b < (params->ith + 1) * n_blocks / params->nth; b++) {
            int8_t * to = group_q + b * block * rows;
            void * side = group_sides + b * side_size(type);
            if (type == GGML_TYPE_Q8_0) {
                fill_q8_0(x + b * block, rows, r, to, side);
            } else {
                fill_q8_K(x + b * block, rows, r, to, side);
            }
        }
    }
    if (params->ith == 0) {
        atomic_store_explicit(&params->threadpool->current_chunk, params->nth, memory_order_relaxed);
    }
    ggml_barrier(params->threadpool);

    const int64_t even = n_rows > GROUP_ROWS ? 0 : n_out / (CHUNKS_A_THREAD * params->nth);
    const int64_t n_chunk = MAX(FEWEST_WEIGHT_ROWS, MIN(even, MOST_WEIGHT_ROWS));
    for (int64_t chunk = params->ith; chunk * n_chunk < n_out;
         chunk = atomic_fetch_add_explicit(&params->threadpool->current_chunk, 1, memory_order_relaxed)) {
        const int64_t end = MIN((chunk + 1) * n_chunk, n_out);
        for (int64_t row = 0; row < n_rows; row += GROUP_ROWS) {
            const int rows = (int) MIN(GROUP_ROWS, n_rows - row);
            const row_product product = products_of(type)[rows - 1];
            const char * group_sides = sides + row / GROUP_ROWS * n_blocks * side_size(type);
            for (int64_t i = chunk * n_chunk; i < end; i++) {
                float out[GROUP_ROWS];
                product((int) n, (const char *) weights->data + i * weights->nb[1], q + row * n, group_sides, out);
                for (int r = 0; r < rows; r++) {
                    ((float *) ((char *) dst->data + (row + r) * dst->nb[1]))[i] = out[r];
                }
            }
        }
    }
    return true;
}
#else
int seallm_row_products(void) { return 0; }

static bool row_products(const struct ggml_compute_params * params, struct ggml_tensor * dst) {
    GGML_UNUSED(params);
    GGML_UNUSED(dst);
    return false;
}

static size_t row_products_size(const struct ggml_tensor * dst) {
    GGML_UNUSED(dst);
    return 0;
}
#endif
