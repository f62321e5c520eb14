// Dead letters in a table of their own.
//
// The table of letters is committed before the table of rows, so a crash in between leaves letters
// whose commit never came to be. The records come again then and fail again, and the ledger of the
// letters says that they are there already: what stands before its offsets is not written twice.
#include "dead_letter.h"

#include <stdio.h>

#include "moraine/base/fault.h"
#include "moraine/source.h"
#include "moraine/table.h"

#define ATTEMPTS_MAX 20

struct letter_table {
    struct mor_letter_sink sink;
    struct mor_schema *schema;
    struct mor_table *table;
    char *topic;
    char *instance;
};

// One commit of letters in the making.
struct letter_commit {
    struct letter_table *sink;
    const struct mor_letter_rows *rows;
    size_t rows_count;
    const struct mor_range *ranges;
    size_t range_count;
    struct mor_ledger base, after;
    struct mor_range *own_ranges;
    struct mor_batch **batches;
    struct mor_row_ref *refs;
    size_t ref_count;
};

static void commit_done(struct letter_commit *commit)
{
    mor_ledger_done(&commit->base);
    mor_ledger_done(&commit->after);
    free(commit->own_ranges);
    free(commit->batches);
    free(commit->refs);
}

// The letters that the table does not have yet.
static void choose_rows(struct letter_commit *commit)
{
    size_t total = 0;
    for (size_t i = 0; i < commit->rows_count; i++)
        total += commit->rows[i].count;
    free(commit->batches);
    free(commit->refs);
    commit->batches = mor_calloc(commit->rows_count, sizeof(struct mor_batch *));
    commit->refs = mor_alloc(total * sizeof *commit->refs);
    commit->ref_count = 0;
    for (size_t i = 0; i < commit->rows_count; i++) {
        const struct mor_letter_rows *rows = &commit->rows[i];
        commit->batches[i] = (struct mor_batch *)(uintptr_t)rows->batch;
        for (size_t row = rows->first; row < rows->first + rows->count; row++) {
            int32_t partition = mor_vector_i32(&rows->batch->columns[LETTER_PARTITION], row);
            const struct mor_progress *known = mor_ledger_find(&commit->base, partition);
            if (known == NULL || known->next_offset == MOR_OFFSET_NONE ||
                mor_vector_i64(&rows->batch->columns[LETTER_OFFSET], row) >= known->next_offset)
                commit->refs[commit->ref_count++] =
                    (struct mor_row_ref){(uint32_t)i, (uint32_t)row};
        }
    }
}

static size_t make_ranges(struct letter_commit *commit, int64_t *ret_offsets)
{
    size_t count = 0;
    *ret_offsets = 0;
    free(commit->own_ranges);
    commit->own_ranges = mor_calloc(commit->range_count, sizeof *commit->own_ranges);
    mor_ledger_copy(&commit->after, &commit->base);
    for (size_t i = 0; i < commit->range_count; i++) {
        struct mor_range range = commit->ranges[i];
        const struct mor_progress *known = mor_ledger_find(&commit->base, range.partition);
        if (known != NULL && known->next_offset != MOR_OFFSET_NONE)
            range.start = known->next_offset;
        if (range.end <= range.start)
            continue;
        range.highest_ms = NO_WATERMARK;
        range.digest = (struct mor_hash128){0};
        *ret_offsets += range.end - range.start;
        commit->own_ranges[count++] = range;
        mor_ledger_follow(&commit->after, &range, 0);
    }
    return count;
}

static enum mor_status publish(struct letter_commit *commit, struct mor_write *write,
                               const struct mor_uuid *batch_id, struct mor_error *err)
{
    int64_t offsets;
    size_t range_count = make_ranges(commit, &offsets);
    struct mor_commit_facts facts = {.batch_id = *batch_id,
                                     .instance = commit->sink->instance,
                                     .topic = commit->sink->topic,
                                     .ranges = commit->own_ranges,
                                     .range_count = range_count,
                                     .outcomes = {.read = (int64_t)commit->ref_count,
                                                  .inserted = (int64_t)commit->ref_count,
                                                  .gap = offsets - (int64_t)commit->ref_count}};
    MOR_TRY(mor_ledger_check(&facts, err));
    struct mor_change_group group = {
        .partition = "", .bucket = -1, .upserts = commit->refs, .upsert_count = commit->ref_count};
    const struct mor_change_set changes = {.batches = commit->batches,
                                           .batch_count = commit->rows_count,
                                           .groups = &group,
                                           .group_count = 1};
    MOR_TRY(mor_write_group(write, &changes, 0, err));
    MOR_AUTO_BUFFER json = {0};
    mor_ledger_format(&commit->after, &facts, &json);
    const struct mor_property property = {LEDGER_PROPERTY, (const char *)json.data};
    struct mor_commit_result result;
    MOR_TRY(mor_fault("dead_letter.publish", err));
    MOR_TRY(mor_write_commit(write, &property, 1, &result, err));
    return mor_fault("dead_letter.published", err);
}

static enum mor_status attempt(struct letter_commit *commit, const struct mor_uuid *batch_id,
                               struct mor_error *err)
{
    struct mor_write *write;
    MOR_TRY(mor_write_begin(commit->sink->table, batch_id, &write, err));
    mor_ledger_done(&commit->base);
    enum mor_status status =
        mor_ledger_parse(mor_write_base_property(write, LEDGER_PROPERTY), &commit->base, err);
    if (status == MOR_OK)
        choose_rows(commit);
    if (status == MOR_OK && commit->ref_count > 0)
        status = publish(commit, write, batch_id, err);
    mor_write_free(write);
    return status;
}

// The committer tries its whole attempt again on RETRY.
static enum mor_status table_write(struct mor_letter_sink *sink, const struct mor_letter_rows *rows,
                                   size_t count, const struct mor_range *ranges, size_t range_count,
                                   struct mor_ledger *after, struct mor_error *err)
{
    (void)after;
    if (count == 0)
        return MOR_OK;
    MOR_TRY(mor_fault("dead_letter.write", err));
    struct letter_commit commit = {.sink = (struct letter_table *)sink,
                                   .rows = rows,
                                   .rows_count = count,
                                   .ranges = ranges,
                                   .range_count = range_count};
    mor_ledger_init(&commit.base);
    mor_ledger_init(&commit.after);
    struct mor_uuid batch_id = mor_uuid_v7();
    enum mor_status status = MOR_CONFLICT;
    for (int i = 0; i < ATTEMPTS_MAX && status == MOR_CONFLICT; i++) {
        *err = MOR_ERROR_INIT;
        status = attempt(&commit, &batch_id, err);
    }
    // whatever happened to it, the next attempt finds in the ledger what has landed
    if (status == MOR_CONFLICT || status == MOR_UNKNOWN || status == MOR_FENCED)
        status = err->status = MOR_RETRY;
    commit_done(&commit);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not write the dead letters");
}

// ---- marks --------------------------------------------------------------------------------------

static void append_mark(struct mor_batch *marks, const struct mor_batch *letters, size_t row,
                        const char *stage, const char *reason)
{
    for (size_t i = 0; i < marks->column_count; i++) {
        struct mor_vector *to = &marks->columns[i];
        if (i == LETTER_STAGE)
            mor_vector_append_bytes(to, stage, strlen(stage));
        else if (i == LETTER_REASON)
            mor_vector_append_bytes(to, reason, strlen(reason));
        else if (i <= LETTER_OFFSET)
            mor_vector_append_slot(to, &letters->columns[i], row);
        else
            mor_vector_append_null(to);
    }
    marks->row_count++;
}

static enum mor_status publish_marks(const struct letter_table *sink, struct mor_batch *marks,
                                     struct mor_error *err)
{
    MOR_AUTO_FREE struct mor_row_ref *refs = mor_calloc(marks->row_count, sizeof *refs);
    for (size_t i = 0; i < marks->row_count; i++)
        refs[i].row = (uint32_t)i;
    struct mor_change_group group = {
        .partition = "", .bucket = -1, .upserts = refs, .upsert_count = marks->row_count};
    const struct mor_change_set changes = {
        .batches = &marks, .batch_count = 1, .groups = &group, .group_count = 1};
    struct mor_uuid batch_id = mor_uuid_v7();
    enum mor_status status = MOR_CONFLICT;
    for (int i = 0; i < ATTEMPTS_MAX && status == MOR_CONFLICT; i++) {
        struct mor_write *write;
        struct mor_commit_result result;
        *err = MOR_ERROR_INIT;
        MOR_TRY(mor_write_begin(sink->table, &batch_id, &write, err));
        status = mor_write_group(write, &changes, 0, err);
        if (status == MOR_OK) // the ledger of letters is carried on
            status = mor_write_commit(write, NULL, 0, &result, err);
        mor_write_free(write);
        bool landed = false;
        struct mor_error ignored = MOR_ERROR_INIT;
        if (status != MOR_OK && status != MOR_CONFLICT &&
            mor_table_has_batch(sink->table, &batch_id, &landed, &ignored) == MOR_OK && landed)
            status = MOR_OK;
    }
    return status;
}

enum mor_status mor_letter_table_mark(struct mor_letter_sink *base,
                                      const struct mor_letter_rows *rows, size_t count,
                                      const char *stage, const char *reason, struct mor_error *err)
{
    struct letter_table *sink = (struct letter_table *)base;
    struct mor_batch *marks = mor_batch_new(sink->schema, NULL);
    for (size_t i = 0; i < count; i++)
        for (size_t row = rows[i].first; row < rows[i].first + rows[i].count; row++)
            append_mark(marks, rows[i].batch, row, stage, reason);
    enum mor_status status = marks->row_count > 0 ? publish_marks(sink, marks, err) : MOR_OK;
    mor_batch_free(marks);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not mark dead letters");
}

static void table_committed(struct mor_letter_sink *sink, const struct mor_ledger *after)
{
    (void)sink;
    (void)after;
}

static void table_free(struct mor_letter_sink *base)
{
    struct letter_table *sink = (struct letter_table *)base;
    mor_table_free(sink->table);
    mor_schema_free(sink->schema);
    free(sink->topic);
    free(sink->instance);
    free(sink);
}

static const struct mor_letter_sink_ops table_ops = {table_write, table_committed, table_free};

// Whether rows of `wanted` are rows of the table: same names and types; a table may number its
// columns.
static bool has_columns(const struct mor_schema *table, const struct mor_schema *wanted)
{
    size_t count = wanted->root.child_count;
    bool same = table->root.child_count == count;
    for (size_t i = 0; i < count && same; i++) {
        const struct mor_field *a = &table->root.children[i], *b = &wanted->root.children[i];
        MOR_AUTO_BUFFER type_a = {0}, type_b = {0};
        mor_type_format(a, &type_a);
        mor_type_format(b, &type_b);
        same = strcmp(a->name, b->name) == 0 && a->nullable == b->nullable &&
               strcmp(mor_buffer_terminate(&type_a), mor_buffer_terminate(&type_b)) == 0;
    }
    return same;
}

enum mor_status mor_letter_table_open(const struct mor_config *config,
                                      const struct mor_config_topic *topic,
                                      struct mor_budget *budget, struct mor_letter_sink **ret_sink,
                                      struct mor_error *err)
{
    struct letter_table *sink = mor_calloc(1, sizeof *sink);
    sink->sink.ops = &table_ops;
    sink->topic = mor_strdup(topic->topic);
    sink->instance = mor_strdup(config->instance);
    struct mor_schema *letters = mor_dead_letter_schema();
    enum mor_status status = mor_table_normalise_schema((enum mor_table_format)topic->table.format,
                                                        letters, &sink->schema, err);
    mor_schema_free(letters);
    if (status == MOR_OK) {
        struct mor_table_options options = {.format = (enum mor_table_format)topic->table.format,
                                            .location = topic->dead_letter.location,
                                            .schema = sink->schema,
                                            .format_version = (int32_t)topic->table.format_version,
                                            .hudi_table_version =
                                                (int32_t)topic->table.hudi_table_version,
                                            .instance = config->instance,
                                            .budget = budget};
        status = mor_table_open_write(&options, &sink->table, err);
    }
    if (status == MOR_OK && !has_columns(mor_table_schema(sink->table), sink->schema))
        status = mor_error_set(err, MOR_FATAL,
                               "dead_letter.location: the table at '%s' does not hold dead letters",
                               topic->dead_letter.location);
    if (status != MOR_OK) {
        table_free(&sink->sink);
        return status;
    }
    *ret_sink = &sink->sink;
    return MOR_OK;
}
