// Documents and changes that the tests of Iceberg's metadata and catalogs share.
#ifndef MORAINE_TESTS_ICEBERG_FIXTURE_H
#define MORAINE_TESTS_ICEBERG_FIXTURE_H

#include "check.h"
#include "iceberg/iceberg_catalog.h"
#include "iceberg/iceberg_schema.h"

static inline json_t *fixture_json(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

// A table of one required column "id" at `location`.
static inline struct iceberg_creation fixture_creation(int32_t version, const char *location)
{
    return (struct iceberg_creation){
        .format_version = version,
        .location = location,
        .schema = fixture_json("{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,"
                               "\"name\":\"id\",\"required\":true,\"type\":\"long\"}]}"),
        .spec = fixture_json("{\"spec-id\":0,\"fields\":[]}"),
        .properties = fixture_json("{\"owner\":\"tests\"}"),
    };
}

static inline void fixture_creation_done(struct iceberg_creation *creation)
{
    json_decref((json_t *)creation->schema);
    json_decref((json_t *)creation->spec);
    json_decref((json_t *)creation->properties);
}

// A change that adds a snapshot with the id after `base` and points main to it.
static inline void fixture_append(struct iceberg_change *change,
                                  const struct iceberg_metadata *base, int64_t snapshot_id)
{
    json_t *summary = json_pack("{s:s}", "operation", "append");
    bool v3 = base->format_version >= 3;
    const struct iceberg_snapshot snapshot = {
        .snapshot_id = snapshot_id,
        .parent_id = base->current_snapshot_id,
        .sequence_number = base->last_sequence_number + 1,
        .timestamp_ms = iceberg_metadata_clamp_ms(base, 1767225600000),
        .manifest_list = "file:///t/metadata/snap.avro",
        .schema_id = base->current_schema_id,
        .summary = summary,
        .first_row_id = v3 ? base->next_row_id : -1,
        .added_rows = v3 ? 10 : -1,
    };
    iceberg_change_init(change);
    iceberg_change_require_uuid(change, base->uuid);
    iceberg_change_require_main(change, base->current_snapshot_id);
    iceberg_change_add_snapshot(change, iceberg_snapshot_make(&snapshot));
    iceberg_change_set_main(change, snapshot_id);
    json_decref(summary);
}

#endif
