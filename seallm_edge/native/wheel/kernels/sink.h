/* Where unpacked weights go: into a panel, to be multiplied with many columns; or, with a few columns as in a reply,
   into sums at once, LANES rows at a time. Sums are added up in the same order either way. */
#define FEW_COLUMNS 2

/* How a type of weights is multiplied: constants in each kernel. */
struct kind {
    int bits;    /* of a weight */
    bool halves; /* of a block have a scale each */
    bool minima; /* are added */
    bool wide;   /* super-blocks have one scale of activations, and of minima */
};

struct sink {
    struct kind kind;
    struct panel * panel; /* NULL where weights are multiplied at once */
    int v;
    int columns;
    const int8_t * x;
    const struct side * sides;
    float * out;
    size_t out_stride;
    bool begin;
    floats sums[FEW_COLUMNS];
    /* of up to four blocks at a time, each half of a block */
    ints dots[4][2][FEW_COLUMNS], pairs[4][FEW_COLUMNS];
};

/* The sums of a chunk begin: with what is there, unless they are added to it at the end. */
KERNEL sink_open(struct sink * s) {
    UNROLL(2) for (int c = 0; c < s->columns; c++) {
        s->sums[c] = s->kind.wide || s->begin ? f_zero() : f_load(s->out + c * s->out_stride);
    }
}

KERNEL sink_close(struct sink * s) {
    if (s->kind.wide) { return; }
    UNROLL(2) for (int c = 0; c < s->columns; c++) { f_store(s->out + c * s->out_stride, s->sums[c]); }
}

/* `n` blocks begin, of which b is the first. */
KERNEL sink_begin(struct sink * s, int b, int n) {
    if (s->panel) { return; }
    UNROLL(4) for (int which = 0; which < n; which++) {
        UNROLL(2) for (int c = 0; c < s->columns; c++) {
            s->dots[which][0][c] = i_all32(s->sides[b + which].start[0][c]);
            s->dots[which][1][c] = s->kind.halves ? i_all32(s->sides[b + which].start[1][c]) : i_zero();
        }
    }
}

/* Quad q of block b, which is number `which` of those begun. */
KERNEL sink_weights(struct sink * s, int b, int which, int q, ints weights) {
    if (s->panel && PAIRS && s->kind.bits == 8) {
        i_store(s->panel->weights[b][2 * q][s->v], i_even_bytes(weights));
        i_store(s->panel->weights[b][2 * q + 1][s->v], i_odd_bytes(weights));
        return;
    }
    if (s->panel) {
        i_store(s->panel->weights[b][q][s->v], weights);
        return;
    }
    const int half = q / 4;
    UNROLL(2) for (int c = 0; c < s->columns; c++) {
        const ints four = quad_of(s->x + ((b * QUADS + q) * s->columns + c) * QUAD_BYTES);
#ifdef DOT4
        s->dots[which][half][c] = DOT4(s->dots[which][half][c], weights, four);
#else
        const ints ones = i_all16(1);
        if (s->kind.bits == 8) {
            const ints pairs = i_bytes_to_pairs(i_sign8(weights, weights), i_sign8(four, weights));
            s->dots[which][half][c] = i_add32(s->dots[which][half][c], i_pairs_to_lanes(pairs, ones));
        } else {
            const int chain = s->kind.bits == 6 ? 2 : 4;
            const ints pairs = i_bytes_to_pairs(weights, four);
            const ints sum = q % chain ? i_add16(s->pairs[which][c], pairs) : pairs;
            if (q % chain == chain - 1) {
                s->dots[which][half][c] = i_add32(s->dots[which][half][c], i_pairs_to_lanes(sum, ones));
            }
            s->pairs[which][c] = sum;
        }
#endif
    }
}

/* Add the sum of the super-block that ends with block b to what is there; the next one's sum: 0. */
static inline __attribute__((always_inline)) floats sink_add(struct sink * s, int b, int c, floats sum) {
    float * at = s->out + c * s->out_stride;
    const floats before = s->begin && b < SUPER_BLOCKS ? f_zero() : f_load(at);
    f_store(at, f_multiply_add(sum, f_all(s->sides[b].scale[c]), before));
    return f_zero();
}

/* Block b is complete. `second` is the scale of its second half, where halves have one. */
KERNEL sink_end(struct sink * s, int b, int which, floats scale, floats second, floats minimum) {
    const struct kind kind = s->kind;
    if (s->panel) {
        f_store(s->panel->scales[b][0][s->v], scale);
        if (kind.halves) { f_store(s->panel->scales[b][1][s->v], second); }
        if (kind.minima && !kind.wide) { f_store(s->panel->minima[b][s->v], minimum); }
        return;
    }
    UNROLL(2) for (int c = 0; c < s->columns; c++) {
        const struct side * side = s->sides + b;
        const floats of_column = f_all(side->scale[c]);
        floats sum = s->sums[c];
        if (kind.halves) {
            sum = f_multiply_add(f_of_ints(s->dots[which][0][c]), scale, sum);
            sum = f_multiply_add(f_of_ints(s->dots[which][1][c]), second, sum);
        } else {
            const ints dots = i_add32(s->dots[which][0][c], s->dots[which][1][c]);
            sum = f_multiply_add(f_of_ints(dots), kind.wide ? scale : f_mul(scale, of_column), sum);
        }
        if (kind.minima && !kind.wide) { sum = f_multiply_add(minimum, f_all(side->sum[c]), sum); }
        if (kind.wide && !kind.minima && b % SUPER_BLOCKS == SUPER_BLOCKS - 1) { sum = sink_add(s, b, c, sum); }
        s->sums[c] = sum;
    }
}

/* The super-block that starts with block b is complete. */
KERNEL sink_super_end(struct sink * s, int b, const ints minima[SUPER_PAIRS], floats minimum) {
    if (s->panel) {
        f_store(s->panel->minima[b][s->v], minimum);
        UNROLL(4) for (int i = 0; i < SUPER_PAIRS; i++) {
            i_store(&s->panel->minima_of_pairs[b / 2 + i][s->v], minima[i]);
        }
        return;
    }
    UNROLL(2) for (int c = 0; c < s->columns; c++) {
        ints below = i_zero();
        UNROLL(4) for (int i = 0; i < SUPER_PAIRS; i++) {
            below = DOT2(below, minima[i], four_of((const int8_t *) s->sides[b + i].sums[c]));
        }
        const floats sum = f_multiply_add(f_of_ints(below), minimum, s->sums[c]);
        s->sums[c] = sink_add(s, b + SUPER_BLOCKS - 1, c, sum);
    }
}
