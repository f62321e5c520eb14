// Bytes that callers keep with their commits: .hoodie/moraine/attached/<kind>/<instant>.
#include "hudi/hudi_table.h"

#define KIND_LENGTH_MAX 32

char *hudi_attached_key(const char *kind, const char *instant)
{
    return mor_asprintf(HUDI_ATTACHED_PREFIX "/%s/%s", kind, instant);
}

static enum mor_status check_kind(const char *kind, struct mor_error *err)
{
    size_t length = strspn(kind, "abcdefghijklmnopqrstuvwxyz_");
    if (length == 0 || kind[length] != '\0' || length > KIND_LENGTH_MAX)
        return mor_error_set(err, MOR_FATAL, "'%s' is no kind of attachment", kind);
    return MOR_OK;
}

enum mor_status hudi_write_attach(struct mor_write *base, const char *kind, const void *bytes,
                                  size_t size_bytes, struct mor_error *err)
{
    struct hudi_write *write = (struct hudi_write *)base;
    MOR_TRY(check_kind(kind, err));
    for (size_t i = 0; i < write->attached_count; i++) {
        if (strcmp(write->attached[i].kind, kind) == 0)
            return mor_error_set(err, MOR_FATAL, "'%s' is attached already", kind);
    }
    const char *staged = hudi_change_stage_key(&write->change);
    MOR_TRY(mor_store_put_new_deferred(base->table->store, staged, bytes, size_bytes, err));
    write->attached =
        mor_realloc(write->attached, (write->attached_count + 1) * sizeof *write->attached);
    write->attached[write->attached_count++] = (struct hudi_attached){
        .kind = mor_strdup(kind), .staged = staged, .size_bytes = (int64_t)size_bytes};
    return MOR_OK;
}

static const char *instant_of(const char *key)
{
    const char *name = strrchr(key, '/') + 1;
    return hudi_time_is_valid(name, strlen(name)) ? name : NULL;
}

static int compare_attachments(const void *a, const void *b)
{
    return strcmp(((const struct mor_attachment *)a)->version,
                  ((const struct mor_attachment *)b)->version);
}

// What is attached to commits after `after` up to `until`.
static enum mor_status collect(struct mor_store *store, const char *prefix, const char *after,
                               const char *until, struct mor_arena *arena,
                               struct mor_attachment **ret_attachments, size_t *ret_count,
                               struct mor_error *err)
{
    struct mor_object_info *objects = NULL;
    size_t count = 0, kept = 0;
    MOR_TRY(mor_store_list(store, prefix, true, arena, &objects, &count, err));
    struct mor_attachment *found = mor_arena_alloc(arena, (count + 1) * sizeof *found);
    for (size_t i = 0; i < count; i++) {
        const char *instant = instant_of(objects[i].key);
        if (instant && strcmp(instant, after) > 0 && strcmp(instant, until) <= 0)
            found[kept++] = (struct mor_attachment){
                .version = instant, .key = objects[i].key, .size_bytes = objects[i].size_bytes};
    }
    if (kept > 0)
        qsort(found, kept, sizeof *found, compare_attachments);
    *ret_attachments = found;
    *ret_count = kept;
    return MOR_OK;
}

// `newest`: commit up to which attachments count.
static enum mor_status check_after(struct mor_store *store, const char *after, const char *newest,
                                   struct mor_error *err)
{
    bool taken = false;
    if (*after && strcmp(after, newest) <= 0)
        MOR_TRY(hudi_base_was_taken_back(store, after, &taken, err));
    if (taken || strcmp(after, newest) > 0)
        return mor_error_set(err, MOR_NOT_FOUND, "the table has no version '%s' (any more)", after);
    return MOR_OK;
}

// An attachment is where it is because its commit was decided, also when that was archived since;
// the slot that follows a table back removes those of commits that are gone. So after the head is
// done, what is there up to the newest commit counts.
enum mor_status hudi_attachments(struct mor_table *head, const char *kind,
                                 const char *after_version, struct mor_arena *arena,
                                 struct mor_attachment **ret_attachments, size_t *ret_count,
                                 struct mor_error *err)
{
    struct hudi_timeline timeline = {0};
    const char *after = after_version ? after_version : "";
    MOR_TRY(check_kind(kind, err));
    MOR_TRY(hudi_base_finish(hudi_of(head), err));
    enum mor_status status = hudi_timeline_load(&timeline, head->store, hudi_of(head)->layout, err);
    if (status == MOR_OK)
        status = check_after(head->store, after, hudi_base_version(&timeline), err);
    if (status == MOR_OK)
        status =
            collect(head->store, mor_arena_printf(arena, HUDI_ATTACHED_PREFIX "/%s", kind), after,
                    hudi_base_version(&timeline), arena, ret_attachments, ret_count, err);
    hudi_timeline_done(&timeline);
    return status;
}

enum mor_status hudi_attachment_drop(struct mor_table *table,
                                     const struct mor_attachment *attachment, struct mor_error *err)
{
    return mor_store_delete(table->store, attachment->key, false, err);
}

enum mor_status hudi_attachments_gone(struct hudi_change *change, const char *version,
                                      const char *gone, struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_attachment *found = NULL;
    size_t count = 0;
    enum mor_status status = collect(change->table->table.store, HUDI_ATTACHED_PREFIX, version,
                                     gone, &arena, &found, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        hudi_change_add_delete(change, found[i].key);
    mor_arena_done(&arena);
    return status;
}
