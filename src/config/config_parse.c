// Values of single options: text to numbers, choices and lists, with messages that quote what was
// found unless it is a secret.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_options.h"

// ---- numbers as people write them ---------------------------------------------------------------

struct unit_name {
    const char *name;
    int64_t factor;
};

void mor_option_format(enum mor_option_kind kind, int64_t value, char *ret_text, size_t capacity)
{
    static const struct unit_name durations[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
    };
    static const struct unit_name sizes[] = {
        {"TiB", 1LL << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20},
        {"KiB", 1 << 10},   {"B", 1},         {NULL, 0},
    };
    if (kind == MOR_OPTION_RATIO) {
        snprintf(ret_text, capacity, "%g", (double)value / 1000);
        return;
    }
    if (kind != MOR_OPTION_DURATION && kind != MOR_OPTION_SIZE) {
        snprintf(ret_text, capacity, "%lld", (long long)value);
        return;
    }
    const struct unit_name *unit = kind == MOR_OPTION_DURATION ? durations : sizes;
    while (unit[1].name && (value == 0 || value % unit->factor != 0))
        unit++;
    snprintf(ret_text, capacity, "%lld%s", (long long)(value / unit->factor), unit->name);
}

void mor_option_format_range(const struct mor_option *row, char *ret_text, size_t capacity)
{
    char min[32], max[32];
    mor_option_format(row->kind, row->min, min, sizeof min);
    mor_option_format(row->kind, row->max, max, sizeof max);
    if (row->min == 0 && row->max == 0)
        snprintf(ret_text, capacity, "%s", "");
    else
        snprintf(ret_text, capacity, "%s to %s", min, max);
}

// ---- one value ----------------------------------------------------------------------------------

static bool wrong(struct mor_option_reading *reading, const struct mor_option *row,
                  struct mor_place place, const char *text, bool secret, const char *expected)
{
    if (secret)
        mor_config_error(reading->loader, place, "'%s' must be %s", row->path, expected);
    else
        mor_config_error(reading->loader, place, "'%s' must be %s, found '%s'", row->path, expected,
                         text);
    return false;
}

static bool in_range(struct mor_option_reading *reading, const struct mor_option *row,
                     struct mor_place place, int64_t value)
{
    if ((row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max))
        return true;
    char range[80], found[32];
    mor_option_format_range(row, range, sizeof range);
    mor_option_format(row->kind, value, found, sizeof found);
    mor_config_error(reading->loader, place, "'%s' is out of range: %s, allowed is %s", row->path,
                     found, range);
    return false;
}

static bool parse_integer(const char *text, int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || text[0] == ' ' || text[0] == '+')
        return false;
    *ret_value = value;
    return true;
}

static bool parse_number(struct mor_option_reading *reading, const struct mor_option *row,
                         struct mor_place place, const char *text, bool secret, int64_t *ret_value)
{
    int64_t value, plain;
    bool good;
    const char *expected;
    if (row->kind == MOR_OPTION_COUNT) {
        good = parse_integer(text, &value);
        expected = "a whole number";
    } else if (row->kind == MOR_OPTION_DURATION) {
        good = mor_config_parse_duration(text, &value);
        expected = "a duration such as 500ms, 10s, 5m, 24h or 7d";
        if (!good && parse_integer(text, &plain))
            expected = "a duration with its unit (ms, s, m, h or d)";
    } else {
        good = mor_config_parse_size(text, &value);
        expected = "a size such as 64KiB, 1MiB or 2GiB";
        if (!good && parse_integer(text, &plain))
            expected = "a size with its unit (B, KiB, MiB, GiB, TiB)";
    }
    if (!good)
        return wrong(reading, row, place, text, secret, expected);
    if (!in_range(reading, row, place, value))
        return false;
    *ret_value = value;
    return true;
}

static bool parse_ratio(struct mor_option_reading *reading, const struct mor_option *row,
                        struct mor_place place, const char *text, bool secret, double *ret_value)
{
    char *end;
    double value = strtod(text, &end);
    // the limits also keep out what strtod takes besides numbers: "inf" and "nan"
    if (end == text || *end != '\0' || strspn(text, "0123456789.") != strlen(text))
        return wrong(reading, row, place, text, secret, "a number such as 0.3");
    if (value > 1e9 || !in_range(reading, row, place, (int64_t)(value * 1000 + 0.5)))
        return value > 1e9 ? wrong(reading, row, place, text, secret, "a number such as 0.3")
                           : false;
    *ret_value = value;
    return true;
}

static bool parse_choice(struct mor_option_reading *reading, const struct mor_option *row,
                         struct mor_place place, const char *text, bool secret, int *ret_value)
{
    MOR_AUTO_BUFFER names = {0};
    for (const struct mor_option_choice *choice = row->choices; choice->name; choice++) {
        if (strcmp(choice->name, text) == 0 && !choice->unsupported) {
            *ret_value = choice->value;
            return true;
        }
        if (strcmp(choice->name, text) == 0) {
            mor_config_error(reading->loader, place,
                             "'%s: %s' is not supported in this version yet", row->path, text);
            return false;
        }
        const char *separator = choice == row->choices ? "" : choice[1].name ? ", " : " or ";
        mor_buffer_printf(&names, "%s%s", separator, choice->name);
    }
    return wrong(reading, row, place, text, secret, mor_buffer_terminate(&names));
}

bool mor_option_parse_text(struct mor_option_reading *reading, const struct mor_option *row,
                           struct mor_place place, const char *text, bool secret)
{
    void *target = (char *)reading->target + row->offset;
    int choice;
    switch (row->kind) {
    case MOR_OPTION_TEXT:
        *(const char **)target = text[0] ? text : NULL;
        return true;
    case MOR_OPTION_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return wrong(reading, row, place, text, secret, "true or false");
        *(bool *)target = text[0] == 't';
        return true;
    case MOR_OPTION_COUNT:
    case MOR_OPTION_DURATION:
    case MOR_OPTION_SIZE:
        return parse_number(reading, row, place, text, secret, target);
    case MOR_OPTION_RATIO:
        return parse_ratio(reading, row, place, text, secret, target);
    case MOR_OPTION_CHOICE:
        if (!parse_choice(reading, row, place, text, secret, &choice))
            return false;
        memcpy(target, &choice, sizeof choice); // every enum here is as wide as an int
        return true;
    default:
        mor_config_error(reading->loader, place, "'%s' cannot be plain text", row->path);
        return false;
    }
}

// ---- nodes --------------------------------------------------------------------------------------

static const char *kind_name(enum mor_option_kind kind)
{
    switch (kind) {
    case MOR_OPTION_TEXTS:
    case MOR_OPTION_FIELDS:
    case MOR_OPTION_COLUMNS:
        return "a list";
    case MOR_OPTION_PROPERTIES:
    case MOR_OPTION_CATALOGS:
        return "a mapping";
    case MOR_OPTION_BOOL:
        return "true or false";
    case MOR_OPTION_COUNT:
    case MOR_OPTION_RATIO:
        return "a number";
    case MOR_OPTION_DURATION:
        return "a duration such as 10s";
    case MOR_OPTION_SIZE:
        return "a size such as 64MiB";
    default:
        return "text";
    }
}

static bool is_empty(const struct mor_yaml_node *node)
{
    return node->kind == MOR_YAML_SCALAR && node->text[0] == '\0' && !node->quoted;
}

// The scalar's text with its secrets filled in; NULL when an error was reported.
static const char *scalar(struct mor_option_reading *reading, const struct mor_option *row,
                          const struct mor_yaml_node *node, bool *ret_secret)
{
    const char *text = mor_config_substitute(reading->loader, node->place, node->text, ret_secret);
    if (text && mor_config_secret_name(row->path)) {
        *ret_secret = true;
        mor_config_remember_secret(reading->loader, text);
    }
    return text;
}

static bool parse_texts(struct mor_option_reading *reading, const struct mor_option *row,
                        const struct mor_yaml_node *node)
{
    struct mor_config_texts *target = (void *)((char *)reading->target + row->offset);
    size_t count = 0;
    bool secret;
    if (node->kind == MOR_YAML_SCALAR)
        count = 1;
    for (const struct mor_yaml_node *item = node->first; item; item = item->next)
        count++;
    const char **items = mor_arena_calloc(&reading->loader->memory->arena, count, sizeof *items);
    const struct mor_yaml_node *item = node->kind == MOR_YAML_SCALAR ? node : node->first;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (item->kind != MOR_YAML_SCALAR || item->text[0] == '\0') {
            mor_config_error(reading->loader, item->place,
                             "'%s' must be a list of texts, found %s in it", row->path,
                             mor_yaml_describe(item));
            return false;
        }
        items[i] = scalar(reading, row, item, &secret);
        if (!items[i])
            return false;
    }
    *target = (struct mor_config_texts){.items = items, .count = count};
    return true;
}

bool mor_option_parse(struct mor_option_reading *reading, const struct mor_option *row,
                      const struct mor_yaml_node *node)
{
    bool structs = row->kind == MOR_OPTION_FIELDS || row->kind == MOR_OPTION_COLUMNS;
    bool list = row->kind == MOR_OPTION_TEXTS || structs;
    bool mapping = row->kind == MOR_OPTION_PROPERTIES || row->kind == MOR_OPTION_CATALOGS;
    bool fits = (node->kind == MOR_YAML_SEQUENCE && list) ||
                (node->kind == MOR_YAML_MAPPING && mapping) ||
                (node->kind == MOR_YAML_SCALAR && !mapping && !structs);
    if (is_empty(node) || !fits) {
        mor_config_error(reading->loader, node->place, "'%s' must be %s, found %s", row->path,
                         kind_name(row->kind), mor_yaml_describe(node));
        return false;
    }
    switch (row->kind) {
    case MOR_OPTION_TEXTS:
        return parse_texts(reading, row, node);
    case MOR_OPTION_PROPERTIES:
        return mor_option_parse_properties(reading, row, node);
    case MOR_OPTION_CATALOGS:
        return mor_option_parse_catalogs(reading, row, node);
    case MOR_OPTION_FIELDS:
        return mor_option_parse_fields(reading, row, node);
    case MOR_OPTION_COLUMNS:
        return mor_option_parse_columns(reading, row, node);
    default: {
        bool secret;
        const char *text = scalar(reading, row, node, &secret);
        return text && mor_option_parse_text(reading, row, node->place, text, secret);
    }
    }
}

const char *mor_option_child_text(struct mor_config_loader *loader,
                                  const struct mor_yaml_node *node, const char *key, bool required)
{
    const struct mor_yaml_node *child = mor_yaml_child(node, key);
    if (!child) {
        if (required)
            mor_config_error(loader, node->place, "missing required key '%s'", key);
        return NULL;
    }
    if (child->kind != MOR_YAML_SCALAR || child->text[0] == '\0') {
        mor_config_error(loader, child->place, "'%s' must be text, found %s", key,
                         mor_yaml_describe(child));
        return NULL;
    }
    bool secret;
    const char *text = mor_config_substitute(loader, child->place, child->text, &secret);
    if (text && mor_config_secret_name(key))
        mor_config_remember_secret(loader, text);
    return text;
}
