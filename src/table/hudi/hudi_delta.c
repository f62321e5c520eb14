// The logs of a slice as rows and deletes, in commit order.
//
// First all blocks are found, because a command block at the end can take back what a block before
// it says; then the ones that count are decoded one at a time.
#include <string.h>

#include "hudi/hudi_log.h"
#include "hudi/hudi_table.h"
#include "moraine/avro.h"
#include "moraine/parquet.h"

#define BATCH_ROWS_MAX  4096
#define BATCH_BYTES_MAX (8u << 20)

struct place {
    struct mor_reader *reader;
    const char *key;
    struct hudi_block block;
};

struct hudi_delta {
    struct mor_delta delta;
    const struct mor_schema *wanted; // borrowed
    struct mor_arena arena;
    struct mor_reader **readers;
    size_t reader_count;
    struct place *places;
    size_t place_count, next_place;
    struct mor_batch *rows;
    const uint8_t *row_bits; // borrowed, NULL = all rows
    uint64_t row_bit_count, row_next;
    struct mor_schema *delete_schema;
    struct mor_batch *deletes;

    // the block that is being decoded
    struct mor_buffer content;
    size_t content_at;
    uint32_t records_left;
    struct mor_parquet_reader *parquet;
    struct mor_batch *parquet_rows; // before the selection

    // plan for the schema of the block before; neighbours mostly share it
    const char *plan_json;
    struct mor_avro_schema *writer_schema;
    struct mor_avro_plan *plan;
};

void hudi_merge_rule(const struct mor_table *head, struct mor_merge_rule *ret_rule)
{
    const struct hudi_table *table = hudi_of_const(head);
    *ret_rule = (struct mor_merge_rule){
        .key_column = HUDI_KEY_COLUMN,
        .ordering_column = table->by_ordering ? table->ordering_name : NULL,
        .by_ordering = table->by_ordering,
        .commit_column = table->has_meta_columns ? HUDI_COMMIT_COLUMN : NULL,
        .sequence_column = table->has_meta_columns ? HUDI_SEQUENCE_COLUMN : NULL,
    };
}

const struct mor_field *hudi_column(const struct mor_table *head, const char *name)
{
    const struct mor_schema *schema = hudi_of_const(head)->stored_schema;
    int32_t index = mor_schema_find(schema, name);
    return index < 0 ? NULL : &schema->root.children[index];
}

// ---- finding blocks -----------------------------------------------------------------------------

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

static enum mor_status index_logs(struct hudi_delta *delta, const struct mor_slice *slice,
                                  struct mor_error *err)
{
    struct mor_store *store = delta->delta.table->store;
    size_t capacity = 0;
    delta->readers = mor_calloc(slice->delta_count + 1, sizeof *delta->readers);
    for (size_t i = 0; i < slice->delta_count; i++) {
        const char *key = slice->delta_keys[i];
        struct mor_reader *reader = NULL;
        MOR_TRY(mor_store_open_object(store, key, &reader, err));
        delta->readers[delta->reader_count++] = reader;
        struct hudi_block *blocks = NULL;
        size_t count = 0;
        struct mor_byte_source source = {
            .context = reader, .size_bytes = mor_reader_size_bytes(reader), .read = read_object};
        MOR_TRY(hudi_log_index(&source, key, &delta->arena, &blocks, &count, err));
        if (delta->place_count + count > capacity) {
            capacity = (delta->place_count + count) * 2;
            delta->places = mor_realloc(delta->places, capacity * sizeof *delta->places);
        }
        for (size_t b = 0; b < count; b++)
            delta->places[delta->place_count++] = (struct place){
                .reader = reader, .key = mor_arena_strdup(&delta->arena, key), .block = blocks[b]};
    }
    return MOR_OK;
}

// Instants whose blocks are void: taken back by a command block, or merged into a later block.
static enum mor_status collect_void(const struct hudi_delta *delta,
                                    const struct mor_snapshot *snapshot, struct mor_map *voided,
                                    struct mor_error *err)
{
    for (size_t i = 0; i < delta->place_count; i++) {
        const struct hudi_block *block = &delta->places[i].block;
        if (block->type == HUDI_BLOCK_COMMAND) {
            // a rollback is no commit of the timeline's write actions; it counts once it is written
            const char *target = block->header[HUDI_HEADER_TARGET_INSTANT];
            if (target)
                mor_map_put_text(voided, target, NULL);
            continue;
        }
        const char *merged = block->header[HUDI_HEADER_COMPACTED_TIMES];
        if (!merged || !hudi_snapshot_sees(snapshot, block->header[HUDI_HEADER_INSTANT]))
            continue;
        MOR_AUTO_FREE char *copy = mor_strdup(merged);
        char *rest = copy;
        for (char *part; (part = strsep(&rest, ",")) != NULL;)
            mor_map_put_text(voided, part, NULL);
    }
    for (size_t i = 0; i < delta->place_count; i++) {
        const char *partial = delta->places[i].block.header[HUDI_HEADER_IS_PARTIAL];
        if (partial && strcmp(partial, "true") == 0)
            return mor_error_set(err, MOR_FATAL, "'%s' holds partial updates, which cannot be read",
                                 delta->places[i].key);
    }
    return MOR_OK;
}

static enum mor_status keep_valid(struct hudi_delta *delta, const struct mor_slice *slice,
                                  struct mor_error *err)
{
    struct mor_map voided = {0};
    enum mor_status status = collect_void(delta, slice->snapshot, &voided, err);
    size_t kept = 0;
    for (size_t i = 0; i < delta->place_count && status == MOR_OK; i++) {
        const struct hudi_block *block = &delta->places[i].block;
        const char *instant = block->header[HUDI_HEADER_INSTANT];
        if (block->type == HUDI_BLOCK_COMMAND || block->type == HUDI_BLOCK_CDC ||
            block->type == HUDI_BLOCK_CORRUPT || mor_map_find_text(&voided, instant) ||
            !hudi_snapshot_sees(slice->snapshot, instant))
            continue;
        if (block->type == HUDI_BLOCK_HFILE)
            status = mor_error_set(err, MOR_FATAL, "'%s' holds HFile blocks, which cannot be read",
                                   delta->places[i].key);
        delta->places[kept++] = delta->places[i];
    }
    delta->place_count = kept;
    mor_map_done(&voided);
    return status;
}

static void make_delete_batch(struct hudi_delta *delta)
{
    const struct hudi_table *table = hudi_of_const(delta->delta.table);
    delta->delete_schema = mor_schema_new("deletes");
    mor_schema_add(delta->delete_schema, NULL, HUDI_KEY_COLUMN, MOR_TYPE_STRING, false);
    if (table->by_ordering) {
        const struct mor_field *ordering = hudi_column(&table->table, table->ordering_name);
        mor_schema_add_copy(delta->delete_schema, NULL, ordering)->nullable = true;
    }
    delta->deletes = mor_batch_new(delta->delete_schema, delta->delta.table->budget);
}

enum mor_status hudi_delta_open(struct mor_table *head, const struct mor_slice *slice,
                                const struct mor_schema *wanted, struct mor_delta **ret_delta,
                                struct mor_error *err)
{
    const struct hudi_table *table = hudi_of_const(head);
    if (slice->delta_count > 0 && !table->has_meta_columns)
        return mor_error_set(err, MOR_FATAL,
                             "the table has logs but no meta columns; it cannot be merged");
    if (table->by_ordering && !hudi_column(head, table->ordering_name))
        return mor_error_set(err, MOR_DATA, "ordering column '%s' is not in the table's schema",
                             table->ordering_name);
    struct hudi_delta *delta = mor_calloc(1, sizeof *delta);
    delta->delta.table = head;
    delta->wanted = wanted;
    mor_arena_init(&delta->arena, 0, head->budget);
    mor_buffer_init(&delta->content, head->budget);
    delta->rows = mor_batch_new(wanted, head->budget);
    make_delete_batch(delta);
    enum mor_status status = index_logs(delta, slice, err);
    if (status == MOR_OK)
        status = keep_valid(delta, slice, err);
    if (status != MOR_OK) {
        hudi_delta_free(&delta->delta);
        return status;
    }
    *ret_delta = &delta->delta;
    return MOR_OK;
}

void hudi_delta_free(struct mor_delta *base)
{
    struct hudi_delta *delta = (struct hudi_delta *)base;
    mor_parquet_reader_free(delta->parquet);
    mor_avro_plan_free(delta->plan);
    mor_avro_schema_free(delta->writer_schema);
    mor_batch_free(delta->rows);
    mor_batch_free(delta->parquet_rows);
    mor_batch_free(delta->deletes);
    mor_schema_free(delta->delete_schema);
    mor_buffer_done(&delta->content);
    for (size_t i = 0; i < delta->reader_count; i++)
        mor_reader_free(delta->readers[i]);
    free(delta->readers);
    free(delta->places);
    mor_arena_done(&delta->arena);
    free(delta);
}

// ---- decoding blocks ----------------------------------------------------------------------------

static uint32_t be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static enum mor_status use_plan(struct hudi_delta *delta, const char *json, struct mor_error *err)
{
    if (delta->plan && strcmp(delta->plan_json, json) == 0)
        return MOR_OK;
    mor_avro_plan_free(delta->plan);
    mor_avro_schema_free(delta->writer_schema);
    delta->plan = NULL;
    delta->writer_schema = NULL;
    MOR_TRY(mor_avro_schema_parse(json, strlen(json), &delta->writer_schema, err));
    MOR_TRY(mor_avro_plan_new(delta->writer_schema, delta->wanted, &delta->plan, err));
    delta->plan_json = json;
    return MOR_OK;
}

static enum mor_status begin_records(struct hudi_delta *delta, const struct hudi_block *block,
                                     struct mor_error *err)
{
    const char *json = block->header[HUDI_HEADER_SCHEMA];
    if (!json)
        return mor_error_set(err, MOR_DATA, "a data block has no schema");
    if (delta->content.size_bytes < 8)
        return mor_error_set(err, MOR_DATA, "a data block is cut");
    if (be32(delta->content.data) != 3)
        return mor_error_set(err, MOR_DATA,
                             "a data block has content version %u; only version 3 can be read",
                             be32(delta->content.data));
    MOR_TRY(use_plan(delta, json, err));
    delta->records_left = be32(delta->content.data + 4);
    delta->content_at = 8;
    return MOR_OK;
}

void hudi_delta_select(struct mor_delta *base, const uint8_t *row_bits, uint64_t row_count)
{
    struct hudi_delta *delta = (struct hudi_delta *)base;
    delta->row_bits = row_bits;
    delta->row_bit_count = row_count;
}

// Whether the next row is asked for.
static bool take_turn(struct hudi_delta *delta)
{
    uint64_t row = delta->row_next++;
    return !delta->row_bits || (row < delta->row_bit_count && mor_bit_get(delta->row_bits, row));
}

static enum mor_status next_records(struct hudi_delta *delta, struct mor_error *err)
{
    struct mor_batch *rows = delta->rows;
    mor_batch_reset(rows);
    size_t bytes = 0;
    while (delta->records_left > 0 && rows->row_count < BATCH_ROWS_MAX && bytes < BATCH_BYTES_MAX) {
        size_t left = delta->content.size_bytes - delta->content_at;
        const uint8_t *record = delta->content.data + delta->content_at;
        if (left < 4 || be32(record) > left - 4)
            return mor_error_set(err, MOR_DATA, "a data block is cut");
        uint32_t size = be32(record);
        if (take_turn(delta)) {
            MOR_TRY(mor_avro_plan_decode(delta->plan, record + 4, size, rows->columns, NULL, err));
            rows->row_count++;
            bytes += size;
        }
        delta->content_at += 4 + (size_t)size;
        delta->records_left--;
    }
    return MOR_OK;
}

static enum mor_status read_content(void *context, int64_t offset, void *ret_bytes,
                                    size_t size_bytes, struct mor_error *err)
{
    const struct mor_buffer *content = context;
    if (offset < 0 || (uint64_t)offset > content->size_bytes ||
        size_bytes > content->size_bytes - (size_t)offset)
        return mor_error_set(err, MOR_DATA, "a Parquet block is cut");
    memcpy(ret_bytes, content->data + offset, size_bytes);
    return MOR_OK;
}

static enum mor_status begin_parquet(struct hudi_delta *delta, struct mor_error *err)
{
    struct mor_byte_source source = {.context = &delta->content,
                                     .size_bytes = (int64_t)delta->content.size_bytes,
                                     .read = read_content};
    MOR_TRY(mor_parquet_reader_open(&source, delta->delta.table->budget, &delta->parquet, err));
    return mor_parquet_reader_project(delta->parquet, delta->wanted, err);
}

// A delete that states an ordering value of another kind than the column's is one without: Java's
// readers compare values of one class only.
static enum mor_status add_delete(void *context, const struct hudi_delete *entry,
                                  struct mor_error *err)
{
    (void)err;
    struct mor_batch *deletes = context;
    mor_vector_append_bytes(&deletes->columns[0], entry->key, entry->key_size_bytes);
    deletes->row_count++;
    if (deletes->column_count == 1)
        return MOR_OK;
    struct mor_vector *vector = &deletes->columns[1];
    enum mor_type type = vector->field->type;
    bool is_32 = type == MOR_TYPE_INT32 || type == MOR_TYPE_DATE;
    bool is_64 = type == MOR_TYPE_INT64 || type == MOR_TYPE_TIMESTAMP_MICROS ||
                 type == MOR_TYPE_TIMESTAMP_MILLIS;
    int32_t narrow = (int32_t)entry->number;
    float single = (float)entry->real;
    if (entry->ordering == HUDI_ORDERING_NUMBER && is_64)
        mor_vector_append_fixed(vector, &entry->number);
    else if (entry->ordering == HUDI_ORDERING_NUMBER && is_32 && narrow == entry->number)
        mor_vector_append_fixed(vector, &narrow);
    else if (entry->ordering == HUDI_ORDERING_REAL && type == MOR_TYPE_DOUBLE)
        mor_vector_append_fixed(vector, &entry->real);
    else if (entry->ordering == HUDI_ORDERING_REAL && type == MOR_TYPE_FLOAT)
        mor_vector_append_fixed(vector, &single);
    else if (entry->ordering == HUDI_ORDERING_BYTES && type == MOR_TYPE_STRING)
        mor_vector_append_bytes(vector, entry->bytes, entry->bytes_size_bytes);
    else
        mor_vector_append_null(vector);
    return MOR_OK;
}

static enum mor_status read_block(struct hudi_delta *delta, const struct place *place,
                                  struct mor_error *err)
{
    size_t size = (size_t)place->block.content_size_bytes;
    mor_buffer_reset(&delta->content);
    mor_buffer_reserve(&delta->content, size);
    MOR_TRY(mor_reader_read(place->reader, place->block.content_offset, delta->content.data, size,
                            err));
    delta->content.size_bytes = size;
    return MOR_OK;
}

// Loads the next block; *ret_kind tells what it gave, ROWS also when it has none.
static enum mor_status begin_block(struct hudi_delta *delta, enum mor_delta_kind *ret_kind,
                                   struct mor_error *err)
{
    const struct place *place = &delta->places[delta->next_place++];
    MOR_TRY(read_block(delta, place, err));
    *ret_kind = MOR_DELTA_ROWS;
    if (place->block.type == HUDI_BLOCK_AVRO)
        return begin_records(delta, &place->block, err);
    if (place->block.type == HUDI_BLOCK_PARQUET)
        return begin_parquet(delta, err);
    *ret_kind = MOR_DELTA_DELETES;
    mor_batch_reset(delta->deletes);
    return hudi_deletes_read(delta->content.data, delta->content.size_bytes, add_delete,
                             delta->deletes, err);
}

// Rows left in the block at hand.
static enum mor_status next_rows(struct hudi_delta *delta, struct mor_error *err)
{
    if (!delta->parquet)
        return next_records(delta, err);
    if (!delta->parquet_rows)
        delta->parquet_rows = mor_batch_new(delta->wanted, delta->delta.table->budget);
    MOR_TRY(
        mor_parquet_reader_next(delta->parquet, BATCH_ROWS_MAX, delta->parquet_rows, NULL, err));
    if (delta->parquet_rows->row_count == 0) {
        mor_parquet_reader_free(delta->parquet);
        delta->parquet = NULL;
    }
    uint32_t taken[BATCH_ROWS_MAX];
    size_t count = 0;
    for (uint32_t row = 0; row < delta->parquet_rows->row_count; row++) {
        if (take_turn(delta))
            taken[count++] = row;
    }
    mor_batch_reset(delta->rows);
    mor_batch_append_rows(delta->rows, delta->parquet_rows, taken, count);
    return MOR_OK;
}

enum mor_status hudi_delta_next(struct mor_delta *base, enum mor_delta_kind *ret_kind,
                                const struct mor_batch **ret_batch, struct mor_error *err)
{
    struct hudi_delta *delta = (struct hudi_delta *)base;
    for (;;) {
        enum mor_status status = MOR_OK;
        if (delta->records_left > 0 || delta->parquet) {
            status = next_rows(delta, err);
            if (status == MOR_OK && delta->rows->row_count > 0) {
                *ret_kind = MOR_DELTA_ROWS;
                *ret_batch = delta->rows;
                return MOR_OK;
            }
        } else if (delta->next_place == delta->place_count) {
            *ret_kind = MOR_DELTA_END;
            *ret_batch = NULL;
            return MOR_OK;
        } else {
            enum mor_delta_kind kind;
            status = begin_block(delta, &kind, err);
            if (status == MOR_OK && kind == MOR_DELTA_DELETES) {
                *ret_kind = kind;
                *ret_batch = delta->deletes;
                return MOR_OK;
            }
        }
        if (status != MOR_OK)
            return mor_error_wrap(err, "could not read '%s'",
                                  delta->places[delta->next_place - 1].key);
    }
}
