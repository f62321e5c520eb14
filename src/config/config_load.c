#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config_options.h"

#include "moraine/config.h"

// Folder part of a path, "" for a bare name.
static const char *directory_of(struct mor_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return "";
    return slash == path ? "/" : mor_arena_strndup(arena, path, (size_t)(slash - path));
}

// Reads one file into `target` by `rows`; the reading is left for the checks, its places for as
// long as the configuration lives. False when the file cannot be read or parsed at all.
static bool read_file(struct mor_option_reading *reading, const char *path,
                      const struct mor_option *rows, void *target,
                      const struct mor_place **ret_places)
{
    struct mor_config_loader *loader = reading->loader;
    loader->file = path;
    loader->directory = directory_of(&loader->memory->arena, path);
    const char *reason = NULL;
    size_t length = 0;
    char *text = mor_config_read_file(loader, path, &length, &reason);
    if (!text) {
        mor_config_error(loader, (struct mor_place){0}, "%s", reason);
        return false;
    }
    reading->rows = rows;
    reading->target = target;
    reading->root = mor_yaml_parse(loader, text, length);
    if (!reading->root)
        return false;
    mor_option_read(reading);
    struct mor_place *places =
        mor_arena_calloc(&loader->memory->arena, MOR_OPTION_ROWS_MAX, sizeof *places);
    memcpy(places, reading->places, sizeof reading->places);
    *ret_places = places;
    return true;
}

static void default_instance(struct mor_config_loader *loader, struct mor_config *config)
{
    char name[65] = "";
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
        strcpy(name, "moraine");
    for (char *c = name; *c; c++) {
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *c))
            *c = '-';
    }
    config->instance = mor_arena_strdup(&loader->memory->arena, name);
}

static void fill_service_defaults(struct mor_config_loader *loader, struct mor_config *config)
{
    if (!config->instance)
        default_instance(loader, config);
    if (config->lanes == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        config->lanes = cores < 1 ? 1 : cores > 256 ? 256 : cores;
    }
    if (config->http.listen && strcmp(config->http.listen, "off") == 0)
        config->http.listen = NULL;
}

static void add_path(struct mor_arena *arena, struct mor_config_texts *paths, const char *path)
{
    for (size_t i = 0; i < paths->count; i++) {
        if (strcmp(paths->items[i], path) == 0)
            return; // two globs name it
    }
    const char **items = mor_arena_calloc(arena, paths->count + 1, sizeof *items);
    if (paths->count > 0)
        memcpy(items, paths->items, paths->count * sizeof *items);
    items[paths->count] = mor_arena_strdup(arena, path);
    *paths = (struct mor_config_texts){.items = items, .count = paths->count + 1};
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Expands the globs of `topics`, sorted.
static struct mor_config_texts find_topic_files(struct mor_option_reading *service,
                                                const struct mor_config *config)
{
    struct mor_config_loader *loader = service->loader;
    struct mor_config_texts paths = {0};
    for (size_t i = 0; i < config->topics_from.count; i++) {
        const char *pattern = mor_config_resolve(loader, config->topics_from.items[i]);
        glob_t found;
        int status = glob(pattern, GLOB_BRACE, NULL, &found);
        if (status == GLOB_NOSPACE)
            mor_config_error(loader, mor_option_place(service, "topics"), "out of memory");
        else if (status != 0 || found.gl_pathc == 0)
            mor_config_error(loader, mor_option_place(service, "topics"), "no file matches '%s'",
                             pattern);
        for (size_t k = 0; status == 0 && k < found.gl_pathc; k++)
            add_path(&loader->memory->arena, &paths, found.gl_pathv[k]);
        if (status == 0)
            globfree(&found);
    }
    if (paths.count > 0)
        qsort(paths.items, paths.count, sizeof *paths.items, compare_texts);
    return paths;
}

static void load_topics(struct mor_config_loader *loader, struct mor_config *config,
                        const struct mor_config_texts *paths)
{
    config->topics = mor_arena_calloc(&loader->memory->arena, paths->count, sizeof *config->topics);
    for (size_t i = 0; i < paths->count; i++) {
        struct mor_config_topic *topic = &config->topics[config->topic_count++];
        struct mor_option_reading reading = {.loader = loader};
        topic->path = paths->items[i];
        if (read_file(&reading, topic->path, mor_topic_options, topic, &topic->places))
            mor_config_check_topic(&reading, config, topic);
    }
}

static void load(struct mor_config_loader *loader, const char *path, struct mor_config *config)
{
    struct mor_option_reading reading = {.loader = loader};
    config->path = mor_arena_strdup(&loader->memory->arena, path);
    if (!read_file(&reading, config->path, mor_service_options, config, &config->places))
        return;
    fill_service_defaults(loader, config);
    mor_config_check_service(&reading, config);
    struct mor_config_texts paths = find_topic_files(&reading, config);
    load_topics(loader, config, &paths);
    loader->file = config->path;
    mor_config_check_topics(loader, config);
}

enum mor_status mor_config_load(const char *path, struct mor_config **ret_config,
                                struct mor_config_report *report)
{
    struct mor_config_memory *memory = mor_calloc(1, sizeof *memory);
    mor_arena_init(&memory->arena, 0, NULL);
    struct mor_config *config = mor_calloc(1, sizeof *config);
    config->memory = memory;
    struct mor_config_loader loader = {
        .memory = memory, .report = report, .file = path, .directory = ""};
    load(&loader, path, config);
    if (report->error_count > 0) {
        mor_config_free(config);
        return MOR_FATAL;
    }
    *ret_config = config;
    return MOR_OK;
}

void mor_config_free(struct mor_config *config)
{
    if (!config)
        return;
    struct mor_config_memory *memory = config->memory;
    for (size_t i = 0; i < config->kafka_count; i++) {
        if (config->kafka[i].secret)
            explicit_bzero((void *)(uintptr_t)config->kafka[i].value,
                           strlen(config->kafka[i].value));
    }
    for (size_t i = 0; i < memory->secret_count; i++) {
        explicit_bzero(memory->secrets[i], strlen(memory->secrets[i]));
        free(memory->secrets[i]);
    }
    free(memory->secrets);
    mor_arena_done(&memory->arena);
    free(memory);
    free(config);
}
