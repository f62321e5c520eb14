// Applying the requirements and updates of a commit to a table's document, as a catalog server does
// (REST specification, "TableRequirement", "TableUpdate").
#include <stdlib.h>
#include <string.h>

#include "iceberg_metadata.h"
#include "iceberg_schema.h"

#define PREVIOUS_VERSIONS_DEFAULT 100

// ---- requirements -------------------------------------------------------------------------------

static enum mor_status differs(struct mor_error *err, const char *what, int64_t wanted, int64_t is)
{
    return mor_error_set(err, MOR_CONFLICT, "the table changed: %s is %lld, not %lld", what,
                         (long long)is, (long long)wanted);
}

static enum mor_status check_ref(const struct iceberg_metadata *base, const json_t *requirement,
                                 struct mor_error *err)
{
    const char *name = iceberg_json_text(requirement, "ref");
    if (!name)
        return mor_error_set(err, MOR_FATAL, "assert-ref-snapshot-id names no ref");
    const json_t *ref = json_object_get(json_object_get(base->document, "refs"), name);
    int64_t is = ref ? iceberg_json_int(ref, "snapshot-id", -1) : -1;
    if (!ref && strcmp(name, "main") == 0)
        is = base->current_snapshot_id;
    int64_t wanted = iceberg_json_int(requirement, "snapshot-id", -1);
    return is == wanted ? MOR_OK : differs(err, name, wanted, is);
}

static enum mor_status check_number(const struct iceberg_metadata *base, const char *type,
                                    const json_t *requirement, struct mor_error *err)
{
    static const struct {
        const char *type, *wanted, *member;
    } numbers[] = {
        {"assert-last-assigned-field-id", "last-assigned-field-id", "last-column-id"},
        {"assert-current-schema-id", "current-schema-id", "current-schema-id"},
        {"assert-last-assigned-partition-id", "last-assigned-partition-id", "last-partition-id"},
        {"assert-default-spec-id", "default-spec-id", "default-spec-id"},
        {"assert-default-sort-order-id", "default-sort-order-id", "default-sort-order-id"},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(type, numbers[i].type) != 0)
            continue;
        int64_t wanted = iceberg_json_int(requirement, numbers[i].wanted, -1);
        int64_t is = iceberg_json_int(base->document, numbers[i].member, -1);
        return is == wanted ? MOR_OK : differs(err, numbers[i].member, wanted, is);
    }
    return mor_error_set(err, MOR_FATAL, "the requirement '%.60s' is not known", type);
}

static enum mor_status check_requirement(const struct iceberg_metadata *base,
                                         const json_t *requirement, struct mor_error *err)
{
    const char *type = iceberg_json_text(requirement, "type");
    if (!type)
        return mor_error_set(err, MOR_FATAL, "a requirement has no type");
    if (strcmp(type, "assert-create") == 0)
        return mor_error_set(err, MOR_CONFLICT, "the table exists already");
    if (strcmp(type, "assert-ref-snapshot-id") == 0)
        return check_ref(base, requirement, err);
    if (strcmp(type, "assert-table-uuid") != 0)
        return check_number(base, type, requirement, err);
    const char *uuid = iceberg_json_text(requirement, "uuid");
    if (uuid && strcmp(uuid, base->uuid) == 0)
        return MOR_OK;
    return mor_error_set(err, MOR_CONFLICT, "the table was replaced: its uuid is %s now",
                         base->uuid);
}

// ---- updates ------------------------------------------------------------------------------------

struct applying {
    json_t *document; // top level of its own; members are shared with the base until they change
    int64_t now_ms;
    int64_t snapshot_ms;                        // of the snapshot that was added, 0 = none
    int64_t added_snapshot_id;                  // -1 = none
    int32_t last_schema, last_spec, last_order; // ids that -1 stands for; -1 = none was added
    struct mor_error *err;
};

// A member that may be changed: a copy of the base's, or a new one.
static json_t *own(struct applying *a, const char *name, json_t *(*make)(void))
{
    const json_t *shared = json_object_get(a->document, name);
    json_t *copy = shared && !json_is_null(shared) ? json_copy((json_t *)shared) : make();
    json_object_set_new(a->document, name, copy);
    return copy;
}

static void set_int(struct applying *a, const char *name, int64_t value)
{
    json_object_set_new(a->document, name, json_integer(value));
}

static void raise_int(struct applying *a, const char *name, int64_t value)
{
    if (value > iceberg_json_int(a->document, name, INT64_MIN))
        set_int(a, name, value);
}

static const json_t *find_id(const json_t *list, const char *key, int64_t id)
{
    size_t index;
    json_t *item;
    json_array_foreach((json_t *)list, index, item)
    {
        if (iceberg_json_int(item, key, -1) == id)
            return item;
    }
    return NULL;
}

static int64_t next_id(const json_t *list, const char *key)
{
    int64_t next = 0;
    size_t index;
    json_t *item;
    json_array_foreach((json_t *)list, index, item)
    {
        int64_t id = iceberg_json_int(item, key, -1);
        next = id >= next ? id + 1 : next;
    }
    return next;
}

// Adds an object to a list under the id it has, or the next one when that is taken; an equal one
// that is there is taken instead. The id in the list.
static int32_t add_numbered(struct applying *a, const char *list_name, const char *key,
                            const json_t *object)
{
    json_t *list = own(a, list_name, json_array);
    size_t index;
    json_t *known;
    ICEBERG_AUTO_JSON *bare = json_copy((json_t *)object);
    json_object_del(bare, key);
    json_array_foreach(list, index, known)
    {
        ICEBERG_AUTO_JSON *other = json_copy(known);
        json_object_del(other, key);
        if (json_equal(bare, other))
            return (int32_t)iceberg_json_int(known, key, 0);
    }
    int64_t id = iceberg_json_int(object, key, -1);
    if (id < 0 || find_id(list, key, id))
        id = next_id(list, key);
    json_t *added = json_copy((json_t *)object);
    json_object_set_new(added, key, json_integer(id));
    json_array_append_new(list, added);
    return (int32_t)id;
}

static enum mor_status add_schema(struct applying *a, const json_t *update)
{
    struct mor_schema *schema = NULL;
    const json_t *json = json_object_get(update, "schema");
    MOR_TRY(iceberg_schema_from_json(json, &schema, a->err));
    raise_int(a, "last-column-id", iceberg_schema_last_id(schema));
    mor_schema_free(schema);
    a->last_schema = add_numbered(a, "schemas", "schema-id", json);
    return MOR_OK;
}

static enum mor_status add_spec(struct applying *a, const json_t *update)
{
    const json_t *spec = json_object_get(update, "spec");
    size_t index;
    json_t *field;
    json_array_foreach(json_object_get(spec, "fields"), index, field)
        raise_int(a, "last-partition-id", iceberg_json_int(field, "field-id", 0));
    a->last_spec = add_numbered(a, "partition-specs", "spec-id", spec);
    return MOR_OK;
}

static enum mor_status add_sort_order(struct applying *a, const json_t *update)
{
    a->last_order =
        add_numbered(a, "sort-orders", "order-id", json_object_get(update, "sort-order"));
    return MOR_OK;
}

static enum mor_status set_current(struct applying *a, const json_t *update, const char *key,
                                   const char *member, const char *list, int32_t last)
{
    int64_t id = iceberg_json_int(update, key, -1);
    if (id == -1)
        id = last;
    const char *list_key = strcmp(key, "sort-order-id") == 0 ? "order-id" : key;
    if (id < 0 || !find_id(json_object_get(a->document, list), list_key, id))
        return mor_error_set(a->err, MOR_FATAL, "there is no %s %lld", key, (long long)id);
    set_int(a, member, id);
    return MOR_OK;
}

static enum mor_status set_current_schema(struct applying *a, const json_t *update)
{
    return set_current(a, update, "schema-id", "current-schema-id", "schemas", a->last_schema);
}

static enum mor_status set_default_spec(struct applying *a, const json_t *update)
{
    return set_current(a, update, "spec-id", "default-spec-id", "partition-specs", a->last_spec);
}

static enum mor_status set_default_sort_order(struct applying *a, const json_t *update)
{
    return set_current(a, update, "sort-order-id", "default-sort-order-id", "sort-orders",
                       a->last_order);
}

static enum mor_status upgrade(struct applying *a, const json_t *update)
{
    int64_t version = iceberg_json_int(update, "format-version", 0);
    int64_t is = iceberg_json_int(a->document, "format-version", 0);
    if (version < is || version > 3 || is < 2)
        return mor_error_set(a->err, MOR_FATAL, "format version %lld cannot become %lld",
                             (long long)is, (long long)version);
    set_int(a, "format-version", version);
    if (version >= 3 && !json_is_integer(json_object_get(a->document, "next-row-id")))
        set_int(a, "next-row-id", 0);
    return MOR_OK;
}

// ---- snapshots ----------------------------------------------------------------------------------

static enum mor_status add_row_ids(struct applying *a, const json_t *snapshot)
{
    if (iceberg_json_int(a->document, "format-version", 0) < 3)
        return MOR_OK;
    int64_t next = iceberg_json_int(a->document, "next-row-id", 0), first = 0, added = 0;
    MOR_TRY(iceberg_json_need_int(snapshot, "first-row-id", next, INT64_MAX, &first, a->err));
    MOR_TRY(iceberg_json_need_int(snapshot, "added-rows", 0, INT64_MAX - first, &added, a->err));
    set_int(a, "next-row-id", first + added);
    return MOR_OK;
}

static enum mor_status add_snapshot(struct applying *a, const json_t *update)
{
    json_t *snapshot = json_object_get(update, "snapshot");
    int64_t id = 0, sequence = 0, time_ms = 0;
    MOR_TRY(iceberg_json_need_int(snapshot, "snapshot-id", 1, INT64_MAX, &id, a->err));
    MOR_TRY(iceberg_json_need_int(snapshot, "sequence-number", 0, INT64_MAX, &sequence, a->err));
    MOR_TRY(iceberg_json_need_int(snapshot, "timestamp-ms", 0, INT64_MAX, &time_ms, a->err));
    json_t *snapshots = own(a, "snapshots", json_array);
    if (find_id(snapshots, "snapshot-id", id))
        return mor_error_set(a->err, MOR_FATAL, "snapshot %lld was added before", (long long)id);
    int64_t last = iceberg_json_int(a->document, "last-sequence-number", 0);
    bool has_parent = json_is_integer(json_object_get(snapshot, "parent-snapshot-id"));
    if (sequence < last || (sequence == last && has_parent))
        return mor_error_set(a->err, MOR_CONFLICT,
                             "the sequence number %lld is not after the table's last one, %lld",
                             (long long)sequence, (long long)last);
    MOR_TRY(add_row_ids(a, snapshot));
    json_array_append(snapshots, snapshot);
    set_int(a, "last-sequence-number", sequence);
    a->snapshot_ms = time_ms;
    a->added_snapshot_id = id;
    return MOR_OK;
}

static void set_main(struct applying *a, int64_t id)
{
    if (iceberg_json_int(a->document, "current-snapshot-id", -1) == id)
        return;
    set_int(a, "current-snapshot-id", id);
    int64_t time_ms = id == a->added_snapshot_id ? a->snapshot_ms : a->now_ms;
    json_array_append_new(own(a, "snapshot-log", json_array),
                          json_pack("{s:I, s:I}", "timestamp-ms", (json_int_t)time_ms,
                                    "snapshot-id", (json_int_t)id));
}

static enum mor_status set_ref(struct applying *a, const json_t *update)
{
    const char *name = iceberg_json_text(update, "ref-name");
    int64_t id = iceberg_json_int(update, "snapshot-id", -1);
    if (!name || !find_id(json_object_get(a->document, "snapshots"), "snapshot-id", id))
        return mor_error_set(a->err, MOR_FATAL, "ref '%s' cannot refer to snapshot %lld",
                             name ? name : "", (long long)id);
    json_t *ref = json_copy((json_t *)update);
    json_object_del(ref, "action");
    json_object_del(ref, "ref-name");
    json_object_set_new(own(a, "refs", json_object), name, ref);
    if (strcmp(name, "main") == 0)
        set_main(a, id);
    return MOR_OK;
}

static enum mor_status remove_ref(struct applying *a, const json_t *update)
{
    const char *name = iceberg_json_text(update, "ref-name");
    if (!name)
        return mor_error_set(a->err, MOR_FATAL, "remove-snapshot-ref names no ref");
    json_object_del(own(a, "refs", json_object), name);
    if (strcmp(name, "main") == 0)
        set_int(a, "current-snapshot-id", -1);
    return MOR_OK;
}

static bool is_among(const json_t *ids, int64_t id)
{
    size_t index;
    json_t *item;
    json_array_foreach((json_t *)ids, index, item)
    {
        if (json_integer_value(item) == id)
            return true;
    }
    return false;
}

// Takes the objects out of a list whose snapshot is among `ids`.
static void drop_of_snapshots(struct applying *a, const char *name, const json_t *ids)
{
    if (!json_is_array(json_object_get(a->document, name)))
        return;
    json_t *list = own(a, name, json_array);
    for (size_t i = json_array_size(list); i > 0; i--) {
        if (is_among(ids, iceberg_json_int(json_array_get(list, i - 1), "snapshot-id", -1)))
            json_array_remove(list, i - 1);
    }
}

// The history before a removed snapshot is not whole any more: it goes as well.
static void cut_snapshot_log(struct applying *a, const json_t *ids)
{
    json_t *log = own(a, "snapshot-log", json_array);
    for (size_t i = json_array_size(log); i > 0; i--) {
        if (!is_among(ids, iceberg_json_int(json_array_get(log, i - 1), "snapshot-id", -1)))
            continue;
        while (i > 0)
            json_array_remove(log, --i);
        return;
    }
}

static enum mor_status remove_snapshots(struct applying *a, const json_t *update)
{
    const json_t *ids = json_object_get(update, "snapshot-ids");
    int64_t current = iceberg_json_int(a->document, "current-snapshot-id", -1);
    if (is_among(ids, current))
        return mor_error_set(a->err, MOR_FATAL, "the current snapshot %lld cannot be removed",
                             (long long)current);
    drop_of_snapshots(a, "snapshots", ids);
    drop_of_snapshots(a, "statistics", ids);
    drop_of_snapshots(a, "partition-statistics", ids);
    json_t *refs = own(a, "refs", json_object);
    void *next;
    const char *name;
    json_t *ref;
    json_object_foreach_safe(refs, next, name, ref)
    {
        if (is_among(ids, iceberg_json_int(ref, "snapshot-id", -1)))
            json_object_del(refs, name);
    }
    cut_snapshot_log(a, ids);
    return MOR_OK;
}

// ---- properties and the rest --------------------------------------------------------------------

static enum mor_status set_properties(struct applying *a, const json_t *update)
{
    json_object_update(own(a, "properties", json_object), json_object_get(update, "updates"));
    return MOR_OK;
}

static enum mor_status remove_properties(struct applying *a, const json_t *update)
{
    json_t *properties = own(a, "properties", json_object);
    size_t index;
    json_t *key;
    json_array_foreach(json_object_get(update, "removals"), index, key)
    {
        if (json_is_string(key))
            json_object_del(properties, json_string_value(key));
    }
    return MOR_OK;
}

static enum mor_status set_location(struct applying *a, const json_t *update)
{
    const char *location = iceberg_json_text(update, "location");
    const char *is = iceberg_json_text(a->document, "location");
    if (!location || !is || strcmp(location, is) != 0)
        return mor_error_set(a->err, MOR_FATAL, "the location of a table cannot change here");
    return MOR_OK;
}

static enum mor_status drop_ids(struct applying *a, const json_t *update, const char *ids_key,
                                const char *list_name, const char *key)
{
    const json_t *ids = json_object_get(update, ids_key);
    json_t *list = own(a, list_name, json_array);
    for (size_t i = json_array_size(list); i > 0; i--) {
        if (is_among(ids, iceberg_json_int(json_array_get(list, i - 1), key, -1)))
            json_array_remove(list, i - 1);
    }
    return MOR_OK;
}

static enum mor_status remove_schemas(struct applying *a, const json_t *update)
{
    return drop_ids(a, update, "schema-ids", "schemas", "schema-id");
}

static enum mor_status remove_specs(struct applying *a, const json_t *update)
{
    return drop_ids(a, update, "spec-ids", "partition-specs", "spec-id");
}

static enum mor_status put_statistics(struct applying *a, const char *list_name, const char *member,
                                      const json_t *update)
{
    json_t *statistics = json_object_get(update, member);
    int64_t id =
        iceberg_json_int(statistics, "snapshot-id", iceberg_json_int(update, "snapshot-id", -1));
    ICEBERG_AUTO_JSON *ids = json_pack("[I]", (json_int_t)id);
    own(a, list_name, json_array);
    drop_of_snapshots(a, list_name, ids);
    if (statistics)
        json_array_append(own(a, list_name, json_array), statistics);
    return MOR_OK;
}

static enum mor_status set_statistics(struct applying *a, const json_t *update)
{
    return put_statistics(a, "statistics", "statistics", update);
}

static enum mor_status set_partition_statistics(struct applying *a, const json_t *update)
{
    return put_statistics(a, "partition-statistics", "partition-statistics", update);
}

static const struct {
    const char *action;
    enum mor_status (*apply)(struct applying *a, const json_t *update);
} updates_known[] = {
    {"add-snapshot", add_snapshot},
    {"set-snapshot-ref", set_ref},
    {"set-properties", set_properties},
    {"remove-properties", remove_properties},
    {"remove-snapshots", remove_snapshots},
    {"remove-snapshot-ref", remove_ref},
    {"add-schema", add_schema},
    {"set-current-schema", set_current_schema},
    {"add-spec", add_spec},
    {"set-default-spec", set_default_spec},
    {"add-sort-order", add_sort_order},
    {"set-default-sort-order", set_default_sort_order},
    {"upgrade-format-version", upgrade},
    {"set-location", set_location},
    {"set-statistics", set_statistics},
    {"remove-statistics", set_statistics}, // without one to put in its place
    {"set-partition-statistics", set_partition_statistics},
    {"remove-partition-statistics", set_partition_statistics},
    {"remove-schemas", remove_schemas},
    {"remove-partition-specs", remove_specs},
};

static enum mor_status apply_update(struct applying *a, const json_t *update)
{
    const char *action = iceberg_json_text(update, "action");
    for (size_t i = 0; action && i < sizeof updates_known / sizeof updates_known[0]; i++) {
        if (strcmp(action, updates_known[i].action) != 0)
            continue;
        if (updates_known[i].apply(a, update) != MOR_OK) {
            if (a->err->status == MOR_DATA)
                a->err->status = MOR_FATAL; // what was asked for is wrong, not what is there
            return mor_error_wrap(a->err, "%s", action);
        }
        return MOR_OK;
    }
    return mor_error_set(a->err, MOR_FATAL, "the update '%.60s' is not known",
                         action ? action : "");
}

// ---- the next version ---------------------------------------------------------------------------

static int64_t previous_versions_max(const struct applying *a)
{
    const char *text = iceberg_json_text(json_object_get(a->document, "properties"),
                                         "write.metadata.previous-versions-max");
    long long number = text ? strtoll(text, NULL, 10) : PREVIOUS_VERSIONS_DEFAULT;
    return number > 0 ? number : 1;
}

static void log_base(struct applying *a, const struct iceberg_metadata *base)
{
    if (!base->metadata_location)
        return;
    json_t *log = own(a, "metadata-log", json_array);
    json_array_append_new(log,
                          json_pack("{s:I, s:s}", "timestamp-ms", (json_int_t)base->last_updated_ms,
                                    "metadata-file", base->metadata_location));
    while (json_array_size(log) > (size_t)previous_versions_max(a))
        json_array_remove(log, 0);
}

static enum mor_status apply_all(struct applying *a, const json_t *updates)
{
    size_t index;
    json_t *update;
    json_array_foreach((json_t *)updates, index, update) MOR_TRY(apply_update(a, update));
    return MOR_OK;
}

enum mor_status iceberg_metadata_apply(const struct iceberg_metadata *base,
                                       const json_t *requirements, const json_t *updates,
                                       int64_t now_ms, struct iceberg_metadata **ret_metadata,
                                       struct mor_error *err)
{
    size_t index;
    json_t *requirement;
    json_array_foreach((json_t *)requirements, index, requirement)
        MOR_TRY(check_requirement(base, requirement, err));
    struct applying a = {
        .document = json_copy(base->document),
        .now_ms = iceberg_metadata_clamp_ms(base, now_ms),
        .added_snapshot_id = -1,
        .last_schema = -1,
        .last_spec = -1,
        .last_order = -1,
        .err = err,
    };
    if (apply_all(&a, updates) != MOR_OK) {
        json_decref(a.document);
        return mor_error_class(err);
    }
    int64_t updated_ms = a.snapshot_ms > 0 ? a.snapshot_ms : a.now_ms;
    raise_int(&a, "last-updated-ms", updated_ms);
    log_base(&a, base);
    return iceberg_metadata_take(a.document, ret_metadata, err);
}
