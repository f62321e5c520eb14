#include "iceberg/iceberg_position_delete.h"

#include <inttypes.h>

#include "moraine/column.h"
#include "moraine/parquet.h"

#define BATCH_ROWS      4096
#define BOUND_BYTES_MAX 65536 // the path in whole

static struct mor_schema *make_schema(bool nullable)
{
    struct mor_schema *schema = mor_schema_new("table");
    mor_schema_add(schema, NULL, "file_path", MOR_TYPE_STRING, nullable)->field_id =
        ICEBERG_ID_DELETE_FILE_PATH;
    mor_schema_add(schema, NULL, "pos", MOR_TYPE_INT64, nullable)->field_id =
        ICEBERG_ID_DELETE_POSITION;
    return schema;
}

// ---- writing ------------------------------------------------------------------------------------

static enum mor_status write_to_sink(void *context, const void *bytes, size_t size_bytes,
                                     struct mor_error *err)
{
    return mor_sink_write(context, bytes, size_bytes, err);
}

static enum mor_status append_rows(struct mor_parquet_writer *writer, struct mor_batch *batch,
                                   const char *uri, const struct mor_position_set *positions,
                                   struct mor_error *err)
{
    uint64_t piece[BATCH_ROWS], from = 0;
    size_t count, uri_bytes = strlen(uri);
    while ((count = mor_position_set_list(positions, from, piece, BATCH_ROWS)) > 0) {
        mor_batch_reset(batch);
        for (size_t i = 0; i < count; i++) {
            mor_vector_append_bytes(&batch->columns[0], uri, uri_bytes);
            mor_vector_append_fixed(&batch->columns[1], &piece[i]);
        }
        batch->row_count = count;
        MOR_TRY(mor_parquet_writer_append(writer, batch, 0, count, err));
        from = piece[count - 1] + 1;
    }
    return MOR_OK;
}

static enum mor_status write_parquet(struct mor_sink *sink, const char *uri,
                                     const struct mor_position_set *positions,
                                     struct mor_budget *budget, struct mor_error *err)
{
    struct mor_schema *schema = make_schema(false);
    struct mor_byte_sink bytes = {.context = sink, .write = write_to_sink};
    const struct mor_parquet_column_options path = {.path = "file_path",
                                                    .encoding = MOR_PARQUET_DICTIONARY};
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.budget = budget;
    options.profile = MOR_PARQUET_CONSERVATIVE;
    options.bound_bytes_max = BOUND_BYTES_MAX;
    options.columns = &path;
    options.column_count = 1;
    struct mor_parquet_writer *writer = NULL;
    struct mor_batch *batch = mor_batch_new(schema, budget);
    enum mor_status status = mor_parquet_writer_open(schema, &bytes, &options, &writer, err);
    if (status == MOR_OK) {
        mor_parquet_writer_add_metadata(writer, "delete-type", "position");
        status = append_rows(writer, batch, uri, positions, err);
    }
    if (status == MOR_OK)
        status = mor_parquet_writer_finish(writer, err);
    mor_parquet_writer_free(writer);
    mor_batch_free(batch);
    mor_schema_free(schema);
    return status;
}

enum mor_status iceberg_delete_file_write(struct mor_store *store, struct mor_sink_batch *batch,
                                          const char *key, const char *data_file_uri,
                                          const struct mor_position_set *positions,
                                          struct mor_budget *budget,
                                          struct iceberg_delete_file *ret_file,
                                          struct mor_error *err)
{
    struct mor_sink *sink;
    MOR_TRY(mor_store_create(store, key, &sink, err));
    enum mor_status status = write_parquet(sink, data_file_uri, positions, budget, err);
    int64_t size_bytes = mor_sink_position(sink);
    if (status == MOR_OK)
        status = mor_sink_batch_add(batch, sink, err);
    else
        mor_sink_free(sink);
    if (status != MOR_OK)
        return mor_error_wrap(err, "could not write '%s'", key);
    *ret_file =
        (struct iceberg_delete_file){.size_bytes = size_bytes,
                                     .row_count = (int64_t)mor_position_set_count(positions),
                                     .first = (int64_t)mor_position_set_first(positions),
                                     .last = (int64_t)mor_position_set_last(positions)};
    return MOR_OK;
}

// ---- reading ------------------------------------------------------------------------------------

struct delete_reader {
    struct mor_reader *object;
    struct mor_parquet_reader *parquet;
    struct mor_schema *schema;
    struct mor_batch *batch;
};

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

// Whether the file has the column, by its id or, in files without ids, by its name.
static bool has_column(const struct mor_schema *schema, const struct mor_field *wanted)
{
    for (size_t i = 0; i < schema->root.child_count; i++) {
        const struct mor_field *field = &schema->root.children[i];
        if (field->type == wanted->type &&
            (field->field_id == wanted->field_id ||
             (field->field_id < 0 && strcmp(field->name, wanted->name) == 0)))
            return true;
    }
    return false;
}

static enum mor_status open_reader(struct delete_reader *reader, struct mor_store *store,
                                   const char *key, const char *uri, struct mor_budget *budget,
                                   struct mor_error *err)
{
    MOR_TRY(mor_store_open_object(store, key, &reader->object, err));
    struct mor_byte_source source = {.context = reader->object,
                                     .size_bytes = mor_reader_size_bytes(reader->object),
                                     .read = read_object};
    MOR_TRY(mor_parquet_reader_open(&source, budget, &reader->parquet, err));
    reader->schema = make_schema(true);
    const struct mor_schema *stored = mor_parquet_reader_schema(reader->parquet);
    for (size_t i = 0; i < reader->schema->root.child_count; i++)
        if (!has_column(stored, &reader->schema->root.children[i]))
            return mor_error_set(err, MOR_DATA, "it has no column '%s' of type %s",
                                 reader->schema->root.children[i].name,
                                 mor_type_name(reader->schema->root.children[i].type));
    MOR_TRY(mor_parquet_reader_project(reader->parquet, reader->schema, err));
    if (uri != NULL) {
        const struct mor_parquet_predicate is_uri = {.path = "file_path",
                                                     .compare = MOR_PARQUET_EQUAL,
                                                     .value = uri,
                                                     .value_size_bytes = strlen(uri)};
        MOR_TRY(mor_parquet_reader_filter(reader->parquet, &is_uri, 1, err));
    }
    reader->batch = mor_batch_new(reader->schema, budget);
    return MOR_OK;
}

static void close_reader(struct delete_reader *reader)
{
    if (reader->batch != NULL)
        mor_batch_free(reader->batch);
    mor_parquet_reader_free(reader->parquet);
    mor_reader_free(reader->object);
    mor_schema_free(reader->schema);
}

static enum mor_status visit_row(const struct mor_batch *batch, size_t row,
                                 iceberg_visit_delete *visit, void *context, struct mor_error *err)
{
    if (mor_vector_is_null(&batch->columns[0], row) || mor_vector_is_null(&batch->columns[1], row))
        return mor_error_set(err, MOR_DATA, "a row without file_path or pos");
    int64_t position = mor_vector_i64(&batch->columns[1], row);
    if (position < 0 || (uint64_t)position > MOR_POSITION_MAX)
        return mor_error_set(err, MOR_DATA, "a row with the position %" PRId64, position);
    size_t size;
    const uint8_t *uri = mor_vector_bytes_at(&batch->columns[0], row, &size);
    return visit(context, (const char *)uri, size, position, err);
}

static enum mor_status visit_rows(struct delete_reader *reader, iceberg_visit_delete *visit,
                                  void *context, struct mor_error *err)
{
    for (;;) {
        struct mor_batch *batch = reader->batch;
        MOR_TRY(mor_parquet_reader_next(reader->parquet, BATCH_ROWS, batch, NULL, err));
        if (batch->row_count == 0)
            return MOR_OK;
        for (size_t row = 0; row < batch->row_count; row++)
            MOR_TRY(visit_row(batch, row, visit, context, err));
    }
}

// uri NULL = rows of every data file; else others may come, too.
static enum mor_status visit_file(struct mor_store *store, const char *key, const char *uri,
                                  struct mor_budget *budget, iceberg_visit_delete *visit,
                                  void *context, struct mor_error *err)
{
    struct delete_reader reader = {0};
    enum mor_status status = open_reader(&reader, store, key, uri, budget, err);
    if (status == MOR_OK)
        status = visit_rows(&reader, visit, context, err);
    close_reader(&reader);
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "could not read position deletes '%s'", key);
}

enum mor_status iceberg_delete_file_visit(struct mor_store *store, const char *key,
                                          struct mor_budget *budget, iceberg_visit_delete *visit,
                                          void *context, struct mor_error *err)
{
    return visit_file(store, key, NULL, budget, visit, context, err);
}

struct of_file {
    const char *uri;
    size_t uri_size_bytes;
    struct mor_position_set *positions;
};

static enum mor_status add_position(void *context, const char *uri, size_t uri_size_bytes,
                                    int64_t position, struct mor_error *err)
{
    (void)err;
    const struct of_file *wanted = context;
    if (uri_size_bytes == wanted->uri_size_bytes && memcmp(uri, wanted->uri, uri_size_bytes) == 0)
        mor_position_set_add(wanted->positions, (uint64_t)position);
    return MOR_OK;
}

enum mor_status iceberg_delete_file_read(struct mor_store *store, const char *key,
                                         const char *data_file_uri, struct mor_budget *budget,
                                         struct mor_position_set *positions, struct mor_error *err)
{
    struct of_file wanted = {data_file_uri, strlen(data_file_uri), positions};
    return visit_file(store, key, data_file_uri, budget, add_position, &wanted, err);
}
