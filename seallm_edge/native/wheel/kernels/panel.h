/* Weights as register tiles read them: TILE_ROWS rows of CHUNK_BLOCKS blocks, unpacked into bytes that stay in the
   nearest cache while all activations pass by.

   A block is 32 weights of a row; of two scales, the first is that of its first 16. A byte is not negative where
   processors multiply bytes without a sign by bytes with one: then 0 is stored as a zero point, for which the sums
   make up at their start. */
#define TILE_VECTORS 2
#define TILE_ROWS (TILE_VECTORS * LANES)
#define BLOCK 32
#define QUADS 8 /* of a block: four neighbouring weights of a row, in one lane */
#define BLOCK_BYTES (QUADS * QUAD_BYTES) /* of activations of a column */
#define CHUNK_BLOCKS 8
/* Whether 8-bit weights of panels, and their activations, are widened to 16 bits: two operations for LANES products of
   pairs, where bytes with a sign take four for twice as many, three of them on the same two ports. A quad is two pairs:
   of its first and third weights, and of its second and fourth. */
#if defined(DOT4) || LANES == 4
#define PAIRS false
#else
#define PAIRS true
#endif
#define MOST_WORDS (PAIRS ? 2 * QUADS : QUADS) /* of a block: 32 bits in each lane */
#define SUPER_BLOCKS (SUPER / BLOCK)
#define SUPER_PAIRS (SUPER_BLOCKS / 2)

struct panel {
    int8_t weights[CHUNK_BLOCKS][MOST_WORDS][TILE_VECTORS][4 * LANES];
    float scales[CHUNK_BLOCKS][2][TILE_VECTORS][LANES];
    /* What is added for each activation. Super-blocks have one, with the first block, times a whole number for each
       block: of blocks 0 and 2, 1 and 3, 4 and 6, 5 and 7. */
    float minima[CHUNK_BLOCKS][TILE_VECTORS][LANES];
    ints minima_of_pairs[CHUNK_BLOCKS / 2][TILE_VECTORS];
} __attribute__((aligned(64)));

/* Where packed weights are: LANES rows, `stride` bytes apart. Those `ahead` bytes further are wanted next: a
   processor's own prefetching follows few streams, and none beyond a page. */
struct packed {
    const char * rows;
    size_t stride;
    ptrdiff_t ahead;
};

#ifdef DOT4
#define ZERO_POINT_8_BITS 128
#else
#define ZERO_POINT_8_BITS 0
#endif
