// Building changes, and the first document of a table.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "iceberg_metadata.h"
#include "iceberg_schema.h"
#include "moraine/base/uuid.h"

void iceberg_change_init(struct iceberg_change *change)
{
    change->requirements = json_array();
    change->updates = json_array();
}

void iceberg_change_done(struct iceberg_change *change)
{
    json_decref(change->requirements);
    json_decref(change->updates);
    *change = (struct iceberg_change){0};
}

void iceberg_change_require_uuid(struct iceberg_change *change, const char *uuid)
{
    json_array_append_new(change->requirements,
                          json_pack("{s:s, s:s}", "type", "assert-table-uuid", "uuid", uuid));
}

void iceberg_change_require_main(struct iceberg_change *change, int64_t snapshot_id)
{
    json_t *id = snapshot_id >= 0 ? json_integer(snapshot_id) : json_null();
    json_array_append_new(change->requirements,
                          json_pack("{s:s, s:s, s:o}", "type", "assert-ref-snapshot-id", "ref",
                                    "main", "snapshot-id", id));
}

void iceberg_change_require_schema(struct iceberg_change *change, int32_t current_schema_id,
                                   int32_t last_column_id)
{
    json_array_append_new(change->requirements,
                          json_pack("{s:s, s:i}", "type", "assert-current-schema-id",
                                    "current-schema-id", current_schema_id));
    json_array_append_new(change->requirements,
                          json_pack("{s:s, s:i}", "type", "assert-last-assigned-field-id",
                                    "last-assigned-field-id", last_column_id));
}

static void add_update(struct iceberg_change *change, json_t *take_update)
{
    json_array_append_new(change->updates, take_update);
}

static int32_t last_id_of(const json_t *schema)
{
    struct mor_schema *parsed = NULL;
    struct mor_error err = MOR_ERROR_INIT;
    if (iceberg_schema_from_json(schema, &parsed, &err) != MOR_OK)
        return 0;
    int32_t last = iceberg_schema_last_id(parsed);
    mor_schema_free(parsed);
    return last;
}

void iceberg_change_add_schema(struct iceberg_change *change, const json_t *schema)
{
    add_update(change, json_pack("{s:s, s:O, s:i}", "action", "add-schema", "schema", schema,
                                 "last-column-id", last_id_of(schema)));
    add_update(change, json_pack("{s:s, s:i}", "action", "set-current-schema", "schema-id", -1));
}

void iceberg_change_add_spec(struct iceberg_change *change, const json_t *spec)
{
    add_update(change, json_pack("{s:s, s:O}", "action", "add-spec", "spec", spec));
    add_update(change, json_pack("{s:s, s:i}", "action", "set-default-spec", "spec-id", -1));
}

void iceberg_change_add_snapshot(struct iceberg_change *change, json_t *take_snapshot)
{
    add_update(change,
               json_pack("{s:s, s:o}", "action", "add-snapshot", "snapshot", take_snapshot));
}

void iceberg_change_set_main(struct iceberg_change *change, int64_t snapshot_id)
{
    add_update(change, json_pack("{s:s, s:s, s:s, s:I}", "action", "set-snapshot-ref", "ref-name",
                                 "main", "type", "branch", "snapshot-id", (json_int_t)snapshot_id));
}

void iceberg_change_remove_snapshots(struct iceberg_change *change, const int64_t *snapshot_ids,
                                     size_t count)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(ids, json_integer(snapshot_ids[i]));
    add_update(change, json_pack("{s:s, s:o}", "action", "remove-snapshots", "snapshot-ids", ids));
}

void iceberg_change_set_property(struct iceberg_change *change, const char *key, const char *value)
{
    add_update(change,
               json_pack("{s:s, s:{s:s}}", "action", "set-properties", "updates", key, value));
}

void iceberg_change_remove_property(struct iceberg_change *change, const char *key)
{
    add_update(change, json_pack("{s:s, s:[s]}", "action", "remove-properties", "removals", key));
}

void iceberg_change_upgrade(struct iceberg_change *change, int32_t format_version)
{
    add_update(change, json_pack("{s:s, s:i}", "action", "upgrade-format-version", "format-version",
                                 format_version));
}

json_t *iceberg_snapshot_make(const struct iceberg_snapshot *snapshot)
{
    json_t *json =
        json_pack("{s:I, s:I, s:I, s:s}", "snapshot-id", (json_int_t)snapshot->snapshot_id,
                  "sequence-number", (json_int_t)snapshot->sequence_number, "timestamp-ms",
                  (json_int_t)snapshot->timestamp_ms, "manifest-list", snapshot->manifest_list);
    if (snapshot->parent_id >= 0)
        json_object_set_new(json, "parent-snapshot-id", json_integer(snapshot->parent_id));
    if (snapshot->schema_id >= 0)
        json_object_set_new(json, "schema-id", json_integer(snapshot->schema_id));
    if (snapshot->summary)
        json_object_set(json, "summary", (json_t *)snapshot->summary);
    if (snapshot->first_row_id >= 0) {
        json_object_set_new(json, "first-row-id", json_integer(snapshot->first_row_id));
        json_object_set_new(json, "added-rows", json_integer(snapshot->added_rows));
    }
    return json;
}

// ---- the first document -------------------------------------------------------------------------

static int64_t last_partition_id(const json_t *spec)
{
    int64_t last = 999;
    size_t index;
    json_t *field;
    json_array_foreach(json_object_get(spec, "fields"), index, field)
    {
        int64_t id = iceberg_json_int(field, "field-id", 0);
        last = id > last ? id : last;
    }
    return last;
}

enum mor_status iceberg_metadata_create(const struct iceberg_creation *creation, int64_t now_ms,
                                        struct iceberg_metadata **ret_metadata,
                                        struct mor_error *err)
{
    struct mor_schema *schema = NULL;
    struct mor_uuid uuid = mor_uuid_v4();
    char text[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&uuid, text);
    MOR_TRY(iceberg_schema_from_json(creation->schema, &schema, err));
    int32_t last_column_id = iceberg_schema_last_id(schema);
    mor_schema_free(schema);
    if (creation->format_version != 2 && creation->format_version != 3)
        return mor_error_set(err, MOR_FATAL, "tables are made in format version 2 or 3, not %d",
                             creation->format_version);
    bool v3 = creation->format_version >= 3;
    json_t *document = json_pack(
        "{s:i, s:s, s:s, s:i, s:I, s:i, s:I, s:[O], s:I, s:[O], s:I, s:i, s:[{s:i, s:[]}], s:O?}",
        "format-version", creation->format_version, "table-uuid", text, "location",
        creation->location, "last-sequence-number", 0, "last-updated-ms", (json_int_t)now_ms,
        "last-column-id", last_column_id, "current-schema-id",
        (json_int_t)iceberg_json_int(creation->schema, "schema-id", 0), "schemas", creation->schema,
        "default-spec-id", (json_int_t)iceberg_json_int(creation->spec, "spec-id", 0),
        "partition-specs", creation->spec, "last-partition-id",
        (json_int_t)last_partition_id(creation->spec), "default-sort-order-id", 0, "sort-orders",
        "order-id", 0, "fields", "properties", creation->properties);
    if (!document)
        return mor_error_set(err, MOR_FATAL, "what the new table shall be cannot be written");
    if (!creation->properties)
        json_object_set_new(document, "properties", json_object());
    json_object_set_new(document, "current-snapshot-id", v3 ? json_null() : json_integer(-1));
    if (v3)
        json_object_set_new(document, "next-row-id", json_integer(0));
    static const char *const lists[] = {"snapshots", "statistics", "partition-statistics",
                                        "snapshot-log", "metadata-log"};
    json_object_set_new(document, "refs", json_object());
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        json_object_set_new(document, lists[i], json_array());
    return iceberg_metadata_take(document, ret_metadata, err);
}
