// Lanes whose batches tests fill by hand, a table, and the key index of its topic.
#ifndef MORAINE_TESTS_CHANGES_FIXTURE_H
#define MORAINE_TESTS_CHANGES_FIXTURE_H

#include "check.h"

#include "changes.h"
#include "ledger.h"
#include "moraine/base/uuid.h"
#include "moraine/merge.h"

#define LANES 2

// Columns: id long (key), version long (ordering), region string (partition), partition, offset.
enum { ID, VERSION, REGION, KAFKA_PARTITION, KAFKA_OFFSET };

// Of the tables that set_up makes.
static enum mor_table_format fixture_format = MOR_FORMAT_HUDI;

struct fixture {
    char *folder;
    char *state_folder;
    struct mor_schema *schema;
    struct mor_table *table;
    struct mor_state *state; // NULL = no key index
    struct mor_crew *crew;
    struct mor_lane_plan plan;
    struct mor_lane_batch batches[LANES];
    bool take[LANES][4];
    struct mor_batch_part parts[LANES];
    int64_t number; // of commits
};

static inline struct mor_schema *make_schema(void)
{
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "id", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "version", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "region", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "_kafka_partition", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "_kafka_offset", MOR_TYPE_INT64, true);
    return schema;
}

static inline void make_lane(struct fixture *fixture, int lane)
{
    static const uint32_t same_order[] = {0, 1, 2, 3, 4};
    struct mor_lane_batch *batch = &fixture->batches[lane];
    batch->rows = mor_batch_new(mor_table_schema(fixture->table), NULL);
    batch->column_of_table = same_order;
    batch->view.schema = mor_table_schema(fixture->table);
    batch->view.column_count = batch->rows->column_count;
    batch->view.columns = mor_calloc(batch->view.column_count, sizeof *batch->view.columns);
    batch->router = mor_router_new(fixture->table);
    batch->runs = mor_calloc(4, sizeof *batch->runs);
    fixture->parts[lane] = (struct mor_batch_part){batch, fixture->take[lane]};
}

static inline void open_state(struct fixture *fixture)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_state_outcome outcome;
    const struct mor_state_options options = {.folder = fixture->state_folder,
                                              .table = "t",
                                              .index = true,
                                              .map_size_bytes_first = 1 << 20,
                                              .merge_by_hand = true};
    assert_ok(mor_state_open(&options, &fixture->state, &outcome, &err));
}

static inline void set_up(struct fixture *fixture, bool keyed, bool partitioned, bool indexed)
{
    static const char *const key[] = {"id"};
    static const struct mor_partition_field by_region[] = {{"region", MOR_TRANSFORM_IDENTITY, 0}};
    struct mor_error err = MOR_ERROR_INIT;
    *fixture = (struct fixture){.folder = check_folder(), .schema = make_schema()};
    struct mor_table_options options = {.format = fixture_format,
                                        .location = fixture->folder,
                                        .schema = fixture->schema,
                                        .key_columns = key,
                                        .key_column_count = keyed,
                                        .ordering_column = keyed ? "version" : NULL,
                                        .partition_fields = by_region,
                                        .partition_field_count = partitioned,
                                        .bucket_count = 3,
                                        .hudi_table_version =
                                            fixture_format == MOR_FORMAT_HUDI ? 6 : 0};
    assert_ok(mor_table_open_write(&options, &fixture->table, &err));
    assert_ok(mor_crew_new(1, "test", &fixture->crew, &err));
    fixture->plan = (struct mor_lane_plan){
        .table = fixture->table, .keyed = keyed, .offset_column = KAFKA_OFFSET};
    for (int i = 0; i < LANES; i++)
        make_lane(fixture, i);
    if (!indexed)
        return;
    fixture->state_folder = check_folder();
    open_state(fixture);
}

static inline void tear_down(struct fixture *fixture)
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
    mor_state_free(fixture->state);
    mor_table_free(fixture->table);
    mor_schema_free(fixture->schema);
    free(fixture->state_folder);
    free(fixture->folder);
}

static inline void add_row(struct mor_lane_batch *batch, int64_t id, int64_t version,
                           const char *region, int64_t offset, uint8_t flags)
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
static inline void close_batch(struct fixture *fixture, int lane)
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

// Empties the lanes for the next commit.
static inline void next_commit(struct fixture *fixture)
{
    for (int i = 0; i < LANES; i++) {
        struct mor_lane_batch *batch = &fixture->batches[i];
        mor_batch_reset(batch->rows);
        free(batch->groups);
        free(batch->keys);
        batch->groups = NULL;
        batch->keys = NULL;
    }
}

static inline struct mor_changes build(struct fixture *fixture)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_changes changes;
    const struct mor_known_keys known = {.state = fixture->state};
    const struct mor_changes_options options = {.table = fixture->table,
                                                .plan = &fixture->plan,
                                                .ordering_column = VERSION,
                                                .known = fixture->state != NULL ? &known : NULL,
                                                .crew = fixture->crew};
    assert_ok(mor_changes_build(&options, fixture->parts, LANES, &changes, &err));
    return changes;
}

// Commits the changes with a ledger and their attachment.
static inline void write_changes(struct fixture *fixture, struct mor_changes *changes,
                                 struct mor_buffer *property, char version[64])
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_uuid batch_id = mor_uuid_v7();
    struct mor_write *write;
    struct mor_commit_result result;
    MOR_AUTO_BUFFER bytes = {0};
    assert_ok(mor_write_begin(fixture->table, &batch_id, &write, &err));
    for (size_t i = 0; i < changes->set.group_count; i++)
        assert_ok(mor_write_group(write, &changes->set, i, &err));
    for (size_t i = 0; i < changes->set.removal_count; i++)
        assert_ok(mor_write_removal(write, &changes->set, i, &err));
    bool by_place = fixture->state != NULL && mor_table_has_places(fixture->table);
    if (by_place) {
        MOR_AUTO_BUFFER resolved = {0};
        mor_changes_resolve(changes, write, fixture->state, &resolved);
        mor_buffer_reset(&changes->key_changes);
        mor_buffer_append(&changes->key_changes, resolved.data, resolved.size_bytes);
    }
    struct mor_ledger ledger;
    mor_ledger_init(&ledger);
    ledger.number = ++fixture->number;
    size_t count;
    const struct mor_key_change *keys = mor_changes_of_keys(changes, &count);
    if (fixture->state != NULL) {
        mor_key_attachment(fixture->state, keys, count, ledger.number, by_place, &bytes);
        ledger.keys.from = 1;
    }
    if (bytes.size_bytes > 0)
        assert_ok(
            mor_write_attach(write, mor_key_attachments.name, bytes.data, bytes.size_bytes, &err));
    const struct mor_commit_facts facts = {
        .batch_id = batch_id, .instance = "test", .topic = "events"};
    mor_buffer_reset(property);
    mor_ledger_format(&ledger, &facts, property);
    mor_ledger_done(&ledger);
    const struct mor_property properties[] = {{LEDGER_PROPERTY, (const char *)property->data}};
    assert_ok(mor_write_commit(write, properties, 1, &result, &err));
    mor_write_free(write);
    memcpy(version, result.version, sizeof result.version);
}

// Commits what is in the lanes, and the index follows.
static inline struct mor_outcomes commit(struct fixture *fixture)
{
    struct mor_error err = MOR_ERROR_INIT;
    for (int i = 0; i < LANES; i++)
        close_batch(fixture, i);
    struct mor_changes changes = build(fixture);
    MOR_AUTO_BUFFER property = {0};
    char version[64];
    write_changes(fixture, &changes, &property, version);
    if (fixture->state != NULL) {
        struct mor_state_batch *batch;
        const struct mor_dedup_correction *corrections;
        size_t count;
        assert_ok(mor_state_batch_begin(fixture->state, NULL, 0, NULL, 0, &batch, &corrections,
                                        &count, &err));
        const struct mor_key_change *keys = mor_changes_of_keys(&changes, &count);
        assert_ok(mor_key_apply(batch, keys, count, &err));
        const struct mor_state_mark mark = {.version = version,
                                            .offsets = property.data,
                                            .offsets_size_bytes = property.size_bytes,
                                            .watermark_ms = INT64_MIN};
        assert_ok(mor_state_batch_apply(fixture->state, batch, &mark, &err));
    }
    struct mor_outcomes outcomes = changes.outcomes;
    mor_changes_done(&changes);
    next_commit(fixture);
    return outcomes;
}

// Calls see for every row that a scan of the table finds.
typedef void see_row(void *context, int64_t id, int64_t version, const char *region,
                     int64_t offset);

static inline void scan(const struct fixture *fixture, see_row *see, void *context)
{
    struct mor_error err = MOR_ERROR_INIT;
    static const char *const columns[] = {"id", "version", "region", "_kafka_offset"};
    struct mor_table *table;
    struct mor_scan *scan;
    assert_ok(mor_table_open_read(fixture->folder, NULL, &table, &err));
    const struct mor_scan_options options = {.columns = columns, .column_count = 4};
    assert_ok(mor_scan_open(table, &options, &scan, &err));
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    for (;;) {
        assert_ok(mor_scan_next(scan, batch, &err));
        if (batch->row_count == 0)
            break;
        for (size_t row = 0; row < batch->row_count; row++) {
            size_t size;
            const uint8_t *bytes = mor_vector_bytes_at(&batch->columns[2], row, &size);
            char region[32];
            assert_true(size < sizeof region);
            memcpy(region, bytes, size);
            region[size] = '\0';
            see(context, mor_vector_i64(&batch->columns[0], row),
                mor_vector_i64(&batch->columns[1], row), region,
                mor_vector_i64(&batch->columns[3], row));
        }
    }
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
}

#endif
