#include "delta_index.h"

#include <assert.h>
#include <string.h>

#include "moraine/base/hash.h"
#include "ordering.h"

#define ROW_BYTES_GUESS     160 // of a row in a log
#define FILTER_BITS_PER_KEY 8
#define VERSIONS_MIN        1024 // an index never shrinks below so many keys
#define NO_ORDERING         UINT32_MAX
#define DELETED             UINT32_MAX

// Newest version of one key. Keys are known by 128 bits of hash, as in the change sets of a commit.
struct version {
    struct mor_hash128 key;
    uint32_t place;    // number of the row in the deltas, or DELETED
    uint32_t ordering; // slot of `orderings`, or NO_ORDERING: whatever comes later wins
    bool base_void;    // a delete without ordering came: whatever the base holds is older
    bool base_stands;  // the base's row won
};

struct mor_delta_index {
    int32_t ordering_column; // 1, or -1
    const struct mor_field *ordering_field;
    struct mor_budget *budget;
    size_t bytes_max;
    uint64_t from, last;
    struct version *versions;
    size_t version_count, version_capacity;
    // low half: version + 1, 0 = free; high half: bits of the hash, so that other keys' versions
    // are not touched
    uint64_t *slots;
    size_t slot_count;
    // a bit for some bits of every key's hash: most rows of a base were not changed, and are told
    // so by memory that stays in the cache
    uint64_t *filter;
    size_t filter_mask; // of bits
    struct mor_vector orderings;
    uint64_t row_count, delete_count;
    uint8_t *winners;
};

// ---- keys ---------------------------------------------------------------------------------------

static uint64_t slot_of(struct mor_hash128 key, size_t version)
{
    return (key.low & ~(uint64_t)UINT32_MAX) | (version + 1);
}

static struct version *version_in(const struct mor_delta_index *index, size_t slot)
{
    uint32_t number = (uint32_t)index->slots[slot];
    return number ? &index->versions[number - 1] : NULL;
}

static void fill_slots(struct mor_delta_index *index)
{
    for (size_t i = 0; i < index->version_count; i++) {
        size_t slot = index->versions[i].key.low & (index->slot_count - 1);
        while (index->slots[slot])
            slot = (slot + 1) & (index->slot_count - 1);
        index->slots[slot] = slot_of(index->versions[i].key, i);
    }
}

static void set_slot_count(struct mor_delta_index *index, size_t count)
{
    mor_budget_take(index->budget, (count - index->slot_count) * sizeof *index->slots);
    free(index->slots);
    index->slots = mor_calloc(count, sizeof *index->slots);
    index->slot_count = count;
    fill_slots(index);
}

static void grow_versions(struct mor_delta_index *index)
{
    size_t more = index->version_capacity ? index->version_capacity / 2 : 512;
    mor_budget_take(index->budget, more * sizeof *index->versions);
    index->version_capacity += more;
    index->versions =
        mor_realloc(index->versions, index->version_capacity * sizeof *index->versions);
}

// Slots for as many keys as the deltas may have, so that they are not built again and again; more
// is made when they are needed.
static void init_slots(struct mor_delta_index *index, int64_t delta_bytes)
{
    size_t count = 1024, wanted = (size_t)delta_bytes / ROW_BYTES_GUESS * 2;
    size_t most = index->bytes_max / 4 / sizeof *index->slots;
    while (count < wanted && count * 2 <= most)
        count *= 2;
    set_slot_count(index, count);
}

// Slot of the key, or the free slot where it belongs.
static size_t find_slot(const struct mor_delta_index *index, struct mor_hash128 key)
{
    size_t slot = key.low & (index->slot_count - 1);
    for (;; slot = (slot + 1) & (index->slot_count - 1)) {
        uint64_t known = index->slots[slot];
        if (known == 0)
            return slot;
        if ((known ^ key.low) >> 32 != 0)
            continue;
        const struct version *version = &index->versions[(uint32_t)known - 1];
        if (version->key.low == key.low && version->key.high == key.high)
            return slot;
    }
}

static struct version *find_or_add(struct mor_delta_index *index, struct mor_hash128 key,
                                   bool *ret_added)
{
    if (index->version_count * 2 >= index->slot_count)
        set_slot_count(index, index->slot_count * 2);
    size_t slot = find_slot(index, key);
    struct version *known = version_in(index, slot);
    *ret_added = known == NULL;
    if (known)
        return known;
    if (index->version_count == index->version_capacity)
        grow_versions(index);
    assert(index->versions != NULL); // there is room for one more
    struct version *version = &index->versions[index->version_count++];
    *version = (struct version){.key = key, .place = DELETED, .ordering = NO_ORDERING};
    index->slots[slot] = slot_of(key, index->version_count - 1);
    return version;
}

static bool covers(const struct mor_delta_index *index, struct mor_hash128 key)
{
    return key.high >= index->from && key.high <= index->last;
}

// ---- memory -------------------------------------------------------------------------------------

static size_t bytes_used(const struct mor_delta_index *index)
{
    // slots are doubled when half of them are taken
    return index->version_count * (sizeof *index->versions + 3 * sizeof *index->slots) +
           (index->ordering_column >= 0 ? mor_vector_bytes(&index->orderings) : 0);
}

// Drops values that no version has any more, and the versions that are not covered.
static void compact(struct mor_delta_index *index)
{
    struct mor_vector orderings;
    if (index->ordering_column >= 0)
        mor_vector_init(&orderings, index->ordering_field, index->budget);
    size_t kept = 0;
    for (size_t i = 0; i < index->version_count; i++) {
        struct version *version = &index->versions[i];
        if (!covers(index, version->key))
            continue;
        if (version->ordering != NO_ORDERING) {
            mor_vector_append_slot(&orderings, &index->orderings, version->ordering);
            version->ordering = (uint32_t)orderings.length - 1;
        }
        index->versions[kept++] = *version;
    }
    index->version_count = kept;
    memset(index->slots, 0, index->slot_count * sizeof *index->slots);
    fill_slots(index);
    if (index->ordering_column >= 0) {
        mor_vector_done(&index->orderings);
        index->orderings = orderings;
    }
}

// Halves the range of hashes until the keys left take half of what is allowed.
static void stay_within(struct mor_delta_index *index)
{
    if (bytes_used(index) <= index->bytes_max)
        return;
    size_t values_max = index->ordering_column >= 0 ? index->orderings.length : 0;
    if (values_max > 2 * index->version_count)
        compact(index);
    while (bytes_used(index) > index->bytes_max / 2 && index->version_count > VERSIONS_MIN &&
           index->last > index->from) {
        index->last = index->from + (index->last - index->from) / 2;
        compact(index);
    }
}

// ---- building -----------------------------------------------------------------------------------

// Whether a version with the given ordering slot beats what is known of the key.
static bool beats(const struct mor_delta_index *index, const struct version *known,
                  const struct mor_vector *ordering, size_t slot)
{
    return known->ordering == NO_ORDERING ||
           mor_ordering_later_wins(ordering, slot, &index->orderings, known->ordering);
}

static void take_ordering(struct mor_delta_index *index, struct version *version,
                          const struct mor_vector *ordering, size_t slot)
{
    if (!ordering)
        return;
    size_t width = mor_type_width(ordering->field);
    bool reuse = version->ordering != NO_ORDERING && width > 0 && ordering->null_count == 0 &&
                 index->orderings.null_count == 0;
    if (reuse) {
        memcpy(index->orderings.data.data + version->ordering * width,
               ordering->data.data + slot * width, width);
        return;
    }
    version->ordering = (uint32_t)index->orderings.length;
    mor_vector_append_slot(&index->orderings, ordering, slot);
}

// Rows whose hashes are taken before the first of them is looked up, so that the memory of their
// slots, and then of their versions, is on its way meanwhile.
#define LOOK_AHEAD 64

static struct mor_hash128 hash_at(const struct mor_vector *keys, size_t row)
{
    size_t size;
    const uint8_t *key = mor_vector_bytes_at(keys, row, &size);
    return mor_hash128(key, size); // a key that is null has no bytes
}

static void prefetch_slot(const struct mor_delta_index *index, struct mor_hash128 key)
{
    __builtin_prefetch(&index->slots[key.low & (index->slot_count - 1)]);
}

static void prefetch_version(const struct mor_delta_index *index, struct mor_hash128 key)
{
    uint64_t known = index->slots[key.low & (index->slot_count - 1)];
    if (known && (known ^ key.low) >> 32 == 0)
        __builtin_prefetch(&index->versions[(uint32_t)known - 1]);
}

static void add_row(struct mor_delta_index *index, struct mor_hash128 hash,
                    const struct mor_vector *ordering, size_t row, uint32_t place)
{
    if (!covers(index, hash))
        return;
    bool added;
    struct version *version = find_or_add(index, hash, &added);
    if (!added && ordering && !beats(index, version, ordering, row))
        return;
    version->place = place;
    take_ordering(index, version, ordering, row);
}

static enum mor_status add_rows(struct mor_delta_index *index, const struct mor_batch *rows,
                                struct mor_error *err)
{
    struct mor_hash128 hashes[LOOK_AHEAD];
    const struct mor_vector *keys = &rows->columns[0];
    const struct mor_vector *ordering =
        index->ordering_column >= 0 ? &rows->columns[index->ordering_column] : NULL;
    if (keys->null_count > 0)
        return mor_error_set(err, MOR_DATA, "a log holds a row without a key");
    for (size_t first = 0; first < rows->row_count; first += LOOK_AHEAD) {
        size_t left = rows->row_count - first, ahead = left < LOOK_AHEAD ? left : LOOK_AHEAD;
        for (size_t i = 0; i < ahead; i++) {
            hashes[i] = hash_at(keys, first + i);
            prefetch_slot(index, hashes[i]);
        }
        for (size_t i = 0; i < ahead; i++)
            prefetch_version(index, hashes[i]);
        for (size_t i = 0; i < ahead; i++)
            add_row(index, hashes[i], ordering, first + i, (uint32_t)index->row_count++);
    }
    return MOR_OK;
}

static void add_deletes(struct mor_delta_index *index, const struct mor_batch *deletes)
{
    const struct mor_vector *keys = &deletes->columns[0];
    const struct mor_vector *ordering = index->ordering_column >= 0 ? &deletes->columns[1] : NULL;
    index->delete_count += deletes->row_count;
    for (size_t i = 0; i < deletes->row_count; i++) {
        size_t size;
        const uint8_t *key = mor_vector_bytes_at(keys, i, &size);
        struct mor_hash128 hash = mor_hash128(key, size);
        if (!covers(index, hash))
            continue;
        bool added;
        struct version *version = find_or_add(index, hash, &added);
        if (!ordering || mor_vector_is_null(ordering, i)) {
            version->place = DELETED;
            version->ordering = NO_ORDERING;
            version->base_void = true;
        } else if (added || beats(index, version, ordering, i)) {
            version->place = DELETED;
            take_ordering(index, version, ordering, i);
        }
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
        if (index->row_count + batch->row_count >= DELETED)
            return mor_error_set(err, MOR_DATA, "the logs of one file group hold too many rows");
        if (kind == MOR_DELTA_ROWS)
            MOR_TRY(add_rows(index, batch, err));
        else
            add_deletes(index, batch);
        stay_within(index);
    }
}

static void build_filter(struct mor_delta_index *index)
{
    size_t bits = 4096;
    while (bits < index->version_count * FILTER_BITS_PER_KEY)
        bits *= 2;
    mor_budget_take(index->budget, bits / 8);
    index->filter = mor_calloc(bits / 64, sizeof *index->filter);
    index->filter_mask = bits - 1;
    for (size_t i = 0; i < index->version_count; i++) {
        size_t bit = index->versions[i].key.high & index->filter_mask;
        index->filter[bit >> 6] |= (uint64_t)1 << (bit & 63);
    }
}

static bool may_hold(const struct mor_delta_index *index, struct mor_hash128 key)
{
    size_t bit = key.high & index->filter_mask;
    return index->filter[bit >> 6] >> (bit & 63) & 1;
}

enum mor_status mor_delta_index_build(struct mor_table *table, const struct mor_slice *slice,
                                      const struct mor_schema *keys, uint64_t from,
                                      size_t bytes_max, struct mor_budget *budget,
                                      struct mor_delta_index **ret_index, struct mor_error *err)
{
    struct mor_delta *delta = NULL;
    MOR_TRY(mor_delta_open(table, slice, keys, &delta, err));
    struct mor_delta_index *index = mor_calloc(1, sizeof *index);
    index->ordering_column = keys->root.child_count > 1 ? 1 : -1;
    index->budget = budget;
    index->bytes_max = bytes_max;
    index->from = from;
    index->last = UINT64_MAX;
    if (index->ordering_column >= 0) {
        index->ordering_field = &keys->root.children[1];
        mor_vector_init(&index->orderings, index->ordering_field, budget);
    }
    init_slots(index, slice->delta_size_bytes);
    enum mor_status status = read_all(index, delta, err);
    mor_delta_free(delta);
    if (status != MOR_OK) {
        mor_delta_index_free(index);
        return status;
    }
    build_filter(index);
    *ret_index = index;
    return MOR_OK;
}

void mor_delta_index_free(struct mor_delta_index *index)
{
    if (!index)
        return;
    if (index->ordering_column >= 0)
        mor_vector_done(&index->orderings);
    if (index->filter)
        mor_budget_give(index->budget, (index->filter_mask + 1) / 8);
    free(index->filter);
    mor_budget_give(index->budget, index->slot_count * sizeof *index->slots +
                                       index->version_capacity * sizeof *index->versions);
    free(index->slots);
    free(index->versions);
    free(index->winners);
    free(index);
}

uint64_t mor_delta_index_last(const struct mor_delta_index *index)
{
    return index->last;
}

struct mor_delta_counts mor_delta_index_counts(const struct mor_delta_index *index)
{
    return (struct mor_delta_counts){
        .rows = index->row_count, .deletes = index->delete_count, .keys = index->version_count};
}

// ---- merging ------------------------------------------------------------------------------------

// Whether a base row stands beside the version that the logs have of its key.
static bool base_stands(const struct mor_delta_index *index, const struct version *version,
                        const struct mor_vector *ordering, size_t row)
{
    return !version->base_void && ordering && version->ordering != NO_ORDERING &&
           !mor_ordering_later_wins(&index->orderings, version->ordering, ordering, row);
}

// Whether a base row stands that the logs may speak of; notes it when it does.
static bool keeps(const struct mor_delta_index *index, struct mor_hash128 key,
                  const struct mor_vector *ordering, size_t row)
{
    struct version *version = version_in(index, find_slot(index, key));
    if (!version)
        return true;
    if (!base_stands(index, version, ordering, row))
        return false;
    version->base_stands = true;
    return true;
}

void mor_delta_index_judge(struct mor_delta_index *index, const struct mor_vector *keys,
                           const struct mor_vector *ordering, uint32_t *kept,
                           size_t *ret_kept_count)
{
    struct mor_hash128 hashes[LOOK_AHEAD];
    bool may[LOOK_AHEAD];
    size_t count = 0;
    for (size_t first = 0; first < keys->length; first += LOOK_AHEAD) {
        size_t left = keys->length - first, ahead = left < LOOK_AHEAD ? left : LOOK_AHEAD;
        for (size_t i = 0; i < ahead; i++) {
            hashes[i] = hash_at(keys, first + i);
            may[i] = may_hold(index, hashes[i]);
            if (may[i])
                prefetch_slot(index, hashes[i]);
        }
        for (size_t i = 0; i < ahead; i++) {
            if (may[i])
                prefetch_version(index, hashes[i]);
        }
        for (size_t i = 0; i < ahead; i++) {
            if (covers(index, hashes[i]) &&
                (!may[i] || keeps(index, hashes[i], ordering, first + i)))
                kept[count++] = (uint32_t)(first + i);
        }
    }
    *ret_kept_count = count;
}

const uint8_t *mor_delta_index_winners(struct mor_delta_index *index, uint64_t *ret_row_count,
                                       uint64_t *ret_winner_count)
{
    free(index->winners);
    index->winners = mor_calloc(index->row_count / 8 + 1, 1);
    uint64_t count = 0;
    for (size_t i = 0; i < index->version_count; i++) {
        const struct version *version = &index->versions[i];
        if (version->place == DELETED || version->base_stands)
            continue;
        index->winners[version->place >> 3] |= (uint8_t)(1u << (version->place & 7));
        count++;
    }
    *ret_row_count = index->row_count;
    *ret_winner_count = count;
    return index->winners;
}
