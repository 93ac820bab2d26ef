/* What ggml-cpu.c calls of matmul.c and attention.c. */
#pragma once
#include "ggml-backend.h"

#include <stdbool.h>

struct ggml_compute_params;

/* Compute dst where these kernels can; false leaves it to ggml. Every thread of the pool calls it. */
bool seallm_matmul(const struct ggml_compute_params * params, struct ggml_tensor * dst);
bool seallm_attention(const struct ggml_compute_params * params, struct ggml_tensor * dst);

/* Bytes of working memory for dst, all threads together. What matrix multiplication has there stays while other
   operations use theirs. */
size_t seallm_matmul_size(const struct ggml_tensor * dst, int n_threads);
size_t seallm_attention_size(const struct ggml_tensor * dst, int n_threads);

/* A graph begins: nothing in its working memory is of use. */
void seallm_matmul_begin(void * memory, size_t size);

/* Whether this processor has any, and they are not switched off. */
GGML_BACKEND_API int seallm_has_kernels(void);
