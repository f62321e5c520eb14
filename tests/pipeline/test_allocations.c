// Nothing is allocated for a record on its way from bytes to files: the linker wraps the allocator
// (tests/CMakeLists.txt), and what our own code asks it for is counted.
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "moraine/avro.h"
#include "moraine/decode.h"
#include "moraine/table.h"

#define RECORDS 100000
#define BUCKETS 4

static atomic_size_t allocations;

void *__real_malloc(size_t size_bytes);
void *__real_calloc(size_t count, size_t size_bytes);
void *__real_realloc(void *memory, size_t size_bytes);
void *__wrap_malloc(size_t size_bytes);
void *__wrap_calloc(size_t count, size_t size_bytes);
void *__wrap_realloc(void *memory, size_t size_bytes);

void *__wrap_malloc(size_t size_bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_malloc(size_bytes);
}

void *__wrap_calloc(size_t count, size_t size_bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_calloc(count, size_bytes);
}

void *__wrap_realloc(void *memory, size_t size_bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __real_realloc(memory, size_bytes);
}

static const char writer_json[] =
    "{\"type\":\"record\",\"name\":\"order\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},"
    "{\"name\":\"version\",\"type\":\"long\"},{\"name\":\"amount\",\"type\":\"double\"},"
    "{\"name\":\"status\",\"type\":\"string\"},{\"name\":\"note\",\"type\":[\"null\",\"string\"]}]"
    "}";

struct fixture {
    struct mor_schema *schema;
    struct mor_decoder *decoder;
    struct mor_batch *batch;
    struct mor_buffer bytes;
    struct mor_record records[RECORDS];
};

static void add_avro(struct mor_buffer *bytes, int64_t id)
{
    double amount = (double)id / 100;
    mor_avro_put_long(bytes, id);
    mor_avro_put_long(bytes, id * 3);
    mor_buffer_append(bytes, &amount, sizeof amount);
    mor_avro_put_bytes(bytes, "delivered", 9);
    mor_avro_put_long(bytes, id % 2);
    if (id % 2 == 1)
        mor_avro_put_bytes(bytes, "leave at the door", 17);
}

static void add_json(struct mor_buffer *bytes, int64_t id)
{
    mor_buffer_printf(bytes,
                      "{\"id\":%lld,\"version\":%lld,\"amount\":%lld.25,\"status\":\"delivered\","
                      "\"note\":\"leave at \\\"door\\\" %lld\"}",
                      (long long)id, (long long)id * 3, (long long)id, (long long)id);
}

static struct fixture *fixture_new(enum mor_payload_format format)
{
    struct fixture *f = mor_calloc(1, sizeof *f);
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *writer = NULL;
    assert_ok(mor_avro_schema_parse(writer_json, strlen(writer_json), &writer, &err));
    assert_ok(mor_avro_schema_to_table(writer, &f->schema, &err));
    mor_avro_schema_free(writer);
    struct mor_decoder_options options = {.format = format,
                                          .schema = f->schema,
                                          .column_count = f->schema->root.child_count,
                                          .writer_schema.text =
                                              format == MOR_PAYLOAD_AVRO ? writer_json : NULL};
    assert_ok(mor_decoder_new(&options, &f->decoder, &err));
    f->batch = mor_batch_new(f->schema, NULL);
    size_t *starts = mor_calloc(RECORDS + 1, sizeof *starts);
    for (int64_t i = 0; i < RECORDS; i++) {
        (format == MOR_PAYLOAD_AVRO ? add_avro : add_json)(&f->bytes, i);
        starts[i + 1] = f->bytes.size_bytes;
    }
    for (size_t i = 0; i < RECORDS; i++)
        f->records[i] = (struct mor_record){.value = f->bytes.data + starts[i],
                                            .value_size_bytes = starts[i + 1] - starts[i],
                                            .offset = (int64_t)i};
    free(starts);
    return f;
}

static void fixture_free(struct fixture *f)
{
    mor_batch_free(f->batch);
    mor_decoder_free(f->decoder);
    mor_schema_free(f->schema);
    mor_buffer_done(&f->bytes);
    free(f);
}

// Allocations of decoding everything into the (emptied) batch.
static size_t decode_all(struct fixture *f)
{
    struct mor_error err = MOR_ERROR_INIT;
    mor_batch_reset(f->batch);
    size_t before = atomic_load(&allocations);
    for (size_t i = 0; i < RECORDS; i++)
        assert_ok(mor_decoder_value(f->decoder, &f->records[i], f->batch->columns, &err));
    f->batch->row_count = RECORDS;
    return atomic_load(&allocations) - before;
}

static void decoding_into_a_batch_of_before_allocates_nothing(void **state)
{
    (void)state;
    static const enum mor_payload_format formats[] = {MOR_PAYLOAD_AVRO, MOR_PAYLOAD_JSON};
    for (size_t i = 0; i < 2; i++) {
        struct fixture *f = fixture_new(formats[i]);
        assert_in_range(decode_all(f), 1, 500); // the columns grow: which also shows that we count
        assert_int_equal(decode_all(f), 0);
        fixture_free(f);
    }
}

// Allocations of routing and writing the batch as one commit.
static size_t write_all(struct mor_table *table, struct mor_batch *batch)
{
    struct mor_error err = MOR_ERROR_INIT;
    uint32_t *groups = mor_alloc(RECORDS * sizeof *groups);
    struct mor_hash128 *keys = mor_alloc(RECORDS * sizeof *keys);
    struct mor_row_ref *refs = mor_alloc(BUCKETS * RECORDS * sizeof *refs);
    struct mor_change_group change[BUCKETS] = {0};
    struct mor_router *router = mor_router_new(table);
    size_t before = atomic_load(&allocations);
    mor_router_route(router, batch, 0, RECORDS, NULL, groups, keys);
    for (uint32_t i = 0; i < RECORDS; i++) {
        int32_t bucket;
        const char *partition;
        mor_router_group(router, groups[i], &partition, &bucket);
        struct mor_change_group *group = &change[bucket];
        group->partition = partition;
        group->bucket = bucket;
        group->upserts = refs + (size_t)bucket * RECORDS;
        group->upserts[group->upsert_count++] = (struct mor_row_ref){.row = i};
    }
    struct mor_change_set set = {
        .batches = &batch, .batch_count = 1, .groups = change, .group_count = BUCKETS};
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    assert_ok(mor_write_begin(table, &id, &write, &err));
    for (size_t i = 0; i < BUCKETS; i++)
        assert_ok(mor_write_group(write, &set, i, &err));
    size_t count = atomic_load(&allocations) - before;
    assert_ok(mor_write_commit(write, NULL, 0, &result, &err));
    mor_write_free(write);
    mor_router_free(router);
    free(refs);
    free(groups);
    free(keys);
    return count;
}

static void writing_files_allocates_by_the_file_not_by_the_row(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(MOR_PAYLOAD_AVRO);
    (void)decode_all(f);
    struct mor_error err = MOR_ERROR_INIT;
    char root[] = "/tmp/moraine-allocations-XXXXXX", command[128];
    assert_non_null(mkdtemp(root));
    static const char *const key[] = {"id"};
    struct mor_table_options options = {.format = MOR_FORMAT_HUDI,
                                        .location = root,
                                        .schema = f->schema,
                                        .key_columns = key,
                                        .key_column_count = 1,
                                        .ordering_column = "version",
                                        .bucket_count = BUCKETS};
    struct mor_table *table = NULL;
    assert_ok(mor_table_open_write(&options, &table, &err));
    size_t base = write_all(table, f->batch);
    size_t log = write_all(table, f->batch);
    print_message("allocations per million rows: base files %zu, logs %zu\n",
                  base * (1000000 / RECORDS), log * (1000000 / RECORDS));
    assert_in_range(base, 1, RECORDS / 20);
    assert_in_range(log, 1, RECORDS / 200);
    mor_table_free(table);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_into_a_batch_of_before_allocates_nothing),
        cmocka_unit_test(writing_files_allocates_by_the_file_not_by_the_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
