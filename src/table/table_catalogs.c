#include "table_catalogs.h"

#include <string.h>

#include "iceberg/iceberg_catalog.h"
#include "iceberg/iceberg_table.h"
#include "moraine/base/thread.h"

// What the process knows; replaced as a whole, read under the mutex.
static pthread_mutex_t catalogs_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct mor_table_catalog *catalogs;
static size_t catalog_count;

#define TEXTS 8 // members of struct mor_table_catalog, all of them texts

static void each_text(struct mor_table_catalog *catalog, const char **ret_texts[TEXTS])
{
    const char **texts[TEXTS] = {
        &catalog->name,  &catalog->uri,        &catalog->warehouse,         &catalog->token,
        &catalog->scope, &catalog->credential, &catalog->oauth2_server_uri, &catalog->ca_location,
    };
    memcpy(ret_texts, texts, sizeof texts);
}

static void catalog_done(struct mor_table_catalog *catalog)
{
    const char **texts[TEXTS];
    each_text(catalog, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        char *text = (char *)*texts[i];
        if (text)
            explicit_bzero(text, strlen(text)); // some of them are secrets
        free(text);
    }
}

static void catalog_copy(struct mor_table_catalog *to, const struct mor_table_catalog *from)
{
    const char **texts[TEXTS];
    *to = *from;
    each_text(to, texts);
    for (size_t i = 0; i < TEXTS; i++)
        *texts[i] = *texts[i] ? mor_strdup(*texts[i]) : NULL;
}

void mor_table_catalogs_set(const struct mor_table_catalog *from, size_t count)
{
    struct mor_table_catalog *copies = count > 0 ? mor_calloc(count, sizeof *copies) : NULL;
    for (size_t i = 0; i < count; i++)
        catalog_copy(&copies[i], &from[i]);
    MOR_LOCKED(&catalogs_mutex);
    for (size_t i = 0; i < catalog_count; i++)
        catalog_done(&catalogs[i]);
    free(catalogs);
    catalogs = copies;
    catalog_count = count;
}

bool mor_table_is_in_catalog(const char *location)
{
    const char *colon = strchr(location, ':');
    return colon && colon > location && !strchr(location, '/') && colon[1] != '\0';
}

// "lake:a.b.orders" is table "orders" in namespace "a.b" of catalog "lake".
static enum mor_status split(char *location, const char **ret_namespace, const char **ret_table,
                             struct mor_error *err)
{
    char *colon = strchr(location, ':');
    char *dot = strrchr(colon + 1, '.');
    if (!dot || dot == colon + 1 || dot[1] == '\0' || strstr(colon, ".."))
        return mor_error_set(err, MOR_FATAL,
                             "a table of a catalog is written catalog:namespace.table");
    *colon = '\0';
    *dot = '\0';
    *ret_namespace = colon + 1;
    *ret_table = dot + 1;
    return MOR_OK;
}

// A handle of the catalog by its name, for the table.
static enum mor_status open_catalog(const char *name, const char *namespace_, const char *table,
                                    struct iceberg_catalog **ret_catalog, struct mor_error *err)
{
    MOR_LOCKED(&catalogs_mutex);
    for (size_t i = 0; i < catalog_count; i++) {
        const struct mor_table_catalog *known = &catalogs[i];
        if (strcmp(known->name, name) != 0)
            continue;
        const struct iceberg_rest_options options = {
            .name = known->name,
            .uri = known->uri,
            .warehouse = known->warehouse,
            .token = known->token,
            .credential = known->credential,
            .scope = known->scope,
            .oauth2_server_uri = known->oauth2_server_uri,
            .ca_location = known->ca_location,
            .namespace_ = namespace_,
            .table = table,
        };
        return iceberg_catalog_open_rest(&options, ret_catalog, err);
    }
    return mor_error_set(err, MOR_FATAL, "no catalog '%s' is configured", name);
}

static enum mor_status find(const char *location, char **ret_copy, struct iceberg_named *ret_named,
                            struct mor_error *err)
{
    *ret_copy = mor_strdup(location);
    MOR_TRY(split(*ret_copy, &ret_named->database, &ret_named->name, err));
    return open_catalog(*ret_copy, ret_named->database, ret_named->name, &ret_named->catalog, err);
}

static enum mor_status wrapped(enum mor_status status, const char *location, const char *how,
                               struct mor_error *err)
{
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "could not open the table '%s'%s", location, how);
}

enum mor_status mor_catalogs_open_write(const struct mor_table_options *options,
                                        struct mor_table **ret_table, struct mor_error *err)
{
    struct iceberg_named named = {0};
    MOR_AUTO_FREE char *copy = NULL;
    if (options->format != MOR_FORMAT_ICEBERG)
        return mor_error_set(err, MOR_FATAL, "only Iceberg tables are in catalogs");
    enum mor_status status = find(options->location, &copy, &named, err);
    if (status == MOR_OK)
        status = iceberg_open_write_named(&named, options, ret_table, err);
    return wrapped(status, options->location, " for writing", err);
}

enum mor_status mor_catalogs_open_read(const char *location, struct mor_budget *budget,
                                       struct mor_table **ret_table, struct mor_error *err)
{
    struct iceberg_named named = {0};
    MOR_AUTO_FREE char *copy = NULL;
    enum mor_status status = find(location, &copy, &named, err);
    if (status == MOR_OK)
        status = iceberg_open_read_named(&named, budget, ret_table, err);
    return wrapped(status, location, "", err);
}

enum mor_status mor_catalogs_open_rewrite(const char *location, const char *instance,
                                          struct mor_budget *budget, struct mor_table **ret_table,
                                          struct mor_error *err)
{
    struct iceberg_named named = {0};
    MOR_AUTO_FREE char *copy = NULL;
    enum mor_status status = find(location, &copy, &named, err);
    if (status == MOR_OK)
        status = iceberg_open_rewrite_named(&named, instance, budget, ret_table, err);
    return wrapped(status, location, " for rewriting", err);
}
