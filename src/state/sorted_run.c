#include "sorted_run.h"

#include <assert.h>
#include <string.h>

#include "moraine/base/memory.h"

#define CHUNK_COUNT_MAX (1u << 24)

struct run_entry mor_run_entry_at(const uint8_t *entries, uint32_t entry_size, size_t index)
{
    const uint8_t *at = entries + index * entry_size;
    struct run_entry entry = {.value = 0};
    memcpy(&entry.hash.high, at, 8);
    memcpy(&entry.hash.low, at + 8, 8);
    if (entry_size != ID_ENTRY_SIZE)
        memcpy(&entry.value, at + 16, 8);
    if (entry_size == KEY_ENTRY_SIZE)
        memcpy(&entry.ordering, at + 24, 8);
    return entry;
}

void mor_run_entry_put(uint8_t *to, uint32_t entry_size, const struct run_entry *entry)
{
    memcpy(to, &entry->hash.high, 8);
    memcpy(to + 8, &entry->hash.low, 8);
    if (entry_size != ID_ENTRY_SIZE)
        memcpy(to + 16, &entry->value, 8);
    if (entry_size == KEY_ENTRY_SIZE)
        memcpy(to + 24, &entry->ordering, 8);
}

size_t mor_sorted_run_done(struct sorted_run *run)
{
    size_t bytes = run->filter != NULL ? mor_key_filter_done(run->filter) : 0;
    free(run->filter);
    free(run->fences);
    run->filter = NULL;
    run->fences = NULL;
    return bytes;
}

uint64_t mor_run_digest_add(uint64_t digest, uint64_t chunk_checksum)
{
    uint64_t both[2] = {digest, chunk_checksum};
    return mor_hash64(both, sizeof both);
}

uint64_t mor_run_checksum(const MDB_val *key, const uint8_t *value, size_t size)
{
    assert(size >= 8);
    return mor_hash128_seed(value + 8, size - 8, mor_hash64(key->mv_data, key->mv_size)).low;
}

// ---- keys ---------------------------------------------------------------------------------------

static void put_be(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        to[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *from, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

static MDB_val make_key(const struct sorted_run *run, char letter, uint32_t chunk,
                        uint8_t buffer[RUN_CHUNK_KEY_SIZE])
{
    buffer[0] = (uint8_t)letter;
    buffer[1] = run->kind;
    put_be(buffer + 2, run->bucket, 4);
    put_be(buffer + 6, run->sequence, 8);
    put_be(buffer + RUN_KEY_SIZE, chunk, 4);
    return (MDB_val){letter == 'C' ? RUN_CHUNK_KEY_SIZE : RUN_KEY_SIZE, buffer};
}

MDB_val mor_sorted_run_chunk_key(const struct sorted_run *run, uint32_t chunk,
                                 uint8_t buffer[RUN_CHUNK_KEY_SIZE])
{
    return make_key(run, 'C', chunk, buffer);
}

// ---- write --------------------------------------------------------------------------------------

int mor_sorted_run_add_chunk(struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi,
                             const uint8_t *entries, size_t count)
{
    assert(count > 0 && count <= mor_run_chunk_entries_max(run->entry_size));
    uint8_t buffer[RUN_CHUNK_KEY_SIZE];
    MDB_val key = make_key(run, 'C', run->chunk_count, buffer);
    size_t bytes = count * run->entry_size;
    MDB_val value = {RUN_CHUNK_HEADER + bytes, NULL};
    int code = mdb_put(txn, dbi, &key, &value, MDB_RESERVE | MDB_NOOVERWRITE);
    if (code != MDB_SUCCESS)
        return code == MDB_KEYEXIST ? MDB_CORRUPTED : code;
    uint8_t *to = value.mv_data;
    uint32_t counts[2] = {(uint32_t)count, 0};
    memcpy(to + 8, counts, sizeof counts);
    memcpy(to + RUN_CHUNK_HEADER, entries, bytes);
    uint64_t checksum = mor_run_checksum(&key, to, value.mv_size);
    memcpy(to, &checksum, sizeof checksum);

    run->fences = mor_realloc(run->fences, (run->chunk_count + 1) * sizeof *run->fences);
    run->fences[run->chunk_count] = mor_run_entry_at(entries, run->entry_size, 0).hash;
    run->chunk_count++;
    run->entry_count += count;
    run->digest = mor_run_digest_add(run->digest, checksum);
    return MDB_SUCCESS;
}

int mor_sorted_run_add_record(struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi)
{
    uint8_t buffer[RUN_CHUNK_KEY_SIZE], record[RUN_RECORD_SIZE];
    MDB_val key = make_key(run, 'S', 0, buffer);
    memcpy(record + 8, &run->order, 8);
    memcpy(record + 16, &run->entry_count, 8);
    memcpy(record + 24, &run->chunk_count, 4);
    memcpy(record + 28, &run->entry_size, 4);
    memcpy(record + 32, &run->digest, 8);
    run->record_hash = mor_run_checksum(&key, record, sizeof record);
    memcpy(record, &run->record_hash, 8);
    MDB_val value = {sizeof record, record};
    return mdb_put(txn, dbi, &key, &value, 0);
}

int mor_sorted_run_delete(const struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi)
{
    uint8_t buffer[RUN_CHUNK_KEY_SIZE];
    for (uint32_t chunk = 0; chunk < run->chunk_count; chunk++) {
        MDB_val key = make_key(run, 'C', chunk, buffer);
        int code = mdb_del(txn, dbi, &key, NULL);
        if (code != MDB_SUCCESS)
            return code;
    }
    MDB_val key = make_key(run, 'S', 0, buffer);
    return mdb_del(txn, dbi, &key, NULL);
}

// ---- read ---------------------------------------------------------------------------------------

static bool is_entry_size(uint8_t kind, uint32_t entry_size)
{
    if (kind == RUN_OF_KEYS)
        return entry_size == KEY_ENTRY_SIZE;
    return kind == RUN_OF_IDS && (entry_size == ID_ENTRY_SIZE || entry_size == BUCKET_ENTRY_SIZE);
}

int mor_sorted_run_parse(const MDB_val *key, const MDB_val *value, struct sorted_run *ret_run)
{
    if (key->mv_size != RUN_KEY_SIZE || value->mv_size != RUN_RECORD_SIZE)
        return MDB_CORRUPTED;
    const uint8_t *name = key->mv_data, *record = value->mv_data;
    struct sorted_run run = {
        .kind = name[1], .bucket = (uint32_t)get_be(name + 2, 4), .sequence = get_be(name + 6, 8)};
    memcpy(&run.record_hash, record, 8);
    memcpy(&run.order, record + 8, 8);
    memcpy(&run.entry_count, record + 16, 8);
    memcpy(&run.chunk_count, record + 24, 4);
    memcpy(&run.entry_size, record + 28, 4);
    memcpy(&run.digest, record + 32, 8);
    if (run.record_hash != mor_run_checksum(key, record, RUN_RECORD_SIZE) ||
        !is_entry_size(run.kind, run.entry_size) || run.chunk_count == 0 ||
        run.chunk_count > CHUNK_COUNT_MAX)
        return MDB_CORRUPTED;
    *ret_run = run;
    return MDB_SUCCESS;
}

int mor_sorted_run_chunk(const struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi, uint32_t chunk,
                         bool verify, const uint8_t **ret_entries, size_t *ret_count,
                         uint64_t *ret_checksum)
{
    uint8_t buffer[RUN_CHUNK_KEY_SIZE];
    MDB_val key = make_key(run, 'C', chunk, buffer), value;
    int code = mdb_get(txn, dbi, &key, &value);
    if (code != MDB_SUCCESS)
        return code;
    const uint8_t *bytes = value.mv_data;
    uint32_t count = 0;
    if (value.mv_size > RUN_CHUNK_HEADER)
        memcpy(&count, bytes + 8, sizeof count);
    if (count == 0 || value.mv_size != RUN_CHUNK_HEADER + (size_t)count * run->entry_size)
        return MDB_CORRUPTED;
    if (verify) {
        uint64_t checksum;
        memcpy(&checksum, bytes, sizeof checksum);
        if (checksum != mor_run_checksum(&key, bytes, value.mv_size))
            return MDB_CORRUPTED;
        *ret_checksum = checksum;
    }
    *ret_entries = bytes + RUN_CHUNK_HEADER;
    *ret_count = count;
    return MDB_SUCCESS;
}

// Chunk that may hold the hash: the last one whose first hash is not after it.
static bool chunk_of(const struct sorted_run *run, struct mor_hash128 hash, uint32_t *ret_chunk)
{
    uint32_t low = 0, high = run->chunk_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mor_run_compare(run->fences[middle], hash) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_chunk = low - 1;
    return low > 0;
}

struct search {
    const uint8_t *entries;
    size_t low, high;             // it stands in [low, high), if anywhere
    uint64_t low_hash, high_hash; // bounds of what stands there
    size_t guess;
    unsigned steps;
};

// Hashes are evenly spread: each step guesses between its bounds and comes closer by a root. Should
// they not be, halving ends it.
#define GUESSES_MAX 8

static void guess(struct search *search, uint32_t entry_size, uint64_t hash)
{
    size_t span = search->high - search->low;
    size_t step = span / 2;
    if (search->steps < GUESSES_MAX && search->high_hash > search->low_hash) {
        double above = hash > search->low_hash ? (double)(hash - search->low_hash) : 0;
        step = (size_t)(above * (double)span / (double)(search->high_hash - search->low_hash));
    }
    search->guess = search->low + (step < span ? step : span - 1);
    __builtin_prefetch(search->entries + search->guess * entry_size);
}

// Whether the search is over.
static bool look(struct search *search, uint32_t entry_size, struct mor_hash128 hash,
                 bool *ret_found, struct run_entry *ret_entry)
{
    struct run_entry entry = mor_run_entry_at(search->entries, entry_size, search->guess);
    int order = mor_run_compare(entry.hash, hash);
    if (order == 0) {
        *ret_found = true;
        *ret_entry = entry;
        return true;
    }
    if (order < 0) {
        search->low = search->guess + 1;
        search->low_hash = entry.hash.high;
    } else {
        search->high = search->guess;
        search->high_hash = entry.hash.high;
    }
    if (search->low == search->high)
        return true;
    search->steps++;
    guess(search, entry_size, hash.high);
    return false;
}

int mor_sorted_run_find(const struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi,
                        const struct mor_hash128 *hashes, size_t count, bool *ret_found,
                        struct run_entry *ret_entries)
{
    assert(count <= RUN_SEARCHES);
    struct search searches[RUN_SEARCHES];
    uint8_t open[RUN_SEARCHES]; // numbers of the searches that are not over
    size_t open_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct search *search = &searches[i];
        *search = (struct search){0};
        ret_found[i] = false;
        uint32_t chunk;
        if (!chunk_of(run, hashes[i], &chunk))
            continue;
        int code = mor_sorted_run_chunk(run, txn, dbi, chunk, false, &search->entries,
                                        &search->high, NULL);
        if (code != MDB_SUCCESS)
            return code;
        search->low_hash = run->fences[chunk].high;
        search->high_hash = chunk + 1 < run->chunk_count ? run->fences[chunk + 1].high : UINT64_MAX;
        guess(search, run->entry_size, hashes[i].high);
        open[open_count++] = (uint8_t)i;
    }
    while (open_count > 0) {
        size_t kept = 0;
        for (size_t i = 0; i < open_count; i++) {
            uint8_t at = open[i];
            if (!look(&searches[at], run->entry_size, hashes[at], &ret_found[at], &ret_entries[at]))
                open[kept++] = at;
        }
        open_count = kept;
    }
    return MDB_SUCCESS;
}
