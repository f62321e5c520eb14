#include "verify_offsets.h"

#define PIECE_BYTES ((size_t)(VERIFY_PIECE_OFFSETS / 8))

void mor_verify_offsets_done(struct mor_verify_offsets *set)
{
    for (size_t i = 0; i < set->pieces.count; i++) {
        free(set->pieces.entries[i].value.pointer);
        mor_budget_give(set->budget, PIECE_BYTES);
    }
    mor_map_done(&set->pieces);
    *set = (struct mor_verify_offsets){.budget = set->budget};
}

static uint8_t *find_piece(struct mor_verify_offsets *set, int32_t partition, int64_t number)
{
    if (set->last && set->last_partition == partition && set->last_number == number)
        return set->last;
    const struct {
        int64_t number;
        int64_t partition;
    } key = {number, partition};
    struct mor_map_entry *entry = mor_map_find(&set->pieces, &key, sizeof key);
    if (!entry) {
        if (set->pieces.count == VERIFY_PIECES_MAX)
            return NULL;
        entry = mor_map_put(&set->pieces, &key, sizeof key, NULL);
        entry->value.pointer = mor_calloc(1, PIECE_BYTES);
        mor_budget_take(set->budget, PIECE_BYTES);
    }
    set->last = entry->value.pointer;
    set->last_partition = partition;
    set->last_number = number;
    return set->last;
}

bool mor_verify_offsets_add(struct mor_verify_offsets *set, int32_t partition, int64_t offset,
                            bool *ret_new)
{
    uint8_t *bits = find_piece(set, partition, offset / VERIFY_PIECE_OFFSETS);
    if (!bits)
        return false;
    int64_t at = offset % VERIFY_PIECE_OFFSETS;
    uint8_t mask = (uint8_t)(1u << (at & 7));
    *ret_new = !(bits[at >> 3] & mask);
    bits[at >> 3] |= mask;
    return true;
}
