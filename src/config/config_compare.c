// Where options were set, and what two loaded configurations say differently.
#include <stdio.h>
#include <string.h>

#include "config_options.h"

// ---- places -------------------------------------------------------------------------------------

void mor_config_where(const struct mor_config *config, const struct mor_config_topic *topic,
                      const char *key, char *ret_text, size_t capacity)
{
    const struct mor_option *rows = topic ? mor_topic_options : mor_service_options;
    const struct mor_place *places = topic ? topic->places : config->places;
    const char *path = topic ? topic->path : config->path;
    for (size_t i = 0; rows[i].path; i++) {
        if (strcmp(rows[i].path, key) != 0 || places[i].line == 0)
            continue;
        (void)snprintf(ret_text, capacity, "%s:%lld:%lld", path, (long long)places[i].line,
                       (long long)places[i].column);
        return;
    }
    (void)snprintf(ret_text, capacity, "%s", path);
}

// ---- comparing ----------------------------------------------------------------------------------

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_texts(const struct mor_config_texts *a, const struct mor_config_texts *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!same_text(a->items[i], b->items[i]))
            return false;
    }
    return true;
}

static bool same_fields(const struct mor_config_field *a, size_t count_a,
                        const struct mor_config_field *b, size_t count_b)
{
    if (count_a != count_b)
        return false;
    for (size_t i = 0; i < count_a; i++) {
        if (!same_text(a[i].name, b[i].name) || !same_text(a[i].type, b[i].type) ||
            !same_text(a[i].doc, b[i].doc) || a[i].nullable != b[i].nullable ||
            !same_fields(a[i].children, a[i].child_count, b[i].children, b[i].child_count))
            return false;
    }
    return true;
}

static bool same_columns(const struct mor_config_column *a, size_t count_a,
                         const struct mor_config_column *b, size_t count_b)
{
    if (count_a != count_b)
        return false;
    for (size_t i = 0; i < count_a; i++) {
        if (a[i].kind != b[i].kind || !same_text(a[i].from, b[i].from) ||
            !same_text(a[i].as, b[i].as) || !same_text(a[i].type, b[i].type))
            return false;
    }
    return true;
}

static bool same_properties(const struct mor_config_property *a, size_t count_a,
                            const struct mor_config_property *b, size_t count_b)
{
    if (count_a != count_b)
        return false;
    for (size_t i = 0; i < count_a; i++) {
        if (!same_text(a[i].name, b[i].name) || !same_text(a[i].value, b[i].value))
            return false;
    }
    return true;
}

static bool same_catalogs(const struct mor_config_catalog *a, size_t count_a,
                          const struct mor_config_catalog *b, size_t count_b)
{
    if (count_a != count_b)
        return false;
    for (size_t i = 0; i < count_a; i++) {
        if (!same_text(a[i].name, b[i].name) || !same_text(a[i].type, b[i].type) ||
            !same_text(a[i].uri, b[i].uri) || !same_text(a[i].warehouse, b[i].warehouse) ||
            !same_text(a[i].token, b[i].token) || !same_text(a[i].credential, b[i].credential) ||
            !same_text(a[i].scope, b[i].scope) ||
            !same_text(a[i].oauth2_server_uri, b[i].oauth2_server_uri) ||
            !same_text(a[i].ca_location, b[i].ca_location))
            return false;
    }
    return true;
}

// An array and, right behind its pointer, how many there are.
struct list {
    const void *items;
    size_t count;
};

static bool same_value(const struct mor_option *row, const void *a, const void *b)
{
    struct list x, y;
    switch (row->kind) {
    case MOR_OPTION_TEXT:
        return same_text(*(const char *const *)a, *(const char *const *)b);
    case MOR_OPTION_TEXTS:
        return same_texts(a, b);
    case MOR_OPTION_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case MOR_OPTION_COUNT:
    case MOR_OPTION_DURATION:
    case MOR_OPTION_SIZE:
        return *(const int64_t *)a == *(const int64_t *)b;
    case MOR_OPTION_RATIO:
        return memcmp(a, b, sizeof(double)) == 0;
    case MOR_OPTION_CHOICE:
        return *(const int *)a == *(const int *)b;
    case MOR_OPTION_PROPERTIES:
    case MOR_OPTION_CATALOGS:
    case MOR_OPTION_FIELDS:
    case MOR_OPTION_COLUMNS:
        break;
    }
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if (row->kind == MOR_OPTION_COLUMNS)
        return same_columns(x.items, x.count, y.items, y.count);
    if (row->kind == MOR_OPTION_PROPERTIES)
        return same_properties(x.items, x.count, y.items, y.count);
    return row->kind == MOR_OPTION_CATALOGS ? same_catalogs(x.items, x.count, y.items, y.count)
                                            : same_fields(x.items, x.count, y.items, y.count);
}

static bool same_option(const struct mor_option *row, const void *a, const void *b)
{
    return same_value(row, (const char *)a + row->offset, (const char *)b + row->offset);
}

bool mor_config_topic_equals(const struct mor_config_topic *a, const struct mor_config_topic *b)
{
    for (const struct mor_option *row = mor_topic_options; row->path; row++) {
        if (!same_option(row, a, b))
            return false;
    }
    size_t size = a->schema.text_size_bytes;
    return a->schema.kind == b->schema.kind && size == b->schema.text_size_bytes &&
           (size == 0 || memcmp(a->schema.text, b->schema.text, size) == 0);
}

void mor_config_differences(const struct mor_config *a, const struct mor_config *b,
                            void (*differs)(void *context, const char *key), void *context)
{
    for (const struct mor_option *row = mor_service_options; row->path; row++) {
        if (!same_option(row, a, b))
            differs(context, row->path);
    }
}
