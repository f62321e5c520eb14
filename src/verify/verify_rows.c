// Rows against the ledger, and keys among themselves, in one scan of the snapshot.
#include <inttypes.h>
#include <stdlib.h>

#include "moraine/merge.h"
#include "verify_job.h"
#include "verify_keys.h"
#include "verify_offsets.h"

#define PARTITION_COLUMN "_kafka_partition"
#define OFFSET_COLUMN    "_kafka_offset"
#define KEY_BYTES_MAX    ((size_t)64 << 20)

// Rows of one file group with the same fault in one Kafka partition.
struct tally {
    const char *kind;
    int32_t partition;
    int64_t count, first, last;
};

// A key that occurs more than once, as far as findings list it.
struct double_key {
    struct mor_verify_key key;
    uint32_t places[4];
    size_t place_count; // of places
    size_t count;
    bool across; // table partitions
    char *text;  // NULL = not looked up
};

struct mor_verify_rows {
    struct mor_verify_job *job;
    struct mor_schema *wanted;
    int32_t *key_columns; // in `wanted`; none = keys are not checked
    size_t key_column_count;
    bool key_is_text; // one column that holds the whole key as text
    struct mor_buffer key;
    int32_t partition_column, offset_column; // -1 = none
    struct mor_batch *batch;
    struct mor_verify_offsets seen;
    struct mor_verify_keys keys;
    int64_t *commit_rows; // by commit of the ledger
    int64_t row_count;
    bool broken; // some rows could not be read: sums mean nothing
    const struct mor_verify_range *last_range;
    struct tally *tallies;
    size_t tally_count;
    struct double_key doubles[MOR_VERIFY_LISTED_MAX];
    size_t double_count;
    int64_t more_doubles[2]; // that are only counted; [1]: across table partitions
};

#define FIND(rows_, check_, kind_, place_, ...)                                                    \
    mor_verify_report_add((rows_)->job->report, check_, false, kind_, place_, __VA_ARGS__)

// ---- beginning ----------------------------------------------------------------------------------

static int32_t want(struct mor_verify_rows *rows, const char *name, enum mor_type type)
{
    const struct mor_field *field = name ? mor_table_column(rows->job->table, name) : NULL;
    if (!field || field->type != type)
        return -1;
    mor_schema_add_copy(rows->wanted, NULL, field);
    return (int32_t)rows->wanted->root.child_count - 1;
}

// The format's own column of the key as text, else the columns that make up the key.
static void want_keys(struct mor_verify_rows *rows)
{
    const struct mor_table *table = rows->job->table;
    const struct mor_schema *schema = mor_table_schema(table);
    struct mor_merge_rule rule;
    mor_table_merge_rule(table, &rule);
    rows->key_columns = mor_calloc(schema->root.child_count + 1, sizeof *rows->key_columns);
    if (!mor_table_is_keyed(table))
        return;
    int32_t column = want(rows, rule.key_column, MOR_TYPE_STRING);
    rows->key_is_text = column >= 0;
    if (column >= 0)
        rows->key_columns[rows->key_column_count++] = column;
    for (size_t i = 0; column < 0 && i < schema->root.child_count; i++) {
        const struct mor_field *field = &schema->root.children[i];
        if (mor_table_is_key_column(table, field->name))
            rows->key_columns[rows->key_column_count++] = want(rows, field->name, field->type);
    }
}

// The key of a row of the batch, as text in rows->key: the value, or "a:1,b:2".
static void take_key(struct mor_verify_rows *rows, size_t row)
{
    mor_buffer_reset(&rows->key);
    for (size_t i = 0; i < rows->key_column_count; i++) {
        const struct mor_vector *vector = &rows->batch->columns[rows->key_columns[i]];
        size_t size;
        if (rows->key_is_text) {
            const uint8_t *text = mor_vector_bytes_at(vector, row, &size);
            mor_buffer_append(&rows->key, text, size);
            continue;
        }
        if (rows->key_column_count > 1)
            mor_buffer_printf(&rows->key, "%s%s:", i > 0 ? "," : "", vector->field->name);
        mor_vector_format_text(vector, row, &rows->key);
    }
}

static void say_what_cannot_be_checked(struct mor_verify_rows *rows)
{
    struct mor_verify_job *job = rows->job;
    struct mor_verify_report *report = job->report;
    bool has_ledger = job->ledger.commit_count > 0;
    report->checks[MOR_VERIFY_ROWS].checked = has_ledger;
    if (!has_ledger)
        mor_verify_report_why_not(report, MOR_VERIFY_ROWS, "there is no ledger");
    else if (rows->offset_column < 0)
        mor_verify_report_why_not(report, MOR_VERIFY_ROWS,
                                  "rows do not say which offset they come from "
                                  "(table.provenance is off), only their number is checked");
    report->checks[MOR_VERIFY_KEYS].checked = rows->key_column_count > 0;
    if (!mor_table_is_keyed(job->table))
        mor_verify_report_why_not(report, MOR_VERIFY_KEYS, "the table has no key");
    else if (rows->key_column_count == 0)
        mor_verify_report_why_not(report, MOR_VERIFY_KEYS, "rows do not carry their key");
}

struct mor_verify_rows *mor_verify_rows_new(struct mor_verify_job *job)
{
    struct mor_verify_rows *rows = mor_calloc(1, sizeof *rows);
    const struct mor_verify_options *options = job->options;
    const char *folder = options->scratch_folder ? options->scratch_folder : getenv("TMPDIR");
    rows->job = job;
    rows->wanted = mor_schema_new("rows");
    want_keys(rows);
    rows->partition_column = want(rows, PARTITION_COLUMN, MOR_TYPE_INT32);
    rows->offset_column = want(rows, OFFSET_COLUMN, MOR_TYPE_INT64);
    if (rows->partition_column < 0 || rows->offset_column < 0)
        rows->partition_column = rows->offset_column = -1;
    if (rows->wanted->root.child_count == 0) // rows are counted all the same
        mor_schema_add_copy(rows->wanted, NULL, &mor_table_schema(job->table)->root.children[0]);
    rows->batch = mor_batch_new(rows->wanted, options->budget);
    rows->seen.budget = options->budget;
    mor_verify_keys_init(&rows->keys, folder && *folder ? folder : "/tmp",
                         options->key_bytes_max ? options->key_bytes_max : KEY_BYTES_MAX,
                         options->budget);
    rows->commit_rows = mor_calloc(job->ledger.commit_count + 1, sizeof *rows->commit_rows);
    say_what_cannot_be_checked(rows);
    return rows;
}

void mor_verify_rows_free(struct mor_verify_rows *rows)
{
    if (!rows)
        return;
    for (size_t i = 0; i < rows->double_count; i++)
        free(rows->doubles[i].text);
    mor_verify_keys_done(&rows->keys);
    mor_verify_offsets_done(&rows->seen);
    mor_batch_free(rows->batch);
    mor_schema_free(rows->wanted);
    mor_buffer_done(&rows->key);
    free(rows->key_columns);
    free(rows->commit_rows);
    free(rows->tallies);
    free(rows);
}

// ---- coordinates --------------------------------------------------------------------------------

static void tally(struct mor_verify_rows *rows, const char *kind, int32_t partition, int64_t offset)
{
    struct tally *found = NULL;
    for (size_t i = 0; i < rows->tally_count && !found; i++)
        if (rows->tallies[i].kind == kind && rows->tallies[i].partition == partition)
            found = &rows->tallies[i];
    if (!found) {
        rows->tallies = mor_realloc(rows->tallies, (rows->tally_count + 1) * sizeof *rows->tallies);
        found = &rows->tallies[rows->tally_count++];
        *found =
            (struct tally){.kind = kind, .partition = partition, .first = offset, .last = offset};
    }
    found->count++;
    found->first = offset < found->first ? offset : found->first;
    found->last = offset > found->last ? offset : found->last;
}

static const char kind_doubled[] = "doubled row", kind_outside[] = "row outside";

static void take_coordinates(struct mor_verify_rows *rows, int32_t partition, int64_t offset)
{
    const struct mor_verify_ledger *ledger = &rows->job->ledger;
    const struct mor_verify_range *range = rows->last_range;
    if (!range || range->partition != partition || offset < range->start || offset >= range->end)
        range = mor_verify_ledger_find(ledger, partition, offset);
    rows->last_range = range;
    if (range) {
        rows->commit_rows[range->commit]++;
    } else {
        const struct mor_verify_partition *known = mor_verify_ledger_partition(ledger, partition);
        bool archived = offset < (known ? known->first : 0) || ledger->hole_count > 0;
        bool before =
            known && offset >= 0 && offset < known->next && archived && !ledger->is_complete;
        if (!before) {
            tally(rows, kind_outside, partition, offset);
            return;
        }
        mor_verify_report_count(rows->job->report, MOR_VERIFY_ROWS, "from before the ledger", 1);
    }
    bool is_new = true;
    if (!mor_verify_offsets_add(&rows->seen, partition, offset, &is_new)) {
        if (!rows->broken)
            mor_verify_report_why_not(rows->job->report, MOR_VERIFY_ROWS,
                                      "offsets lie too far apart to look for doubled ones");
        rows->broken = true;
    }
    if (!is_new)
        tally(rows, kind_doubled, partition, offset);
}

static void tell_tallies(struct mor_verify_rows *rows, const struct mor_slice *slice)
{
    for (size_t i = 0; i < rows->tally_count; i++) {
        const struct tally *t = &rows->tallies[i];
        MOR_AUTO_FREE char *file = mor_asprintf("%s%s%s", slice->partition,
                                                *slice->partition ? "/" : "", slice->file_group);
        const struct mor_verify_place place = {.file = file,
                                               .partition = t->partition,
                                               .offset_first = t->first,
                                               .offset_next = t->last + 1};
        if (t->kind == kind_doubled)
            FIND(rows, MOR_VERIFY_ROWS, kind_doubled, &place,
                 "%" PRId64 " rows of the file group come from offsets that other rows come from",
                 t->count);
        else
            FIND(rows, MOR_VERIFY_ROWS, kind_outside, &place,
                 "%" PRId64 " rows of the file group come from offsets that no commit covers",
                 t->count);
    }
    rows->tally_count = 0;
}

// ---- slices -------------------------------------------------------------------------------------

static enum mor_status take_batch(struct mor_verify_rows *rows, size_t slice_index,
                                  struct mor_error *err)
{
    const struct mor_batch *batch = rows->batch;
    rows->row_count += (int64_t)batch->row_count;
    bool coordinates = rows->offset_column >= 0 && rows->job->ledger.commit_count > 0;
    for (size_t i = 0; coordinates && i < batch->row_count; i++) {
        const struct mor_vector *partitions = &batch->columns[rows->partition_column];
        const struct mor_vector *offsets = &batch->columns[rows->offset_column];
        if (mor_vector_is_null(partitions, i) || mor_vector_is_null(offsets, i))
            mor_verify_report_count(rows->job->report, MOR_VERIFY_ROWS, "without coordinates", 1);
        else
            take_coordinates(rows, mor_vector_i32(partitions, i), mor_vector_i64(offsets, i));
    }
    for (size_t i = 0; rows->key_column_count > 0 && i < batch->row_count; i++) {
        take_key(rows, i);
        MOR_TRY(mor_verify_keys_add(&rows->keys, mor_hash128(rows->key.data, rows->key.size_bytes),
                                    (uint32_t)slice_index, err));
    }
    return MOR_OK;
}

static enum mor_status read_slice(struct mor_verify_rows *rows, size_t slice_index,
                                  struct mor_error *err)
{
    const struct mor_slice *slice = &rows->job->slices[slice_index];
    const struct mor_slice_options options = {.wanted = rows->wanted,
                                              .budget = rows->job->options->budget};
    struct mor_slice_reader *reader = NULL;
    MOR_TRY(mor_slice_reader_open(rows->job->table, slice, &options, &reader, err));
    enum mor_status status;
    do {
        status = mor_slice_reader_next(reader, rows->batch, err);
        if (status == MOR_OK)
            status = take_batch(rows, slice_index, err);
    } while (status == MOR_OK && rows->batch->row_count > 0);
    mor_slice_reader_free(reader);
    return status;
}

enum mor_status mor_verify_rows_slice(struct mor_verify_rows *rows, size_t slice_index,
                                      struct mor_error *err)
{
    const struct mor_slice *slice = &rows->job->slices[slice_index];
    enum mor_status status = read_slice(rows, slice_index, err);
    tell_tallies(rows, slice);
    if (status == MOR_OK || status == MOR_RETRY)
        return status;
    if (status == MOR_NOT_FOUND)
        MOR_TRY(mor_verify_job_is_lost(rows->job, slice, err));
    rows->broken = true;
    struct mor_verify_place place = VERIFY_NOWHERE;
    place.file = slice->base_key ? slice->base_key : slice->delta_keys[0];
    FIND(rows, MOR_VERIFY_ROWS, "unreadable", &place, "rows of the file group cannot be read: %s",
         err->message);
    return MOR_OK;
}

// ---- sums ---------------------------------------------------------------------------------------

static const char *foreign_words(const struct mor_verify_ledger *ledger)
{
    return ledger->foreign_count > 0 ? " (other programs wrote commits, and may have changed rows)"
                                     : "";
}

// Rows of each commit whose rows must all be in the snapshot.
static void check_commits(struct mor_verify_rows *rows)
{
    const struct mor_verify_ledger *ledger = &rows->job->ledger;
    bool keyed = mor_table_is_keyed(rows->job->table);
    int64_t redriven = ledger->redriven;
    for (size_t i = 0; i < ledger->commit_count; i++) {
        const struct mor_verify_commit *commit = &ledger->commits[i];
        int64_t found = rows->commit_rows[i], most = commit->inserted + commit->updated;
        struct mor_verify_place place = VERIFY_NOWHERE;
        place.version = commit->version;
        // its dead letters may have become rows later, by a commit that may be archived by now
        int64_t more = found - most;
        if (more > 0 && more <= commit->dead && (more <= redriven || !ledger->is_complete))
            redriven -= more;
        else if (found > most)
            FIND(rows, MOR_VERIFY_ROWS, "too many rows", &place,
                 "%" PRId64 " rows come from the commit's offsets, its ledger counts %" PRId64,
                 found, most);
        else if (!keyed && found < most && mor_map_find_text(&rows->job->known, commit->version))
            FIND(rows, MOR_VERIFY_ROWS, "missing rows", &place,
                 "%" PRId64 " rows come from the commit's offsets, its ledger counts %" PRId64
                 ": %" PRId64 " are missing%s",
                 found, most, most - found, foreign_words(ledger));
    }
}

// Without coordinates only the number of rows of an append-only table can be told.
static void check_total(struct mor_verify_rows *rows)
{
    const struct mor_verify_ledger *ledger = &rows->job->ledger;
    int64_t least = 0, most = 0;
    for (size_t i = 0; i < ledger->commit_count; i++) {
        int64_t inserted = ledger->commits[i].inserted + ledger->commits[i].updated;
        most += inserted;
        if (mor_map_find_text(&rows->job->known, ledger->commits[i].version))
            least += inserted;
    }
    most += ledger->redriven;
    if (!ledger->is_complete) {
        mor_verify_report_why_not(rows->job->report, MOR_VERIFY_ROWS,
                                  "older commits were archived, so that their number is not known");
        return;
    }
    bool keyed = mor_table_is_keyed(rows->job->table);
    if (rows->row_count > most || (!keyed && rows->row_count < least))
        FIND(rows, MOR_VERIFY_ROWS, rows->row_count > most ? "too many rows" : "missing rows",
             &VERIFY_NOWHERE, "the table has %" PRId64 " rows, the ledger counts %" PRId64 "%s",
             rows->row_count, most, foreign_words(ledger));
}

// ---- doubled keys -------------------------------------------------------------------------------

static void note_double(void *context, const struct mor_verify_key *same, size_t count)
{
    struct mor_verify_rows *rows = context;
    const struct mor_slice *slices = rows->job->slices;
    struct double_key key = {.key = same[0], .count = count};
    for (size_t i = 0; i < count; i++) {
        key.across |= strcmp(slices[same[i].place].partition, slices[same[0].place].partition) != 0;
        if (key.place_count < sizeof key.places / sizeof key.places[0] &&
            (i == 0 || same[i].place != same[i - 1].place))
            key.places[key.place_count++] = same[i].place;
    }
    if (rows->double_count < MOR_VERIFY_LISTED_MAX)
        rows->doubles[rows->double_count++] = key;
    else
        rows->more_doubles[key.across]++;
}

// Reads a slice once more for the texts of the keys that are listed.
static enum mor_status look_up_texts(struct mor_verify_rows *rows, uint32_t place,
                                     struct mor_error *err)
{
    const struct mor_slice_options options = {.wanted = rows->wanted,
                                              .budget = rows->job->options->budget};
    struct mor_slice_reader *reader = NULL;
    MOR_TRY(
        mor_slice_reader_open(rows->job->table, &rows->job->slices[place], &options, &reader, err));
    enum mor_status status;
    while ((status = mor_slice_reader_next(reader, rows->batch, err)) == MOR_OK &&
           rows->batch->row_count > 0) {
        for (size_t i = 0; i < rows->batch->row_count; i++) {
            take_key(rows, i);
            const uint8_t *text = rows->key.data;
            size_t size = rows->key.size_bytes;
            struct mor_verify_key key = mor_verify_key_of(mor_hash128(text, size), place);
            for (size_t n = 0; n < rows->double_count; n++) {
                struct double_key *d = &rows->doubles[n];
                if (d->key.high == key.high && d->key.low == key.low && !d->text)
                    d->text = mor_strndup((const char *)text, size);
            }
        }
    }
    mor_slice_reader_free(reader);
    return status;
}

static const char *double_kind(bool across)
{
    return across ? "key in several partitions" : "doubled key";
}

static void tell_double(struct mor_verify_rows *rows, const struct double_key *d)
{
    MOR_AUTO_BUFFER places = {0};
    for (size_t i = 0; i < d->place_count; i++) {
        const struct mor_slice *slice = &rows->job->slices[d->places[i]];
        mor_buffer_printf(&places, "%s'%s' (file group %s)", i > 0 ? ", " : "", slice->partition,
                          slice->file_group);
    }
    FIND(rows, MOR_VERIFY_KEYS, double_kind(d->across), &VERIFY_NOWHERE,
         "key '%.200s' occurs %zu times, in partitions %s", d->text ? d->text : "?", d->count,
         mor_buffer_terminate(&places));
}

static enum mor_status finish_keys(struct mor_verify_rows *rows, struct mor_error *err)
{
    if (rows->key_column_count == 0)
        return MOR_OK;
    mor_verify_report_count(rows->job->report, MOR_VERIFY_KEYS, "keys", rows->row_count);
    MOR_TRY(mor_verify_keys_doubles(&rows->keys, note_double, rows, err));
    for (size_t i = 0; i < rows->double_count; i++) {
        struct mor_error ignored = MOR_ERROR_INIT; // without its text the finding stands
        if (!rows->doubles[i].text)
            (void)!look_up_texts(rows, rows->doubles[i].places[0], &ignored);
        tell_double(rows, &rows->doubles[i]);
    }
    for (int across = 0; across <= 1; across++)
        for (int64_t i = 0; i < rows->more_doubles[across]; i++)
            FIND(rows, MOR_VERIFY_KEYS, double_kind(across), &VERIFY_NOWHERE,
                 "another key occurs more than once");
    return MOR_OK;
}

enum mor_status mor_verify_rows_finish(struct mor_verify_rows *rows, struct mor_error *err)
{
    struct mor_verify_job *job = rows->job;
    mor_verify_report_count(job->report, MOR_VERIFY_ROWS, "rows", rows->row_count);
    if (!job->ledger.is_complete && rows->offset_column >= 0)
        mor_verify_report_why_not(job->report, MOR_VERIFY_ROWS,
                                  "rows from before the oldest ledger are only looked at for "
                                  "doubled offsets");
    if (job->ledger.commit_count > 0 && !rows->broken) {
        if (rows->offset_column >= 0)
            check_commits(rows);
        else
            check_total(rows);
    }
    return finish_keys(rows, err);
}
