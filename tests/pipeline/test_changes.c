#include "check.h"

#include "changes.h"
#include "moraine/base/uuid.h"

#define KEYS  40
#define LANES 2

// Columns: id long (key), version long (ordering), region string (partition), partition, offset.
enum { ID, VERSION, REGION, KAFKA_PARTITION, KAFKA_OFFSET };

struct fixture {
    char *folder;
    struct mor_schema *schema;
    struct mor_table *table;
    struct mor_crew *crew;
    struct mor_lane_plan plan;
    struct mor_lane_batch batches[LANES];
    bool take[LANES][4];
    struct mor_batch_part parts[LANES];
};

static struct mor_schema *make_schema(void)
{
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "id", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "version", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "region", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "_kafka_partition", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "_kafka_offset", MOR_TYPE_INT64, true);
    return schema;
}

static void set_up(struct fixture *fixture, bool keyed, bool partitioned)
{
    static const char *const key[] = {"id"};
    static const struct mor_partition_field by_region[] = {{"region", MOR_TRANSFORM_IDENTITY}};
    struct mor_error err = MOR_ERROR_INIT;
    *fixture = (struct fixture){.folder = check_folder(), .schema = make_schema()};
    struct mor_table_options options = {.format = MOR_FORMAT_HUDI,
                                        .location = fixture->folder,
                                        .schema = fixture->schema,
                                        .key_columns = key,
                                        .key_column_count = keyed,
                                        .ordering_column = keyed ? "version" : NULL,
                                        .partition_fields = by_region,
                                        .partition_field_count = partitioned,
                                        .bucket_count = 3,
                                        .hudi_table_version = 6};
    assert_ok(mor_table_open_write(&options, &fixture->table, &err));
    assert_ok(mor_crew_new(1, "test", &fixture->crew, &err));
    fixture->plan = (struct mor_lane_plan){
        .table = fixture->table, .keyed = keyed, .offset_column = KAFKA_OFFSET};
    for (int i = 0; i < LANES; i++) {
        struct mor_lane_batch *batch = &fixture->batches[i];
        static const uint32_t same_order[] = {0, 1, 2, 3, 4};
        batch->rows = mor_batch_new(mor_table_schema(fixture->table), NULL);
        batch->column_of_table = same_order;
        batch->view.schema = mor_table_schema(fixture->table);
        batch->view.column_count = batch->rows->column_count;
        batch->view.columns = mor_calloc(batch->view.column_count, sizeof *batch->view.columns);
        batch->router = mor_router_new(fixture->table);
        batch->runs = mor_calloc(4, sizeof *batch->runs);
        fixture->parts[i] = (struct mor_batch_part){batch, fixture->take[i]};
    }
}

static void tear_down(struct fixture *fixture)
{
    for (int i = 0; i < LANES; i++) {
        mor_batch_free(fixture->batches[i].rows);
        free(fixture->batches[i].view.columns);
        mor_router_free(fixture->batches[i].router);
        free(fixture->batches[i].runs);
        free(fixture->batches[i].groups);
        free(fixture->batches[i].keys);
        free(fixture->batches[i].flags);
    }
    mor_crew_free(fixture->crew);
    mor_table_free(fixture->table);
    mor_schema_free(fixture->schema);
    free(fixture->folder);
}

static void add_row(struct mor_lane_batch *batch, int64_t id, int64_t version, const char *region,
                    int64_t offset, uint8_t flags)
{
    struct mor_vector *columns = batch->rows->columns;
    int32_t partition = 0;
    mor_vector_append_fixed(&columns[ID], &id);
    if (flags & ROW_TOMBSTONE) {
        mor_vector_append_null(&columns[VERSION]);
        mor_vector_append_null(&columns[REGION]);
    } else {
        mor_vector_append_fixed(&columns[VERSION], &version);
        mor_vector_append_bytes(&columns[REGION], region, strlen(region));
    }
    mor_vector_append_fixed(&columns[KAFKA_PARTITION], &partition);
    mor_vector_append_fixed(&columns[KAFKA_OFFSET], &offset);
    size_t row = batch->rows->row_count++;
    batch->flags = mor_realloc(batch->flags, row + 1);
    batch->flags[row] = flags;
}

// Routes the rows of a batch as one run.
static void close_batch(struct fixture *fixture, int lane)
{
    struct mor_lane_batch *batch = &fixture->batches[lane];
    size_t count = batch->rows->row_count;
    MOR_AUTO_FREE bool *keys_only = mor_calloc(count, sizeof *keys_only);
    for (size_t i = 0; i < count; i++)
        keys_only[i] = (batch->flags[i] & ROW_TOMBSTONE) != 0;
    batch->groups = mor_calloc(count, sizeof *batch->groups);
    batch->keys = mor_calloc(count, sizeof *batch->keys);
    mor_router_route(batch->router, batch->rows, 0, count, keys_only, batch->groups, batch->keys);
    batch->runs[0] = (struct mor_run){.row_count = count};
    batch->run_count = 1;
    fixture->take[lane][0] = true;
}

static struct mor_changes build(struct fixture *fixture)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_changes changes;
    const struct mor_changes_options options = {.table = fixture->table,
                                                .plan = &fixture->plan,
                                                .ordering_column = VERSION,
                                                .crew = fixture->crew};
    assert_ok(mor_changes_build(&options, fixture->parts, LANES, &changes, &err));
    return changes;
}

static int64_t cell(const struct fixture *fixture, struct mor_row_ref ref, int column)
{
    return mor_vector_i64(&fixture->batches[ref.batch].rows->columns[column], ref.row);
}

static void the_highest_version_wins_and_ties_go_to_the_later_offset(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, false);
    uint64_t random = 7;
    struct {
        int64_t version, offset;
        bool alive, seen;
    } model[KEYS] = {0};
    int64_t inserted = 0, updated = 0, deleted = 0;
    for (int64_t offset = 0; offset < 3000; offset++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int64_t id = (int64_t)(random >> 33) % KEYS, version = (int64_t)(random >> 50) % 20;
        bool remove = (random >> 20) % 10 == 0;
        add_row(&fixture.batches[0], id, version, "x", offset, remove ? ROW_DELETE : 0);
        bool older = model[id].seen && version < model[id].version;
        if (remove)
            deleted++;
        else if (older || model[id].alive)
            updated++;
        else
            inserted++;
        if (older)
            continue;
        model[id].alive = !remove;
        model[id].seen = true;
        model[id].version = version;
        model[id].offset = offset;
    }
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    struct mor_changes changes = build(&fixture);
    size_t alive = 0, found = 0;
    for (int i = 0; i < KEYS; i++)
        alive += model[i].alive;
    for (size_t g = 0; g < changes.set.group_count; g++) {
        const struct mor_change_group *group = &changes.set.groups[g];
        assert_int_equal(group->delete_count, 0); // the table is new: nothing to delete
        for (size_t i = 0; i < group->upsert_count; i++, found++) {
            int64_t id = cell(&fixture, group->upserts[i], ID);
            assert_true(model[id].alive);
            assert_int_equal(cell(&fixture, group->upserts[i], VERSION), model[id].version);
            assert_int_equal(cell(&fixture, group->upserts[i], KAFKA_OFFSET), model[id].offset);
        }
    }
    assert_int_equal(found, alive);
    assert_int_equal(changes.outcomes.inserted, inserted);
    assert_int_equal(changes.outcomes.updated, updated);
    assert_int_equal(changes.outcomes.deleted, deleted);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

static void write_changes(struct fixture *fixture, struct mor_changes *changes)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_uuid batch_id = mor_uuid_v7();
    struct mor_write *write;
    struct mor_commit_result result;
    assert_ok(mor_write_begin(fixture->table, &batch_id, &write, &err));
    for (size_t i = 0; i < changes->set.group_count; i++)
        assert_ok(mor_write_group(write, &changes->set, i, &err));
    assert_ok(mor_write_commit(write, NULL, 0, NULL, NULL, &result, &err));
    mor_write_free(write);
}

static void a_tombstone_reaches_every_partition_that_may_hold_its_key(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, true);
    static const char *const regions[] = {"north", "south", "west"};
    for (int region = 0; region < 3; region++)
        add_row(&fixture.batches[0], 5, 1, regions[region], region, 0);
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    struct mor_changes changes = build(&fixture);
    assert_int_equal(changes.set.group_count, 3);
    write_changes(&fixture, &changes);
    mor_changes_done(&changes);

    for (int i = 0; i < LANES; i++) {
        struct mor_lane_batch *batch = &fixture.batches[i];
        mor_batch_reset(batch->rows);
        free(batch->groups);
        free(batch->keys);
    }
    add_row(&fixture.batches[0], 5, 0, NULL, 10, ROW_TOMBSTONE | ROW_DELETE);
    add_row(&fixture.batches[0], 5, 9, "east", 11, 0); // inserted again, elsewhere
    add_row(&fixture.batches[1], 6, 1, "east", 12, 0);
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    changes = build(&fixture);
    size_t deletes = 0, upserts = 0;
    for (size_t g = 0; g < changes.set.group_count; g++) {
        deletes += changes.set.groups[g].delete_count;
        upserts += changes.set.groups[g].upsert_count;
        if (strcmp(changes.set.groups[g].partition, "region=east") != 0)
            assert_int_equal(changes.set.groups[g].delete_count, 1);
    }
    assert_int_equal(deletes, 3);
    assert_int_equal(upserts, 2);
    assert_int_equal(changes.outcomes.deleted, 1); // one record, however many files it reaches
    assert_int_equal(changes.outcomes.inserted, 2);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

static void runs_that_are_not_taken_leave_no_trace(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, false);
    add_row(&fixture.batches[0], 1, 1, "x", 0, 0);
    add_row(&fixture.batches[0], 2, 1, "x", 1, 0);
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    struct mor_lane_batch *batch = &fixture.batches[0];
    batch->runs[0].row_count = 1;
    batch->runs[1] = (struct mor_run){.row_first = 1, .row_count = 1};
    batch->run_count = 2;
    fixture.take[0][0] = false;
    fixture.take[0][1] = true;
    struct mor_changes changes = build(&fixture);
    assert_int_equal(changes.set.group_count, 1);
    assert_int_equal(changes.set.groups[0].upsert_count, 1);
    assert_int_equal(cell(&fixture, changes.set.groups[0].upserts[0], ID), 2);
    assert_int_equal(changes.outcomes.inserted, 1);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

static void append_only_rows_keep_every_record_a_group_per_lane(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, false, false);
    for (int i = 0; i < 100; i++)
        add_row(&fixture.batches[i % 2], 1, 1, "x", i, 0);
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    struct mor_changes changes = build(&fixture);
    assert_int_equal(changes.set.group_count, 2);
    assert_int_equal(changes.set.groups[0].upsert_count, 50);
    assert_int_equal(changes.set.groups[1].upsert_count, 50);
    assert_int_equal(changes.outcomes.inserted, 100);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_version_wins_and_ties_go_to_the_later_offset),
        cmocka_unit_test(a_tombstone_reaches_every_partition_that_may_hold_its_key),
        cmocka_unit_test(runs_that_are_not_taken_leave_no_trace),
        cmocka_unit_test(append_only_rows_keep_every_record_a_group_per_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
