#include "pq_schema.h"

// Elements of the table model's types: LogicalTypes.md of parquet-format.

struct maker {
    struct mor_pq_element *elements;
    size_t count;
    bool decimal_as_int;
    struct mor_error *err;
};

static struct mor_pq_bytes text(const char *text)
{
    return (struct mor_pq_bytes){.data = (const uint8_t *)text, .size_bytes = strlen(text)};
}

static size_t element_count(const struct mor_field *field)
{
    size_t count = field->type == MOR_TYPE_LIST || field->type == MOR_TYPE_MAP ? 2 : 1;
    for (size_t i = 0; i < field->child_count; i++)
        count += element_count(&field->children[i]);
    return count;
}

static void annotate(struct mor_pq_element *e, int32_t type, int32_t logical, int32_t converted)
{
    e->type = type;
    e->logical = logical;
    e->converted = converted;
}

// Local times carry the converted type too: the specification demands it of writers.
static void annotate_time(struct mor_pq_element *e, int32_t type, int32_t logical,
                          int32_t converted, int32_t unit, bool utc)
{
    annotate(e, type, logical, converted);
    e->unit = unit;
    e->utc = utc;
}

static enum mor_status annotate_decimal(struct maker *m, struct mor_pq_element *e,
                                        const struct mor_field *field)
{
    if (field->precision < 1 || field->precision > MOR_DECIMAL_PRECISION_MAX || field->scale < 0 ||
        field->scale > field->precision)
        return mor_error_set(m->err, MOR_FATAL, "column '%s': decimal(%d,%d) cannot be written",
                             field->name, field->precision, field->scale);
    annotate(e, MOR_PQ_FLBA, MOR_PQ_L_DECIMAL, MOR_PQ_C_DECIMAL);
    e->precision = field->precision;
    e->scale = field->scale;
    if (m->decimal_as_int && field->precision <= 9)
        e->type = MOR_PQ_INT32;
    else if (m->decimal_as_int && field->precision <= 18)
        e->type = MOR_PQ_INT64;
    else
        e->type_length = mor_decimal_size_bytes(field->precision);
    return MOR_OK;
}

static enum mor_status annotate_leaf(struct maker *m, struct mor_pq_element *e,
                                     const struct mor_field *field)
{
    bool utc = !field->local_timestamp;
    switch (field->type) {
    case MOR_TYPE_BOOL:
        annotate(e, MOR_PQ_BOOLEAN, 0, -1);
        return MOR_OK;
    case MOR_TYPE_INT32:
        annotate(e, MOR_PQ_INT32, 0, -1);
        return MOR_OK;
    case MOR_TYPE_INT64:
        annotate(e, MOR_PQ_INT64, 0, -1);
        return MOR_OK;
    case MOR_TYPE_FLOAT:
        annotate(e, MOR_PQ_FLOAT, 0, -1);
        return MOR_OK;
    case MOR_TYPE_DOUBLE:
        annotate(e, MOR_PQ_DOUBLE, 0, -1);
        return MOR_OK;
    case MOR_TYPE_DECIMAL:
        return annotate_decimal(m, e, field);
    case MOR_TYPE_DATE:
        annotate(e, MOR_PQ_INT32, MOR_PQ_L_DATE, MOR_PQ_C_DATE);
        return MOR_OK;
    case MOR_TYPE_TIME_MILLIS:
        annotate_time(e, MOR_PQ_INT32, MOR_PQ_L_TIME, MOR_PQ_C_TIME_MILLIS, MOR_PQ_MILLIS, false);
        return MOR_OK;
    case MOR_TYPE_TIME_MICROS:
        annotate_time(e, MOR_PQ_INT64, MOR_PQ_L_TIME, MOR_PQ_C_TIME_MICROS, MOR_PQ_MICROS, false);
        return MOR_OK;
    case MOR_TYPE_TIMESTAMP_MILLIS:
        annotate_time(e, MOR_PQ_INT64, MOR_PQ_L_TIMESTAMP, MOR_PQ_C_TIMESTAMP_MILLIS, MOR_PQ_MILLIS,
                      utc);
        return MOR_OK;
    case MOR_TYPE_TIMESTAMP_MICROS:
        annotate_time(e, MOR_PQ_INT64, MOR_PQ_L_TIMESTAMP, MOR_PQ_C_TIMESTAMP_MICROS, MOR_PQ_MICROS,
                      utc);
        return MOR_OK;
    case MOR_TYPE_STRING:
        annotate(e, MOR_PQ_BYTE_ARRAY, MOR_PQ_L_STRING, MOR_PQ_C_UTF8);
        return MOR_OK;
    case MOR_TYPE_BYTES:
        annotate(e, MOR_PQ_BYTE_ARRAY, 0, -1);
        return MOR_OK;
    case MOR_TYPE_FIXED:
        if (field->fixed_size_bytes <= 0)
            return mor_error_set(m->err, MOR_FATAL, "column '%s': fixed(%d) cannot be written",
                                 field->name, field->fixed_size_bytes);
        annotate(e, MOR_PQ_FLBA, 0, -1);
        e->type_length = field->fixed_size_bytes;
        return MOR_OK;
    case MOR_TYPE_UUID:
        annotate(e, MOR_PQ_FLBA, MOR_PQ_L_UUID, -1);
        e->type_length = 16;
        return MOR_OK;
    case MOR_TYPE_ENUM:
        annotate(e, MOR_PQ_BYTE_ARRAY, MOR_PQ_L_ENUM, MOR_PQ_C_ENUM);
        return MOR_OK;
    case MOR_TYPE_JSON:
        annotate(e, MOR_PQ_BYTE_ARRAY, MOR_PQ_L_JSON, MOR_PQ_C_JSON);
        return MOR_OK;
    default:
        return mor_error_set(m->err, MOR_FATAL, "column '%s' has no Parquet type", field->name);
    }
}

static struct mor_pq_element *add_element(struct maker *m, const char *name, int32_t repetition)
{
    struct mor_pq_element *e = &m->elements[m->count++];
    *e = (struct mor_pq_element){
        .name = text(name), .type = -1, .repetition = repetition, .converted = -1, .field_id = -1};
    return e;
}

static enum mor_status make_field(struct maker *m, const struct mor_field *field,
                                  const char *rename, bool required)
{
    struct mor_pq_element *e =
        add_element(m, rename ? rename : field->name,
                    field->nullable && !required ? MOR_PQ_OPTIONAL : MOR_PQ_REQUIRED);
    e->field_id = field->field_id;
    switch (field->type) {
    case MOR_TYPE_STRUCT:
        e->num_children = (int32_t)field->child_count;
        if (field->child_count == 0)
            return mor_error_set(m->err, MOR_FATAL, "column '%s' is a struct without fields",
                                 field->name);
        for (size_t i = 0; i < field->child_count; i++)
            MOR_TRY(make_field(m, &field->children[i], NULL, false));
        return MOR_OK;
    case MOR_TYPE_LIST:
        annotate(e, -1, MOR_PQ_L_LIST, MOR_PQ_C_LIST);
        e->num_children = 1;
        add_element(m, "list", MOR_PQ_REPEATED)->num_children = 1;
        return make_field(m, &field->children[0], "element", false);
    case MOR_TYPE_MAP:
        annotate(e, -1, MOR_PQ_L_MAP, MOR_PQ_C_MAP);
        e->num_children = 1;
        add_element(m, "key_value", MOR_PQ_REPEATED)->num_children = 2;
        MOR_TRY(make_field(m, &field->children[0], "key", true));
        return make_field(m, &field->children[1], "value", false);
    default:
        return annotate_leaf(m, e, field);
    }
}

enum mor_status mor_pq_elements_make(const struct mor_schema *schema, bool decimal_as_int,
                                     struct mor_arena *arena, struct mor_pq_element **ret_elements,
                                     size_t *ret_count, struct mor_error *err)
{
    const struct mor_field *root = &schema->root;
    struct maker m = {.decimal_as_int = decimal_as_int, .err = err};
    m.elements = mor_arena_calloc(arena, element_count(root), sizeof *m.elements);
    struct mor_pq_element *e = add_element(&m, root->name ? root->name : "schema", -1);
    e->num_children = (int32_t)root->child_count;
    for (size_t i = 0; i < root->child_count; i++)
        MOR_TRY(make_field(&m, &root->children[i], NULL, false));
    *ret_elements = m.elements;
    *ret_count = m.count;
    return MOR_OK;
}
