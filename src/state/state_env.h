// The LMDB environment: opening with a check of the whole tree, a map that grows, errors in the
// words and classes of this program.
//
// LMDB trusts its file: a damaged page can crash it. So the tree is walked by mor_state_check_file
// before LMDB sees it, and every value carries its own checksum.
#ifndef MORAINE_STATE_ENV_H
#define MORAINE_STATE_ENV_H

#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>

#include "moraine/base/status.h"

struct mor_state_env {
    char *folder; // of data.mdb
    MDB_env *env; // NULL = must be opened (again)
    MDB_dbi dbi;  // the main database, the only one
    size_t map_size_bytes;
    pthread_mutex_t write_mutex; // one write transaction at a time, and reopening
    // Read by those who hold a read transaction; written while the map moves or sorted runs vanish.
    pthread_rwlock_t readers;
};

// Opens `folder` (which exists). DATA when the file cannot be trusted.
enum mor_status mor_state_env_open(struct mor_state_env *env, const char *folder,
                                   size_t map_size_bytes_first, struct mor_error *err) MOR_CHECKED;
void mor_state_env_close(struct mor_state_env *env);

// Work inside a write transaction: an MDB error code other than MDB_SUCCESS aborts it.
// MDB_CORRUPTED says that what was read is not what was written.
typedef int mor_state_env_work(void *context, MDB_txn *txn, MDB_dbi dbi);
// Runs `work` and commits, durably. When the map is full it grows and `work` is called again, from
// the start. After the commit `published` (may be NULL) is called with the readers kept out;
// `exclusive`: they are kept out from before the commit on, because sorted runs vanish that they
// may look for. Any thread that holds no read transaction.
enum mor_status mor_state_env_write(struct mor_state_env *env, mor_state_env_work *work,
                                    void (*published)(void *context), bool exclusive, void *context,
                                    struct mor_error *err) MOR_CHECKED;

// A read transaction; the map does not move until it ends. Any thread, one at a time per thread.
enum mor_status mor_state_env_read(struct mor_state_env *env, MDB_txn **ret_txn,
                                   struct mor_error *err) MOR_CHECKED;
void mor_state_env_read_end(struct mor_state_env *env, MDB_txn *txn);

// Class and words for an LMDB code.
enum mor_status mor_state_env_error(const struct mor_state_env *env, int code, const char *doing,
                                    struct mor_error *err);
int64_t mor_state_env_file_bytes(const struct mor_state_env *env);

// Walks every page that the newest meta page of data.mdb leads to. OK when the file does not exist.
// DATA with the page number when anything is not as LMDB writes it.
enum mor_status mor_state_check_file(const char *path, struct mor_error *err) MOR_CHECKED;

#endif
