// JSON Schema (drafts 4 to 2020-12) as tables: what it says of types; what has no fixed shape
// becomes JSON text.
#include <jansson.h>

#include "moraine/decode.h"

#define REF_DEPTH_MAX 16

// Objects that are being converted and where "#" points inside them; tells a type that holds
// itself.
struct chain {
    const struct chain *above;
    const json_t *schema;
};

struct converter {
    struct mor_schema *table;
    const struct mor_schema_text *text;
    json_t **imports; // parsed, in the order of text->imports
    size_t field_count;
    int depth;
    struct mor_error *err;
};

static enum mor_status fill(struct converter *c, struct mor_field *field, const json_t *schema,
                            const json_t *root, const struct chain *above);

static const char *text_at(const json_t *schema, const char *key)
{
    const char *text = json_string_value(json_object_get(schema, key));
    return text ? text : "";
}

// ---- references ---------------------------------------------------------------------------------

// "#", "#/definitions/x", "other.json", "other.json#/x". *root becomes what "#" means there. NULL
// when it points nowhere.
static const json_t *follow(const struct converter *c, const char *reference, const json_t **root)
{
    const char *hash = strchr(reference, '#');
    size_t length = hash ? (size_t)(hash - reference) : strlen(reference);
    const json_t *at = length == 0 ? *root : NULL;
    for (size_t i = 0; i < c->text->import_count && !at; i++) {
        if (strlen(c->text->imports[i].name) == length &&
            memcmp(c->text->imports[i].name, reference, length) == 0)
            at = c->imports[i];
    }
    *root = at;
    for (const char *part = hash ? hash + 1 : ""; at && *part == '/';) {
        part++;
        size_t size = strcspn(part, "/");
        MOR_AUTO_FREE char *name = mor_strndup(part, size);
        at = json_object_get(at, name);
        part += size;
    }
    return at;
}

static const json_t *resolve(const struct converter *c, const json_t *schema, const json_t **root)
{
    for (int i = 0; i < REF_DEPTH_MAX && json_object_get(schema, "$ref"); i++)
        schema = follow(c, text_at(schema, "$ref"), root);
    return schema;
}

// ---- types --------------------------------------------------------------------------------------

static bool is_null(const json_t *schema)
{
    return strcmp(text_at(schema, "type"), "null") == 0;
}

// The one type that a list of types means besides null; "" when it is none or several.
static const char *type_of(const json_t *schema, bool *ret_nullable)
{
    const json_t *type = json_object_get(schema, "type");
    const char *found = json_string_value(type);
    for (size_t i = 0; i < json_array_size(type); i++) {
        const char *name = json_string_value(json_array_get(type, i));
        if (name && strcmp(name, "null") == 0)
            *ret_nullable = true;
        else if (!found || (name && strcmp(found, "integer") == 0 && strcmp(name, "number") == 0))
            found = name;
        else if (!name || strcmp(found, "number") != 0 || strcmp(name, "integer") != 0)
            return "";
    }
    return found ? found : "";
}

// The one alternative besides null; NULL when there are several.
static const json_t *alternative(const json_t *schema, bool *ret_nullable)
{
    static const char *const keys[] = {"oneOf", "anyOf", "allOf"};
    const json_t *found = NULL;
    for (size_t k = 0; k < 3; k++) {
        const json_t *list = json_object_get(schema, keys[k]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *item = json_array_get(list, i);
            if (is_null(item))
                *ret_nullable = true;
            else if (found)
                return NULL;
            else
                found = item;
        }
    }
    return found;
}

static bool is_enum_of_texts(const json_t *schema)
{
    const json_t *list = json_object_get(schema, "enum");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!json_is_string(json_array_get(list, i)) && !json_is_null(json_array_get(list, i)))
            return false;
    }
    return json_array_size(list) > 0;
}

static enum mor_type string_type(const json_t *schema)
{
    const char *format = text_at(schema, "format");
    if (strcmp(text_at(schema, "contentEncoding"), "base64") == 0 ||
        strcmp(text_at(schema, "connect.type"), "bytes") == 0)
        return MOR_TYPE_BYTES;
    if (strcmp(format, "date-time") == 0)
        return MOR_TYPE_TIMESTAMP_MICROS;
    if (strcmp(format, "date") == 0)
        return MOR_TYPE_DATE;
    if (strcmp(format, "uuid") == 0)
        return MOR_TYPE_UUID;
    return is_enum_of_texts(schema) ? MOR_TYPE_ENUM : MOR_TYPE_STRING;
}

// Kafka Connect notes its own types beside JSON's.
static enum mor_type integer_type(const json_t *schema)
{
    const char *connect = text_at(schema, "connect.type"), *title = text_at(schema, "title");
    if (strcmp(title, "org.apache.kafka.connect.data.Date") == 0)
        return MOR_TYPE_DATE;
    if (strcmp(title, "org.apache.kafka.connect.data.Timestamp") == 0)
        return MOR_TYPE_TIMESTAMP_MILLIS;
    if (strcmp(title, "org.apache.kafka.connect.data.Time") == 0)
        return MOR_TYPE_TIME_MILLIS;
    return strcmp(connect, "int8") == 0 || strcmp(connect, "int16") == 0 ||
                   strcmp(connect, "int32") == 0
               ? MOR_TYPE_INT32
               : MOR_TYPE_INT64;
}

static bool is_required(const json_t *schema, const char *name)
{
    const json_t *list = json_object_get(schema, "required");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        if (item && strcmp(item, name) == 0)
            return true;
    }
    return false;
}

static enum mor_status fill_fields(struct converter *c, struct mor_field *field,
                                   const json_t *schema, const json_t *root,
                                   const struct chain *above)
{
    struct chain here = {above, schema};
    const char *name;
    json_t *child;
    field->type = MOR_TYPE_STRUCT;
    c->depth++;
    json_object_foreach(json_object_get(schema, "properties"), name, child)
    {
        struct mor_field *to =
            mor_schema_add(c->table, field, name, MOR_TYPE_JSON, !is_required(schema, name));
        if (fill(c, to, child, root, &here) != MOR_OK)
            return mor_error_wrap(c->err, "field '%s'", name);
    }
    c->depth--;
    return MOR_OK;
}

static enum mor_status fill_object(struct converter *c, struct mor_field *field,
                                   const json_t *schema, const json_t *root,
                                   const struct chain *above)
{
    const json_t *more = json_object_get(schema, "additionalProperties");
    for (const struct chain *at = above; at; at = at->above) {
        if (at->schema == schema || c->depth >= MOR_SCHEMA_DEPTH_MAX)
            return MOR_OK; // holds itself: JSON text
    }
    if (json_object_size(json_object_get(schema, "properties")) > 0)
        return fill_fields(c, field, schema, root, above);
    if (!json_is_object(more) || json_object_size(more) == 0)
        return MOR_OK;
    struct chain here = {above, schema};
    field->type = MOR_TYPE_MAP;
    mor_schema_add(c->table, field, "key", MOR_TYPE_STRING, false);
    return fill(c, mor_schema_add(c->table, field, "value", MOR_TYPE_JSON, true), more, root,
                &here);
}

static enum mor_status fill_array(struct converter *c, struct mor_field *field,
                                  const json_t *schema, const json_t *root,
                                  const struct chain *above)
{
    const json_t *items = json_object_get(schema, "items");
    struct chain here = {above, schema};
    if (!json_is_object(items) || c->depth >= MOR_SCHEMA_DEPTH_MAX)
        return MOR_OK;
    field->type = MOR_TYPE_LIST;
    c->depth++;
    MOR_TRY(fill(c, mor_schema_add(c->table, field, "element", MOR_TYPE_JSON, true), items, root,
                 &here));
    c->depth--;
    return MOR_OK;
}

// The field is JSON text unless its type is known.
static enum mor_status fill(struct converter *c, struct mor_field *field, const json_t *schema,
                            const json_t *root, const struct chain *above)
{
    if (++c->field_count > MOR_SCHEMA_FIELDS_MAX)
        return mor_error_set(c->err, MOR_DATA, "more than %d fields", MOR_SCHEMA_FIELDS_MAX);
    bool nullable = field->nullable;
    schema = resolve(c, schema, &root);
    for (int i = 0; i < REF_DEPTH_MAX && json_object_get(schema, "type") == NULL; i++) {
        const json_t *only = alternative(schema, &nullable);
        if (!only)
            break;
        schema = resolve(c, only, &root);
    }
    const char *type = type_of(schema, &nullable);
    field->nullable = nullable;
    if (strcmp(type, "object") == 0)
        return fill_object(c, field, schema, root, above);
    if (strcmp(type, "array") == 0)
        return fill_array(c, field, schema, root, above);
    if (strcmp(type, "string") == 0 || (!*type && is_enum_of_texts(schema)))
        field->type = string_type(schema);
    else if (strcmp(type, "integer") == 0)
        field->type = integer_type(schema);
    else if (strcmp(type, "number") == 0)
        field->type = strcmp(text_at(schema, "connect.type"), "float32") == 0 ? MOR_TYPE_FLOAT
                                                                              : MOR_TYPE_DOUBLE;
    else if (strcmp(type, "boolean") == 0)
        field->type = MOR_TYPE_BOOL;
    return MOR_OK;
}

// ---- front door ---------------------------------------------------------------------------------

static json_t *parse(const char *text, const char *name, struct mor_error *err)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        mor_error_fill(err, MOR_DATA, "%s: line %d, column %d: %s", name, error.line, error.column,
                       error.text);
    return json;
}

bool mor_json_schema_is_avro(const char *text)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    json_t *json = parse(text, "", &ignored);
    bool avro = strcmp(text_at(json, "type"), "record") == 0;
    json_decref(json);
    return avro;
}

static enum mor_status convert(struct converter *c, const json_t *root)
{
    const json_t *base = root, *schema = resolve(c, root, &base);
    if (json_object_size(json_object_get(schema, "properties")) == 0)
        return mor_error_set(c->err, MOR_DATA,
                             "the JSON schema is not that of an object with properties");
    return fill_fields(c, &c->table->root, schema, base, NULL);
}

enum mor_status mor_json_schema_to_table(const struct mor_schema_text *text,
                                         struct mor_schema **ret_schema, struct mor_error *err)
{
    struct converter c = {.table = mor_schema_new("row"), .text = text, .err = err};
    json_t *root = parse(text->text, "JSON schema", err);
    enum mor_status status = root ? MOR_OK : MOR_DATA;
    c.imports = mor_calloc(text->import_count + 1, sizeof *c.imports);
    for (size_t i = 0; i < text->import_count && status == MOR_OK; i++) {
        c.imports[i] = parse(text->imports[i].text, text->imports[i].name, err);
        status = c.imports[i] ? MOR_OK : MOR_DATA;
    }
    if (status == MOR_OK)
        status = convert(&c, root);
    for (size_t i = 0; i < text->import_count; i++)
        json_decref(c.imports[i]);
    free(c.imports);
    json_decref(root);
    if (status != MOR_OK) {
        mor_schema_free(c.table);
        return status;
    }
    *ret_schema = c.table;
    return MOR_OK;
}
