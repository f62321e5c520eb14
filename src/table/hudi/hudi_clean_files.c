// Every data file for itself, for those who must know that something is in none of them.
#include "hudi/hudi_clean.h"

struct listing_files {
    struct mor_arena *arena;
    const struct mor_snapshot *snapshot;
    struct mor_slice *files;
    size_t count, capacity;
};

static enum mor_status add_file(void *context, const char *partition, const char *name,
                                const struct hudi_file *file, int64_t size_bytes,
                                struct mor_error *err)
{
    (void)err;
    struct listing_files *listing = context;
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity ? listing->capacity * 2 : 64;
        listing->files = mor_realloc(listing->files, listing->capacity * sizeof *listing->files);
    }
    const char *slash = strrchr(name, '/');
    const char **key = mor_arena_alloc(listing->arena, sizeof *key);
    *key = mor_arena_printf(listing->arena, "%s%s%s", partition, *partition ? "/" : "",
                            slash ? slash + 1 : name);
    listing->files[listing->count++] = (struct mor_slice){
        .partition = partition,
        .file_group = file->file_id,
        .base_key = file->is_log ? NULL : *key,
        .base_size_bytes = file->is_log ? 0 : size_bytes,
        .delta_keys = key,
        .delta_count = file->is_log,
        .delta_size_bytes = file->is_log ? size_bytes : 0,
        .snapshot = listing->snapshot,
    };
    return MOR_OK;
}

enum mor_status hudi_data_files(struct mor_table *head, struct mor_arena *arena,
                                struct mor_slice **ret_files, size_t *ret_count,
                                struct mor_error *err)
{
    struct mor_snapshot *snapshot = mor_arena_calloc(arena, 1, sizeof *snapshot);
    struct listing_files listing = {.arena = arena, .snapshot = snapshot};
    snapshot->table_version = hudi_of(head)->version;
    memset(snapshot->start, '9', 17); // every instant is before the timeline, and so committed
    enum mor_status status =
        hudi_files_visit(head->store, arena, add_file, &listing, NULL, NULL, err);
    if (status == MOR_OK) {
        *ret_files = mor_arena_alloc(arena, (listing.count + 1) * sizeof **ret_files);
        memcpy(*ret_files, listing.files, listing.count * sizeof **ret_files);
        *ret_count = listing.count;
    }
    free(listing.files);
    return status;
}
