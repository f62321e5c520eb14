#include "iceberg_schema.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

// ---- types that Iceberg has ---------------------------------------------------------------------

enum mor_status iceberg_schema_normalise(struct mor_field *field, struct mor_error *err)
{
    switch (field->type) {
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        field->type = MOR_TYPE_STRING;
        break;
    case MOR_TYPE_TIME_MILLIS:
        field->type = MOR_TYPE_TIME_MICROS;
        break;
    case MOR_TYPE_TIMESTAMP_MILLIS:
        field->type = MOR_TYPE_TIMESTAMP_MICROS;
        break;
    case MOR_TYPE_STRUCT:
        if (field->child_count == 0)
            return mor_error_set(err, MOR_FATAL, "a struct without fields cannot be stored");
        break;
    case MOR_TYPE_FIXED:
        if (field->fixed_size_bytes < 1)
            return mor_error_set(err, MOR_FATAL, "fixed values without bytes cannot be stored");
        break;
    default:
        break;
    }
    for (size_t i = 0; i < field->child_count; i++)
        MOR_TRY(iceberg_schema_normalise(&field->children[i], err));
    return MOR_OK;
}

// ---- ids ----------------------------------------------------------------------------------------

static void assign_level(struct mor_field *parent, int32_t *last_id)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        if (parent->children[i].field_id < 0)
            parent->children[i].field_id = ++*last_id;
    }
    for (size_t i = 0; i < parent->child_count; i++)
        assign_level(&parent->children[i], last_id);
}

void iceberg_schema_assign(struct mor_schema *schema, int32_t *last_id)
{
    assign_level(&schema->root, last_id);
}

static int32_t highest_id(const struct mor_field *field)
{
    int32_t highest = 0;
    for (size_t i = 0; i < field->child_count; i++) {
        int32_t below = highest_id(&field->children[i]);
        int32_t own = field->children[i].field_id;
        highest = own > highest ? own : highest;
        highest = below > highest ? below : highest;
    }
    return highest;
}

int32_t iceberg_schema_last_id(const struct mor_schema *schema)
{
    return highest_id(&schema->root);
}

static const struct mor_field *find_id(const struct mor_field *parent, int32_t field_id)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        const struct mor_field *child = &parent->children[i];
        if (child->field_id == field_id)
            return child;
        const struct mor_field *below = find_id(child, field_id);
        if (below)
            return below;
    }
    return NULL;
}

const struct mor_field *iceberg_schema_field(const struct mor_schema *schema, int32_t field_id)
{
    return find_id(&schema->root, field_id);
}

// ---- writing ------------------------------------------------------------------------------------

static json_t *fields_to_json(const struct mor_field *parent);

static json_t *primitive_to_json(const struct mor_field *field)
{
    switch (field->type) {
    case MOR_TYPE_BOOL:
        return json_string("boolean");
    case MOR_TYPE_INT32:
        return json_string("int");
    case MOR_TYPE_INT64:
        return json_string("long");
    case MOR_TYPE_FLOAT:
        return json_string("float");
    case MOR_TYPE_DOUBLE:
        return json_string("double");
    case MOR_TYPE_DECIMAL:
        return json_sprintf("decimal(%d, %d)", field->precision, field->scale);
    case MOR_TYPE_DATE:
        return json_string("date");
    case MOR_TYPE_TIME_MILLIS:
    case MOR_TYPE_TIME_MICROS:
        return json_string("time");
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        return json_string(field->local_timestamp ? "timestamp" : "timestamptz");
    case MOR_TYPE_BYTES:
        return json_string("binary");
    case MOR_TYPE_FIXED:
        return json_sprintf("fixed[%d]", field->fixed_size_bytes);
    case MOR_TYPE_UUID:
        return json_string("uuid");
    default:
        return json_string("string");
    }
}

json_t *iceberg_type_to_json(const struct mor_field *field)
{
    const struct mor_field *child = field->children;
    switch (field->type) {
    case MOR_TYPE_STRUCT:
        return json_pack("{s:s, s:o}", "type", "struct", "fields", fields_to_json(field));
    case MOR_TYPE_LIST:
        return json_pack("{s:s, s:i, s:o, s:b}", "type", "list", "element-id", child[0].field_id,
                         "element", iceberg_type_to_json(&child[0]), "element-required",
                         !child[0].nullable);
    case MOR_TYPE_MAP:
        return json_pack("{s:s, s:i, s:o, s:i, s:o, s:b}", "type", "map", "key-id",
                         child[0].field_id, "key", iceberg_type_to_json(&child[0]), "value-id",
                         child[1].field_id, "value", iceberg_type_to_json(&child[1]),
                         "value-required", !child[1].nullable);
    default:
        return primitive_to_json(field);
    }
}

static json_t *field_to_json(const struct mor_field *field)
{
    json_t *json = json_pack("{s:i, s:s, s:b, s:o}", "id", field->field_id, "name", field->name,
                             "required", !field->nullable, "type", iceberg_type_to_json(field));
    if (field->doc)
        json_object_set_new(json, "doc", json_string(field->doc));
    return json;
}

static json_t *fields_to_json(const struct mor_field *parent)
{
    json_t *fields = json_array();
    for (size_t i = 0; i < parent->child_count; i++)
        json_array_append_new(fields, field_to_json(&parent->children[i]));
    return fields;
}

json_t *iceberg_schema_to_json(const struct mor_schema *schema, int32_t schema_id,
                               const int32_t *identifier_ids, size_t identifier_count)
{
    json_t *json = json_pack("{s:s, s:i}", "type", "struct", "schema-id", schema_id);
    if (identifier_count > 0) {
        json_t *ids = json_array();
        for (size_t i = 0; i < identifier_count; i++)
            json_array_append_new(ids, json_integer(identifier_ids[i]));
        json_object_set_new(json, "identifier-field-ids", ids);
    }
    json_object_set_new(json, "fields", fields_to_json(&schema->root));
    return json;
}

// ---- reading ------------------------------------------------------------------------------------

struct reading {
    struct mor_schema *schema;
    int32_t *ids; // of all fields so far
    size_t id_count;
    struct mor_error *err;
};

static enum mor_status add_id(struct reading *r, int64_t id)
{
    if (id < 1 || id > ICEBERG_FIELD_ID_MAX)
        return mor_error_set(r->err, MOR_DATA, "its id %lld is out of range", (long long)id);
    if (r->id_count == MOR_SCHEMA_FIELDS_MAX)
        return mor_error_set(r->err, MOR_DATA, "the schema has more than %d fields",
                             MOR_SCHEMA_FIELDS_MAX);
    r->ids[r->id_count++] = (int32_t)id;
    return MOR_OK;
}

// The number between brackets of "fixed[16]" and the like, blanks allowed; moves *text behind it.
static bool take_number(const char **text, int32_t limit, int32_t *ret_number)
{
    const char *at = *text + strspn(*text, " ");
    int64_t number = 0;
    const char *start = at;
    for (; *at >= '0' && *at <= '9' && number <= limit; at++)
        number = number * 10 + (*at - '0');
    *text = at + strspn(at, " ");
    *ret_number = (int32_t)number;
    return at > start && number <= limit;
}

static bool parse_decimal(const char *text, struct mor_field *field)
{
    field->type = MOR_TYPE_DECIMAL;
    if (!take_number(&text, MOR_DECIMAL_PRECISION_MAX, &field->precision) || *text++ != ',' ||
        !take_number(&text, MOR_DECIMAL_PRECISION_MAX, &field->scale))
        return false;
    return strcmp(text, ")") == 0 && field->precision > 0 && field->scale <= field->precision;
}

static bool parse_fixed(const char *text, struct mor_field *field)
{
    field->type = MOR_TYPE_FIXED;
    return take_number(&text, INT32_MAX - 1, &field->fixed_size_bytes) && strcmp(text, "]") == 0 &&
           field->fixed_size_bytes > 0;
}

static const struct {
    const char *name;
    enum mor_type type;
    bool local_timestamp;
} primitives[] = {
    {"boolean", MOR_TYPE_BOOL, false},
    {"int", MOR_TYPE_INT32, false},
    {"long", MOR_TYPE_INT64, false},
    {"float", MOR_TYPE_FLOAT, false},
    {"double", MOR_TYPE_DOUBLE, false},
    {"date", MOR_TYPE_DATE, false},
    {"time", MOR_TYPE_TIME_MICROS, false},
    {"timestamp", MOR_TYPE_TIMESTAMP_MICROS, true},
    {"timestamptz", MOR_TYPE_TIMESTAMP_MICROS, false},
    {"string", MOR_TYPE_STRING, false},
    {"uuid", MOR_TYPE_UUID, false},
    {"binary", MOR_TYPE_BYTES, false},
};

static bool is_foreign_type(const char *text)
{
    static const char *const names[] = {"timestamp_ns", "timestamptz_ns", "variant",
                                        "unknown",      "geometry",       "geography"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(text, names[i], length) == 0 && (text[length] == '\0' || text[length] == '('))
            return true;
    }
    return false;
}

static enum mor_status read_primitive(struct reading *r, const char *text, struct mor_field *field)
{
    for (size_t i = 0; i < sizeof primitives / sizeof primitives[0]; i++) {
        if (strcmp(text, primitives[i].name) == 0) {
            field->type = primitives[i].type;
            field->local_timestamp = primitives[i].local_timestamp;
            return MOR_OK;
        }
    }
    bool known = (strncmp(text, "decimal(", 8) == 0 && parse_decimal(text + 8, field)) ||
                 (strncmp(text, "fixed[", 6) == 0 && parse_fixed(text + 6, field));
    if (known)
        return MOR_OK;
    if (is_foreign_type(text))
        return mor_error_set(r->err, MOR_FATAL, "its type is %s, which moraine does not support",
                             text);
    return mor_error_set(r->err, MOR_DATA, "its type '%.60s' is not known", text);
}

static enum mor_status read_fields(struct reading *r, const json_t *fields,
                                   struct mor_field *parent, int depth);
static enum mor_status read_type(struct reading *r, const json_t *type, struct mor_field *field,
                                 int depth);

// An element, key or value: its id, type and "required" are members of the type's object.
static enum mor_status read_part(struct reading *r, const json_t *type, struct mor_field *parent,
                                 const char *part, int depth)
{
    char key[32];
    snprintf(key, sizeof key, "%s-id", part);
    int64_t id = iceberg_json_int(type, key, 0);
    snprintf(key, sizeof key, "%s-required", part);
    const json_t *required = json_object_get(type, key);
    bool is_key = strcmp(part, "key") == 0;
    if (!is_key && !json_is_boolean(required))
        return mor_error_set(r->err, MOR_DATA, "its type does not say '%s'", key);
    MOR_TRY(add_id(r, id));
    struct mor_field *field = mor_schema_add(r->schema, parent, part, MOR_TYPE_STRING,
                                             !is_key && !json_is_true(required));
    field->field_id = (int32_t)id;
    return read_type(r, json_object_get(type, part), field, depth + 1);
}

static enum mor_status read_type(struct reading *r, const json_t *type, struct mor_field *field,
                                 int depth)
{
    if (depth > MOR_SCHEMA_DEPTH_MAX)
        return mor_error_set(r->err, MOR_DATA, "the schema is nested deeper than %d levels",
                             MOR_SCHEMA_DEPTH_MAX);
    if (json_is_string(type))
        return read_primitive(r, json_string_value(type), field);
    const char *kind = iceberg_json_text(type, "type");
    if (kind && strcmp(kind, "struct") == 0) {
        field->type = MOR_TYPE_STRUCT;
        return read_fields(r, json_object_get(type, "fields"), field, depth);
    }
    if (kind && strcmp(kind, "list") == 0) {
        field->type = MOR_TYPE_LIST;
        return read_part(r, type, field, "element", depth);
    }
    if (kind && strcmp(kind, "map") == 0) {
        field->type = MOR_TYPE_MAP;
        MOR_TRY(read_part(r, type, field, "key", depth));
        return read_part(r, type, field, "value", depth);
    }
    return mor_error_set(r->err, MOR_DATA, "its type is not known");
}

static enum mor_status read_field(struct reading *r, const json_t *json, struct mor_field *parent,
                                  int depth)
{
    const char *name = iceberg_json_text(json, "name");
    for (size_t i = 0; i < parent->child_count; i++) {
        if (strcmp(parent->children[i].name, name) == 0)
            return mor_error_set(r->err, MOR_DATA, "two fields have this name");
    }
    int64_t id = iceberg_json_int(json, "id", 0);
    const json_t *required = json_object_get(json, "required");
    if (!json_is_boolean(required))
        return mor_error_set(r->err, MOR_DATA, "it does not say 'required'");
    const json_t *value = json_object_get(json, "initial-default");
    if (value && !json_is_null(value))
        return mor_error_set(r->err, MOR_FATAL,
                             "it has an initial default, which moraine does not support");
    MOR_TRY(add_id(r, id));
    struct mor_field *field =
        mor_schema_add(r->schema, parent, name, MOR_TYPE_STRING, !json_is_true(required));
    field->field_id = (int32_t)id;
    const char *doc = iceberg_json_text(json, "doc");
    if (doc)
        field->doc = mor_arena_strdup(&r->schema->arena, doc);
    return read_type(r, json_object_get(json, "type"), field, depth + 1);
}

static enum mor_status read_fields(struct reading *r, const json_t *fields,
                                   struct mor_field *parent, int depth)
{
    if (!json_is_array(fields))
        return mor_error_set(r->err, MOR_DATA, "there is no list 'fields'");
    size_t index;
    json_t *json;
    json_array_foreach(fields, index, json)
    {
        const char *name = iceberg_json_text(json, "name");
        if (!name)
            return mor_error_set(r->err, MOR_DATA, "field %zu has no name", index);
        if (read_field(r, json, parent, depth) != MOR_OK)
            return mor_error_wrap(r->err, "field '%s'", name);
    }
    return MOR_OK;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

enum mor_status iceberg_schema_from_json(const json_t *json, struct mor_schema **ret_schema,
                                         struct mor_error *err)
{
    struct reading r = {
        .schema = mor_schema_new("table"),
        .ids = mor_calloc(MOR_SCHEMA_FIELDS_MAX, sizeof *r.ids),
        .err = err,
    };
    enum mor_status status = read_fields(&r, json_object_get(json, "fields"), &r.schema->root, 0);
    if (r.id_count > 0)
        qsort(r.ids, r.id_count, sizeof *r.ids, compare_ids);
    for (size_t i = 1; i < r.id_count && status == MOR_OK; i++) {
        if (r.ids[i] == r.ids[i - 1])
            status = mor_error_set(err, MOR_DATA, "field id %d is given twice", r.ids[i]);
    }
    free(r.ids);
    if (status != MOR_OK) {
        mor_schema_free(r.schema);
        return mor_error_wrap(err, "schema %lld",
                              (long long)iceberg_json_int(json, "schema-id", -1));
    }
    *ret_schema = r.schema;
    return MOR_OK;
}

size_t iceberg_schema_identifiers(const json_t *json, int32_t *ret_ids, size_t capacity)
{
    const json_t *ids = json_object_get(json, "identifier-field-ids");
    size_t index;
    json_t *id;
    json_array_foreach((json_t *)ids, index, id)
    {
        if (index < capacity)
            ret_ids[index] = (int32_t)json_integer_value(id);
    }
    return json_array_size(ids);
}

bool iceberg_schema_json_equal(const json_t *a, const json_t *b)
{
    ICEBERG_AUTO_JSON *left = json_copy((json_t *)a), *right = json_copy((json_t *)b);
    json_object_del(left, "schema-id");
    json_object_del(right, "schema-id");
    return json_equal(left, right);
}

// ---- evolution ----------------------------------------------------------------------------------

struct evolving {
    const json_t *identifiers;
    int32_t *last_id;
    bool changed;
    struct mor_error *err;
};

static bool is_identifier(const struct evolving *e, int64_t id)
{
    size_t index;
    json_t *identifier;
    json_array_foreach((json_t *)e->identifiers, index, identifier)
    {
        if (json_integer_value(identifier) == id)
            return true;
    }
    return false;
}

static void make_optional(struct evolving *e, json_t *object, const char *required_key)
{
    if (!json_is_true(json_object_get(object, required_key)))
        return;
    json_object_set_new(object, required_key, json_false());
    e->changed = true;
}

// A type of Iceberg's own text for both sides: whether the table's holds the rows', or can become
// what does; *ret_wider is then its new text.
static bool widen(const struct mor_field *table, const struct mor_field *rows,
                  const struct mor_field **ret_wider)
{
    *ret_wider = NULL;
    if (table->type == MOR_TYPE_INT32 && rows->type == MOR_TYPE_INT64)
        *ret_wider = rows;
    else if (table->type == MOR_TYPE_FLOAT && rows->type == MOR_TYPE_DOUBLE)
        *ret_wider = rows;
    else if (table->type == MOR_TYPE_DECIMAL && rows->type == MOR_TYPE_DECIMAL) {
        if (table->scale != rows->scale)
            return false;
        if (rows->precision > table->precision)
            *ret_wider = rows;
    } else if (table->type == MOR_TYPE_INT64) {
        return rows->type == MOR_TYPE_INT32 || rows->type == MOR_TYPE_INT64;
    } else if (table->type == MOR_TYPE_DOUBLE) {
        return rows->type == MOR_TYPE_FLOAT || rows->type == MOR_TYPE_DOUBLE;
    } else if (table->type == MOR_TYPE_FIXED) {
        return rows->type == MOR_TYPE_FIXED && rows->fixed_size_bytes == table->fixed_size_bytes;
    } else if (table->type == MOR_TYPE_TIMESTAMP_MICROS) {
        return rows->type == table->type && rows->local_timestamp == table->local_timestamp;
    } else {
        return rows->type == table->type;
    }
    return true;
}

static enum mor_status evolve_fields(struct evolving *e, json_t *fields,
                                     const struct mor_field *table, const struct mor_field *rows);

// `object` holds the type under `key`: a field, or the type object of a list or map.
static enum mor_status evolve_type(struct evolving *e, json_t *object, const char *key,
                                   const struct mor_field *table, const struct mor_field *rows)
{
    json_t *type = json_object_get(object, key);
    const struct mor_field *wider = NULL;
    if (!widen(table, rows, &wider)) {
        MOR_AUTO_BUFFER from = {0}, to = {0};
        mor_type_format(table, &from);
        mor_type_format(rows, &to);
        return mor_error_set(e->err, MOR_FATAL,
                             "it is %s in the table and %s in the rows, and Iceberg does not "
                             "allow the change",
                             mor_buffer_terminate(&from), mor_buffer_terminate(&to));
    }
    if (wider) {
        json_object_set_new(object, key, iceberg_type_to_json(wider));
        e->changed = true;
        return MOR_OK;
    }
    switch (table->type) {
    case MOR_TYPE_STRUCT:
        return evolve_fields(e, json_object_get(type, "fields"), table, rows);
    case MOR_TYPE_LIST:
        if (rows->children[0].nullable)
            make_optional(e, type, "element-required");
        return evolve_type(e, type, "element", &table->children[0], &rows->children[0]);
    case MOR_TYPE_MAP:
        if (rows->children[1].nullable)
            make_optional(e, type, "value-required");
        if (table->children[0].type != rows->children[0].type)
            return mor_error_set(e->err, MOR_FATAL, "the type of its keys cannot change");
        return evolve_type(e, type, "value", &table->children[1], &rows->children[1]);
    default:
        return MOR_OK;
    }
}

static void forget_ids(struct mor_field *field)
{
    field->field_id = -1;
    for (size_t i = 0; i < field->child_count; i++)
        forget_ids(&field->children[i]);
}

static void add_column(struct evolving *e, json_t *fields, const struct mor_field *rows)
{
    struct mor_schema *fresh = mor_schema_new("new");
    struct mor_field *field = mor_schema_add_copy(fresh, NULL, rows);
    forget_ids(field);
    field->nullable = true;
    iceberg_schema_assign(fresh, e->last_id);
    json_array_append_new(fields, field_to_json(field));
    mor_schema_free(fresh);
    e->changed = true;
}

static const struct mor_field *find_name(const struct mor_field *parent, const char *name,
                                         int (*compare)(const char *, const char *))
{
    for (size_t i = 0; i < parent->child_count; i++) {
        if (compare(parent->children[i].name, name) == 0)
            return &parent->children[i];
    }
    return NULL;
}

static enum mor_status evolve_field(struct evolving *e, json_t *fields,
                                    const struct mor_field *table, const struct mor_field *rows)
{
    const struct mor_field *known = find_name(table, rows->name, strcmp);
    if (!known) {
        const struct mor_field *alike = find_name(table, rows->name, strcasecmp);
        if (alike)
            return mor_error_set(e->err, MOR_FATAL,
                                 "the table has a column '%s', and Spark does not tell capital "
                                 "letters from small ones",
                                 alike->name);
        add_column(e, fields, rows);
        return MOR_OK;
    }
    json_t *json = json_array_get(fields, (size_t)(known - table->children));
    if (rows->nullable && !is_identifier(e, known->field_id))
        make_optional(e, json, "required");
    return evolve_type(e, json, "type", known, rows);
}

static enum mor_status evolve_fields(struct evolving *e, json_t *fields,
                                     const struct mor_field *table, const struct mor_field *rows)
{
    for (size_t i = 0; i < rows->child_count; i++) {
        if (evolve_field(e, fields, table, &rows->children[i]) != MOR_OK)
            return mor_error_wrap(e->err, "column '%s'", rows->children[i].name);
    }
    for (size_t i = 0; i < table->child_count; i++) {
        const struct mor_field *kept = &table->children[i];
        if (kept->nullable || find_name(rows, kept->name, strcmp))
            continue;
        if (is_identifier(e, kept->field_id))
            return mor_error_set(e->err, MOR_FATAL,
                                 "column '%s' is part of the table's key and the rows do not have "
                                 "it",
                                 kept->name);
        make_optional(e, json_array_get(fields, i), "required");
    }
    return MOR_OK;
}

enum mor_status iceberg_schema_evolve(const json_t *table, const struct mor_schema *rows,
                                      int32_t schema_id, int32_t *last_id, json_t **ret_json,
                                      struct mor_error *err)
{
    struct mor_schema *known = NULL;
    MOR_TRY(iceberg_schema_from_json(table, &known, err));
    ICEBERG_AUTO_JSON *json = json_deep_copy(table);
    int32_t last = *last_id;
    struct evolving e = {
        .identifiers = json_object_get(table, "identifier-field-ids"),
        .last_id = &last,
        .err = err,
    };
    enum mor_status status =
        evolve_fields(&e, json_object_get(json, "fields"), &known->root, &rows->root);
    mor_schema_free(known);
    MOR_TRY(status);
    *ret_json = NULL;
    if (!e.changed)
        return MOR_OK;
    json_object_set_new(json, "schema-id", json_integer(schema_id));
    *last_id = last;
    *ret_json = json_incref(json);
    return MOR_OK;
}
