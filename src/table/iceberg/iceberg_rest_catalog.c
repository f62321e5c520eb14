// Tables of a REST catalog.
//
// A commit is a POST of requirements and updates. Its answer may be lost, or be an error of a
// gateway, after the server applied it; so whatever is not a plain "yes" is settled by looking: is
// our snapshot in the table? When it is not, and main is still what the commit requires, the same
// body is sent again: the requirement lets only one of the two through. When main has moved on
// without it, the commit can never be applied any more.
#include <assert.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "iceberg_catalog_kind.h"
#include "iceberg_rest.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"
#include "moraine/base/hash.h"
#include "moraine/base/uuid.h"

#define SETTLE_MS_DEFAULT 30000
#define PAUSE_MS_FIRST    100
#define PAUSE_MS_MAX      2000

struct rest_catalog {
    struct iceberg_catalog catalog;
    struct iceberg_rest *rest;
    char *name, *namespace_, *table;
    int64_t settle_ms;
};

// ---- paths --------------------------------------------------------------------------------------

// "a.b" as "a%1Fb": levels encoded, with the server's separator between them.
static void put_namespace(const struct rest_catalog *c, struct mor_buffer *path)
{
    MOR_AUTO_FREE char *levels = mor_strdup(c->namespace_);
    char *rest = levels, *level;
    bool first = true;
    while ((level = strsep(&rest, "."))) {
        if (!first)
            mor_buffer_append_text(path, iceberg_rest_separator(c->rest));
        iceberg_rest_segment(path, level);
        first = false;
    }
}

static void put_table_path(const struct rest_catalog *c, struct mor_buffer *path)
{
    mor_buffer_append_text(path, "namespaces/");
    put_namespace(c, path);
    mor_buffer_append_text(path, "/tables/");
    iceberg_rest_segment(path, c->table);
}

// ---- answers ------------------------------------------------------------------------------------

static bool is_passing(int32_t code)
{
    return code == 408 || code == 429 || code >= 500;
}

// {"metadata-location":...,"metadata":{...},"config":{...}}
static enum mor_status take_table(struct rest_catalog *c, const json_t *body,
                                  struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    json_t *document = json_object_get(body, "metadata");
    const char *location = iceberg_json_text(body, "metadata-location");
    struct iceberg_metadata *metadata = NULL;
    if (!document)
        return mor_error_set(err, MOR_DATA, "catalog '%s': its answer holds no table metadata",
                             c->name);
    iceberg_rest_take_table_token(c->rest, body);
    MOR_TRY(iceberg_metadata_take(json_incref(document), &metadata, err));
    metadata->metadata_location = location ? mor_strdup(location) : NULL;
    *ret_metadata = metadata;
    return MOR_OK;
}

static enum mor_status refused(const struct rest_catalog *c, const char *what,
                               const struct iceberg_answer *answer, struct mor_error *err)
{
    enum mor_status status = is_passing(answer->code) ? MOR_RETRY : MOR_FATAL;
    return mor_error_set(err, status, "catalog '%s' does not %s table %s.%s: %s%s%s (HTTP %d)",
                         c->name, what, c->namespace_, c->table, answer->type,
                         answer->type[0] ? ": " : "", answer->message, (int)answer->code);
}

// ---- loading ------------------------------------------------------------------------------------

static enum mor_status rest_load(struct iceberg_catalog *catalog,
                                 struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct rest_catalog *c = (struct rest_catalog *)catalog;
    MOR_AUTO_BUFFER path = {0};
    ICEBERG_AUTO_ANSWER answer = {0};
    MOR_TRY(iceberg_rest_prepare(c->rest, err));
    put_table_path(c, &path);
    mor_buffer_append_text(&path, "?snapshots=all");
    MOR_TRY(
        iceberg_rest_send(c->rest, "GET", mor_buffer_terminate(&path), NULL, NULL, &answer, err));
    if (answer.code == 200)
        return take_table(c, answer.body, ret_metadata, err);
    // a path that the server does not know gives 404 as well, without an exception's name
    if (answer.code == 404 && json_object_get(answer.body, "error"))
        return mor_error_set(err, MOR_NOT_FOUND, "there is no table %s.%s in catalog '%s': %s",
                             c->namespace_, c->table, c->name, answer.message);
    return refused(c, "load", &answer, err);
}

static enum mor_status rest_has_moved(struct iceberg_catalog *catalog,
                                      const struct iceberg_metadata *base, bool *ret_moved,
                                      struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    MOR_TRY(rest_load(catalog, &metadata, err));
    bool same_place = base->metadata_location && metadata->metadata_location &&
                      strcmp(base->metadata_location, metadata->metadata_location) == 0;
    *ret_moved = !same_place || strcasecmp(base->uuid, metadata->uuid) != 0;
    return MOR_OK;
}

// ---- creating -----------------------------------------------------------------------------------

// Every level by itself: some servers want the one above to be there.
static enum mor_status create_namespace(struct rest_catalog *c, struct mor_error *err)
{
    MOR_AUTO_FREE char *levels = mor_strdup(c->namespace_);
    ICEBERG_AUTO_JSON *names = json_array();
    char *rest = levels, *level;
    while ((level = strsep(&rest, "."))) {
        MOR_AUTO_BUFFER body = {0};
        ICEBERG_AUTO_ANSWER answer = {0};
        json_array_append_new(names, json_string(level));
        ICEBERG_AUTO_JSON *json = json_pack("{s:O, s:{}}", "namespace", names, "properties");
        iceberg_json_format(json, &body);
        enum mor_status status =
            iceberg_rest_send(c->rest, "POST", "namespaces", &body, NULL, &answer, err);
        if (status == MOR_UNKNOWN)
            err->status = status = MOR_RETRY; // once more does no harm
        if (status != MOR_OK)
            return status;
        if (answer.code != 409 && answer.code >= 300)
            return refused(c, "make the namespace of", &answer, err);
    }
    return MOR_OK;
}

static void put_creation(const struct rest_catalog *c, const struct iceberg_creation *creation,
                         struct mor_buffer *body)
{
    ICEBERG_AUTO_JSON *properties =
        creation->properties ? json_copy((json_t *)creation->properties) : json_object();
    json_object_set_new(properties, "format-version", json_sprintf("%d", creation->format_version));
    ICEBERG_AUTO_JSON *json =
        json_pack("{s:s, s:O, s:O, s:O, s:b}", "name", c->table, "schema", creation->schema,
                  "partition-spec", creation->spec, "properties", properties, "stage-create", 0);
    if (creation->location)
        json_object_set_new(json, "location", json_string(creation->location));
    iceberg_json_format(json, body);
}

static enum mor_status rest_create(struct iceberg_catalog *catalog,
                                   const struct iceberg_creation *creation,
                                   struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct rest_catalog *c = (struct rest_catalog *)catalog;
    MOR_AUTO_BUFFER path = {0}, body = {0};
    ICEBERG_AUTO_ANSWER answer = {0};
    MOR_TRY(iceberg_rest_prepare(c->rest, err));
    MOR_TRY(create_namespace(c, err));
    mor_buffer_append_text(&path, "namespaces/");
    put_namespace(c, &path);
    mor_buffer_append_text(&path, "/tables");
    put_creation(c, creation, &body);
    MOR_TRY(
        iceberg_rest_send(c->rest, "POST", mor_buffer_terminate(&path), &body, NULL, &answer, err));
    if (answer.code == 200)
        return take_table(c, answer.body, ret_metadata, err);
    if (answer.code == 409)
        return mor_error_set(err, MOR_CONFLICT, "there is a table %s.%s in catalog '%s' already",
                             c->namespace_, c->table, c->name);
    enum mor_status status = refused(c, "create", &answer, err);
    if (answer.code >= 500 || answer.code == 408)
        err->status = status = MOR_UNKNOWN;
    return status;
}

// ---- committing ---------------------------------------------------------------------------------

// What a change hangs on: the snapshot it adds, and what main must be for it.
struct claim {
    int64_t snapshot_id; // -1 = it adds none
    bool requires_main;
    int64_t main_id; // -1 = no snapshot yet
};

static struct claim claim_of(const struct iceberg_change *change)
{
    struct claim claim = {.snapshot_id = -1};
    size_t index;
    json_t *item;
    json_array_foreach(change->updates, index, item)
    {
        const char *action = iceberg_json_text(item, "action");
        if (action && strcmp(action, "add-snapshot") == 0)
            claim.snapshot_id =
                iceberg_json_int(json_object_get(item, "snapshot"), "snapshot-id", -1);
    }
    json_array_foreach(change->requirements, index, item)
    {
        const char *type = iceberg_json_text(item, "type");
        const char *ref = iceberg_json_text(item, "ref");
        if (type && ref && strcmp(type, "assert-ref-snapshot-id") == 0 &&
            strcmp(ref, "main") == 0) {
            claim.requires_main = true;
            claim.main_id = iceberg_json_int(item, "snapshot-id", -1);
        }
    }
    return claim;
}

enum settled { SETTLED_APPLIED, SETTLED_NEVER, SETTLED_OPEN };

// Looks whether the claim's snapshot is in the table. NEVER: main has moved on without it.
static enum mor_status look(struct rest_catalog *c, const struct claim *claim,
                            struct iceberg_metadata **ret_metadata, enum settled *ret_settled,
                            struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct iceberg_snapshot snapshot;
    *ret_settled = SETTLED_OPEN;
    MOR_TRY(rest_load(&c->catalog, &metadata, err));
    assert(metadata);
    if (claim->snapshot_id >= 0 &&
        iceberg_metadata_snapshot(metadata, claim->snapshot_id, &snapshot)) {
        *ret_settled = SETTLED_APPLIED;
        *ret_metadata = iceberg_metadata_ref(metadata);
    } else if (claim->requires_main && metadata->current_snapshot_id != claim->main_id) {
        *ret_settled = SETTLED_NEVER;
    }
    return MOR_OK;
}

struct attempt {
    struct rest_catalog *c;
    struct claim claim;
    struct mor_buffer body;
    struct mor_buffer path;
    char key[MOR_UUID_TEXT_SIZE];
};

// The same body has the same key, also in a later call.
static void make_key(struct attempt *attempt)
{
    struct mor_hash128 hash = mor_hash128(attempt->body.data, attempt->body.size_bytes);
    struct mor_uuid uuid;
    memcpy(uuid.bytes, &hash.low, 8);
    memcpy(uuid.bytes + 8, &hash.high, 8);
    uuid.bytes[6] = (uint8_t)(0x80 | (uuid.bytes[6] & 0x0f)); // version 8: of one's own making
    uuid.bytes[8] = (uint8_t)(0x80 | (uuid.bytes[8] & 0x3f));
    mor_uuid_format(&uuid, attempt->key);
}

static void make_body(struct attempt *attempt, const struct iceberg_change *change)
{
    const struct rest_catalog *c = attempt->c;
    MOR_AUTO_FREE char *levels = mor_strdup(c->namespace_);
    ICEBERG_AUTO_JSON *names = json_array();
    char *rest = levels, *level;
    while ((level = strsep(&rest, ".")))
        json_array_append_new(names, json_string(level));
    ICEBERG_AUTO_JSON *json =
        json_pack("{s:{s:O, s:s}, s:O, s:O}", "identifier", "namespace", names, "name", c->table,
                  "requirements", change->requirements, "updates", change->updates);
    iceberg_json_format(json, &attempt->body);
}

// Sends once. OK: applied. CONFLICT, RETRY, FATAL: the server says that it is not. UNKNOWN.
static enum mor_status post(struct attempt *attempt, int64_t *ret_wait_ms,
                            struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct rest_catalog *c = attempt->c;
    ICEBERG_AUTO_ANSWER answer = {0};
    MOR_TRY(mor_fault("iceberg.publish", err));
    MOR_TRY(iceberg_rest_send(c->rest, "POST", mor_buffer_terminate(&attempt->path), &attempt->body,
                              attempt->key, &answer, err));
    struct mor_error late = MOR_ERROR_INIT;
    if (mor_fault("iceberg.published", &late) != MOR_OK)
        return mor_error_set(err, MOR_UNKNOWN, "%s", late.message);
    *ret_wait_ms = answer.retry_after_ms;
    if (answer.code == 200) {
        if (take_table(c, answer.body, ret_metadata, err) != MOR_OK)
            err->status = MOR_UNKNOWN; // applied, but what the table is now was not said
        return err->status;
    }
    enum mor_status status = refused(c, "commit to", &answer, err);
    if (answer.code == 409)
        status = MOR_CONFLICT;
    else if (answer.code >= 500 || answer.code == 408)
        status = MOR_UNKNOWN; // also a gateway's 503: who knows what came before it
    err->status = status;
    return status;
}

// Waits, longer each time, at least as long as the server asked for.
static void wait_a_while(int64_t *pause_ms, int64_t asked_ms)
{
    int64_t pause = *pause_ms > asked_ms ? *pause_ms : asked_ms;
    if (pause > 2 * PAUSE_MS_MAX)
        pause = 2 * PAUSE_MS_MAX;
    struct timespec time = {.tv_sec = pause / 1000, .tv_nsec = pause % 1000 * 1000000};
    nanosleep(&time, NULL);
    *pause_ms = *pause_ms * 2 > PAUSE_MS_MAX ? PAUSE_MS_MAX : *pause_ms * 2;
}

// What became of a commit that the server refused or said nothing clear of. `status` is what it
// looks like.
static enum mor_status settle(struct attempt *attempt, enum mor_status status,
                              struct iceberg_metadata **ret_metadata, enum settled *ret_settled,
                              struct mor_error *err)
{
    struct mor_error wrong = MOR_ERROR_INIT;
    if (attempt->claim.snapshot_id < 0 ||
        look(attempt->c, &attempt->claim, ret_metadata, ret_settled, &wrong) != MOR_OK)
        return status; // nothing to look for, or no answer
    if (*ret_settled == SETTLED_APPLIED)
        return MOR_OK;
    if (*ret_settled == SETTLED_NEVER) {
        err->status = MOR_CONFLICT;
        return MOR_CONFLICT;
    }
    return status;
}

static enum mor_status commit_until_clear(struct attempt *attempt,
                                          struct iceberg_metadata **ret_metadata,
                                          struct mor_error *err)
{
    int64_t deadline_ms = mor_clock_mono_ms() + attempt->c->settle_ms;
    int64_t pause_ms = PAUSE_MS_FIRST;
    bool unknown = false; // an earlier sending may still be applied
    for (;;) {
        int64_t asked_ms = 0;
        enum settled settled = SETTLED_OPEN;
        *err = MOR_ERROR_INIT;
        enum mor_status status = post(attempt, &asked_ms, ret_metadata, err);
        if (status == MOR_OK)
            return MOR_OK;
        unknown |= status == MOR_UNKNOWN;
        // also a plain refusal: it may be the second sending that was refused
        if (status != MOR_RETRY || unknown)
            status = settle(attempt, status, ret_metadata, &settled, err);
        if (status == MOR_OK || settled == SETTLED_NEVER || !unknown)
            return status;
        if (!attempt->claim.requires_main || attempt->claim.snapshot_id < 0 ||
            mor_clock_mono_ms() >= deadline_ms) {
            err->status = MOR_UNKNOWN;
            return MOR_UNKNOWN;
        }
        wait_a_while(&pause_ms, asked_ms);
    }
}

static enum mor_status rest_commit(struct iceberg_catalog *catalog,
                                   const struct iceberg_metadata *base,
                                   const struct iceberg_change *change,
                                   struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    (void)base; // the requirements say what the change builds on
    struct attempt attempt = {.c = (struct rest_catalog *)catalog, .claim = claim_of(change)};
    MOR_TRY(iceberg_rest_prepare(attempt.c->rest, err));
    put_table_path(attempt.c, &attempt.path);
    make_body(&attempt, change);
    make_key(&attempt);
    enum mor_status status = commit_until_clear(&attempt, ret_metadata, err);
    mor_buffer_done(&attempt.body);
    mor_buffer_done(&attempt.path);
    return status;
}

// ---- opening ------------------------------------------------------------------------------------

static void rest_free(struct iceberg_catalog *catalog)
{
    struct rest_catalog *c = (struct rest_catalog *)catalog;
    iceberg_rest_free(c->rest);
    free(c->name);
    free(c->namespace_);
    free(c->table);
    free(c);
}

static const struct iceberg_catalog_ops rest_ops = {
    .free = rest_free,
    .load = rest_load,
    .create = rest_create,
    .commit = rest_commit,
    .has_moved = rest_has_moved,
};

enum mor_status iceberg_catalog_open_rest(const struct iceberg_rest_options *options,
                                          struct iceberg_catalog **ret_catalog,
                                          struct mor_error *err)
{
    struct iceberg_rest *rest = NULL;
    if (!options->namespace_ || !*options->namespace_ || !options->table || !*options->table)
        return mor_error_set(err, MOR_FATAL, "a table of catalog '%s' is namespace.table",
                             options->name);
    MOR_TRY(iceberg_rest_new(options, &rest, err));
    struct rest_catalog *c = mor_calloc(1, sizeof *c);
    c->catalog.ops = &rest_ops;
    c->rest = rest;
    c->name = mor_strdup(options->name);
    c->namespace_ = mor_strdup(options->namespace_);
    c->table = mor_strdup(options->table);
    c->settle_ms = options->settle_ms > 0 ? options->settle_ms : SETTLE_MS_DEFAULT;
    *ret_catalog = &c->catalog;
    return MOR_OK;
}
