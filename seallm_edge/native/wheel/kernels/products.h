/* What ggml-cpu.c calls of products.c. */
#pragma once
#include "ggml-backend.h"

#include <stdbool.h>

struct ggml_compute_params;

/* Compute dst where it is a product that these kernels have; false leaves it to ggml. Every thread of the pool calls it. */
bool seallm_products(const struct ggml_compute_params * params, struct ggml_tensor * dst);

/* Bytes of working memory for dst, all threads together, beside what other operations use. */
size_t seallm_products_size(const struct ggml_tensor * dst, int n_threads);

/* A graph begins: nothing in its working memory is of use. */
void seallm_products_begin(void * memory, size_t size);

/* Whether this processor has any, and they are not switched off. */
GGML_BACKEND_API int seallm_has_products(void);
