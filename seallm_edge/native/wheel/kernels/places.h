/* Which cell of a KV cache holds which position, for neighbouring batch tokens that see cells of one sequence. Needs
   nothing of ggml. */
#define HIDDEN 0xfc00 /* minus infinity as a 16-bit float: what a mask has for cells that a token does not see */
#define MASK_BLOCK 32 /* cells whose masks are compared together */

/* A mask: of each batch token, whether it sees a cell. And the position of each cell; NULL: cells are in order. */
struct mask {
    const char * data;
    size_t stride; /* bytes from token to token */
    int64_t n_kv;
    const int32_t * positions;
};

/* The cells that some batch tokens see, by position: place i is position first + i. */
struct places {
    int32_t * cells; /* of each place; -1 where there is none */
    int64_t capacity, n;
    int64_t first;     /* a multiple of SPAN */
    int64_t unchanged; /* places before this one look alike to all of these tokens */
};

static const uint16_t * mask_row(const struct mask * mask, int64_t token) {
    return (const uint16_t *) (mask->data + token * mask->stride);
}

static int64_t place_of(const struct places * places, const struct mask * mask, int64_t cell) {
    return (mask->positions ? mask->positions[cell] : cell) - places->first;
}

/* Put a cell at its place; false if another one is there. */
static bool put(struct places * places, int64_t place, int64_t cell) {
    if (places->cells[place] >= 0 && places->cells[place] != cell) { return false; }
    places->cells[place] = (int32_t) cell;
    places->n = place < places->n ? places->n : place + 1;
    return true;
}

/* The first position that a token sees, down to a multiple of SPAN, where places would not reach from 0 to the last. */
static int64_t first_place(const struct places * places, const struct mask * mask, const uint16_t * row) {
    int64_t least = INT64_MAX, most = 0;
    for (int64_t cell = 0; cell < mask->n_kv; cell++) {
        if (row[cell] == HIDDEN) { continue; }
        const int64_t position = mask->positions ? mask->positions[cell] : cell;
        least = position < least ? position : least;
        most = position > most ? position : most;
    }
    return most < places->capacity ? 0 : least - least % SPAN;
}

/* The places of the cells that a token sees; false if two have one place, or they lie too far apart. */
static bool begin_places(struct places * places, const struct mask * mask, int64_t token) {
    const uint16_t * row = mask_row(mask, token);
    places->first = first_place(places, mask, row);
    places->n = 0;
    places->unchanged = INT64_MAX;
    memset(places->cells, 0xff, places->capacity * sizeof(int32_t)); /* -1 */
    for (int64_t cell = 0; cell < mask->n_kv; cell++) {
        if (row[cell] == HIDDEN) { continue; }
        const int64_t place = place_of(places, mask, cell);
        if (place < 0 || place >= places->capacity || !put(places, place, cell)) { return false; }
    }
    return true;
}

static bool is_block_same(const uint16_t * a, const uint16_t * b) {
    uint16_t other = 0;
    for (int i = 0; i < MASK_BLOCK; i++) { other |= a[i] ^ b[i]; }
    return other == 0;
}

/* Add the next token, which differs little from the one before; false if its cells do not fit in. Cells that were put
   then are hidden from all other tokens. */
static bool add_token(struct places * places, const struct mask * mask, int64_t token) {
    const uint16_t *row = mask_row(mask, token), *before = mask_row(mask, token - 1);
    for (int64_t cell = 0; cell < mask->n_kv; cell++) {
        if (cell % MASK_BLOCK == 0 && mask->n_kv - cell >= MASK_BLOCK && is_block_same(row + cell, before + cell)) {
            cell += MASK_BLOCK - 1;
            continue;
        }
        if (row[cell] == before[cell]) { continue; }
        const int64_t place = place_of(places, mask, cell);
        if (place < 0 || place >= places->capacity) { return false; }
        places->unchanged = place < places->unchanged ? place : places->unchanged;
        if (row[cell] != HIDDEN && !put(places, place, cell)) { return false; }
    }
    return true;
}

/* The places of as many batch tokens as share them, from `token` to `end` at most; their number. */
static int64_t find_places(struct places * places, const struct mask * mask, int64_t token, int64_t end) {
    if (!begin_places(places, mask, token)) {
        const struct mask in_order = { mask->data, mask->stride, mask->n_kv, NULL };
        begin_places(places, &in_order, token);
        return 1;
    }
    int64_t next = token + 1;
    while (next < end && add_token(places, mask, next)) { next++; }
    return next - token;
}

/* The number of spans from the first place to the last one that has a cell. */
static int64_t spans_of(const struct places * places) { return (places->n + SPAN - 1) / SPAN; }

/* Which of a span's places each of `n` tokens does not see: minus infinity there, else 0; false where all see all. */
static bool hide_places(float (*hidden)[SPAN], const struct places * places, const struct mask * mask,
                        int64_t first_place, int64_t token, int64_t n) {
    const int32_t * cells = places->cells + first_place;
    bool is_hidden = places->unchanged < first_place + SPAN;
    for (int i = 0; i < SPAN; i++) { is_hidden |= cells[i] < 0; }
    for (int64_t t = 0; is_hidden && t < n; t++) {
        const uint16_t * row = mask_row(mask, token + t);
        for (int i = 0; i < SPAN; i++) { hidden[t][i] = cells[i] < 0 || row[cells[i]] == HIDDEN ? -INFINITY : 0; }
    }
    return is_hidden;
}

/* The span'th span of places, of `n` tokens. */
static void attend_to_one_span(struct attention * own, const struct places * places, const struct mask * mask,
                               int64_t span, int64_t token, int64_t n, struct heads heads) {
    const bool is_hidden = hide_places(own->hidden, places, mask, span * SPAN, token, n);
    attend_to_span(own, (int) n, heads, places->cells + span * SPAN, is_hidden);
}

/* All spans of `n` tokens whose queries are in `own`: their sums, and what is to be divided by them. */
static void attend_to_places(struct attention * own, const struct places * places, const struct mask * mask,
                             int64_t token, int64_t n, struct heads heads) {
    const int rows = (int) n * heads.n, dim = heads.dim;
    begin_rows(own, rows, dim);
    for (int64_t span = 0; span < spans_of(places); span++) {
        attend_to_one_span(own, places, mask, span, token, n, heads);
        for (int r = 0; r < rows; r++) {
            merge(dim, own->largest + r, own->sum + r, own->out + r * dim, own->span_largest[r], own->span_sum[r],
                  own->span_out + r * dim);
        }
    }
}
