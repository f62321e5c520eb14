// Memory is refused while a Parquet file is written and read.
#include "../parquet/parquet_test.h"
#include "alloc_fault.h"

#define ROWS 600

struct work {
    struct mor_schema *schema;
    struct mor_batch *batch;
    struct mor_parquet_writer_options options;
};

static enum mor_status write_all(const struct work *work, struct memory_file *file,
                                 struct mor_error *err)
{
    struct mor_byte_sink sink = memory_sink(file);
    struct mor_parquet_writer *writer = NULL;
    MOR_TRY(mor_parquet_writer_open(work->schema, &sink, &work->options, &writer, err));
    mor_parquet_writer_add_metadata(writer, "who", "tests");
    enum mor_status status = mor_parquet_writer_append(writer, work->batch, 0, ROWS, err);
    if (status == MOR_OK)
        status = mor_parquet_writer_finish(writer, err);
    mor_parquet_writer_free(writer);
    return status;
}

static enum mor_status read_all(const struct work *work, struct memory_file *file,
                                struct mor_error *err)
{
    struct mor_byte_source source = memory_source(file);
    struct mor_parquet_reader *reader = NULL;
    MOR_TRY(mor_parquet_reader_open(&source, NULL, &reader, err));
    struct mor_batch *rows = mor_batch_new(work->schema, NULL);
    enum mor_status status = mor_parquet_reader_project(reader, work->schema, err);
    if (status == MOR_OK)
        status = mor_parquet_reader_next(reader, ROWS, rows, NULL, err);
    if (status == MOR_OK) {
        MOR_AUTO_BUFFER written = {0};
        MOR_AUTO_BUFFER read = {0};
        if (rows->row_count != ROWS)
            abort();
        for (size_t row = 0; row < ROWS; row += 7) {
            mor_buffer_reset(&written);
            mor_buffer_reset(&read);
            for (size_t i = 0; i < rows->column_count; i++) {
                mor_vector_format_json(&work->batch->columns[i], row, &written);
                mor_vector_format_json(&rows->columns[i], row, &read);
            }
            if (read.size_bytes != written.size_bytes ||
                memcmp(read.data, written.data, read.size_bytes) != 0)
                abort();
        }
    }
    mor_batch_free(rows);
    mor_parquet_reader_free(reader);
    return status;
}

static enum mor_status write_and_read(void *context, struct mor_error *err)
{
    const struct work *work = context;
    struct memory_file file = {0};
    enum mor_status status = write_all(work, &file, err);
    if (status == MOR_OK)
        status = read_all(work, &file, err);
    memory_done(&file);
    return status;
}

static void sweep(const char *name, struct mor_schema *schema, enum mor_parquet_codec codec)
{
    struct work work = {.schema = schema,
                        .batch = random_batch(schema, ROWS, 7, 10),
                        .options = MOR_PARQUET_WRITER_OPTIONS};
    work.options.codec = codec;
    work.options.page_rows_max = 200;
    struct alloc_work swept = {.name = name, .context = &work, .run = write_and_read};
    alloc_fault_sweep(&swept);
    mor_batch_free(work.batch);
    mor_schema_free(schema);
}

static void files_survive_refused_memory_with_zstd(void **state)
{
    (void)state;
    sweep("Parquet, zstd", all_types_schema(), MOR_PARQUET_ZSTD);
}

static void files_survive_refused_memory_with_snappy(void **state)
{
    (void)state;
    sweep("Parquet, nested, snappy", nested_schema(), MOR_PARQUET_SNAPPY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_survive_refused_memory_with_zstd),
        cmocka_unit_test(files_survive_refused_memory_with_snappy),
    };
    return cmocka_run_group_tests_name("allocation faults: Parquet", tests, NULL, NULL);
}
