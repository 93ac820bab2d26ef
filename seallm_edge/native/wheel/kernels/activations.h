/* Activations as register tiles read them: quantized to bytes, and four neighbouring ones of each column of a group
   side by side. A column is a row of ggml's input: a batch token. */

/* Activations this small have no scale: it would be a subnormal number, its inverse infinite. */
#define SMALLEST 1e-35f

/* Of a block of 32 activations, for each column of its group. */
struct side {
    float scale[TILE_COLUMNS]; /* of the block; of types with super-blocks, of all 256 */
    float sum[TILE_COLUMNS];   /* of the activations */
    /* of sums: minus the weights' zero point times the sum, of the block or of each half */
    int32_t start[2][TILE_COLUMNS];
    /* of super-blocks: the sums of quantized activations, in blocks 0 and 2, 1 and 3, 4 and 6, 5 and 7 */
    int16_t sums[TILE_COLUMNS][2];
};

/* How activations are quantized for a type of weights. */
struct activation_format {
    int blocks;  /* that share a scale: 1 or SUPER_BLOCKS */
    int zero_point; /* of the weights: 0 is stored as this */
    bool halves; /* whether halves of a block have scales of their own */
    bool pairs;  /* whether activations are widened to 16 bits, for panels */
};

static inline float largest_of(const float * x, int n) {
    const floats no_sign = f_of_bits(i_all32(0x7fffffff));
    floats largest = f_and(f_load(x), no_sign), second = f_and(f_load(x + LANES), no_sign);
    for (int i = 2 * LANES; i < n; i += 2 * LANES) {
        largest = f_max(largest, f_and(f_load(x + i), no_sign));
        second = f_max(second, f_and(f_load(x + i + LANES), no_sign));
    }
    return f_largest(f_max(largest, second));
}

/* Quantize 16 activations; their sum. */
static inline int quantize16(const float * x, float inverse, __m128i * to) {
    const __m128 by = _mm_set1_ps(inverse);
    __m128i whole[4];
    for (int i = 0; i < 4; i++) { whole[i] = _mm_cvtps_epi32(_mm_mul_ps(_mm_loadu_ps(x + 4 * i), by)); }
    const __m128i low = _mm_packs_epi32(whole[0], whole[1]), high = _mm_packs_epi32(whole[2], whole[3]);
    *to = _mm_packs_epi16(low, high);
    __m128i sum = _mm_madd_epi16(_mm_add_epi16(low, high), _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

/* Four words of column c, `step` apart. */
static inline void store_words(int8_t * to, ptrdiff_t step, __m128i words) {
    const int32_t four[4] = {
        _mm_cvtsi128_si32(words), _mm_extract_epi32(words, 1), _mm_extract_epi32(words, 2), _mm_extract_epi32(words, 3),
    };
    for (int w = 0; w < 4; w++) {
        for (int i = 0; i < QUAD_BYTES; i += 4) { memcpy(to + w * step + i, four + w, 4); }
    }
}

/* Four quads of column c, as they are or as pairs. */
static inline void store_quads(int8_t * to, ptrdiff_t step, __m128i quads, bool pairs) {
    if (!pairs) {
        store_words(to, step, quads);
        return;
    }
    store_words(to, 2 * step, _mm_srai_epi16(_mm_slli_epi16(quads, 8), 8));
    store_words(to + step, 2 * step, _mm_srai_epi16(quads, 8));
}

/* Quantize `how.blocks` blocks of column c of a group of `columns`. `to` and `sides` are the group's, at these
   blocks. */
static void quantize_activations(const float * x, struct activation_format how, int columns, int c, int8_t * to,
                              struct side * sides) {
    const float largest = largest_of(x, how.blocks * BLOCK);
    const bool is_zero = largest < SMALLEST;
    const float scale = is_zero ? 0 : largest * (1.0f / 127), inverse = is_zero ? 0 : 127 / largest;
    const ptrdiff_t step = QUAD_BYTES * columns, half = (how.pairs ? 8 : 4) * step;
    for (int b = 0; b < how.blocks; b++, x += BLOCK, to += 2 * half) {
        __m128i quants[2];
        const int first = quantize16(x, inverse, quants), second = quantize16(x + 16, inverse, quants + 1);
        store_quads(to + QUAD_BYTES * c, step, quants[0], how.pairs);
        store_quads(to + QUAD_BYTES * c + half, step, quants[1], how.pairs);
        sides[b].scale[c] = scale;
        sides[b].sum[c] = (float) (first + second) * scale;
        /* blocks 0 to 3 are the first of pair 0, the first of pair 1, the second of pair 0, the second of pair 1 */
        sides[b / 4 * 2 + b % 2].sums[c][b / 2 % 2] = (int16_t) (first + second);
        sides[b].start[0][c] = -how.zero_point * (how.halves ? first : first + second);
        sides[b].start[1][c] = -how.zero_point * (how.halves ? second : 0);
    }
}
