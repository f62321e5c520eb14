// What the Parquet tests share: files in memory, and batches of every type.
#ifndef MORAINE_TESTS_PARQUET_TEST_H
#define MORAINE_TESTS_PARQUET_TEST_H

#include "check.h"
#include "moraine/parquet.h"

// A file in memory that is both sink and source. fail_at: writing the n-th piece fails (0 = never).
struct memory_file {
    struct mor_buffer bytes;
    size_t writes, fail_at;
    size_t reads;
    size_t read_bytes;
    bool lie; // reads back something else than was written
};

static inline enum mor_status memory_write(void *context, const void *bytes, size_t size_bytes,
                                           struct mor_error *err)
{
    struct memory_file *file = context;
    if (++file->writes == file->fail_at)
        return mor_error_set(err, MOR_RETRY, "no space left");
    mor_buffer_append(&file->bytes, bytes, size_bytes);
    return MOR_OK;
}

static inline enum mor_status memory_read(void *context, int64_t offset, void *ret_bytes,
                                          size_t size_bytes, struct mor_error *err)
{
    struct memory_file *file = context;
    (void)err;
    assert_true(offset >= 0 && (size_t)offset <= file->bytes.size_bytes);
    assert_true(size_bytes <= file->bytes.size_bytes - (size_t)offset);
    file->reads++;
    file->read_bytes += size_bytes;
    if (size_bytes > 0)
        memcpy(ret_bytes, file->bytes.data + offset, size_bytes);
    if (file->lie && size_bytes > 0)
        ((uint8_t *)ret_bytes)[0] ^= 1;
    return MOR_OK;
}

static inline struct mor_byte_sink memory_sink(struct memory_file *file)
{
    return (struct mor_byte_sink){.context = file, .write = memory_write, .read = memory_read};
}

static inline struct mor_byte_source memory_source(struct memory_file *file)
{
    return (struct mor_byte_source){
        .context = file, .size_bytes = (int64_t)file->bytes.size_bytes, .read = memory_read};
}

static inline void memory_done(struct memory_file *file)
{
    mor_buffer_done(&file->bytes);
}

// Deterministic noise.
static inline uint64_t noise(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// Every type of the table model at the top level, nullable.
static inline struct mor_schema *all_types_schema(void)
{
    struct mor_schema *schema = mor_schema_new("all_types");
    static const struct {
        const char *name;
        enum mor_type type;
    } fields[] = {
        {"flag", MOR_TYPE_BOOL},
        {"i32", MOR_TYPE_INT32},
        {"i64", MOR_TYPE_INT64},
        {"f32", MOR_TYPE_FLOAT},
        {"f64", MOR_TYPE_DOUBLE},
        {"date", MOR_TYPE_DATE},
        {"time_ms", MOR_TYPE_TIME_MILLIS},
        {"time_us", MOR_TYPE_TIME_MICROS},
        {"ts_ms", MOR_TYPE_TIMESTAMP_MILLIS},
        {"ts_us", MOR_TYPE_TIMESTAMP_MICROS},
        {"text", MOR_TYPE_STRING},
        {"bytes", MOR_TYPE_BYTES},
        {"uuid", MOR_TYPE_UUID},
        {"kind", MOR_TYPE_ENUM},
        {"json", MOR_TYPE_JSON},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        mor_schema_add(schema, NULL, fields[i].name, fields[i].type, true);
    struct mor_field *field = mor_schema_add(schema, NULL, "amount", MOR_TYPE_DECIMAL, true);
    field->precision = 12;
    field->scale = 2;
    field = mor_schema_add(schema, NULL, "big", MOR_TYPE_DECIMAL, false);
    field->precision = 38;
    field->scale = 10;
    field = mor_schema_add(schema, NULL, "fixed", MOR_TYPE_FIXED, true);
    field->fixed_size_bytes = 5;
    field = mor_schema_add(schema, NULL, "ts_local", MOR_TYPE_TIMESTAMP_MICROS, false);
    field->local_timestamp = true;
    mor_schema_assign_ids(schema);
    return schema;
}

// struct, list of struct, map of list, list of list: nullable at every level but map keys.
static inline struct mor_schema *nested_schema(void)
{
    struct mor_schema *schema = mor_schema_new("nested");
    mor_schema_add(schema, NULL, "id", MOR_TYPE_INT64, false);
    struct mor_field *person = mor_schema_add(schema, NULL, "person", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, person, "name", MOR_TYPE_STRING, true);
    struct mor_field *homes = mor_schema_add(schema, person, "homes", MOR_TYPE_LIST, true);
    struct mor_field *home = mor_schema_add(schema, homes, "element", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, home, "city", MOR_TYPE_STRING, false);
    mor_schema_add(schema, home, "since", MOR_TYPE_DATE, true);
    struct mor_field *tags = mor_schema_add(schema, NULL, "tags", MOR_TYPE_MAP, true);
    mor_schema_add(schema, tags, "key", MOR_TYPE_STRING, false);
    struct mor_field *values = mor_schema_add(schema, tags, "value", MOR_TYPE_LIST, true);
    mor_schema_add(schema, values, "element", MOR_TYPE_DOUBLE, true);
    struct mor_field *grid = mor_schema_add(schema, NULL, "grid", MOR_TYPE_LIST, false);
    struct mor_field *line = mor_schema_add(schema, grid, "element", MOR_TYPE_LIST, true);
    mor_schema_add(schema, line, "element", MOR_TYPE_BOOL, true);
    mor_schema_assign_ids(schema);
    return schema;
}

// Appends one random slot; null_percent of nullable ones are null.
static inline void append_random(struct mor_vector *vector, uint64_t *state, unsigned null_percent)
{
    const struct mor_field *field = vector->field;
    if (field->nullable && noise(state) % 100 < null_percent) {
        mor_vector_append_null(vector);
        return;
    }
    uint64_t word = noise(state);
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof bytes; i += 8) {
        uint64_t more = noise(state);
        memcpy(bytes + i, &more, 8);
    }
    size_t length = word % 20, width = mor_type_width(field);
    mor_int128 number = (mor_int128)(int64_t)(word % 1000000) - 500000;
    int64_t small = (int64_t)(word % 5000);
    switch (field->type) {
    case MOR_TYPE_BOOL:
        mor_vector_append_bool(vector, word & 1);
        break;
    case MOR_TYPE_DECIMAL:
        mor_vector_append_fixed(vector, &number);
        break;
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)('a' + bytes[i] % 26);
        mor_vector_append_bytes(vector, bytes, length);
        break;
    case MOR_TYPE_BYTES:
        mor_vector_append_bytes(vector, bytes, length);
        break;
    case MOR_TYPE_STRUCT:
        for (size_t i = 0; i < vector->child_count; i++)
            append_random(&vector->children[i], state, null_percent);
        mor_vector_append_end(vector);
        break;
    case MOR_TYPE_LIST:
    case MOR_TYPE_MAP:
        for (size_t k = word % 4; k > 0; k--) {
            for (size_t i = 0; i < vector->child_count; i++)
                append_random(&vector->children[i], state, null_percent);
        }
        mor_vector_append_end(vector);
        break;
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MILLIS:
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        mor_vector_append_fixed(vector, &small);
        break;
    default:
        mor_vector_append_fixed(vector, width <= 64 ? bytes : NULL);
        break;
    }
}

static inline struct mor_batch *random_batch(const struct mor_schema *schema, size_t row_count,
                                             uint64_t seed, unsigned null_percent)
{
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (size_t row = 0; row < row_count; row++) {
        for (size_t i = 0; i < batch->column_count; i++)
            append_random(&batch->columns[i], &seed, null_percent);
    }
    batch->row_count = row_count;
    return batch;
}

// Rows [first, first + count) of the batch as JSON, a row a line.
static inline void append_rows_json(const struct mor_batch *batch, size_t first, size_t count,
                                    struct mor_buffer *text)
{
    for (size_t row = first; row < first + count; row++) {
        for (size_t i = 0; i < batch->column_count; i++) {
            mor_vector_format_json(&batch->columns[i], row, text);
            mor_buffer_append_u8(text, i + 1 < batch->column_count ? ',' : '\n');
        }
    }
}

static inline void assert_same_text(const struct mor_buffer *a, const struct mor_buffer *b)
{
    size_t size = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes, i = 0;
    while (i < size && a->data[i] == b->data[i])
        i++;
    if (i == a->size_bytes && i == b->size_bytes)
        return;
    size_t from = i > 60 ? i - 60 : 0;
    fail_msg("rows differ at byte %zu: ...%.*s... and ...%.*s...", i,
             (int)(a->size_bytes - from < 120 ? a->size_bytes - from : 120), a->data + from,
             (int)(b->size_bytes - from < 120 ? b->size_bytes - from : 120), b->data + from);
}

static inline void write_file(struct memory_file *file, const struct mor_batch *batch,
                              const struct mor_parquet_writer_options *options)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_byte_sink sink = memory_sink(file);
    struct mor_parquet_writer *writer = NULL;
    assert_ok(mor_parquet_writer_open(batch->schema, &sink, options, &writer, &err));
    assert_ok(mor_parquet_writer_append(writer, batch, 0, batch->row_count, &err));
    assert_ok(mor_parquet_writer_finish(writer, &err));
    assert_int_equal(mor_parquet_writer_row_count(writer), (int64_t)batch->row_count);
    assert_int_equal(mor_parquet_writer_size_bytes(writer), (int64_t)file->bytes.size_bytes);
    mor_parquet_writer_free(writer);
}

// All rows of a reader as JSON lines; returns how many.
static inline size_t read_rows_json(struct mor_parquet_reader *reader,
                                    const struct mor_schema *schema, size_t batch_rows,
                                    struct mor_buffer *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    size_t rows = 0;
    for (;;) {
        assert_ok(mor_parquet_reader_next(reader, batch_rows, batch, NULL, &err));
        if (batch->row_count == 0)
            break;
        assert_ok(mor_batch_validate(batch, &err));
        append_rows_json(batch, 0, batch->row_count, text);
        rows += batch->row_count;
    }
    mor_batch_free(batch);
    return rows;
}

#endif
