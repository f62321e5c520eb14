// What a kind of store implements. One row of operations per kind; store.c checks keys, then calls.
#ifndef MORAINE_STORAGE_STORE_H
#define MORAINE_STORAGE_STORE_H

#include "moraine/storage.h"

struct mor_store_ops {
    void (*free)(struct mor_store *store);
    enum mor_status (*get)(struct mor_store *store, const char *key, size_t limit_bytes,
                           struct mor_buffer *ret_bytes, struct mor_error *err);
    enum mor_status (*info)(struct mor_store *store, const char *key,
                            struct mor_object_info *ret_info, struct mor_error *err);
    enum mor_status (*put_new)(struct mor_store *store, const char *key, const void *bytes,
                               size_t size_bytes, bool deferred, struct mor_error *err);
    enum mor_status (*replace)(struct mor_store *store, const char *key, const void *bytes,
                               size_t size_bytes, struct mor_error *err);
    enum mor_status (*sync)(struct mor_store *store, struct mor_error *err);
    enum mor_status (*move)(struct mor_store *store, const char *from, const char *to,
                            struct mor_error *err);
    enum mor_status (*remove)(struct mor_store *store, const char *key, bool durable,
                              struct mor_error *err);
    enum mor_status (*clean_temporary)(struct mor_store *store, int64_t *ret_count,
                                       struct mor_error *err);
    enum mor_status (*list)(struct mor_store *store, const char *prefix, bool recursive,
                            bool names_only, struct mor_arena *arena,
                            struct mor_object_info **ret_objects, size_t *ret_count,
                            struct mor_error *err);
    enum mor_status (*create)(struct mor_store *store, const char *key, struct mor_sink **ret_sink,
                              struct mor_error *err);
    enum mor_status (*open_object)(struct mor_store *store, const char *key,
                                   struct mor_reader **ret_reader, struct mor_error *err);
    enum mor_status (*lock)(struct mor_store *store, const char *key, const char *holder,
                            int64_t wait_ms, struct mor_lock **ret_lock, struct mor_error *err);
};

struct mor_store {
    const struct mor_store_ops *ops;
    char *location; // as the user wrote it
};

struct mor_sink_ops {
    enum mor_status (*write)(struct mor_sink *sink, const void *bytes, size_t size_bytes,
                             struct mor_error *err);
    // Nothing is written any more: what there is starts on its way to the disk.
    enum mor_status (*complete)(struct mor_sink *sink, struct mor_error *err);
    // Also of a sink that is complete.
    enum mor_status (*finish)(struct mor_sink *sink, bool deferred, struct mor_error *err);
    void (*free)(struct mor_sink *sink);
};

struct mor_sink {
    const struct mor_sink_ops *ops;
    int64_t position;
};

struct mor_reader_ops {
    enum mor_status (*read)(struct mor_reader *reader, int64_t offset, void *ret_bytes,
                            size_t size_bytes, struct mor_error *err);
    void (*free)(struct mor_reader *reader);
};

struct mor_reader {
    const struct mor_reader_ops *ops;
    int64_t size_bytes;
};

struct mor_lock_ops {
    enum mor_status (*check)(const struct mor_lock *lock, struct mor_error *err);
    void (*free)(struct mor_lock *lock);
};

struct mor_lock {
    const struct mor_lock_ops *ops;
};

#define MOR_STORE_KEY_BYTES_MAX     4000
#define MOR_STORE_SEGMENT_BYTES_MAX 255

// FATAL unless `key` is a chain of segments of 1 to 255 bytes, none of them "." or "..". An empty
// key is right only when `empty_allowed` (the root of a listing). Any thread.
enum mor_status mor_store_key_check(const char *key, bool empty_allowed,
                                    struct mor_error *err) MOR_CHECKED;

// Opens the directory `path`; NOT_FOUND when it is absent and not `create`.
enum mor_status mor_store_local_open(const char *path, const char *location, bool create,
                                     struct mor_store **ret_store,
                                     struct mor_error *err) MOR_CHECKED;

#endif
