#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iceberg/iceberg_draft.h"
#include "iceberg/iceberg_table.h"
#include "moraine/base/fault.h"

#define MERGE_COUNT        16   // manifests of about one size that are merged
#define TIER_BITS          3    // sizes within a factor of 8 are about one
#define DATA_ENTRIES_MAX   8192 // of a manifest
#define DELETE_ENTRIES_MAX 1024

// An entry on its way into a new manifest.
struct item {
    struct iceberg_entry entry;
    int64_t age;   // sequence number of the data file that it is, or is about
    size_t number; // keeps the order of equals
    bool upgraded;
};

struct items {
    struct item *list;
    size_t count, capacity;
};

// What becomes of a manifest of the base.
struct fate {
    bool *removed; // per entry; NULL = none of them
    bool merged;
};

struct plan {
    struct iceberg_draft *draft;
    struct fate *fates; // one per manifest of the base
    struct items items;
    size_t file_number;
};

static void items_add(struct items *items, const struct item *item)
{
    if (items->count == items->capacity) {
        items->capacity = items->capacity ? items->capacity * 2 : 64;
        items->list = mor_realloc(items->list, items->capacity * sizeof *items->list);
    }
    items->list[items->count] = *item;
    items->list[items->count].number = items->count;
    items->count++;
}

// ---- what to rewrite ----------------------------------------------------------------------------

static bool is_dead(const struct iceberg_manifest_file *manifest)
{
    return manifest->added_files + manifest->existing_files == 0;
}

static bool is_rewritten(const struct fate *fate)
{
    return fate->merged || fate->removed;
}

static void mark_removed(struct plan *plan)
{
    struct iceberg_draft *draft = plan->draft;
    for (size_t i = 0; i < draft->removed_count; i++) {
        const struct iceberg_live *live = draft->removed[i];
        const struct iceberg_entries *content = draft->state->contents[live->manifest];
        struct fate *fate = &plan->fates[live->manifest];
        if (!fate->removed)
            fate->removed =
                mor_arena_calloc(&draft->arena, content->count + 1, sizeof *fate->removed);
        fate->removed[live->entry - content->entries] = true;
    }
}

static int tier_of(int64_t entries)
{
    int tier = 0;
    while (entries >= 1 << TIER_BITS) {
        entries >>= TIER_BITS;
        tier++;
    }
    return tier;
}

// Marks the manifests of the lowest tier that has too many of one content and spec.
static void mark_merged(struct plan *plan, enum iceberg_manifest_content content, int32_t spec_id)
{
    const struct iceberg_state *state = plan->draft->state;
    int64_t limit = content == ICEBERG_MANIFEST_DATA ? DATA_ENTRIES_MAX : DELETE_ENTRIES_MAX;
    int last = tier_of(limit);
    for (int tier = 0; tier < last; tier++) {
        size_t count = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (size_t i = 0; i < state->manifest_count; i++) {
                const struct iceberg_manifest_file *manifest = &state->manifests[i];
                int64_t entries = (int64_t)manifest->added_files + manifest->existing_files;
                if (manifest->content != content || manifest->spec_id != spec_id ||
                    is_dead(manifest) || plan->fates[i].removed || tier_of(entries) != tier)
                    continue;
                count += pass == 0;
                plan->fates[i].merged |= pass == 1;
            }
            if (count < MERGE_COUNT)
                break;
        }
        if (count >= MERGE_COUNT)
            return;
    }
}

// ---- entries ------------------------------------------------------------------------------------

// Delete files are sorted by the age of what they are about.
static int64_t age_of(const struct iceberg_draft *draft, const struct iceberg_entry *entry)
{
    const struct iceberg_state *state = draft->state;
    if (entry->file.content == ICEBERG_DATA)
        return entry->sequence_number;
    const char *target = entry->file.referenced_data_file;
    const char *key = target ? iceberg_key_of_uri(state->metadata, target) : NULL;
    const struct iceberg_live *live =
        key && state->has_files ? iceberg_state_find(state, key) : NULL;
    return live ? live->entry->sequence_number : 0;
}

// Entries of a manifest of the base that live on, or die with this commit.
static enum mor_status take_entries(struct plan *plan, size_t manifest, struct mor_error *err)
{
    struct iceberg_draft *draft = plan->draft;
    const struct fate *fate = &plan->fates[manifest];
    struct iceberg_entry *entries = NULL;
    size_t count = 0;
    MOR_TRY(iceberg_state_read_manifest(draft->table, draft->state, manifest, &draft->arena,
                                        &entries, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct item item = {.entry = entries[i], .upgraded = entries[i].file.first_row_id < 0};
        if (!iceberg_entry_is_live(&entries[i]))
            continue;
        item.age = age_of(draft, &entries[i]);
        item.entry.status = ICEBERG_EXISTING;
        if (fate->removed && fate->removed[i]) {
            item.entry.status = ICEBERG_DELETED;
            item.entry.snapshot_id = draft->snapshot_id;
        }
        items_add(&plan->items, &item);
    }
    return MOR_OK;
}

static void take_added(struct plan *plan, enum iceberg_manifest_content content, int32_t spec_id)
{
    struct iceberg_draft *draft = plan->draft;
    for (size_t i = 0; i < draft->added_count; i++) {
        const struct iceberg_draft_file *added = &draft->added[i];
        if ((added->file.content == ICEBERG_DATA) != (content == ICEBERG_MANIFEST_DATA) ||
            added->spec_id != spec_id)
            continue;
        struct item item = {.entry = {.status = ICEBERG_ADDED,
                                      .snapshot_id = draft->snapshot_id,
                                      .sequence_number = added->sequence_number,
                                      .file_sequence_number = -1,
                                      .file = added->file}};
        item.age = content == ICEBERG_MANIFEST_DATA ? INT64_MAX : age_of(draft, &item.entry);
        // a delete of a file that this very commit adds
        if (item.age == 0)
            item.age = INT64_MAX;
        items_add(&plan->items, &item);
    }
}

static int compare_items(const void *a, const void *b)
{
    const struct item *left = a, *right = b;
    if (left->age != right->age)
        return left->age < right->age ? -1 : 1;
    return (left->number > right->number) - (left->number < right->number);
}

// The vectors of a Puffin file from its end to its start. DuckDB's extension of Iceberg before
// duckdb-iceberg's 8b2e25f reads a vector together with what lies between it and a part of the file
// that it read before, and takes one that lies within such a part from the part's start: with the
// last vector first, there is never anything in between.
static int compare_places(const void *a, const void *b)
{
    const struct item *left = a, *right = b;
    int order = strcmp(left->entry.file.file_path, right->entry.file.file_path);
    int64_t left_offset = left->entry.file.content_offset;
    int64_t right_offset = right->entry.file.content_offset;
    return order != 0 ? order : (left_offset < right_offset) - (left_offset > right_offset);
}

// ---- writing ------------------------------------------------------------------------------------

static enum mor_status put_manifest(struct plan *plan, struct iceberg_manifest_writer *writer,
                                    struct mor_error *err)
{
    struct iceberg_draft *draft = plan->draft;
    struct iceberg_manifest_file *manifest = &draft->manifests[draft->manifest_count];
    MOR_AUTO_BUFFER bytes = {0}, uri = {0};
    char uuid[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&draft->uuid, uuid);
    MOR_TRY(iceberg_manifest_writer_finish(writer, &bytes, &draft->arena, manifest, err));
    MOR_AUTO_FREE char *key = mor_asprintf("metadata/%s-m%zu.avro", uuid, plan->file_number++);
    iceberg_uri_of_key(draft->state->metadata, key, &uri);
    manifest->path = mor_arena_strdup(&draft->arena, mor_buffer_terminate(&uri));
    draft->manifest_count++;
    iceberg_draft_wrote(draft, key);
    MOR_TRY(mor_store_put_new_deferred(draft->table->table.store, key, bytes.data, bytes.size_bytes,
                                       err));
    return mor_fault("iceberg.manifest", err);
}

// Entries [first, first + count) as one manifest.
static enum mor_status write_one(struct plan *plan, enum iceberg_manifest_content content,
                                 int32_t spec_id, size_t first, size_t count, struct mor_error *err)
{
    struct iceberg_draft *draft = plan->draft;
    const struct iceberg_metadata *metadata = draft->state->metadata;
    const struct iceberg_manifest_options options = {
        .format_version = metadata->format_version,
        .content = content,
        .schema = iceberg_metadata_schema(metadata, metadata->current_schema_id),
        .spec = iceberg_state_spec(draft->state, spec_id),
        .snapshot_id = draft->snapshot_id,
    };
    struct iceberg_manifest_writer *writer = iceberg_manifest_writer_new(&options);
    enum mor_status status = MOR_OK;
    for (size_t i = first; i < first + count && status == MOR_OK; i++)
        status = iceberg_manifest_writer_add(writer, &plan->items.list[i].entry,
                                             plan->items.list[i].upgraded, err);
    if (status == MOR_OK)
        status = put_manifest(plan, writer, err);
    iceberg_manifest_writer_free(writer);
    return status;
}

// What was gathered, in manifests of at most `limit` entries.
static enum mor_status write_items(struct plan *plan, enum iceberg_manifest_content content,
                                   int32_t spec_id, struct mor_error *err)
{
    size_t limit = content == ICEBERG_MANIFEST_DATA ? DATA_ENTRIES_MAX : DELETE_ENTRIES_MAX;
    size_t count = plan->items.count, parts = (count + limit - 1) / limit;
    for (size_t first = 0, part = 0; part < parts; part++) {
        size_t size = (count - first + parts - part - 1) / (parts - part);
        if (content == ICEBERG_MANIFEST_DELETES)
            qsort(plan->items.list + first, size, sizeof *plan->items.list, compare_places);
        MOR_TRY(write_one(plan, content, spec_id, first, size, err));
        first += size;
    }
    plan->items.count = 0;
    return MOR_OK;
}

// Room for one more manifest than entries and manifests of the base together.
static void make_room(struct plan *plan)
{
    struct iceberg_draft *draft = plan->draft;
    size_t room = draft->state->manifest_count + draft->added_count + 1;
    for (size_t i = 0; i < draft->state->manifest_count; i++) {
        const struct iceberg_manifest_file *manifest = &draft->state->manifests[i];
        if (is_rewritten(&plan->fates[i]))
            room +=
                (size_t)(manifest->added_files + manifest->existing_files) / DELETE_ENTRIES_MAX + 1;
    }
    draft->manifests = mor_arena_alloc(&draft->arena, room * sizeof *draft->manifests);
    draft->manifest_count = 0;
}

static enum mor_status write_kind(struct plan *plan, enum iceberg_manifest_content content,
                                  int32_t spec_id, struct mor_error *err)
{
    const struct iceberg_state *state = plan->draft->state;
    take_added(plan, content, spec_id);
    // new rows get their own manifest: what is carried keeps its row ids, and readers of changes
    // find them by themselves
    if (content == ICEBERG_MANIFEST_DATA)
        MOR_TRY(write_items(plan, content, spec_id, err));
    for (size_t i = 0; i < state->manifest_count; i++) {
        const struct iceberg_manifest_file *manifest = &state->manifests[i];
        if (manifest->content == content && manifest->spec_id == spec_id &&
            is_rewritten(&plan->fates[i]))
            MOR_TRY(take_entries(plan, i, err));
    }
    if (content == ICEBERG_MANIFEST_DELETES && plan->items.count > 1)
        qsort(plan->items.list, plan->items.count, sizeof *plan->items.list, compare_items);
    return write_items(plan, content, spec_id, err);
}

static void carry(struct plan *plan, enum iceberg_manifest_content content)
{
    struct iceberg_draft *draft = plan->draft;
    for (size_t i = 0; i < draft->state->manifest_count; i++) {
        const struct iceberg_manifest_file *manifest = &draft->state->manifests[i];
        if (manifest->content == content && !is_dead(manifest) && !is_rewritten(&plan->fates[i]))
            draft->manifests[draft->manifest_count++] = *manifest;
    }
}

static enum mor_status write_content(struct plan *plan, enum iceberg_manifest_content content,
                                     struct mor_error *err)
{
    const struct iceberg_state *state = plan->draft->state;
    for (size_t i = 0; i < state->spec_count; i++)
        MOR_TRY(write_kind(plan, content, state->specs[i]->spec_id, err));
    carry(plan, content);
    return MOR_OK;
}

enum mor_status iceberg_draft_write_manifests(struct iceberg_draft *draft, struct mor_error *err)
{
    struct plan plan = {.draft = draft};
    plan.fates =
        mor_arena_calloc(&draft->arena, draft->state->manifest_count + 1, sizeof *plan.fates);
    mark_removed(&plan);
    for (size_t i = 0; i < draft->state->spec_count; i++) {
        mark_merged(&plan, ICEBERG_MANIFEST_DATA, draft->state->specs[i]->spec_id);
        mark_merged(&plan, ICEBERG_MANIFEST_DELETES, draft->state->specs[i]->spec_id);
    }
    make_room(&plan);
    enum mor_status status = write_content(&plan, ICEBERG_MANIFEST_DATA, err);
    if (status == MOR_OK)
        status = write_content(&plan, ICEBERG_MANIFEST_DELETES, err);
    free(plan.items.list);
    return status;
}
