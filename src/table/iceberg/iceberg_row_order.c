#include "iceberg/iceberg_row_order.h"

#include <string.h>

#include "iceberg/iceberg_bounds.h"
#include "iceberg/iceberg_json.h"

struct sorted_field {
    size_t column;
    bool descending, nulls_last;
};

struct iceberg_row_order {
    struct sorted_field *fields;
    size_t field_count;
    // of the row before: its values one after the other, each with its size, UINT32_MAX = null
    struct mor_buffer before, now;
};

static const json_t *find_order(const struct iceberg_metadata *metadata, int32_t order_id)
{
    const json_t *orders = json_object_get(metadata->document, "sort-orders");
    size_t i;
    json_t *order;
    json_array_foreach((json_t *)(uintptr_t)orders, i, order)
    {
        if (iceberg_json_int(order, "order-id", -1) == order_id)
            return order;
    }
    return NULL;
}

static bool is_text(const json_t *object, const char *key, const char *wanted)
{
    const char *text = iceberg_json_text(object, key);
    return text && strcmp(text, wanted) == 0;
}

static bool add_field(struct iceberg_row_order *order, const json_t *json,
                      const struct mor_schema *schema)
{
    int64_t id = iceberg_json_int(json, "source-id", -1);
    for (size_t i = 0; i < schema->root.child_count; i++) {
        const struct mor_field *field = &schema->root.children[i];
        if (field->field_id != id || field->child_count > 0 ||
            !is_text(json, "transform", "identity"))
            continue;
        order->fields[order->field_count++] = (struct sorted_field){
            i, is_text(json, "direction", "desc"), is_text(json, "null-order", "nulls-last")};
        return true;
    }
    return false;
}

struct iceberg_row_order *iceberg_row_order_new(const struct iceberg_metadata *metadata,
                                                int32_t order_id, const struct mor_schema *schema)
{
    const json_t *json = order_id > 0 ? find_order(metadata, order_id) : NULL;
    const json_t *fields = json ? json_object_get(json, "fields") : NULL;
    struct iceberg_row_order *order = mor_calloc(1, sizeof *order);
    order->fields = mor_calloc(json_array_size(fields) + 1, sizeof *order->fields);
    for (size_t i = 0; i < json_array_size(fields); i++)
        if (!add_field(order, json_array_get(fields, i), schema))
            break;
    if (order->field_count > 0)
        return order;
    iceberg_row_order_free(order);
    return NULL;
}

void iceberg_row_order_free(struct iceberg_row_order *order)
{
    if (!order)
        return;
    mor_buffer_done(&order->before);
    mor_buffer_done(&order->now);
    free(order->fields);
    free(order);
}

static void append_values(struct iceberg_row_order *order, const struct mor_batch *batch,
                          size_t row)
{
    mor_buffer_reset(&order->now);
    for (size_t i = 0; i < order->field_count; i++) {
        const struct mor_vector *vector = &batch->columns[order->fields[i].column];
        size_t at = order->now.size_bytes;
        uint32_t size = UINT32_MAX;
        mor_buffer_append_le32(&order->now, size);
        if (mor_vector_is_null(vector, row))
            continue;
        iceberg_value_of_slot(vector, row, &order->now);
        size = (uint32_t)(order->now.size_bytes - at - sizeof size);
        memcpy(order->now.data + at, &size, sizeof size);
    }
}

static struct iceberg_value value_at(const struct mor_buffer *values, size_t *at)
{
    uint32_t size;
    memcpy(&size, values->data + *at, sizeof size);
    *at += sizeof size;
    if (size == UINT32_MAX)
        return (struct iceberg_value){0};
    struct iceberg_value value = {values->data + *at, size};
    *at += size;
    return value;
}

// Whether `now` may come after `before`.
static bool follows(const struct iceberg_row_order *order, const struct mor_schema *schema)
{
    size_t before_at = 0, now_at = 0;
    for (size_t i = 0; i < order->field_count; i++) {
        const struct sorted_field *field = &order->fields[i];
        struct iceberg_value before = value_at(&order->before, &before_at);
        struct iceberg_value now = value_at(&order->now, &now_at);
        bool before_null = iceberg_value_is_null(before), now_null = iceberg_value_is_null(now);
        if (before_null != now_null)
            return now_null == field->nulls_last;
        if (before_null)
            continue;
        int compared = iceberg_value_compare(&schema->root.children[field->column], before, now);
        if (compared != 0)
            return field->descending ? compared > 0 : compared < 0;
    }
    return true;
}

bool iceberg_row_order_add(struct iceberg_row_order *order, const struct mor_batch *batch)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        append_values(order, batch, row);
        if (order->before.size_bytes > 0 && !follows(order, batch->schema))
            return false;
        struct mor_buffer swapped = order->before;
        order->before = order->now;
        order->now = swapped;
    }
    return true;
}
