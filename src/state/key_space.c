#include "key_space.h"

#include <assert.h>
#include <sys/mman.h>

#include "moraine/base/thread.h"

// Linear probing: at 70 % a hit reads about 2 slots and a miss 6, all neighbours.
#define LOAD_PERCENT_MAX    70
#define LOAD_PERCENT_GROWN  40 // after growing: by 1.75, between wasted memory and moved entries
#define LOAD_PERCENT_PURGED 45 // below this, purging makes room enough
#define CAPACITY_MIN        64
#define SAMPLE_SLOTS        16384
#define HUGE_BYTES          (2u << 20) // from here on memory comes in huge pages: fewer TLB misses

// ---- memory -------------------------------------------------------------------------------------

#define SLOT_WORDS_MAX 4

static size_t slot_words(const struct key_space *space)
{
    return space->has_buckets ? 3 : 4;
}

static size_t slot_bytes(const struct key_space *space, size_t capacity)
{
    size_t bytes = capacity * slot_words(space) * sizeof(uint64_t);
    return bytes < HUGE_BYTES ? bytes : (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
}

size_t mor_key_space_bytes(const struct key_space *space, size_t entries)
{
    return entries * slot_words(space) * sizeof(uint64_t) * 100 / LOAD_PERCENT_GROWN;
}

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : mor_alloc(SIZE_MAX / 2); // ends the process
}

static void count_bytes(struct key_space *space, size_t bytes, size_t before)
{
    atomic_fetch_add(&space->bytes, bytes);
    atomic_fetch_sub(&space->bytes, before);
    mor_budget_take(space->budget, bytes);
    mor_budget_give(space->budget, before);
}

// More slots, behind those that are there; the new ones are empty. Large tables move by their page
// tables: nothing is copied, and no page is touched that the larger table does not need.
static void extend(struct key_space *space, struct key_shard *shard, size_t capacity)
{
    size_t before = shard->slots != NULL ? slot_bytes(space, shard->capacity) : 0;
    size_t used = shard->capacity * shard->slot_words * sizeof(uint64_t);
    size_t bytes = slot_bytes(space, capacity);
    void *slots;
    if (bytes < HUGE_BYTES) {
        slots = mor_realloc(shard->slots, bytes);
        memset((uint8_t *)slots + used, 0, bytes - used);
    } else if (before < HUGE_BYTES) {
        slots = map(bytes);
        if (shard->slots != NULL)
            memcpy(slots, shard->slots, used);
        free(shard->slots);
    } else {
        slots = mremap(shard->slots, before, bytes, MREMAP_MAYMOVE);
        if (slots == MAP_FAILED)
            slots = mor_alloc(SIZE_MAX / 2); // ends the process
    }
    if (bytes >= HUGE_BYTES)
        (void)madvise(slots, bytes, MADV_HUGEPAGE); // only a wish
    count_bytes(space, bytes, before);
    shard->slots = slots;
    shard->capacity = capacity;
}

static void free_slots(struct key_space *space, struct key_shard *shard)
{
    if (shard->slots == NULL)
        return;
    size_t bytes = slot_bytes(space, shard->capacity);
    count_bytes(space, 0, bytes);
    if (bytes < HUGE_BYTES)
        free(shard->slots);
    else
        munmap(shard->slots, bytes);
    shard->slots = NULL;
    shard->capacity = shard->used = 0;
}

// ---- lifecycle ----------------------------------------------------------------------------------

void mor_key_space_init(struct key_space *space, bool has_buckets, struct mor_budget *budget)
{
    memset(space, 0, sizeof *space);
    space->has_buckets = has_buckets;
    space->budget = budget;
    for (size_t i = 0; i < KEY_SHARDS; i++) {
        pthread_mutex_init(&space->shards[i].mutex, NULL);
        space->shards[i].slot_words = slot_words(space);
    }
}

static void free_filter(struct key_space *space, struct key_filter *filter)
{
    size_t bytes = mor_key_filter_done(filter);
    atomic_fetch_sub(&space->bytes, bytes);
    mor_budget_give(space->budget, bytes);
}

static void clear_shard(struct key_space *space, struct key_shard *shard)
{
    free_slots(space, shard);
    for (size_t i = 0; i < shard->filter_count; i++)
        free_filter(space, &shard->filters[i]);
    free(shard->filters);
    shard->filters = NULL;
    shard->filter_count = 0;
    shard->filtered = false;
}

void mor_key_space_clear(struct key_space *space)
{
    for (size_t i = 0; i < KEY_SHARDS; i++) {
        MOR_LOCKED(&space->shards[i].mutex);
        clear_shard(space, &space->shards[i]);
    }
}

void mor_key_space_done(struct key_space *space)
{
    mor_key_space_clear(space);
    for (size_t i = 0; i < KEY_SHARDS; i++)
        pthread_mutex_destroy(&space->shards[i].mutex);
}

// ---- slots --------------------------------------------------------------------------------------

struct key_slot *mor_key_shard_find(struct key_shard *shard, struct mor_hash128 hash)
{
    if (shard->capacity == 0)
        return NULL;
    for (size_t at = key_position(shard, hash);; at = at + 1 == shard->capacity ? 0 : at + 1) {
        struct key_slot *slot = key_slot_at(shard, at);
        if (slot->high == hash.high && slot->low == hash.low)
            return slot;
        if (key_slot_is_empty(slot))
            return NULL;
    }
}

struct key_slot *mor_key_shard_put(struct key_shard *shard, struct mor_hash128 hash)
{
    for (size_t at = key_position(shard, hash);; at = at + 1 == shard->capacity ? 0 : at + 1) {
        struct key_slot *slot = key_slot_at(shard, at);
        if (slot->high == hash.high && slot->low == hash.low)
            return slot;
        if (!key_slot_is_empty(slot))
            continue;
        assert(shard->used + 1 < shard->capacity);
        slot->high = hash.high;
        slot->low = hash.low;
        slot->value = KEY_NOWHERE;
        shard->used++;
        return slot;
    }
}

static bool is_alive(const struct key_space *space, const struct key_slot *slot)
{
    return !key_slot_is_empty(slot) && !key_is_purged(space, slot->value);
}

// Gives an entry, which may stand in the table itself, its slot.
static void place(struct key_shard *shard, const struct key_slot *from)
{
    memcpy(mor_key_shard_put(shard, key_slot_hash(from)), from,
           shard->slot_words * sizeof(uint64_t));
}

// Gives every entry that stays its place, in a table that was extended or is as it was: they are
// pushed together at the end, in their order, and then go from there to their places. A place is
// never behind the slot an entry stands in (those for which it is, at the end of the table, wait in
// `late`), so nothing is overwritten unread.
static void rearrange(struct key_space *space, struct key_shard *shard)
{
    const size_t bytes = shard->slot_words * sizeof(uint64_t);
    size_t first = shard->capacity;
    for (size_t i = shard->capacity; i > 0; i--) {
        struct key_slot *slot = key_slot_at(shard, i - 1);
        if (key_slot_is_empty(slot))
            continue; // all of what was added: is not written to, so that it needs no memory yet
        if (is_alive(space, slot) && --first != i - 1)
            memcpy(key_slot_at(shard, first), slot, bytes);
        if (first != i - 1)
            memset(slot, 0, bytes);
    }
    MOR_AUTO_BUFFER late = {0};
    shard->used = 0;
    for (size_t i = first; i < shard->capacity; i++) {
        uint64_t words[SLOT_WORDS_MAX];
        memcpy(words, key_slot_at(shard, i), bytes);
        memset(key_slot_at(shard, i), 0, bytes);
        const struct key_slot *slot = (const struct key_slot *)words;
        if (key_position(shard, key_slot_hash(slot)) <= i)
            place(shard, slot);
        else
            mor_buffer_append(&late, words, bytes);
    }
    for (size_t at = 0; at < late.size_bytes; at += bytes)
        place(shard, (const struct key_slot *)(const void *)(late.data + at));
}

// How many are alive, by the first slots of a large table: hashes are spread evenly.
static size_t guess_alive(const struct key_space *space, const struct key_shard *shard)
{
    size_t seen = shard->capacity < SAMPLE_SLOTS ? shard->capacity : SAMPLE_SLOTS;
    size_t alive = 0;
    for (size_t i = 0; i < seen; i++)
        alive += is_alive(space, key_slot_at(shard, i));
    return seen > 0 ? alive * shard->capacity / seen : 0;
}

static void extend_for(struct key_space *space, struct key_shard *shard, size_t entries)
{
    size_t capacity = entries * 100 / LOAD_PERCENT_GROWN + 1;
    extend(space, shard, capacity < CAPACITY_MIN ? CAPACITY_MIN : capacity);
}

static bool has_room(const struct key_shard *shard, size_t more)
{
    return shard->used + more <= shard->capacity * LOAD_PERCENT_MAX / 100;
}

void mor_key_shard_reserve(struct key_space *space, struct key_shard *shard, size_t more)
{
    if (has_room(shard, more))
        return;
    // a window that is full loses as many as it gains: its table need not grow
    size_t wanted = guess_alive(space, shard) + more;
    if (wanted > shard->capacity * LOAD_PERCENT_PURGED / 100)
        extend_for(space, shard, wanted);
    rearrange(space, shard);
    if (has_room(shard, more))
        return;
    extend_for(space, shard, shard->used + more); // the guess was wrong
    rearrange(space, shard);
}

// ---- filters ------------------------------------------------------------------------------------

static struct key_filter *filter_of(struct key_shard *shard, uint32_t bucket)
{
    for (size_t i = shard->filter_count; i > 0; i--)
        if (shard->filters[i - 1].bucket == bucket)
            return &shard->filters[i - 1];
    shard->filters =
        mor_realloc(shard->filters, (shard->filter_count + 1) * sizeof *shard->filters);
    struct key_filter *filter = &shard->filters[shard->filter_count++];
    *filter = (struct key_filter){.bucket = bucket};
    return filter;
}

void mor_key_shard_filter_add(struct key_space *space, struct key_shard *shard, uint32_t bucket,
                              struct mor_hash128 hash, size_t expected_more)
{
    size_t bytes = mor_key_filter_add(filter_of(shard, bucket), hash.low, expected_more);
    atomic_fetch_add(&space->bytes, bytes);
    mor_budget_take(space->budget, bytes);
}

void mor_key_shard_ask_filters(const struct key_shard *shard, struct mor_hash128 hash,
                               void (*found)(void *context, uint32_t bucket), void *context)
{
    for (size_t i = shard->filter_count; i > 0; i--)
        if (mor_key_filter_has(&shard->filters[i - 1], hash.low))
            found(context, shard->filters[i - 1].bucket);
}

// Is the entry on disk? Ids in flight are not yet; the index holds nothing else.
static bool is_on_disk(const struct key_space *space, const struct key_slot *slot)
{
    return !space->has_buckets || ID_OWNER(slot->value) == 0;
}

void mor_key_shard_to_filters(struct key_space *space, struct key_shard *shard)
{
    size_t on_disk = 0, in_flight = 0;
    for (size_t i = 0; i < shard->capacity; i++) {
        const struct key_slot *slot = key_slot_at(shard, i);
        if (!is_alive(space, slot))
            continue;
        if (is_on_disk(space, slot))
            on_disk++;
        else
            in_flight++;
    }
    for (size_t i = 0; i < shard->capacity; i++) {
        struct key_slot *slot = key_slot_at(shard, i);
        if (!is_alive(space, slot) || !is_on_disk(space, slot))
            continue;
        // layers double when the guess is too small, so a share of the whole is guess enough
        if (space->has_buckets)
            mor_key_shard_filter_add(space, shard, ID_BUCKET(slot->value), key_slot_hash(slot),
                                     on_disk / 16);
        slot->value = KEY_NOWHERE;
    }
    struct key_shard old = {
        .slots = shard->slots, .slot_words = shard->slot_words, .capacity = shard->capacity};
    shard->slots = NULL;
    shard->capacity = shard->used = 0;
    mor_key_shard_reserve(space, shard, in_flight);
    for (size_t i = 0; i < old.capacity; i++)
        if (is_alive(space, key_slot_at(&old, i)))
            place(shard, key_slot_at(&old, i));
    free_slots(space, &old);
    shard->filtered = true;
}

void mor_key_shard_forget_old(struct key_space *space, struct key_shard *shard)
{
    uint64_t horizon = atomic_load(&space->purge_horizon);
    size_t kept = 0;
    for (size_t i = 0; i < shard->filter_count; i++) {
        if (shard->filters[i].bucket < horizon)
            free_filter(space, &shard->filters[i]);
        else
            shard->filters[kept++] = shard->filters[i];
    }
    shard->filter_count = kept;
}

// ---- groups -------------------------------------------------------------------------------------

void mor_key_group(const struct mor_hash128 *hashes, size_t count, uint32_t *order,
                   uint32_t starts[KEY_SHARDS + 1])
{
    uint32_t next[KEY_SHARDS] = {0};
    for (size_t i = 0; i < count; i++)
        next[key_shard_of(hashes[i])]++;
    uint32_t sum = 0;
    for (size_t s = 0; s < KEY_SHARDS; s++) {
        starts[s] = sum;
        sum += next[s];
        next[s] = starts[s];
    }
    starts[KEY_SHARDS] = sum;
    for (size_t i = 0; i < count; i++)
        order[next[key_shard_of(hashes[i])]++] = (uint32_t)i;
}
