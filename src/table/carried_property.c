// What becomes of a property when a commit carries it on that only rewrites files.
#include <jansson.h>
#include <string.h>

#include "table_format.h"

static void empty_value(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    if (json_is_integer(value))
        json_integer_set(value, 0);
    if (json_is_array(value))
        json_array_clear(value);
    if (!json_is_object(value))
        return;
    const char *member;
    json_t *content;
    void *next;
    json_object_foreach_safe(value, next, member, content)
    {
        if (json_is_integer(content))
            json_object_set_new(value, member, json_integer(0));
        else
            json_object_del(value, member);
    }
}

char *mor_property_carried(const char *value)
{
    json_t *object = strstr(value, "\"own\"") != NULL ? json_loads(value, 0, NULL) : NULL;
    json_t *own = json_object_get(object, "own"), *name;
    size_t i;
    if (!json_is_array(own)) {
        json_decref(object);
        return mor_strdup(value);
    }
    json_array_foreach(own, i, name)
    {
        if (json_is_string(name))
            empty_value(object, json_string_value(name));
    }
    char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    char *copy = mor_strdup(text != NULL ? text : value);
    free(text);
    return copy;
}
