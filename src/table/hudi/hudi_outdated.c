// Logs from before a column's type was changed (int to long, more digits, a field more in a nested
// one). Readers merge such logs, but for some: Hudi 0.15 refuses decimals of fewer bytes than the
// table's, hudi-rs 0.5.0 blocks that lack a column and have another type for one. So their file
// groups are to be merged soon. A column that was only added is no such change.
//
// Columns are only ever added and widened, so commits that state equal columns follow upon each
// other, and a binary search finds where they begin: about ten commits are read of a timeline of a
// thousand, for every change that it still has.
#include <string.h>

#include "hudi/hudi_table.h"

bool hudi_schema_has_other_types(const struct mor_schema *older, const struct mor_schema *newer)
{
    for (size_t i = 0; i < older->root.child_count; i++) {
        const struct mor_field *field = &older->root.children[i];
        int32_t column = mor_schema_find(newer, field->name);
        if (column >= 0 && !mor_table_types_equal(field, &newer->root.children[column]))
            return true;
    }
    return false;
}

// Columns that the instant states, or the newest one before it that states some; NULL = there is
// none. The caller frees.
static enum mor_status schema_at(const struct hudi_table *table,
                                 const struct hudi_timeline *timeline, size_t index,
                                 struct mor_schema **ret_schema, struct mor_error *err)
{
    *ret_schema = NULL;
    for (size_t i = index + 1; i-- > 0;) {
        HUDI_AUTO_JSON *extra = NULL;
        if (!hudi_action_writes(timeline->instants[i].completed))
            continue;
        MOR_TRY(hudi_extra_load(table, &timeline->instants[i], &extra, err));
        const char *json = hudi_json_text(extra, "schema");
        if (json && *json)
            return hudi_schema_parse(json, NULL, 0, ret_schema, err);
    }
    return MOR_OK;
}

// First of the instants up to `last` that states the columns which `last` does.
static enum mor_status first_alike(const struct hudi_table *table,
                                   const struct hudi_timeline *timeline, size_t last,
                                   const struct mor_schema *schema, size_t *ret_first,
                                   struct mor_error *err)
{
    size_t low = 0, high = last;
    while (low < high) {
        // the oldest first: mostly nothing was ever changed
        size_t middle = low == 0 ? 0 : low + (high - low) / 2;
        struct mor_schema *stated = NULL;
        MOR_TRY(schema_at(table, timeline, middle, &stated, err));
        if (stated && mor_table_types_equal(&stated->root, &schema->root))
            high = middle;
        else
            low = middle + 1;
        mor_schema_free(stated);
    }
    *ret_first = low;
    return MOR_OK;
}

// Newest instant whose logs are outdated; "" = there is none.
static enum mor_status find_last(const struct hudi_table *table,
                                 const struct hudi_timeline *timeline, const char **ret_last,
                                 struct mor_error *err)
{
    struct mor_schema *newest = NULL, *schema = NULL;
    size_t first = timeline->count;
    *ret_last = "";
    enum mor_status status =
        first > 0 ? schema_at(table, timeline, first - 1, &newest, err) : MOR_OK;
    while (status == MOR_OK && newest && first > 0 && !**ret_last) {
        size_t last = first - 1;
        status = schema_at(table, timeline, last, &schema, err);
        if (status != MOR_OK || !schema)
            break;
        if (hudi_schema_has_other_types(schema, newest))
            *ret_last = timeline->instants[last].time;
        else
            status = first_alike(table, timeline, last, schema, &first, err);
        mor_schema_free(schema);
    }
    mor_schema_free(newest);
    return status;
}

static bool has_outdated_delta(const struct mor_slice *slice, const char *last,
                               struct mor_arena *arena)
{
    for (size_t i = 0; i < slice->delta_count; i++) {
        const char *key = slice->delta_keys[i], *slash = strrchr(key, '/');
        struct hudi_file file;
        char commit[HUDI_TIME_SIZE] = "";
        if (!hudi_file_parse(slash ? slash + 1 : key, arena, &file))
            continue;
        hudi_file_commit(&file, commit);
        // logs of other engines: version 6 names them by their slice, which is older
        if (strcmp(*commit ? commit : file.instant, last) <= 0)
            return true;
    }
    return false;
}

enum mor_status hudi_mark_outdated(struct mor_table *head, struct mor_slice *slices, size_t count,
                                   struct mor_error *err)
{
    const struct hudi_table *table = hudi_of(head);
    struct hudi_timeline timeline = {0};
    const char *last = "";
    struct mor_arena arena;
    bool has_deltas = false;
    for (size_t i = 0; i < count; i++)
        has_deltas |= slices[i].delta_count > 0;
    if (!has_deltas)
        return MOR_OK;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = hudi_timeline_load(&timeline, head->store, table->layout, err);
    if (status == MOR_OK)
        status = find_last(table, &timeline, &last, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        slices[i].has_outdated_delta = *last && has_outdated_delta(&slices[i], last, &arena);
    hudi_timeline_done(&timeline);
    mor_arena_done(&arena);
    return status;
}
