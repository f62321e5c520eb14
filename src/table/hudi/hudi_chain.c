// Slots on disk:
//
//   moraine-slot 1 <CRC-32 of the rest, 8 hex digits>\n
//   JSON object
//
// Why a slot that was put is the successor of the one it names, also when its process was stopped
// for hours before or after the put, is argued in ../README.md ("The chain").
#include "hudi/hudi_chain.h"

#include <inttypes.h>
#include <stdio.h>

#include "hudi/hudi_metadata.h"
#include "moraine/base/fault.h"
#include "moraine/base/hash.h"

#define SLOT_MAGIC   "moraine-slot 1 "
#define HEAD_READS   8 // looks at a slot that is gone again when it is read
#define PARTITION_MD ".hoodie_partition_metadata"

static const char *const kind_names[] = {
    [HUDI_SLOT_COMMIT] = "commit",
    [HUDI_SLOT_REWRITE] = "rewrite",
    [HUDI_SLOT_FOLLOW] = "follow",
};

void hudi_slot_done(struct hudi_slot *slot)
{
    mor_arena_done(&slot->arena);
    *slot = (struct hudi_slot){0};
}

static char *slot_key(uint64_t number)
{
    return mor_asprintf(HUDI_SLOTS_PREFIX "/%020" PRIu64, number);
}

// ---- bytes --------------------------------------------------------------------------------------

static json_t *texts_to_json(const char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}

static enum mor_status slot_format(const struct hudi_slot *slot, struct mor_buffer *ret_bytes,
                                   struct mor_error *err)
{
    HUDI_AUTO_JSON *json = json_object();
    json_t *moves = json_array();
    json_object_set_new(json, "kind", json_string(kind_names[slot->kind]));
    json_object_set_new(json, "batch", json_string(slot->batch));
    json_object_set_new(json, "previous", json_string(slot->previous));
    json_object_set_new(json, "writer", json_string(slot->writer));
    json_object_set_new(json, "instant", json_string(slot->instant));
    json_object_set_new(json, "completion", json_string(slot->completion));
    json_object_set_new(json, "version", json_string(slot->version));
    json_object_set_new(json, "completed", json_string(hudi_action_name(slot->completed)));
    json_object_set_new(json, "partitions", texts_to_json(slot->partitions, slot->partition_count));
    json_object_set_new(json, "moves", moves);
    json_object_set_new(json, "deletes", texts_to_json(slot->deletes, slot->delete_count));
    for (size_t i = 0; i < slot->move_count; i++) {
        const struct hudi_move *move = &slot->moves[i];
        json_array_append_new(moves, json_pack("{s:s,s:s,s:I}", "from", move->from, "to", move->to,
                                               "size", (json_int_t)move->size_bytes));
    }
    // a name that is no UTF-8 was left out above
    if (json_array_size(moves) != slot->move_count ||
        json_array_size(json_object_get(json, "partitions")) != slot->partition_count ||
        json_array_size(json_object_get(json, "deletes")) != slot->delete_count)
        return mor_error_set(err, MOR_DATA, "a file name of instant %s is no UTF-8", slot->instant);
    MOR_AUTO_BUFFER text = {0};
    hudi_metadata_to_json(json, &text);
    mor_buffer_printf(ret_bytes, SLOT_MAGIC "%08x\n", mor_crc32(0, text.data, text.size_bytes));
    mor_buffer_append(ret_bytes, text.data, text.size_bytes);
    return MOR_OK;
}

static bool text_to(const json_t *json, const char *key, char *ret_text, size_t capacity)
{
    const char *text = hudi_json_text(json, key);
    if (!text || strlen(text) >= capacity)
        return false;
    memcpy(ret_text, text, strlen(text) + 1);
    return true;
}

static bool time_to(const json_t *json, const char *key, char ret_time[HUDI_TIME_SIZE])
{
    return text_to(json, key, ret_time, HUDI_TIME_SIZE) &&
           (!*ret_time || hudi_time_is_valid(ret_time, strlen(ret_time)));
}

static bool texts_from_json(const json_t *list, struct mor_arena *arena, const char ***ret_texts,
                            size_t *ret_count)
{
    size_t count = json_array_size(list);
    const char **texts = mor_arena_alloc(arena, (count + 1) * sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text)
            return false;
        texts[i] = mor_arena_strdup(arena, text);
    }
    *ret_texts = texts;
    *ret_count = count;
    return true;
}

static bool moves_from_json(const json_t *list, struct hudi_slot *slot)
{
    slot->move_count = json_array_size(list);
    slot->moves = mor_arena_calloc(&slot->arena, slot->move_count + 1, sizeof *slot->moves);
    for (size_t i = 0; i < slot->move_count; i++) {
        const json_t *json = json_array_get(list, i);
        const char *from = hudi_json_text(json, "from"), *to = hudi_json_text(json, "to");
        if (!from || !to)
            return false;
        slot->moves[i] = (struct hudi_move){
            .from = mor_arena_strdup(&slot->arena, from),
            .to = mor_arena_strdup(&slot->arena, to),
            .size_bytes = hudi_json_int(json, "size"),
        };
    }
    return true;
}

static bool slot_from_json(const json_t *json, struct hudi_slot *slot)
{
    const char *kind = hudi_json_text(json, "kind"), *writer = hudi_json_text(json, "writer");
    const char *completed = hudi_json_text(json, "completed");
    size_t k = 0;
    while (k < 3 && kind && strcmp(kind, kind_names[k]) != 0)
        k++;
    if (!kind || k == 3 || !completed)
        return false;
    slot->kind = (enum hudi_slot_kind)k;
    slot->completed = hudi_action_parse(completed, strlen(completed));
    slot->writer = mor_arena_strdup(&slot->arena, writer ? writer : "");
    return text_to(json, "batch", slot->batch, sizeof slot->batch) &&
           text_to(json, "previous", slot->previous, sizeof slot->previous) &&
           time_to(json, "instant", slot->instant) &&
           time_to(json, "completion", slot->completion) &&
           time_to(json, "version", slot->version) &&
           moves_from_json(json_object_get(json, "moves"), slot) &&
           texts_from_json(json_object_get(json, "partitions"), &slot->arena, &slot->partitions,
                           &slot->partition_count) &&
           texts_from_json(json_object_get(json, "deletes"), &slot->arena, &slot->deletes,
                           &slot->delete_count);
}

static enum mor_status slot_parse(const struct mor_buffer *bytes, struct hudi_slot *slot,
                                  const char *key, struct mor_error *err)
{
    size_t head = strlen(SLOT_MAGIC) + 9;
    char crc[16];
    bool whole =
        bytes->size_bytes > head && memcmp(bytes->data, SLOT_MAGIC, strlen(SLOT_MAGIC)) == 0;
    if (whole) {
        snprintf(crc, sizeof crc, "%08x\n",
                 mor_crc32(0, bytes->data + head, bytes->size_bytes - head));
        whole = memcmp(bytes->data + head - 9, crc, 9) == 0;
    }
    HUDI_AUTO_JSON *json =
        whole ? json_loadb((const char *)bytes->data + head, bytes->size_bytes - head, 0, NULL)
              : NULL;
    if (!json || !slot_from_json(json, slot))
        return mor_error_set(err, MOR_FATAL, "'%s' is damaged: the order of commits is not known",
                             key);
    return MOR_OK;
}

enum mor_status hudi_chain_read(struct mor_store *store, uint64_t number,
                                struct hudi_slot *ret_slot, struct mor_error *err)
{
    MOR_AUTO_FREE char *key = slot_key(number);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(mor_store_get(store, key, HUDI_SLOT_BYTES_MAX, &bytes, err));
    struct hudi_slot slot = {.number = number};
    mor_arena_init(&slot.arena, 0, NULL);
    enum mor_status status = slot_parse(&bytes, &slot, key, err);
    if (status == MOR_OK)
        *ret_slot = slot;
    else
        hudi_slot_done(&slot);
    return status;
}

// ---- which slots there are ----------------------------------------------------------------------

static bool parse_number(const char *key, uint64_t *ret_number)
{
    const char *name = strrchr(key, '/');
    name = name ? name + 1 : key;
    uint64_t number = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(name[i] - '0');
    }
    *ret_number = number;
    return name[20] == '\0' && number > 0;
}

static enum mor_status list_numbers(struct mor_store *store, struct mor_arena *arena,
                                    uint64_t **ret_numbers, size_t *ret_count,
                                    struct mor_error *err)
{
    struct mor_object_info *objects = NULL;
    size_t count = 0, kept = 0;
    MOR_TRY(mor_store_list_names(store, HUDI_SLOTS_PREFIX, arena, &objects, &count, err));
    uint64_t *numbers = mor_arena_alloc(arena, (count + 1) * sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        kept += parse_number(objects[i].key, &numbers[kept]);
    *ret_numbers = numbers;
    *ret_count = kept;
    return MOR_OK;
}

static enum mor_status greatest(struct mor_store *store, uint64_t *ret_number,
                                struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    uint64_t *numbers = NULL, number = 0;
    size_t count = 0;
    enum mor_status status = list_numbers(store, &arena, &numbers, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        number = numbers[i] > number ? numbers[i] : number;
    mor_arena_done(&arena);
    if (status == MOR_OK)
        *ret_number = number;
    return status;
}

enum mor_status hudi_chain_head(struct mor_store *store, struct hudi_slot *ret_head,
                                struct mor_error *err)
{
    enum mor_status status = MOR_NOT_FOUND;
    for (int i = 0; i < HEAD_READS && status == MOR_NOT_FOUND; i++) {
        uint64_t number = 0;
        MOR_TRY(greatest(store, &number, err));
        if (number == 0) {
            *ret_head = (struct hudi_slot){0};
            return MOR_OK;
        }
        MOR_TRY(mor_fault("hudi.listed", err));
        status = hudi_chain_read(store, number, ret_head, err);
        if (status != MOR_OK)
            continue;
        // Between the list and the read the number may have been cleaned away and taken again by a
        // change that is not in the chain. What is read while nothing follows it is.
        uint64_t after = 0;
        status = greatest(store, &after, err);
        if (status == MOR_OK && after != number)
            status = MOR_NOT_FOUND;
        if (status != MOR_OK)
            hudi_slot_done(ret_head);
    }
    return status == MOR_NOT_FOUND ? mor_error_set(err, MOR_RETRY, "slots come and go") : status;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

enum mor_status hudi_chain_clean(struct mor_store *store, uint64_t head, uint64_t kept,
                                 struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    uint64_t *numbers = NULL;
    size_t count = 0;
    enum mor_status status = list_numbers(store, &arena, &numbers, &count, err);
    // ascending: whoever finds its own slot before a gap knows that it is not in the chain
    if (status == MOR_OK && count > 0)
        qsort(numbers, count, sizeof *numbers, compare_numbers);
    for (size_t i = 0; i < count && status == MOR_OK && numbers[i] + kept <= head; i++) {
        MOR_AUTO_FREE char *key = slot_key(numbers[i]);
        status = mor_store_delete(store, key, false, err);
    }
    mor_arena_done(&arena);
    return status;
}

// ---- putting ------------------------------------------------------------------------------------

// Batch of a slot, "" when it is not there.
static enum mor_status batch_of(struct mor_store *store, uint64_t number, bool previous,
                                char ret_batch[MOR_UUID_TEXT_SIZE], struct mor_error *err)
{
    struct hudi_slot slot = {0};
    enum mor_status status = hudi_chain_read(store, number, &slot, err);
    if (status != MOR_OK && status != MOR_NOT_FOUND)
        return status;
    memcpy(ret_batch, previous ? slot.previous : slot.batch, MOR_UUID_TEXT_SIZE);
    if (status == MOR_OK)
        hudi_slot_done(&slot);
    else
        *err = MOR_ERROR_INIT;
    return MOR_OK;
}

static enum mor_status check_predecessor(struct mor_store *store, const struct hudi_slot *slot,
                                         bool *ret_linked, struct mor_error *err)
{
    char batch[MOR_UUID_TEXT_SIZE] = "";
    if (slot->number > 1)
        MOR_TRY(batch_of(store, slot->number - 1, false, batch, err));
    *ret_linked = strcmp(batch, slot->previous) == 0;
    return MOR_OK;
}

enum place { PLACE_IN_CHAIN, PLACE_STALE, PLACE_UNKNOWN };

// Where the slot that was just put stands.
static enum mor_status look_around(struct mor_store *store, const struct hudi_slot *slot,
                                   enum place *ret_place, struct mor_error *err)
{
    char batch[MOR_UUID_TEXT_SIZE] = "";
    uint64_t head = 0;
    MOR_TRY(batch_of(store, slot->number + 1, true, batch, err));
    *ret_place = PLACE_IN_CHAIN;
    if (strcmp(batch, slot->batch) == 0)
        return MOR_OK;
    MOR_TRY(greatest(store, &head, err));
    if (head <= slot->number && !*batch) {
        bool linked = false;
        MOR_TRY(check_predecessor(store, slot, &linked, err));
        if (linked)
            return MOR_OK;
    }
    MOR_TRY(batch_of(store, slot->number, false, batch, err));
    *ret_place = strcmp(batch, slot->batch) == 0 ? PLACE_STALE : PLACE_UNKNOWN;
    return MOR_OK;
}

static enum mor_status settle(struct mor_store *store, const struct hudi_slot *slot,
                              struct mor_error *err)
{
    enum place place = PLACE_UNKNOWN;
    enum mor_status status = mor_fault("hudi.slot_put", err);
    if (status == MOR_OK)
        status = look_around(store, slot, &place, err);
    if (status == MOR_OK && place == PLACE_IN_CHAIN)
        return MOR_OK;
    if (status == MOR_OK && place == PLACE_STALE) {
        MOR_AUTO_FREE char *key = slot_key(slot->number);
        status = mor_store_delete(store, key, true, err);
        if (status == MOR_OK)
            return mor_error_set(err, MOR_CONFLICT,
                                 "the table went on long ago while %s was on its way",
                                 slot->instant);
    }
    if (status == MOR_OK)
        mor_error_fill(err, MOR_UNKNOWN, "slot %" PRIu64 " was cleaned away since", slot->number);
    err->status = MOR_UNKNOWN;
    return MOR_UNKNOWN;
}

// A put that failed may have happened all the same (a rename that was carried out and reported as
// failed): what is under the name tells. Returns what the put should have; *err holds its failure.
static enum mor_status judge_failure(struct mor_store *store, const char *key,
                                     const struct mor_buffer *bytes, enum mor_status failure,
                                     struct mor_error *err)
{
    MOR_AUTO_BUFFER there = {0};
    struct mor_error question = MOR_ERROR_INIT;
    enum mor_status status = mor_store_get(store, key, HUDI_SLOT_BYTES_MAX, &there, &question);
    if (status == MOR_NOT_FOUND)
        return failure;
    if (status != MOR_OK)
        return err->status = MOR_UNKNOWN;
    if (there.size_bytes != bytes->size_bytes ||
        memcmp(there.data, bytes->data, bytes->size_bytes) != 0)
        return err->status = MOR_CONFLICT;
    *err = MOR_ERROR_INIT;
    return mor_store_sync(store, err) == MOR_OK ? MOR_OK : (err->status = MOR_UNKNOWN);
}

enum mor_status hudi_chain_put(struct mor_store *store, const struct hudi_slot *slot,
                               struct mor_error *err)
{
    MOR_AUTO_FREE char *key = slot_key(slot->number);
    MOR_AUTO_BUFFER bytes = {0};
    bool linked = false;
    MOR_TRY(slot_format(slot, &bytes, err));
    MOR_TRY(check_predecessor(store, slot, &linked, err));
    if (!linked)
        return mor_error_set(err, MOR_CONFLICT, "slot %" PRIu64 " is not what %s was planned on",
                             slot->number - 1, slot->instant);
    MOR_TRY(mor_fault("hudi.publish", err));
    enum mor_status status = mor_store_put_new(store, key, bytes.data, bytes.size_bytes, err);
    if (status != MOR_OK && status != MOR_CONFLICT && status != MOR_UNKNOWN)
        status = judge_failure(store, key, &bytes, status, err);
    if (status == MOR_CONFLICT)
        return mor_error_set(err, MOR_CONFLICT, "another instance committed while %s was written",
                             slot->instant);
    return status == MOR_OK ? settle(store, slot, err) : status;
}

// ---- helping ------------------------------------------------------------------------------------

static enum mor_status exists(struct mor_store *store, const char *key, bool *ret_exists,
                              struct mor_error *err)
{
    struct mor_object_info info;
    enum mor_status status = mor_store_info(store, key, &info, err);
    if (status != MOR_OK && status != MOR_NOT_FOUND)
        return status;
    *ret_exists = status == MOR_OK;
    if (status == MOR_NOT_FOUND)
        *err = MOR_ERROR_INIT;
    return MOR_OK;
}

// Java sees a directory as a partition only when this file is in it, so it comes before the data.
static enum mor_status put_partition(struct mor_store *store, const char *partition,
                                     const char *instant, struct mor_error *err)
{
    int depth = *partition ? 1 : 0;
    for (const char *c = partition; *c; c++)
        depth += *c == '/';
    MOR_AUTO_FREE char *key = mor_asprintf("%s%s" PARTITION_MD, partition, *partition ? "/" : "");
    // another thread or instance helps at the same time; the directory is synced in any case
    bool there = false;
    MOR_TRY(exists(store, key, &there, err));
    if (there)
        return MOR_OK;
    MOR_AUTO_FREE char *text =
        mor_asprintf("#partition metadata\ncommitTime=%s\npartitionDepth=%d\n", instant, depth);
    enum mor_status status = mor_store_put_new_deferred(store, key, text, strlen(text), err);
    if (status != MOR_CONFLICT)
        return status;
    *err = MOR_ERROR_INIT;
    return MOR_OK;
}

// One of the files that are not the last.
static enum mor_status move_one(struct mor_store *store, const struct hudi_slot *slot,
                                const struct hudi_move *move, struct mor_error *err)
{
    enum mor_status status = mor_store_move(store, move->from, move->to, err);
    if (status == MOR_CONFLICT) {
        // both names after a crash, on file systems that rename in two steps
        *err = MOR_ERROR_INIT;
        return mor_store_delete(store, move->from, false, err);
    }
    if (status != MOR_NOT_FOUND)
        return status;
    *err = MOR_ERROR_INIT;
    bool there = false, undone = false;
    MOR_TRY(exists(store, move->to, &there, err));
    MOR_TRY(exists(store, slot->moves[slot->move_count - 1].from, &undone, err));
    if (there || !undone)
        return MOR_OK; // another process was quicker
    return mor_error_set(err, MOR_FATAL,
                         "'%s' of the decided commit %s is gone, and so is '%s': files of the "
                         "table were removed by hand or by another program",
                         move->from, slot->instant, move->to);
}

static enum mor_status same_bytes(struct mor_store *store, const struct hudi_move *move,
                                  bool *ret_same, struct mor_error *err)
{
    MOR_AUTO_BUFFER from = {0};
    MOR_AUTO_BUFFER to = {0};
    enum mor_status status = mor_store_get(store, move->from, HUDI_METADATA_BYTES_MAX, &from, err);
    if (status == MOR_OK)
        status = mor_store_get(store, move->to, HUDI_METADATA_BYTES_MAX, &to, err);
    if (status != MOR_OK && status != MOR_NOT_FOUND)
        return status;
    // not found: another process cleared up meanwhile
    *ret_same = status == MOR_NOT_FOUND ||
                (from.size_bytes == to.size_bytes &&
                 (from.size_bytes == 0 || memcmp(from.data, to.data, from.size_bytes) == 0));
    *err = MOR_ERROR_INIT;
    return MOR_OK;
}

static enum mor_status publish(struct mor_store *store, const struct hudi_slot *slot,
                               struct mor_error *err)
{
    const struct hudi_move *move = &slot->moves[slot->move_count - 1];
    enum mor_status status = mor_store_move(store, move->from, move->to, err);
    if (status == MOR_OK)
        return mor_store_sync(store, err);
    if (status != MOR_NOT_FOUND && status != MOR_CONFLICT)
        return status;
    *err = MOR_ERROR_INIT;
    if (status == MOR_CONFLICT) {
        bool same = false;
        MOR_TRY(same_bytes(store, move, &same, err));
        if (!same)
            return mor_error_set(err, MOR_FATAL,
                                 "'%s' of the decided commit %s exists with other contents: "
                                 "another program uses the same instant",
                                 move->to, slot->instant);
        MOR_TRY(mor_store_delete(store, move->from, false, err));
    }
    return mor_store_sync(store, err);
}

// The first of the moves at the end that all go to the folder of the last: they share its sync.
static size_t find_tail(const struct hudi_slot *slot)
{
    size_t tail = slot->move_count - 1;
    const char *last = slot->moves[tail].to, *slash = strrchr(last, '/');
    size_t length = slash ? (size_t)(slash + 1 - last) : 0;
    while (tail > 0 && strncmp(slot->moves[tail - 1].to, last, length) == 0 &&
           !strchr(slot->moves[tail - 1].to + length, '/'))
        tail--;
    return tail;
}

enum mor_status hudi_chain_help(struct mor_store *store, const struct hudi_slot *slot,
                                struct mor_error *err)
{
    bool undone = false;
    if (slot->move_count == 0)
        return MOR_OK;
    MOR_TRY(exists(store, slot->moves[slot->move_count - 1].from, &undone, err));
    if (!undone)
        return MOR_OK;
    MOR_TRY(mor_fault("hudi.help", err));
    for (size_t i = 0; i < slot->partition_count; i++)
        MOR_TRY(put_partition(store, slot->partitions[i], slot->instant, err));
    size_t tail = find_tail(slot);
    for (size_t i = 0; i < tail; i++)
        MOR_TRY(move_one(store, slot, &slot->moves[i], err));
    // every file is durable, its name included, before anybody can see the commit
    MOR_TRY(mor_store_sync(store, err));
    MOR_TRY(mor_fault("hudi.renamed", err));
    for (size_t i = 0; i < slot->delete_count; i++)
        MOR_TRY(mor_store_delete(store, slot->deletes[i], false, err));
    for (size_t i = tail; i + 1 < slot->move_count; i++)
        MOR_TRY(move_one(store, slot, &slot->moves[i], err));
    MOR_TRY(mor_fault("hudi.announced", err));
    MOR_TRY(publish(store, slot, err));
    return mor_fault("hudi.published", err);
}
