/* What ggml-cpu.c calls of matmul.c and attention.c. */
#pragma once
#include "ggml-backend.h"

#include <stdbool.h>

struct ggml_compute_params;

#if defined(__SSSE3__) && defined(__SSE4_1__)
#define SEALLM_KERNELS /* for this kind of processor */

/* Compute dst where these kernels can; false leaves it to ggml. Every thread of the pool calls it. */
bool seallm_matmul(const struct ggml_compute_params * params, struct ggml_tensor * dst);
bool seallm_attention(const struct ggml_compute_params * params, struct ggml_tensor * dst);

/* Bytes of working memory for dst, all threads together. What matrix multiplication has there stays while other
   operations use theirs. */
size_t seallm_matmul_size(const struct ggml_tensor * dst, int n_threads);
size_t seallm_attention_size(const struct ggml_tensor * dst, int n_threads);

/* A graph begins: nothing in its working memory is of use. */
void seallm_matmul_begin(void * memory, size_t size);

/* Whether they are not switched off. A library without kernels lacks it. */
GGML_BACKEND_API int seallm_has_kernels(void);
#else
#define seallm_matmul(params, dst) false
#define seallm_attention(params, dst) false
#define seallm_matmul_size(dst, n_threads) ((size_t) 0)
#define seallm_attention_size(dst, n_threads) ((size_t) 0)
#define seallm_matmul_begin(memory, size) ((void) 0)
#endif
