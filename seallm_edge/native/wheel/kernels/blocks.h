/* Quantized weights as GGUF files hold them. ref: ggml-common.h */
#include <stdint.h>

#define SUPER 256

typedef struct { uint16_t scale; uint8_t quants[16]; } block_of_q4_0;
typedef struct { uint16_t scale, minimum; uint8_t quants[16]; } block_of_q4_1;
typedef struct { uint16_t scale; uint8_t fifth_bits[4], quants[16]; } block_of_q5_0;
typedef struct { uint16_t scale, minimum; uint8_t fifth_bits[4], quants[16]; } block_of_q5_1;
typedef struct { uint16_t scale; int8_t quants[32]; } block_of_q8_0;
typedef struct { uint16_t scale; uint8_t quants[16]; } block_of_iq4_nl;
typedef struct { uint16_t scale, minimum; uint8_t scales[12], quants[SUPER / 2]; } block_of_q4_K;
typedef struct { uint16_t scale, minimum; uint8_t scales[12], fifth_bits[SUPER / 8], quants[SUPER / 2]; } block_of_q5_K;
typedef struct { uint8_t low[SUPER / 2], high[SUPER / 4]; int8_t scales[SUPER / 16]; uint16_t scale; } block_of_q6_K;
typedef struct { uint16_t scale, high_scales; uint8_t low_scales[SUPER / 64], quants[SUPER / 2]; } block_of_iq4_xs;
