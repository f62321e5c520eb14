// Rows of a change group to the bytes of a base file or a log.
#include <stdio.h>
#include <string.h>

#include "hudi/hudi_base_file.h"
#include "hudi/hudi_log.h"
#include "hudi/hudi_table.h"
#include "moraine/avro.h"
#include "moraine/base/fault.h"
#include "moraine/parquet.h"
#include "partition_path.h"
#include "record_key.h"

// Rows are gathered in steps; a scratch batch is handed on when it has this much.
#define STEP_ROWS            256
#define DIRECT_ROWS_MIN      1024 // rows that follow each other from here on are not gathered
#define PREFETCH_FAR         16   // rows ahead of the one that is written
#define PREFETCH_NEAR        8
#define PARTITION_PREFIX     "_kafka_partition:"
#define OFFSET_PREFIX        ",_kafka_offset:"
#define SCRATCH_ROWS_MAX     16384
#define SCRATCH_BYTES_MAX    (8u << 20)
#define DELETES_PER_BLOCK    65536
#define KEYS_PER_BLOCK_BYTES (8u << 20)

// The meta columns; those of the data follow.
enum { INSTANT_COLUMN, SEQUENCE_COLUMN, KEY_COLUMN, PARTITION_COLUMN, FILE_COLUMN };

// Everything that stays the same for the rows of one file.
struct gathering {
    struct hudi_write *write;
    const struct hudi_table *table;
    const struct mor_change_set *changes;
    const char *partition;
    const char *file_name; // of the meta column
    int32_t number;        // middle part of sequence numbers
    int64_t sequence;      // of the next row
    struct mor_batch *scratch;
    struct mor_parquet_column_rows *rows; // base files: where the next rows lie, by stored column
    int32_t partition_column, offset_column; // of rows without keys, -1 = they do not say
    struct mor_buffer key;
    char *derived_values[64]; // NULL = null
    uint32_t indices[STEP_ROWS];
};

// Derived columns hold what the partition path says, in the order of the path.
static void derive_values(struct gathering *gathering)
{
    const struct mor_table *head = &gathering->table->table;
    const char *segment = gathering->partition;
    size_t derived = 0;
    for (size_t i = 0; i < head->partition_column_count; i++) {
        const char *end = strchrnul(segment, '/');
        const struct mor_partition_column *column = &head->partition_columns[i];
        if (column->transform != MOR_TRANSFORM_IDENTITY && derived < 64) {
            const char *value = segment + strlen(column->path_name) + 1;
            gathering->derived_values[derived] =
                value <= end ? mor_strndup(value, (size_t)(end - value)) : NULL;
            if (gathering->derived_values[derived] &&
                strcmp(gathering->derived_values[derived], MOR_PARTITION_NULL) == 0) {
                free(gathering->derived_values[derived]);
                gathering->derived_values[derived] = NULL;
            }
            derived++;
        }
        segment = *end ? end + 1 : end;
    }
}

static void gathering_init(struct gathering *gathering, struct hudi_write *write,
                           const struct mor_change_set *changes,
                           const struct mor_change_group *group, const char *file_name,
                           int32_t number, int64_t sequence)
{
    *gathering = (struct gathering){
        .write = write,
        .table = hudi_of_const(write->write.table),
        .changes = changes,
        .partition = group->partition,
        .file_name = file_name,
        .number = number,
        .sequence = sequence,
        .partition_column = -1,
        .offset_column = -1,
    };
    const struct mor_table *head = write->write.table;
    if (!head->keyed) {
        gathering->partition_column = mor_schema_find(head->schema, "_kafka_partition");
        gathering->offset_column = mor_schema_find(head->schema, "_kafka_offset");
    }
    gathering->scratch = mor_batch_new(gathering->table->stored_schema, write->write.table->budget);
    derive_values(gathering);
}

static void gathering_done(struct gathering *gathering)
{
    mor_batch_free(gathering->scratch);
    free(gathering->rows);
    mor_buffer_done(&gathering->key);
    for (size_t i = 0; i < 64; i++)
        free(gathering->derived_values[i]);
}

// Record key of a row; append-only tables name rows by where they came from.
// `ahead`: rows of this step before it, whose sequence numbers are not taken yet.
static enum mor_status row_key(struct gathering *gathering, const struct mor_batch *batch,
                               uint32_t row, int64_t ahead, struct mor_error *err)
{
    const struct mor_table *head = &gathering->table->table;
    mor_buffer_reset(&gathering->key);
    if (head->keyed) {
        const char *problem =
            mor_record_key_append(head, batch->columns, row, &gathering->key, NULL);
        return problem ? mor_error_set(err, MOR_DATA, "row without a record key: %s", problem)
                       : MOR_OK;
    }
    int32_t partition = gathering->partition_column, offset = gathering->offset_column;
    if (partition >= 0 && offset >= 0) {
        mor_buffer_append_text(&gathering->key, PARTITION_PREFIX);
        mor_vector_format_text(&batch->columns[partition], row, &gathering->key);
        mor_buffer_append_text(&gathering->key, OFFSET_PREFIX);
        mor_vector_format_text(&batch->columns[offset], row, &gathering->key);
        return MOR_OK;
    }
    char uuid[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&gathering->write->batch_id, uuid);
    mor_buffer_printf(&gathering->key, "%s-%d-%lld", uuid, gathering->number,
                      (long long)(gathering->sequence + ahead));
    return MOR_OK;
}

// Puts the digits of `value` so that they end at `end`; returns where they begin.
static char *put_digits(char *end, int64_t value)
{
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--end = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--end = '-';
    return end;
}

// "<instant>_<number>_<counter>" for `count` rows.
static void append_sequence(struct gathering *gathering, struct mor_vector *vector, size_t count)
{
    char text[96];
    size_t prefix =
        (size_t)snprintf(text, 64, "%s_%d_", gathering->write->instant, gathering->number);
    for (size_t i = 0; i < count; i++) {
        char digits[24], *const end = digits + sizeof digits;
        const char *start = put_digits(end, gathering->sequence++);
        memcpy(text + prefix, start, (size_t)(end - start));
        mor_vector_append_bytes(vector, text, prefix + (size_t)(end - start));
    }
}

// Keys of rows of a table without any: "_kafka_partition:<n>,_kafka_offset:<n>".
static void append_places(const struct mor_vector *partitions, const struct mor_vector *offsets,
                          const uint32_t *indices, size_t count, struct mor_vector *vector)
{
    char text[96], *const end = text + sizeof text;
    for (size_t i = 0; i < count; i++) {
        char *start = put_digits(end, mor_vector_i64(offsets, indices[i]));
        start -= sizeof OFFSET_PREFIX - 1;
        memcpy(start, OFFSET_PREFIX, sizeof OFFSET_PREFIX - 1);
        start = put_digits(start, mor_vector_i32(partitions, indices[i]));
        start -= sizeof PARTITION_PREFIX - 1;
        memcpy(start, PARTITION_PREFIX, sizeof PARTITION_PREFIX - 1);
        mor_vector_append_bytes(vector, start, (size_t)(end - start));
    }
}

// Record keys of the rows gathering->indices[0..count) of the batch.
static enum mor_status append_keys(struct gathering *gathering, const struct mor_batch *batch,
                                   struct mor_vector *vector, size_t count, struct mor_error *err)
{
    const struct mor_table *head = &gathering->table->table;
    const struct mor_vector *only =
        head->key_column_count == 1 ? &batch->columns[head->key_columns[0]] : NULL;
    if (only && only->field->type == MOR_TYPE_STRING && only->null_count == 0) {
        mor_vector_append_slots(vector, only, gathering->indices, count);
        return MOR_OK;
    }
    if (gathering->partition_column >= 0 && gathering->offset_column >= 0) {
        const struct mor_vector *partitions = &batch->columns[gathering->partition_column];
        const struct mor_vector *offsets = &batch->columns[gathering->offset_column];
        if (partitions->null_count == 0 && partitions->field->type == MOR_TYPE_INT32 &&
            offsets->null_count == 0 && offsets->field->type == MOR_TYPE_INT64) {
            append_places(partitions, offsets, gathering->indices, count, vector);
            return MOR_OK;
        }
    }
    for (size_t i = 0; i < count; i++) {
        MOR_TRY(row_key(gathering, batch, gathering->indices[i], (int64_t)i, err));
        mor_vector_append_bytes(vector, gathering->key.data, gathering->key.size_bytes);
    }
    return MOR_OK;
}

// Record keys and sequence numbers of at most STEP_ROWS rows of refs[0..count) that lie in one
// batch, *ret_taken of them; gathering->indices are their rows.
static enum mor_status append_meta(struct gathering *gathering, const struct mor_row_ref *refs,
                                   size_t count, size_t *ret_taken, struct mor_error *err)
{
    struct mor_vector *columns = gathering->scratch->columns;
    const struct mor_batch *batch = gathering->changes->batches[refs[0].batch];
    size_t taken = 0;
    for (; taken < count && taken < STEP_ROWS && refs[taken].batch == refs[0].batch; taken++)
        gathering->indices[taken] = refs[taken].row;
    MOR_TRY(append_keys(gathering, batch, &columns[KEY_COLUMN], taken, err));
    append_sequence(gathering, &columns[SEQUENCE_COLUMN], taken);
    gathering->scratch->row_count += taken;
    *ret_taken = taken;
    return MOR_OK;
}

// ---- base file ----------------------------------------------------------------------------------

// How many of refs[0..count) follow each other in one batch, as they do where there are no keys.
static size_t neighbours(const struct mor_row_ref *refs, size_t count)
{
    size_t run = 1;
    while (run < count && refs[run].batch == refs[0].batch && refs[run].row == refs[0].row + run)
        run++;
    return run;
}

// The next rows of refs[0..count), *ret_taken of them, gathered from wherever they lie.
static enum mor_status gather(struct gathering *gathering, const struct mor_row_ref *refs,
                              size_t count, size_t *ret_taken, struct mor_error *err)
{
    struct mor_batch *scratch = gathering->scratch;
    *ret_taken = 0;
    while (*ret_taken < count && scratch->row_count + STEP_ROWS <= SCRATCH_ROWS_MAX &&
           mor_batch_bytes(scratch) < SCRATCH_BYTES_MAX) {
        const struct mor_batch *batch = gathering->changes->batches[refs[*ret_taken].batch];
        size_t taken = 0;
        MOR_TRY(append_meta(gathering, refs + *ret_taken, count - *ret_taken, &taken, err));
        for (size_t i = 0; i < batch->column_count; i++)
            mor_vector_append_slots(&scratch->columns[HUDI_META_COLUMNS + i], &batch->columns[i],
                                    gathering->indices, taken);
        *ret_taken += taken;
    }
    for (size_t i = 0; i < scratch->column_count; i++)
        gathering->rows[i] = (struct mor_parquet_column_rows){&scratch->columns[i], 0};
    return MOR_OK;
}

// The next rows of refs[0..count), which follow each other in one batch: their columns are taken as
// they lie there.
static enum mor_status take(struct gathering *gathering, const struct mor_row_ref *refs,
                            size_t count, size_t *ret_taken, struct mor_error *err)
{
    struct mor_batch *scratch = gathering->scratch;
    const struct mor_batch *batch = gathering->changes->batches[refs[0].batch];
    count = count < SCRATCH_ROWS_MAX ? count : SCRATCH_ROWS_MAX;
    for (*ret_taken = 0; *ret_taken < count;) {
        size_t taken = 0;
        MOR_TRY(append_meta(gathering, refs + *ret_taken, count - *ret_taken, &taken, err));
        *ret_taken += taken;
    }
    for (size_t i = 0; i < scratch->column_count; i++)
        gathering->rows[i] = (struct mor_parquet_column_rows){&scratch->columns[i], 0};
    for (size_t i = 0; i < batch->column_count; i++)
        gathering->rows[HUDI_META_COLUMNS + i] =
            (struct mor_parquet_column_rows){&batch->columns[i], refs[0].row};
    return MOR_OK;
}

static enum mor_status write_rows(struct gathering *gathering, struct hudi_base_file *file,
                                  const struct mor_row_ref *refs, size_t count,
                                  struct mor_error *err)
{
    struct mor_batch *scratch = gathering->scratch;
    size_t first_derived = scratch->column_count - gathering->table->derived_count;
    for (size_t next = 0, taken = 0; next < count; next += taken) {
        size_t run = neighbours(refs + next, count - next);
        mor_batch_reset(scratch);
        if (run >= DIRECT_ROWS_MIN)
            MOR_TRY(take(gathering, refs + next, run, &taken, err));
        else
            MOR_TRY(gather(gathering, refs + next, count - next, &taken, err));
        for (size_t i = 0; i < gathering->table->derived_count; i++)
            for (size_t row = 0; row < taken && !gathering->derived_values[i]; row++)
                mor_vector_append_null(&scratch->columns[first_derived + i]);
        MOR_TRY(hudi_base_file_append(file, gathering->rows, taken, err));
    }
    return MOR_OK;
}

enum mor_status hudi_encode_base(struct hudi_write *write, const struct mor_change_set *changes,
                                 const struct mor_change_group *group, int32_t number,
                                 struct hudi_file_stat *stat, struct mor_error *err)
{
    struct gathering gathering;
    struct hudi_base_file file;
    gathering_init(&gathering, write, changes, group, stat->name, number, 0);
    size_t column_count = gathering.scratch->column_count,
           derived_count = gathering.table->derived_count;
    gathering.rows = mor_calloc(column_count, sizeof *gathering.rows);
    MOR_AUTO_FREE const char **constants = mor_calloc(column_count, sizeof *constants);
    constants[INSTANT_COLUMN] = write->instant;
    constants[PARTITION_COLUMN] = group->partition;
    constants[FILE_COLUMN] = stat->name;
    for (size_t i = 0; i < derived_count; i++)
        constants[column_count - derived_count + i] = gathering.derived_values[i];
    enum mor_status status =
        hudi_base_file_open(&file, gathering.table, stat->staged,
                            &(struct hudi_base_file_options){.constants = constants}, err);
    if (status == MOR_OK)
        status = write_rows(&gathering, &file, group->upserts, group->upsert_count, err);
    if (status == MOR_OK)
        status = hudi_base_file_finish(&file, write->change.files, &stat->size_bytes, err);
    stat->rows = (int64_t)group->upsert_count;
    hudi_base_file_done(&file);
    gathering_done(&gathering);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not write '%s'", stat->staged);
}

// ---- log ----------------------------------------------------------------------------------------

static enum mor_status flush(struct mor_sink *sink, struct mor_buffer *bytes, struct mor_error *err)
{
    MOR_TRY(mor_sink_write(sink, bytes->data, bytes->size_bytes, err));
    mor_buffer_reset(bytes);
    return MOR_OK;
}

// The constant parts of a log's records, as Avro: the instant, then what lies behind the key, then
// what lies behind the columns.
struct record_frame {
    struct mor_buffer instant, places, derived;
    char sequence[96]; // "<instant>_<number>_", the counter follows
    size_t sequence_prefix;
};

static void put_nullable_text(struct mor_buffer *bytes, const char *text)
{
    mor_buffer_append_u8(bytes, text ? 2 : 0); // branch of ["null", "string"]
    if (text)
        mor_avro_put_bytes(bytes, text, strlen(text));
}

static void record_frame_init(struct record_frame *frame, const struct gathering *gathering)
{
    *frame = (struct record_frame){0};
    put_nullable_text(&frame->instant, gathering->write->instant);
    put_nullable_text(&frame->places, gathering->partition);
    put_nullable_text(&frame->places, gathering->file_name);
    for (size_t i = 0; i < gathering->table->derived_count; i++)
        put_nullable_text(&frame->derived, gathering->derived_values[i]);
    frame->sequence_prefix =
        (size_t)snprintf(frame->sequence, sizeof frame->sequence - 24, "%s_%d_",
                         gathering->write->instant, gathering->number);
}

static void record_frame_done(struct record_frame *frame)
{
    mor_buffer_done(&frame->instant);
    mor_buffer_done(&frame->places);
    mor_buffer_done(&frame->derived);
}

// A row lies in as many places as it has columns, which no prefetcher follows: what is asked for
// early is there when its turn comes. Offsets are asked for first, then the bytes that they lead
// to.
static void prefetch_row(const struct gathering *gathering, const struct mor_change_group *group,
                         size_t next)
{
    if (next + PREFETCH_FAR >= group->upsert_count)
        return;
    const struct mor_row_ref *far = &group->upserts[next + PREFETCH_FAR];
    const struct mor_row_ref *near = &group->upserts[next + PREFETCH_NEAR];
    const struct mor_batch *batch = gathering->changes->batches[far->batch];
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct mor_vector *column = &batch->columns[i];
        size_t width = mor_type_width(column->field);
        if (width > 0)
            __builtin_prefetch(column->data.data + far->row * width);
        else if (column->offsets.size_bytes > 0)
            __builtin_prefetch(column->offsets.data + far->row * sizeof(int32_t));
    }
    batch = gathering->changes->batches[near->batch];
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct mor_vector *column = &batch->columns[i];
        if (column->offsets.size_bytes > 0 && column->child_count == 0)
            __builtin_prefetch(column->data.data + mor_vector_offsets(column)[near->row]);
    }
}

// One row straight from the columns that hold it: gathering it first would cost more than writing
// it.
static enum mor_status write_record(struct gathering *gathering, struct record_frame *frame,
                                    const struct mor_row_ref *ref, struct mor_buffer *bytes,
                                    struct mor_error *err)
{
    const struct mor_batch *batch = gathering->changes->batches[ref->batch];
    const struct mor_field *stored = gathering->table->stored_schema->root.children;
    char digits[24], *const end = digits + sizeof digits;
    MOR_TRY(row_key(gathering, batch, ref->row, 0, err));
    const char *start = put_digits(end, gathering->sequence++);
    memcpy(frame->sequence + frame->sequence_prefix, start, (size_t)(end - start));
    size_t record = hudi_record_begin(bytes);
    mor_buffer_append(bytes, frame->instant.data, frame->instant.size_bytes);
    mor_buffer_append_u8(bytes, 2);
    mor_avro_put_bytes(bytes, frame->sequence, frame->sequence_prefix + (size_t)(end - start));
    mor_buffer_append_u8(bytes, 2);
    mor_avro_put_bytes(bytes, gathering->key.data, gathering->key.size_bytes);
    mor_buffer_append(bytes, frame->places.data, frame->places.size_bytes);
    mor_avro_encode_fields(stored + HUDI_META_COLUMNS, batch->columns, batch->column_count,
                           ref->row, bytes);
    mor_buffer_append(bytes, frame->derived.data, frame->derived.size_bytes);
    hudi_record_end(bytes, record);
    return MOR_OK;
}

static enum mor_status write_data_block(struct gathering *gathering, struct record_frame *frame,
                                        const struct mor_change_group *group, size_t *next,
                                        struct mor_buffer *bytes, struct mor_error *err)
{
    struct hudi_block_writer block;
    hudi_block_begin(&block, bytes, HUDI_BLOCK_AVRO, gathering->write->instant,
                     gathering->table->block_schema_json);
    size_t records = hudi_records_begin(bytes), first = *next;
    while (*next < group->upsert_count && bytes->size_bytes < HUDI_BLOCK_BYTES_TARGET) {
        prefetch_row(gathering, group, *next);
        MOR_TRY(write_record(gathering, frame, &group->upserts[(*next)++], bytes, err));
    }
    hudi_records_end(bytes, records, (uint32_t)(*next - first));
    hudi_block_end(&block);
    return MOR_OK;
}

static enum mor_status write_data_blocks(struct gathering *gathering,
                                         const struct mor_change_group *group,
                                         struct mor_sink *sink, struct mor_buffer *bytes,
                                         struct mor_error *err)
{
    struct record_frame frame;
    record_frame_init(&frame, gathering);
    enum mor_status status = MOR_OK;
    for (size_t next = 0; next < group->upsert_count && status == MOR_OK;) {
        status = write_data_block(gathering, &frame, group, &next, bytes, err);
        if (status == MOR_OK)
            status = flush(sink, bytes, err);
    }
    record_frame_done(&frame);
    return status;
}

static enum mor_status write_delete_blocks(struct gathering *gathering,
                                           const struct mor_change_group *group,
                                           struct mor_sink *sink, struct mor_buffer *bytes,
                                           struct mor_error *err)
{
    for (size_t next = 0; next < group->delete_count;) {
        size_t left = group->delete_count - next;
        size_t count = left < DELETES_PER_BLOCK ? left : DELETES_PER_BLOCK;
        struct hudi_block_writer block;
        hudi_block_begin(&block, bytes, HUDI_BLOCK_DELETE, gathering->write->instant,
                         gathering->table->block_schema_json);
        size_t deletes = hudi_deletes_begin(bytes, count);
        for (size_t i = next; i < next + count; i++) {
            const struct mor_row_ref *ref = &group->deletes[i];
            MOR_TRY(row_key(gathering, gathering->changes->batches[ref->batch], ref->row, 0, err));
            hudi_delete_add(bytes, gathering->key.data, gathering->key.size_bytes,
                            gathering->partition);
        }
        hudi_deletes_end(bytes, deletes);
        hudi_block_end(&block);
        MOR_TRY(flush(sink, bytes, err));
        next += count;
    }
    return MOR_OK;
}

enum mor_status hudi_encode_log(struct hudi_write *write, const struct mor_change_set *changes,
                                const struct mor_change_group *group, int32_t number,
                                struct hudi_file_stat *stat, struct mor_error *err)
{
    struct mor_table *head = write->write.table;
    const char *key = stat->staged;
    struct mor_sink *sink = NULL;
    MOR_TRY(mor_store_create(head->store, key, &sink, err));
    struct gathering gathering;
    gathering_init(&gathering, write, changes, group, stat->file_id, number, 1);
    struct mor_buffer bytes;
    mor_buffer_init(&bytes, head->budget);
    enum mor_status status = write_data_blocks(&gathering, group, sink, &bytes, err);
    if (status == MOR_OK)
        status = write_delete_blocks(&gathering, group, sink, &bytes, err);
    if (status == MOR_OK)
        status = mor_fault("hudi.file_written", err);
    if (status == MOR_OK) {
        stat->rows = (int64_t)group->upsert_count;
        stat->deletes = (int64_t)group->delete_count;
        stat->size_bytes = mor_sink_position(sink);
        status = mor_sink_batch_add(write->change.files, sink, err);
        sink = NULL;
    }
    mor_buffer_done(&bytes);
    gathering_done(&gathering);
    mor_sink_free(sink);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not write '%s'", key);
}
