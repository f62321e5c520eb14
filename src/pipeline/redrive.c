// Dead letters through the pipeline again.
//
//   1. mark     those that can be read now: "redrive", with the id of the batch that will take them
//   2. commit   the batch on the table of rows; offsets stay where they are
//   3. mark     "redriven"
//
// What stands at 1 without 3 after a crash was taken by a batch that is in the table or never will
// be: a table has one redrive at a time, whatever machine it runs on, so the batch of a dead one
// cannot land any more. Whether it has landed the history of the table tells, and when its commit
// was archived the ledger, which carries the id of the newest batch that landed forward: an older
// one was marked before the newest began.
#include <stdio.h>
#include <time.h>

#include "moraine/base/fault.h"
#include "moraine/base/map.h"
#include "moraine/merge.h"
#include "pipeline_internal.h"

#define LETTERS_MAX   10000 // of one batch
#define BYTES_MAX     (16u << 20)
#define IDLE_POLL_US  2000
#define OFFER_POLL_US 1000

// One writer of this name per table: two redrives would send the same letters.
#define INSTANCE "redrive"

struct coordinates {
    int64_t offset;
    int64_t partition;
};

struct redrive {
    struct mor_letter_sink refusals; // the committer's: told which letters are dead again
    const struct mor_redrive_options *options;
    struct mor_config config; // as the service's, under another name
    struct mor_pipeline pipeline;
    struct mor_letter_sink *letters; // the table of letters
    struct mor_map refused;          // coordinates of what is dead again
    const struct mor_batch *at_hand; // letters of the batch that is on its way
    char batch_id[MOR_UUID_TEXT_SIZE];
    bool is_marked; // those of them that can be read
    bool learns;    // a writer schema, and is opened anew
    struct mor_redrive_report report;
};

static struct coordinates coordinates_of(const struct mor_batch *letters, size_t row)
{
    return (struct coordinates){mor_vector_i64(&letters->columns[LETTER_OFFSET], row),
                                mor_vector_i32(&letters->columns[LETTER_PARTITION], row)};
}

// ---- what is dead again, and what is not --------------------------------------------------------

// The letters at hand that are not dead again, as rows of their own.
static struct mor_batch *landing_of(const struct redrive *redrive)
{
    const struct mor_batch *letters = redrive->at_hand;
    struct mor_batch *landing = mor_batch_new(letters->schema, NULL);
    for (uint32_t row = 0; row < letters->row_count; row++) {
        struct coordinates key = coordinates_of(letters, row);
        if (mor_map_find(&redrive->refused, &key, sizeof key) == NULL)
            mor_batch_append_rows(landing, letters, &row, 1);
    }
    return landing;
}

static enum mor_status mark_landing(struct redrive *redrive, const char *stage,
                                    struct mor_error *err)
{
    struct mor_batch *landing = landing_of(redrive);
    const struct mor_letter_rows rows = {landing, 0, landing->row_count};
    enum mor_status status =
        mor_letter_table_mark(redrive->letters, &rows, 1, stage, redrive->batch_id, err);
    mor_batch_free(landing);
    return status;
}

// Every attempt of the commit tells the same.
static enum mor_status note_refusals(struct mor_letter_sink *sink,
                                     const struct mor_letter_rows *rows, size_t count,
                                     const struct mor_range *ranges, size_t range_count,
                                     struct mor_ledger *after, struct mor_error *err)
{
    (void)ranges;
    (void)range_count;
    (void)after;
    struct redrive *redrive = (struct redrive *)sink;
    if (redrive->is_marked)
        return MOR_OK;
    for (size_t i = 0; i < count; i++)
        for (size_t row = rows[i].first; row < rows[i].first + rows[i].count; row++) {
            struct coordinates key = coordinates_of(rows[i].batch, row);
            (void)mor_map_put(&redrive->refused, &key, sizeof key, NULL);
        }
    enum mor_status status = mark_landing(redrive, LETTER_REDRIVE, err);
    if (status == MOR_OK)
        status = mor_fault("redrive.marked", err);
    redrive->is_marked = status == MOR_OK;
    if (status != MOR_OK)
        err->status = status = MOR_FATAL; // whoever started it tries again, not the committer
    return status;
}

static void nothing_to_follow(struct mor_letter_sink *sink, const struct mor_ledger *after)
{
    (void)sink;
    (void)after;
}

static void nothing_to_free(struct mor_letter_sink *sink)
{
    (void)sink;
}

static const struct mor_letter_sink_ops refusal_ops = {note_refusals, nothing_to_follow,
                                                       nothing_to_free};

// ---- what a crash left --------------------------------------------------------------------------

// Whether the commit that took the batch is in the table: it is in the history, or named by the
// ledger of a later one.
static enum mor_status has_landed(struct redrive *redrive, const char *batch, bool *ret_landed,
                                  struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_commit_info *commits;
    size_t count;
    *ret_landed = false;
    enum mor_status status =
        mor_table_history(redrive->pipeline.table, &arena, &commits, &count, err);
    for (size_t i = 0; status == MOR_OK && i < count && !*ret_landed; i++)
        for (size_t p = 0; p < commits[i].property_count; p++) {
            const struct mor_property *property = &commits[i].properties[p];
            *ret_landed |=
                strcmp(property->key, LEDGER_PROPERTY) == 0 && strstr(property->value, batch);
        }
    mor_arena_done(&arena);
    return status;
}

// Marks of one batch that are neither finished nor known to have failed.
static enum mor_status settle_batch(struct redrive *redrive, const struct mor_batch *marks,
                                    const char *batch, struct mor_error *err)
{
    bool landed;
    MOR_TRY(has_landed(redrive, batch, &landed, err));
    if (!landed)
        return MOR_OK; // its letters still wait
    const struct mor_letter_rows rows = {marks, 0, marks->row_count};
    return mor_letter_table_mark(redrive->letters, &rows, 1, LETTER_REDRIVEN, batch, err);
}

// Reads every mark "redrive" whose coordinates have no "redriven".
static enum mor_status settle_marks(struct redrive *redrive, struct mor_error *err)
{
    struct mor_map batches = {0}; // batch id -> its marks
    struct mor_dead_letters *open;
    MOR_TRY(mor_dead_letter_marks_open(redrive->options->topic->dead_letter.location, &open, err));
    struct mor_batch *rows = mor_batch_new(mor_dead_letters_schema(open), NULL);
    enum mor_status status;
    while ((status = mor_dead_letters_next(open, rows, err)) == MOR_OK && rows->row_count > 0) {
        for (uint32_t row = 0; row < rows->row_count; row++) {
            size_t size;
            const uint8_t *id = mor_vector_bytes_at(&rows->columns[LETTER_REASON], row, &size);
            struct mor_map_entry *entry = mor_map_put(&batches, id, size, NULL);
            if (entry->value.pointer == NULL)
                entry->value.pointer = mor_batch_new(rows->schema, NULL);
            mor_batch_append_rows(entry->value.pointer, rows, &row, 1);
        }
    }
    for (size_t i = 0; i < batches.count; i++) {
        MOR_AUTO_FREE char *id = mor_strndup(batches.entries[i].key, batches.entries[i].key_size);
        if (status == MOR_OK)
            status = settle_batch(redrive, batches.entries[i].value.pointer, id, err);
        mor_batch_free(batches.entries[i].value.pointer);
    }
    mor_map_done(&batches);
    mor_batch_free(rows);
    mor_dead_letters_free(open);
    return status;
}

// ---- one batch ----------------------------------------------------------------------------------

static const uint8_t *bytes_at(const struct mor_vector *column, size_t row, size_t *ret_size)
{
    *ret_size = 0;
    return mor_vector_is_null(column, row) ? NULL : mor_vector_bytes_at(column, row, ret_size);
}

static struct mor_record record_of(const struct mor_batch *letters, size_t row)
{
    const struct mor_vector *timestamp = &letters->columns[LETTER_TIMESTAMP];
    struct mor_record record = {
        .offset = mor_vector_i64(&letters->columns[LETTER_OFFSET], row),
        .partition = mor_vector_i32(&letters->columns[LETTER_PARTITION], row),
        .timestamp_ms =
            mor_vector_is_null(timestamp, row) ? -1 : mor_vector_i64(timestamp, row) / 1000};
    record.key = bytes_at(&letters->columns[LETTER_KEY], row, &record.key_size_bytes);
    record.value = bytes_at(&letters->columns[LETTER_VALUE], row, &record.value_size_bytes);
    return record;
}

// The headers of a record; the names live in the arena.
static void add_headers(struct mor_record *record, const struct mor_vector *column, size_t row,
                        struct mor_arena *arena)
{
    if (mor_vector_is_null(column, row))
        return;
    const int32_t *offsets = mor_vector_offsets(column);
    const struct mor_vector *pairs = column->children[0].children;
    size_t first = (size_t)offsets[row], end = (size_t)offsets[row + 1];
    struct mor_header *headers = mor_arena_calloc(arena, end - first + 1, sizeof *headers);
    for (size_t i = first; i < end; i++) {
        size_t size;
        const uint8_t *name = bytes_at(&pairs[0], i, &size);
        headers[i - first].name = mor_arena_strndup(arena, (const char *)name, size);
        headers[i - first].value = bytes_at(&pairs[1], i, &headers[i - first].size_bytes);
    }
    record->headers = headers;
    record->header_count = end - first;
}

static int compare_records(const void *a, const void *b)
{
    const struct mor_record *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void nap(long us)
{
    struct timespec pause = {0, us * 1000};
    nanosleep(&pause, NULL);
}

// A letter's writer schema has more than the columns: everything is opened anew with it.
static bool must_learn(struct redrive *redrive, struct mor_error *err)
{
    int32_t id;
    struct mor_error change;
    if (!mor_gate_changed(&redrive->pipeline.gate, &id, &change))
        return false;
    *err = change;
    if (!redrive->learns)
        mor_pipeline_learn(&redrive->pipeline, id);
    redrive->learns = true;
    return true;
}

// Hands the records of one Kafka partition to its lane, unless the lanes stand still.
static void offer(struct redrive *redrive, const struct mor_record *records, size_t count)
{
    struct mor_error ignored;
    struct mor_pipeline *pipeline = &redrive->pipeline;
    int64_t generation = mor_positions_claim(&pipeline->positions, records[0].partition);
    struct mor_chunk *chunk = mor_chunk_of_records(records, count, generation);
    struct mor_lane *lane = pipeline->lanes[(size_t)records[0].partition % pipeline->lane_count];
    while (!mor_lane_offer(lane, chunk)) {
        if (must_learn(redrive, &ignored) || mor_gate_failure(&pipeline->gate, &ignored)) {
            mor_chunk_free(chunk);
            return;
        }
        nap(OFFER_POLL_US);
    }
}

static enum mor_status wait_for_lanes(struct redrive *redrive, struct mor_error *err)
{
    struct mor_pipeline *pipeline = &redrive->pipeline;
    for (size_t i = 0; i < pipeline->lane_count; i++)
        while (!mor_lane_is_idle(pipeline->lanes[i])) {
            if (mor_gate_failure(&pipeline->gate, err) || must_learn(redrive, err))
                return mor_error_class(err);
            nap(IDLE_POLL_US);
        }
    return mor_gate_failure(&pipeline->gate, err) ? err->status : MOR_OK;
}

static enum mor_status take_in(struct redrive *redrive, const struct mor_batch *letters,
                               struct mor_arena *arena, struct mor_error *err)
{
    MOR_AUTO_FREE struct mor_record *records = mor_calloc(letters->row_count, sizeof *records);
    size_t count = 0;
    for (size_t row = 0; row < letters->row_count; row++) {
        records[count] = record_of(letters, row);
        add_headers(&records[count++], &letters->columns[LETTER_HEADERS], row, arena);
    }
    qsort(records, count, sizeof *records, compare_records);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && records[end].partition == records[first].partition;)
            end++;
        offer(redrive, records + first, end - first);
    }
    return wait_for_lanes(redrive, err);
}

static enum mor_status commit_letters(struct redrive *redrive, const struct mor_uuid *batch_id,
                                      struct mor_error *err)
{
    struct mor_committer committer = mor_pipeline_committer(&redrive->pipeline);
    committer.letters = &redrive->refusals;
    committer.redrive = batch_id;
    struct mor_commit_report report;
    MOR_TRY(mor_committer_run(&committer, MOR_COMMIT_RECORDS, &report, err));
    if (!report.committed)
        return mor_error_set(err, MOR_RETRY, "another writer changed the table, try again");
    return MOR_OK;
}

static enum mor_status redrive_batch(struct redrive *redrive, const struct mor_batch *letters,
                                     struct mor_error *err)
{
    struct mor_uuid batch_id = mor_uuid_v7();
    mor_uuid_format(&batch_id, redrive->batch_id);
    redrive->at_hand = letters;
    redrive->is_marked = false;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    size_t refused_before = redrive->refused.count;
    enum mor_status status = take_in(redrive, letters, &arena, err);
    if (status == MOR_OK)
        status = commit_letters(redrive, &batch_id, err);
    mor_arena_done(&arena);
    MOR_TRY(status);
    MOR_TRY(mor_fault("redrive.committed", err));
    MOR_TRY(mark_landing(redrive, LETTER_REDRIVEN, err));
    int64_t dead = (int64_t)(redrive->refused.count - refused_before);
    redrive->report.letters += (int64_t)letters->row_count;
    redrive->report.landed += (int64_t)letters->row_count - dead;
    redrive->report.dead_again += dead;
    return MOR_OK;
}

// ---- all of them --------------------------------------------------------------------------------

// Letters are read to the end before the first is sent: marks and commits change their table.
static enum mor_status read_letters(struct redrive *redrive, struct mor_batch **ret_letters,
                                    struct mor_error *err)
{
    const struct mor_redrive_options *options = redrive->options;
    struct mor_dead_letters *open;
    MOR_TRY(
        mor_dead_letters_open(options->topic->dead_letter.location, options->where, &open, err));
    struct mor_batch *rows = mor_batch_new(mor_dead_letters_schema(open), NULL);
    struct mor_batch *letters = *ret_letters;
    int64_t left = options->limit < 0 ? INT64_MAX : options->limit;
    enum mor_status status = MOR_OK;
    bool end = false;
    while (status == MOR_OK && !end) {
        status = mor_dead_letters_next(open, rows, err);
        end = rows->row_count == 0;
        for (uint32_t row = 0; status == MOR_OK && row < rows->row_count && !end; row++) {
            end = left-- <= 0 || letters->row_count == LETTERS_MAX ||
                  mor_batch_bytes(letters) > BYTES_MAX;
            struct coordinates key = coordinates_of(rows, row);
            if (!end && mor_map_find(&redrive->refused, &key, sizeof key) == NULL)
                mor_batch_append_rows(letters, rows, &row, 1);
        }
    }
    mor_batch_free(rows);
    mor_dead_letters_free(open);
    return status;
}

// Nothing of the batch was committed or marked yet.
static enum mor_status open_again(struct redrive *redrive, struct mor_error *err)
{
    MOR_AUTO_FREE char *change = mor_strdup(err->message);
    *err = MOR_ERROR_INIT;
    redrive->learns = false;
    mor_pipeline_close_all(&redrive->pipeline);
    mor_gate_reopen(&redrive->pipeline.gate);
    enum mor_status status = mor_pipeline_open_all(&redrive->pipeline, err);
    redrive->letters = redrive->pipeline.letters;
    return status == MOR_OK
               ? MOR_OK
               : mor_error_wrap(err, "the schema of a letter has more than the table (%s)", change);
}

static enum mor_status redrive_all(struct redrive *redrive, struct mor_error *err)
{
    struct mor_schema *schema = mor_dead_letter_schema();
    struct mor_schema *stored = NULL;
    enum mor_status status = mor_table_normalise_schema(
        (enum mor_table_format)redrive->options->topic->table.format, schema, &stored, err);
    mor_schema_free(schema);
    MOR_TRY(status);
    struct mor_batch *letters = mor_batch_new(stored, redrive->options->budget);
    int64_t done = 0;
    do {
        mor_batch_reset(letters);
        status = read_letters(redrive, &letters, err);
        if (status == MOR_OK && letters->row_count > 0)
            status = redrive_batch(redrive, letters, err);
        if (redrive->learns) {
            status = open_again(redrive, err);
            continue; // the same letters once more
        }
        done += (int64_t)letters->row_count;
    } while (status == MOR_OK && letters->row_count > 0 &&
             (redrive->options->limit < 0 || done < redrive->options->limit));
    mor_batch_free(letters);
    mor_schema_free(stored);
    return status;
}

static enum mor_status count_letters(struct redrive *redrive, struct mor_error *err)
{
    struct mor_dead_letters *open;
    MOR_TRY(mor_dead_letters_open(redrive->options->topic->dead_letter.location,
                                  redrive->options->where, &open, err));
    struct mor_batch *rows = mor_batch_new(mor_dead_letters_schema(open), NULL);
    enum mor_status status;
    while ((status = mor_dead_letters_next(open, rows, err)) == MOR_OK && rows->row_count > 0)
        redrive->report.letters += (int64_t)rows->row_count;
    mor_batch_free(rows);
    mor_dead_letters_free(open);
    if (redrive->options->limit >= 0 && redrive->report.letters > redrive->options->limit)
        redrive->report.letters = redrive->options->limit;
    return status;
}

static void set_up(struct redrive *redrive, const struct mor_redrive_options *options)
{
    *redrive = (struct redrive){.options = options, .config = *options->config};
    redrive->config.instance = INSTANCE;
    redrive->refusals.ops = &refusal_ops;
    struct mor_pipeline *pipeline = &redrive->pipeline;
    pipeline->config = &redrive->config;
    pipeline->topic = options->topic;
    pipeline->registry = options->registry;
    pipeline->budget = options->budget;
    pipeline->budget_share_bytes = options->budget_share_bytes;
    pipeline->without_source = true;
    mor_ledger_init(&pipeline->ledger);
    pthread_mutex_init(&pipeline->mutex, NULL);
    // nobody commits before everything was taken in
    mor_gate_init(&pipeline->gate, SIZE_MAX, SIZE_MAX);
}

static void tear_down(struct redrive *redrive)
{
    mor_pipeline_close_all(&redrive->pipeline);
    mor_gate_done(&redrive->pipeline.gate);
    pthread_mutex_destroy(&redrive->pipeline.mutex);
    mor_map_done(&redrive->refused);
    free(redrive->pipeline.learned_ids);
}

static enum mor_status redrive_table(const struct mor_redrive_options *options,
                                     struct mor_redrive_report *ret_report, struct mor_error *err)
{
    struct redrive redrive;
    set_up(&redrive, options);
    enum mor_status status;
    if (options->dry_run) {
        status = count_letters(&redrive, err);
    } else {
        status = mor_pipeline_open_all(&redrive.pipeline, err);
        redrive.letters = redrive.pipeline.letters;
        if (status == MOR_OK)
            status = settle_marks(&redrive, err);
        if (status == MOR_OK)
            status = redrive_all(&redrive, err);
    }
    *ret_report = redrive.report;
    tear_down(&redrive);
    return status;
}

// Letters of the local file go through a table beside it.
static enum mor_status redrive_file(const struct mor_redrive_options *options,
                                    struct mor_redrive_report *ret_report, struct mor_error *err)
{
    MOR_AUTO_FREE char *location =
        mor_letter_import_location(options->config, options->topic->topic);
    struct mor_config config = *options->config;
    struct mor_config_topic topic = *options->topic;
    struct mor_redrive_options with_table = *options;
    bool any;
    config.instance = INSTANCE;
    topic.dead_letter.location = location;
    with_table.topic = &topic;
    MOR_TRY(mor_letter_file_import(&config, &topic, options->config->instance, options->budget,
                                   &any, err));
    return any ? redrive_table(&with_table, ret_report, err) : MOR_OK;
}

enum mor_status mor_redrive(const struct mor_redrive_options *options,
                            struct mor_redrive_report *ret_report, struct mor_error *err)
{
    *ret_report = (struct mor_redrive_report){0};
    if (options->topic->dead_letter.topic != NULL)
        return mor_error_set(err, MOR_FATAL,
                             "%s: dead letters in a Kafka topic are not sent again: send what of "
                             "'%s' is to be tried once more to '%s'",
                             options->topic->path, options->topic->dead_letter.topic,
                             options->topic->topic);
    return options->topic->dead_letter.location != NULL ? redrive_table(options, ret_report, err)
                                                        : redrive_file(options, ret_report, err);
}
