// Deletion vectors from snapshot to snapshot: rows that are gone stay gone.
#include <inttypes.h>
#include <string.h>

#include "iceberg/iceberg_lint.h"
#include "iceberg/iceberg_puffin.h"

static bool is_vector(const struct lint_live *live)
{
    return iceberg_file_is_vector(&live->entry->file) && live->entry->file.referenced_data_file;
}

static struct mor_position_set *read_vector(struct lint *lint, const struct lint_live *live)
{
    const struct iceberg_data_file *file = &live->entry->file;
    const struct iceberg_blob blob = {file->content_offset, file->content_size_bytes,
                                      file->record_count};
    const char *key = iceberg_key_of_uri(lint->metadata, file->file_path);
    struct mor_position_set *positions = NULL;
    struct mor_error wrong = MOR_ERROR_INIT;
    // what cannot be read is told where files are looked at
    if (key && iceberg_puffin_read_vector(lint->table->table.store, key, &blob,
                                          lint->table->table.budget, &positions, &wrong) != MOR_OK)
        return NULL;
    return positions;
}

static bool is_same(const struct lint_live *a, const struct lint_live *b)
{
    return strcmp(a->entry->file.file_path, b->entry->file.file_path) == 0 &&
           a->entry->file.content_offset == b->entry->file.content_offset;
}

static void compare(struct lint *lint, const struct lint_contents *contents,
                    const struct lint_live *old, const struct lint_live *now)
{
    const char *uri = old->entry->file.referenced_data_file;
    const char *key = iceberg_key_of_uri(lint->metadata, uri);
    if (!now) {
        LINT_BROKEN(lint, contents->snapshot_id, key,
                    "rows of it were deleted before, and the vector that says so is gone");
        return;
    }
    struct mor_position_set *before = read_vector(lint, old), *after = read_vector(lint, now);
    if (before && after) {
        mor_position_set_subtract(before, after);
        if (mor_position_set_count(before) > 0)
            LINT_BROKEN(lint, contents->snapshot_id, key,
                        "row %" PRIu64 " of it was deleted before and is back",
                        mor_position_set_first(before));
    }
    mor_position_set_free(before);
    mor_position_set_free(after);
}

void lint_vectors(struct lint *lint, const struct lint_contents *contents,
                  const struct lint_contents *parent)
{
    struct mor_map vectors = {0};
    for (size_t i = 0; i < contents->live.count; i++) {
        struct lint_live *live = contents->live.entries[i].value.pointer;
        if (is_vector(live))
            mor_map_put_text(&vectors, live->entry->file.referenced_data_file, NULL)
                ->value.pointer = live;
    }
    for (size_t i = 0; i < parent->live.count; i++) {
        const struct lint_live *old = parent->live.entries[i].value.pointer;
        if (!is_vector(old) ||
            !mor_map_find_text(&contents->live, old->entry->file.referenced_data_file))
            continue;
        const struct mor_map_entry *now =
            mor_map_find_text(&vectors, old->entry->file.referenced_data_file);
        if (!now || !is_same(old, now->value.pointer))
            compare(lint, contents, old, now ? now->value.pointer : NULL);
    }
    mor_map_done(&vectors);
}
