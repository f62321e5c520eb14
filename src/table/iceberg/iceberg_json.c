#include "iceberg_json.h"

enum mor_status iceberg_json_parse(const void *bytes, size_t size_bytes, const char *what,
                                   json_t **ret_json, struct mor_error *err)
{
    json_error_t wrong;
    json_t *json = json_loadb(bytes, size_bytes, JSON_REJECT_DUPLICATES, &wrong);
    if (!json) {
        mor_error_fill(err, MOR_DATA, "%s: line %d, column %d: %s", what, wrong.line, wrong.column,
                       wrong.text);
        err->file_offset = wrong.position;
        return MOR_DATA;
    }
    *ret_json = json;
    return MOR_OK;
}

static int append_text(const char *text, size_t size_bytes, void *context)
{
    mor_buffer_append(context, text, size_bytes);
    return 0;
}

void iceberg_json_format(const json_t *json, struct mor_buffer *ret_text)
{
    json_dump_callback(json, append_text, ret_text, JSON_COMPACT | JSON_ENCODE_ANY);
    mor_buffer_terminate(ret_text);
}

const char *iceberg_json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int64_t iceberg_json_int(const json_t *object, const char *key, int64_t absent)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : absent;
}

enum mor_status iceberg_json_need_int(const json_t *object, const char *key, int64_t minimum,
                                      int64_t maximum, int64_t *ret_value, struct mor_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return mor_error_set(err, MOR_DATA, "%s '%s'",
                             value ? "there is no integer under" : "there is no member", key);
    int64_t number = json_integer_value(value);
    if (number < minimum || number > maximum)
        return mor_error_set(err, MOR_DATA, "'%s' is %lld, which is out of range", key,
                             (long long)number);
    *ret_value = number;
    return MOR_OK;
}

enum mor_status iceberg_json_need_text(const json_t *object, const char *key, const char **ret_text,
                                       struct mor_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return mor_error_set(err, MOR_DATA, "%s '%s'",
                             value ? "there is no text under" : "there is no member", key);
    *ret_text = json_string_value(value);
    return MOR_OK;
}
