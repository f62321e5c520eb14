// Metrics of the columns of a data file: counts and bounds, collected as rows go into it.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "iceberg_bounds.h"

// Columns nested in structs are reached by the indices on the way.
struct column {
    const struct mor_field *field;
    uint32_t path[MOR_SCHEMA_DEPTH_MAX];
    size_t depth;
    int64_t value_count, null_count, nan_count;
    bool has_bounds;
    union {
        int64_t integer;
        double number;
        mor_int128 decimal;
    } low, high;
    struct mor_buffer low_bytes, high_bytes;
};

struct iceberg_metrics {
    struct column *columns;
    size_t column_count, column_max;
    size_t bound_length;
    bool whole; // lists and maps too
};

static bool is_nested(const struct mor_field *field)
{
    return field->type == MOR_TYPE_LIST || field->type == MOR_TYPE_MAP;
}

static void add_columns(struct iceberg_metrics *metrics, const struct mor_field *parent,
                        uint32_t *path, size_t depth)
{
    for (size_t i = 0; i < parent->child_count && depth < MOR_SCHEMA_DEPTH_MAX; i++) {
        const struct mor_field *field = &parent->children[i];
        path[depth] = (uint32_t)i;
        if (field->type == MOR_TYPE_STRUCT || (metrics->whole && is_nested(field))) {
            add_columns(metrics, field, path, depth + 1);
        } else if (!is_nested(field) && metrics->column_count < metrics->column_max) {
            struct column *column = &metrics->columns[metrics->column_count++];
            column->field = field;
            column->depth = depth + 1;
            memcpy(column->path, path, sizeof column->path);
        }
    }
}

static struct iceberg_metrics *metrics_new(const struct mor_schema *schema, size_t column_max,
                                           bool whole)
{
    struct iceberg_metrics *metrics = mor_calloc(1, sizeof *metrics);
    metrics->column_max = column_max;
    metrics->bound_length = whole ? SIZE_MAX : ICEBERG_BOUND_LENGTH;
    metrics->whole = whole;
    metrics->columns = mor_calloc(metrics->column_max, sizeof *metrics->columns);
    uint32_t path[MOR_SCHEMA_DEPTH_MAX] = {0};
    add_columns(metrics, &schema->root, path, 0);
    return metrics;
}

struct iceberg_metrics *iceberg_metrics_new(const struct mor_schema *schema, size_t column_max)
{
    return metrics_new(schema, column_max > 0 ? column_max : ICEBERG_METRIC_COLUMNS, false);
}

struct iceberg_metrics *iceberg_metrics_new_whole(const struct mor_schema *schema)
{
    return metrics_new(schema, MOR_SCHEMA_FIELDS_MAX, true);
}

void iceberg_metrics_free(struct iceberg_metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->column_count; i++) {
        mor_buffer_done(&metrics->columns[i].low_bytes);
        mor_buffer_done(&metrics->columns[i].high_bytes);
    }
    free(metrics->columns);
    free(metrics);
}

// ---- collecting ---------------------------------------------------------------------------------

// Rows of a batch: by index, or a range.
struct rows {
    const uint32_t *indices; // NULL = range
    size_t first, count;
};

static inline size_t row_at(const struct rows *rows, size_t i)
{
    return rows->indices ? rows->indices[i] : rows->first + i;
}

// A loop over the values that are there; `load` reads slot `row`.
#define COLLECT(type, member, load)                                                                \
    do {                                                                                           \
        bool any = column->has_bounds;                                                             \
        type low = any ? (type)column->low.member : 0, high = any ? (type)column->high.member : 0; \
        for (size_t i = 0; i < rows->count; i++) {                                                 \
            size_t row = row_at(rows, i);                                                          \
            if (mor_vector_is_null(vector, row))                                                   \
                continue;                                                                          \
            type value = (load);                                                                   \
            low = !any || value < low ? value : low;                                               \
            high = !any || value > high ? value : high;                                            \
            any = true;                                                                            \
        }                                                                                          \
        column->has_bounds = any;                                                                  \
        column->low.member = low;                                                                  \
        column->high.member = high;                                                                \
    } while (0)

static void collect_floats(struct column *column, const struct mor_vector *vector,
                           const struct rows *rows)
{
    bool is_float = vector->field->type == MOR_TYPE_FLOAT;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = row_at(rows, i);
        if (mor_vector_is_null(vector, row))
            continue;
        double value = is_float ? (double)((const float *)(const void *)vector->data.data)[row]
                                : ((const double *)(const void *)vector->data.data)[row];
        if (isnan(value)) {
            column->nan_count++;
            continue;
        }
        if (!column->has_bounds || value < column->low.number)
            column->low.number = value;
        if (!column->has_bounds || value > column->high.number)
            column->high.number = value;
        column->has_bounds = true;
    }
}

static int compare(const uint8_t *bytes, size_t size_bytes, const struct mor_buffer *bound)
{
    size_t common = size_bytes < bound->size_bytes ? size_bytes : bound->size_bytes;
    int order = common > 0 ? memcmp(bytes, bound->data, common) : 0;
    return order != 0 ? order : (size_bytes > bound->size_bytes) - (size_bytes < bound->size_bytes);
}

static void keep(struct mor_buffer *bound, const uint8_t *bytes, size_t size_bytes)
{
    mor_buffer_reset(bound);
    mor_buffer_append(bound, bytes, size_bytes);
}

static void collect_bytes(struct column *column, const struct mor_vector *vector,
                          const struct rows *rows)
{
    size_t width = mor_type_width(vector->field);
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = row_at(rows, i), size = width;
        if (mor_vector_is_null(vector, row))
            continue;
        const uint8_t *bytes =
            width > 0 ? vector->data.data + row * width : mor_vector_bytes_at(vector, row, &size);
        if (!column->has_bounds || compare(bytes, size, &column->low_bytes) < 0)
            keep(&column->low_bytes, bytes, size);
        if (!column->has_bounds || compare(bytes, size, &column->high_bytes) > 0)
            keep(&column->high_bytes, bytes, size);
        column->has_bounds = true;
    }
}

static void collect_values(struct column *column, const struct mor_vector *vector,
                           const struct rows *rows)
{
    switch (vector->field->type) {
    case MOR_TYPE_BOOL:
        COLLECT(int64_t, integer, mor_bit_get(vector->data.data, row) ? 1 : 0);
        break;
    case MOR_TYPE_INT32:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MILLIS:
        COLLECT(int32_t, integer, mor_vector_i32(vector, row));
        break;
    case MOR_TYPE_INT64:
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        COLLECT(int64_t, integer, mor_vector_i64(vector, row));
        break;
    case MOR_TYPE_DECIMAL:
        COLLECT(mor_int128, decimal, mor_vector_decimal(vector, row));
        break;
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DOUBLE:
        collect_floats(column, vector, rows);
        break;
    default:
        collect_bytes(column, vector, rows);
        break;
    }
}

static void collect(struct iceberg_metrics *metrics, const struct mor_batch *batch,
                    const struct rows *rows)
{
    for (size_t c = 0; c < metrics->column_count; c++) {
        struct column *column = &metrics->columns[c];
        const struct mor_vector *vector = &batch->columns[column->path[0]];
        const struct rows *slots = rows;
        struct rows elements;
        for (size_t level = 1; level < column->depth; level++) {
            bool nested = is_nested(vector->field);
            vector = &vector->children[column->path[level]];
            if (nested) { // all of the batch
                elements = (struct rows){.count = vector->length};
                slots = &elements;
            }
        }
        column->value_count += (int64_t)slots->count;
        if (vector->null_count > 0) {
            for (size_t i = 0; i < slots->count; i++)
                column->null_count += mor_vector_is_null(vector, row_at(slots, i)) ? 1 : 0;
        }
        collect_values(column, vector, slots);
    }
}

void iceberg_metrics_add(struct iceberg_metrics *metrics, const struct mor_batch *batch,
                         size_t first, size_t count)
{
    struct rows rows = {.first = first, .count = count};
    collect(metrics, batch, &rows);
}

void iceberg_metrics_add_rows(struct iceberg_metrics *metrics, const struct mor_batch *batch,
                              const uint32_t *indices, size_t count)
{
    struct rows rows = {.indices = indices, .count = count};
    if (count > 0)
        collect(metrics, batch, &rows);
}

// ---- the result ---------------------------------------------------------------------------------

static struct iceberg_value value_of(const struct mor_buffer *bytes, struct mor_arena *arena)
{
    static const uint8_t empty[1];
    struct iceberg_value value = {bytes->size_bytes > 0 ? bytes->data : empty, bytes->size_bytes};
    return iceberg_value_copy(value, arena);
}

static void put_number(struct mor_buffer *bytes, const struct column *column, bool high)
{
    double number = high ? column->high.number : column->low.number;
    if (number == 0)
        number = high ? 0.0 : -0.0;
    if (column->field->type == MOR_TYPE_FLOAT) {
        float narrow = (float)number;
        mor_buffer_append(bytes, &narrow, sizeof narrow);
    } else {
        mor_buffer_append(bytes, &number, sizeof number);
    }
}

static void put_bound(struct mor_buffer *bytes, const struct column *column, bool high)
{
    struct mor_field field = *column->field;
    field.nullable = false;
    struct mor_vector vector;
    mor_vector_init(&vector, &field, NULL);
    int64_t integer = high ? column->high.integer : column->low.integer;
    int32_t narrow = (int32_t)integer;
    switch (field.type) {
    case MOR_TYPE_BOOL:
        mor_vector_append_bool(&vector, integer != 0);
        break;
    case MOR_TYPE_INT32:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MILLIS:
        mor_vector_append_fixed(&vector, &narrow);
        break;
    case MOR_TYPE_DECIMAL:
        mor_vector_append_fixed(&vector, high ? &column->high.decimal : &column->low.decimal);
        break;
    default:
        mor_vector_append_fixed(&vector, &integer);
        break;
    }
    iceberg_value_of_slot(&vector, 0, bytes);
    mor_vector_done(&vector);
}

static bool is_bytes(const struct mor_field *field)
{
    switch (field->type) {
    case MOR_TYPE_STRING:
    case MOR_TYPE_BYTES:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
    case MOR_TYPE_FIXED:
    case MOR_TYPE_UUID:
        return true;
    default:
        return false;
    }
}

static struct iceberg_value bound_of(const struct column *column, bool high, size_t length,
                                     struct mor_arena *arena)
{
    const struct mor_field *field = column->field;
    MOR_AUTO_BUFFER bytes = {0};
    if (is_bytes(field)) {
        const struct mor_buffer *whole = high ? &column->high_bytes : &column->low_bytes;
        mor_buffer_append(&bytes, whole->data, whole->size_bytes);
        if (!high)
            bytes.size_bytes = iceberg_bound_cut_lower(field, bytes.data, bytes.size_bytes, length);
        else if (!iceberg_bound_cut_upper(field, &bytes, length))
            return (struct iceberg_value){0};
    } else if (field->type == MOR_TYPE_FLOAT || field->type == MOR_TYPE_DOUBLE) {
        put_number(&bytes, column, high);
    } else {
        put_bound(&bytes, column, high);
    }
    return value_of(&bytes, arena);
}

static int compare_columns(const void *a, const void *b)
{
    int32_t left = ((const struct iceberg_column_metrics *)a)->field_id;
    int32_t right = ((const struct iceberg_column_metrics *)b)->field_id;
    return (left > right) - (left < right);
}

void iceberg_metrics_finish(struct iceberg_metrics *metrics, struct mor_arena *arena,
                            struct iceberg_column_metrics **ret_columns, size_t *ret_count)
{
    struct iceberg_column_metrics *columns =
        mor_arena_calloc(arena, metrics->column_count + 1, sizeof *columns);
    for (size_t i = 0; i < metrics->column_count; i++) {
        const struct column *column = &metrics->columns[i];
        bool floating =
            column->field->type == MOR_TYPE_FLOAT || column->field->type == MOR_TYPE_DOUBLE;
        columns[i] = (struct iceberg_column_metrics){
            .field_id = column->field->field_id,
            .size_bytes = -1,
            .value_count = column->value_count,
            .null_count = column->null_count,
            .nan_count = floating ? column->nan_count : -1,
        };
        if (column->has_bounds) {
            columns[i].lower = bound_of(column, false, metrics->bound_length, arena);
            columns[i].upper = bound_of(column, true, metrics->bound_length, arena);
        }
    }
    if (metrics->column_count > 0)
        qsort(columns, metrics->column_count, sizeof *columns, compare_columns);
    *ret_columns = columns;
    *ret_count = metrics->column_count;
}
