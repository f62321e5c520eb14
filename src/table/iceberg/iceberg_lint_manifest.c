// Manifest lists and manifests against what they name.
#include <string.h>

#include "iceberg/iceberg_avro_schema.h"
#include "iceberg/iceberg_lint.h"
#include "iceberg/iceberg_schema.h"
#include "moraine/avro.h"

// Bytes of a file that must be there. OK with *ret_there false: it is not, and that was remarked.
static enum mor_status fetch(struct lint *lint, int64_t snapshot_id, const char *uri,
                             struct mor_buffer *ret_bytes, bool *ret_there, struct mor_error *err)
{
    const char *key = lint_key(lint, snapshot_id, uri);
    *ret_there = false;
    if (!key)
        return MOR_OK;
    enum mor_status status =
        mor_store_get(lint->table->table.store, key, ICEBERG_MANIFEST_BYTES_MAX, ret_bytes, err);
    if (status == MOR_NOT_FOUND) {
        lint_remark(lint, MOR_AUDIT_MISSING, snapshot_id, key, "%s", "");
        return MOR_OK;
    }
    *ret_there = status == MOR_OK;
    return status;
}

static bool is_metadata(const struct mor_buffer *file, const char *key, const char *wanted)
{
    const uint8_t *value = NULL;
    size_t size = 0;
    struct mor_error err = MOR_ERROR_INIT;
    return mor_avro_container_metadata(file->data, file->size_bytes, key, &value, &size, &err) ==
               MOR_OK &&
           size == strlen(wanted) && memcmp(value, wanted, size) == 0;
}

static bool has_metadata(const struct mor_buffer *file, const char *key)
{
    const uint8_t *value = NULL;
    size_t size = 0;
    struct mor_error err = MOR_ERROR_INIT;
    return mor_avro_container_metadata(file->data, file->size_bytes, key, &value, &size, &err) ==
           MOR_OK;
}

// ---- a manifest by itself -----------------------------------------------------------------------

static void lint_keys(struct lint *lint, const struct iceberg_manifest_file *file, const char *key,
                      const struct mor_buffer *bytes)
{
    static const char *const keys[] = {"schema", "partition-spec", "partition-spec-id",
                                       "format-version"};
    char spec_id[16];
    snprintf(spec_id, sizeof spec_id, "%d", file->spec_id);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!has_metadata(bytes, keys[i]))
            LINT_BROKEN(lint, file->added_snapshot_id, key, "the manifest has no '%s'", keys[i]);
    }
    if (!is_metadata(bytes, "partition-spec-id", spec_id))
        LINT_BROKEN(lint, file->added_snapshot_id, key,
                    "the manifest's own spec id is not %s, as the list says", spec_id);
    const char *content = file->content == ICEBERG_MANIFEST_DATA ? "data" : "deletes";
    if (!is_metadata(bytes, "format-version", "1") && !is_metadata(bytes, "content", content))
        LINT_BROKEN(lint, file->added_snapshot_id, key,
                    "the manifest's own content is not '%s', as the list says", content);
}

static void lint_schema_text(struct lint *lint, const struct iceberg_manifest_file *file,
                             const char *key, const struct mor_buffer *bytes)
{
    const uint8_t *text = NULL;
    size_t size = 0;
    struct mor_error err = MOR_ERROR_INIT;
    json_t *json = NULL;
    struct mor_schema *schema = NULL;
    if (mor_avro_container_metadata(bytes->data, bytes->size_bytes, "schema", &text, &size, &err) !=
        MOR_OK)
        return; // told with the keys
    if (iceberg_json_parse(text, size, "schema", &json, &err) != MOR_OK ||
        iceberg_schema_from_json(json, &schema, &err) != MOR_OK)
        LINT_BROKEN(lint, file->added_snapshot_id, key,
                    "the manifest's 'schema' is none of Iceberg: %s", err.message);
    mor_schema_free(schema);
    json_decref(json);
}

// Manifests of this program have its schemas to the letter and are deflated.
static void lint_own(struct lint *lint, const struct iceberg_manifest_file *file, const char *key,
                     const struct mor_buffer *bytes)
{
    struct iceberg_snapshot snapshot;
    const struct iceberg_spec *spec = lint_spec(lint, file->spec_id);
    if (!spec || !iceberg_metadata_snapshot(lint->metadata, file->added_snapshot_id, &snapshot) ||
        !iceberg_is_own(&snapshot))
        return;
    bool equal = false;
    for (int32_t version = 2; version <= 3; version++) {
        MOR_AUTO_BUFFER schema = {0};
        iceberg_avro_manifest_schema(version, spec, &schema);
        equal |= is_metadata(bytes, "avro.schema", (const char *)schema.data);
    }
    if (!equal)
        LINT_BROKEN(lint, file->added_snapshot_id, key,
                    "the manifest's Avro schema is not the specification's");
    if (!is_metadata(bytes, "avro.codec", "deflate"))
        LINT_BROKEN(lint, file->added_snapshot_id, key, "the manifest is not deflated");
}

struct sums {
    int64_t files[3], rows[3];
    int64_t min_sequence; // of live entries; -1 = none
};

static struct sums sum_up(const struct lint_manifest *manifest)
{
    struct sums sums = {.min_sequence = -1};
    for (size_t i = 0; i < manifest->count; i++) {
        const struct iceberg_entry *entry = &manifest->entries[i];
        sums.files[entry->status]++;
        sums.rows[entry->status] += entry->file.record_count;
        if (iceberg_entry_is_live(entry) &&
            (sums.min_sequence < 0 || entry->sequence_number < sums.min_sequence))
            sums.min_sequence = entry->sequence_number;
    }
    return sums;
}

static void lint_counts(struct lint *lint, const struct lint_manifest *manifest, const char *key)
{
    const struct iceberg_manifest_file *file = &manifest->file;
    const struct sums sums = sum_up(manifest);
    const struct {
        const char *what;
        int64_t stated, is;
    } counts[] = {
        {"added files", file->added_files, sums.files[ICEBERG_ADDED]},
        {"existing files", file->existing_files, sums.files[ICEBERG_EXISTING]},
        {"deleted files", file->deleted_files, sums.files[ICEBERG_DELETED]},
        {"added rows", file->added_rows, sums.rows[ICEBERG_ADDED]},
        {"existing rows", file->existing_rows, sums.rows[ICEBERG_EXISTING]},
        {"deleted rows", file->deleted_rows, sums.rows[ICEBERG_DELETED]},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (counts[i].stated >= 0 && counts[i].stated != counts[i].is)
            LINT_BROKEN(lint, file->added_snapshot_id, key,
                        "the list states %lld %s, the manifest has %lld",
                        (long long)counts[i].stated, counts[i].what, (long long)counts[i].is);
    }
    if (sums.min_sequence >= 0 && file->min_sequence_number > sums.min_sequence)
        LINT_BROKEN(lint, file->added_snapshot_id, key,
                    "the list states %lld as least sequence number, the manifest has %lld: "
                    "readers that plan by it lose files",
                    (long long)file->min_sequence_number, (long long)sums.min_sequence);
}

static void lint_tuple(struct lint *lint, const struct lint_manifest *manifest,
                       const struct iceberg_spec *spec, const struct iceberg_data_file *file)
{
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_partition_summary *summary = &manifest->file.partitions[i];
        struct iceberg_value value = file->partition[i];
        const struct mor_field *type = &spec->fields[i].result;
        bool inside = iceberg_value_is_null(value)
                          ? summary->contains_null
                          : (summary->lower.bytes && summary->upper.bytes &&
                             iceberg_value_compare(type, value, summary->lower) >= 0 &&
                             iceberg_value_compare(type, value, summary->upper) <= 0) ||
                                summary->contains_nan != 0;
        if (!inside) {
            LINT_BROKEN(lint, manifest->file.added_snapshot_id,
                        iceberg_key_of_uri(lint->metadata, manifest->file.path),
                        "the list's summary of partition field '%s' leaves out '%s'",
                        spec->fields[i].name, file->file_path);
            return;
        }
    }
}

static void lint_tuples(struct lint *lint, const struct lint_manifest *manifest, const char *key)
{
    const struct iceberg_spec *spec = lint_spec(lint, manifest->file.spec_id);
    if (!spec || manifest->file.partition_count == 0)
        return;
    if (manifest->file.partition_count != spec->field_count) {
        LINT_BROKEN(lint, manifest->file.added_snapshot_id, key,
                    "the list summarises %zu partition fields, the spec has %zu",
                    manifest->file.partition_count, spec->field_count);
        return;
    }
    for (size_t i = 0; i < manifest->count; i++)
        lint_tuple(lint, manifest, spec, &manifest->entries[i].file);
}

static void lint_entry(struct lint *lint, const struct lint_manifest *manifest,
                       const struct iceberg_entry *entry)
{
    const char *key = iceberg_key_of_uri(lint->metadata, entry->file.file_path);
    int64_t snapshot_id = manifest->file.added_snapshot_id;
    bool live = iceberg_entry_is_live(entry);
    if (!live && entry->snapshot_id != snapshot_id)
        LINT_BROKEN(lint, snapshot_id, key,
                    "a manifest carries on that an older snapshot, %lld, "
                    "deleted it",
                    (long long)entry->snapshot_id);
    if (entry->status == ICEBERG_ADDED && entry->snapshot_id != snapshot_id)
        LINT_BROKEN(lint, snapshot_id, key, "it is added by snapshot %lld in a manifest of another",
                    (long long)entry->snapshot_id);
    if (entry->sequence_number > entry->file_sequence_number)
        LINT_BROKEN(lint, snapshot_id, key,
                    "its data are of sequence number %lld, the file itself of %lld",
                    (long long)entry->sequence_number, (long long)entry->file_sequence_number);
    if (lint->metadata->format_version >= 3 && live && entry->file.content == ICEBERG_DATA &&
        manifest->file.first_row_id >= 0 && entry->file.first_row_id < 0)
        LINT_BROKEN(lint, snapshot_id, key, "it has no first row id");
    if (entry->file.content != ICEBERG_DATA && entry->file.first_row_id >= 0)
        LINT_BROKEN(lint, snapshot_id, key, "it is a delete file and has a first row id");
}

static enum mor_status read_manifest(struct lint *lint, struct lint_manifest *manifest,
                                     struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    const struct iceberg_manifest_file *file = &manifest->file;
    const struct iceberg_spec *spec = lint_spec(lint, file->spec_id);
    struct mor_error wrong = MOR_ERROR_INIT;
    bool there = false;
    manifest->status = MOR_DATA;
    MOR_TRY(fetch(lint, file->added_snapshot_id, file->path, &bytes, &there, err));
    const char *key = iceberg_key_of_uri(lint->metadata, file->path);
    if (!there)
        return MOR_OK;
    if ((int64_t)bytes.size_bytes != file->length_bytes)
        LINT_BROKEN(lint, file->added_snapshot_id, key, "the list states %lld bytes, it has %zu",
                    (long long)file->length_bytes, bytes.size_bytes);
    if (!spec) {
        LINT_BROKEN(lint, file->added_snapshot_id, key, "its partition spec %d is not known",
                    file->spec_id);
        return MOR_OK;
    }
    manifest->status =
        iceberg_manifest_read(bytes.data, bytes.size_bytes, file, spec, ICEBERG_READ_NO_METRICS,
                              lint->arena, &manifest->entries, &manifest->count, &wrong);
    if (manifest->status != MOR_OK) {
        lint_remark(lint, MOR_AUDIT_UNREADABLE, file->added_snapshot_id, key, "'%s': %s", key,
                    wrong.message);
        return MOR_OK;
    }
    lint_keys(lint, file, key, &bytes);
    lint_schema_text(lint, file, key, &bytes);
    lint_own(lint, file, key, &bytes);
    lint_counts(lint, manifest, key);
    lint_tuples(lint, manifest, key);
    for (size_t i = 0; i < manifest->count; i++)
        lint_entry(lint, manifest, &manifest->entries[i]);
    return MOR_OK;
}

// ---- a list -------------------------------------------------------------------------------------

static void lint_listed(struct lint *lint, const struct iceberg_snapshot *snapshot,
                        const struct iceberg_manifest_file *file)
{
    const char *key = iceberg_key_of_uri(lint->metadata, file->path);
    bool data = file->content == ICEBERG_MANIFEST_DATA;
    bool ids = lint->metadata->format_version >= 3 && snapshot->first_row_id >= 0;
    if (file->sequence_number > snapshot->sequence_number)
        LINT_BROKEN(lint, snapshot->snapshot_id, key,
                    "the manifest's sequence number %lld is after the snapshot's, %lld",
                    (long long)file->sequence_number, (long long)snapshot->sequence_number);
    if (ids && data && file->first_row_id < 0)
        LINT_BROKEN(lint, snapshot->snapshot_id, key, "the data manifest has no first row id");
    if (!data && file->first_row_id >= 0)
        LINT_BROKEN(lint, snapshot->snapshot_id, key, "the delete manifest has a first row id");
    if (ids && data && file->added_snapshot_id == snapshot->snapshot_id &&
        file->first_row_id >= 0 && file->first_row_id < snapshot->first_row_id)
        LINT_BROKEN(lint, snapshot->snapshot_id, key,
                    "the manifest's first row id %lld is before the snapshot's, %lld",
                    (long long)file->first_row_id, (long long)snapshot->first_row_id);
}

// Puts what is live into the contents; a file that is there twice is one too many.
static void take_live(struct lint *lint, const struct lint_manifest *manifest,
                      struct lint_contents *contents)
{
    for (size_t i = 0; i < manifest->count; i++) {
        const struct iceberg_entry *entry = &manifest->entries[i];
        bool added = false;
        if (!iceberg_entry_is_live(entry))
            continue;
        MOR_AUTO_BUFFER name = {0};
        mor_buffer_append_text(&name, entry->file.file_path);
        if (entry->file.content_offset >= 0)
            mor_buffer_printf(&name, "@%lld", (long long)entry->file.content_offset);
        struct mor_map_entry *slot =
            mor_map_put_text(&contents->live, mor_buffer_terminate(&name), &added);
        if (!added) {
            LINT_BROKEN(lint, contents->snapshot_id,
                        iceberg_key_of_uri(lint->metadata, entry->file.file_path),
                        "the snapshot has it twice");
            continue;
        }
        struct lint_live *live = mor_calloc(1, sizeof *live);
        *live = (struct lint_live){entry, manifest->file.spec_id};
        slot->value.pointer = live;
    }
}

// Deleted in this snapshot, and live as well: whoever deleted it left it in another manifest.
static void lint_deleted(struct lint *lint, const struct lint_manifest *manifest,
                         const struct lint_contents *contents)
{
    if (manifest->file.added_snapshot_id != contents->snapshot_id)
        return;
    for (size_t i = 0; i < manifest->count; i++) {
        const struct iceberg_entry *entry = &manifest->entries[i];
        if (entry->status != ICEBERG_DELETED || entry->file.content_offset >= 0)
            continue;
        if (mor_map_find_text(&contents->live, entry->file.file_path))
            LINT_BROKEN(lint, contents->snapshot_id,
                        iceberg_key_of_uri(lint->metadata, entry->file.file_path),
                        "the snapshot deletes it and has it still");
    }
}

static enum mor_status find_manifest(struct lint *lint, const struct iceberg_manifest_file *file,
                                     struct lint_manifest **ret_manifest, struct mor_error *err)
{
    bool added = false;
    struct mor_map_entry *slot = mor_map_put_text(&lint->manifests, file->path, &added);
    if (!added) {
        *ret_manifest = slot->value.pointer;
        return MOR_OK;
    }
    struct lint_manifest *manifest = mor_arena_calloc(lint->arena, 1, sizeof *manifest);
    manifest->file = *file;
    slot->value.pointer = manifest;
    *ret_manifest = manifest;
    return read_manifest(lint, manifest, err);
}

static enum mor_status lint_list(struct lint *lint, const struct iceberg_snapshot *snapshot,
                                 const struct iceberg_manifest_file *files, size_t count,
                                 struct lint_contents *contents, struct mor_error *err)
{
    struct lint_manifest **manifests = mor_arena_calloc(lint->arena, count + 1, sizeof *manifests);
    contents->whole = true;
    for (size_t i = 0; i < count; i++) {
        lint_listed(lint, snapshot, &files[i]);
        MOR_TRY(find_manifest(lint, &files[i], &manifests[i], err));
        contents->whole &= manifests[i]->status == MOR_OK;
        take_live(lint, manifests[i], contents);
    }
    for (size_t i = 0; i < count; i++)
        lint_deleted(lint, manifests[i], contents);
    return MOR_OK;
}

enum mor_status lint_snapshot(struct lint *lint, const struct iceberg_snapshot *snapshot,
                              struct lint_contents *contents, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    struct iceberg_manifest_file *files = NULL;
    struct mor_error wrong = MOR_ERROR_INIT;
    size_t count = 0;
    bool there = false;
    MOR_TRY(fetch(lint, snapshot->snapshot_id, snapshot->manifest_list, &bytes, &there, err));
    if (!there)
        return MOR_OK;
    const char *key = iceberg_key_of_uri(lint->metadata, snapshot->manifest_list);
    if (iceberg_manifest_list_read(bytes.data, bytes.size_bytes, lint->arena, &files, &count,
                                   &wrong) != MOR_OK) {
        lint_remark(lint, MOR_AUDIT_UNREADABLE, snapshot->snapshot_id, key, "'%s': %s", key,
                    wrong.message);
        return MOR_OK;
    }
    if (iceberg_is_own(snapshot) &&
        !is_metadata(&bytes, "avro.schema", iceberg_avro_list_schema(2)) &&
        !is_metadata(&bytes, "avro.schema", iceberg_avro_list_schema(3)))
        LINT_BROKEN(lint, snapshot->snapshot_id, key,
                    "the manifest list's Avro schema is not the specification's");
    return lint_list(lint, snapshot, files, count, contents, err);
}
