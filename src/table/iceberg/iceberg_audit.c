// mor_table_audit of Iceberg tables.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_expire.h"
#include "iceberg/iceberg_lint.h"

#define TRIES 5 // of a look that no commit disturbs

void lint_contents_done(struct lint_contents *contents)
{
    for (size_t i = 0; i < contents->live.count; i++)
        free(contents->live.entries[i].value.pointer);
    mor_map_done(&contents->live);
    *contents = (struct lint_contents){0};
}

void lint_remark(struct lint *lint, enum mor_audit_kind kind, int64_t snapshot_id, const char *key,
                 const char *format, ...)
{
    char version[ICEBERG_VERSION_SIZE], text[1000];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (lint->remark_count == lint->remark_capacity) {
        size_t capacity = lint->remark_capacity ? lint->remark_capacity * 2 : 16;
        struct mor_audit_remark *grown = mor_arena_alloc(lint->arena, capacity * sizeof *grown);
        if (lint->remark_count > 0)
            memcpy(grown, lint->remarks, lint->remark_count * sizeof *grown);
        lint->remarks = grown;
        lint->remark_capacity = capacity;
    }
    iceberg_version_format(snapshot_id, version);
    lint->remarks[lint->remark_count++] = (struct mor_audit_remark){
        .kind = kind,
        .version = mor_arena_strdup(lint->arena, version),
        .key = mor_arena_strdup(lint->arena, key ? key : ""),
        .text = mor_arena_strdup(lint->arena, text),
    };
}

const struct iceberg_spec *lint_spec(const struct lint *lint, int32_t spec_id)
{
    for (size_t i = 0; i < lint->spec_count; i++) {
        if (lint->specs[i] && lint->specs[i]->spec_id == spec_id)
            return lint->specs[i];
    }
    return NULL;
}

const char *lint_key(struct lint *lint, int64_t snapshot_id, const char *uri)
{
    const char *key = iceberg_key_of_uri(lint->metadata, uri);
    if (!key)
        LINT_BROKEN(lint, snapshot_id, NULL, "'%s' lies outside the table's location '%s'", uri,
                    lint->metadata->location);
    return key;
}

// ---- one look -----------------------------------------------------------------------------------

static void lint_done(struct lint *lint)
{
    for (size_t i = 0; i < lint->spec_count; i++)
        iceberg_spec_free(lint->specs[i]);
    free(lint->specs);
    mor_map_done(&lint->manifests);
}

// Snapshots in the document's order, each with what its parent held where that came just before.
static enum mor_status lint_snapshots(struct lint *lint, struct mor_error *err)
{
    struct lint_contents before = {.snapshot_id = -1}, now = {.snapshot_id = -1};
    size_t count = iceberg_metadata_snapshot_count(lint->metadata);
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        struct iceberg_snapshot snapshot;
        iceberg_metadata_snapshot_at(lint->metadata, i, &snapshot);
        lint_contents_done(&before);
        before = now;
        now = (struct lint_contents){.snapshot_id = snapshot.snapshot_id};
        status = lint_snapshot(lint, &snapshot, &now, err);
        if (status != MOR_OK)
            break;
        bool follows = before.whole && snapshot.parent_id == before.snapshot_id;
        if (now.whole)
            lint_summary(lint, &snapshot, &now, follows ? &before : NULL);
        if (now.whole && follows)
            lint_vectors(lint, &now, &before);
        if (snapshot.snapshot_id == lint->metadata->current_snapshot_id)
            status = lint_files(lint, &now, err);
    }
    lint_contents_done(&before);
    lint_contents_done(&now);
    return status;
}

// Files that no snapshot and no log names.
static enum mor_status lint_leftovers(struct lint *lint, struct mor_error *err)
{
    static const char *const folders[] = {"data", "metadata"};
    struct mor_map seen = {0}, named = {0};
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = iceberg_reach_all(lint->table, lint->metadata, &seen, &named, err);
    for (size_t f = 0; f < 2 && status == MOR_OK; f++) {
        struct mor_object_info *objects = NULL;
        size_t count = 0;
        status = mor_store_list(lint->table->table.store, folders[f], true, &arena, &objects,
                                &count, err);
        for (size_t i = 0; i < count && status == MOR_OK; i++) {
            if (!mor_map_find_text(&named, objects[i].key) &&
                strcmp(objects[i].key, "metadata/version-hint.text") != 0)
                lint_remark(lint, MOR_AUDIT_LEFTOVER, -1, objects[i].key, "%s", "");
        }
    }
    mor_arena_done(&arena);
    mor_map_done(&seen);
    mor_map_done(&named);
    return status;
}

static bool is_broken(const struct lint *lint)
{
    for (size_t i = 0; i < lint->remark_count; i++) {
        if (lint->remarks[i].kind == MOR_AUDIT_MISSING ||
            lint->remarks[i].kind == MOR_AUDIT_UNREADABLE)
            return true;
    }
    return false;
}

static enum mor_status look(struct lint *lint, struct mor_error *err)
{
    const json_t *specs = json_object_get(lint->metadata->document, "partition-specs");
    lint->spec_count = json_array_size(specs);
    lint->specs = mor_calloc(lint->spec_count + 1, sizeof(struct iceberg_spec *));
    lint_metadata(lint);
    MOR_TRY(lint_snapshots(lint, err));
    if (is_broken(lint))
        return MOR_OK; // what cannot be read cannot say what it names
    enum mor_status status = lint_leftovers(lint, err);
    if (status != MOR_DATA && status != MOR_FATAL)
        return status;
    *err = MOR_ERROR_INIT; // nor can what breaks the rules, which was remarked
    return MOR_OK;
}

// ---- the result ---------------------------------------------------------------------------------

static void state_files(struct lint *lint, struct mor_table_audit *ret_audit)
{
    struct iceberg_snapshot snapshot;
    size_t capacity = 0;
    if (!iceberg_metadata_snapshot(lint->metadata, lint->metadata->current_snapshot_id, &snapshot))
        return;
    for (size_t i = 0; i < lint->manifests.count; i++) {
        const struct lint_manifest *manifest = lint->manifests.entries[i].value.pointer;
        capacity += manifest->count;
    }
    struct mor_stated_file *files = mor_arena_calloc(lint->arena, capacity + 1, sizeof *files);
    struct mor_map taken = {0};
    for (size_t m = 0; m < lint->manifests.count; m++) {
        const struct lint_manifest *manifest = lint->manifests.entries[m].value.pointer;
        for (size_t i = 0; i < manifest->count; i++) {
            const struct iceberg_entry *entry = &manifest->entries[i];
            const char *key = iceberg_key_of_uri(lint->metadata, entry->file.file_path);
            bool added = false;
            if (!key || !iceberg_entry_is_live(entry))
                continue;
            mor_map_put_text(&taken, key, &added);
            if (!added)
                continue;
            char version[ICEBERG_VERSION_SIZE];
            iceberg_version_format(entry->snapshot_id, version);
            files[ret_audit->file_count++] = (struct mor_stated_file){
                .key = mor_arena_strdup(lint->arena, key),
                .version = mor_arena_strdup(lint->arena, version),
                .size_bytes = entry->file.file_size_bytes,
                .row_count = entry->file.content == ICEBERG_DATA ? entry->file.record_count : -1,
            };
        }
    }
    mor_map_done(&taken);
    ret_audit->files = files;
}

static bool is_whole(const struct iceberg_metadata *metadata, struct mor_arena *arena)
{
    struct iceberg_snapshot *snapshots = NULL;
    size_t count = 0;
    bool whole = true;
    iceberg_ancestors(metadata, metadata->current_snapshot_id, arena, &snapshots, &count, &whole);
    return whole;
}

enum mor_status iceberg_audit(struct mor_table *head, struct mor_arena *arena,
                              struct mor_table_audit *ret_audit, struct mor_error *err)
{
    enum mor_status status = MOR_RETRY;
    for (int i = 0; i < TRIES && status == MOR_RETRY; i++) {
        struct lint lint = {.table = iceberg_of(head), .arena = arena};
        ICEBERG_AUTO_METADATA *metadata = NULL, *after = NULL;
        *err = MOR_ERROR_INIT;
        MOR_TRY(iceberg_load(lint.table, &metadata, err));
        lint.metadata = metadata;
        status = look(&lint, err);
        bool again = status == MOR_NOT_FOUND || (status == MOR_OK && is_broken(&lint));
        if (again) {
            // snapshots that left meanwhile may have taken their files along
            MOR_TRY(iceberg_load(lint.table, &after, err));
            again = after != metadata;
        }
        if (again)
            status = mor_error_set(err, MOR_RETRY, "the table changed while it was looked at");
        if (status == MOR_OK) {
            *ret_audit = (struct mor_table_audit){
                .remarks = lint.remarks,
                .remark_count = lint.remark_count,
                .is_whole = is_whole(metadata, arena),
            };
            state_files(&lint, ret_audit);
        }
        lint_done(&lint);
    }
    return status;
}
