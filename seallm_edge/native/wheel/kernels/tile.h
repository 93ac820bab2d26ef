/* Products of a panel with the activations of a group: TILE_ROWS weight rows times up to TILE_COLUMNS columns, whose
   sums stay in registers. Whatever the number of columns or threads, a sum is added up in the same order. */
#ifndef DOT4
/* A sum, in its register: a compiler must not add up elsewhere first, which takes more registers than there are. */
static inline ints i_kept(ints v) {
    __asm__("" : "+x"(v));
    return v;
}
#endif

/* Add `quads` quads of a block to the sums: from quad `first` on. `bits` are those of a weight. */
KERNEL multiply_quads(const int columns, const int bits, const int quads, const int8_t * w, const int8_t * x,
                      ints sums[TILE_VECTORS][TILE_COLUMNS]) {
#ifdef DOT4
    UNROLL(8) for (int q = 0; q < quads; q++, w += TILE_ROWS * 4, x += QUAD_BYTES * columns) {
        const ints w0 = i_load(w), w1 = i_load(w + 4 * LANES);
        UNROLL(8) for (int c = 0; c < columns; c++) {
            const ints four = quad_of(x + QUAD_BYTES * c);
            sums[0][c] = DOT4(sums[0][c], w0, four);
            sums[1][c] = DOT4(sums[1][c], w1, four);
        }
    }
    (void) bits;
#else
    const ints ones = i_all16(1);
    if (bits == 8 && PAIRS) {
        UNROLL(16) for (int p = 0; p < 2 * quads; p++, w += TILE_ROWS * 4, x += QUAD_BYTES * columns) {
            const ints w0 = i_load(w), w1 = i_load(w + 4 * LANES);
            UNROLL(8) for (int c = 0; c < columns; c++) {
                const ints two = quad_of(x + QUAD_BYTES * c);
                sums[0][c] = i_kept(i_add32(sums[0][c], i_pairs_to_lanes(w0, two)));
                sums[1][c] = i_kept(i_add32(sums[1][c], i_pairs_to_lanes(w1, two)));
            }
        }
        return;
    }
    if (bits == 8) { /* weights without their sign, which the activations take */
        UNROLL(8) for (int q = 0; q < quads; q++, w += TILE_ROWS * 4, x += QUAD_BYTES * columns) {
            const ints w0 = i_load(w), w1 = i_load(w + 4 * LANES), size0 = i_sign8(w0, w0), size1 = i_sign8(w1, w1);
            UNROLL(8) for (int c = 0; c < columns; c++) {
                const ints four = quad_of(x + QUAD_BYTES * c);
                const ints pairs0 = i_bytes_to_pairs(size0, i_sign8(four, w0));
                const ints pairs1 = i_bytes_to_pairs(size1, i_sign8(four, w1));
                sums[0][c] = i_kept(i_add32(sums[0][c], i_pairs_to_lanes(pairs0, ones)));
                sums[1][c] = i_kept(i_add32(sums[1][c], i_pairs_to_lanes(pairs1, ones)));
            }
        }
        return;
    }
    /* as many products as fit in 16 bits: 2 * (2^bits - 1) * 127 each */
    const int most = bits == 4 ? 8 : bits == 5 ? 4 : 2, chain = most < quads ? most : quads;
    UNROLL(4) for (int q = 0; q < quads; q += chain) {
        ints pairs[TILE_VECTORS][TILE_COLUMNS];
        UNROLL(8) for (int i = 0; i < chain; i++, w += TILE_ROWS * 4, x += QUAD_BYTES * columns) {
            const ints w0 = i_load(w), w1 = i_load(w + 4 * LANES);
            UNROLL(8) for (int c = 0; c < columns; c++) {
                const ints four = quad_of(x + QUAD_BYTES * c);
                const ints pairs0 = i_bytes_to_pairs(w0, four), pairs1 = i_bytes_to_pairs(w1, four);
                pairs[0][c] = i ? i_kept(i_add16(pairs[0][c], pairs0)) : pairs0;
                pairs[1][c] = i ? i_kept(i_add16(pairs[1][c], pairs1)) : pairs1;
            }
        }
        UNROLL(8) for (int c = 0; c < columns; c++) {
            sums[0][c] = i_add32(sums[0][c], i_pairs_to_lanes(pairs[0][c], ones));
            sums[1][c] = i_add32(sums[1][c], i_pairs_to_lanes(pairs[1][c], ones));
        }
    }
#endif
}

/* Add the products of `blocks` blocks to `out`: of column c, TILE_ROWS numbers at out + c * out_stride; `begin` where
   nothing is there yet. */
KERNEL multiply_tile(const int columns, const struct kind kind, int blocks, const struct panel * panel,
                     const int8_t * x, const struct side * sides, float * out, size_t out_stride, bool begin) {
    const bool halves = kind.halves, wide = kind.wide;
    const int words = PAIRS && kind.bits == 8 ? 2 : 1; /* of a quad */
    floats sums[TILE_VECTORS][TILE_COLUMNS];
    UNROLL(8) for (int c = 0; c < columns; c++) {
        UNROLL(2) for (int v = 0; v < TILE_VECTORS; v++) {
            sums[v][c] = wide || begin ? f_zero() : f_load(out + c * out_stride + v * LANES);
        }
    }
    for (int b = 0; b < blocks; b++, sides++, x += words * BLOCK_BYTES * columns) {
        for (int half = 0; half < (halves ? 2 : 1); half++) {
            const int quads = halves ? QUADS / 2 : QUADS;
            ints dots[TILE_VECTORS][TILE_COLUMNS];
            UNROLL(8) for (int c = 0; c < columns; c++) {
                dots[0][c] = dots[1][c] = i_all32(sides->start[half][c]);
            }
            const int8_t * weights = panel->weights[b][half * quads][0];
            const int8_t * activations = x + half * quads * QUAD_BYTES * columns;
            if (2 * columns <= TILE_COLUMNS) { /* few sums wait for one another: two of each, of half the quads */
                ints more[TILE_VECTORS][TILE_COLUMNS];
                UNROLL(8) for (int c = 0; c < columns; c++) { more[0][c] = more[1][c] = i_zero(); }
                multiply_quads(columns, kind.bits, quads / 2, weights, activations, dots);
                multiply_quads(columns, kind.bits, quads / 2, weights + words * quads / 2 * 4 * TILE_ROWS,
                               activations + words * quads / 2 * QUAD_BYTES * columns, more);
                UNROLL(8) for (int c = 0; c < columns; c++) {
                    dots[0][c] = i_add32(dots[0][c], more[0][c]);
                    dots[1][c] = i_add32(dots[1][c], more[1][c]);
                }
            } else {
                multiply_quads(columns, kind.bits, quads, weights, activations, dots);
            }
            const floats scale0 = f_load(panel->scales[b][half][0]), scale1 = f_load(panel->scales[b][half][1]);
            UNROLL(8) for (int c = 0; c < columns; c++) {
                const floats of_column = f_all(sides->scale[c]);
                const floats both0 = wide ? scale0 : f_mul(scale0, of_column);
                const floats both1 = wide ? scale1 : f_mul(scale1, of_column);
                sums[0][c] = f_multiply_add(f_of_ints(dots[0][c]), both0, sums[0][c]);
                sums[1][c] = f_multiply_add(f_of_ints(dots[1][c]), both1, sums[1][c]);
            }
        }
        if (kind.minima && !wide) {
            const floats minimum0 = f_load(panel->minima[b][0]), minimum1 = f_load(panel->minima[b][1]);
            UNROLL(8) for (int c = 0; c < columns; c++) {
                const floats sum = f_all(sides->sum[c]);
                sums[0][c] = f_multiply_add(minimum0, sum, sums[0][c]);
                sums[1][c] = f_multiply_add(minimum1, sum, sums[1][c]);
            }
        }
        if (wide && b % SUPER_BLOCKS == SUPER_BLOCKS - 1) {
            const int with_minima = kind.minima ? columns : 0;
            UNROLL(8) for (int c = 0; c < with_minima; c++) {
                UNROLL(2) for (int v = 0; v < TILE_VECTORS; v++) {
                    ints below = i_zero();
                    UNROLL(4) for (int i = 0; i < SUPER_PAIRS; i++) {
                        below = DOT2(below, panel->minima_of_pairs[(b + 1) / 2 - SUPER_PAIRS + i][v],
                                     four_of((const int8_t *) sides[i + 1 - SUPER_BLOCKS].sums[c]));
                    }
                    sums[v][c] = f_multiply_add(
                        f_of_ints(below), f_load(panel->minima[b + 1 - SUPER_BLOCKS][v]), sums[v][c]);
                }
            }
            UNROLL(8) for (int c = 0; c < columns; c++) {
                const floats of_column = f_all(sides->scale[c]);
                UNROLL(2) for (int v = 0; v < TILE_VECTORS; v++) {
                    float * at = out + c * out_stride + v * LANES;
                    const floats before = begin && b < SUPER_BLOCKS ? f_zero() : f_load(at);
                    f_store(at, f_multiply_add(sums[v][c], of_column, before));
                    sums[v][c] = f_zero();
                }
            }
        }
    }
    if (!wide) {
        UNROLL(8) for (int c = 0; c < columns; c++) {
            UNROLL(2) for (int v = 0; v < TILE_VECTORS; v++) { f_store(out + c * out_stride + v * LANES, sums[v][c]); }
        }
    }
}

typedef void (*multiplier)(int blocks, const struct panel * panel, const int8_t * x, const struct side * sides,
                           float * out, size_t out_stride, bool begin);

#define MULTIPLIER(name, columns)                                                                                      \
    static void multiply_##name##_##columns(int blocks, const struct panel * panel, const int8_t * x,                  \
                                            const struct side * sides, float * out, size_t stride, bool begin) {       \
        multiply_tile(columns, kind_##name, blocks, panel, x, sides, out, stride, begin);                              \
    }
#if TILE_COLUMNS == 6
#define MORE_MULTIPLIERS(name) MULTIPLIER(name, 5) MULTIPLIER(name, 6)
#define MORE_OF(name) multiply_##name##_5, multiply_##name##_6
#else
#define MORE_MULTIPLIERS(name)
#define MORE_OF(name)
#endif
#define MULTIPLIERS(name, ...)                                                                                         \
    static const struct kind kind_##name = { __VA_ARGS__ };                                                            \
    MULTIPLIER(name, 1) MULTIPLIER(name, 2) MULTIPLIER(name, 3) MULTIPLIER(name, 4) MORE_MULTIPLIERS(name)             \
    static const multiplier multiply_##name[TILE_COLUMNS] = {                                                          \
        multiply_##name##_1, multiply_##name##_2, multiply_##name##_3, multiply_##name##_4, MORE_OF(name)              \
    };

/*          name, bits, halves, minima, wide */
MULTIPLIERS(4_bits, 4, false, false, false)
MULTIPLIERS(5_bits, 5, false, false, false)
MULTIPLIERS(8_bits, 8, false, false, false)
MULTIPLIERS(4_bits_minima, 4, false, true, false)
MULTIPLIERS(5_bits_minima, 5, false, true, false)
MULTIPLIERS(4_bits_minima_wide, 4, false, true, true)
MULTIPLIERS(5_bits_minima_wide, 5, false, true, true)
MULTIPLIERS(6_bits_halves_wide, 6, true, false, true)
MULTIPLIERS(8_bits_wide, 8, false, false, true)
