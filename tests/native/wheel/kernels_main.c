/* Multiplies what comes on stdin by the kernels alone, without ggml, so that sanitizers see all of it.

   stdin: the type's number in `types`, weight rows, blocks of a row, columns (int32 each); weights; activations.
   stdout: of each column, a float for each weight row. Rows beyond the last whole tile are left out. */
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>

static const struct weight_type * const types[] = {
    &type_q4_0, &type_q4_1, &type_q5_0,   &type_q5_1, &type_q8_0,
    &type_q4_K, &type_q5_K, &type_q6_K, &type_iq4_nl, &type_iq4_xs,
};

/* Exactly as long as it must be: a byte read too far is found. */
static void * filled(size_t size) {
    void * memory = malloc(size);
    if (!memory || fread(memory, 1, size, stdin) != size) { exit(2); }
    return memory;
}

static struct panel * new_panel(void) {
    struct panel * panel = aligned_alloc(64, sizeof(struct panel));
    memset(panel, 0xff, sizeof(*panel));
    return panel;
}

/* One group of columns with all rows: as a reply is multiplied where they are few, else as a prompt. */
static void multiply(const struct weight_type * type, const char * weights, int n_rows, int blocks, int columns,
                     const float * x, float * out) {
    const size_t stride = (size_t) blocks / type->format.blocks * type->block_size;
    const struct activation_format format = format_for(type, columns);
    int8_t * activations = malloc((size_t) blocks * block_bytes(format) * columns);
    struct side * sides = malloc(blocks * sizeof(struct side));
    memset(sides, 0xff, blocks * sizeof(struct side));
    for (int c = 0; c < columns; c++) {
        for (int b = 0; b < blocks; b += type->format.blocks) {
            quantize_activations(x + ((size_t) c * blocks + b) * BLOCK, format, columns, c,
                                 activations + (size_t) b * block_bytes(format) * columns, sides + b);
        }
    }
    struct panel * panel = new_panel();
    for (int row = 0; row + TILE_ROWS <= n_rows; row += TILE_ROWS) {
        if (columns <= FEW_COLUMNS) {
            for (int v = 0; v < TILE_VECTORS; v++) {
                multiply_few(type, weights + (row + v * LANES) * stride, stride, blocks, columns, activations, sides,
                             out + row + v * LANES, n_rows);
            }
            continue;
        }
        for (int b = 0; b < blocks; b += CHUNK_BLOCKS) {
            const int n = blocks - b < CHUNK_BLOCKS ? blocks - b : CHUNK_BLOCKS;
            const char * at = weights + row * stride + b / type->format.blocks * type->block_size;
            unpack_panel(type, (struct packed) { at, stride, 0 }, n, panel);
            type->multiply[columns - 1](n, panel, activations + (size_t) b * block_bytes(format) * columns, sides + b,
                                        out + row, n_rows, b == 0);
        }
    }
    free(panel);
    free(sides);
    free(activations);
}

int main(void) {
    int32_t head[4]; /* type, rows, blocks, columns */
    while (fread(head, sizeof(head), 1, stdin) == 1) {
        const struct weight_type * type = types[head[0]];
        const int n_rows = head[1], blocks = head[2], columns = head[3];
        char * weights = filled((size_t) n_rows * blocks / type->format.blocks * type->block_size);
        float * x = filled((size_t) columns * blocks * BLOCK * sizeof(float));
        float * out = calloc((size_t) columns * n_rows, sizeof(float));
        for (int c = 0; c < columns; c += TILE_COLUMNS) {
            const int group = columns - c < TILE_COLUMNS ? columns - c : TILE_COLUMNS;
            multiply(type, weights, n_rows, blocks, group, x + (size_t) c * blocks * BLOCK, out + (size_t) c * n_rows);
        }
        fwrite(out, sizeof(float), (size_t) columns * n_rows, stdout);
        free(out);
        free(x);
        free(weights);
    }
    return 0;
}
