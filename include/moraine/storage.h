// Object storage behind one small interface: local file system now, S3 beside it.
//
// Keys are relative to the store's root, '/' separated, no leading slash. What a successful put has
// returned is durable and whole: a reader sees the complete object or none.
#ifndef MORAINE_STORAGE_H
#define MORAINE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"

struct mor_store; // any thread may call with its own output arguments

struct mor_object_info {
    char *key; // full key below the root
    int64_t size_bytes;
    int64_t modified_ms;
    bool is_prefix; // a "directory" of a non-recursive listing; key without trailing slash
};

// Opens "file:///path" or a plain path; creates the root when `create`. FATAL with words when the
// scheme is unknown or the root cannot be used.
enum mor_status mor_store_open(const char *location, bool create, struct mor_store **ret_store,
                               struct mor_error *err) MOR_CHECKED;
void mor_store_free(struct mor_store *store);
const char *mor_store_location(const struct mor_store *store);

// Whole object; DATA when it is larger than limit_bytes, NOT_FOUND when absent.
enum mor_status mor_store_get(struct mor_store *store, const char *key, size_t limit_bytes,
                              struct mor_buffer *ret_bytes, struct mor_error *err) MOR_CHECKED;
enum mor_status mor_store_info(struct mor_store *store, const char *key,
                               struct mor_object_info *ret_info,
                               struct mor_error *err) MOR_CHECKED; // ret_info->key stays NULL
// Put-if-absent, the atomic point of every commit: CONFLICT when the key exists, UNKNOWN when the
// outcome is not known. Local: temporary name, fsync, link without replace, fsync of the directory.
enum mor_status mor_store_put_new(struct mor_store *store, const char *key, const void *bytes,
                                  size_t size_bytes, struct mor_error *err) MOR_CHECKED;
// Same, but the durability of the name is left to the next mor_store_sync: for many objects of one
// commit that are published by a last one.
enum mor_status mor_store_put_new_deferred(struct mor_store *store, const char *key,
                                           const void *bytes, size_t size_bytes,
                                           struct mor_error *err) MOR_CHECKED;
// Puts an object over what lies under the key, if anything: a reader sees the old bytes or the new
// ones. For hints that the table does without; never for what a commit depends on. The bytes are
// durable, the name with the next mor_store_sync.
enum mor_status mor_store_replace(struct mor_store *store, const char *key, const void *bytes,
                                  size_t size_bytes, struct mor_error *err) MOR_CHECKED;
// Makes every name durable that any thread published deferred before the call, and every deletion
// that was not `durable`. Names whose directory could not be made durable stay pending.
enum mor_status mor_store_sync(struct mor_store *store, struct mor_error *err) MOR_CHECKED;
// Gives an object another key, once: of several calls at the same time one is OK. NOT_FOUND when
// `from` is absent, CONFLICT when `to` exists. In all three cases the name `to` is durable with the
// next mor_store_sync.
enum mor_status mor_store_move(struct mor_store *store, const char *from, const char *to,
                               struct mor_error *err) MOR_CHECKED;
// A second object with the same bytes; its name is durable with the next mor_store_sync. CONFLICT
// when `to` exists. *ret_size_bytes may be NULL.
enum mor_status mor_store_copy(struct mor_store *store, const char *from, const char *to,
                               int64_t *ret_size_bytes, struct mor_error *err) MOR_CHECKED;
// Deletes; absent is success. Durable when `durable`, else with the next mor_store_sync.
enum mor_status mor_store_delete(struct mor_store *store, const char *key, bool durable,
                                 struct mor_error *err) MOR_CHECKED;
// Removes the temporary names below the root that processes left which do not run any more (those
// of other machines after a day). *ret_count may be NULL.
enum mor_status mor_store_clean_temporary(struct mor_store *store, int64_t *ret_count,
                                          struct mor_error *err) MOR_CHECKED;
// Objects below `prefix` ("" = root), not sorted. recursive false: one level, directories as
// prefixes. Temporary names of unfinished puts are never listed. Result lives in `arena`. An absent
// prefix is empty.
enum mor_status mor_store_list(struct mor_store *store, const char *prefix, bool recursive,
                               struct mor_arena *arena, struct mor_object_info **ret_objects,
                               size_t *ret_count, struct mor_error *err) MOR_CHECKED;

// Names of one level below `prefix`, sizes and times left 0: much cheaper where there are many.
enum mor_status mor_store_list_names(struct mor_store *store, const char *prefix,
                                     struct mor_arena *arena, struct mor_object_info **ret_objects,
                                     size_t *ret_count, struct mor_error *err) MOR_CHECKED;

// ---- counts -------------------------------------------------------------------------------------

// Requests of this process so far, to all stores together, that ended with `status`. Operations:
// get, info, put, sync, move, delete, list, read, lock.
struct mor_storage_count {
    const char *operation;
    enum mor_status status;
    int64_t count;
};
#define MOR_STORAGE_COUNTS_MAX 72
// Fills those that are not 0 and returns how many; any thread.
size_t mor_storage_requests(struct mor_storage_count ret_counts[MOR_STORAGE_COUNTS_MAX]);

// ---- streaming write ----------------------------------------------------------------------------

// An object written front to back: invisible until finish, gone when freed unfinished. One thread.
struct mor_sink;
enum mor_status mor_store_create(struct mor_store *store, const char *key,
                                 struct mor_sink **ret_sink, struct mor_error *err) MOR_CHECKED;
enum mor_status mor_sink_write(struct mor_sink *sink, const void *bytes, size_t size_bytes,
                               struct mor_error *err) MOR_CHECKED;
int64_t mor_sink_position(const struct mor_sink *sink);
// Durable and published under its key (put-if-absent). The sink must still be freed.
enum mor_status mor_sink_finish(struct mor_sink *sink, struct mor_error *err) MOR_CHECKED;
// Same; the bytes are durable, the name with the next mor_store_sync.
enum mor_status mor_sink_finish_deferred(struct mor_sink *sink, struct mor_error *err) MOR_CHECKED;
void mor_sink_free(struct mor_sink *sink); // NULL allowed; removes what is unfinished

// Objects of one commit, made durable together: a file system that writes a journal does it once
// for many of them, not once for each. Any thread may add; each object appears under its key with
// mor_sink_batch_publish, or before.
struct mor_sink_batch;
struct mor_sink_batch *mor_sink_batch_new(void);
// Takes the sink, also when it fails: all of the object is written. A failure may be of another
// object of the batch.
enum mor_status mor_sink_batch_add(struct mor_sink_batch *batch, struct mor_sink *take_sink,
                                   struct mor_error *err) MOR_CHECKED;
// Makes the objects durable under their keys (put-if-absent), the names with the next
// mor_store_sync. A batch that lost an object fails here for ever.
enum mor_status mor_sink_batch_publish(struct mor_sink_batch *batch,
                                       struct mor_error *err) MOR_CHECKED;
void mor_sink_batch_free(struct mor_sink_batch *batch); // NULL allowed; what waits is gone

// ---- locks --------------------------------------------------------------------------------------

// An exclusive lock that ends with the process (flock on the file `key`, made when absent).
// `holder` is written into the file for people. RETRY with the other holder's text when it is
// taken, also by this process. wait_ms: how long to try, 0 = once.
struct mor_lock;
enum mor_status mor_store_lock(struct mor_store *store, const char *key, const char *holder,
                               int64_t wait_ms, struct mor_lock **ret_lock,
                               struct mor_error *err) MOR_CHECKED;
// FENCED when the lock's file was removed or replaced since: somebody else may hold another one.
enum mor_status mor_lock_check(const struct mor_lock *lock, struct mor_error *err) MOR_CHECKED;
void mor_lock_free(struct mor_lock *lock); // NULL allowed; unlocks

// ---- ranged read --------------------------------------------------------------------------------

struct mor_reader;
enum mor_status mor_store_open_object(struct mor_store *store, const char *key,
                                      struct mor_reader **ret_reader,
                                      struct mor_error *err) MOR_CHECKED;
int64_t mor_reader_size_bytes(const struct mor_reader *reader);
// Exactly [offset, offset + size); DATA when the object is shorter. Any thread.
enum mor_status mor_reader_read(struct mor_reader *reader, int64_t offset, void *ret_bytes,
                                size_t size_bytes, struct mor_error *err) MOR_CHECKED;
void mor_reader_free(struct mor_reader *reader);

#endif
