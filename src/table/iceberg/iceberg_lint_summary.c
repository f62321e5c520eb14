// Snapshot summaries against what the snapshots hold.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iceberg/iceberg_lint.h"
#include "iceberg/iceberg_summary.h"

static void count(struct iceberg_summary *summary, const struct lint *lint,
                  const struct lint_live *live, bool added)
{
    const struct iceberg_spec *spec = lint_spec(lint, live->spec_id);
    iceberg_summary_count(summary, live->spec_id, spec ? spec->field_count : 0, &live->entry->file,
                          added);
}

// What is in `contents` and not in `other`.
static void count_difference(struct iceberg_summary *summary, const struct lint *lint,
                             const struct lint_contents *contents,
                             const struct lint_contents *other, bool added)
{
    for (size_t i = 0; i < contents->live.count; i++) {
        const struct mor_map_entry *entry = &contents->live.entries[i];
        if (!other || !mor_map_find(&other->live, entry->key, entry->key_size))
            count(summary, lint, entry->value.pointer, added);
    }
}

// The number under `key`; -1 when it is not stated, -2 when it is no number.
static int64_t stated(const struct iceberg_snapshot *snapshot, const char *key)
{
    const json_t *value = json_object_get(snapshot->summary, key);
    const char *text = json_string_value(value);
    char *end = NULL;
    if (!value)
        return -1;
    errno = 0;
    long long number = text ? strtoll(text, &end, 10) : -1;
    return text && end != text && *end == '\0' && errno == 0 && number >= 0 ? number : -2;
}

static void compare(struct lint *lint, const struct iceberg_snapshot *snapshot, const char *key,
                    int64_t is, bool needed)
{
    int64_t says = stated(snapshot, key);
    if (says == -2)
        LINT_BROKEN(lint, snapshot->snapshot_id, NULL, "the summary's '%s' is no number in text",
                    key);
    else if (says == -1 && needed)
        LINT_BROKEN(lint, snapshot->snapshot_id, NULL, "the summary has no '%s'", key);
    else if (says >= 0 && says != is)
        LINT_BROKEN(lint, snapshot->snapshot_id, NULL,
                    "the summary's '%s' is %lld, the manifests say %lld", key, (long long)says,
                    (long long)is);
}

static void lint_totals(struct lint *lint, const struct iceberg_snapshot *snapshot,
                        const struct lint_contents *contents)
{
    struct iceberg_summary all = {0};
    bool own = iceberg_is_own(snapshot);
    count_difference(&all, lint, contents, NULL, true);
    const struct iceberg_file_counts *is = &all.added;
    compare(lint, snapshot, "total-records", is->records, own);
    compare(lint, snapshot, "total-files-size", is->size_bytes, own);
    compare(lint, snapshot, "total-data-files", is->data_files, own);
    compare(lint, snapshot, "total-delete-files", is->delete_files, own);
    compare(lint, snapshot, "total-position-deletes", is->position_deletes, own);
    compare(lint, snapshot, "total-equality-deletes", is->equality_deletes, own);
    iceberg_summary_done(&all);
}

static void lint_operation(struct lint *lint, const struct iceberg_snapshot *snapshot,
                           const struct iceberg_summary *change)
{
    const char *operation = iceberg_snapshot_property(snapshot, "operation");
    const struct iceberg_file_counts *added = &change->added, *removed = &change->removed;
    const char *wrong = NULL;
    if (!operation)
        wrong = "the summary has no operation";
    else if (strcmp(operation, "append") == 0 &&
             (removed->data_files > 0 || added->delete_files > 0 || removed->delete_files > 0))
        wrong = "it is an append, and removes rows or files";
    else if (strcmp(operation, "delete") == 0 && added->data_files > 0)
        wrong = "it is a delete, and adds data files";
    else if (strcmp(operation, "replace") == 0 && added->records > removed->records)
        wrong = "it replaces files, and has more rows than those";
    else if (strcmp(operation, "append") != 0 && strcmp(operation, "delete") != 0 &&
             strcmp(operation, "replace") != 0 && strcmp(operation, "overwrite") != 0)
        wrong = "its operation is none that the format knows";
    if (wrong)
        LINT_BROKEN(lint, snapshot->snapshot_id, NULL, "%s", wrong);
}

static void lint_counters(struct lint *lint, const struct iceberg_snapshot *snapshot,
                          const struct iceberg_summary *change)
{
    const struct iceberg_file_counts *added = &change->added, *removed = &change->removed;
    const struct {
        const char *key;
        int64_t is;
    } counters[] = {
        {"added-data-files", added->data_files},
        {"deleted-data-files", removed->data_files},
        {"added-records", added->records},
        {"deleted-records", removed->records},
        {"added-files-size", added->size_bytes},
        {"removed-files-size", removed->size_bytes},
        {"added-delete-files", added->delete_files},
        {"removed-delete-files", removed->delete_files},
        {"added-dvs", added->vectors},
        {"removed-dvs", removed->vectors},
        {"added-position-deletes", added->position_deletes},
        {"removed-position-deletes", removed->position_deletes},
        {"added-equality-deletes", added->equality_deletes},
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        compare(lint, snapshot, counters[i].key, counters[i].is,
                iceberg_is_own(snapshot) && counters[i].is > 0);
}

void lint_summary(struct lint *lint, const struct iceberg_snapshot *snapshot,
                  const struct lint_contents *contents, const struct lint_contents *parent)
{
    lint_totals(lint, snapshot, contents);
    if (!parent && snapshot->parent_id >= 0)
        return; // what it changed is not known any more
    struct iceberg_summary change = {0};
    count_difference(&change, lint, contents, parent, true);
    if (parent)
        count_difference(&change, lint, parent, contents, false);
    lint_operation(lint, snapshot, &change);
    lint_counters(lint, snapshot, &change);
    iceberg_summary_done(&change);
}
