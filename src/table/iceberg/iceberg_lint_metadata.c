// Rules of the metadata document that reading it does not insist on.
#include <stdlib.h>
#include <string.h>

#include "iceberg/iceberg_lint.h"
#include "iceberg/iceberg_schema.h"

#define STEP_BACK_MS 60000

static void lint_identifiers(struct lint *lint, const json_t *json, const struct mor_schema *schema)
{
    int32_t ids[64];
    size_t count = iceberg_schema_identifiers(json, ids, 64);
    for (size_t i = 0; i < count && i < 64; i++) {
        const struct mor_field *field = iceberg_schema_field(schema, ids[i]);
        if (!field)
            LINT_BROKEN(lint, -1, NULL, "identifier field %d is not in the schema", ids[i]);
        else if (field->nullable || field->child_count > 0 || field->type == MOR_TYPE_FLOAT ||
                 field->type == MOR_TYPE_DOUBLE)
            LINT_BROKEN(lint, -1, NULL,
                        "identifier field '%s' is optional, nested or a floating-point number",
                        field->name);
    }
}

static void lint_schemas(struct lint *lint)
{
    const json_t *schemas = json_object_get(lint->metadata->document, "schemas");
    size_t index;
    json_t *json;
    json_array_foreach((json_t *)schemas, index, json)
    {
        struct mor_schema *schema = NULL;
        struct mor_error err = MOR_ERROR_INIT;
        if (iceberg_schema_from_json(json, &schema, &err) != MOR_OK) {
            LINT_BROKEN(lint, -1, NULL, "%s", err.message);
            continue;
        }
        if (iceberg_schema_last_id(schema) > lint->metadata->last_column_id)
            LINT_BROKEN(lint, -1, NULL, "schema %lld has field id %d, last-column-id is %d",
                        (long long)iceberg_json_int(json, "schema-id", -1),
                        iceberg_schema_last_id(schema), lint->metadata->last_column_id);
        lint_identifiers(lint, json, schema);
        mor_schema_free(schema);
    }
}

// Specs are bound to the current schema; sources that it lost are allowed in old ones.
static void lint_specs(struct lint *lint)
{
    const struct iceberg_metadata *metadata = lint->metadata;
    struct mor_schema *schema = NULL;
    struct mor_error err = MOR_ERROR_INIT;
    if (iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                 &schema, &err) != MOR_OK)
        return; // told with the schemas
    size_t index;
    json_t *json;
    json_array_foreach(json_object_get(metadata->document, "partition-specs"), index, json)
    {
        struct iceberg_spec *spec = NULL;
        err = MOR_ERROR_INIT;
        if (iceberg_spec_from_json(json, schema, &spec, &err) != MOR_OK) {
            LINT_BROKEN(lint, -1, NULL, "%s", err.message);
            continue;
        }
        lint->specs[index] = spec;
        for (size_t i = 0; i < spec->field_count; i++) {
            if (spec->fields[i].field_id > metadata->last_partition_id)
                LINT_BROKEN(
                    lint, -1, NULL, "partition field '%s' has id %d, last-partition-id is %d",
                    spec->fields[i].name, spec->fields[i].field_id, metadata->last_partition_id);
        }
    }
    mor_schema_free(schema);
}

static void lint_orders(struct lint *lint)
{
    const json_t *document = lint->metadata->document;
    int64_t wanted = iceberg_json_int(document, "default-sort-order-id", -1);
    size_t index;
    json_t *json;
    json_array_foreach(json_object_get(document, "sort-orders"), index, json)
    {
        if (iceberg_json_int(json, "order-id", -1) == wanted)
            return;
    }
    LINT_BROKEN(lint, -1, NULL, "the default sort order %lld is not among the sort orders",
                (long long)wanted);
}

static void lint_properties(struct lint *lint)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(lint->metadata->document, "properties"), key, value)
    {
        if (!json_is_string(value))
            LINT_BROKEN(lint, -1, NULL, "table property '%s' is no text", key);
    }
    const char *location = lint->metadata->location;
    size_t length = strlen(location);
    if (length > 1 && location[length - 1] == '/')
        LINT_BROKEN(lint, -1, NULL, "the location '%s' ends with a slash", location);
}

// A snapshot against its parent.
static void lint_parent(struct lint *lint, const struct iceberg_snapshot *snapshot)
{
    struct iceberg_snapshot parent;
    if (snapshot->parent_id < 0 ||
        !iceberg_metadata_snapshot(lint->metadata, snapshot->parent_id, &parent))
        return;
    if (snapshot->sequence_number <= parent.sequence_number)
        LINT_BROKEN(lint, snapshot->snapshot_id, NULL,
                    "its sequence number is %lld, that of its parent %lld",
                    (long long)snapshot->sequence_number, (long long)parent.sequence_number);
    if (snapshot->timestamp_ms < parent.timestamp_ms - STEP_BACK_MS)
        LINT_BROKEN(lint, snapshot->snapshot_id, NULL,
                    "it is more than a minute older than its parent");
}

static void lint_row_ids(struct lint *lint, const struct iceberg_snapshot *snapshot,
                         int64_t *next_row_id)
{
    if (lint->metadata->format_version < 3)
        return;
    if (snapshot->first_row_id < 0 || snapshot->added_rows < 0)
        return; // from before the table's upgrade
    if (snapshot->first_row_id < *next_row_id)
        LINT_BROKEN(lint, snapshot->snapshot_id, NULL,
                    "its first row id %lld was given before, up to %lld",
                    (long long)snapshot->first_row_id, (long long)*next_row_id);
    if (snapshot->first_row_id + snapshot->added_rows > *next_row_id)
        *next_row_id = snapshot->first_row_id + snapshot->added_rows;
}

static void lint_line(struct lint *lint)
{
    const struct iceberg_metadata *metadata = lint->metadata;
    int64_t next_row_id = 0;
    bool any = false;
    for (size_t i = 0; i < iceberg_metadata_snapshot_count(metadata); i++) {
        struct iceberg_snapshot snapshot;
        iceberg_metadata_snapshot_at(metadata, i, &snapshot);
        lint_parent(lint, &snapshot);
        lint_row_ids(lint, &snapshot, &next_row_id);
        any |= snapshot.first_row_id >= 0;
        if (snapshot.snapshot_id <= 0)
            LINT_BROKEN(lint, snapshot.snapshot_id, NULL, "its snapshot id is not positive");
        if (snapshot.schema_id >= 0 && !iceberg_metadata_schema(metadata, snapshot.schema_id))
            LINT_BROKEN(lint, snapshot.snapshot_id, NULL, "its schema %d is not among the schemas",
                        snapshot.schema_id);
    }
    if (any && next_row_id != metadata->next_row_id)
        LINT_BROKEN(lint, -1, NULL, "next-row-id is %lld, the snapshots have given ids up to %lld",
                    (long long)metadata->next_row_id, (long long)next_row_id);
}

static void lint_main(struct lint *lint)
{
    const struct iceberg_metadata *metadata = lint->metadata;
    const json_t *refs = json_object_get(metadata->document, "refs");
    if (metadata->current_snapshot_id != -1 && metadata->format_version >= 2 &&
        !json_object_get(refs, "main"))
        LINT_BROKEN(lint, metadata->current_snapshot_id, NULL, "no ref 'main' refers to it");
    const json_t *log = json_object_get(metadata->document, "snapshot-log");
    const json_t *last = json_array_get(log, json_array_size(log) - 1);
    if (last && metadata->current_snapshot_id != -1 &&
        iceberg_json_int(last, "snapshot-id", -1) != metadata->current_snapshot_id)
        LINT_BROKEN(lint, metadata->current_snapshot_id, NULL,
                    "the snapshot log ends with another snapshot, %lld",
                    (long long)iceberg_json_int(last, "snapshot-id", -1));
}

// The hint may lag; it must not be ahead of what is there.
static void lint_hint(struct lint *lint)
{
    MOR_AUTO_BUFFER text = {0};
    struct mor_error err = MOR_ERROR_INIT;
    if (lint->metadata->version <= 0 ||
        mor_store_get(lint->table->table.store, "metadata/version-hint.text", 64, &text, &err) !=
            MOR_OK)
        return;
    char *end = NULL;
    const char *hint = mor_buffer_terminate(&text);
    long long number = strtoll(hint, &end, 10);
    if (end == hint || *end != '\0')
        LINT_BROKEN(lint, -1, "metadata/version-hint.text", "it holds no number alone");
    else if (number > lint->metadata->version + 100)
        LINT_BROKEN(lint, -1, "metadata/version-hint.text",
                    "it says %lld, the newest version is %lld", number,
                    (long long)lint->metadata->version);
}

void lint_metadata(struct lint *lint)
{
    lint_schemas(lint);
    lint_specs(lint);
    lint_orders(lint);
    lint_properties(lint);
    lint_line(lint);
    lint_main(lint);
    lint_hint(lint);
}
