// Schemas that are made of several: "references" of an answer name types that other subjects
// define. Avro has no such notion, so their definitions are written where the type is first named.
#include <stdio.h>
#include <string.h>

#include "moraine/base/map.h"
#include "moraine/net.h"
#include "registry.h"

#define REFERENCES_MAX 64
#define DEPTH_MAX      64

struct reference {
    json_t *definition;
    bool written;
};

struct completer {
    struct mor_registry *registry;
    struct mor_map references; // full name -> struct reference
    struct mor_error *err;
};

static enum mor_status collect(struct completer *c, const json_t *answer, int depth);

// ---- fetching -----------------------------------------------------------------------------------

// One entry of "references".
struct pointer {
    const char *name, *subject;
    json_int_t version;
};

static bool read_pointer(const json_t *item, struct pointer *ret_pointer)
{
    const json_t *version = json_object_get(item, "version");
    *ret_pointer = (struct pointer){
        .name = json_string_value(json_object_get(item, "name")),
        .subject = json_string_value(json_object_get(item, "subject")),
        .version = json_integer_value(version),
    };
    return ret_pointer->name && ret_pointer->subject && json_is_integer(version);
}

static enum mor_status get_reference(struct mor_registry *registry, const struct pointer *pointer,
                                     json_t **ret_answer, struct mor_error *err)
{
    MOR_AUTO_BUFFER path = {0};
    mor_buffer_append_text(&path, "/subjects/");
    mor_http_escape(pointer->subject, strlen(pointer->subject), &path);
    mor_buffer_printf(&path, "/versions/%" JSON_INTEGER_FORMAT, pointer->version);
    enum mor_status status =
        mor_registry_get(registry, mor_buffer_terminate(&path), ret_answer, err);
    if (status != MOR_NOT_FOUND)
        return status;
    err->status = MOR_DATA;
    return mor_error_wrap(err, "reference '%.200s'", pointer->name);
}

static enum mor_status fetch(struct completer *c, const struct pointer *pointer, int depth)
{
    json_t *answer = NULL;
    MOR_TRY(get_reference(c->registry, pointer, &answer, c->err));
    enum mor_status status = MOR_OK;
    const char *text = json_string_value(json_object_get(answer, "schema"));
    json_error_t json_error;
    json_t *definition =
        text ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &json_error) : NULL;
    if (definition) {
        struct reference *reference = mor_calloc(1, sizeof *reference);
        reference->definition = definition;
        mor_map_put_text(&c->references, pointer->name, NULL)->value.pointer = reference;
        status = collect(c, answer, depth + 1);
    } else {
        status = mor_error_set(c->err, MOR_DATA, "reference '%.200s' has no readable schema",
                               pointer->name);
    }
    json_decref(answer);
    return status;
}

static enum mor_status collect(struct completer *c, const json_t *answer, int depth)
{
    const json_t *list = json_object_get(answer, "references");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct pointer pointer;
        if (!read_pointer(json_array_get(list, i), &pointer))
            return mor_error_set(c->err, MOR_DATA, "a reference lacks name, subject or version");
        if (mor_map_find_text(&c->references, pointer.name))
            continue;
        if (c->references.count >= REFERENCES_MAX || depth > DEPTH_MAX)
            return mor_error_set(c->err, MOR_DATA, "more than %d references", REFERENCES_MAX);
        MOR_TRY(fetch(c, &pointer, depth));
    }
    return MOR_OK;
}

// ---- writing ------------------------------------------------------------------------------------

static json_t *completed(struct completer *c, const json_t *type, const char *space, int depth);

static json_t *complete_name(struct completer *c, const json_t *type, const char *space, int depth)
{
    const char *name = json_string_value(type);
    MOR_AUTO_FREE char *full =
        *space && !strchr(name, '.') ? mor_asprintf("%s.%s", space, name) : mor_strdup(name);
    struct mor_map_entry *entry = mor_map_find_text(&c->references, full);
    if (!entry)
        entry = mor_map_find_text(&c->references, name);
    struct reference *reference = entry ? entry->value.pointer : NULL;
    if (!reference)
        return json_string(name);
    if (reference->written)
        return json_string(entry->key);
    reference->written = true;
    return completed(c, reference->definition, "", depth + 1); // its own namespace counts
}

static json_t *complete_fields(struct completer *c, const json_t *fields, const char *space,
                               int depth)
{
    json_t *copies = json_array();
    for (size_t i = 0; i < json_array_size(fields); i++) {
        json_t *copy = json_copy(json_array_get(fields, i));
        const json_t *type = json_object_get(copy, "type");
        if (type)
            json_object_set_new(copy, "type", completed(c, type, space, depth + 1));
        json_array_append_new(copies, copy);
    }
    return copies;
}

// A named type gets its namespace in so many words, since it may now stand in another one.
static char *pin_namespace(json_t *object, const char *space)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *own = json_string_value(json_object_get(object, "namespace"));
    const char *dot = name ? strrchr(name, '.') : NULL;
    if (dot)
        return mor_strndup(name, (size_t)(dot - name));
    char *result = mor_strdup(own ? own : space);
    json_object_set_new(object, "namespace", json_string(result));
    return result;
}

static json_t *complete_object(struct completer *c, const json_t *type, const char *space,
                               int depth)
{
    static const char *const inner[] = {"items", "values"};
    json_t *copy = json_copy((json_t *)type);
    const json_t *kind = json_object_get(copy, "type");
    const char *name = json_string_value(kind);
    for (size_t i = 0; i < 2; i++) {
        const json_t *element = json_object_get(copy, inner[i]);
        if (element)
            json_object_set_new(copy, inner[i], completed(c, element, space, depth + 1));
    }
    if (kind && !name) {
        json_object_set_new(copy, "type", completed(c, kind, space, depth + 1));
    } else if (name && (strcmp(name, "record") == 0 || strcmp(name, "error") == 0)) {
        MOR_AUTO_FREE char *own = pin_namespace(copy, space);
        const json_t *fields = json_object_get(copy, "fields");
        if (fields)
            json_object_set_new(copy, "fields", complete_fields(c, fields, own, depth));
    } else if (name && (strcmp(name, "enum") == 0 || strcmp(name, "fixed") == 0)) {
        free(pin_namespace(copy, space));
    }
    return copy;
}

// A new reference to the type with the definitions written in. Past DEPTH_MAX the type is left as
// it is: the schema's parser has a lower limit and says so.
static json_t *completed(struct completer *c, const json_t *type, const char *space, int depth)
{
    if (depth > DEPTH_MAX)
        return json_incref((json_t *)type);
    if (json_is_string(type))
        return complete_name(c, type, space, depth);
    if (json_is_object(type))
        return complete_object(c, type, space, depth);
    if (!json_is_array(type))
        return json_incref((json_t *)type);
    json_t *branches = json_array();
    for (size_t i = 0; i < json_array_size(type); i++)
        json_array_append_new(branches, completed(c, json_array_get(type, i), space, depth + 1));
    return branches;
}

enum mor_status mor_registry_complete(struct mor_registry *registry, const json_t *answer,
                                      char **ret_text, struct mor_error *err)
{
    const char *text = json_string_value(json_object_get(answer, "schema"));
    if (json_array_size(json_object_get(answer, "references")) == 0) {
        *ret_text = mor_strdup(text);
        return MOR_OK;
    }
    struct completer c = {.registry = registry, .err = err};
    json_error_t json_error;
    json_t *schema = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &json_error);
    enum mor_status status = schema ? collect(&c, answer, 0)
                                    : mor_error_set(err, MOR_DATA, "schema: %s", json_error.text);
    if (status == MOR_OK) {
        json_t *whole = completed(&c, schema, "", 0);
        *ret_text = json_dumps(whole, JSON_COMPACT | JSON_ENCODE_ANY);
        json_decref(whole);
    }
    for (size_t i = 0; i < c.references.count; i++) {
        struct reference *reference = c.references.entries[i].value.pointer;
        json_decref(reference->definition);
        free(reference);
    }
    mor_map_done(&c.references);
    json_decref(schema);
    return status;
}

// ---- schemas that stay apart --------------------------------------------------------------------

struct imports {
    struct mor_registry *registry;
    struct mor_schema_import items[REFERENCES_MAX];
    size_t count;
};

static bool has_import(const struct imports *imports, const char *name)
{
    for (size_t i = 0; i < imports->count; i++) {
        if (strcmp(imports->items[i].name, name) == 0)
            return true;
    }
    return false;
}

// Each of them is fetched once, so the recursion ends.
static enum mor_status follow(struct imports *imports, const json_t *answer, struct mor_error *err)
{
    const json_t *list = json_object_get(answer, "references");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct pointer pointer;
        json_t *inner = NULL;
        if (!read_pointer(json_array_get(list, i), &pointer))
            return mor_error_set(err, MOR_DATA, "a reference lacks name, subject or version");
        if (has_import(imports, pointer.name))
            continue;
        if (imports->count == REFERENCES_MAX)
            return mor_error_set(err, MOR_DATA, "more than %d references", REFERENCES_MAX);
        MOR_TRY(get_reference(imports->registry, &pointer, &inner, err));
        const char *text = json_string_value(json_object_get(inner, "schema"));
        enum mor_status status =
            text ? MOR_OK
                 : mor_error_set(err, MOR_DATA, "reference '%.200s' has no readable schema",
                                 pointer.name);
        if (status == MOR_OK) {
            imports->items[imports->count++] =
                (struct mor_schema_import){mor_strdup(pointer.name), mor_strdup(text)};
            status = follow(imports, inner, err);
        }
        json_decref(inner);
        MOR_TRY(status);
    }
    return MOR_OK;
}

enum mor_status mor_registry_collect(struct mor_registry *registry, const json_t *answer,
                                     struct mor_schema_import **ret_imports, size_t *ret_count,
                                     struct mor_error *err)
{
    struct imports imports = {.registry = registry};
    enum mor_status status = follow(&imports, answer, err);
    if (status == MOR_OK) {
        *ret_imports = mor_calloc(imports.count + 1, sizeof **ret_imports);
        memcpy(*ret_imports, imports.items, imports.count * sizeof **ret_imports);
        *ret_count = imports.count;
        return MOR_OK;
    }
    for (size_t i = 0; i < imports.count; i++) {
        free((char *)imports.items[i].name);
        free((char *)imports.items[i].text);
    }
    return status;
}
