// What the commits on the timeline state of the table's files, against the files.
#include <string.h>

#include "hudi/hudi_log.h"
#include "hudi/hudi_table.h"

// Attempts to list timeline and files with nothing completed in between.
#define LISTING_TRIES 5

struct stated {
    struct mor_stated_file file;
    const char *group; // partition, slash, file id
    struct hudi_file parsed;
};

struct auditing {
    struct hudi_table *table;
    struct mor_arena *arena;
    struct hudi_listing listing;
    struct mor_map stated;  // key -> struct stated
    struct mor_map present; // key -> struct present
    struct mor_map bases;   // group -> greatest instant of a base file, text
    struct mor_map replaced;
    struct mor_map read;    // instants whose files are known -> 1
    struct mor_map merged;  // version 6: logs that a base file holds, as in log_key
    struct mor_map logs;    // version 6: instant in the name and log_key -> struct present
    struct mor_map origins; // version 6: log_key -> struct stated
    struct mor_audit_remark *remarks;
    size_t remark_count, remark_capacity;
};

struct present {
    const char *key;
    struct hudi_file file;
};

static struct mor_audit_remark *add_remark(struct auditing *audit, enum mor_audit_kind kind,
                                           const char *version, const char *key)
{
    if (audit->remark_count == audit->remark_capacity) {
        size_t capacity = audit->remark_capacity ? audit->remark_capacity * 2 : 16;
        struct mor_audit_remark *grown = mor_arena_alloc(audit->arena, capacity * sizeof *grown);
        if (audit->remark_count > 0)
            memcpy(grown, audit->remarks, audit->remark_count * sizeof *grown);
        audit->remarks = grown;
        audit->remark_capacity = capacity;
    }
    struct mor_audit_remark *remark = &audit->remarks[audit->remark_count++];
    *remark = (struct mor_audit_remark){
        .kind = kind,
        .version = mor_arena_strdup(audit->arena, version ? version : ""),
        .key = mor_arena_strdup(audit->arena, key ? key : ""),
        .text = "",
    };
    return remark;
}

// ---- what commits state -------------------------------------------------------------------------

static const char *group_of(struct auditing *audit, const char *key, const char *file_id)
{
    const char *slash = strrchr(key, '/');
    return mor_arena_printf(audit->arena, "%.*s/%s", slash ? (int)(slash - key) : 0, key, file_id);
}

static void note_base(struct auditing *audit, const char *group, const char *instant)
{
    struct mor_map_entry *entry = mor_map_put_text(&audit->bases, group, NULL);
    if (!entry->value.pointer || strcmp(entry->value.pointer, instant) < 0)
        entry->value.pointer = mor_arena_strdup(audit->arena, instant);
}

static const char *base_of(const struct auditing *audit, const char *group)
{
    const struct mor_map_entry *entry = mor_map_find_text(&audit->bases, group);
    return entry ? entry->value.pointer : "";
}

// A log of version 6 by who wrote it, whatever slice it is named by: rewrites publish the logs that
// came in meanwhile once more, under the name of the new slice.
static const char *log_key(struct auditing *audit, const char *group, const char *token)
{
    return mor_arena_printf(audit->arena, "%s %s", group, token);
}

static void take_file(struct auditing *audit, const struct hudi_instant *instant, const char *path,
                      const json_t *size, const json_t *rows)
{
    struct hudi_file parsed;
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!path || !hudi_file_parse(slash ? slash + 1 : path, audit->arena, &parsed))
        return;
    struct stated *stated = mor_arena_calloc(audit->arena, 1, sizeof *stated);
    stated->parsed = parsed;
    stated->file = (struct mor_stated_file){
        .key = mor_arena_strdup(audit->arena, path),
        .version = mor_arena_strdup(audit->arena, instant->time),
        .size_bytes = json_is_integer(size) ? json_integer_value(size) : -1,
        .row_count = !parsed.is_log && json_is_integer(rows) ? json_integer_value(rows) : -1,
    };
    stated->group = group_of(audit, path, parsed.file_id);
    if (!parsed.is_log)
        note_base(audit, stated->group, parsed.instant);
    mor_map_put_text(&audit->stated, path, NULL)->value.pointer = stated;
    if (parsed.is_log && audit->table->version < 8 && json_is_integer(size))
        mor_map_put_text(&audit->origins, log_key(audit, stated->group, parsed.token), NULL)
            ->value.pointer = stated;
}

static void take_stat(struct auditing *audit, const struct hudi_instant *instant,
                      const json_t *stat)
{
    const char *path = hudi_json_text(stat, "path"), *slash = path ? strrchr(path, '/') : NULL;
    bool is_log = json_object_get(stat, "baseFile") != NULL;
    take_file(audit, instant, path, json_object_get(stat, "fileSizeInBytes"),
              json_object_get(stat, "numWrites"));
    // beside a merged base file: logs that came in meanwhile
    size_t n;
    json_t *name;
    json_array_foreach(is_log ? NULL : json_object_get(stat, "logFiles"), n, name)
    {
        if (json_is_string(name))
            take_file(audit, instant,
                      mor_arena_printf(audit->arena, "%.*s%s", slash ? (int)(slash + 1 - path) : 0,
                                       path, json_string_value(name)),
                      NULL, NULL);
    }
}

static void take_replaced(struct auditing *audit, const json_t *commit)
{
    const char *partition;
    json_t *ids;
    json_object_foreach(json_object_get(commit, "partitionToReplaceFileIds"), partition, ids)
    {
        size_t n;
        json_t *id;
        json_array_foreach(ids, n, id)
        {
            const char *group = mor_arena_printf(audit->arena, "%s/%s", partition,
                                                 json_is_string(id) ? json_string_value(id) : "");
            mor_map_put_text(&audit->replaced, group, NULL);
        }
    }
}

static void take_plan(struct auditing *audit, const struct hudi_instant *instant)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *key = hudi_instant_key(audit->table->layout, instant->time,
                                               HUDI_ACTION_COMPACTION, HUDI_REQUESTED, "");
    HUDI_AUTO_JSON *plan = NULL;
    if (hudi_metadata_read(audit->table->table.store, key, &plan, &err) != MOR_OK) {
        add_remark(audit, MOR_AUDIT_UNREADABLE, instant->time, key)->text =
            mor_arena_strdup(audit->arena, err.message);
        return;
    }
    size_t n, i;
    json_t *operation, *name;
    json_array_foreach(json_object_get(plan, "operations"), n, operation)
    {
        const char *partition = hudi_json_text(operation, "partitionPath");
        json_array_foreach(json_object_get(operation, "deltaFilePaths"), i, name)
        {
            const char *path = json_string_value(name);
            const char *slash = path ? strrchr(path, '/') : NULL;
            struct hudi_file file;
            if (!path || !hudi_file_parse(slash ? slash + 1 : path, audit->arena, &file))
                continue;
            const char *group =
                mor_arena_printf(audit->arena, "%s/%s", partition ? partition : "", file.file_id);
            mor_map_put_text(&audit->merged, log_key(audit, group, file.token), NULL);
        }
    }
}

static bool states_files(enum hudi_action action)
{
    return action == HUDI_ACTION_COMMIT || action == HUDI_ACTION_DELTACOMMIT ||
           action == HUDI_ACTION_REPLACECOMMIT;
}

static void read_commit(struct auditing *audit, const struct hudi_instant *instant)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *key = hudi_instant_completed_key(audit->table->layout, instant);
    HUDI_AUTO_JSON *json = NULL;
    if (hudi_metadata_read(audit->table->table.store, key, &json, &err) != MOR_OK) {
        add_remark(audit, MOR_AUDIT_UNREADABLE, instant->time, key)->text =
            mor_arena_strdup(audit->arena, err.message);
        return;
    }
    if (!states_files(instant->completed))
        return;
    if (audit->table->version < 8 && instant->pending == HUDI_ACTION_COMPACTION)
        take_plan(audit, instant);
    mor_map_put_text(&audit->read, instant->time, NULL);
    const char *partition;
    json_t *stats;
    json_object_foreach(json_object_get(json, "partitionToWriteStats"), partition, stats)
    {
        size_t n;
        json_t *stat;
        json_array_foreach(stats, n, stat) take_stat(audit, instant, stat);
    }
    take_replaced(audit, json);
}

static void read_timeline(struct auditing *audit)
{
    const struct hudi_timeline *timeline = &audit->table->timeline;
    for (size_t i = 0; i < timeline->count; i++) {
        const struct hudi_instant *instant = &timeline->instants[i];
        if (instant->completed != HUDI_ACTION_NONE) {
            read_commit(audit, instant);
            if (strcmp(instant->completion, instant->time) < 0)
                add_remark(audit, MOR_AUDIT_UNREADABLE, instant->time, NULL)->text =
                    "the instant is completed before it begins";
            continue;
        }
        add_remark(audit, MOR_AUDIT_PENDING, instant->time, NULL)->text =
            mor_arena_printf(audit->arena, "%s", hudi_action_name(instant->pending));
    }
}

// ---- what is there ------------------------------------------------------------------------------

static enum mor_status take_present(void *context, const char *partition, const char *name,
                                    const struct hudi_file *file, int64_t size_bytes,
                                    struct mor_error *err)
{
    (void)size_bytes;
    (void)err;
    struct auditing *audit = context;
    struct present *present = mor_arena_calloc(audit->arena, 1, sizeof *present);
    const char *slash = strrchr(name, '/');
    present->file = *file;
    present->key = mor_arena_printf(audit->arena, "%s%s%s", partition, *partition ? "/" : "",
                                    slash ? slash + 1 : name);
    mor_map_put_text(&audit->present, present->key, NULL)->value.pointer = present;
    if (file->is_log && audit->table->version < 8) {
        const char *group = group_of(audit, present->key, file->file_id);
        const char *log = log_key(audit, group, file->token);
        MOR_AUTO_FREE char *place = mor_asprintf("%s %s", file->instant, log);
        mor_map_put_text(&audit->logs, place, NULL)->value.pointer = present;
    }
    return MOR_OK;
}

static enum mor_status list_files(struct auditing *audit, struct mor_error *err)
{
    struct hudi_table *table = audit->table;
    struct mor_store *store = table->table.store;
    MOR_TRY(hudi_slices_build(store, &table->timeline, table->version, NULL, audit->arena,
                              &audit->listing, err));
    mor_map_done(&audit->present);
    mor_map_done(&audit->logs);
    audit->present = audit->logs = (struct mor_map){0};
    return hudi_files_visit(store, audit->arena, take_present, audit, NULL, NULL, err);
}

// Lists until nothing was completed meanwhile: what a commit states is there before the commit is.
static enum mor_status list_table(struct auditing *audit, struct mor_error *err)
{
    struct hudi_table *table = audit->table;
    struct hudi_timeline *timeline = &table->timeline;
    MOR_TRY(hudi_timeline_load(timeline, table->table.store, table->layout, err));
    for (int i = 0; i < LISTING_TRIES; i++) {
        uint64_t digest = hudi_timeline_digest(timeline);
        MOR_TRY(list_files(audit, err));
        MOR_TRY(hudi_timeline_load(timeline, table->table.store, table->layout, err));
        if (hudi_timeline_digest(timeline) == digest)
            return MOR_OK;
    }
    return mor_error_set(err, MOR_RETRY,
                         "the table changed %d times while its files were listed; try again",
                         LISTING_TRIES);
}

// ---- comparing ----------------------------------------------------------------------------------

// Whether readers of the newest snapshot need the file; older slices may be cleaned at any time.
static bool is_needed(const struct auditing *audit, const struct stated *stated)
{
    const char *base = base_of(audit, stated->group);
    if (mor_map_find_text(&audit->replaced, stated->group))
        return false;
    if (!stated->parsed.is_log)
        return strcmp(stated->parsed.instant, base) == 0;
    const char *from =
        audit->table->version >= 8
            ? hudi_timeline_completion(&audit->table->timeline, stated->parsed.instant)
            : stated->parsed.instant;
    return strcmp(from, base) >= 0;
}

// Whether readers need a log that is named by an older slice: then it was published once more.
static bool is_needed_again(struct auditing *audit, const struct stated *stated)
{
    const struct hudi_file *file = &stated->parsed;
    return audit->table->version < 8 && file->is_log &&
           !mor_map_find_text(&audit->replaced, stated->group) &&
           strcmp(file->instant, base_of(audit, stated->group)) < 0 &&
           hudi_file_belongs(file, audit->table->version, stated->file.version) &&
           mor_map_find_text(&audit->read, base_of(audit, stated->group)) &&
           !mor_map_find_text(&audit->merged, log_key(audit, stated->group, file->token));
}

// The copy under the name of the newest slice, stated as the log it is a copy of; NULL when it is
// not there.
static const struct stated *find_again(struct auditing *audit, const struct stated *stated)
{
    MOR_AUTO_FREE char *place = mor_asprintf("%s %s", base_of(audit, stated->group),
                                             log_key(audit, stated->group, stated->parsed.token));
    const struct mor_map_entry *entry = mor_map_find_text(&audit->logs, place);
    if (!entry)
        return NULL;
    const struct present *present = entry->value.pointer;
    struct stated *copy = mor_arena_calloc(audit->arena, 1, sizeof *copy);
    *copy = *stated;
    copy->file.key = present->key;
    copy->parsed = present->file;
    mor_map_put_text(&audit->stated, present->key, NULL)->value.pointer = copy;
    return copy;
}

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

// Version 6 names a log by its slice; the commits that wrote it stand in its blocks. The first of
// them that is completed, "" when none is or the log cannot be read (whoever reads it will say so).
static const char *writer_of_log(struct auditing *audit, const char *key)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_reader *reader = NULL;
    struct hudi_block *blocks = NULL;
    size_t count = 0;
    const char *writer = "";
    if (mor_store_open_object(audit->table->table.store, key, &reader, &err) != MOR_OK)
        return writer;
    struct mor_byte_source source = {
        .context = reader, .size_bytes = mor_reader_size_bytes(reader), .read = read_object};
    if (hudi_log_index(&source, key, audit->arena, &blocks, &count, &err) == MOR_OK) {
        for (size_t i = 0; i < count && !*writer; i++)
            if (hudi_snapshot_sees(audit->listing.snapshot, blocks[i].header[HUDI_HEADER_INSTANT]))
                writer = blocks[i].header[HUDI_HEADER_INSTANT];
    }
    mor_reader_free(reader);
    return writer;
}

static const char *writer_of(struct auditing *audit, const struct present *present)
{
    bool named = !present->file.is_log || audit->table->version >= 8;
    return named ? present->file.instant : writer_of_log(audit, present->key);
}

// A log under the name of a slice that a compaction makes, once, and not in a base file yet.
static bool is_published_again(struct auditing *audit, const struct present *present)
{
    const struct hudi_file *file = &present->file;
    const struct hudi_instant *instant = hudi_timeline_find(&audit->table->timeline, file->instant);
    if (audit->table->version >= 8 || !file->is_log || !instant ||
        instant->pending != HUDI_ACTION_COMPACTION)
        return false;
    const char *key = log_key(audit, group_of(audit, present->key, file->file_id), file->token);
    MOR_AUTO_FREE char *place = mor_asprintf("%s %s", file->instant, key);
    return mor_map_find_text(&audit->origins, key) && !mor_map_find_text(&audit->merged, key) &&
           mor_map_find_text(&audit->logs, place)->value.pointer == present;
}

// Files that readers take although the commit they belong to does not name them.
static void look_for_unnamed(struct auditing *audit, const char *key)
{
    const struct mor_map_entry *entry = mor_map_find_text(&audit->present, key);
    if (mor_map_find_text(&audit->stated, key) || !entry ||
        is_published_again(audit, entry->value.pointer))
        return;
    const char *writer = writer_of(audit, entry->value.pointer);
    if (mor_map_find_text(&audit->read, writer))
        add_remark(audit, MOR_AUDIT_UNNAMED, writer, key);
}

static void compare_slices(struct auditing *audit)
{
    struct mor_map told = {0}; // partitions without their metadata
    for (size_t i = 0; i < audit->listing.partition_count; i++)
        mor_map_put_text(&told, audit->listing.partitions[i], NULL);
    for (size_t i = 0; i < audit->listing.slice_count; i++) {
        const struct hudi_slice *slice = &audit->listing.slices[i];
        bool added;
        mor_map_put_text(&told, slice->partition, &added);
        if (added)
            add_remark(audit, MOR_AUDIT_UNREADABLE, NULL, slice->partition)->text =
                "the partition has no .hoodie_partition_metadata, so that other readers miss it";
        if (slice->base_name) {
            MOR_AUTO_FREE char *key = hudi_data_key(slice->partition, slice->base_name);
            look_for_unnamed(audit, key);
        }
        for (size_t n = 0; n < slice->log_count; n++) {
            MOR_AUTO_FREE char *key = hudi_data_key(slice->partition, slice->logs[n].name);
            look_for_unnamed(audit, key);
        }
    }
    mor_map_done(&told);
}

static void note_present_bases(struct auditing *audit)
{
    for (size_t i = 0; i < audit->listing.slice_count; i++) {
        const struct hudi_slice *slice = &audit->listing.slices[i];
        const char *group =
            mor_arena_printf(audit->arena, "%s/%s", slice->partition, slice->file_id);
        if (slice->base_name)
            note_base(audit, group, slice->base_instant);
    }
}

// Data files that neither a commit names nor a pending one may be writing.
static void look_for_leftovers(struct auditing *audit)
{
    const struct hudi_timeline *timeline = &audit->table->timeline;
    for (size_t i = 0; i < audit->present.count; i++) {
        const struct present *present = audit->present.entries[i].value.pointer;
        if (mor_map_find_text(&audit->stated, present->key))
            continue;
        const char *writer = present->file.instant;
        bool named = !present->file.is_log || audit->table->version >= 8;
        if (!named && *writer_of_log(audit, present->key))
            continue; // unnamed, or of a commit that was archived
        bool pending = false;
        for (size_t n = 0; !named && n < timeline->count && !pending; n++)
            pending = timeline->instants[n].completed == HUDI_ACTION_NONE &&
                      hudi_file_belongs(&present->file, audit->table->version,
                                        timeline->instants[n].time);
        if (named &&
            (hudi_timeline_find(timeline, writer) || hudi_timeline_is_committed(timeline, writer)))
            continue;
        if (!pending)
            add_remark(audit, MOR_AUDIT_LEFTOVER, NULL, present->key);
    }
}

static void collect_needed(struct auditing *audit, struct mor_table_audit *ret_audit)
{
    size_t count = audit->stated.count; // copies are added behind
    ret_audit->files = mor_arena_calloc(audit->arena, count + 1, sizeof *ret_audit->files);
    for (size_t i = 0; i < count; i++) {
        const struct stated *stated = audit->stated.entries[i].value.pointer;
        bool again = is_needed_again(audit, stated);
        if (!again && !is_needed(audit, stated))
            continue;
        const struct stated *found = again ? find_again(audit, stated) : stated;
        if (found)
            ret_audit->files[ret_audit->file_count++] = found->file;
        if (!found || !mor_map_find_text(&audit->present, found->file.key))
            add_remark(audit, MOR_AUDIT_MISSING, stated->file.version, stated->file.key);
    }
}

static enum mor_status is_whole(const struct hudi_table *table, struct mor_arena *arena,
                                bool *ret_whole, struct mor_error *err)
{
    struct mor_object_info *objects;
    size_t count;
    const char *folder = table->layout == 1 ? ".hoodie/archived" : ".hoodie/timeline/history";
    MOR_TRY(mor_store_list_names(table->table.store, folder, arena, &objects, &count, err));
    struct mor_object_info archived;
    enum mor_status status = mor_store_info(table->table.store, HUDI_ARCHIVED_KEY, &archived, err);
    if (status != MOR_OK && status != MOR_NOT_FOUND)
        return status;
    *ret_whole = status == MOR_NOT_FOUND;
    *err = MOR_ERROR_INIT;
    for (size_t i = 0; i < count; i++)
        *ret_whole &= objects[i].is_prefix;
    return MOR_OK;
}

enum mor_status hudi_audit(struct mor_table *head, struct mor_arena *arena,
                           struct mor_table_audit *ret_audit, struct mor_error *err)
{
    struct auditing audit = {.table = hudi_of(head), .arena = arena};
    struct mor_table_audit result = {0};
    enum mor_status status = list_table(&audit, err);
    if (status == MOR_OK)
        status = is_whole(audit.table, arena, &result.is_whole, err);
    if (status == MOR_OK) {
        read_timeline(&audit);
        note_present_bases(&audit);
        collect_needed(&audit, &result);
        compare_slices(&audit);
        look_for_leftovers(&audit);
        result.remarks = audit.remarks;
        result.remark_count = audit.remark_count;
        *ret_audit = result;
    }
    mor_map_done(&audit.stated);
    mor_map_done(&audit.present);
    mor_map_done(&audit.bases);
    mor_map_done(&audit.replaced);
    mor_map_done(&audit.read);
    mor_map_done(&audit.merged);
    mor_map_done(&audit.logs);
    mor_map_done(&audit.origins);
    return status;
}
