// Whether a table that is there already is the one that the topic's file describes.

#include <jansson.h>
#include <stdio.h>

#include "check.h"
#include "moraine/table.h"

// `actual` as the table describes itself, `wanted` as the configuration says.
static void compare(struct check *check, const struct mor_config_topic *topic, const char *key,
                    const char *actual, const char *wanted)
{
    if (strcmp(actual, wanted) != 0)
        check_find(check, CHECK_ERROR, topic, key,
                   "the table at '%s' was made with '%s', this says '%s'; it cannot be changed. "
                   "Write what the table has, or name another location",
                   topic->table.location, actual, wanted);
}

static char *join(const struct mor_config_texts *texts)
{
    MOR_AUTO_BUFFER joined = {0};
    for (size_t i = 0; i < texts->count; i++)
        mor_buffer_printf(&joined, "%s%s", i > 0 ? "," : "", texts->items[i]);
    return mor_strdup(mor_buffer_terminate(&joined));
}

static char *join_array(const json_t *array)
{
    MOR_AUTO_BUFFER joined = {0};
    for (size_t i = 0; i < json_array_size(array); i++)
        mor_buffer_printf(&joined, "%s%s", i > 0 ? "," : "",
                          json_string_value(json_array_get(array, i)));
    return mor_strdup(mor_buffer_terminate(&joined));
}

static const char *text_of(const json_t *facts, const char *name)
{
    const char *text = json_string_value(json_object_get(facts, name));
    return text != NULL ? text : "";
}

static void compare_layout(struct check *check, const struct mor_config_topic *topic,
                           const json_t *facts)
{
    MOR_AUTO_FREE char *key = join(&topic->key);
    MOR_AUTO_FREE char *partitions = join(&topic->table.partition_by);
    MOR_AUTO_FREE char *actual_partitions = join_array(json_object_get(facts, "partition_by"));
    compare(check, topic, "key", text_of(facts, "key"), key);
    compare(check, topic, "table.partition_by", actual_partitions, partitions);
    if (topic->ordering != NULL)
        compare(check, topic, "ordering", text_of(facts, "ordering"), topic->ordering);
    const json_t *buckets = json_object_get(facts, "buckets");
    if (topic->key.count > 0 && json_is_integer(buckets)) {
        char actual[24], wanted[24];
        (void)snprintf(actual, sizeof actual, "%lld", (long long)json_integer_value(buckets));
        (void)snprintf(wanted, sizeof wanted, "%lld", (long long)topic->table.buckets);
        compare(check, topic, "table.buckets", actual, wanted);
    }
}

// Line "name type[ not null]" of a column, NULL when there is none.
static const char *find_column(const char *columns, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = columns; *line != '\0';) {
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return line;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return NULL;
}

static void compare_columns(struct check *check, const struct mor_config_topic *topic,
                            const json_t *schema, const char *columns)
{
    size_t index;
    json_t *column;
    json_array_foreach((json_t *)(uintptr_t)schema, index, column)
    {
        const char *name = text_of(column, "name"), *type = text_of(column, "type");
        const char *line = find_column(columns, name);
        if (line == NULL)
            continue; // only the table has it: null in new rows
        const char *wanted = line + strlen(name) + 1;
        size_t length = strcspn(wanted, "\n");
        if (length > 9 && strncmp(wanted + length - 9, " not null", 9) == 0)
            length -= 9;
        if (strlen(type) != length || strncmp(type, wanted, length) != 0)
            check_find(check, CHECK_WARNING, topic, "schema",
                       "column '%s' is '%s' in the table and '%.*s' here: the topic starts only "
                       "when every value of the one is a value of the other",
                       name, type, (int)length, wanted);
    }
}

void check_table(struct check *check, const struct mor_config_topic *topic, const char *columns)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    bool in_catalog = mor_table_is_in_catalog(topic->table.location);
    const char *key = in_catalog ? "table.catalog.name" : "table.location";
    if (check->offline && in_catalog)
        return;
    enum mor_status status = mor_table_open_read(topic->table.location, NULL, &table, &err);
    if (status == MOR_NOT_FOUND)
        return; // it will be created
    if (status != MOR_OK) {
        check_find_error(check, topic, key, &err, "");
        return;
    }
    MOR_AUTO_BUFFER text = {0};
    status = mor_table_describe(table, &text, &err);
    mor_table_free(table);
    if (status != MOR_OK) {
        check_find_error(check, topic, key, &err, "");
        return;
    }
    json_t *facts = json_loadb((const char *)text.data, text.size_bytes, 0, NULL);
    compare_layout(check, topic, facts);
    compare_columns(check, topic, json_object_get(facts, "schema"), columns);
    json_decref(facts);
}
