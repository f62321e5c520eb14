// Counts and bounds of columns that manifests state, against every value of the files.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_bounds.h"
#include "iceberg/iceberg_row_order.h"
#include "iceberg/iceberg_schema.h"
#include "iceberg/iceberg_table.h"
#include "moraine/parquet.h"

#define BATCH_ROWS 4096

struct checking {
    struct iceberg_table *table;
    const struct iceberg_metadata *metadata;
    void (*report)(void *context, const char *key, const char *text);
    void *context;
    struct mor_values_checked *checked;
    const struct iceberg_data_file *file;
    const char *key;
};

static void say(const struct checking *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct checking *c, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->report(c->context, c->key, text);
}

static const struct iceberg_column_metrics *find_stated(const struct iceberg_data_file *file,
                                                        int32_t field_id)
{
    for (size_t i = 0; i < file->metric_count; i++) {
        if (file->metrics[i].field_id == field_id)
            return &file->metrics[i];
    }
    return NULL;
}

// Of values inside lists and maps some writers count lists that are empty or null as well, as
// Parquet does: `repeated`.
static void compare_count(const struct checking *c, const struct mor_field *field, const char *what,
                          int64_t stated, int64_t is, bool repeated)
{
    bool fits = repeated ? stated >= is : stated == is;
    if (stated >= 0 && is >= 0 && !fits)
        say(c, "the manifest states %" PRId64 " %s of column '%s', the file has %" PRId64, stated,
            what, field->name, is);
}

// A stated bound stands for every value: the lower one for the least, the upper one for the
// greatest.
static void compare_bound(const struct checking *c, const struct mor_field *field, bool upper,
                          struct iceberg_value stated, struct iceberg_value is)
{
    if (!stated.bytes || !is.bytes)
        return;
    c->checked->bounds++;
    int order = iceberg_value_compare(field, stated, is);
    if (!iceberg_value_is_valid(field, stated))
        say(c, "the %s bound of column '%s' is no %s", upper ? "upper" : "lower", field->name,
            mor_type_name(field->type));
    else if (upper ? order < 0 : order > 0)
        say(c, "column '%s' has values %s the bound that the manifest states: readers miss rows",
            field->name, upper ? "above" : "below");
}

// Whether a field is inside of a list or a map.
static bool is_repeated(const struct mor_field *parent, int32_t field_id, bool inside)
{
    inside |= parent->type == MOR_TYPE_LIST || parent->type == MOR_TYPE_MAP;
    for (size_t i = 0; i < parent->child_count; i++) {
        const struct mor_field *field = &parent->children[i];
        if ((field->field_id == field_id && inside) || is_repeated(field, field_id, inside))
            return true;
    }
    return false;
}

static void compare(const struct checking *c, const struct mor_schema *schema,
                    const struct iceberg_column_metrics *is)
{
    const struct iceberg_column_metrics *stated = find_stated(c->file, is->field_id);
    const struct mor_field *field = iceberg_schema_field(schema, is->field_id);
    if (!stated || !field)
        return;
    bool repeated = is_repeated(&schema->root, is->field_id, false);
    compare_count(c, field, "values", stated->value_count, is->value_count, repeated);
    compare_count(c, field, "nulls", stated->null_count, is->null_count, repeated);
    compare_count(c, field, "NaNs", stated->nan_count, is->nan_count, false);
    compare_bound(c, field, false, stated->lower, is->lower);
    compare_bound(c, field, true, stated->upper, is->upper);
}

static enum mor_status read_values(const struct checking *c, struct mor_parquet_reader *reader,
                                   struct iceberg_metrics *metrics, struct mor_error *err)
{
    const struct mor_schema *schema = mor_parquet_reader_schema(reader);
    struct mor_batch *batch = mor_batch_new(schema, c->table->table.budget);
    struct iceberg_row_order *order =
        iceberg_row_order_new(c->metadata, c->file->sort_order_id, schema);
    enum mor_status status;
    do {
        status = mor_parquet_reader_next(reader, BATCH_ROWS, batch, NULL, err);
        if (status == MOR_OK)
            iceberg_metrics_add(metrics, batch, 0, batch->row_count);
        if (status == MOR_OK && order && !iceberg_row_order_add(order, batch)) {
            say(c, "its rows are not in sort order %d, which the manifest states",
                c->file->sort_order_id);
            iceberg_row_order_free(order);
            order = NULL;
        }
    } while (status == MOR_OK && batch->row_count > 0);
    iceberg_row_order_free(order);
    mor_batch_free(batch);
    return status;
}

static enum mor_status check_reader(const struct checking *c, struct mor_parquet_reader *reader,
                                    struct mor_error *err)
{
    const struct mor_schema *schema = mor_parquet_reader_schema(reader);
    struct iceberg_metrics *metrics = iceberg_metrics_new_whole(schema);
    struct iceberg_column_metrics *columns = NULL;
    struct mor_arena arena;
    size_t count = 0;
    mor_arena_init(&arena, 0, c->table->table.budget);
    enum mor_status status = read_values(c, reader, metrics, err);
    if (status == MOR_OK)
        iceberg_metrics_finish(metrics, &arena, &columns, &count);
    for (size_t i = 0; i < count; i++)
        compare(c, schema, &columns[i]);
    iceberg_metrics_free(metrics);
    mor_arena_done(&arena);
    return status;
}

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

// What cannot be read is told by who looks at files: here it is passed over.
static enum mor_status check_file(const struct checking *c, struct mor_error *err)
{
    struct mor_reader *object = NULL;
    struct mor_parquet_reader *reader = NULL;
    struct mor_error wrong = MOR_ERROR_INIT;
    if (mor_store_open_object(c->table->table.store, c->key, &object, &wrong) != MOR_OK)
        return MOR_OK;
    struct mor_byte_source source = {
        .context = object, .size_bytes = mor_reader_size_bytes(object), .read = read_object};
    enum mor_status status =
        mor_parquet_reader_open(&source, c->table->table.budget, &reader, &wrong);
    if (status == MOR_OK)
        status = check_reader(c, reader, &wrong);
    mor_parquet_reader_free(reader);
    mor_reader_free(object);
    c->checked->files += status == MOR_OK ? 1 : 0;
    if (status == MOR_RETRY) {
        *err = wrong;
        return status;
    }
    return MOR_OK;
}

static enum mor_status check_manifest(struct checking *c, struct iceberg_state *state, size_t index,
                                      struct mor_error *err)
{
    struct mor_arena arena;
    struct iceberg_entry *entries = NULL;
    struct mor_error wrong = MOR_ERROR_INIT;
    size_t count = 0;
    mor_arena_init(&arena, 0, c->table->table.budget);
    enum mor_status status =
        iceberg_state_read_manifest(c->table, state, index, &arena, &entries, &count, &wrong);
    if (status != MOR_OK)
        count = 0; // told by the audit
    status = MOR_OK;
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        const struct iceberg_data_file *file = &entries[i].file;
        c->file = file;
        c->key = iceberg_key_of_uri(state->metadata, file->file_path);
        if (c->key && iceberg_entry_is_live(&entries[i]) && file->content == ICEBERG_DATA &&
            file->metric_count > 0 && strcmp(file->file_format, "PARQUET") == 0)
            status = check_file(c, err);
    }
    mor_arena_done(&arena);
    return status;
}

enum mor_status
iceberg_check_values(struct mor_table *head,
                     void (*report)(void *context, const char *key, const char *text),
                     void *context, struct mor_values_checked *ret_checked, struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_STATE *state = NULL;
    struct checking c = {
        .table = iceberg_of(head), .report = report, .context = context, .checked = ret_checked};
    struct mor_error wrong = MOR_ERROR_INIT;
    MOR_TRY(iceberg_load(c.table, &metadata, err));
    if (iceberg_state_open(c.table, metadata, metadata->current_snapshot_id, &state, &wrong) !=
        MOR_OK)
        return MOR_OK; // told by the audit
    c.metadata = metadata;
    for (size_t i = 0; i < state->manifest_count; i++) {
        if (state->manifests[i].content == ICEBERG_MANIFEST_DATA)
            MOR_TRY(check_manifest(&c, state, i, err));
    }
    return MOR_OK;
}
