/* Attention of some queries to the cells of one KV head, in 32-bit floats, whose result has the same bits whatever is
   computed beside it: positions decide the order of every sum, not cells, threads or the size of a batch. Needs nothing
   of ggml.

   Positions are taken a span at a time: scores of all queries, their softmax, the weighted sum of the values. Each span
   has its own largest score, and spans are merged in their order. ref: Dao et al., FlashAttention-2 */
#define SPAN 128
#define PANEL_CELLS 32 /* whose keys or values are converted together */
#define MOST_HEAD_DIM 256
#define MOST_ROWS 64 /* a row is a query head of a batch token */
#define VALUE_ROWS 6 /* of register tiles: as many as fit */
#define SCORE_ROWS (LANES == 16 ? 6 : 3)

/* What a thread has for itself; rows of `head_dim` floats, SPAN scores a row. */
struct attention {
    float queries[MOST_ROWS * MOST_HEAD_DIM]; /* times the scale of scores */
    float panel[PANEL_CELLS * MOST_HEAD_DIM]; /* keys or values, a cell a row */
    float scores[MOST_ROWS][SPAN];
    float hidden[MOST_ROWS][SPAN]; /* of each batch token: minus infinity for positions that it does not see */
    float span_largest[MOST_ROWS], span_sum[MOST_ROWS], span_out[MOST_ROWS * MOST_HEAD_DIM];
    float largest[MOST_ROWS], sum[MOST_ROWS], out[MOST_ROWS * MOST_HEAD_DIM];
} __attribute__((aligned(64)));

/* Keys or values of one head in the KV cache: 16-bit floats, or what `to_floats` converts. */
struct cache_rows {
    const char * data;
    size_t stride; /* bytes from cell to cell */
    void (*to_floats)(const void * from, float * to, int64_t n);
};

/* exp(x) for x <= 0, within 2e-7 of it; 0 below -88. ref: Cephes, expf */
static inline floats f_exp(floats x) {
    const floats magic = f_all(12582912.0f); /* 1.5 * 2^23: what is added to it is rounded to a whole number */
    x = f_max(x, f_all(-88.0f));
    const floats shifted = f_multiply_add(x, f_all(1.44269504f), magic);
    const floats n = f_add(shifted, f_all(-12582912.0f));
    const floats r = f_multiply_add(n, f_all(2.12194440e-4f), f_multiply_add(n, f_all(-0.693359375f), x));
    floats y = f_all(1.9875691500e-4f);
    y = f_multiply_add(y, r, f_all(1.3981999507e-3f));
    y = f_multiply_add(y, r, f_all(8.3334519073e-3f));
    y = f_multiply_add(y, r, f_all(4.1665795894e-2f));
    y = f_multiply_add(y, r, f_all(1.6666665459e-1f));
    y = f_multiply_add(y, r, f_all(5.0000001201e-1f));
    y = f_add(f_multiply_add(f_mul(r, r), y, r), f_all(1.0f));
    /* 2^n: n + 127 is the exponent, and 0 where n is -127 */
    return f_mul(y, f_of_bits(i_shift_left(i_add32(f_bits(shifted), i_all32(127)), 23)));
}

/* The sum of n floats, n a multiple of LANES. */
static inline float sum_of(const float * x, int n) {
    floats sums = f_load(x);
    for (int i = LANES; i < n; i += LANES) { sums = f_add(sums, f_load(x + i)); }
    float lanes[LANES];
    f_store(lanes, sums);
    for (int width = LANES / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) { lanes[i] += lanes[i + width]; }
    }
    return lanes[0];
}

/* Four sums of all lanes. */
static inline __m128 sums_of(const floats v[4]) {
    const ints low01 = i_low32(f_bits(v[0]), f_bits(v[1])), high01 = i_high32(f_bits(v[0]), f_bits(v[1]));
    const ints low23 = i_low32(f_bits(v[2]), f_bits(v[3])), high23 = i_high32(f_bits(v[2]), f_bits(v[3]));
    const ints sum01 = f_bits(f_add(f_of_bits(low01), f_of_bits(high01)));
    const ints sum23 = f_bits(f_add(f_of_bits(low23), f_of_bits(high23)));
    return f_quarters(f_add(f_of_bits(i_low64(sum01, sum23)), f_of_bits(i_high64(sum01, sum23))));
}

/* A register tile of scores: rows of queries times four keys. A lane adds up every LANES-th dimension. */
KERNEL score_keys(const int rows, int head_dim, const float * queries, const float * keys, float * scores) {
    floats sums[SCORE_ROWS][4];
    UNROLL(8) for (int r = 0; r < rows; r++) {
        UNROLL(4) for (int k = 0; k < 4; k++) { sums[r][k] = f_zero(); }
    }
    for (int d = 0; d < head_dim; d += LANES) {
        UNROLL(8) for (int r = 0; r < rows; r++) {
            const floats query = f_load(queries + r * head_dim + d);
            UNROLL(4) for (int k = 0; k < 4; k++) {
                sums[r][k] = f_multiply_add(query, f_load(keys + k * head_dim + d), sums[r][k]);
            }
        }
    }
    UNROLL(8) for (int r = 0; r < rows; r++) { _mm_storeu_ps(scores + r * SPAN, sums_of(sums[r])); }
}

/* A register tile of the weighted sums of values: rows of SPAN weights times two vectors of each of PANEL_CELLS
   values, added to `out`. */
KERNEL add_values(const int rows, int head_dim, const float * weights, const float * values, float * out, bool begin) {
    floats sums[VALUE_ROWS][2];
    UNROLL(8) for (int r = 0; r < rows; r++) {
        sums[r][0] = begin ? f_zero() : f_load(out + r * head_dim);
        sums[r][1] = begin ? f_zero() : f_load(out + r * head_dim + LANES);
    }
    for (int cell = 0; cell < PANEL_CELLS; cell++, values += head_dim) {
        const floats value0 = f_load(values), value1 = f_load(values + LANES);
        UNROLL(8) for (int r = 0; r < rows; r++) {
            const floats weight = f_all(weights[r * SPAN + cell]);
            sums[r][0] = f_multiply_add(weight, value0, sums[r][0]);
            sums[r][1] = f_multiply_add(weight, value1, sums[r][1]);
        }
    }
    UNROLL(8) for (int r = 0; r < rows; r++) {
        f_store(out + r * head_dim, sums[r][0]);
        f_store(out + r * head_dim + LANES, sums[r][1]);
    }
}

/* One function for each number of rows. */
#define FOR_ROWS(n)                                                                                                    \
    static void score_keys_##n(int head_dim, const float * queries, const float * keys, float * scores) {              \
        score_keys(n < SCORE_ROWS ? n : SCORE_ROWS, head_dim, queries, keys, scores);                                  \
    }                                                                                                                  \
    static void add_values_##n(int head_dim, const float * weights, const float * values, float * out, bool begin) {   \
        add_values(n, head_dim, weights, values, out, begin);                                                          \
    }
FOR_ROWS(1)
FOR_ROWS(2)
FOR_ROWS(3)
FOR_ROWS(4)
FOR_ROWS(5)
FOR_ROWS(6)
static void (*const score_rows[])(int, const float *, const float *, float *) = {
    score_keys_1, score_keys_2, score_keys_3, score_keys_4, score_keys_5, score_keys_6,
};
static void (*const add_rows[])(int, const float *, const float *, float *, bool) = {
    add_values_1, add_values_2, add_values_3, add_values_4, add_values_5, add_values_6,
};

/* Scores of all rows with the keys of a panel. */
static void score_panel(int rows, int head_dim, const float * queries, const float * keys, float * scores) {
    const int groups = (rows + SCORE_ROWS - 1) / SCORE_ROWS;
    for (int group = 0; group < groups; group++) {
        const int first = rows * group / groups, n = rows * (group + 1) / groups - first;
        for (int cell = 0; cell < PANEL_CELLS; cell += 4) {
            score_rows[n - 1](
                head_dim, queries + first * head_dim, keys + cell * head_dim, scores + first * SPAN + cell);
        }
    }
}

/* The values of a panel, times the weights of all rows. */
static void add_panel(int rows, int head_dim, const float * weights, const float * values, float * out, bool begin) {
    const int groups = (rows + VALUE_ROWS - 1) / VALUE_ROWS;
    for (int group = 0; group < groups; group++) {
        const int first = rows * group / groups, n = rows * (group + 1) / groups - first;
        for (int d = 0; d < head_dim; d += 2 * LANES) {
            add_rows[n - 1](head_dim, weights + first * SPAN, values + d, out + first * head_dim + d, begin);
        }
    }
}

/* The rows of PANEL_CELLS cells as floats; of places without a cell (-1) zeros. */
static void convert_cells(struct cache_rows from, const int32_t * cells, int head_dim, float * to) {
    for (int i = 0; i < PANEL_CELLS; i++, to += head_dim) {
        const char * row = from.data + cells[i] * (ptrdiff_t) from.stride;
        if (cells[i] < 0) {
            memset(to, 0, head_dim * sizeof(float));
        } else if (from.to_floats) {
            from.to_floats(row, to, head_dim);
        } else {
            for (int d = 0; d < head_dim; d += LANES) { f_store(to + d, f_of_halves((const uint16_t *) row + d)); }
        }
    }
}

static bool has_cells(const int32_t * cells) {
    int32_t all = -1;
    for (int i = 0; i < PANEL_CELLS; i++) { all &= cells[i]; } /* -1 and no other cell has its sign bit */
    return all >= 0;
}

/* Rows of which nothing is computed yet. */
static void begin_rows(struct attention * own, int rows, int head_dim) {
    for (int r = 0; r < rows; r++) {
        own->largest[r] = -INFINITY;
        own->sum[r] = 0;
    }
    memset(own->out, 0, (size_t) rows * head_dim * sizeof(float));
}

/* Scores become weights, and their largest and sum are kept; a row that sees nothing has minus infinity and 0. */
static void softmax_of_scores(struct attention * own, int rows) {
    for (int r = 0; r < rows; r++) {
        float * scores = own->scores[r];
        floats largest = f_load(scores);
        for (int i = LANES; i < SPAN; i += LANES) { largest = f_max(largest, f_load(scores + i)); }
        own->span_largest[r] = f_largest(largest);
        const bool sees = own->span_largest[r] > -INFINITY;
        const floats minus = f_all(sees ? -own->span_largest[r] : 0);
        for (int i = 0; i < SPAN; i += LANES) { f_store(scores + i, f_exp(f_add(f_load(scores + i), minus))); }
        own->span_sum[r] = sees ? sum_of(scores, SPAN) : 0;
    }
}

/* A KV head, and the query heads that share it. */
struct heads {
    int n, dim; /* query heads; dimensions of each */
    struct cache_rows keys, values;
};

/* A span: `cells` of its SPAN positions, -1 where there is none, and the queries of `n_tokens` batch tokens.
   `is_hidden` tells that own->hidden is to be added to the scores. */
static void attend_to_span(struct attention * own, int n_tokens, struct heads heads, const int32_t * cells,
                           bool is_hidden) {
    const int rows = n_tokens * heads.n, head_dim = heads.dim;
    for (int i = 0; i < SPAN; i += PANEL_CELLS) {
        if (!has_cells(cells + i)) {
            for (int r = 0; r < rows; r++) { memset(own->scores[r] + i, 0, PANEL_CELLS * sizeof(float)); }
            continue;
        }
        convert_cells(heads.keys, cells + i, head_dim, own->panel);
        score_panel(rows, head_dim, own->queries, own->panel, own->scores[0] + i);
    }
    for (int r = 0; is_hidden && r < rows; r++) {
        const float * hidden = own->hidden[r / heads.n];
        for (int i = 0; i < SPAN; i += LANES) {
            f_store(own->scores[r] + i, f_add(f_load(own->scores[r] + i), f_load(hidden + i)));
        }
    }
    softmax_of_scores(own, rows);
    bool begin = true;
    for (int i = 0; i < SPAN; i += PANEL_CELLS) {
        if (!has_cells(cells + i)) { continue; }
        convert_cells(heads.values, cells + i, head_dim, own->panel);
        add_panel(rows, head_dim, own->scores[0] + i, own->panel, own->span_out, begin);
        begin = false;
    }
}

/* Merge a span's result into those of the spans before it. Not inlined: every way rounds alike. */
__attribute__((noinline)) static void merge(int head_dim, float * largest, float * sum, float * out, float span_largest,
                                            float span_sum, const float * span_out) {
    if (span_largest == -INFINITY) { return; }
    const float most = span_largest > *largest ? span_largest : *largest;
    const float before = expf(*largest - most), now = expf(span_largest - most);
    for (int d = 0; d < head_dim; d += LANES) {
        f_store(out + d, f_multiply_add(f_load(out + d), f_all(before), f_mul(f_load(span_out + d), f_all(now))));
    }
    *largest = most;
    *sum = *sum * before + span_sum * now;
}
