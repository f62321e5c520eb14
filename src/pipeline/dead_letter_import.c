// The local file's dead letters into a table beside it, <state_dir>/dead_letters/<topic>.table,
// where they are chosen, marked and sent again like those of any table of letters.
//
// Only lines that the ledger of the topic's table counts are letters: what stands behind them
// belongs to a commit that is on its way, or never came to be. The file is read from its beginning
// each time; the ledger of the letters' table says which of them it has.
#include "dead_letter.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "committer.h"
#include "moraine/decode.h"
#include "moraine/table.h"

#define BATCH_BYTES_MAX (16u << 20)
#define LINE_BYTES_MAX  ((size_t)1 << 30)
#define FILE_TIMESTAMP  "timestamp_ms" // of a line; the others are called as the columns

struct importing {
    struct mor_letter_sink *sink;
    FILE *file;
    int64_t left_bytes; // of lines that are letters
    struct mor_schema *stored, *source;
    struct mor_route routes[LETTER_HEADERS + 1];
    struct mor_decoder *decoder;
    struct mor_batch *batch;
    struct mor_range *ranges; // of the batch, one for each Kafka partition
    size_t range_count;
};

char *mor_letter_import_location(const struct mor_config *config, const char *topic)
{
    return mor_asprintf("%s/dead_letters/%s.table", config->state_dir, topic);
}

// ---- lines --------------------------------------------------------------------------------------

static enum mor_status open_decoder(struct importing *importing, enum mor_table_format format,
                                    struct mor_error *err)
{
    struct mor_schema *letters = mor_dead_letter_schema();
    importing->source = mor_schema_new("line");
    for (int32_t i = 0; i <= LETTER_HEADERS; i++) {
        const struct mor_field *column = &letters->root.children[i];
        const char *name = i == LETTER_TIMESTAMP ? FILE_TIMESTAMP : column->name;
        if (i == LETTER_TIMESTAMP)
            mor_schema_add(importing->source, NULL, name, MOR_TYPE_TIMESTAMP_MILLIS, true);
        else
            mor_schema_add_copy(importing->source, NULL, column);
        importing->routes[i] = (struct mor_route){
            .name = importing->source->root.children[i].name, .column = i, .note = MOR_ROUTE_NONE};
    }
    enum mor_status status = mor_table_normalise_schema(format, letters, &importing->stored, err);
    mor_schema_free(letters);
    MOR_TRY(status);
    const struct mor_decoder_options options = {.format = MOR_PAYLOAD_JSON,
                                                .schema = importing->stored,
                                                .column_count = LETTER_HEADERS + 1,
                                                .routes = importing->routes,
                                                .route_count = LETTER_HEADERS + 1,
                                                .source_schema = importing->source,
                                                .limits = {.value_size_max_bytes = LINE_BYTES_MAX}};
    return mor_decoder_new(&options, &importing->decoder, err);
}

// The letters of a Kafka partition stand in the file in the order of their offsets.
static void note_range(struct importing *importing, int32_t partition, int64_t offset)
{
    size_t i = 0;
    while (i < importing->range_count && importing->ranges[i].partition != partition)
        i++;
    if (i == importing->range_count) {
        importing->ranges = mor_realloc(importing->ranges, (i + 1) * sizeof *importing->ranges);
        importing->ranges[importing->range_count++] =
            (struct mor_range){.partition = partition, .start = offset, .leader_epoch = -1};
    }
    importing->ranges[i].end = offset + 1;
}

static enum mor_status take_line(struct importing *importing, const char *line, size_t size,
                                 struct mor_error *err)
{
    const struct mor_record record = {.value = (const uint8_t *)line, .value_size_bytes = size};
    struct mor_batch *batch = importing->batch;
    MOR_TRY(mor_decoder_value(importing->decoder, &record, batch->columns, err));
    size_t row = batch->row_count++;
    if (mor_vector_is_null(&batch->columns[LETTER_PARTITION], row) ||
        mor_vector_is_null(&batch->columns[LETTER_OFFSET], row))
        return mor_error_set(err, MOR_DATA, "no partition or no offset");
    note_range(importing, mor_vector_i32(&batch->columns[LETTER_PARTITION], row),
               mor_vector_i64(&batch->columns[LETTER_OFFSET], row));
    return MOR_OK;
}

static enum mor_status write_batch(struct importing *importing, struct mor_error *err)
{
    const struct mor_letter_rows rows = {importing->batch, 0, importing->batch->row_count};
    if (rows.count == 0)
        return MOR_OK;
    MOR_TRY(importing->sink->ops->write(importing->sink, &rows, 1, importing->ranges,
                                        importing->range_count, NULL, err));
    mor_batch_reset(importing->batch);
    importing->range_count = 0;
    return MOR_OK;
}

static enum mor_status take_lines(struct importing *importing, struct mor_error *err)
{
    MOR_AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    while (importing->left_bytes > 0) {
        errno = 0;
        ssize_t size = getline(&line, &capacity, importing->file);
        if (size < 0)
            return mor_error_set_errno(err, errno, "could not read a line");
        importing->left_bytes -= size;
        if (importing->left_bytes < 0 || line[size - 1] != '\n')
            return mor_error_set(err, MOR_DATA, "its committed part does not end with a line");
        MOR_TRY(take_line(importing, line, (size_t)size - 1, err));
        if (mor_batch_bytes(importing->batch) > BATCH_BYTES_MAX)
            MOR_TRY(write_batch(importing, err));
    }
    return write_batch(importing, err);
}

// ---- whole --------------------------------------------------------------------------------------

// Length of what the topic's table counts of the instance's file; 0 = nothing.
static enum mor_status committed_bytes(const struct mor_config_topic *topic, const char *instance,
                                       struct mor_budget *budget, int64_t *ret_bytes,
                                       struct mor_error *err)
{
    struct mor_table *table = NULL;
    struct mor_ledger ledger;
    *ret_bytes = 0;
    enum mor_status status = mor_table_open_read(topic->table.location, budget, &table, err);
    if (status == MOR_NOT_FOUND) {
        *err = MOR_ERROR_INIT;
        return MOR_OK;
    }
    MOR_TRY(status);
    mor_ledger_init(&ledger);
    status = mor_committer_load(table, &ledger, NULL, err);
    if (status == MOR_OK && mor_ledger_letters(&ledger, instance) > 0)
        *ret_bytes = mor_ledger_letters(&ledger, instance);
    mor_ledger_done(&ledger);
    mor_table_free(table);
    return status;
}

static enum mor_status import(const struct mor_config *config, const struct mor_config_topic *topic,
                              FILE *file, int64_t bytes, struct mor_budget *budget,
                              struct mor_error *err)
{
    struct importing importing = {.file = file, .left_bytes = bytes};
    enum mor_status status =
        open_decoder(&importing, (enum mor_table_format)topic->table.format, err);
    if (status == MOR_OK)
        status = mor_letter_table_open(config, topic, budget, &importing.sink, err);
    if (status == MOR_OK) {
        importing.batch = mor_batch_new(importing.stored, budget);
        status = take_lines(&importing, err);
    }
    if (importing.sink != NULL)
        importing.sink->ops->free(importing.sink);
    mor_batch_free(importing.batch);
    mor_decoder_free(importing.decoder);
    mor_schema_free(importing.stored);
    mor_schema_free(importing.source);
    free(importing.ranges);
    return status;
}

enum mor_status mor_letter_file_import(const struct mor_config *config,
                                       const struct mor_config_topic *topic, const char *instance,
                                       struct mor_budget *budget, bool *ret_any,
                                       struct mor_error *err)
{
    int64_t bytes;
    struct stat facts;
    *ret_any = access(topic->dead_letter.location, F_OK) == 0;
    MOR_TRY(committed_bytes(topic, instance, budget, &bytes, err));
    MOR_AUTO_FREE char *path =
        mor_asprintf("%s/dead_letters/%s.jsonl", config->state_dir, topic->topic);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT
                   ? MOR_OK
                   : mor_error_set_errno(err, errno, "could not open the dead letters '%s'", path);
    // a shorter one was begun anew since it was moved away: no commit counts its lines yet
    enum mor_status status = MOR_OK;
    if (fstat(fileno(file), &facts) == 0 && bytes > 0 && facts.st_size >= bytes) {
        status = import(config, topic, file, bytes, budget, err);
        *ret_any = true;
    }
    (void)fclose(file);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not take in '%s'", path);
}
