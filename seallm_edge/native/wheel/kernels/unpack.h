/* Weights of each type, unpacked: into a panel, or multiplied as they come (see sink.h). ref: ggml-quants.c,
   dequantize_row_* */
#define LOW_NIBBLES i_all8(15)

static inline ints low_nibbles(ints v) { return i_and(v, LOW_NIBBLES); }
static inline ints high_nibbles(ints v) { return i_and(i_shift_right(v, 4), LOW_NIBBLES); }

/* The weights of every second block: where bytes are multiplied at full width, 16 times as large, and their scale
   smaller. */
#ifdef DOT4
#define ODD_SCALE 0.0625f
static inline ints odd_nibbles(ints v) { return i_and(v, i_all8((char) 0xf0)); }
#else
#define ODD_SCALE 1.0f
static inline ints odd_nibbles(ints v) { return high_nibbles(v); }
#endif

/* Byte i of each lane, with its sign or without. */
static inline ints byte_of(ints v, int i) {
    return i == 3 ? i_shift_right(v, 24) : i_and(i_shift_right(v, 8 * i), i_all32(255));
}
static inline ints signed_byte_of(ints v, int i) { return i_shift_right_signed(i_shift_left(v, 24 - 8 * i), 24); }

/* Ask for the 64 bytes and more at `offset` of each row, of what is wanted next. */
KERNEL prefetch(struct packed from, size_t offset) {
    UNROLL(16) for (int r = 0; r < LANES; r++) {
        _mm_prefetch(from.rows + r * from.stride + offset + from.ahead, _MM_HINT_T0);
    }
}

/* Types of blocks of 32 with a scale, perhaps a minimum, and perhaps a fifth bit of each weight. */
KERNEL unpack_nibbles(struct packed from, int blocks, struct sink * sink, size_t size, bool minimum, bool fifth_bit,
                      const int8_t * table) {
    const ints values = table ? i_xor(i_every16(table), i_all8((char) ZERO_POINT_8_BITS)) : i_zero();
    for (int b = 0; b < blocks; b++, from.rows += size) {
        ints head[4], packed[4];
        if (b % 2 == 0) { prefetch(from, 0); }
        transpose16(from.rows, from.stride, head);
        transpose16(from.rows + size - 16, from.stride, packed);
        const floats scale = f_of_low_halves(head[0]);
        const floats lowest = minimum ? f_of_low_halves(i_shift_right(head[0], 16)) : f_zero();
        const ints bits = minimum ? head[1] : i_or(i_shift_right(head[0], 16), i_shift_left(head[1], 16));
        sink_begin(sink, b, 1);
        UNROLL(8) for (int q = 0; q < QUADS; q++) {
            ints weights = q < 4 ? low_nibbles(packed[q]) : high_nibbles(packed[q - 4]);
            if (table) { weights = i_table(values, weights); }
            if (fifth_bit) {
                /* bits 4 * q to 4 * q + 3 become the lowest bit of each byte */
                const ints four = i_and(q ? i_shift_right(bits, 4 * q) : bits, i_all32(15));
                const ints two = i_and(i_or(four, i_shift_left(four, 14)), i_all32(0x00030003));
                const ints one = i_and(i_or(two, i_shift_left(two, 7)), i_all32(0x01010101));
                weights = i_or(weights, i_shift_left(one, 4));
            }
            sink_weights(sink, b, 0, q, weights);
        }
        sink_end(sink, b, 0, scale, scale, lowest);
    }
}

KERNEL unpack_q4_0(struct packed from, int blocks, struct sink * sink) {
    unpack_nibbles(from, blocks, sink, sizeof(block_of_q4_0), false, false, NULL);
}
KERNEL unpack_q4_1(struct packed from, int blocks, struct sink * sink) {
    unpack_nibbles(from, blocks, sink, sizeof(block_of_q4_1), true, false, NULL);
}
KERNEL unpack_q5_0(struct packed from, int blocks, struct sink * sink) {
    unpack_nibbles(from, blocks, sink, sizeof(block_of_q5_0), false, true, NULL);
}
KERNEL unpack_q5_1(struct packed from, int blocks, struct sink * sink) {
    unpack_nibbles(from, blocks, sink, sizeof(block_of_q5_1), true, true, NULL);
}

/* ref: ggml-common.h, kvalues_iq4nl */
static const int8_t iq4_table[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

KERNEL unpack_iq4_nl(struct packed from, int blocks, struct sink * sink) {
    unpack_nibbles(from, blocks, sink, sizeof(block_of_iq4_nl), false, false, iq4_table);
}

KERNEL unpack_q8_0(struct packed from, int blocks, struct sink * sink) {
    for (int b = 0; b < blocks; b++, from.rows += sizeof(block_of_q8_0)) {
        ints head[4];
        if (b % 2 == 0) { prefetch(from, 0); }
        transpose16(from.rows, from.stride, head);
        const floats scale = f_of_low_halves(head[0]);
        sink_begin(sink, b, 1);
        ints quads[QUADS];
        transpose32(from.rows + offsetof(block_of_q8_0, quants), from.stride, quads);
        UNROLL(8) for (int q = 0; q < QUADS; q++) {
            sink_weights(sink, b, 0, q, i_xor(quads[q], i_all8((char) ZERO_POINT_8_BITS)));
        }
        sink_end(sink, b, 0, scale, scale, f_zero());
    }
}

/* Scales and minima of the 8 blocks of a super-block: 8 times 6 bits each, behind two 16-bit floats.
   ref: ggml-quants.c, get_scale_min_k4 */
struct k4_scales {
    ints scales[2];  /* of four blocks each, a byte a block */
    ints minima[4];  /* of blocks 0 and 2, 1 and 3, 4 and 6, 5 and 7: 16 bits each */
    floats scale, odd_scale, minimum;
};

static inline struct k4_scales k4_scales_of(struct packed from) {
    ints head[4];
    transpose16(from.rows, from.stride, head);
    const ints six_bits = i_all8(63), low = LOW_NIBBLES, two_bits = i_all8(48), low_bytes = i_all32(0x00ff00ff);
    const ints minima0 = i_and(head[2], six_bits);
    const ints minima1 = i_or(i_and(i_shift_right(head[3], 4), low), i_and(i_shift_right(head[2], 2), two_bits));
    const floats scale = f_of_low_halves(head[0]);
    return (struct k4_scales) {
        { i_and(head[1], six_bits), i_or(i_and(head[3], low), i_and(i_shift_right(head[1], 2), two_bits)) },
        { i_and(minima0, low_bytes), i_and(i_shift_right(minima0, 8), low_bytes),
          i_and(minima1, low_bytes), i_and(i_shift_right(minima1, 8), low_bytes) },
        scale, f_mul(scale, f_all(ODD_SCALE)), f_mul(f_of_low_halves(i_shift_right(head[0], 16)), f_all(-1.0f)),
    };
}

KERNEL sink_k4_end(struct sink * sink, int b, int which, const struct k4_scales * k, int block, floats of_all) {
    const floats scale = f_mul(of_all, f_of_ints(byte_of(k->scales[block / 4], block % 4)));
    sink_end(sink, b, which, scale, scale, f_zero());
}

/* Types of super-blocks with minima, perhaps with a fifth bit of each weight: bits 0 to 7 of a byte are of blocks 0
   to 7. */
KERNEL unpack_k4(struct packed from, int blocks, struct sink * sink, size_t size, bool fifth_bit) {
    const ints fifth = i_all8(16);
    const size_t fifth_at = offsetof(block_of_q5_K, fifth_bits);
    const size_t quants_at = fifth_bit ? offsetof(block_of_q5_K, quants) : offsetof(block_of_q4_K, quants);
    for (int b = 0; b < blocks; b += SUPER_BLOCKS, from.rows += size) {
        const struct k4_scales k = k4_scales_of(from);
        ints bits[QUADS];
        if (fifth_bit) { transpose32(from.rows + fifth_at, from.stride, bits); }
        UNROLL(4) for (int j = 0; j < SUPER_BLOCKS; j += 2) { /* 32 bytes: of two blocks */
            ints packed[QUADS];
            if (j < 6) { prefetch(from, 32 * j); }
            transpose32(from.rows + quants_at + 16 * j, from.stride, packed);
            sink_begin(sink, b + j, 2);
            UNROLL(8) for (int q = 0; q < QUADS; q++) {
                ints first = low_nibbles(packed[q]);
                ints second = fifth_bit ? high_nibbles(packed[q]) : odd_nibbles(packed[q]);
                if (fifth_bit) {
                    const ints h = bits[q];
                    const ints of_first = j < 4 ? i_shift_left(h, 4 - j) : i_shift_right(h, j - 4);
                    const ints of_second = j < 3 ? i_shift_left(h, 3 - j) : i_shift_right(h, j - 3);
                    first = i_or(first, i_and(of_first, fifth));
                    second = i_or(second, i_and(of_second, fifth));
                }
                sink_weights(sink, b + j, 0, q, first);
                sink_weights(sink, b + j + 1, 1, q, second);
            }
            sink_k4_end(sink, b + j, 0, &k, j, k.scale);
            sink_k4_end(sink, b + j + 1, 1, &k, j + 1, fifth_bit ? k.scale : k.odd_scale);
        }
        sink_super_end(sink, b, k.minima, k.minimum);
    }
}

KERNEL unpack_q4_K(struct packed from, int blocks, struct sink * sink) {
    unpack_k4(from, blocks, sink, sizeof(block_of_q4_K), false);
}
KERNEL unpack_q5_K(struct packed from, int blocks, struct sink * sink) {
    unpack_k4(from, blocks, sink, sizeof(block_of_q5_K), true);
}

/* 0 is stored as 32. */
KERNEL unpack_q6_K(struct packed from, int blocks, struct sink * sink) {
    const ints two_bits = i_all8(48);
    for (int b = 0; b < blocks; b += SUPER_BLOCKS, from.rows += sizeof(block_of_q6_K)) {
        ints scales[4], last[4];
        transpose16(from.rows + offsetof(block_of_q6_K, scales), from.stride, scales);
        transpose16(from.rows + sizeof(block_of_q6_K) - 16, from.stride, last);
        const floats scale = f_of_low_halves(i_shift_right(last[3], 16));
        UNROLL(2) for (int n = 0; n < 2; n++) { /* four blocks */
            const size_t low_at = offsetof(block_of_q6_K, low) + 64 * n;
            const size_t high_at = offsetof(block_of_q6_K, high) + 32 * n;
            sink_begin(sink, b + 4 * n, 4);
            ints low0[QUADS], low1[QUADS], high[QUADS];
            prefetch(from, 128 * n);
            transpose32(from.rows + low_at, from.stride, low0);
            transpose32(from.rows + low_at + 32, from.stride, low1);
            prefetch(from, 128 * n + 64);
            transpose32(from.rows + high_at, from.stride, high);
            UNROLL(8) for (int q = 0; q < QUADS; q++) {
                const ints h = high[q];
                const int at = b + 4 * n;
                sink_weights(sink, at, 0, q, i_or(low_nibbles(low0[q]), i_and(i_shift_left(h, 4), two_bits)));
                sink_weights(sink, at + 1, 1, q, i_or(low_nibbles(low1[q]), i_and(i_shift_left(h, 2), two_bits)));
                sink_weights(sink, at + 2, 2, q, i_or(high_nibbles(low0[q]), i_and(h, two_bits)));
                sink_weights(sink, at + 3, 3, q, i_or(high_nibbles(low1[q]), i_and(i_shift_right(h, 2), two_bits)));
            }
            UNROLL(4) for (int j = 0; j < 4; j++) {
                const ints four = scales[2 * n + j / 2]; /* of two blocks */
                const floats first = f_mul(scale, f_of_ints(signed_byte_of(four, 2 * (j % 2))));
                const floats second = f_mul(scale, f_of_ints(signed_byte_of(four, 2 * (j % 2) + 1)));
                sink_end(sink, b + 4 * n + j, j, first, second, f_zero());
            }
        }
    }
}

KERNEL unpack_iq4_xs(struct packed from, int blocks, struct sink * sink) {
    const ints values = i_xor(i_every16(iq4_table), i_all8((char) ZERO_POINT_8_BITS));
    for (int b = 0; b < blocks; b += SUPER_BLOCKS, from.rows += sizeof(block_of_iq4_xs)) {
        ints first[4];
        transpose16(from.rows, from.stride, first);
        const ints head = first[0], low = first[1]; /* a 16-bit float and 8 times 2 bits; 8 times 4 bits */
        const floats scale = f_of_low_halves(head);
        UNROLL(8) for (int j = 0; j < SUPER_BLOCKS; j++) {
            const ints four = i_and(j ? i_shift_right(low, 4 * j) : low, i_all32(15));
            const ints two = i_and(i_shift_right(head, 12 + 2 * j), i_all32(48));
            const floats of_block = f_mul(scale, f_of_ints(i_add32(i_or(four, two), i_all32(-32))));
            ints packed[4];
            if (j % 3 == 0) { prefetch(from, 64 * (j / 3)); }
            transpose16(from.rows + offsetof(block_of_iq4_xs, quants) + 16 * j, from.stride, packed);
            sink_begin(sink, b + j, 1);
            UNROLL(4) for (int q = 0; q < 4; q++) {
                sink_weights(sink, b + j, 0, q, i_table(values, low_nibbles(packed[q])));
                sink_weights(sink, b + j, 0, 4 + q, i_table(values, high_nibbles(packed[q])));
            }
            sink_end(sink, b + j, 0, of_block, of_block, f_zero());
        }
    }
}
