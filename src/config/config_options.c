// Reads a tree of nodes by a table of rows.
#include "config_options.h"

#include <stdio.h>
#include <string.h>

#define PATH_LENGTH_MAX 256

static const struct mor_option *find_row(const struct mor_option *rows, const char *path)
{
    for (const struct mor_option *row = rows; row->path; row++) {
        if (strcmp(row->path, path) == 0)
            return row;
    }
    return NULL;
}

// Whether some row lies below `path`.
static bool is_section(const struct mor_option *rows, const char *path)
{
    size_t length = strlen(path);
    for (const struct mor_option *row = rows; row->path; row++) {
        if (strncmp(row->path, path, length) == 0 && row->path[length] == '.')
            return true;
    }
    return false;
}

bool mor_option_is_set(const struct mor_option_reading *reading, const char *path)
{
    const struct mor_option *row = find_row(reading->rows, path);
    return row && reading->places[row - reading->rows].line > 0;
}

struct mor_place mor_option_place(const struct mor_option_reading *reading, const char *path)
{
    const struct mor_option *row = find_row(reading->rows, path);
    if (row && reading->places[row - reading->rows].line > 0)
        return reading->places[row - reading->rows];
    // Not set: the deepest mapping on the way to it.
    const struct mor_yaml_node *node = reading->root;
    struct mor_place place = {1, 1};
    char part[PATH_LENGTH_MAX];
    while (node) {
        size_t length = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)length, path);
        node = mor_yaml_child(node, part);
        if (!node || path[length] == '\0')
            break;
        place = node->key_place;
        path += length + 1;
    }
    return place;
}

// ---- unknown keys -------------------------------------------------------------------------------

static size_t edit_distance(const char *a, const char *b)
{
    enum { LENGTH_MAX = 64 };
    size_t length_a = strlen(a), length_b = strlen(b), row[LENGTH_MAX + 1];
    if (length_a > LENGTH_MAX || length_b > LENGTH_MAX)
        return LENGTH_MAX;
    for (size_t j = 0; j <= length_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = best < replace ? best : replace;
        }
    }
    return row[length_b];
}

const char *mor_option_nearest(const char *name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    // A third of the letters may be wrong, and a little more in short words.
    size_t best = strlen(name) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(name, names[i]);
        if (distance < best && distance < strlen(names[i])) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

// Looks among the siblings first, then for the same last part in another section.
static void unknown_key(struct mor_option_reading *reading, const char *prefix,
                        const struct mor_yaml_node *node)
{
    struct mor_config_loader *loader = reading->loader;
    const char *names[MOR_OPTION_ROWS_MAX];
    size_t count = 0, prefix_length = strlen(prefix);
    for (const struct mor_option *row = reading->rows; row->path; row++) {
        if (strncmp(row->path, prefix, prefix_length) != 0)
            continue;
        const char *rest = row->path + prefix_length;
        names[count++] = mor_arena_strndup(&loader->memory->arena, rest, strcspn(rest, "."));
        if (strchr(rest, '.') && strchr(node->key, '.'))
            names[count - 1] = rest;
    }
    const char *nearest = mor_option_nearest(node->key, names, count);
    if (nearest) {
        mor_config_error(loader, node->key_place, "unknown key '%s%s', did you mean '%s%s'?",
                         prefix, node->key, prefix, nearest);
        return;
    }
    for (const struct mor_option *row = reading->rows; row->path; row++) {
        const char *last = strrchr(row->path, '.');
        if (last && strcmp(last + 1, node->key) == 0) {
            mor_config_error(loader, node->key_place, "unknown key '%s%s', did you mean '%s'?",
                             prefix, node->key, row->path);
            return;
        }
    }
    mor_config_error(loader, node->key_place, "unknown key '%s%s'", prefix, node->key);
}

// ---- reading ------------------------------------------------------------------------------------

static void read_option(struct mor_option_reading *reading, const struct mor_option *row,
                        const struct mor_yaml_node *node)
{
    struct mor_place *place = &reading->places[row - reading->rows];
    struct mor_place at = node->key_place;
    if (place->line > 0) { // once dotted, once as a section
        mor_config_error(reading->loader, at, "duplicate key '%s', first in line %lld", row->path,
                         (long long)place->line);
        return;
    }
    *place = node->place;
    if (row->flags & MOR_OPTION_UNSUPPORTED) {
        mor_config_error(reading->loader, at, "'%s' is not supported in this version yet",
                         row->path);
        return;
    }
    if (!mor_option_parse(reading, row, node))
        return;
    if (row->flags & MOR_OPTION_IDLE)
        mor_config_warning(reading->loader, at, "'%s' has no effect in this version yet",
                           row->path);
}

static void read_section(struct mor_option_reading *reading, const char *prefix,
                         const struct mor_yaml_node *node)
{
    for (const struct mor_yaml_node *child = node->first; child; child = child->next) {
        char path[PATH_LENGTH_MAX], below[PATH_LENGTH_MAX + 1];
        if ((size_t)snprintf(path, sizeof path, "%s%s", prefix, child->key) >= sizeof path) {
            mor_config_error(reading->loader, child->key_place, "a key this long cannot be known");
            continue;
        }
        const struct mor_option *row = find_row(reading->rows, path);
        bool section = is_section(reading->rows, path);
        if (section && (child->kind == MOR_YAML_MAPPING || !row)) {
            snprintf(below, sizeof below, "%s.", path);
            if (child->kind == MOR_YAML_MAPPING)
                read_section(reading, below, child);
            else
                mor_config_error(reading->loader, child->place, "'%s' must be a mapping, found %s",
                                 path, mor_yaml_describe(child));
        } else if (row) {
            read_option(reading, row, child);
        } else {
            unknown_key(reading, prefix, child);
        }
    }
}

void mor_option_read(struct mor_option_reading *reading)
{
    struct mor_place none = {0};
    for (const struct mor_option *row = reading->rows; row->path; row++) {
        if (row->initial)
            mor_option_parse_text(reading, row, none, row->initial, false);
    }
    memset(reading->places, 0, sizeof reading->places);
    read_section(reading, "", reading->root);
    for (const struct mor_option *row = reading->rows; row->path; row++) {
        if ((row->flags & MOR_OPTION_REQUIRED) && reading->places[row - reading->rows].line == 0)
            mor_config_error(reading->loader, mor_option_place(reading, row->path),
                             "missing required key '%s'", row->path);
    }
}
