#include "iceberg_spec.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "iceberg_schema.h"

#define PARTITION_FIELDS_MAX 1000

void iceberg_spec_free(struct iceberg_spec *spec)
{
    if (!spec)
        return;
    for (size_t i = 0; i < spec->field_count; i++) {
        free(spec->fields[i].name);
        free(spec->fields[i].transform_text);
    }
    free(spec->fields);
    mor_schema_free(spec->schema);
    free(spec);
}

// ---- reading ------------------------------------------------------------------------------------

static enum mor_status read_source(const json_t *json, struct iceberg_spec_field *field,
                                   struct mor_error *err)
{
    const json_t *several = json_object_get(json, "source-ids"); // of version 3
    int64_t id = 0;
    if (json_array_size(several) > 0) {
        id = json_integer_value(json_array_get(several, 0));
        if (json_array_size(several) > 1)
            field->transform.kind = ICEBERG_TRANSFORM_UNKNOWN;
    } else {
        MOR_TRY(iceberg_json_need_int(json, "source-id", 0, INT32_MAX, &id, err));
    }
    field->source_id = (int32_t)id;
    return MOR_OK;
}

static enum mor_status read_field(struct iceberg_spec *spec, const json_t *json,
                                  struct iceberg_spec_field *field, struct mor_error *err)
{
    const char *name = NULL, *transform = NULL;
    int64_t field_id = 0;
    MOR_TRY(iceberg_json_need_text(json, "name", &name, err));
    field->name = mor_strdup(name);
    MOR_TRY(iceberg_json_need_text(json, "transform", &transform, err));
    field->transform_text = mor_strdup(transform);
    MOR_TRY(iceberg_json_need_int(json, "field-id", 0, INT32_MAX, &field_id, err));
    field->field_id = (int32_t)field_id;
    MOR_TRY(iceberg_transform_parse(transform, &field->transform, err));
    MOR_TRY(read_source(json, field, err));
    field->source = iceberg_schema_field(spec->schema, field->source_id);
    field->result.name = field->name;
    field->result.field_id = field->field_id;
    field->result.nullable = true;
    if (!field->source || field->transform.kind == ICEBERG_TRANSFORM_UNKNOWN) {
        field->result.type = MOR_TYPE_BYTES;
        return MOR_OK;
    }
    if (!iceberg_transform_accepts(field->transform, field->source))
        return mor_error_set(err, MOR_DATA, "%s does not take column '%s' (%s)", transform,
                             field->source->name, mor_type_name(field->source->type));
    iceberg_transform_result(field->transform, field->source, &field->result);
    return MOR_OK;
}

enum mor_status iceberg_spec_from_json(const json_t *json, const struct mor_schema *schema,
                                       struct iceberg_spec **ret_spec, struct mor_error *err)
{
    const json_t *fields = json_object_get(json, "fields");
    int64_t spec_id = 0;
    MOR_TRY(iceberg_json_need_int(json, "spec-id", 0, INT32_MAX, &spec_id, err));
    if (!json_is_array(fields) || json_array_size(fields) > PARTITION_FIELDS_MAX)
        return mor_error_set(err, MOR_DATA, "partition spec %lld has no list of fields",
                             (long long)spec_id);
    struct iceberg_spec *spec = mor_calloc(1, sizeof *spec);
    spec->spec_id = (int32_t)spec_id;
    spec->schema = mor_schema_copy(schema);
    spec->field_count = json_array_size(fields);
    spec->fields = mor_calloc(spec->field_count + 1, sizeof *spec->fields);
    for (size_t i = 0; i < spec->field_count; i++) {
        if (read_field(spec, json_array_get(fields, i), &spec->fields[i], err) != MOR_OK) {
            iceberg_spec_free(spec);
            return mor_error_wrap(err, "partition spec %lld, field %zu", (long long)spec_id, i);
        }
    }
    *ret_spec = spec;
    return MOR_OK;
}

// ---- writing ------------------------------------------------------------------------------------

json_t *iceberg_spec_fields_to_json(const struct iceberg_spec *spec)
{
    json_t *fields = json_array();
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_spec_field *field = &spec->fields[i];
        json_array_append_new(fields,
                              json_pack("{s:i, s:i, s:s, s:s}", "source-id", field->source_id,
                                        "field-id", field->field_id, "name", field->name,
                                        "transform", field->transform_text));
    }
    return fields;
}

json_t *iceberg_spec_to_json(const struct iceberg_spec *spec)
{
    return json_pack("{s:i, s:o}", "spec-id", spec->spec_id, "fields",
                     iceberg_spec_fields_to_json(spec));
}

static char *field_name(const char *column, struct iceberg_transform transform)
{
    switch (transform.kind) {
    case ICEBERG_IDENTITY:
        return mor_strdup(column);
    case ICEBERG_BUCKET:
        return mor_asprintf("%s_bucket", column);
    case ICEBERG_TRUNCATE:
        return mor_asprintf("%s_trunc", column);
    case ICEBERG_YEAR:
        return mor_asprintf("%s_year", column);
    case ICEBERG_MONTH:
        return mor_asprintf("%s_month", column);
    case ICEBERG_DAY:
        return mor_asprintf("%s_day", column);
    case ICEBERG_HOUR:
        return mor_asprintf("%s_hour", column);
    default:
        return mor_asprintf("%s_null", column);
    }
}

static enum mor_status check_name(const struct mor_schema *schema, const json_t *fields,
                                  const char *name, bool identity, struct mor_error *err)
{
    if (!identity && mor_schema_find(schema, name) >= 0)
        return mor_error_set(err, MOR_FATAL,
                             "the partition field would be named '%s', as a column is", name);
    size_t index;
    json_t *field;
    json_array_foreach((json_t *)fields, index, field)
    {
        if (strcasecmp(iceberg_json_text(field, "name"), name) == 0)
            return mor_error_set(err, MOR_FATAL, "the table is partitioned by '%s' twice", name);
    }
    return MOR_OK;
}

static enum mor_status make_field(const struct mor_schema *schema,
                                  const struct iceberg_spec_wish *wish, int32_t field_id,
                                  json_t *fields, struct mor_error *err)
{
    MOR_AUTO_BUFFER transform = {0};
    iceberg_transform_format(wish->transform, &transform);
    mor_buffer_terminate(&transform);
    int32_t column = mor_schema_find(schema, wish->column);
    if (column < 0)
        return mor_error_set(err, MOR_FATAL, "partition column '%s' is not in the schema",
                             wish->column);
    const struct mor_field *source = &schema->root.children[column];
    if (!iceberg_transform_accepts(wish->transform, source) || wish->transform.kind == ICEBERG_VOID)
        return mor_error_set(err, MOR_FATAL, "cannot partition by %s of column '%s' (%s)",
                             (char *)transform.data, wish->column, mor_type_name(source->type));
    MOR_AUTO_FREE char *name = field_name(wish->column, wish->transform);
    MOR_TRY(check_name(schema, fields, name, wish->transform.kind == ICEBERG_IDENTITY, err));
    json_array_append_new(fields, json_pack("{s:i, s:i, s:s, s:s}", "source-id", source->field_id,
                                            "field-id", field_id, "name", name, "transform",
                                            (char *)transform.data));
    return MOR_OK;
}

enum mor_status iceberg_spec_make(const struct mor_schema *schema,
                                  const struct iceberg_spec_wish *wishes, size_t count,
                                  int32_t spec_id, int32_t *last_partition_id, json_t **ret_json,
                                  struct mor_error *err)
{
    ICEBERG_AUTO_JSON *fields = json_array();
    for (size_t i = 0; i < count; i++)
        MOR_TRY(make_field(schema, &wishes[i], *last_partition_id + 1 + (int32_t)i, fields, err));
    *last_partition_id += (int32_t)count;
    *ret_json = json_pack("{s:i, s:O}", "spec-id", spec_id, "fields", fields);
    return MOR_OK;
}

bool iceberg_spec_matches(const struct iceberg_spec *spec, const struct iceberg_spec_wish *wishes,
                          size_t count)
{
    size_t matched = 0;
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_spec_field *field = &spec->fields[i];
        if (field->transform.kind == ICEBERG_VOID)
            continue;
        if (matched == count || !field->source ||
            strcmp(field->source->name, wishes[matched].column) != 0 ||
            field->transform.kind != wishes[matched].transform.kind ||
            field->transform.width != wishes[matched].transform.width)
            return false;
        matched++;
    }
    return matched == count;
}

enum mor_status iceberg_spec_check_writable(const struct iceberg_spec *spec, struct mor_error *err)
{
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_spec_field *field = &spec->fields[i];
        if (field->transform.kind == ICEBERG_TRANSFORM_UNKNOWN)
            return mor_error_set(err, MOR_FATAL,
                                 "the table is partitioned by '%s' with the transform '%.60s', "
                                 "which moraine does not know",
                                 field->name, field->transform_text);
        if (!field->source)
            return mor_error_set(err, MOR_FATAL,
                                 "the table is partitioned by '%s', whose column (id %d) is gone",
                                 field->name, field->source_id);
    }
    return MOR_OK;
}

// ---- tuples -------------------------------------------------------------------------------------

static const struct mor_vector *find_source(const struct mor_field *parent,
                                            const struct mor_vector *vectors, int32_t field_id,
                                            size_t row, bool *null)
{
    for (size_t i = 0; vectors && i < parent->child_count; i++) {
        const struct mor_field *child = &parent->children[i];
        if (child->field_id == field_id)
            return &vectors[i];
        if (child->type != MOR_TYPE_STRUCT)
            continue;
        const struct mor_vector *found =
            find_source(child, vectors[i].children, field_id, row, null);
        if (found) {
            *null |= mor_vector_is_null(&vectors[i], row);
            return found;
        }
    }
    return NULL;
}

void iceberg_spec_tuple(const struct iceberg_spec *spec, const struct mor_batch *batch, size_t row,
                        struct mor_arena *arena, struct iceberg_value *ret_values)
{
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_spec_field *field = &spec->fields[i];
        MOR_AUTO_BUFFER bytes = {0};
        mor_buffer_reserve(&bytes, 16);
        bool null = false;
        const struct mor_vector *vector =
            find_source(&batch->schema->root, batch->columns, field->source_id, row, &null);
        ret_values[i] = (struct iceberg_value){0};
        if (vector && !null && iceberg_transform_slot(field->transform, vector, row, &bytes))
            ret_values[i] =
                iceberg_value_copy((struct iceberg_value){bytes.data, bytes.size_bytes}, arena);
    }
}

bool iceberg_tuple_equal(const struct iceberg_value *a, const struct iceberg_value *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!iceberg_value_equal(a[i], b[i]))
            return false;
    }
    return true;
}

static void escape(const uint8_t *text, size_t size_bytes, struct mor_buffer *ret_path)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] < 0x80 && (isalnum(text[i]) || strchr("._-", text[i])) && text[i] != '\0')
            mor_buffer_append_u8(ret_path, text[i]);
        else
            mor_buffer_printf(ret_path, "%%%02X", text[i]);
    }
}

void iceberg_spec_path(const struct iceberg_spec *spec, const struct iceberg_value *values,
                       struct mor_buffer *ret_path)
{
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_spec_field *field = &spec->fields[i];
        MOR_AUTO_BUFFER text = {0};
        iceberg_transform_value_format(field->transform, &field->result, values[i], &text);
        if (i > 0)
            mor_buffer_append_u8(ret_path, '/');
        escape((const uint8_t *)field->name, strlen(field->name), ret_path);
        mor_buffer_append_u8(ret_path, '=');
        escape(text.data, text.size_bytes, ret_path);
    }
}
