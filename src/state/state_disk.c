// What stands in LMDB beside the chunks of sorted runs. Values begin with a u64 checksum that
// covers the key and the rest (mor_run_checksum); integers little-endian.
//
//   'H'            magic u64 | format u32 | with index u32 | salt u64 | window i64 | table size u32
//   |
//                  dedup size u32 | table | dedup fields
//   'D'            next sequence | run count | run sum | name count | name sum | mark checksum; u64
//   'M'            watermark i64 | batch id 16 bytes | version size u32 | offsets size u32 |
//   version |
//                  offsets
//   'N' number u32 name
//
// The sums in 'D' change in the transaction that changes what they count, so that values of two
// different transactions, or missing ones, are noticed when the state is opened.
#include <assert.h>
#include <errno.h>

#include "moraine/base/fault.h"
#include "moraine/base/thread.h"
#include "state_internal.h"

#define MAGIC          0x31455441544E524DULL // "MRNTATE1"
#define FORMAT_VERSION 2
#define SUMS_SIZE      (8 + sizeof(struct state_sums))
#define NAME_KEY_SIZE  5

static MDB_val letter_key(const char *letter)
{
    return (MDB_val){1, (void *)(uintptr_t)letter};
}

static int put_checked(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, struct mor_buffer *value,
                       uint64_t *ret_checksum)
{
    uint64_t checksum = mor_run_checksum(key, value->data, value->size_bytes);
    memcpy(value->data, &checksum, sizeof checksum);
    if (ret_checksum != NULL)
        *ret_checksum = checksum;
    MDB_val bytes = {value->size_bytes, value->data};
    return mdb_put(txn, dbi, key, &bytes, 0);
}

static int get_checked(MDB_txn *txn, MDB_dbi dbi, const char *letter, size_t size_min,
                       MDB_val *ret_value)
{
    MDB_val key = letter_key(letter);
    int code = mdb_get(txn, dbi, &key, ret_value);
    if (code != MDB_SUCCESS)
        return code;
    uint64_t checksum;
    if (ret_value->mv_size < size_min + sizeof checksum)
        return MDB_CORRUPTED;
    memcpy(&checksum, ret_value->mv_data, sizeof checksum);
    return checksum == mor_run_checksum(&key, ret_value->mv_data, ret_value->mv_size)
               ? MDB_SUCCESS
               : MDB_CORRUPTED;
}

// ---- list of runs -------------------------------------------------------------------------------

static bool run_is_before(const struct sorted_run *a, const struct sorted_run *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind;
    if (a->bucket != b->bucket)
        return a->bucket < b->bucket;
    return a->order < b->order;
}

void mor_run_list_add(struct run_list *list, const struct sorted_run *run)
{
    list->runs = mor_realloc(list->runs, (list->count + 1) * sizeof *list->runs);
    size_t at = list->count++;
    for (; at > 0 && run_is_before(run, &list->runs[at - 1]); at--)
        list->runs[at] = list->runs[at - 1];
    list->runs[at] = *run;
}

static void free_run(struct mor_state *state, struct sorted_run *run)
{
    size_t bytes = mor_sorted_run_done(run);
    atomic_fetch_sub(&state->keys.bytes, bytes);
    mor_budget_give(state->budget, bytes);
}

void mor_run_list_remove(struct mor_state *state, size_t index)
{
    struct run_list *list = &state->runs;
    free_run(state, &list->runs[index]);
    memmove(&list->runs[index], &list->runs[index + 1],
            (list->count - index - 1) * sizeof *list->runs);
    list->count--;
}

// ---- write --------------------------------------------------------------------------------------

struct disk_write {
    struct mor_state *state;
    const struct state_change *change;
    struct state_sums sums;
    struct sorted_run *added;
    size_t added_count;
    struct mor_buffer mark;
};

static void forget_added(struct disk_write *write)
{
    for (size_t i = 0; i < write->added_count; i++)
        mor_sorted_run_done(&write->added[i]);
    write->added_count = 0;
}

int mor_state_put_sums(const struct state_sums *sums, MDB_txn *txn, MDB_dbi dbi)
{
    MOR_AUTO_BUFFER value = {0};
    mor_buffer_append_le64(&value, 0);
    mor_buffer_append(&value, sums, sizeof *sums);
    MDB_val key = letter_key("D");
    return put_checked(txn, dbi, &key, &value, NULL);
}

static int put_run(struct disk_write *write, const struct packed_run *packed, MDB_txn *txn,
                   MDB_dbi dbi)
{
    uint64_t sequence = write->sums.next_sequence++;
    struct sorted_run *run = &write->added[write->added_count++];
    *run = (struct sorted_run){.kind = packed->kind,
                               .entry_size = packed->entry_size,
                               .bucket = packed->bucket,
                               .sequence = sequence,
                               .order = sequence};
    size_t total = packed->entries.size_bytes / packed->entry_size;
    size_t most = mor_run_chunk_entries_max(packed->entry_size);
    for (size_t done = 0; done < total;) {
        size_t count = total - done < most ? total - done : most;
        int code = mor_sorted_run_add_chunk(
            run, txn, dbi, packed->entries.data + done * packed->entry_size, count);
        if (code != MDB_SUCCESS)
            return code;
        done += count;
    }
    int code = mor_sorted_run_add_record(run, txn, dbi);
    write->sums.run_count++;
    write->sums.run_sum += run->record_hash;
    return code;
}

static bool is_dropped(const struct disk_write *write, const struct sorted_run *run)
{
    return run->kind == RUN_OF_IDS && run->bucket < write->change->drop_before;
}

static int drop_runs(struct disk_write *write, MDB_txn *txn, MDB_dbi dbi)
{
    const struct run_list *list = &write->state->runs;
    for (size_t i = 0; i < list->count; i++) {
        if (!is_dropped(write, &list->runs[i]))
            continue;
        int code = mor_sorted_run_delete(&list->runs[i], txn, dbi);
        if (code != MDB_SUCCESS)
            return code == MDB_NOTFOUND ? MDB_CORRUPTED : code;
        write->sums.run_count--;
        write->sums.run_sum -= list->runs[i].record_hash;
    }
    return MDB_SUCCESS;
}

static void put_be32(uint8_t *to, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        to[i] = (uint8_t)value;
}

static int put_names(struct disk_write *write, MDB_txn *txn, MDB_dbi dbi)
{
    struct mor_state *state = write->state;
    MOR_AUTO_BUFFER value = {0};
    for (;;) {
        uint8_t name[NAME_KEY_SIZE] = {'N'};
        mor_buffer_reset(&value);
        {
            MOR_LOCKED(&state->mutex);
            uint64_t number = write->sums.name_count;
            if (number == state->names.count)
                return MDB_SUCCESS;
            put_be32(name + 1, (uint32_t)number);
            mor_buffer_append_le64(&value, 0);
            mor_buffer_append(&value, state->names.entries[number].key,
                              state->names.entries[number].key_size);
        }
        MDB_val key = {sizeof name, name};
        uint64_t checksum;
        int code = put_checked(txn, dbi, &key, &value, &checksum);
        if (code != MDB_SUCCESS)
            return code;
        write->sums.name_count++;
        write->sums.name_sum += checksum;
    }
}

static int put_mark(struct disk_write *write, MDB_txn *txn, MDB_dbi dbi)
{
    const struct mor_state_mark *mark = write->change->mark;
    struct mor_buffer *value = &write->mark;
    mor_buffer_reset(value);
    size_t version_size = strlen(mark->version);
    mor_buffer_append_le64(value, 0);
    mor_buffer_append_le64(value, (uint64_t)mark->watermark_ms);
    mor_buffer_append(value, mark->batch_id.bytes, sizeof mark->batch_id.bytes);
    mor_buffer_append_le32(value, (uint32_t)version_size);
    mor_buffer_append_le32(value, (uint32_t)mark->offsets_size_bytes);
    mor_buffer_append(value, mark->version, version_size);
    mor_buffer_append(value, mark->offsets, mark->offsets_size_bytes);
    MDB_val key = letter_key("M");
    return put_checked(txn, dbi, &key, value, &write->sums.mark_checksum);
}

static int write_change(void *context, MDB_txn *txn, MDB_dbi dbi)
{
    struct disk_write *write = context;
    forget_added(write); // of an earlier try
    write->sums = write->state->sums;
    int code = MDB_SUCCESS;
    for (size_t i = 0; code == MDB_SUCCESS && i < write->change->run_count; i++)
        code = put_run(write, &write->change->runs[i], txn, dbi);
    struct mor_error fault = MOR_ERROR_INIT;
    if (code == MDB_SUCCESS && mor_fault("state.mid_write", &fault) != MOR_OK)
        code = EIO;
    if (code == MDB_SUCCESS)
        code = drop_runs(write, txn, dbi);
    if (code == MDB_SUCCESS)
        code = put_names(write, txn, dbi);
    if (code == MDB_SUCCESS && write->change->mark != NULL)
        code = put_mark(write, txn, dbi);
    return code == MDB_SUCCESS ? mor_state_put_sums(&write->sums, txn, dbi) : code;
}

static void set_mark(struct mor_state *state, const struct mor_buffer *value)
{
    mor_buffer_reset(&state->mark_bytes);
    const uint8_t *at = value->data + 8;
    uint32_t sizes[2];
    memcpy(&state->mark.watermark_ms, at, 8);
    memcpy(state->mark.batch_id.bytes, at + 8, 16);
    memcpy(sizes, at + 24, sizeof sizes);
    mor_buffer_append(&state->mark_bytes, at + 32, sizes[0]);
    mor_buffer_append_u8(&state->mark_bytes, 0);
    mor_buffer_append(&state->mark_bytes, at + 32 + sizes[0], sizes[1]);
    state->mark.version = (const char *)state->mark_bytes.data;
    state->mark.offsets = state->mark_bytes.data + sizes[0] + 1;
    state->mark.offsets_size_bytes = sizes[1];
    state->has_mark = true;
}

// Called with the lock of the readers held for writing.
static void publish_change(void *context)
{
    struct disk_write *write = context;
    struct mor_state *state = write->state;
    state->sums = write->sums;
    for (size_t i = state->runs.count; i > 0; i--)
        if (is_dropped(write, &state->runs.runs[i - 1]))
            mor_run_list_remove(state, i - 1);
    for (size_t i = 0; i < write->added_count; i++)
        mor_run_list_add(&state->runs, &write->added[i]);
    write->added_count = 0;
}

enum mor_status mor_state_disk_write(struct mor_state *state, const struct state_change *change,
                                     struct mor_error *err)
{
    struct disk_write write = {.state = state, .change = change};
    write.added = mor_calloc(change->run_count, sizeof *write.added);
    enum mor_status status =
        mor_state_env_write(&state->env, write_change, publish_change, false, &write, err);
    if (status == MOR_OK) {
        if (change->mark != NULL)
            set_mark(state, &write.mark);
    }
    forget_added(&write);
    free(write.added);
    mor_buffer_done(&write.mark);
    return status;
}

// ---- open ---------------------------------------------------------------------------------------

struct disk_open {
    struct mor_state *state;
    const char *reason; // why it cannot be used, when the code is MDB_CORRUPTED
};

static int write_head(struct mor_state *state, MDB_txn *txn, MDB_dbi dbi)
{
    struct mor_uuid random = mor_uuid_v4();
    memcpy(&state->salt, random.bytes + 8, sizeof state->salt);
    if (state->salt_wanted != 0)
        state->salt = state->salt_wanted;
    MOR_AUTO_BUFFER value = {0};
    mor_buffer_append_le64(&value, 0);
    mor_buffer_append_le64(&value, MAGIC);
    mor_buffer_append_le32(&value, FORMAT_VERSION);
    mor_buffer_append_le32(&value, state->has_index);
    mor_buffer_append_le64(&value, state->salt);
    mor_buffer_append_le64(&value, (uint64_t)state->window_ms);
    mor_buffer_append_le32(&value, (uint32_t)strlen(state->table));
    mor_buffer_append_le32(&value, (uint32_t)strlen(state->dedup_by));
    mor_buffer_append_text(&value, state->table);
    mor_buffer_append_text(&value, state->dedup_by);
    MDB_val key = letter_key("H");
    int code = put_checked(txn, dbi, &key, &value, NULL);
    return code == MDB_SUCCESS ? mor_state_put_sums(&state->sums, txn, dbi) : code;
}

static bool text_is(const uint8_t *bytes, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(bytes, text, size) == 0;
}

static int read_head(struct disk_open *open, MDB_txn *txn, MDB_dbi dbi)
{
    struct mor_state *state = open->state;
    MDB_val value;
    int code = get_checked(txn, dbi, "H", 40, &value);
    if (code == MDB_NOTFOUND) {
        MDB_stat facts;
        code = mdb_stat(txn, dbi, &facts);
        if (code == MDB_SUCCESS && facts.ms_entries > 0) {
            open->reason = "it has no head";
            return MDB_CORRUPTED;
        }
        return code == MDB_SUCCESS ? write_head(state, txn, dbi) : code;
    }
    if (code != MDB_SUCCESS) {
        open->reason = "its head is damaged";
        return code;
    }
    const uint8_t *at = (const uint8_t *)value.mv_data + 8;
    uint64_t magic;
    uint32_t format, with_index, sizes[2];
    int64_t window;
    memcpy(&magic, at, 8);
    memcpy(&format, at + 8, 4);
    memcpy(&with_index, at + 12, 4);
    memcpy(&state->salt, at + 16, 8);
    memcpy(&window, at + 24, 8);
    memcpy(sizes, at + 32, 8);
    if (magic != MAGIC || format != FORMAT_VERSION)
        open->reason = "it was written by another version of moraine";
    else if (value.mv_size != 48 + (size_t)sizes[0] + sizes[1])
        open->reason = "its head is damaged";
    else if (!text_is(at + 40, sizes[0], state->table))
        open->reason = "it belongs to another table";
    else if (window != state->window_ms || !text_is(at + 40 + sizes[0], sizes[1], state->dedup_by))
        open->reason = "dedup was configured differently";
    else if (state->salt_wanted != 0 && state->salt != state->salt_wanted)
        open->reason = "its hashes have another salt";
    else if (with_index != state->has_index)
        open->reason = "it was made with or without an index";
    return open->reason == NULL ? MDB_SUCCESS : MDB_CORRUPTED;
}

static int read_mark(struct disk_open *open, MDB_txn *txn, MDB_dbi dbi)
{
    struct mor_state *state = open->state;
    MDB_val value;
    int code = get_checked(txn, dbi, "M", 32, &value);
    if (code == MDB_NOTFOUND)
        return state->sums.mark_checksum == 0 ? MDB_SUCCESS : MDB_CORRUPTED;
    if (code != MDB_SUCCESS)
        return code;
    uint64_t checksum;
    uint32_t sizes[2];
    memcpy(&checksum, value.mv_data, 8);
    memcpy(sizes, (const uint8_t *)value.mv_data + 32, sizeof sizes);
    if (checksum != state->sums.mark_checksum || value.mv_size != 40 + (size_t)sizes[0] + sizes[1])
        return MDB_CORRUPTED;
    struct mor_buffer view = {.data = value.mv_data, .size_bytes = value.mv_size};
    set_mark(state, &view);
    return MDB_SUCCESS;
}

static int read_name(struct mor_state *state, const MDB_val *key, const MDB_val *value,
                     struct state_sums *found)
{
    uint8_t expected[NAME_KEY_SIZE] = {'N'};
    put_be32(expected + 1, (uint32_t)found->name_count);
    uint64_t checksum;
    if (key->mv_size != NAME_KEY_SIZE || memcmp(key->mv_data, expected, NAME_KEY_SIZE) != 0 ||
        value->mv_size < sizeof checksum)
        return MDB_CORRUPTED;
    memcpy(&checksum, value->mv_data, sizeof checksum);
    if (checksum != mor_run_checksum(key, value->mv_data, value->mv_size))
        return MDB_CORRUPTED;
    bool added;
    mor_map_put(&state->names, (const uint8_t *)value->mv_data + 8, value->mv_size - 8, &added);
    found->name_count++;
    found->name_sum += checksum;
    return added ? MDB_SUCCESS : MDB_CORRUPTED;
}

// Names and records of runs, counted and summed.
static int read_lists(struct disk_open *open, MDB_txn *txn, MDB_dbi dbi)
{
    struct mor_state *state = open->state;
    struct state_sums found = {0};
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, dbi, &cursor);
    if (code != MDB_SUCCESS)
        return code;
    MDB_val key = {1, (void *)(uintptr_t) "N"}, value;
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        char letter = *(const char *)key.mv_data;
        if (letter == 'T')
            break;
        if (letter == 'S') {
            struct sorted_run run;
            code = mor_sorted_run_parse(&key, &value, &run);
            if (code == MDB_SUCCESS) {
                mor_run_list_add(&state->runs, &run);
                found.run_count++;
                found.run_sum += run.record_hash;
            }
        } else {
            code = letter == 'N' ? read_name(state, &key, &value, &found) : MDB_CORRUPTED;
        }
        if (code != MDB_SUCCESS)
            break;
    }
    mdb_cursor_close(cursor);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
        return code;
    return found.run_count == state->sums.run_count && found.run_sum == state->sums.run_sum &&
                   found.name_count == state->sums.name_count &&
                   found.name_sum == state->sums.name_sum
               ? MDB_SUCCESS
               : MDB_CORRUPTED;
}

// Are there more entries than we know of?
static int count_orphans(const struct mor_state *state, MDB_txn *txn, MDB_dbi dbi,
                         size_t *ret_count)
{
    MDB_stat facts;
    int code = mdb_stat(txn, dbi, &facts);
    size_t known = 2u + state->has_mark + state->names.count + state->runs.count;
    for (size_t i = 0; i < state->runs.count; i++)
        known += state->runs.runs[i].chunk_count;
    if (code == MDB_SUCCESS && known > facts.ms_entries)
        return MDB_CORRUPTED;
    *ret_count = code == MDB_SUCCESS ? facts.ms_entries - known : 0;
    return code;
}

// Chunks of merges that did not finish.
static int remove_orphans(struct mor_state *state, MDB_txn *txn, MDB_dbi dbi)
{
    size_t orphans;
    int code = count_orphans(state, txn, dbi, &orphans);
    if (code != MDB_SUCCESS || orphans == 0)
        return code;
    MDB_cursor *cursor;
    code = mdb_cursor_open(txn, dbi, &cursor);
    if (code != MDB_SUCCESS)
        return code;
    MDB_val key = {1, (void *)(uintptr_t) "C"}, value;
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (code == MDB_SUCCESS && *(const char *)key.mv_data == 'C') {
        bool owned = false;
        for (size_t i = 0; !owned && key.mv_size == RUN_CHUNK_KEY_SIZE && i < state->runs.count;
             i++) {
            uint8_t name[RUN_CHUNK_KEY_SIZE];
            MDB_val expected = mor_sorted_run_chunk_key(&state->runs.runs[i], 0, name);
            owned = memcmp(expected.mv_data, key.mv_data, RUN_KEY_SIZE) == 0;
        }
        if (!owned) {
            code = mdb_cursor_del(cursor, 0);
            orphans--;
        }
        if (code == MDB_SUCCESS)
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
        return code;
    return orphans == 0 ? MDB_SUCCESS : MDB_CORRUPTED; // something else that is not ours
}

static int read_all(void *context, MDB_txn *txn, MDB_dbi dbi)
{
    struct disk_open *open = context;
    struct mor_state *state = open->state;
    mor_state_disk_close(state); // of an earlier try
    int code = read_head(open, txn, dbi);
    if (code != MDB_SUCCESS)
        return code;
    MDB_val value;
    code = get_checked(txn, dbi, "D", sizeof state->sums, &value);
    if (code == MDB_SUCCESS && value.mv_size != SUMS_SIZE)
        code = MDB_CORRUPTED;
    if (code == MDB_SUCCESS) {
        memcpy(&state->sums, (const uint8_t *)value.mv_data + 8, sizeof state->sums);
        code = read_lists(open, txn, dbi);
    }
    if (code == MDB_SUCCESS)
        code = read_mark(open, txn, dbi);
    return code == MDB_SUCCESS ? remove_orphans(state, txn, dbi) : code;
}

enum mor_status mor_state_disk_open(struct mor_state *state, struct mor_error *err)
{
    struct disk_open open = {.state = state};
    enum mor_status status = mor_state_env_write(&state->env, read_all, NULL, false, &open, err);
    if (status == MOR_DATA && open.reason != NULL)
        return mor_error_set(err, MOR_DATA, "%s", open.reason);
    return status;
}

void mor_state_disk_close(struct mor_state *state)
{
    for (size_t i = 0; i < state->runs.count; i++)
        free_run(state, &state->runs.runs[i]);
    free(state->runs.runs);
    state->runs = (struct run_list){0};
    state->sums = (struct state_sums){0};
    mor_map_done(&state->names);
    state->names = (struct mor_map){0};
    mor_buffer_reset(&state->mark_bytes);
    state->has_mark = false;
}
