/* Attends to what comes on stdin by the kernels alone, without ggml, so that sanitizers see all of it.

   stdin: dimensions of a head, query heads, batch tokens, cells (int32 each); of each token the mask (16-bit floats); the
   positions of cells (int32); queries (floats), keys and values (16-bit floats). stdout: of each token and head, floats. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vectors.h"

#include "attention.h"
#include "places.h"

/* Exactly as long as it must be: a byte read too far is found. */
static void * filled(size_t size) {
    void * memory = malloc(size);
    if (!memory || fread(memory, 1, size, stdin) != size) { exit(2); }
    return memory;
}

int main(void) {
    int32_t head[4];
    while (fread(head, sizeof(head), 1, stdin) == 1) {
        const int head_dim = head[0], n_heads = head[1], n_tokens = head[2], n_kv = head[3];
        uint16_t * masks = filled((size_t) n_tokens * n_kv * sizeof(uint16_t));
        int32_t * positions = filled(n_kv * sizeof(int32_t));
        float * queries = filled((size_t) n_tokens * n_heads * head_dim * sizeof(float));
        char * keys = filled((size_t) n_kv * head_dim * sizeof(uint16_t));
        char * values = filled((size_t) n_kv * head_dim * sizeof(uint16_t));
        const struct mask mask = { (char *) masks, n_kv * sizeof(uint16_t), n_kv, positions };
        const size_t stride = head_dim * sizeof(uint16_t);
        const struct heads heads = { n_heads, head_dim, { keys, stride, NULL }, { values, stride, NULL } };
        struct places places = { .capacity = (n_kv + 2 * SPAN - 1) / SPAN * SPAN };
        places.cells = malloc(places.capacity * sizeof(int32_t));
        struct attention * own = aligned_alloc(64, sizeof(struct attention));
        memset(own, 0xff, sizeof(*own));
        for (int64_t token = 0, n; token < n_tokens; token += n) {
            const int64_t most = token + MOST_ROWS / n_heads;
            n = find_places(&places, &mask, token, most < n_tokens ? most : n_tokens);
            const int rows = (int) n * n_heads;
            memcpy(own->queries, queries + token * n_heads * head_dim, (size_t) rows * head_dim * sizeof(float));
            attend_to_places(own, &places, &mask, token, n, heads);
            for (int r = 0; r < rows; r++) {
                for (int d = 0; d < head_dim; d++) { own->out[r * head_dim + d] /= own->sum[r]; }
            }
            fwrite(own->out, sizeof(float), (size_t) rows * head_dim, stdout);
        }
        free(own);
        free(places.cells);
        free(values);
        free(keys);
        free(queries);
        free(positions);
        free(masks);
    }
    return 0;
}
