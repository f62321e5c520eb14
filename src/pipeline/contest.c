#include "contest.h"

#include <assert.h>

#define BLOCK_ROWS 2048 // keys that are looked up at once

void mor_ring_init(struct mor_ring *ring, const struct mor_contest_rules *rules,
                   struct mor_state_entry unknown, size_t row_count, struct mor_budget *budget)
{
    *ring =
        (struct mor_ring){.rules = rules, .unknown = unknown, .slot_count = 16, .budget = budget};
    while (ring->slot_count < row_count * 2)
        ring->slot_count *= 2;
    ring->slots = mor_calloc(ring->slot_count, sizeof *ring->slots);
    mor_budget_take(budget, ring->slot_count * sizeof *ring->slots);
}

void mor_ring_done(struct mor_ring *ring)
{
    mor_budget_give(ring->budget, ring->slot_count * sizeof *ring->slots +
                                      ring->capacity * sizeof *ring->contests);
    free(ring->slots);
    free(ring->contests);
}

// ---- keys ---------------------------------------------------------------------------------------

static uint32_t add_contest(struct mor_ring *ring, struct mor_hash128 key)
{
    if (ring->count == ring->capacity) {
        size_t grown = ring->capacity > 0 ? ring->capacity * 2 : 256;
        ring->contests = mor_realloc(ring->contests, grown * sizeof *ring->contests);
        mor_budget_take(ring->budget, (grown - ring->capacity) * sizeof *ring->contests);
        ring->capacity = grown;
    }
    ring->contests[ring->count] = (struct mor_contest){.key = key};
    return (uint32_t)ring->count++;
}

static uint32_t find_contest(struct mor_ring *ring, struct mor_hash128 key)
{
    size_t mask = ring->slot_count - 1;
    size_t slot = key.low & mask;
    for (; ring->slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct mor_contest *contest = &ring->contests[ring->slots[slot] - 1];
        if (contest->key.low == key.low && contest->key.high == key.high)
            return ring->slots[slot] - 1;
    }
    uint32_t index = add_contest(ring, key);
    ring->slots[slot] = index + 1;
    return index;
}

// What is known of the keys that came new, from `first` on.
static enum mor_status look_up(struct mor_ring *ring, size_t first, struct mor_error *err)
{
    struct mor_hash128 keys[BLOCK_ROWS];
    struct mor_state_entry entries[BLOCK_ROWS];
    size_t count = ring->count - first;
    assert(count <= BLOCK_ROWS);
    for (size_t i = 0; i < count; i++) {
        keys[i] = ring->contests[first + i].key;
        entries[i] = ring->unknown;
    }
    if (ring->rules->known != NULL && count > 0)
        MOR_TRY(mor_known_keys_lookup(ring->rules->known, keys, count, entries, err));
    for (size_t i = 0; i < count; i++) {
        struct mor_contest *contest = &ring->contests[first + i];
        contest->prior = entries[i];
        if (ring->rules->known != NULL) {
            bool unknown = entries[i].location == ring->unknown.location &&
                           entries[i].ordering == ring->unknown.ordering;
            ring->hits += !unknown;
            ring->misses += unknown;
        }
        contest->ordering = entries[i].ordering;
        contest->live = entries[i].location != MOR_STATE_NOWHERE;
    }
    return MOR_OK;
}

// ---- competing ----------------------------------------------------------------------------------

static const struct mor_batch *rows_of(const struct mor_ring *ring, struct mor_row_ref ref)
{
    return ring->rules->parts[ref.batch].batch->rows;
}

// Compares values that mor_key_ordering may take for one.
static int compare_finely(const struct mor_vector *a, size_t row_a, const struct mor_vector *b,
                          size_t row_b)
{
    if (a->field->type == MOR_TYPE_DECIMAL) {
        mor_int128 x = mor_vector_decimal(a, row_a), y = mor_vector_decimal(b, row_b);
        return x < y ? -1 : x > y;
    }
    size_t size_a, size_b;
    const uint8_t *x = mor_vector_bytes_at(a, row_a, &size_a);
    const uint8_t *y = mor_vector_bytes_at(b, row_b, &size_b);
    int order = memcmp(x, y, size_a < size_b ? size_a : size_b);
    return order != 0 ? order : size_a < size_b ? -1 : size_a > size_b;
}

// Is the row older than the highest ordering value of its key?
static bool is_older(const struct mor_ring *ring, const struct mor_contest *contest,
                     struct mor_row_ref ref, uint64_t ordering)
{
    if (ordering != contest->ordering || !contest->measured)
        return ordering < contest->ordering;
    const struct mor_batch *mine = rows_of(ring, ref), *other = rows_of(ring, contest->highest);
    int32_t column = ring->rules->ordering_column;
    if (column >= 0 && mor_key_ordering_is_coarse(mine->columns[column].field)) {
        int order = compare_finely(&mine->columns[column], ref.row, &other->columns[column],
                                   contest->highest.row);
        if (order != 0)
            return order < 0;
    }
    int32_t offset = ring->rules->offset_column;
    if (ref.batch == contest->highest.batch || offset < 0)
        return false;
    // the same key came through two Kafka partitions
    return mor_vector_i64(&mine->columns[offset], ref.row) <
           mor_vector_i64(&other->columns[offset], contest->highest.row);
}

static void compete(struct mor_ring *ring, struct mor_contest *contest, struct mor_row_ref ref)
{
    uint8_t flags = ring->rules->parts[ref.batch].batch->flags[ref.row];
    if ((flags & ROW_TOMBSTONE) != 0) {
        contest->winner = ref;
        contest->entered = true;
        contest->live = false;
        return;
    }
    bool removes = (flags & ROW_DELETE) != 0;
    int32_t column = ring->rules->ordering_column;
    uint64_t ordering =
        column >= 0 ? mor_key_ordering(&rows_of(ring, ref)->columns[column], ref.row) : 0;
    bool older = is_older(ring, contest, ref, ordering);
    if (removes)
        ring->outcomes.deleted++;
    else if (older || contest->live)
        ring->outcomes.updated++;
    else
        ring->outcomes.inserted++;
    if (older)
        return;
    contest->ordering = ordering;
    contest->highest = contest->winner = ref;
    contest->measured = contest->entered = true;
    contest->live = !removes;
}

enum mor_status mor_ring_add(struct mor_ring *ring, const struct mor_row_ref *refs, size_t count,
                             struct mor_error *err)
{
    uint32_t contest_of[BLOCK_ROWS];
    for (size_t done = 0; done < count; done += BLOCK_ROWS) {
        size_t block = count - done < BLOCK_ROWS ? count - done : BLOCK_ROWS;
        size_t known = ring->count;
        for (size_t i = 0; i < block; i++) {
            struct mor_row_ref ref = refs[done + i];
            contest_of[i] = find_contest(ring, ring->rules->parts[ref.batch].batch->keys[ref.row]);
        }
        MOR_TRY(look_up(ring, known, err));
        for (size_t i = 0; i < block; i++)
            compete(ring, &ring->contests[contest_of[i]], refs[done + i]);
    }
    return MOR_OK;
}
