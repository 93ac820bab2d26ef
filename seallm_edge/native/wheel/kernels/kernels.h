/* Products of quantized weights with any number of activations, for the processor that this is compiled for. Needs
   nothing of ggml. See docs/kernels.md. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Each needs those before it. */
// clang-format off
#include "vectors.h"
#include "blocks.h"
#include "panel.h"
#include "activations.h"
#include "sink.h"
#include "tile.h"
#include "unpack.h"
// clang-format on

/* The kernels of a type of weights. */
struct weight_type {
    size_t block_size; /* bytes */
    struct activation_format format;
    /* a panel, with as many columns as the place in the list says */
    const multiplier * multiply;
    void (*unpack)(struct packed from, int blocks, struct panel * panel, int v);
    /* `blocks` blocks of LANES rows at once, with a few columns, added to `out` */
    void (*few[FEW_COLUMNS])(struct packed from, int blocks, const int8_t * x, const struct side * sides, float * out,
                             size_t out_stride, bool begin);
};

#define FEW(type, how, n)                                                                                              \
    static void few_##type##_##n(struct packed from, int blocks, const int8_t * x, const struct side * sides,          \
                                 float * out, size_t out_stride, bool begin) {                                         \
        struct sink sink = { .kind = kind_##how, .columns = n, .x = x, .sides = sides, .out = out,                     \
                             .out_stride = out_stride, .begin = begin };                                               \
        sink_open(&sink);                                                                                              \
        unpack_##type(from, blocks, &sink);                                                                            \
        sink_close(&sink);                                                                                             \
    }
#define WEIGHT_TYPE(type, how, super, zero_point, halves, pairs)                                                       \
    static void unpack_panel_##type(struct packed from, int blocks, struct panel * panel, int v) {                     \
        struct sink sink = { .kind = kind_##how, .panel = panel, .v = v };                                             \
        unpack_##type(from, blocks, &sink);                                                                            \
    }                                                                                                                  \
    FEW(type, how, 1)                                                                                                  \
    FEW(type, how, 2)                                                                                                  \
    static const struct weight_type type_##type = {                                                                    \
        sizeof(block_of_##type), { super, zero_point, halves, pairs }, multiply_##how, unpack_panel_##type,            \
        { few_##type##_1, few_##type##_2 },                                                                            \
    };

/*      type, how it is multiplied, blocks with one scale of activations, zero point, whether halves have scales, and
        whether panels have pairs */
WEIGHT_TYPE(q4_0, 4_bits, 1, 8, false, false)
WEIGHT_TYPE(q4_1, 4_bits_minima, 1, 0, false, false)
WEIGHT_TYPE(q5_0, 5_bits, 1, 16, false, false)
WEIGHT_TYPE(q5_1, 5_bits_minima, 1, 0, false, false)
WEIGHT_TYPE(q8_0, 8_bits, 1, ZERO_POINT_8_BITS, false, PAIRS)
WEIGHT_TYPE(iq4_nl, 8_bits, 1, ZERO_POINT_8_BITS, false, PAIRS)
WEIGHT_TYPE(q4_K, 4_bits_minima_wide, SUPER_BLOCKS, 0, false, false)
WEIGHT_TYPE(q5_K, 5_bits_minima_wide, SUPER_BLOCKS, 0, false, false)
WEIGHT_TYPE(q6_K, 6_bits_halves_wide, SUPER_BLOCKS, 32, true, false)
WEIGHT_TYPE(iq4_xs, 8_bits_wide, SUPER_BLOCKS, ZERO_POINT_8_BITS, false, PAIRS)

/* What is wanted next lies this many chunks ahead, where weights are read once only: a processor's own prefetching is
   too late by then. */
#define CHUNKS_AHEAD 2

/* How `columns` activations are quantized: few are multiplied without a panel. */
static inline struct activation_format format_for(const struct weight_type * type, int64_t columns) {
    struct activation_format format = type->format;
    format.pairs = format.pairs && columns > FEW_COLUMNS;
    return format;
}

/* Bytes of a block of quantized activations of a column. */
static inline int64_t block_bytes(struct activation_format format) {
    return format.pairs ? 2 * BLOCK_BYTES : BLOCK_BYTES;
}

/* The two vectors of a panel. */
static void unpack_panel(const struct weight_type * type, struct packed from, int blocks, struct panel * panel) {
    for (int v = 0; v < TILE_VECTORS; v++, from.rows += LANES * from.stride) { type->unpack(from, blocks, panel, v); }
}

/* LANES rows of `blocks` blocks with `columns` columns, which are few. */
static void multiply_few(const struct weight_type * type, const char * rows, size_t stride, int64_t blocks, int columns,
                         const int8_t * activations, const struct side * sides, float * out, size_t out_stride) {
    const size_t chunk = CHUNK_BLOCKS / type->format.blocks * type->block_size;
    struct packed from = { rows, stride, (ptrdiff_t) (CHUNKS_AHEAD * chunk) };
    for (int64_t b = 0; b < blocks; b += CHUNK_BLOCKS, from.rows += chunk) {
        const int64_t left = blocks - b;
        if (left <= CHUNKS_AHEAD * CHUNK_BLOCKS) { /* the next rows */
            const int64_t chunks = (left + CHUNK_BLOCKS - 1) / CHUNK_BLOCKS;
            from.ahead = rows + LANES * stride + (CHUNKS_AHEAD - chunks) * chunk - from.rows;
        }
        type->few[columns - 1](from, (int) (left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS),
                                  activations + b * BLOCK_BYTES * columns, sides + b, out, out_stride, b == 0);
    }
}
