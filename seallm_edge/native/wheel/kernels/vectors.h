/* What the kernels know of a processor: vectors of LANES 32-bit lanes, and a multiply-add of four (or two) bytes a
   lane.

   Everything else is written once, in these words. `ints` holds LANES int32, or 4 * LANES bytes; `floats` LANES
   float. */
#include <immintrin.h>

#if defined(__AVX512VNNI__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#define LANES 16
#define TILE_COLUMNS 6 /* of a register tile: 2 * 6 sums, as many again in float, and what they are made of */
typedef __m512i ints;
typedef __m512 floats;
#define i_load(p) _mm512_loadu_si512(p)
#define i_store(p, v) _mm512_storeu_si512(p, v)
#define i_zero() _mm512_setzero_si512()
#define i_all8(x) _mm512_set1_epi8(x)
#define i_all32(x) _mm512_set1_epi32(x)
#define i_and _mm512_and_si512
#define i_or _mm512_or_si512
#define i_xor _mm512_xor_si512
#define i_add32 _mm512_add_epi32
#define i_shift_left(v, n) _mm512_slli_epi32(v, n)
#define i_shift_right(v, n) _mm512_srli_epi32(v, n)
#define i_shift_right_signed(v, n) _mm512_srai_epi32(v, n)
#define i_table(table, v) _mm512_shuffle_epi8(table, v)
#define i_low32 _mm512_unpacklo_epi32
#define i_high32 _mm512_unpackhi_epi32
#define i_low64 _mm512_unpacklo_epi64
#define i_high64 _mm512_unpackhi_epi64
#define i_every16(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *) (p)))
#define f_load(p) _mm512_loadu_ps(p)
#define f_store(p, v) _mm512_storeu_ps(p, v)
#define f_zero() _mm512_setzero_ps()
#define f_all(x) _mm512_set1_ps(x)
#define f_add _mm512_add_ps
#define f_mul _mm512_mul_ps
#define f_max _mm512_max_ps
#define f_and(a, b) _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a), _mm512_castps_si512(b)))
#define f_of_bits _mm512_castsi512_ps
#define f_bits _mm512_castps_si512
#define f_of_ints _mm512_cvtepi32_ps
#define f_multiply_add _mm512_fmadd_ps /* a * b + c */
static inline float f_largest(floats v) { return _mm512_reduce_max_ps(v); }
/* The sum of its vectors of four lanes. */
static inline __m128 f_quarters(floats v) {
    const __m256 sum = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
}
/* 16 bytes of each fourth row, from row r on. */
static inline ints rows_of_four(const char * p, size_t stride, int r) {
    const __m512i first = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *) (p + r * stride)));
    const __m512i two = _mm512_inserti32x4(first, _mm_loadu_si128((const __m128i *) (p + (4 + r) * stride)), 1);
    const __m512i three = _mm512_inserti32x4(two, _mm_loadu_si128((const __m128i *) (p + (8 + r) * stride)), 2);
    return _mm512_inserti32x4(three, _mm_loadu_si128((const __m128i *) (p + (12 + r) * stride)), 3);
}
static inline floats f_of_low_halves(ints v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }
static inline floats f_of_halves(const uint16_t * p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) p));
}

#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define LANES 8
#define TILE_COLUMNS 4
typedef __m256i ints;
typedef __m256 floats;
#define i_load(p) _mm256_loadu_si256((const __m256i *) (p))
#define i_store(p, v) _mm256_storeu_si256((__m256i *) (p), v)
#define i_zero() _mm256_setzero_si256()
#define i_all8(x) _mm256_set1_epi8(x)
#define i_all16(x) _mm256_set1_epi16(x)
#define i_all32(x) _mm256_set1_epi32(x)
#define i_and _mm256_and_si256
#define i_or _mm256_or_si256
#define i_xor _mm256_xor_si256
#define i_add16 _mm256_add_epi16
#define i_add32 _mm256_add_epi32
#define i_shift_left(v, n) _mm256_slli_epi32(v, n)
#define i_shift_right(v, n) _mm256_srli_epi32(v, n)
#define i_shift_right_signed(v, n) _mm256_srai_epi32(v, n)
#define i_table(table, v) _mm256_shuffle_epi8(table, v)
#define i_low32 _mm256_unpacklo_epi32
#define i_high32 _mm256_unpackhi_epi32
#define i_low64 _mm256_unpacklo_epi64
#define i_high64 _mm256_unpackhi_epi64
#define i_every16(p) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) (p)))
#define i_bytes_to_pairs _mm256_maddubs_epi16
#define i_pairs_to_lanes _mm256_madd_epi16
#define i_sign8 _mm256_sign_epi8
#define f_load(p) _mm256_loadu_ps(p)
#define f_store(p, v) _mm256_storeu_ps(p, v)
#define f_zero() _mm256_setzero_ps()
#define f_all(x) _mm256_set1_ps(x)
#define f_add _mm256_add_ps
#define f_mul _mm256_mul_ps
#define f_max _mm256_max_ps
#define f_and _mm256_and_ps
#define f_of_bits _mm256_castsi256_ps
#define f_bits _mm256_castps_si256
#define f_of_ints _mm256_cvtepi32_ps
#define f_multiply_add _mm256_fmadd_ps
static inline float f_largest(floats v) {
    __m128 largest = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
    return _mm_cvtss_f32(_mm_max_ss(largest, _mm_shuffle_ps(largest, largest, 1)));
}
static inline __m128 f_quarters(floats v) {
    return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}
static inline ints rows_of_four(const char * p, size_t stride, int r) {
    const __m256i first = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *) (p + r * stride)));
    return _mm256_inserti128_si256(first, _mm_loadu_si128((const __m128i *) (p + (4 + r) * stride)), 1);
}
static inline floats f_of_low_halves(ints v) {
    const __m256i low = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}
static inline floats f_of_halves(const uint16_t * p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) p)); }

#else /* SSSE3 and SSE4.1: processors without AVX, and those whose AVX has no whole numbers */
#define LANES 4
#define TILE_COLUMNS 4
typedef __m128i ints;
typedef __m128 floats;
#define i_load(p) _mm_loadu_si128((const __m128i *) (p))
#define i_store(p, v) _mm_storeu_si128((__m128i *) (p), v)
#define i_zero() _mm_setzero_si128()
#define i_all8(x) _mm_set1_epi8(x)
#define i_all16(x) _mm_set1_epi16(x)
#define i_all32(x) _mm_set1_epi32(x)
#define i_and _mm_and_si128
#define i_or _mm_or_si128
#define i_xor _mm_xor_si128
#define i_add16 _mm_add_epi16
#define i_add32 _mm_add_epi32
#define i_shift_left(v, n) _mm_slli_epi32(v, n)
#define i_shift_right(v, n) _mm_srli_epi32(v, n)
#define i_shift_right_signed(v, n) _mm_srai_epi32(v, n)
#define i_table(table, v) _mm_shuffle_epi8(table, v)
#define i_low32 _mm_unpacklo_epi32
#define i_high32 _mm_unpackhi_epi32
#define i_low64 _mm_unpacklo_epi64
#define i_high64 _mm_unpackhi_epi64
#define i_every16(p) _mm_loadu_si128((const __m128i *) (p))
#define i_bytes_to_pairs _mm_maddubs_epi16
#define i_pairs_to_lanes _mm_madd_epi16
#define i_sign8 _mm_sign_epi8
#define f_load(p) _mm_loadu_ps(p)
#define f_store(p, v) _mm_storeu_ps(p, v)
#define f_zero() _mm_setzero_ps()
#define f_all(x) _mm_set1_ps(x)
#define f_add _mm_add_ps
#define f_mul _mm_mul_ps
#define f_max _mm_max_ps
#define f_and _mm_and_ps
#define f_of_bits _mm_castsi128_ps
#define f_bits _mm_castps_si128
#define f_of_ints _mm_cvtepi32_ps
#ifdef __FMA__
#define f_multiply_add _mm_fmadd_ps
#else
#define f_multiply_add(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
#endif
static inline float f_largest(floats v) {
    __m128 largest = v;
    largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
    return _mm_cvtss_f32(_mm_max_ss(largest, _mm_shuffle_ps(largest, largest, 1)));
}
static inline __m128 f_quarters(floats v) { return v; }
static inline ints rows_of_four(const char * p, size_t stride, int r) {
    return _mm_loadu_si128((const __m128i *) (p + r * stride));
}
/* The 16-bit floats in the low half of each lane. ref: Fabian Giesen, "half_to_float_fast5" */
static inline floats f_of_low_halves(ints v) {
    const ints exponent_and_fraction = i_shift_left(i_and(v, i_all32(0x7fff)), 13);
    const __m128 scaled = _mm_mul_ps(_mm_castsi128_ps(exponent_and_fraction), _mm_castsi128_ps(i_all32(0x77800000)));
    const ints infinite = _mm_cmpgt_epi32(i_and(v, i_all32(0x7fff)), i_all32(0x7bff));
    const ints sign = i_shift_left(i_and(v, i_all32(0x8000)), 16);
    const ints rest = i_or(sign, i_and(infinite, i_all32(0x7f800000)));
    return _mm_or_ps(scaled, _mm_castsi128_ps(rest));
}
static inline floats f_of_halves(const uint16_t * p) {
    return f_of_low_halves(_mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i *) p), _mm_setzero_si128()));
}
#endif

/* 16 bytes of each of LANES rows, `stride` apart: out[i] holds bytes 4 * i to 4 * i + 3 of all of them, a row a
   lane. */
static inline void transpose16(const void * from, size_t stride, ints out[4]) {
    const char * p = from;
    const ints row0 = rows_of_four(p, stride, 0), row1 = rows_of_four(p, stride, 1);
    const ints row2 = rows_of_four(p, stride, 2), row3 = rows_of_four(p, stride, 3);
    const ints low01 = i_low32(row0, row1), high01 = i_high32(row0, row1);
    const ints low23 = i_low32(row2, row3), high23 = i_high32(row2, row3);
    out[0] = i_low64(low01, low23);
    out[1] = i_high64(low01, low23);
    out[2] = i_low64(high01, high23);
    out[3] = i_high64(high01, high23);
}

/* 32 bytes of each of LANES rows: out[i] holds bytes 4 * i to 4 * i + 3 of all of them. */
#if LANES == 16
static inline ints rows_of_eight(const char * p, size_t stride) {
    const __m512i first = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *) p));
    return _mm512_inserti64x4(first, _mm256_loadu_si256((const __m256i *) (p + 4 * stride)), 1);
}
static inline void transpose32(const void * from, size_t stride, ints out[8]) {
    ints rows[2][4]; /* of rows 0 to 7 and 8 to 15: quads i and i + 4 */
    for (int half = 0; half < 2; half++) {
        const char * p = (const char *) from + 8 * half * stride;
        const ints row0 = rows_of_eight(p, stride), row1 = rows_of_eight(p + stride, stride);
        const ints row2 = rows_of_eight(p + 2 * stride, stride), row3 = rows_of_eight(p + 3 * stride, stride);
        const ints low01 = i_low32(row0, row1), high01 = i_high32(row0, row1);
        const ints low23 = i_low32(row2, row3), high23 = i_high32(row2, row3);
        rows[half][0] = i_low64(low01, low23);
        rows[half][1] = i_high64(low01, low23);
        rows[half][2] = i_low64(high01, high23);
        rows[half][3] = i_high64(high01, high23);
    }
    for (int i = 0; i < 4; i++) {
        out[i] = _mm512_shuffle_i32x4(rows[0][i], rows[1][i], 0x88);
        out[i + 4] = _mm512_shuffle_i32x4(rows[0][i], rows[1][i], 0xdd);
    }
}
#else
static inline void transpose32(const void * from, size_t stride, ints out[8]) {
    transpose16(from, stride, out);
    transpose16((const char *) from + 16, stride, out + 4);
}
#endif

#if LANES == 8
/* Every second byte, with its sign, as 16 bits. */
static inline ints i_even_bytes(ints v) { return _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8); }
static inline ints i_odd_bytes(ints v) { return _mm256_srai_epi16(v, 8); }
#else
#define i_even_bytes(v) (v)
#define i_odd_bytes(v) (v)
#endif

/* sum + the products of two 16-bit numbers, in each lane */
#if LANES == 16
#define DOT2(sum, a, b) _mm512_dpwssd_epi32(sum, a, b)
#else
#define DOT2(sum, a, b) i_add32(sum, i_pairs_to_lanes(a, b))
#endif

/* sum + the products of four bytes without and four with a sign, in each lane */
#if LANES == 16
#define DOT4(sum, weights, x) _mm512_dpbusd_epi32(sum, weights, x)
#elif LANES == 8 && defined(__AVXVNNI__)
#define DOT4(sum, weights, x) _mm256_dpbusd_avx_epi32(sum, weights, x)
#endif

/* The same four bytes in all lanes. */
static inline ints four_of(const int8_t * x) {
    int32_t four;
    memcpy(&four, x, 4);
    return i_all32(four);
}

/* A quad of activations, in all lanes. Where that takes more than a load, quads are kept so. */
#if LANES == 4
#define QUAD_BYTES 16
static inline ints quad_of(const int8_t * x) { return _mm_load_si128((const __m128i *) x); }
#else
#define QUAD_BYTES 4
static inline ints quad_of(const int8_t * x) { return four_of(x); }
#endif

/* The parts of a kernel become one function for each type and number of columns, their loops unrolled: what they
   know of both are constants then, and sums are in registers. */
#define KERNEL static inline __attribute__((always_inline)) void
#define UNROLL(n) _Pragma(UNROLL_TEXT(GCC unroll n))
#define UNROLL_TEXT(x) #x
