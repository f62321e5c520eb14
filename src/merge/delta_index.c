#include "delta_index.h"

#include <string.h>

#include "moraine/base/hash.h"
#include "ordering.h"

// Rows of logs are kept in chunks: one vector holds at most 2 GiB of text.
#define CHUNK_ROWS_MAX  65536
#define CHUNK_BYTES_MAX (64u << 20)

enum version_state { VERSION_ROW, VERSION_DELETED };

// Newest version of one key.
struct version {
    uint64_t hash;
    size_t key_at;
    uint32_t key_size;
    uint8_t state;
    bool base_void;           // a delete without ordering came: whatever the base holds is older
    bool has_ordering;        // of a delete: slot `place.row` of delete_orderings
    bool seen;                // the base had the key
    struct mor_row_ref place; // of a row: chunk and row
};

struct mor_delta_index {
    const struct mor_schema *wanted; // borrowed
    int32_t key_column, ordering_column;
    struct mor_budget *budget;
    struct mor_batch **chunks;
    size_t chunk_count, chunk_capacity;
    struct mor_buffer keys;
    struct version *versions;
    size_t version_count, version_capacity;
    uint32_t *slots; // version + 1, 0 = free
    size_t slot_count;
    struct mor_vector delete_orderings;
    struct mor_row_ref *winners;
    size_t winner_count, winner_capacity, winner_next;
};

// ---- keys ---------------------------------------------------------------------------------------

static void grow_slots(struct mor_delta_index *index)
{
    size_t count = index->slot_count ? index->slot_count * 2 : 1024;
    mor_budget_give(index->budget, index->slot_count * sizeof *index->slots);
    mor_budget_take(index->budget, count * sizeof *index->slots);
    free(index->slots);
    index->slots = mor_calloc(count, sizeof *index->slots);
    index->slot_count = count;
    for (size_t i = 0; i < index->version_count; i++) {
        size_t slot = index->versions[i].hash & (count - 1);
        while (index->slots[slot])
            slot = (slot + 1) & (count - 1);
        index->slots[slot] = (uint32_t)i + 1;
    }
}

// Slot of the key, or the free slot where it belongs.
static size_t find_slot(const struct mor_delta_index *index, const uint8_t *key, size_t size,
                        uint64_t hash)
{
    size_t slot = hash & (index->slot_count - 1);
    for (;; slot = (slot + 1) & (index->slot_count - 1)) {
        if (!index->slots[slot])
            return slot;
        const struct version *version = &index->versions[index->slots[slot] - 1];
        if (version->hash == hash && version->key_size == size &&
            memcmp(index->keys.data + version->key_at, key, size) == 0)
            return slot;
    }
}

static struct version *find(const struct mor_delta_index *index, const uint8_t *key, size_t size)
{
    if (index->version_count == 0)
        return NULL;
    uint32_t number = index->slots[find_slot(index, key, size, mor_hash64(key, size))];
    return number ? &index->versions[number - 1] : NULL;
}

static struct version *find_or_add(struct mor_delta_index *index, const uint8_t *key, size_t size,
                                   bool *ret_added)
{
    if (index->version_count * 4 >= index->slot_count * 3)
        grow_slots(index);
    uint64_t hash = mor_hash64(key, size);
    size_t slot = find_slot(index, key, size, hash);
    *ret_added = index->slots[slot] == 0;
    if (!*ret_added)
        return &index->versions[index->slots[slot] - 1];
    if (index->version_count == index->version_capacity) {
        size_t capacity = index->version_capacity ? index->version_capacity * 2 : 512;
        mor_budget_take(index->budget,
                        (capacity - index->version_capacity) * sizeof *index->versions);
        index->versions = mor_realloc(index->versions, capacity * sizeof *index->versions);
        index->version_capacity = capacity;
    }
    struct version *version = &index->versions[index->version_count++];
    *version = (struct version){
        .hash = hash, .key_at = index->keys.size_bytes, .key_size = (uint32_t)size};
    mor_buffer_append(&index->keys, key, size);
    index->slots[slot] = (uint32_t)index->version_count;
    return version;
}

// ---- building -----------------------------------------------------------------------------------

static const struct mor_vector *row_ordering(const struct mor_delta_index *index,
                                             struct mor_row_ref place)
{
    return &index->chunks[place.batch]->columns[index->ordering_column];
}

// Whether a version with the given ordering slot beats what is known of the key.
static bool beats(const struct mor_delta_index *index, const struct version *known,
                  const struct mor_vector *ordering, size_t slot)
{
    if (index->ordering_column < 0)
        return true;
    if (known->state == VERSION_ROW)
        return mor_ordering_later_wins(ordering, slot, row_ordering(index, known->place),
                                       known->place.row);
    return !known->has_ordering ||
           mor_ordering_later_wins(ordering, slot, &index->delete_orderings, known->place.row);
}

static struct mor_batch *chunk_for(struct mor_delta_index *index, size_t row_count)
{
    struct mor_batch *last = index->chunk_count > 0 ? index->chunks[index->chunk_count - 1] : NULL;
    if (last && last->row_count + row_count <= CHUNK_ROWS_MAX &&
        mor_batch_bytes(last) < CHUNK_BYTES_MAX)
        return last;
    if (index->chunk_count == index->chunk_capacity) {
        index->chunk_capacity = index->chunk_capacity ? index->chunk_capacity * 2 : 8;
        index->chunks = mor_realloc(index->chunks, index->chunk_capacity * sizeof *index->chunks);
    }
    return index->chunks[index->chunk_count++] = mor_batch_new(index->wanted, index->budget);
}

static enum mor_status add_rows(struct mor_delta_index *index, const struct mor_batch *rows,
                                struct mor_error *err)
{
    struct mor_batch *chunk = chunk_for(index, rows->row_count);
    size_t first = chunk->row_count;
    for (size_t i = 0; i < rows->column_count; i++)
        mor_vector_append_range(&chunk->columns[i], &rows->columns[i], 0, rows->row_count);
    chunk->row_count += rows->row_count;
    const struct mor_vector *keys = &rows->columns[index->key_column];
    const struct mor_vector *ordering =
        index->ordering_column >= 0 ? &rows->columns[index->ordering_column] : NULL;
    for (size_t i = 0; i < rows->row_count; i++) {
        if (mor_vector_is_null(keys, i))
            return mor_error_set(err, MOR_DATA, "a log holds a row without a key");
        size_t size;
        const uint8_t *key = mor_vector_bytes_at(keys, i, &size);
        bool added;
        struct version *version = find_or_add(index, key, size, &added);
        if (!added && !beats(index, version, ordering, i))
            continue;
        version->state = VERSION_ROW;
        version->place = (struct mor_row_ref){.batch = (uint32_t)(index->chunk_count - 1),
                                              .row = (uint32_t)(first + i)};
    }
    return MOR_OK;
}

static void add_deletes(struct mor_delta_index *index, const struct mor_batch *deletes)
{
    const struct mor_vector *keys = &deletes->columns[0];
    for (size_t i = 0; i < deletes->row_count; i++) {
        size_t size;
        const uint8_t *key = mor_vector_bytes_at(keys, i, &size);
        bool added;
        struct version *version = find_or_add(index, key, size, &added);
        const struct mor_vector *ordering =
            index->ordering_column >= 0 ? &deletes->columns[1] : NULL;
        bool has_ordering = ordering && !mor_vector_is_null(ordering, i);
        if (!has_ordering) {
            version->state = VERSION_DELETED;
            version->has_ordering = false;
            version->base_void = true;
            continue;
        }
        if (!added && !beats(index, version, ordering, i))
            continue;
        version->state = VERSION_DELETED;
        version->has_ordering = true;
        version->place.row = (uint32_t)index->delete_orderings.length;
        mor_vector_append_slot(&index->delete_orderings, ordering, i);
    }
}

static enum mor_status read_all(struct mor_delta_index *index, struct mor_delta *delta,
                                struct mor_error *err)
{
    for (;;) {
        enum mor_delta_kind kind;
        const struct mor_batch *batch = NULL;
        MOR_TRY(mor_delta_next(delta, &kind, &batch, err));
        if (kind == MOR_DELTA_END)
            return MOR_OK;
        if (index->version_count + batch->row_count >= UINT32_MAX)
            return mor_error_set(err, MOR_DATA, "the logs of one file group hold too many rows");
        if (kind == MOR_DELTA_ROWS)
            MOR_TRY(add_rows(index, batch, err));
        else
            add_deletes(index, batch);
    }
}

enum mor_status mor_delta_index_build(struct mor_table *table, const struct mor_slice *slice,
                                      const struct mor_schema *wanted, int32_t key_column,
                                      int32_t ordering_column, struct mor_budget *budget,
                                      struct mor_delta_index **ret_index, struct mor_error *err)
{
    struct mor_delta *delta = NULL;
    MOR_TRY(mor_delta_open(table, slice, wanted, &delta, err));
    struct mor_delta_index *index = mor_calloc(1, sizeof *index);
    index->wanted = wanted;
    index->key_column = key_column;
    index->ordering_column = ordering_column;
    index->budget = budget;
    mor_buffer_init(&index->keys, budget);
    if (ordering_column >= 0)
        mor_vector_init(&index->delete_orderings, &wanted->root.children[ordering_column], budget);
    grow_slots(index);
    enum mor_status status = read_all(index, delta, err);
    mor_delta_free(delta);
    if (status != MOR_OK) {
        mor_delta_index_free(index);
        return status;
    }
    *ret_index = index;
    return MOR_OK;
}

void mor_delta_index_free(struct mor_delta_index *index)
{
    if (!index)
        return;
    for (size_t i = 0; i < index->chunk_count; i++)
        mor_batch_free(index->chunks[i]);
    free(index->chunks);
    mor_buffer_done(&index->keys);
    if (index->ordering_column >= 0)
        mor_vector_done(&index->delete_orderings);
    mor_budget_give(index->budget, index->slot_count * sizeof *index->slots +
                                       index->version_capacity * sizeof *index->versions);
    free(index->slots);
    free(index->versions);
    free(index->winners);
    free(index);
}

// ---- merging ------------------------------------------------------------------------------------

static void add_winner(struct mor_delta_index *index, struct mor_row_ref place)
{
    if (index->winner_count == index->winner_capacity) {
        index->winner_capacity = index->winner_capacity ? index->winner_capacity * 2 : 1024;
        index->winners =
            mor_realloc(index->winners, index->winner_capacity * sizeof *index->winners);
    }
    index->winners[index->winner_count++] = place;
}

// Whether the log's version of a key replaces the base's row.
static bool replaces_base(const struct mor_delta_index *index, const struct version *version,
                          const struct mor_batch *base, size_t row)
{
    if (version->base_void || index->ordering_column < 0)
        return true;
    const struct mor_vector *base_ordering = &base->columns[index->ordering_column];
    const struct mor_vector *ordering = version->state == VERSION_ROW
                                            ? row_ordering(index, version->place)
                                            : &index->delete_orderings;
    return mor_ordering_later_wins(ordering, version->place.row, base_ordering, row);
}

void mor_delta_index_judge(struct mor_delta_index *index, const struct mor_batch *base,
                           uint32_t *kept, size_t *ret_kept_count)
{
    const struct mor_vector *keys = &base->columns[index->key_column];
    size_t count = 0;
    for (size_t i = 0; i < base->row_count; i++) {
        size_t size;
        struct version *version = NULL;
        if (!mor_vector_is_null(keys, i)) {
            const uint8_t *key = mor_vector_bytes_at(keys, i, &size);
            version = find(index, key, size);
        }
        if (!version || !replaces_base(index, version, base, i)) {
            if (version)
                version->seen = true;
            kept[count++] = (uint32_t)i;
            continue;
        }
        if (!version->seen && version->state == VERSION_ROW)
            add_winner(index, version->place);
        version->seen = true;
    }
    *ret_kept_count = count;
}

void mor_delta_index_finish(struct mor_delta_index *index)
{
    for (size_t i = 0; i < index->version_count; i++) {
        struct version *version = &index->versions[i];
        if (!version->seen && version->state == VERSION_ROW)
            add_winner(index, version->place);
        version->seen = true;
    }
}

bool mor_delta_index_take_winners(struct mor_delta_index *index, struct mor_batch *batch,
                                  size_t row_count_max)
{
    if (index->winner_next == index->winner_count) {
        index->winner_next = index->winner_count = 0;
        return false;
    }
    uint32_t rows[256];
    while (index->winner_next < index->winner_count && batch->row_count < row_count_max) {
        uint32_t chunk = index->winners[index->winner_next].batch;
        size_t count = 0;
        while (count < 256 && index->winner_next < index->winner_count &&
               batch->row_count + count < row_count_max &&
               index->winners[index->winner_next].batch == chunk)
            rows[count++] = index->winners[index->winner_next++].row;
        for (size_t i = 0; i < batch->column_count; i++)
            mor_vector_append_slots(&batch->columns[i], &index->chunks[chunk]->columns[i], rows,
                                    count);
        batch->row_count += count;
    }
    return true;
}
