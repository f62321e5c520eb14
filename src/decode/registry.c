// Client of a Confluent-compatible schema registry:
//
//   GET /schemas/ids/{id}
//       {"schema": "...", "schemaType": "AVRO", "references": [...]}   schemaType absent = AVRO
//   GET /subjects/{subject}/versions/latest
//       {"id": 7, "schema": "...", ...}
//   errors
//       {"error_code": 40403, "message": "..."}
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "moraine/base/clock.h"
#include "moraine/base/map.h"
#include "moraine/base/thread.h"
#include "moraine/net.h"
#include "registry.h"

#define DEFAULT_TIMEOUT_MS 10000
#define MISSING_MS         30000      // how long an unknown id is not asked for again
#define SCHEMAS_MAX        10000      // texts kept; past it the cache starts anew
#define RESPONSE_SIZE_MAX  (8u << 20) // a schema of 1 MiB, escaped, and more

// What is known of an id. A schema never changes once it has one.
struct known {
    enum mor_schema_kind kind;
    char *schema; // NULL: see reason
    struct mor_schema_import *imports;
    size_t import_count;
    char *reason;     // why it cannot be used, NULL = not in the registry
    int64_t asked_ms; // monotonic
};

struct mor_registry {
    char *url;            // without '/' at the end
    pthread_mutex_t lock; // of all below; held during a request, so that one thread asks for all
    struct mor_http_client *http;
    struct mor_map schemas; // id -> struct known
};

enum mor_status mor_registry_open(const struct mor_registry_options *options,
                                  struct mor_registry **ret_registry, struct mor_error *err)
{
    if (!options->url ||
        (strncmp(options->url, "http://", 7) != 0 && strncmp(options->url, "https://", 8) != 0))
        return mor_error_set(err, MOR_FATAL,
                             "schema registry: the URL must begin with http:// or https://");
    struct mor_http_options http = {
        .username = options->username,
        .password = options->password,
        .ca_location = options->ca_location,
        .timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS,
        .response_size_max_bytes = RESPONSE_SIZE_MAX,
    };
    struct mor_http_client *client;
    MOR_TRY(mor_http_client_new(&http, &client, err));
    struct mor_registry *registry = mor_calloc(1, sizeof *registry);
    registry->http = client;
    size_t length = strlen(options->url);
    while (length > 0 && options->url[length - 1] == '/')
        length--;
    registry->url = mor_strndup(options->url, length);
    pthread_mutex_init(&registry->lock, NULL);
    *ret_registry = registry;
    return MOR_OK;
}

static void known_done(struct known *known)
{
    for (size_t i = 0; i < known->import_count; i++) {
        free((char *)known->imports[i].name);
        free((char *)known->imports[i].text);
    }
    free(known->imports);
    free(known->schema);
    free(known->reason);
}

static void forget_all(struct mor_registry *registry)
{
    for (size_t i = 0; i < registry->schemas.count; i++) {
        struct known *known = registry->schemas.entries[i].value.pointer;
        known_done(known);
        free(known);
    }
    mor_map_done(&registry->schemas);
    registry->schemas = (struct mor_map){0};
}

void mor_registry_free(struct mor_registry *registry)
{
    if (!registry)
        return;
    forget_all(registry);
    mor_http_client_free(registry->http);
    pthread_mutex_destroy(&registry->lock);
    free(registry->url);
    free(registry);
}

// ---- requests -----------------------------------------------------------------------------------

// A 404 of the registry itself carries an error code; one without comes from something else at that
// address, which must not turn every record into a dead letter.
static enum mor_status refuse(const char *url, int32_t code, const json_t *answer,
                              struct mor_error *err)
{
    json_int_t error_code = json_integer_value(json_object_get(answer, "error_code"));
    const char *message = json_string_value(json_object_get(answer, "message"));
    enum mor_status status = MOR_FATAL;
    if (code == 404 && (error_code == 404 || error_code / 100 == 404))
        status = MOR_NOT_FOUND;
    else if (code >= 500 || code == 429 || code == 408)
        status = MOR_RETRY;
    return mor_error_set(err, status, "schema registry: %s answers %d%s%.300s", url, code,
                         message ? ": " : "", message ? message : "");
}

enum mor_status mor_registry_get(struct mor_registry *registry, const char *path,
                                 json_t **ret_answer, struct mor_error *err)
{
    static const char *const headers[] = {
        "Accept: application/vnd.schemaregistry.v1+json, application/json"};
    MOR_AUTO_FREE char *url = mor_asprintf("%s%s", registry->url, path);
    struct mor_http_request request = {.url = url, .headers = headers, .header_count = 1};
    struct mor_http_response response = {0};
    enum mor_status status = mor_http_send(registry->http, &request, &response, err);
    if (status != MOR_OK) {
        mor_http_response_done(&response);
        return mor_error_wrap(err, "schema registry");
    }
    json_error_t json_error;
    json_t *answer =
        json_loadb((const char *)response.body.data, response.body.size_bytes, 0, &json_error);
    int32_t code = response.code;
    mor_http_response_done(&response);
    if (code != 200)
        status = refuse(url, code, answer, err);
    else if (!json_is_object(answer))
        status =
            mor_error_set(err, MOR_RETRY, "schema registry: %s does not answer with JSON", url);
    if (status != MOR_OK) {
        json_decref(answer);
        return status;
    }
    *ret_answer = answer;
    return MOR_OK;
}

static const char *const kind_names[] = {
    [MOR_SCHEMA_AVRO] = "AVRO", [MOR_SCHEMA_JSON] = "JSON", [MOR_SCHEMA_PROTOBUF] = "PROTOBUF"};

// The schema of an answer with all that it refers to. DATA when it cannot be used: the reason is
// kept in *ret_known.
static enum mor_status take_schema(struct mor_registry *registry, const json_t *answer,
                                   struct known *ret_known, struct mor_error *err)
{
    const char *type = json_string_value(json_object_get(answer, "schemaType"));
    const char *text = json_string_value(json_object_get(answer, "schema"));
    enum mor_status status = MOR_OK;
    ret_known->kind = MOR_SCHEMA_AVRO;
    for (enum mor_schema_kind kind = MOR_SCHEMA_AVRO; type && kind <= MOR_SCHEMA_PROTOBUF; kind++) {
        if (strcmp(type, kind_names[kind]) == 0)
            ret_known->kind = kind;
    }
    if (type && strcmp(type, kind_names[ret_known->kind]) != 0)
        ret_known->reason = mor_asprintf("is of type %.40s", type);
    else if (!text)
        ret_known->reason = mor_strdup("has no text");
    if (ret_known->reason)
        return mor_error_set(err, MOR_DATA, "%s", ret_known->reason);
    if (ret_known->kind == MOR_SCHEMA_AVRO) {
        status = mor_registry_complete(registry, answer, &ret_known->schema, err);
    } else {
        status = mor_registry_collect(registry, answer, &ret_known->imports,
                                      &ret_known->import_count, err);
        if (status == MOR_OK)
            ret_known->schema = mor_strdup(text);
    }
    if (status == MOR_DATA)
        ret_known->reason = mor_asprintf("cannot be completed: %s", err->message);
    return status;
}

static void copy_schema(const struct known *known, int32_t id, struct mor_arena *arena,
                        struct mor_schema_text *ret_schema)
{
    struct mor_schema_import *imports =
        mor_arena_calloc(arena, known->import_count + 1, sizeof *imports);
    for (size_t i = 0; i < known->import_count; i++)
        imports[i] = (struct mor_schema_import){mor_arena_strdup(arena, known->imports[i].name),
                                                mor_arena_strdup(arena, known->imports[i].text)};
    *ret_schema = (struct mor_schema_text){.id = id,
                                           .text = mor_arena_strdup(arena, known->schema),
                                           .size_bytes = strlen(known->schema),
                                           .imports = imports,
                                           .import_count = known->import_count};
}

// ---- front door ---------------------------------------------------------------------------------

enum mor_status mor_registry_latest(struct mor_registry *registry, enum mor_schema_kind kind,
                                    const char *subject, struct mor_arena *arena,
                                    struct mor_schema_text *ret_schema, struct mor_error *err)
{
    MOR_LOCKED(&registry->lock);
    MOR_AUTO_BUFFER path = {0};
    json_t *answer = NULL;
    struct known known = {0};
    mor_buffer_append_text(&path, "/subjects/");
    mor_http_escape(subject, strlen(subject), &path);
    mor_buffer_append_text(&path, "/versions/latest");
    MOR_TRY(mor_registry_get(registry, mor_buffer_terminate(&path), &answer, err));
    const json_t *id = json_object_get(answer, "id");
    enum mor_status status = take_schema(registry, answer, &known, err);
    if (status == MOR_DATA)
        status = mor_error_set(err, MOR_FATAL, "schema registry: the schema of subject '%s' %s",
                               subject, known.reason);
    else if (status == MOR_OK && known.kind != kind)
        status = mor_error_set(err, MOR_FATAL,
                               "schema registry: the schema of subject '%s' is of type %s, not %s",
                               subject, kind_names[known.kind], kind_names[kind]);
    else if (status == MOR_OK && (!json_is_integer(id) || json_integer_value(id) < 0 ||
                                  json_integer_value(id) > INT32_MAX))
        status = mor_error_set(err, MOR_FATAL, "schema registry: subject '%s' has no id", subject);
    if (status == MOR_OK)
        copy_schema(&known, (int32_t)json_integer_value(id), arena, ret_schema);
    known_done(&known);
    json_decref(answer);
    return status;
}

static enum mor_status report(const struct known *known, enum mor_schema_kind kind, int32_t id,
                              struct mor_arena *arena, struct mor_schema_text *ret_schema,
                              struct mor_error *err)
{
    if (known->reason)
        return mor_error_set(err, MOR_DATA, "schema id %d %s", id, known->reason);
    if (!known->schema)
        return mor_error_set(err, MOR_NOT_FOUND, "schema registry: schema id %d is not known", id);
    if (known->kind != kind)
        return mor_error_set(err, MOR_DATA, "schema id %d is of type %s, not %s", id,
                             kind_names[known->kind], kind_names[kind]);
    copy_schema(known, id, arena, ret_schema);
    return MOR_OK;
}

// Asks for a schema; MOR_OK with what is to be remembered of it, which may be that it does not
// exist.
static enum mor_status ask(struct mor_registry *registry, int32_t id, struct known *ret_known,
                           struct mor_error *err)
{
    char path[64];
    json_t *answer = NULL;
    snprintf(path, sizeof path, "/schemas/ids/%d", id);
    enum mor_status status = mor_registry_get(registry, path, &answer, err);
    ret_known->asked_ms = mor_clock_mono_ms();
    if (status == MOR_NOT_FOUND)
        return MOR_OK;
    MOR_TRY(status);
    status = take_schema(registry, answer, ret_known, err);
    json_decref(answer);
    return status == MOR_DATA ? MOR_OK : status;
}

enum mor_status mor_registry_schema(struct mor_registry *registry, enum mor_schema_kind kind,
                                    int32_t id, struct mor_arena *arena,
                                    struct mor_schema_text *ret_schema, struct mor_error *err)
{
    MOR_LOCKED(&registry->lock);
    struct mor_map_entry *entry = mor_map_find(&registry->schemas, &id, sizeof id);
    struct known *known = entry ? entry->value.pointer : NULL;
    if (known &&
        (known->schema || known->reason || mor_clock_mono_ms() - known->asked_ms < MISSING_MS))
        return report(known, kind, id, arena, ret_schema, err);
    struct known fresh = {0};
    enum mor_status status = ask(registry, id, &fresh, err);
    if (status != MOR_OK) {
        known_done(&fresh);
        return status;
    }
    if (!known) {
        if (registry->schemas.count >= SCHEMAS_MAX)
            forget_all(registry);
        known = mor_calloc(1, sizeof *known);
        mor_map_put(&registry->schemas, &id, sizeof id, NULL)->value.pointer = known;
    }
    *known = fresh;
    return report(known, kind, id, arena, ret_schema, err);
}
