/* Activations as register tiles read them: rounded to bytes, and four neighbouring ones of each column of a group side by
   side. A column is a row of ggml's input: a batch token. */
/* Of a block of 32 activations, for each column of its group. */
struct side {
    float scale[TILE_COLUMNS]; /* of the block; of types with super-blocks, of all 256 */
    float sum[TILE_COLUMNS];   /* of the activations */
    int32_t excess[2][TILE_COLUMNS]; /* minus what weights that are too high add, in all or in each half */
    int16_t sums[TILE_COLUMNS][2]; /* of super-blocks: of rounded activations, in blocks 0 and 2, 1 and 3, 4 and 6, 5 and 7 */
};

/* How activations are rounded for a type of weights. */
struct rounding {
    int blocks;  /* that share a scale: 1 or SUPER_BLOCKS */
    int excess;  /* of the weights */
    bool halves; /* whether halves of a block have scales of their own */
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

/* Round 16 activations; their sum. */
static inline int round16(const float * x, float inverse, __m128i * to) {
    const __m128 by = _mm_set1_ps(inverse);
    __m128i whole[4];
    for (int i = 0; i < 4; i++) { whole[i] = _mm_cvtps_epi32(_mm_mul_ps(_mm_loadu_ps(x + 4 * i), by)); }
    const __m128i low = _mm_packs_epi32(whole[0], whole[1]), high = _mm_packs_epi32(whole[2], whole[3]);
    *to = _mm_packs_epi16(low, high);
    __m128i sum = _mm_madd_epi16(_mm_add_epi16(low, high), _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

/* Four quads of column c, `step` apart. */
static inline void store_quads(int8_t * to, ptrdiff_t step, __m128i quads) {
    const int32_t four[4] = {
        _mm_cvtsi128_si32(quads), _mm_extract_epi32(quads, 1), _mm_extract_epi32(quads, 2), _mm_extract_epi32(quads, 3),
    };
    for (int q = 0; q < 4; q++) {
        for (int i = 0; i < QUAD_BYTES; i += 4) { memcpy(to + q * step + i, four + q, 4); }
    }
}

/* Round `how.blocks` blocks of column c of a group of `columns`. `to` and `sides` are the group's, at these blocks. */
static void round_activations(const float * x, struct rounding how, int columns, int c, int8_t * to,
                              struct side * sides) {
    const float largest = largest_of(x, how.blocks * BLOCK), scale = largest * (1.0f / 127);
    const float inverse = largest > 0 ? 127 / largest : 0;
    for (int b = 0; b < how.blocks; b++, x += BLOCK, to += BLOCK_BYTES * columns) {
        __m128i rounded[2];
        const int first = round16(x, inverse, rounded), second = round16(x + 16, inverse, rounded + 1);
        store_quads(to + QUAD_BYTES * c, QUAD_BYTES * columns, rounded[0]);
        store_quads(to + QUAD_BYTES * (c + 4 * columns), QUAD_BYTES * columns, rounded[1]);
        sides[b].scale[c] = scale;
        sides[b].sum[c] = (float) (first + second) * scale;
        /* blocks 0 to 3 are the first of pair 0, the first of pair 1, the second of pair 0, the second of pair 1 */
        sides[b / 4 * 2 + b % 2].sums[c][b / 2 % 2] = (int16_t) (first + second);
        sides[b].excess[0][c] = -how.excess * (how.halves ? first : first + second);
        sides[b].excess[1][c] = -how.excess * (how.halves ? second : 0);
    }
}
