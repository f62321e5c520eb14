// A small Iceberg table, commits to it by place, and a model of what must be in it.
#ifndef ICEBERG_TEST_H
#define ICEBERG_TEST_H

#include "table_rows.h"

#define MODEL_ROWS_MAX 512

struct model_row {
    char id[16];
    int32_t value;
    int64_t updated;
    char file[192];
    uint32_t position;
};

struct iceberg_fixture {
    struct table_fixture base; // first: table_* functions take it
    struct model_row rows[MODEL_ROWS_MAX];
    size_t row_count;
    char version[64]; // of the newest commit
    int ledger;       // of the newest commit
    bool attaches;    // commits say of themselves which keys changed, as the pipeline's do
};

static inline int iceberg_setup(void **state)
{
    struct table_fixture *plain = NULL;
    assert_int_equal(table_setup((void **)&plain), 0);
    struct iceberg_fixture *fixture = calloc(1, sizeof *fixture);
    fixture->base = *plain;
    free(plain);
    fixture->base.options.format = MOR_FORMAT_ICEBERG;
    fixture->base.options.hudi_table_version = 0;
    fixture->base.options.bucket_count = 1;
    fixture->base.options.location = fixture->base.location;
    *state = fixture;
    return 0;
}

static inline int iceberg_teardown(void **state)
{
    return table_teardown(state); // the fixture begins with the plain one
}

static inline struct model_row *model_find(struct iceberg_fixture *fixture, const char *id)
{
    for (size_t i = 0; i < fixture->row_count; i++) {
        if (strcmp(fixture->rows[i].id, id) == 0)
            return &fixture->rows[i];
    }
    return NULL;
}

// ---- one commit ---------------------------------------------------------------------------------

// A commit on its way. Rows are borrowed until it is done.
struct test_commit {
    struct iceberg_fixture *fixture;
    struct mor_table *table;
    const struct table_row *rows;
    size_t count;
    struct mor_uuid id;
    struct mor_write *write;
    struct mor_batch *batch;
    struct mor_batch *batches[1];
    struct mor_row_ref refs[64][64];
    struct mor_change_group groups[64];
    struct mor_change_removal removals[64];
    uint32_t positions[64][64];
    struct mor_router *router;
    struct mor_change_set set;
    size_t last[64]; // of each row: index of the last row with its id
};

static inline void commit_remove(struct test_commit *commit, const struct model_row *old)
{
    struct mor_change_set *set = &commit->set;
    size_t r = 0;
    while (r < set->removal_count && strcmp(commit->removals[r].file, old->file) != 0)
        r++;
    if (r == set->removal_count)
        commit->removals[set->removal_count++] =
            (struct mor_change_removal){.file = old->file, .positions = commit->positions[r]};
    size_t at = commit->removals[r].count++;
    while (at > 0 && commit->positions[r][at - 1] > old->position) {
        commit->positions[r][at] = commit->positions[r][at - 1];
        at--;
    }
    commit->positions[r][at] = old->position;
}

static inline void commit_build(struct test_commit *commit)
{
    uint32_t ids[64];
    assert_true(commit->count <= 64);
    commit->batch = table_batch(mor_table_schema(commit->table), commit->rows, commit->count);
    commit->router = mor_router_new(commit->table);
    mor_router_route(commit->router, commit->batch, 0, commit->count, NULL, ids, NULL);
    commit->batches[0] = commit->batch;
    commit->set = (struct mor_change_set){.batches = commit->batches,
                                          .batch_count = 1,
                                          .groups = commit->groups,
                                          .removals = commit->removals};
    uint32_t group_ids[64];
    for (size_t i = 0; i < commit->count; i++) {
        bool keyed = mor_table_is_keyed(commit->table);
        const struct model_row *old =
            keyed ? model_find(commit->fixture, commit->rows[i].id) : NULL;
        if (old)
            commit_remove(commit, old);
        if (commit->rows[i].is_delete)
            continue;
        size_t g = 0;
        while (g < commit->set.group_count && group_ids[g] != ids[i])
            g++;
        if (g == commit->set.group_count) {
            group_ids[g] = ids[i];
            commit->groups[g] = (struct mor_change_group){.upserts = commit->refs[g]};
            mor_router_group(commit->router, ids[i], &commit->groups[g].partition,
                             &commit->groups[g].bucket);
            commit->set.group_count++;
        }
        commit->refs[g][commit->groups[g].upsert_count++] =
            (struct mor_row_ref){.batch = 0, .row = (uint32_t)i};
    }
}

// Begins and writes all files; the commit itself is left to commit_publish.
static inline enum mor_status commit_prepare(struct test_commit *commit,
                                             struct iceberg_fixture *fixture,
                                             const struct table_row *rows, size_t count)
{
    struct mor_error *err = &fixture->base.err;
    *commit = (struct test_commit){.fixture = fixture,
                                   .table = fixture->base.table,
                                   .rows = rows,
                                   .count = count,
                                   .id = mor_uuid_v7()};
    MOR_TRY(mor_write_begin(commit->table, &commit->id, &commit->write, err));
    commit_build(commit);
    for (size_t g = 0; g < commit->set.group_count; g++)
        MOR_TRY(mor_write_group(commit->write, &commit->set, g, err));
    for (size_t r = 0; r < commit->set.removal_count; r++)
        MOR_TRY(mor_write_removal(commit->write, &commit->set, r, err));
    return fixture->attaches ? mor_write_attach(commit->write, "places", "x", 1, err) : MOR_OK;
}

// The commit is in: so it is in the model.
static inline void commit_adopt(struct test_commit *commit)
{
    struct iceberg_fixture *fixture = commit->fixture;
    bool keyed = mor_table_is_keyed(commit->table);
    for (size_t i = 0; i < commit->count && keyed; i++) {
        struct model_row *old = model_find(fixture, commit->rows[i].id);
        if (old)
            *old = fixture->rows[--fixture->row_count];
    }
    for (size_t g = 0; g < commit->set.group_count; g++) {
        const char *file = mor_write_group_file(commit->write, g);
        assert_non_null(file);
        for (size_t i = 0; i < commit->groups[g].upsert_count; i++) {
            const struct table_row *row = &commit->rows[commit->groups[g].upserts[i].row];
            struct model_row *to = &fixture->rows[fixture->row_count++];
            assert_true(fixture->row_count <= MODEL_ROWS_MAX);
            snprintf(to->id, sizeof to->id, "%s", row->id);
            snprintf(to->file, sizeof to->file, "%s", file);
            to->value = row->value;
            to->updated = row->updated;
            to->position = (uint32_t)i;
        }
    }
}

static inline enum mor_status commit_publish(struct test_commit *commit)
{
    struct iceberg_fixture *fixture = commit->fixture;
    struct mor_commit_result result;
    char ledger[16];
    snprintf(ledger, sizeof ledger, "%d", fixture->ledger + 1);
    struct mor_property properties[] = {{"moraine", ledger}, {MOR_PROPERTY_CHECKPOINT, "t,0:1"}};
    MOR_TRY(mor_write_commit(commit->write, properties, 2, &result, &fixture->base.err));
    commit_adopt(commit);
    fixture->ledger++;
    memcpy(fixture->version, result.version, sizeof fixture->version);
    return MOR_OK;
}

static inline void commit_done(struct test_commit *commit)
{
    mor_write_free(commit->write);
    mor_router_free(commit->router);
    mor_batch_free(commit->batch);
}

static inline enum mor_status iceberg_try_commit(struct iceberg_fixture *fixture,
                                                 const struct table_row *rows, size_t count)
{
    struct test_commit *commit = calloc(1, sizeof *commit);
    enum mor_status status = commit_prepare(commit, fixture, rows, count);
    if (status == MOR_OK)
        status = commit_publish(commit);
    commit_done(commit);
    free(commit);
    return status;
}

static inline void iceberg_must_commit(struct iceberg_fixture *fixture,
                                       const struct table_row *rows, size_t count)
{
    if (iceberg_try_commit(fixture, rows, count) != MOR_OK)
        fail_msg("commit: %s", fixture->base.err.message);
}

// ---- what is in the table -----------------------------------------------------------------------

// Calls visit for every row that stands, with its slice and position.
typedef void iceberg_visit_fn(void *context, const struct mor_slice *slice, uint32_t position,
                              const char *id, int32_t value, int64_t updated);

static inline void iceberg_visit_slice(struct mor_table *table, const struct mor_slice *slice,
                                       iceberg_visit_fn *visit, void *context)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_position_set *removed = NULL;
    struct mor_reader *object = NULL;
    struct mor_parquet_reader *reader = NULL;
    const struct mor_schema *schema = mor_table_schema(table);
    if (mor_table_removed_rows(table, slice, NULL, &removed, &err) != MOR_OK ||
        mor_store_open_object(mor_table_store(table), slice->base_key, &object, &err) != MOR_OK)
        fail_msg("%s", err.message);
    struct mor_byte_source source = {
        .context = object, .size_bytes = mor_reader_size_bytes(object), .read = table_read_object};
    if (mor_parquet_reader_open(&source, NULL, &reader, &err) != MOR_OK ||
        mor_parquet_reader_project(reader, schema, &err) != MOR_OK)
        fail_msg("%s: %s", slice->base_key, err.message);
    assert_int_equal(mor_parquet_reader_row_count(reader), slice->base_row_count);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    int64_t first;
    do {
        assert_int_equal(mor_parquet_reader_next(reader, 1000, batch, &first, &err), MOR_OK);
        for (size_t i = 0; i < batch->row_count; i++) {
            uint32_t position = (uint32_t)(first + (int64_t)i);
            size_t length;
            const uint8_t *bytes = mor_vector_bytes_at(&batch->columns[0], i, &length);
            char id[16];
            snprintf(id, sizeof id, "%.*s", (int)length, (const char *)bytes);
            if (!removed || !mor_position_set_has(removed, position))
                visit(context, slice, position, id, mor_vector_i32(&batch->columns[1], i),
                      mor_vector_i64(&batch->columns[3], i));
        }
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
    mor_reader_free(object);
    mor_position_set_free(removed);
}

static inline void iceberg_visit_rows(struct mor_table *table, const char *version,
                                      iceberg_visit_fn *visit, void *context)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    struct mor_slice *slices = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    if (mor_table_slices(table, version, &arena, &slices, &count, &err) != MOR_OK)
        fail_msg("slices: %s", err.message);
    for (size_t i = 0; i < count; i++)
        iceberg_visit_slice(table, &slices[i], visit, context);
    mor_arena_done(&arena);
}

struct model_check {
    struct iceberg_fixture *fixture;
    size_t seen;
    bool places; // compare them, too
};

static inline void check_row(void *context, const struct mor_slice *slice, uint32_t position,
                             const char *id, int32_t value, int64_t updated)
{
    struct model_check *check = context;
    check->seen++;
    for (size_t i = 0; i < check->fixture->row_count; i++) {
        const struct model_row *row = &check->fixture->rows[i];
        if (strcmp(row->id, id) == 0 && row->value == value && row->updated == updated &&
            (!check->places ||
             (strcmp(row->file, slice->base_key) == 0 && row->position == position)))
            return;
    }
    fail_msg("row %s/%d is not in the model (%s, %u)", id, value, slice->base_key, position);
}

// The table shows exactly the rows of the model, at its places.
static inline void iceberg_check(struct iceberg_fixture *fixture)
{
    struct mor_table *table = NULL;
    struct model_check check = {.fixture = fixture, .places = true};
    assert_int_equal(mor_table_open_read(fixture->base.location, NULL, &table, &fixture->base.err),
                     MOR_OK);
    iceberg_visit_rows(table, NULL, check_row, &check);
    assert_int_equal(check.seen, fixture->row_count);
    mor_table_free(table);
}

static inline void take_place(void *context, const struct mor_slice *slice, uint32_t position,
                              const char *id, int32_t value, int64_t updated)
{
    struct iceberg_fixture *fixture = context;
    struct model_row *row = model_find(fixture, id);
    assert_non_null(row);
    assert_int_equal(row->value, value);
    assert_int_equal(row->updated, updated);
    snprintf(row->file, sizeof row->file, "%s", slice->base_key);
    row->position = position;
}

// Rows were moved: their places are read from the table.
static inline void iceberg_relocate(struct iceberg_fixture *fixture, struct mor_table *table)
{
    iceberg_visit_rows(table, NULL, take_place, fixture);
    iceberg_check(fixture);
}

#endif
