// A small keyed table in a fresh directory, and commits to it.
#ifndef TABLE_TEST_H
#define TABLE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "moraine/storage.h"
#include "moraine/table.h"

struct table_fixture {
    char root[64];
    char location[96];
    struct mor_error err;
    struct mor_schema *schema;
    struct mor_table_options options;
    struct mor_table *table;
};

static const char *const fixture_keys[] = {"id"};
static const struct mor_partition_field fixture_partition[] = {
    {"created_at", MOR_TRANSFORM_DAY, 0}};

static inline int table_setup(void **state)
{
    struct table_fixture *fixture = calloc(1, sizeof *fixture);
    snprintf(fixture->root, sizeof fixture->root, "/tmp/moraine-table-XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    snprintf(fixture->location, sizeof fixture->location, "%s/orders", fixture->root);
    fixture->err = MOR_ERROR_INIT;
    fixture->schema = mor_schema_new("orders");
    mor_schema_add(fixture->schema, NULL, "id", MOR_TYPE_STRING, true);
    mor_schema_add(fixture->schema, NULL, "value", MOR_TYPE_INT32, true);
    mor_schema_add(fixture->schema, NULL, "created_at", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(fixture->schema, NULL, "updated", MOR_TYPE_INT64, true);
    fixture->options = (struct mor_table_options){
        .format = MOR_FORMAT_HUDI,
        .location = fixture->location,
        .schema = fixture->schema,
        .key_columns = fixture_keys,
        .key_column_count = 1,
        .ordering_column = "updated",
        .partition_fields = fixture_partition,
        .partition_field_count = 1,
        .bucket_count = 2,
        .hudi_table_version = 6,
        .instance = "test",
    };
    *state = fixture;
    return 0;
}

static inline int table_teardown(void **state)
{
    struct table_fixture *fixture = *state;
    mor_table_free(fixture->table);
    mor_schema_free(fixture->schema);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->root);
    int failed = system(command);
    free(fixture);
    return failed;
}

static inline void table_open(struct table_fixture *fixture)
{
    enum mor_status status =
        mor_table_open_write(&fixture->options, &fixture->table, &fixture->err);
    if (status != MOR_OK)
        fail_msg("open: %s", fixture->err.message);
}

static inline void table_close(struct table_fixture *fixture)
{
    mor_table_free(fixture->table);
    fixture->table = NULL;
}

// A row of the fixture's table; day counts from 2026-01-01, -1 = null.
struct table_row {
    const char *id;
    int32_t value;
    int day;
    int64_t updated;
    bool is_delete;
};

static inline struct mor_batch *table_batch(const struct mor_schema *schema,
                                            const struct table_row *rows, size_t count)
{
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (size_t i = 0; i < count; i++) {
        int64_t us = 1767225600000000 + rows[i].day * 86400000000;
        if (rows[i].id)
            mor_vector_append_bytes(&batch->columns[0], rows[i].id, strlen(rows[i].id));
        else
            mor_vector_append_null(&batch->columns[0]);
        mor_vector_append_fixed(&batch->columns[1], &rows[i].value);
        if (rows[i].day < 0)
            mor_vector_append_null(&batch->columns[2]);
        else
            mor_vector_append_fixed(&batch->columns[2], &us);
        mor_vector_append_fixed(&batch->columns[3], &rows[i].updated);
        for (size_t c = 4; c < batch->column_count; c++) {
            struct mor_vector *column = &batch->columns[c];
            if (column->field->type != MOR_TYPE_LIST || !rows[i].id) {
                mor_vector_append_null(column);
                continue;
            }
            mor_vector_append_bytes(&column->children[0], rows[i].id, strlen(rows[i].id));
            mor_vector_append_end(column);
        }
        batch->row_count++;
    }
    return batch;
}

// Routes the rows and writes their groups.
static inline enum mor_status table_write_groups(struct table_fixture *fixture,
                                                 struct mor_write *write,
                                                 const struct table_row *rows, size_t count)
{
    struct mor_batch *batch = table_batch(mor_table_schema(fixture->table), rows, count);
    struct mor_router *router = mor_router_new(fixture->table);
    uint32_t ids[64];
    assert_true(count <= 64);
    mor_router_route(router, batch, 0, count, NULL, ids, NULL);
    enum mor_status status = MOR_OK;
    for (size_t first = 0; first < count && status == MOR_OK; first++) {
        bool seen = false;
        for (size_t i = 0; i < first; i++)
            seen |= ids[i] == ids[first];
        if (seen)
            continue;
        struct mor_row_ref upserts[64], deletes[64];
        struct mor_change_group group = {.upserts = upserts, .deletes = deletes};
        assert_int_not_equal(ids[first], MOR_GROUP_INVALID);
        mor_router_group(router, ids[first], &group.partition, &group.bucket);
        for (size_t i = first; i < count; i++) {
            struct mor_row_ref ref = {.batch = 0, .row = (uint32_t)i};
            if (ids[i] == ids[first] && rows[i].is_delete)
                deletes[group.delete_count++] = ref;
            else if (ids[i] == ids[first])
                upserts[group.upsert_count++] = ref;
        }
        struct mor_batch *const batches[] = {batch};
        struct mor_change_set set = {
            .batches = batches, .batch_count = 1, .groups = &group, .group_count = 1};
        status = mor_write_group(write, &set, 0, &fixture->err);
    }
    mor_router_free(router);
    mor_batch_free(batch);
    return status;
}

// One whole commit that carries {"moraine": state} after one that carries `before`; FENCED when the
// base carries something else.
static inline enum mor_status table_commit_batch(struct table_fixture *fixture,
                                                 const struct mor_uuid *id,
                                                 const struct table_row *rows, size_t count,
                                                 const char *before, const char *state,
                                                 struct mor_commit_result *ret_result)
{
    struct mor_write *write = NULL;
    MOR_TRY(mor_write_begin(fixture->table, id, &write, &fixture->err));
    const char *base = mor_write_base_property(write, "moraine");
    bool expected = base && before ? strcmp(base, before) == 0 : !base && !before;
    enum mor_status status = expected ? table_write_groups(fixture, write, rows, count)
                                      : mor_error_set(&fixture->err, MOR_FENCED, "not the base");
    struct mor_property properties[] = {{"moraine", state}, {MOR_PROPERTY_CHECKPOINT, "t,0:1"}};
    struct mor_commit_result ignored;
    if (status == MOR_OK)
        status = mor_write_commit(write, properties, 2, ret_result ? ret_result : &ignored,
                                  &fixture->err);
    mor_write_free(write);
    return status;
}

static inline enum mor_status table_commit(struct table_fixture *fixture,
                                           const struct table_row *rows, size_t count,
                                           const char *before, const char *state,
                                           struct mor_commit_result *ret_result)
{
    struct mor_uuid id = mor_uuid_v7();
    return table_commit_batch(fixture, &id, rows, count, before, state, ret_result);
}

static inline void table_must_commit(struct table_fixture *fixture, const struct table_row *rows,
                                     size_t count, const char *before, const char *state)
{
    if (table_commit(fixture, rows, count, before, state, NULL) != MOR_OK)
        fail_msg("commit: %s", fixture->err.message);
}

// Number of files below the table whose path holds `part`.
static inline int table_count_files(const struct table_fixture *fixture, const char *part)
{
    char command[256];
    snprintf(command, sizeof command, "find '%s' -type f | grep -c -- '%s'", fixture->location,
             part);
    FILE *pipe = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

static inline enum mor_status table_begin_only(struct table_fixture *fixture,
                                               struct mor_table *table)
{
    struct mor_write *write = NULL;
    const struct mor_uuid id = mor_uuid_v7();
    enum mor_status status = mor_write_begin(table, &id, &write, &fixture->err);
    if (status == MOR_OK)
        mor_write_free(write);
    return status;
}

// Another instance commits, with a further column of the type.
static inline void table_commit_with_note(struct table_fixture *fixture, enum mor_type type)
{
    struct table_fixture other = *fixture;
    struct mor_schema *schema = mor_schema_copy(fixture->schema);
    mor_schema_add(schema, NULL, "note", type, true);
    other.options.schema = schema;
    other.options.instance = "other";
    other.table = NULL;
    table_open(&other);
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    const struct mor_uuid id = mor_uuid_v7();
    assert_int_equal(mor_write_begin(other.table, &id, &write, &other.err), MOR_OK);
    assert_int_equal(mor_write_commit(write, NULL, 0, &result, &other.err), MOR_OK);
    mor_write_free(write);
    table_close(&other);
    mor_schema_free(schema);
}

#endif
