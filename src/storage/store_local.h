// Local file system store: shared between its files.
//
// Publication: a temporary name ".moraine-<host>-<pid>-<start>-<n>.tmp" in the directory of the
// object, write, fsync, rename without replace, fsync of the directory. Every path is opened
// beneath the root's descriptor, so neither a key nor a symbolic link leads out of it.
#ifndef MORAINE_STORAGE_STORE_LOCAL_H
#define MORAINE_STORAGE_STORE_LOCAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "moraine/base/map.h"
#include "store.h"

#define MOR_LOCAL_TEMPORARY_PREFIX ".moraine-"
#define MOR_LOCAL_TEMPORARY_SUFFIX ".tmp"
#define MOR_LOCAL_NAME_SIZE        256

struct mor_store_local {
    struct mor_store store;
    int root_fd;
    char temporary_stem[128]; // ".moraine-<host>-<pid>-<start>-"
    atomic_uint_fast64_t temporary_next;
    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t synced;
    bool syncing;
    struct mor_map pending; // directories whose entries are not durable yet ("" = root)
    struct mor_map known;   // directories whose way from the root was once pending
};

static inline struct mor_store_local *mor_local_of(struct mor_store *store)
{
    return (struct mor_store_local *)store;
}

// Opens the directory in which `key` lies and copies the last segment to ret_name.
enum mor_status mor_local_open_parent(struct mor_store_local *local, const char *key, bool create,
                                      int *ret_fd, char ret_name[MOR_LOCAL_NAME_SIZE],
                                      struct mor_error *err) MOR_CHECKED;
// Opens the directory `key` ("" = root).
enum mor_status mor_local_open_directory(struct mor_store_local *local, const char *key,
                                         bool create, int *ret_fd,
                                         struct mor_error *err) MOR_CHECKED;
// A new file under a temporary name in `parent_fd`.
enum mor_status mor_local_create_temporary(struct mor_store_local *local, int parent_fd,
                                           char ret_name[MOR_LOCAL_NAME_SIZE], int *ret_fd,
                                           struct mor_error *err) MOR_CHECKED;
// Gives the temporary file its name (CONFLICT when taken) and marks the directory as pending.
enum mor_status mor_local_publish(struct mor_store_local *local, int parent_fd, const char *key,
                                  const char *temporary_name, const char *name,
                                  struct mor_error *err) MOR_CHECKED;
// Notes that entries of the directory of `key` changed.
void mor_local_mark(struct mor_store_local *local, const char *key);
enum mor_status mor_local_sync(struct mor_store *store, struct mor_error *err) MOR_CHECKED;
// Writes all bytes at the file position; `what` names the object in errors.
enum mor_status mor_local_write_all(int fd, const void *bytes, size_t size_bytes, const char *what,
                                    struct mor_error *err) MOR_CHECKED;
enum mor_status mor_local_fsync(int fd, const char *what, struct mor_error *err) MOR_CHECKED;

bool mor_local_is_temporary(const char *name);
// Fills the stem of temporary names of this process.
void mor_local_temporary_stem(char *ret_stem, size_t capacity);
enum mor_status mor_local_clean_temporary(struct mor_store *store, int64_t *ret_count,
                                          struct mor_error *err) MOR_CHECKED;

enum mor_status mor_local_create(struct mor_store *store, const char *key,
                                 struct mor_sink **ret_sink, struct mor_error *err) MOR_CHECKED;
enum mor_status mor_local_open_object(struct mor_store *store, const char *key,
                                      struct mor_reader **ret_reader,
                                      struct mor_error *err) MOR_CHECKED;
enum mor_status mor_local_lock(struct mor_store *store, const char *key, const char *holder,
                               int64_t wait_ms, struct mor_lock **ret_lock,
                               struct mor_error *err) MOR_CHECKED;

#endif
