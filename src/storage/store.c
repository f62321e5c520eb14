#include "store.h"

#include <stdatomic.h>
#include <string.h>

#define COPY_CHUNK_BYTES (1 << 20)

// ---- counts -------------------------------------------------------------------------------------

enum operation {
    OPERATION_GET,
    OPERATION_INFO,
    OPERATION_PUT,
    OPERATION_SYNC,
    OPERATION_MOVE,
    OPERATION_DELETE,
    OPERATION_LIST,
    OPERATION_READ,
    OPERATION_LOCK,
    OPERATION_COUNT
};

#define STATUS_COUNT (MOR_FATAL + 1)
_Static_assert(OPERATION_COUNT *STATUS_COUNT == MOR_STORAGE_COUNTS_MAX, "a row per pair");

static atomic_llong requests[OPERATION_COUNT][STATUS_COUNT];

static enum mor_status counted(enum operation operation, enum mor_status status)
{
    atomic_fetch_add_explicit(&requests[operation][status], 1, memory_order_relaxed);
    return status;
}

size_t mor_storage_requests(struct mor_storage_count ret_counts[MOR_STORAGE_COUNTS_MAX])
{
    static const char *const names[] = {
        [OPERATION_GET] = "get",   [OPERATION_INFO] = "info", [OPERATION_PUT] = "put",
        [OPERATION_SYNC] = "sync", [OPERATION_MOVE] = "move", [OPERATION_DELETE] = "delete",
        [OPERATION_LIST] = "list", [OPERATION_READ] = "read", [OPERATION_LOCK] = "lock"};
    size_t count = 0;
    for (int operation = 0; operation < OPERATION_COUNT; operation++)
        for (int status = 0; status < STATUS_COUNT; status++) {
            int64_t sum = atomic_load_explicit(&requests[operation][status], memory_order_relaxed);
            if (sum > 0)
                ret_counts[count++] =
                    (struct mor_storage_count){names[operation], (enum mor_status)status, sum};
        }
    return count;
}

// ---- requests -----------------------------------------------------------------------------------

enum mor_status mor_store_key_check(const char *key, bool empty_allowed, struct mor_error *err)
{
    if (*key == '\0') {
        if (empty_allowed)
            return MOR_OK;
        return mor_error_set(err, MOR_FATAL, "object key is empty");
    }
    if (strlen(key) > MOR_STORE_KEY_BYTES_MAX)
        return mor_error_set(err, MOR_FATAL, "object key is longer than %d bytes",
                             MOR_STORE_KEY_BYTES_MAX);
    for (const char *segment = key;;) {
        const char *end = strchrnul(segment, '/');
        size_t length = (size_t)(end - segment);
        if (length == 0 || length > MOR_STORE_SEGMENT_BYTES_MAX)
            return mor_error_set(err, MOR_FATAL,
                                 "object key '%s' has a segment of %zu bytes, allowed are 1 to %d",
                                 key, length, MOR_STORE_SEGMENT_BYTES_MAX);
        if ((length == 1 && segment[0] == '.') ||
            (length == 2 && segment[0] == '.' && segment[1] == '.'))
            return mor_error_set(err, MOR_FATAL, "object key '%s' has a segment '%.*s'", key,
                                 (int)length, segment);
        if (*end == '\0')
            return MOR_OK;
        segment = end + 1;
    }
}

enum mor_status mor_store_open(const char *location, bool create, struct mor_store **ret_store,
                               struct mor_error *err)
{
    const char *path = location;
    const char *scheme_end = strstr(location, "://");
    if (scheme_end) {
        if (strncmp(location, "file://", 7) != 0)
            return mor_error_set(err, MOR_FATAL,
                                 "location '%s': no store for the scheme '%.*s', known is file",
                                 location, (int)(scheme_end - location), location);
        path = location + 7;
        if (*path != '/')
            return mor_error_set(err, MOR_FATAL,
                                 "location '%s': write file:///path with three slashes", location);
    } else if (strncmp(location, "file:/", 6) == 0) {
        path = location + 5;
    }
    if (*path == '\0')
        return mor_error_set(err, MOR_FATAL, "location is empty");
    return mor_store_local_open(path, location, create, ret_store, err);
}

void mor_store_free(struct mor_store *store)
{
    if (!store)
        return;
    char *location = store->location;
    store->ops->free(store);
    free(location);
}

const char *mor_store_location(const struct mor_store *store)
{
    return store->location;
}

enum mor_status mor_store_get(struct mor_store *store, const char *key, size_t limit_bytes,
                              struct mor_buffer *ret_bytes, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return counted(OPERATION_GET, store->ops->get(store, key, limit_bytes, ret_bytes, err));
}

enum mor_status mor_store_info(struct mor_store *store, const char *key,
                               struct mor_object_info *ret_info, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return counted(OPERATION_INFO, store->ops->info(store, key, ret_info, err));
}

enum mor_status mor_store_put_new(struct mor_store *store, const char *key, const void *bytes,
                                  size_t size_bytes, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return counted(OPERATION_PUT, store->ops->put_new(store, key, bytes, size_bytes, false, err));
}

enum mor_status mor_store_put_new_deferred(struct mor_store *store, const char *key,
                                           const void *bytes, size_t size_bytes,
                                           struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return counted(OPERATION_PUT, store->ops->put_new(store, key, bytes, size_bytes, true, err));
}

enum mor_status mor_store_replace(struct mor_store *store, const char *key, const void *bytes,
                                  size_t size_bytes, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return store->ops->replace(store, key, bytes, size_bytes, err);
}

enum mor_status mor_store_sync(struct mor_store *store, struct mor_error *err)
{
    return counted(OPERATION_SYNC, store->ops->sync(store, err));
}

enum mor_status mor_store_move(struct mor_store *store, const char *from, const char *to,
                               struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(from, false, err));
    MOR_TRY(mor_store_key_check(to, false, err));
    return counted(OPERATION_MOVE, store->ops->move(store, from, to, err));
}

enum mor_status mor_store_delete(struct mor_store *store, const char *key, bool durable,
                                 struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return counted(OPERATION_DELETE, store->ops->remove(store, key, durable, err));
}

enum mor_status mor_store_clean_temporary(struct mor_store *store, int64_t *ret_count,
                                          struct mor_error *err)
{
    int64_t count = 0;
    MOR_TRY(store->ops->clean_temporary(store, &count, err));
    if (ret_count)
        *ret_count = count;
    return MOR_OK;
}

enum mor_status mor_store_list(struct mor_store *store, const char *prefix, bool recursive,
                               struct mor_arena *arena, struct mor_object_info **ret_objects,
                               size_t *ret_count, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(prefix, true, err));
    return counted(OPERATION_LIST, store->ops->list(store, prefix, recursive, false, arena,
                                                    ret_objects, ret_count, err));
}

enum mor_status mor_store_list_names(struct mor_store *store, const char *prefix,
                                     struct mor_arena *arena, struct mor_object_info **ret_objects,
                                     size_t *ret_count, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(prefix, true, err));
    return counted(OPERATION_LIST, store->ops->list(store, prefix, false, true, arena, ret_objects,
                                                    ret_count, err));
}

enum mor_status mor_store_create(struct mor_store *store, const char *key,
                                 struct mor_sink **ret_sink, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return store->ops->create(store, key, ret_sink, err);
}

enum mor_status mor_sink_write(struct mor_sink *sink, const void *bytes, size_t size_bytes,
                               struct mor_error *err)
{
    MOR_TRY(sink->ops->write(sink, bytes, size_bytes, err));
    sink->position += (int64_t)size_bytes;
    return MOR_OK;
}

int64_t mor_sink_position(const struct mor_sink *sink)
{
    return sink->position;
}

enum mor_status mor_sink_finish(struct mor_sink *sink, struct mor_error *err)
{
    return counted(OPERATION_PUT, sink->ops->finish(sink, false, err));
}

enum mor_status mor_sink_finish_deferred(struct mor_sink *sink, struct mor_error *err)
{
    return counted(OPERATION_PUT, sink->ops->finish(sink, true, err));
}

void mor_sink_free(struct mor_sink *sink)
{
    if (sink)
        sink->ops->free(sink);
}

enum mor_status mor_store_open_object(struct mor_store *store, const char *key,
                                      struct mor_reader **ret_reader, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return counted(OPERATION_INFO, store->ops->open_object(store, key, ret_reader, err));
}

int64_t mor_reader_size_bytes(const struct mor_reader *reader)
{
    return reader->size_bytes;
}

enum mor_status mor_reader_read(struct mor_reader *reader, int64_t offset, void *ret_bytes,
                                size_t size_bytes, struct mor_error *err)
{
    return counted(OPERATION_READ, reader->ops->read(reader, offset, ret_bytes, size_bytes, err));
}

void mor_reader_free(struct mor_reader *reader)
{
    if (reader)
        reader->ops->free(reader);
}

enum mor_status mor_store_lock(struct mor_store *store, const char *key, const char *holder,
                               int64_t wait_ms, struct mor_lock **ret_lock, struct mor_error *err)
{
    MOR_TRY(mor_store_key_check(key, false, err));
    return counted(OPERATION_LOCK, store->ops->lock(store, key, holder, wait_ms, ret_lock, err));
}

enum mor_status mor_lock_check(const struct mor_lock *lock, struct mor_error *err)
{
    return lock->ops->check(lock, err);
}

void mor_lock_free(struct mor_lock *lock)
{
    if (lock)
        lock->ops->free(lock);
}

// ---- copying ------------------------------------------------------------------------------------

static enum mor_status copy_bytes(struct mor_reader *reader, struct mor_sink *sink,
                                  struct mor_error *err)
{
    MOR_AUTO_FREE uint8_t *chunk = mor_alloc(COPY_CHUNK_BYTES);
    int64_t size_bytes = mor_reader_size_bytes(reader);
    for (int64_t at = 0; at < size_bytes;) {
        int64_t left = size_bytes - at;
        size_t count = left < COPY_CHUNK_BYTES ? (size_t)left : COPY_CHUNK_BYTES;
        MOR_TRY(mor_reader_read(reader, at, chunk, count, err));
        MOR_TRY(mor_sink_write(sink, chunk, count, err));
        at += (int64_t)count;
    }
    return mor_sink_finish_deferred(sink, err);
}

enum mor_status mor_store_copy(struct mor_store *store, const char *from, const char *to,
                               int64_t *ret_size_bytes, struct mor_error *err)
{
    struct mor_reader *reader = NULL;
    struct mor_sink *sink = NULL;
    MOR_TRY(mor_store_open_object(store, from, &reader, err));
    enum mor_status status = mor_store_create(store, to, &sink, err);
    if (status == MOR_OK)
        status = copy_bytes(reader, sink, err);
    if (status == MOR_OK && ret_size_bytes)
        *ret_size_bytes = mor_reader_size_bytes(reader);
    mor_sink_free(sink);
    mor_reader_free(reader);
    return status;
}
