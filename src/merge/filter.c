// Conditions on batches of rows, on table partitions, and handed down to files.
#include "filter.h"

#include <string.h>

#include "moraine/base/clock.h"
#include "ordering.h"

// ---- rows ---------------------------------------------------------------------------------------

// What a condition is for a row: neither true nor false where a null is compared.
enum truth { NO, YES, UNKNOWN };

static bool holds(enum filter_compare compare, int order)
{
    switch (compare) {
    case FILTER_EQUAL:
        return order == 0;
    case FILTER_NOT_EQUAL:
        return order != 0;
    case FILTER_LESS:
        return order < 0;
    case FILTER_LESS_OR_EQUAL:
        return order <= 0;
    case FILTER_GREATER:
        return order > 0;
    case FILTER_GREATER_OR_EQUAL:
        return order >= 0;
    }
    return false;
}

// '%' stands for any text, '_' for one character, '\' takes the next one as it is.
static bool is_like(const char *pattern, const uint8_t *text, const uint8_t *end)
{
    const char *retry_pattern = NULL;
    const uint8_t *retry_text = NULL;
    for (;;) {
        if (*pattern == '%') {
            retry_pattern = ++pattern;
            retry_text = text;
            continue;
        }
        bool escaped = *pattern == '\\' && pattern[1];
        uint8_t wanted = (uint8_t)pattern[escaped];
        bool any = !escaped && *pattern == '_';
        if (text < end && (any || (*pattern && wanted == *text))) {
            pattern += 1 + escaped;
            text++;
            while (any && text < end && (*text & 0xC0) == 0x80)
                text++;
            continue;
        }
        if (text == end && !*pattern)
            return true;
        if (!retry_pattern || retry_text == end)
            return false;
        pattern = retry_pattern;
        text = ++retry_text;
    }
}

static enum truth test(const struct filter_node *node, const struct mor_vector *column, size_t row)
{
    bool null = mor_vector_is_null(column, row);
    if (node->kind == FILTER_IS_NULL)
        return null ? YES : NO;
    if (null)
        return UNKNOWN;
    if (node->kind == FILTER_COMPARE)
        return holds(node->compare, mor_ordering_compare(column, row, &node->values, 0)) ? YES : NO;
    if (node->kind == FILTER_LIKE) {
        size_t size;
        const uint8_t *text = mor_vector_bytes_at(column, row, &size);
        return is_like(node->pattern, text, text + size) ? YES : NO;
    }
    size_t first = 0, last = node->values.length;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        int order = mor_ordering_compare(column, row, &node->values, node->sorted[middle]);
        if (order == 0)
            return YES;
        if (order < 0)
            last = middle;
        else
            first = middle + 1;
    }
    return NO;
}

static void evaluate(const struct filter_node *node, const struct mor_batch *batch, uint8_t *truths)
{
    size_t count = batch->row_count;
    if (node->kind == FILTER_AND || node->kind == FILTER_OR) {
        uint8_t decisive = node->kind == FILTER_AND ? NO : YES;
        uint8_t *others = mor_alloc(count + 1);
        evaluate(node->children[0], batch, truths);
        for (size_t c = 1; c < node->child_count; c++) {
            evaluate(node->children[c], batch, others);
            for (size_t i = 0; i < count; i++) {
                if (truths[i] != decisive && (others[i] == decisive || others[i] == UNKNOWN))
                    truths[i] = others[i];
            }
        }
        free(others);
        return;
    }
    if (node->kind == FILTER_NOT) {
        evaluate(node->children[0], batch, truths);
        for (size_t i = 0; i < count; i++)
            truths[i] = truths[i] == UNKNOWN ? UNKNOWN : !truths[i];
        return;
    }
    const struct mor_vector *column =
        &batch->columns[mor_schema_find(batch->schema, node->field->name)];
    for (size_t i = 0; i < count; i++)
        truths[i] = (uint8_t)test(node, column, i);
}

size_t mor_filter_select(const struct mor_filter *filter, const struct mor_batch *batch,
                         uint32_t *ret_rows)
{
    uint8_t truths[MOR_FILTER_ROWS_MAX];
    size_t count = 0;
    evaluate(filter->root, batch, truths);
    for (size_t i = 0; i < batch->row_count; i++) {
        if (truths[i] == YES)
            ret_rows[count++] = (uint32_t)i;
    }
    return count;
}

// ---- table partitions ---------------------------------------------------------------------------

// The values of a column that a table partition can hold: all, none but null, or a range.
struct range {
    bool any;                 // nothing is known
    bool null;                // null is the only value
    struct mor_vector bounds; // slot 0: least value, slot 1: the greatest
};

static int32_t number_at(const char *text, size_t digits)
{
    int32_t value = 0;
    while (digits-- > 0 && *text >= '0' && *text <= '9')
        value = value * 10 + (*text++ - '0');
    return value;
}

// First and last moment of "2026", "2026-01", "2026-01-31" or "2026-01-31-05", in microseconds.
static bool unit_range(enum mor_transform transform, const char *text, int64_t *first,
                       int64_t *last)
{
    static const size_t lengths[] = {[MOR_TRANSFORM_YEAR] = 4,
                                     [MOR_TRANSFORM_MONTH] = 7,
                                     [MOR_TRANSFORM_DAY] = 10,
                                     [MOR_TRANSFORM_HOUR] = 13};
    if (transform > MOR_TRANSFORM_HOUR || strlen(text) != lengths[transform])
        return false;
    struct mor_civil from = {number_at(text, 4), 1, 1}, to;
    if (transform >= MOR_TRANSFORM_MONTH)
        from.month = number_at(text + 5, 2);
    if (transform >= MOR_TRANSFORM_DAY)
        from.day = number_at(text + 8, 2);
    if (from.month < 1 || from.month > 12)
        return false;
    to = from;
    to.year += transform == MOR_TRANSFORM_YEAR;
    if (transform == MOR_TRANSFORM_MONTH) {
        to.year += from.month == 12;
        to.month = from.month % 12 + 1;
    }
    int64_t days = mor_days_from_civil(from);
    *first = days * 86400000000;
    *last = (transform >= MOR_TRANSFORM_DAY ? days + 1 : mor_days_from_civil(to)) * 86400000000 - 1;
    if (transform == MOR_TRANSFORM_HOUR) {
        *first += number_at(text + 11, 2) * (int64_t)3600000000;
        *last = *first + 3600000000 - 1;
    }
    return true;
}

static void append_moment(struct mor_vector *vector, int64_t us)
{
    if (vector->field->type == MOR_TYPE_DATE) {
        int32_t days = (int32_t)(us / 86400000000 - (us % 86400000000 < 0));
        mor_vector_append_fixed(vector, &days);
        return;
    }
    if (vector->field->type == MOR_TYPE_TIMESTAMP_MILLIS)
        us = us / 1000 - (us % 1000 < 0);
    mor_vector_append_fixed(vector, &us);
}

static bool is_moment(enum mor_type type)
{
    return type == MOR_TYPE_DATE || type == MOR_TYPE_TIMESTAMP_MILLIS ||
           type == MOR_TYPE_TIMESTAMP_MICROS;
}

static void range_of(const struct mor_table *table, const char *partition,
                     const struct mor_field *field, struct mor_arena *arena, struct range *range)
{
    const char *column, *text;
    enum mor_transform transform;
    range->any = true;
    mor_vector_init(&range->bounds, field, NULL);
    for (size_t i = 0;
         mor_table_partition_value(table, partition, i, arena, &column, &transform, &text); i++) {
        if (strcmp(column, field->name) != 0)
            continue;
        int64_t first, last;
        range->null = text == NULL;
        // empty texts lie where nulls do
        range->any = !text && field->type == MOR_TYPE_STRING;
        if (!text)
            return;
        if (transform == MOR_TRANSFORM_IDENTITY) {
            range->any = !mor_filter_append_literal(&range->bounds, text, strlen(text)) ||
                         !mor_filter_append_literal(&range->bounds, text, strlen(text));
        } else if (is_moment(field->type) && unit_range(transform, text, &first, &last)) {
            append_moment(&range->bounds, first);
            append_moment(&range->bounds, last);
        } else {
            range->any = true;
        }
        return;
    }
}

static bool range_may_hold(const struct range *range, enum filter_compare compare,
                           const struct mor_vector *values, size_t slot)
{
    int least = mor_ordering_compare(&range->bounds, 0, values, slot);
    int greatest = mor_ordering_compare(&range->bounds, 1, values, slot);
    switch (compare) {
    case FILTER_EQUAL:
        return least <= 0 && greatest >= 0;
    case FILTER_NOT_EQUAL:
        return least != 0 || greatest != 0;
    case FILTER_LESS:
        return least < 0;
    case FILTER_LESS_OR_EQUAL:
        return least <= 0;
    case FILTER_GREATER:
        return greatest > 0;
    case FILTER_GREATER_OR_EQUAL:
        return greatest >= 0;
    }
    return true;
}

static bool leaf_may_match(const struct filter_node *node, const struct range *range)
{
    if (range->any || node->kind == FILTER_LIKE)
        return true;
    if (node->kind == FILTER_IS_NULL)
        return range->null;
    if (range->null)
        return false;
    if (node->kind == FILTER_COMPARE)
        return range_may_hold(range, node->compare, &node->values, 0);
    for (size_t i = 0; i < node->values.length; i++) {
        if (range_may_hold(range, FILTER_EQUAL, &node->values, i))
            return true;
    }
    return false;
}

static bool may_match(const struct filter_node *node, const struct mor_table *table,
                      const char *partition, struct mor_arena *arena)
{
    if (node->kind == FILTER_AND || node->kind == FILTER_OR) {
        bool is_and = node->kind == FILTER_AND;
        for (size_t i = 0; i < node->child_count; i++) {
            if (may_match(node->children[i], table, partition, arena) != is_and)
                return !is_and;
        }
        return is_and;
    }
    if (node->kind == FILTER_NOT)
        return true;
    struct range range = {0};
    range_of(table, partition, node->field, arena, &range);
    bool result = leaf_may_match(node, &range);
    mor_vector_done(&range.bounds);
    return result;
}

bool mor_filter_partition_may_match(const struct mor_filter *filter, const struct mor_table *table,
                                    const char *partition)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    bool result = may_match(filter->root, table, partition, &arena);
    mor_arena_done(&arena);
    return result;
}

// ---- files --------------------------------------------------------------------------------------

static const void *value_bytes(const struct mor_vector *values, size_t slot, size_t *ret_size)
{
    static const uint8_t bits[2] = {0, 1};
    size_t width = mor_type_width(values->field);
    if (values->field->type == MOR_TYPE_BOOL) {
        *ret_size = 1;
        return &bits[mor_bit_get(values->data.data, slot)];
    }
    if (width == 0)
        return mor_vector_bytes_at(values, slot, ret_size);
    *ret_size = width;
    return values->data.data + slot * width;
}

struct predicates {
    const struct mor_schema *schema; // of the file
    const struct mor_table *table;
    bool keys_only;
    struct mor_parquet_predicate *list;
    size_t count;
};

static void add_compare(struct predicates *predicates, const struct filter_node *leaf,
                        const char *path, enum mor_parquet_compare compare, size_t slot)
{
    struct mor_parquet_predicate *predicate = &predicates->list[predicates->count++];
    *predicate = (struct mor_parquet_predicate){.path = path, .compare = compare};
    predicate->value = value_bytes(&leaf->values, slot, &predicate->value_size_bytes);
}

// The file's column of the condition, by its id where both have one; NULL when it has none.
static const struct mor_field *column_in_file(const struct mor_schema *schema,
                                              const struct mor_field *field)
{
    for (size_t i = 0; i < schema->root.child_count; i++) {
        const struct mor_field *in_file = &schema->root.children[i];
        bool by_id = in_file->field_id >= 0 && field->field_id >= 0;
        if (by_id ? in_file->field_id == field->field_id : strcmp(in_file->name, field->name) == 0)
            return in_file;
    }
    return NULL;
}

// Name of the column in the file, NULL when conditions on it say nothing there.
static const char *name_in_file(const struct predicates *predicates, const struct mor_field *field)
{
    if (field->child_count > 0 ||
        (predicates->keys_only && !mor_table_is_key_column(predicates->table, field->name)))
        return NULL;
    const struct mor_field *in_file = column_in_file(predicates->schema, field);
    // what has the name in the file may have been another column
    if (!in_file)
        return mor_schema_find(predicates->schema, field->name) >= 0 ? NULL : field->name;
    // values are laid out in the table's type; an older file may have another
    return in_file->type == field->type && in_file->scale == field->scale ? in_file->name : NULL;
}

// What every row must meet for which the node is true.
static void add_predicates(struct predicates *predicates, const struct filter_node *node)
{
    static const enum mor_parquet_compare compares[] = {
        [FILTER_EQUAL] = MOR_PARQUET_EQUAL,
        [FILTER_LESS] = MOR_PARQUET_LESS,
        [FILTER_LESS_OR_EQUAL] = MOR_PARQUET_LESS_OR_EQUAL,
        [FILTER_GREATER] = MOR_PARQUET_GREATER,
        [FILTER_GREATER_OR_EQUAL] = MOR_PARQUET_GREATER_OR_EQUAL,
    };
    if (node->kind == FILTER_AND) {
        for (size_t i = 0; i < node->child_count; i++)
            add_predicates(predicates, node->children[i]);
        return;
    }
    bool is_not = node->kind == FILTER_NOT;
    const struct filter_node *leaf = is_not ? node->children[0] : node;
    const char *path = leaf->field ? name_in_file(predicates, leaf->field) : NULL;
    if (!path)
        return;
    if (leaf->kind == FILTER_IS_NULL) {
        predicates->list[predicates->count++] = (struct mor_parquet_predicate){
            .path = path, .compare = is_not ? MOR_PARQUET_IS_NOT_NULL : MOR_PARQUET_IS_NULL};
    } else if (leaf->kind == FILTER_COMPARE && !is_not && leaf->compare != FILTER_NOT_EQUAL) {
        add_compare(predicates, leaf, path, compares[leaf->compare], 0);
    } else if (leaf->kind == FILTER_IN && !is_not) {
        size_t last = leaf->values.length - 1;
        add_compare(predicates, leaf, path, MOR_PARQUET_GREATER_OR_EQUAL, leaf->sorted[0]);
        add_compare(predicates, leaf, path, MOR_PARQUET_LESS_OR_EQUAL, leaf->sorted[last]);
    }
}

static size_t count_nodes(const struct filter_node *node)
{
    size_t count = 1;
    for (size_t i = 0; node->kind == FILTER_AND && i < node->child_count; i++)
        count += count_nodes(node->children[i]);
    return count;
}

size_t mor_filter_predicates(const struct mor_filter *filter, const struct mor_schema *schema,
                             bool keys_only, const struct mor_table *table, struct mor_arena *arena,
                             struct mor_parquet_predicate **ret_predicates)
{
    struct predicates predicates = {.schema = schema, .table = table, .keys_only = keys_only};
    predicates.list =
        mor_arena_alloc(arena, 2 * count_nodes(filter->root) * sizeof *predicates.list);
    add_predicates(&predicates, filter->root);
    *ret_predicates = predicates.list;
    return predicates.count;
}
