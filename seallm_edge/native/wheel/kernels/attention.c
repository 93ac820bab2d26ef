/* ggml's flash attention over a KV cache, by attention.h: dealt out to the threads of a pool, in ggml's working memory.
   Compiled once for each kind of processor. See docs/kernels.md. */
#include "hooks.h"

#include "ggml-cpu-impl.h"
#include "ggml-cpu.h"
#include "ggml-impl.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef SEALLM_KERNELS
// clang-format off
#include "vectors.h"
#include "attention.h"
#include "places.h"
// clang-format on

/* Rows up to which threads share the spans of a KV head: more come in batches that have work for all. */
#define MOST_SHARED_ROWS 128
#define UNITS_A_THREAD 4

/* One attention: its shapes as ggml has them, dealt out in units: a tile of batch tokens with one KV head. */
struct task {
    const struct ggml_tensor *q, *k, *v;
    const struct ggml_tensor * dst;
    struct mask mask;
    int64_t n_tokens, n_heads, n_kv_heads;
    int head_dim, heads_a_group; /* query heads that share a KV head */
    int64_t tokens_a_tile, units, most_spans;
    size_t own_size; /* of a thread's memory: struct attention, and the cells of its places */
    bool is_shared;  /* threads share the spans of a unit, because units cannot be dealt out evenly */
    /* then: the spans of each batch token; of each query row and span the largest score, the sum of the weights, and
       the weighted sum of values */
    int64_t * spans;
    float * partials;
};

static struct task task_of(const struct ggml_tensor * dst, int n_threads, char * memory) {
    const struct ggml_tensor *q = dst->src[0], *k = dst->src[1], *mask = dst->src[3];
    struct task task = { .q = q, .k = k, .v = dst->src[2], .dst = dst };
    task.mask = (struct mask) { mask->data, mask->nb[1], k->ne[1], mask->extra };
    task.head_dim = (int) q->ne[0];
    task.n_tokens = q->ne[1];
    task.n_heads = q->ne[2];
    task.n_kv_heads = k->ne[2];
    task.heads_a_group = (int) (task.n_heads / task.n_kv_heads);
    task.tokens_a_tile = MAX(1, MOST_ROWS / task.heads_a_group);
    task.units = (task.n_tokens + task.tokens_a_tile - 1) / task.tokens_a_tile * task.n_kv_heads;
    task.most_spans = (k->ne[1] + 2 * SPAN - 1) / SPAN;
    task.own_size = sizeof(struct attention) + GGML_PAD(task.most_spans * SPAN * sizeof(int32_t), 64);
    task.is_shared = task.units < UNITS_A_THREAD * n_threads && task.units % n_threads != 0
        && task.n_tokens * task.n_heads <= MOST_SHARED_ROWS;
    task.spans = (int64_t *) (memory + n_threads * task.own_size);
    task.partials = (float *) (task.spans + task.n_tokens);
    return task;
}

static size_t partial_floats(const struct task * task) { return task->head_dim + 2; }

static float * partial_of(const struct task * task, int64_t token, int64_t head, int64_t span) {
    return task->partials + ((token * task->n_heads + head) * task->most_spans + span) * partial_floats(task);
}

static bool has_floats(const struct ggml_tensor * t) {
    return t->nb[0] == ggml_type_size(t->type) && (t->type == GGML_TYPE_F16 || ggml_get_type_traits(t->type)->to_float);
}

/* Shapes and types that these kernels compute. */
static bool is_known(const struct ggml_tensor * dst) {
    const struct ggml_tensor *q = dst->src[0], *k = dst->src[1], *v = dst->src[2], *mask = dst->src[3];
    float parameters[3]; /* scale, largest ALiBi bias, softcap */
    memcpy(parameters, dst->op_params, sizeof(parameters));
    return seallm_has_kernels() && mask && mask->type == GGML_TYPE_F16 && !dst->src[4] && parameters[1] == 0
        && parameters[2] == 0 && q->type == GGML_TYPE_F32 && q->nb[0] == sizeof(float) && q->ne[3] == 1
        && mask->ne[2] == 1 && mask->ne[3] == 1 && mask->ne[0] == k->ne[1] && mask->ne[1] >= q->ne[1]
        && k->ne[0] == q->ne[0] && v->ne[0] == q->ne[0] && q->ne[0] % (2 * LANES) == 0 && q->ne[0] <= MOST_HEAD_DIM
        && k->ne[2] == v->ne[2] && q->ne[2] % k->ne[2] == 0 && q->ne[2] / k->ne[2] <= MOST_ROWS && has_floats(k)
        && has_floats(v) && dst->nb[0] == sizeof(float);
}

/* The mask of a KV cache comes with the positions of its cells, and is 0 or minus infinity; others stay with ggml. */
static bool has_kernel(const struct ggml_tensor * dst) { return is_known(dst) && dst->src[3]->extra; }

size_t seallm_attention_size(const struct ggml_tensor * dst, int n_threads) {
    if (!is_known(dst)) { return 0; }
    const struct task task = task_of(dst, n_threads, NULL);
    const int64_t partials = task.is_shared ? task.n_tokens * task.n_heads * task.most_spans : 0;
    const size_t shared = task.n_tokens * sizeof(int64_t) + partials * partial_floats(&task) * sizeof(float);
    return n_threads * task.own_size + shared + 64;
}

static struct cache_rows rows_of(const struct ggml_tensor * t, int64_t kv_head) {
    return (struct cache_rows) {
        (const char *) t->data + kv_head * t->nb[2], t->nb[1],
        t->type == GGML_TYPE_F16 ? NULL : ggml_get_type_traits(t->type)->to_float,
    };
}

static struct heads heads_of(const struct task * task, int64_t kv_head) {
    return (struct heads) { task->heads_a_group, task->head_dim, rows_of(task->k, kv_head), rows_of(task->v, kv_head) };
}

static void copy_queries(const struct task * task, struct attention * own, int64_t token, int64_t n, int64_t kv_head) {
    float scale, * to = own->queries;
    memcpy(&scale, task->dst->op_params, sizeof(float));
    for (int64_t t = token; t < token + n; t++) {
        for (int64_t h = kv_head * task->heads_a_group; h < (kv_head + 1) * task->heads_a_group; h++) {
            const char * at = (const char *) task->q->data + t * task->q->nb[1] + h * task->q->nb[2];
            const float * from = (const float *) at;
            for (int d = 0; d < task->head_dim; d++) { *to++ = from[d] * scale; }
        }
    }
}

/* The places of a thread, of the tokens that it computes. */
static struct places own_places(const struct task * task, struct attention * own) {
    return (struct places) { .cells = (int32_t *) (own + 1), .capacity = task->most_spans * SPAN };
}

static void store_result(const struct task * task, int64_t token, int64_t head, const float * out, float sum) {
    float * const to = (float *) ((char *) task->dst->data + (token * task->n_heads + head) * task->dst->nb[1]);
    const float by = sum == 0 ? 0 : 1 / sum;
    for (int d = 0; d < task->head_dim; d++) { to[d] = out[d] * by; }
}

/* `n` tokens that share their places, with one KV head. */
static void attend_to_head(const struct task * task, struct attention * own, const struct places * places,
                           int64_t token, int64_t n, int64_t kv_head) {
    copy_queries(task, own, token, n, kv_head);
    attend_to_places(own, places, &task->mask, token, n, heads_of(task, kv_head));
    for (int r = 0; r < (int) n * task->heads_a_group; r++) {
        store_result(task, token + r / task->heads_a_group, kv_head * task->heads_a_group + r % task->heads_a_group,
                     own->out + r * task->head_dim, own->sum[r]);
    }
}

/* A unit: the tile of batch tokens with one KV head. */
static void attend_to_unit(const struct task * task, struct attention * own, int64_t unit) {
    const int64_t first = unit / task->n_kv_heads * task->tokens_a_tile;
    const int64_t end = MIN(first + task->tokens_a_tile, task->n_tokens);
    struct places places = own_places(task, own);
    for (int64_t token = first, n; token < end; token += n) {
        n = find_places(&places, &task->mask, token, end);
        attend_to_head(task, own, &places, token, n, unit % task->n_kv_heads);
    }
}

/* Keep the result of a span of `n` tokens. */
static void keep_partial(const struct task * task, const struct attention * own, int64_t span, int64_t token, int64_t n,
                         int64_t kv_head) {
    for (int r = 0; r < (int) n * task->heads_a_group; r++) {
        const int64_t head = kv_head * task->heads_a_group + r % task->heads_a_group;
        float * partial = partial_of(task, token + r / task->heads_a_group, head, span);
        partial[0] = own->span_largest[r];
        partial[1] = own->span_sum[r];
        memcpy(partial + 2, own->span_out + r * task->head_dim, task->head_dim * sizeof(float));
    }
}

/* A thread's share of the spans: in turns with the others. */
static void attend_to_share(const struct task * task, struct attention * own, int thread, int n_threads) {
    struct places places = own_places(task, own);
    int64_t turn = 0;
    for (int64_t token = 0, n; token < task->n_tokens; token += n) {
        n = find_places(&places, &task->mask, token, MIN(token + task->tokens_a_tile, task->n_tokens));
        const int64_t spans = spans_of(&places);
        for (int64_t t = token; thread == 0 && t < token + n; t++) { task->spans[t] = spans; }
        for (int64_t i = 0; i < task->n_kv_heads * spans; i++) {
            if (turn++ % n_threads != thread) { continue; }
            copy_queries(task, own, token, n, i / spans);
            attend_to_one_span(own, &places, &task->mask, i % spans, token, n, heads_of(task, i / spans));
            keep_partial(task, own, i % spans, token, n, i / spans);
        }
    }
}

/* Merge the kept results of a query row. */
static void merge_spans(const struct task * task, struct attention * own, int64_t token, int64_t head) {
    begin_rows(own, 1, task->head_dim);
    for (int64_t span = 0; span < task->spans[token]; span++) {
        const float * partial = partial_of(task, token, head, span);
        merge(task->head_dim, own->largest, own->sum, own->out, partial[0], partial[1], partial + 2);
    }
    store_result(task, token, head, own->out, own->sum[0]);
}

bool seallm_attention(const struct ggml_compute_params * params, struct ggml_tensor * dst) {
    if (params->use_ref || !has_kernel(dst)) { return false; }
    char * memory = (char *) GGML_PAD((uintptr_t) params->wdata, 64);
    const struct task task = task_of(dst, params->nth, memory);
    struct attention * own = (struct attention *) (memory + params->ith * task.own_size);
    if (task.is_shared) {
        attend_to_share(&task, own, params->ith, params->nth);
        ggml_barrier(params->threadpool);
        for (int64_t row = params->ith; row < task.n_tokens * task.n_heads; row += params->nth) {
            merge_spans(&task, own, row / task.n_heads, row % task.n_heads);
        }
    } else if (task.units < UNITS_A_THREAD * params->nth) {
        for (int64_t unit = params->ith; unit < task.units; unit += params->nth) { attend_to_unit(&task, own, unit); }
    } else {
        if (params->ith == 0) { ggml_threadpool_chunk_set(params->threadpool, params->nth); }
        ggml_barrier(params->threadpool);
        for (int64_t unit = params->ith; unit < task.units; unit = ggml_threadpool_chunk_add(params->threadpool, 1)) {
            attend_to_unit(&task, own, unit);
        }
    }
    return true;
}

#endif
