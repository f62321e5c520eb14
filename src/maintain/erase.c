// Deleting rows by condition or key, and finding what files still hold of them.
#include <string.h>

#include "erase.h"

#define COMMIT_ROWS_MAX 100000
#define ATTEMPTS_MAX    32

static void init(struct erasing *erasing, struct mor_table *table,
                 const struct mor_erase_options *options)
{
    struct mor_merge_rule rule;
    mor_table_merge_rule(table, &rule);
    *erasing = (struct erasing){.table = table, .options = options, .key_column = rule.key_column};
    for (size_t i = 0; i < options->key_count; i++)
        mor_map_put_text(&erasing->keys, options->keys[i], NULL);
}

static void done(struct erasing *erasing)
{
    mor_map_done(&erasing->keys);
    mor_buffer_done(&erasing->key);
}

static bool is_wanted(const struct erasing *erasing, const struct mor_vector *keys, size_t row)
{
    size_t size;
    const uint8_t *key = mor_vector_bytes_at(keys, row, &size);
    return mor_map_find(&erasing->keys, key, size) != NULL;
}

// Record key of a row from the key columns: the value of one, "a:1,b:2" of several.
static void build_key(struct erasing *erasing, const struct mor_batch *batch, size_t row)
{
    const char *name;
    bool several = mor_table_key_column(erasing->table, 1) != NULL;
    mor_buffer_reset(&erasing->key);
    for (size_t i = 0; (name = mor_table_key_column(erasing->table, i)) != NULL; i++) {
        const struct mor_vector *column = &batch->columns[mor_schema_find(batch->schema, name)];
        if (several)
            mor_buffer_printf(&erasing->key, "%s%s:", i > 0 ? "," : "", name);
        mor_vector_format_text(column, row, &erasing->key);
    }
}

static bool is_wanted_row(struct erasing *erasing, const struct mor_batch *batch, size_t row)
{
    if (erasing->key_column)
        return is_wanted(erasing,
                         &batch->columns[mor_schema_find(batch->schema, erasing->key_column)], row);
    build_key(erasing, batch, row);
    return erasing->key.size_bytes > 0 &&
           mor_map_find(&erasing->keys, erasing->key.data, erasing->key.size_bytes) != NULL;
}

size_t mor_erase_choose(struct erasing *erasing, const struct mor_batch *batch)
{
    if (erasing->options->filter)
        return mor_filter_select(erasing->options->filter, batch, erasing->chosen);
    size_t count = 0;
    for (uint32_t i = 0; i < batch->row_count; i++) {
        if (is_wanted_row(erasing, batch, i))
            erasing->chosen[count++] = i;
    }
    return count;
}

struct mor_schema *mor_erase_columns(const struct erasing *erasing)
{
    if (erasing->options->filter)
        return mor_schema_copy(mor_filter_columns(erasing->options->filter));
    struct mor_schema *columns = mor_schema_new("keys");
    const char *name;
    if (erasing->key_column)
        mor_schema_add_copy(columns, NULL, mor_table_column(erasing->table, erasing->key_column));
    for (size_t i = 0;
         !erasing->key_column && (name = mor_table_key_column(erasing->table, i)) != NULL; i++)
        mor_schema_add_copy(columns, NULL, mor_table_column(erasing->table, name));
    return columns;
}

// ---- deleting -----------------------------------------------------------------------------------

struct deletes {
    struct mor_change_group *groups;
    size_t group_count;
    struct mor_map by_id;
};

// Sorts the rows into file groups; DATA when one cannot be routed.
static enum mor_status route(struct erasing *erasing, struct mor_router *router,
                             struct deletes *deletes, struct mor_error *err)
{
    const struct mor_batch *rows = erasing->rows;
    uint32_t *ids = mor_alloc((rows->row_count + 1) * sizeof *ids);
    enum mor_status status = MOR_OK;
    mor_router_route(router, rows, 0, rows->row_count, NULL, ids, NULL);
    deletes->groups = mor_calloc(rows->row_count + 1, sizeof *deletes->groups);
    for (uint32_t i = 0; i < rows->row_count && status == MOR_OK; i++) {
        if (ids[i] == MOR_GROUP_INVALID) {
            mor_router_explain(router, rows, i, err);
            status = mor_error_class(err);
            break;
        }
        bool added;
        struct mor_map_entry *entry = mor_map_put(&deletes->by_id, &ids[i], sizeof ids[i], &added);
        if (added)
            entry->value.number = (int64_t)deletes->group_count++;
        struct mor_change_group *group = &deletes->groups[entry->value.number];
        if (added)
            mor_router_group(router, ids[i], &group->partition, &group->bucket);
        if ((group->delete_count & (group->delete_count - 1)) == 0)
            group->deletes =
                mor_realloc(group->deletes, (group->delete_count ? 2 * group->delete_count : 1) *
                                                sizeof *group->deletes);
        group->deletes[group->delete_count++] = (struct mor_row_ref){.batch = 0, .row = i};
    }
    free(ids);
    return status;
}

static enum mor_status commit_once(struct erasing *erasing, const struct deletes *deletes,
                                   struct mor_error *err)
{
    struct mor_batch *const batches[] = {erasing->rows};
    const struct mor_change_set changes = {.batches = batches,
                                           .batch_count = 1,
                                           .groups = deletes->groups,
                                           .group_count = deletes->group_count};
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    MOR_TRY(mor_write_begin(erasing->table, &id, &write, err));
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < deletes->group_count && status == MOR_OK; i++)
        status = mor_write_group(write, &changes, i, err);
    if (status == MOR_OK)
        status = mor_write_commit(write, NULL, 0, &result, err);
    mor_write_free(write);
    return status;
}

static enum mor_status commit(struct erasing *erasing, struct mor_error *err)
{
    if (erasing->rows->row_count == 0)
        return MOR_OK;
    struct deletes deletes = {0};
    struct mor_router *router = mor_router_new(erasing->table);
    enum mor_status status = route(erasing, router, &deletes, err);
    for (int i = 0; i < ATTEMPTS_MAX && status == MOR_OK; i++) {
        status = commit_once(erasing, &deletes, err);
        if (status != MOR_CONFLICT)
            break;
        if (i + 1 < ATTEMPTS_MAX) {
            *err = MOR_ERROR_INIT;
            status = MOR_OK;
        }
    }
    for (size_t i = 0; i < deletes.group_count; i++)
        free(deletes.groups[i].deletes);
    free(deletes.groups);
    mor_map_done(&deletes.by_id);
    mor_router_free(router);
    erasing->report.commits += status == MOR_OK;
    mor_batch_reset(erasing->rows);
    return status;
}

static enum mor_status delete_rows(struct erasing *erasing, struct mor_scan *scan,
                                   struct mor_error *err)
{
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), erasing->options->budget);
    enum mor_status status;
    while ((status = mor_scan_next(scan, batch, err)) == MOR_OK && batch->row_count > 0) {
        size_t count = mor_erase_choose(erasing, batch);
        erasing->report.rows += (int64_t)count;
        for (size_t i = 0; i < erasing->rows->column_count; i++)
            mor_vector_append_slots(&erasing->rows->columns[i], &batch->columns[i], erasing->chosen,
                                    count);
        erasing->rows->row_count += count;
        if (erasing->options->dry_run)
            mor_batch_reset(erasing->rows);
        if (erasing->rows->row_count >= COMMIT_ROWS_MAX)
            status = commit(erasing, err);
        if (status != MOR_OK)
            break;
    }
    mor_batch_free(batch);
    return status == MOR_OK ? commit(erasing, err) : status;
}

enum mor_status mor_erase(struct mor_table *table, const struct mor_erase_options *options,
                          struct mor_erase_report *ret_report, struct mor_error *err)
{
    const struct mor_schema *schema = mor_table_schema(table);
    size_t column_count = schema->root.child_count;
    if (!mor_table_is_keyed(table))
        return mor_error_set(err, MOR_FATAL, "rows of an append-only table cannot be deleted");
    struct erasing erasing;
    init(&erasing, table, options);
    if (mor_table_has_places(table)) {
        enum mor_status by_place = mor_erase_places(&erasing, err);
        done(&erasing);
        *ret_report = erasing.report;
        return by_place;
    }
    // the table's columns first, then the record key
    const char **columns = mor_alloc((column_count + 1) * sizeof *columns);
    for (size_t i = 0; i < column_count; i++)
        columns[i] = schema->root.children[i].name;
    columns[column_count] = erasing.key_column;
    struct mor_scan_options scan_options = {.columns = columns,
                                            .column_count = column_count + 1,
                                            .filter = options->filter,
                                            .budget = options->budget};
    struct mor_scan *scan = NULL;
    erasing.rows = mor_batch_new(schema, options->budget);
    enum mor_status status = mor_scan_open(table, &scan_options, &scan, err);
    if (status == MOR_OK)
        status = delete_rows(&erasing, scan, err);
    mor_scan_free(scan);
    mor_batch_free(erasing.rows);
    done(&erasing);
    free(columns);
    *ret_report = erasing.report;
    return status;
}

// ---- tracing ------------------------------------------------------------------------------------

static enum mor_status trace_base(struct erasing *erasing, const struct mor_slice *file,
                                  const struct mor_schema *wanted, struct mor_trace *trace,
                                  struct mor_error *err)
{
    const struct mor_slice_options options = {.wanted = wanted, .budget = erasing->options->budget};
    struct mor_slice_reader *reader = NULL;
    MOR_TRY(mor_slice_reader_open(erasing->table, file, &options, &reader, err));
    struct mor_batch *batch = mor_batch_new(wanted, options.budget);
    enum mor_status status;
    while ((status = mor_slice_reader_next(reader, batch, err)) == MOR_OK && batch->row_count > 0)
        trace->rows += (int64_t)mor_erase_choose(erasing, batch);
    mor_batch_free(batch);
    mor_slice_reader_free(reader);
    return status;
}

static enum mor_status trace_delta(struct erasing *erasing, const struct mor_slice *file,
                                   const struct mor_schema *wanted, struct mor_trace *trace,
                                   struct mor_error *err)
{
    struct mor_delta *delta = NULL;
    enum mor_delta_kind kind = MOR_DELTA_ROWS;
    MOR_TRY(mor_delta_open(erasing->table, file, wanted, &delta, err));
    enum mor_status status = MOR_OK;
    while (status == MOR_OK && kind != MOR_DELTA_END) {
        const struct mor_batch *batch = NULL;
        status = mor_delta_next(delta, &kind, &batch, err);
        if (status == MOR_OK && kind == MOR_DELTA_ROWS)
            trace->rows += (int64_t)mor_erase_choose(erasing, batch);
        // a delete knows its key only
        for (size_t i = 0; status == MOR_OK && kind == MOR_DELTA_DELETES && i < batch->row_count;
             i++)
            trace->deletes += is_wanted(erasing, &batch->columns[0], i);
    }
    mor_delta_free(delta);
    return status;
}

enum mor_status mor_trace_rows(struct mor_table *table, const struct mor_erase_options *options,
                               struct mor_arena *arena, struct mor_trace **ret_traces,
                               size_t *ret_count, struct mor_error *err)
{
    struct mor_slice *files = NULL;
    size_t file_count = 0, count = 0;
    struct erasing erasing;
    MOR_TRY(mor_table_data_files(table, arena, &files, &file_count, err));
    init(&erasing, table, options);
    struct mor_schema *wanted = mor_erase_columns(&erasing);
    struct mor_trace *traces = mor_arena_alloc(arena, (file_count + 1) * sizeof *traces);
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < file_count && status == MOR_OK; i++) {
        struct mor_trace trace = {.file = files[i].delta_keys[0]};
        status = files[i].base_key ? trace_base(&erasing, &files[i], wanted, &trace, err)
                                   : trace_delta(&erasing, &files[i], wanted, &trace, err);
        if (trace.rows > 0 || trace.deletes > 0)
            traces[count++] = trace;
    }
    mor_schema_free(wanted);
    done(&erasing);
    *ret_traces = traces;
    *ret_count = count;
    return status;
}
