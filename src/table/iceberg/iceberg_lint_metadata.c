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

static bool is_one_of(const json_t *object, const char *key, const char *one, const char *other)
{
    const char *text = iceberg_json_text(object, key);
    return text && (strcmp(text, one) == 0 || strcmp(text, other) == 0);
}

// Whether some schema of the table has the field: `current`, or any of them.
static bool has_field(const struct lint *lint, int64_t field_id, bool current)
{
    const struct iceberg_metadata *metadata = lint->metadata;
    const json_t *schemas = json_object_get(metadata->document, "schemas");
    bool found = false;
    for (size_t i = 0; i < json_array_size(schemas) && !found; i++) {
        const json_t *json = json_array_get(schemas, i);
        struct mor_schema *schema = NULL;
        struct mor_error ignored = MOR_ERROR_INIT; // told with the schemas
        if ((current && iceberg_json_int(json, "schema-id", -1) != metadata->current_schema_id) ||
            iceberg_schema_from_json(json, &schema, &ignored) != MOR_OK)
            continue;
        found = iceberg_schema_field(schema, (int32_t)field_id) != NULL;
        mor_schema_free(schema);
    }
    return found;
}

static void lint_order(struct lint *lint, const json_t *order, bool is_default)
{
    int64_t id = iceberg_json_int(order, "order-id", -1);
    const json_t *fields = json_object_get(order, "fields");
    if (id < 0)
        LINT_BROKEN(lint, -1, NULL, "a sort order has no id");
    if ((id == 0) != (json_array_size(fields) == 0))
        LINT_BROKEN(lint, -1, NULL, "sort order %lld has %zu fields: 0 is the order without",
                    (long long)id, json_array_size(fields));
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        const char *transform = iceberg_json_text(field, "transform");
        int64_t source = iceberg_json_int(field, "source-id", -1);
        struct iceberg_transform parsed;
        struct mor_error err = MOR_ERROR_INIT;
        if (!has_field(lint, source, is_default))
            LINT_BROKEN(lint, -1, NULL, "sort order %lld is by field %lld, which is in no schema",
                        (long long)id, (long long)source);
        if (!transform || iceberg_transform_parse(transform, &parsed, &err) != MOR_OK ||
            parsed.kind == ICEBERG_TRANSFORM_UNKNOWN)
            LINT_BROKEN(lint, -1, NULL, "sort order %lld has the transform '%s'", (long long)id,
                        transform ? transform : "");
        if (!is_one_of(field, "direction", "asc", "desc") ||
            !is_one_of(field, "null-order", "nulls-first", "nulls-last"))
            LINT_BROKEN(lint, -1, NULL, "sort order %lld has no direction or no place for nulls",
                        (long long)id);
    }
}

static void lint_orders(struct lint *lint)
{
    const json_t *document = lint->metadata->document;
    const json_t *orders = json_object_get(document, "sort-orders");
    int64_t wanted = iceberg_json_int(document, "default-sort-order-id", -1);
    bool found = false;
    for (size_t i = 0; i < json_array_size(orders); i++) {
        const json_t *order = json_array_get(orders, i);
        int64_t id = iceberg_json_int(order, "order-id", -1);
        lint_order(lint, order, id == wanted);
        found |= id == wanted;
        for (size_t k = 0; k < i; k++) {
            if (iceberg_json_int(json_array_get(orders, k), "order-id", -1) == id)
                LINT_BROKEN(lint, -1, NULL, "sort order %lld is there twice", (long long)id);
        }
    }
    if (!found)
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
