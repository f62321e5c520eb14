// What each step of a record's way costs by itself: CPU nanoseconds per record of one thread.
//
//   versus_stages json|avro SCHEMA.avsc [KEY ORDERING] < FRAMES
//
// FRAMES are those of versus_records, without Confluent's five bytes. Prints one JSON object:
// decode (bytes to columns), parquet (columns to the bytes of a Hudi base file, which go nowhere),
// and of a table in a temporary folder route, base (base files) and, with a key, log (the same rows
// again). Each is the least of RUNS passes over all records; those of the table are one pass.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moraine/avro.h"
#include "moraine/base/clock.h"
#include "moraine/decode.h"
#include "moraine/parquet.h"
#include "moraine/table.h"

#define RUNS          5
#define BATCH_RECORDS 65536
#define HEADER_BYTES  20
#define BUCKETS       8

struct input {
    struct mor_buffer bytes;
    struct mor_record *records;
    size_t count, capacity;
};

static void check(enum mor_status status, const struct mor_error *err)
{
    if (status == MOR_OK)
        return;
    fprintf(stderr, "versus_stages: %s\n", err->message);
    exit(1);
}

static void read_all(FILE *file, struct mor_buffer *bytes)
{
    do {
        mor_buffer_reserve(bytes, 1 << 20);
        bytes->size_bytes += fread(bytes->data + bytes->size_bytes, 1, 1 << 20, file);
    } while (!feof(file) && !ferror(file));
}

static void read_frames(struct input *input)
{
    read_all(stdin, &input->bytes);
    for (size_t at = 0; at + HEADER_BYTES <= input->bytes.size_bytes;) {
        int32_t partition, sizes[2];
        memcpy(&partition, input->bytes.data + at, sizeof partition);
        memcpy(sizes, input->bytes.data + at + 12, sizeof sizes);
        if (input->count == input->capacity) {
            input->capacity = input->capacity > 0 ? input->capacity * 2 : 65536;
            input->records = mor_realloc(input->records, input->capacity * sizeof *input->records);
        }
        const uint8_t *key = input->bytes.data + at + HEADER_BYTES;
        input->records[input->count] = (struct mor_record){.key = key,
                                                           .key_size_bytes = (size_t)sizes[0],
                                                           .value = key + sizes[0],
                                                           .value_size_bytes = (size_t)sizes[1],
                                                           .offset = (int64_t)input->count,
                                                           .partition = partition};
        input->count++;
        at += HEADER_BYTES + (size_t)sizes[0] + (size_t)sizes[1];
    }
}

// Decodes records [first, first + count) into an empty batch.
static void decode(struct mor_decoder *decoder, const struct input *input, size_t first,
                   size_t count, struct mor_batch *batch)
{
    struct mor_error err = MOR_ERROR_INIT;
    mor_batch_reset(batch);
    for (size_t i = first; i < first + count; i++)
        check(mor_decoder_value(decoder, &input->records[i], batch->columns, &err), &err);
    batch->row_count = count;
}

static size_t step(const struct input *input, size_t first)
{
    return input->count - first < BATCH_RECORDS ? input->count - first : BATCH_RECORDS;
}

static double per_record(const struct input *input, int64_t ns)
{
    return (double)ns / (double)input->count;
}

static double measure_decode(struct mor_decoder *decoder, const struct input *input,
                             struct mor_batch *batch)
{
    int64_t best = INT64_MAX;
    for (int run = 0; run < RUNS; run++) {
        int64_t start = mor_clock_thread_cpu_ns();
        for (size_t first = 0; first < input->count; first += BATCH_RECORDS)
            decode(decoder, input, first, step(input, first), batch);
        int64_t ns = mor_clock_thread_cpu_ns() - start;
        best = ns < best ? ns : best;
    }
    return per_record(input, best);
}

static enum mor_status drop(void *context, const void *bytes, size_t size_bytes,
                            struct mor_error *err)
{
    (void)bytes;
    (void)err;
    *(size_t *)context += size_bytes;
    return MOR_OK;
}

static double measure_parquet(struct mor_decoder *decoder, const struct input *input,
                              const struct mor_schema *schema, struct mor_batch *batch,
                              double *ret_bytes)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.profile = MOR_PARQUET_CONSERVATIVE;
    int64_t best = INT64_MAX;
    for (int run = 0; run < RUNS; run++) {
        size_t written = 0;
        struct mor_byte_sink sink = {.context = &written, .write = drop};
        struct mor_parquet_writer *writer = NULL;
        int64_t ns = 0;
        check(mor_parquet_writer_open(schema, &sink, &options, &writer, &err), &err);
        for (size_t first = 0; first < input->count; first += BATCH_RECORDS) {
            decode(decoder, input, first, step(input, first), batch);
            int64_t start = mor_clock_thread_cpu_ns();
            check(mor_parquet_writer_append(writer, batch, 0, batch->row_count, &err), &err);
            ns += mor_clock_thread_cpu_ns() - start;
        }
        int64_t start = mor_clock_thread_cpu_ns();
        check(mor_parquet_writer_finish(writer, &err), &err);
        ns += mor_clock_thread_cpu_ns() - start;
        mor_parquet_writer_free(writer);
        best = ns < best ? ns : best;
        *ret_bytes = (double)written / (double)input->count;
    }
    return per_record(input, best);
}

struct table_times {
    int64_t route_ns, write_ns;
};

static void write_rows(struct mor_table *table, struct mor_batch *batch, struct table_times *times)
{
    struct mor_error err = MOR_ERROR_INIT;
    size_t count = batch->row_count;
    uint32_t *groups = mor_alloc(count * sizeof *groups);
    struct mor_hash128 *keys = mor_alloc(count * sizeof *keys);
    struct mor_router *router = mor_router_new(table);
    int64_t start = mor_clock_thread_cpu_ns();
    mor_router_route(router, batch, 0, count, NULL, groups, keys);
    times->route_ns = mor_clock_thread_cpu_ns() - start;
    struct mor_change_group change[BUCKETS] = {0};
    struct mor_row_ref *refs = mor_alloc(BUCKETS * count * sizeof *refs);
    for (size_t i = 0; i < count; i++) {
        int32_t bucket;
        const char *partition;
        mor_router_group(router, groups[i], &partition, &bucket);
        size_t place = bucket > 0 ? (size_t)bucket : 0; // without a key there are no buckets
        struct mor_change_group *group = &change[place];
        group->partition = partition;
        group->bucket = bucket;
        group->upserts = refs + place * count;
        group->upserts[group->upsert_count++] = (struct mor_row_ref){.row = (uint32_t)i};
    }
    size_t group_count = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        if (change[i].upsert_count > 0)
            change[group_count++] = change[i];
    struct mor_change_set set = {
        .batches = &batch, .batch_count = 1, .groups = change, .group_count = group_count};
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    start = mor_clock_thread_cpu_ns();
    check(mor_write_begin(table, &id, &write, &err), &err);
    for (size_t i = 0; i < set.group_count; i++)
        check(mor_write_group(write, &set, i, &err), &err);
    check(mor_write_commit(write, NULL, 0, &result, &err), &err);
    times->write_ns = mor_clock_thread_cpu_ns() - start;
    mor_write_free(write);
    mor_router_free(router);
    free(refs);
    free(groups);
    free(keys);
}

static void measure_table(const struct input *input, const struct mor_schema *schema,
                          struct mor_batch *batch, const char *key, const char *ordering)
{
    char root[] = "/tmp/moraine-stages-XXXXXX", command[128];
    struct mor_error err = MOR_ERROR_INIT;
    if (mkdtemp(root) == NULL)
        exit(1);
    struct mor_table_options options = {.format = MOR_FORMAT_HUDI,
                                        .location = root,
                                        .schema = schema,
                                        .key_columns = &key,
                                        .key_column_count = key != NULL,
                                        .ordering_column = ordering,
                                        .bucket_count = BUCKETS};
    struct mor_table *table = NULL;
    check(mor_table_open_write(&options, &table, &err), &err);
    struct table_times base, log;
    write_rows(table, batch, &base);
    printf(",\"route\":%.1f,\"base\":%.1f", per_record(input, base.route_ns),
           per_record(input, base.write_ns));
    if (key != NULL) {
        write_rows(table, batch, &log);
        printf(",\"log\":%.1f", per_record(input, log.write_ns));
    }
    mor_table_free(table);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: versus_stages json|avro SCHEMA.avsc [KEY ORDERING] < FRAMES\n");
        return 2;
    }
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_buffer text = {0};
    FILE *file = fopen(argv[2], "re");
    if (file == NULL) {
        perror(argv[2]);
        return 1;
    }
    read_all(file, &text);
    (void)fclose(file);
    struct mor_avro_schema *writer = NULL;
    struct mor_schema *schema = NULL;
    check(mor_avro_schema_parse((const char *)text.data, text.size_bytes, &writer, &err), &err);
    check(mor_avro_schema_to_table(writer, &schema, &err), &err);
    bool json = strcmp(argv[1], "json") == 0;
    struct mor_decoder_options options = {.format = json ? MOR_PAYLOAD_JSON : MOR_PAYLOAD_AVRO,
                                          .schema = schema,
                                          .column_count = schema->root.child_count,
                                          .writer_schema.text =
                                              json ? NULL : mor_buffer_terminate(&text)};
    struct mor_decoder *decoder = NULL;
    check(mor_decoder_new(&options, &decoder, &err), &err);
    struct input input = {0};
    read_frames(&input);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    double parquet_bytes = 0, payload = 0;
    for (size_t i = 0; i < input.count; i++)
        payload += (double)input.records[i].value_size_bytes;
    double decode_ns = measure_decode(decoder, &input, batch);
    double parquet_ns = measure_parquet(decoder, &input, schema, batch, &parquet_bytes);
    printf("{\"records\":%zu,\"payload_bytes\":%.1f,\"decode\":%.1f,\"parquet\":%.1f,"
           "\"parquet_bytes\":%.1f",
           input.count, payload / (double)input.count, decode_ns, parquet_ns, parquet_bytes);
    decode(decoder, &input, 0, input.count, batch);
    measure_table(&input, schema, batch, argc > 3 ? argv[3] : NULL, argc > 3 ? argv[4] : NULL);
    printf("}\n");
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_avro_schema_free(writer);
    mor_schema_free(schema);
    mor_buffer_done(&input.bytes);
    mor_buffer_done(&text);
    free(input.records);
    return 0;
}
