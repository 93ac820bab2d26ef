/* ggml's matrix multiplication with quantized weights, by kernels.h: dealt out to the threads of a pool, in ggml's
   working memory. Compiled once for each kind of processor. See docs/kernels.md. */
#include "hooks.h"

#include "ggml-cpu-impl.h"
#include "ggml-impl.h"

#include <stdlib.h>
#include <string.h>

#ifdef SEALLM_KERNELS
#include "kernels.h"

/* Weight rows for which a thread comes back: as many as deal the work out evenly, because a stream that breaks off
   is read more slowly. */
#define MOST_WEIGHT_ROWS 192
#define CHUNKS_A_THREAD 4
/* Panels that pass by the activations together, which then come from a farther cache less often; of few activations
   one. */
#define MOST_PANELS 4
#define FEW_GROUPS 4

static bool is_off;

__attribute__((constructor)) static void read_environment(void) {
    const char * kernels = getenv("SEALLM_KERNELS");
    is_off = kernels && strcmp(kernels, "off") == 0;
}

int seallm_has_kernels(void) { return !is_off; }

static const struct weight_type * weight_type_of(enum ggml_type type) {
    switch (type) {
        case GGML_TYPE_Q4_0: return &type_q4_0;
        case GGML_TYPE_Q4_1: return &type_q4_1;
        case GGML_TYPE_Q5_0: return &type_q5_0;
        case GGML_TYPE_Q5_1: return &type_q5_1;
        case GGML_TYPE_Q8_0: return &type_q8_0;
        case GGML_TYPE_Q4_K: return &type_q4_K;
        case GGML_TYPE_Q5_K: return &type_q5_K;
        case GGML_TYPE_Q6_K: return &type_q6_K;
        case GGML_TYPE_IQ4_NL: return &type_iq4_nl;
        case GGML_TYPE_IQ4_XS: return &type_iq4_xs;
        default: return NULL;
    }
}

static bool has_kernel(const struct ggml_tensor * dst) {
    const struct ggml_tensor * weights = dst->src[0], * input = dst->src[1];
    return !is_off && weight_type_of(weights->type) && input->type == GGML_TYPE_F32 && ggml_nrows(input) == input->ne[1]
        && ggml_nrows(weights) == weights->ne[1] && ggml_is_contiguous(weights) && input->nb[0] == sizeof(float)
        && dst->nb[0] == sizeof(float) && input->ne[1] > 0;
}

/* What a thread has for itself. */
struct own {
    struct panel panels[MOST_PANELS];
    char rows[TILE_ROWS][CHUNK_BLOCKS * sizeof(block_of_q8_0)]; /* the last rows, where they fill no tile */
    float out[TILE_COLUMNS][TILE_ROWS];
} __attribute__((aligned(64)));

/* Which activations are quantized already: several multiplications in a row have the same input. */
struct quantized {
    const struct ggml_tensor * input;
    struct activation_format how;
} __attribute__((aligned(64)));

/* The parts of working memory, at its end: other operations use the beginning, and what is quantized stays. Columns are
   dealt out to groups of nearly the same size. */
struct layout {
    int64_t columns, groups, blocks; /* groups of columns; blocks of a column */
    struct activation_format format;
    struct quantized * quantized;
    struct own * own;      /* of each thread */
    struct side * sides;   /* of each group, `blocks` */
    int8_t * activations;  /* of each group, `blocks` for each of its columns */
};

static char * last_line(char * end) { return (char *) ((uintptr_t) end & ~(uintptr_t) 63); }

static struct layout layout_of(const struct ggml_tensor * dst, char * end, int n_threads) {
    struct layout layout = { .columns = dst->src[1]->ne[1], .blocks = dst->src[1]->ne[0] / BLOCK };
    layout.format = format_for(weight_type_of(dst->src[0]->type), layout.columns);
    layout.groups = (layout.columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    layout.quantized = (struct quantized *) last_line(end) - 1;
    layout.own = (struct own *) layout.quantized - n_threads;
    layout.sides = (struct side *) layout.own - layout.groups * layout.blocks;
    layout.activations = (int8_t *) last_line((char *) layout.sides)
        - layout.columns * layout.blocks * block_bytes(layout.format);
    return layout;
}

size_t seallm_matmul_size(const struct ggml_tensor * dst, int n_threads) {
    if (!has_kernel(dst)) { return 0; }
    char * const end = (char *) ((uintptr_t) 1 << 40);
    return (size_t) (end - (char *) layout_of(dst, end, n_threads).activations) + 128;
}

void seallm_matmul_begin(void * memory, size_t size) {
    if (size >= sizeof(struct quantized) + 64) {
        memset((struct quantized *) last_line((char *) memory + size) - 1, 0, sizeof(struct quantized));
    }
}

static int64_t first_column(const struct layout * layout, int64_t group) {
    return layout->columns * group / layout->groups;
}

static bool is_same(struct activation_format a, struct activation_format b) {
    return a.blocks == b.blocks && a.zero_point == b.zero_point && a.halves == b.halves && a.pairs == b.pairs;
}

/* Quantize a thread's part of the input. */
static void quantize_input(const struct layout * layout, const struct ggml_tensor * input, int part, int parts) {
    const struct activation_format how = layout->format;
    const int64_t units = layout->blocks / how.blocks;
    const int64_t from = units * part / parts * how.blocks, end = units * (part + 1) / parts * how.blocks;
    for (int64_t group = 0; group < layout->groups; group++) {
        const int64_t first = first_column(layout, group);
        const int columns = (int) (first_column(layout, group + 1) - first);
        int8_t * activations = layout->activations + first * layout->blocks * block_bytes(how);
        struct side * sides = layout->sides + group * layout->blocks;
        for (int c = 0; c < columns; c++) {
            const float * x = (const float *) ((const char *) input->data + (first + c) * input->nb[1]);
            for (int64_t b = from; b < end; b += how.blocks) {
                int8_t * to = activations + b * block_bytes(how) * columns;
                quantize_activations(x + b * BLOCK, how, columns, c, to, sides + b);
            }
        }
    }
}

/* Multiply `blocks` blocks from `b` on, which are in the panel, with a group. `out` is where the first of all
   columns' sums of the panel are, and `stride` the distance of the next column's, in floats. */
static void multiply_group(const struct layout * layout, const struct weight_type * type, const struct panel * panel,
                           int64_t b, int blocks, int64_t group, float * out, size_t stride) {
    const int64_t first = first_column(layout, group), columns = first_column(layout, group + 1) - first;
    type->multiply[columns - 1](
        blocks, panel, layout->activations + (first * layout->blocks + b * columns) * block_bytes(layout->format),
        layout->sides + group * layout->blocks + b, out + first * stride, stride, b == 0);
}

/* `blocks` blocks from `b` on of a tile's rows with a group; `out` as for multiply_group. */
static void multiply_tile_rows(const struct layout * layout, const struct weight_type * type, struct own * own,
                               struct packed from, int64_t b, int blocks, int64_t group, float * out, size_t stride) {
    const int columns = (int) layout->columns;
    if (columns > FEW_COLUMNS) {
        unpack_panel(type, from, blocks, own->panels);
        multiply_group(layout, type, own->panels, b, blocks, group, out, stride);
        return;
    }
    for (int v = 0; v < TILE_VECTORS; v++, from.rows += LANES * from.stride) {
        type->few[columns - 1](from, blocks, layout->activations + b * BLOCK_BYTES * columns, layout->sides + b,
                               out + v * LANES, stride, b == 0);
    }
}

/* The last rows, fewer than a tile has: beside them rows of zeros are multiplied. */
static void multiply_last_rows(const struct layout * layout, const struct weight_type * type, struct own * own,
                               const char * rows, size_t row_size, int n_rows, float * out, size_t stride) {
    const struct packed from = { own->rows[0], sizeof(own->rows[0]), 0 };
    for (int64_t group = 0; group < layout->groups; group++) {
        const int64_t first = first_column(layout, group), columns = first_column(layout, group + 1) - first;
        for (int64_t b = 0; b < layout->blocks; b += CHUNK_BLOCKS) {
            const int blocks = (int) MIN(CHUNK_BLOCKS, layout->blocks - b);
            memset(own->rows, 0, sizeof(own->rows));
            for (int r = 0; r < n_rows; r++) {
                memcpy(own->rows[r], rows + r * row_size + b / type->format.blocks * type->block_size,
                       blocks / type->format.blocks * type->block_size);
            }
            float * const sums = own->out[0] - first * TILE_ROWS;
            multiply_tile_rows(layout, type, own, from, b, blocks, group, sums, TILE_ROWS);
        }
        for (int64_t c = 0; c < columns; c++) {
            memcpy(out + (first + c) * stride, own->out[c], n_rows * sizeof(float));
        }
    }
}

/* Rows of `panels` panels with all columns, a chunk at a time. */
static void multiply_panels(const struct layout * layout, const struct weight_type * type, struct own * own,
                            const char * rows, size_t stride, int64_t panels, float * out, size_t out_stride) {
    const size_t chunk = CHUNK_BLOCKS / type->format.blocks * type->block_size;
    for (int64_t b = 0; b < layout->blocks; b += CHUNK_BLOCKS, rows += chunk) {
        const int blocks = (int) MIN(CHUNK_BLOCKS, layout->blocks - b);
        for (int64_t p = 0; p < panels; p++) {
            const struct packed from = { rows + p * TILE_ROWS * stride, stride, (ptrdiff_t) chunk };
            unpack_panel(type, from, blocks, own->panels + p);
        }
        for (int64_t group = 0; group < layout->groups; group++) {
            for (int64_t p = 0; p < panels; p++) {
                multiply_group(layout, type, own->panels + p, b, blocks, group, out + p * TILE_ROWS, out_stride);
            }
        }
    }
}

/* Weight rows of the tiles from `tile` to `end`. */
static void multiply_rows(const struct layout * layout, const struct weight_type * type, struct ggml_tensor * dst,
                          struct own * own, int64_t tile, int64_t end) {
    const struct ggml_tensor * weights = dst->src[0];
    const size_t stride = weights->nb[1], out_stride = dst->nb[1] / sizeof(float);
    const int64_t n_rows = weights->ne[1], most = layout->groups > FEW_GROUPS ? MOST_PANELS : 1;
    for (int64_t panels; tile < end; tile += panels) {
        const char * rows = (const char *) weights->data + tile * TILE_ROWS * stride;
        float * out = (float *) dst->data + tile * TILE_ROWS;
        panels = MIN(most, MIN(end, n_rows / TILE_ROWS) - tile);
        if (panels == 0) {
            multiply_last_rows(layout, type, own, rows, stride, (int) (n_rows % TILE_ROWS), out, out_stride);
            return;
        }
        if (layout->columns > FEW_COLUMNS) {
            multiply_panels(layout, type, own, rows, stride, panels, out, out_stride);
            continue;
        }
        for (int64_t r = 0; r < panels * TILE_ROWS; r += LANES) {
            multiply_few(type, rows + r * stride, stride, layout->blocks, (int) layout->columns, layout->activations,
                         layout->sides, out + r, out_stride);
        }
    }
}

bool seallm_matmul(const struct ggml_compute_params * params, struct ggml_tensor * dst) {
    if (params->use_ref || !has_kernel(dst)) { return false; }
    const struct ggml_tensor * input = dst->src[1];
    const struct weight_type * type = weight_type_of(dst->src[0]->type);
    const struct layout layout = layout_of(dst, (char *) params->wdata + params->wsize, params->nth);
    GGML_ASSERT((char *) layout.activations >= (char *) params->wdata);
    /* Every thread reads this before the barrier, and one writes it behind. */
    const bool is_quantized = layout.quantized->input == input && is_same(layout.quantized->how, layout.format);
    if (!is_quantized) { quantize_input(&layout, input, params->ith, params->nth); }
    if (params->ith == 0) { ggml_threadpool_chunk_set(params->threadpool, params->nth); }
    ggml_barrier(params->threadpool);
    if (params->ith == 0) { *layout.quantized = (struct quantized) { input, layout.format }; }

    const int64_t tiles = (dst->src[0]->ne[1] + TILE_ROWS - 1) / TILE_ROWS;
    const int64_t even = tiles / (CHUNKS_A_THREAD * params->nth);
    const int64_t share = MAX(1, MIN(even, MOST_WEIGHT_ROWS / TILE_ROWS));
    for (int64_t turn = params->ith; turn * share < tiles; turn = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        multiply_rows(&layout, type, dst, layout.own + params->ith, turn * share, MIN((turn + 1) * share, tiles));
    }
    return true;
}

#endif
