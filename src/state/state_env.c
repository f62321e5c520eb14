#include "state_env.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "moraine/base/fault.h"
#include "moraine/base/memory.h"
#include "moraine/base/thread.h"

#define MAP_BYTES_FIRST ((size_t)1 << 30) // address space only
#define MAP_BYTES_MAX   ((size_t)1 << 44)
#define FULL_PERCENT    1 // EIO below this share of free space is taken for a full disk

enum mor_status mor_state_env_error(const struct mor_state_env *env, int code, const char *doing,
                                    struct mor_error *err)
{
    switch (code) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_BAD_VALSIZE:
    case MDB_NOTFOUND:
        return mor_error_set(err, MOR_DATA, "the local state in '%s' is damaged: %s: %s",
                             env->folder, doing, mdb_strerror(code));
    case MDB_KEYEXIST:
        return mor_error_set(err, MOR_CONFLICT, "%s: '%s' changed meanwhile", doing, env->folder);
    case MDB_PANIC:
        return mor_error_set(err, MOR_RETRY, "%s in '%s': %s", doing, env->folder,
                             mdb_strerror(code));
    case MDB_MAP_FULL:
        return mor_error_set(err, MOR_RETRY, "%s: the state in '%s' has reached %zu GiB", doing,
                             env->folder, env->map_size_bytes >> 30);
    default:
        break;
    }
    // LMDB reports a short write, which is what a full disk looks like, as EIO.
    struct statvfs disk;
    bool full = code == ENOSPC || code == EDQUOT ||
                (code == EIO && statvfs(env->folder, &disk) == 0 &&
                 disk.f_bavail <= disk.f_blocks / 100 * FULL_PERCENT);
    if (full) {
        mor_error_set(err, MOR_RETRY, "%s: the disk of '%s' is full", doing, env->folder);
        err->os_errno = ENOSPC;
        return MOR_RETRY;
    }
    if (code > 0)
        return mor_error_set_errno(err, code, "%s in '%s'", doing, env->folder);
    return mor_error_set(err, MOR_FATAL, "%s in '%s': %s", doing, env->folder, mdb_strerror(code));
}

// ---- open ---------------------------------------------------------------------------------------

int64_t mor_state_env_file_bytes(const struct mor_state_env *env)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/data.mdb", env->folder);
    struct stat facts;
    return stat(path, &facts) == 0 ? (int64_t)facts.st_size : 0;
}

static int open_lmdb(struct mor_state_env *env)
{
    MDB_env *opened = NULL;
    int code = mdb_env_create(&opened);
    if (code != MDB_SUCCESS)
        return code;
    code = mdb_env_set_mapsize(opened, env->map_size_bytes);
    // Transactions belong to whoever holds them, not to threads; runs are read from end to end, but
    // lookups are random.
    if (code == MDB_SUCCESS)
        code = mdb_env_open(opened, env->folder, MDB_NOTLS | MDB_NORDAHEAD, 0640);
    MDB_txn *txn = NULL;
    if (code == MDB_SUCCESS)
        code = mdb_txn_begin(opened, NULL, 0, &txn);
    if (code == MDB_SUCCESS) {
        code = mdb_dbi_open(txn, NULL, 0, &env->dbi);
        if (code == MDB_SUCCESS)
            code = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    if (code == MDB_SUCCESS)
        env->env = opened;
    else
        mdb_env_close(opened);
    return code;
}

static enum mor_status check_and_open(struct mor_state_env *env, struct mor_error *err)
{
    MOR_AUTO_FREE char *data = mor_asprintf("%s/data.mdb", env->folder);
    MOR_TRY(mor_state_check_file(data, err));
    // Nobody else has the state open (flock), so what stands in LMDB's lock file is of the dead.
    MOR_AUTO_FREE char *lock = mor_asprintf("%s/lock.mdb", env->folder);
    if (unlink(lock) != 0 && errno != ENOENT)
        return mor_error_set_errno(err, errno, "could not remove '%s'", lock);
    size_t file_bytes = (size_t)mor_state_env_file_bytes(env);
    while (env->map_size_bytes < file_bytes * 2 && env->map_size_bytes < MAP_BYTES_MAX)
        env->map_size_bytes *= 2;
    int code = open_lmdb(env);
    return code == MDB_SUCCESS ? MOR_OK
                               : mor_state_env_error(env, code, "could not open the state", err);
}

enum mor_status mor_state_env_open(struct mor_state_env *env, const char *folder,
                                   size_t map_size_bytes_first, struct mor_error *err)
{
    *env = (struct mor_state_env){.folder = mor_strdup(folder),
                                  .map_size_bytes = map_size_bytes_first > 0 ? map_size_bytes_first
                                                                             : MAP_BYTES_FIRST};
    pthread_mutex_init(&env->write_mutex, NULL);
    // by default a stream of readers keeps a writer out for ever
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&env->readers, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    enum mor_status status = check_and_open(env, err);
    if (status != MOR_OK)
        mor_state_env_close(env);
    return status;
}

void mor_state_env_close(struct mor_state_env *env)
{
    if (env->folder == NULL)
        return;
    if (env->env != NULL)
        mdb_env_close(env->env);
    pthread_mutex_destroy(&env->write_mutex);
    pthread_rwlock_destroy(&env->readers);
    free(env->folder);
    *env = (struct mor_state_env){0};
}

// ---- write --------------------------------------------------------------------------------------

static int grow(struct mor_state_env *env)
{
    if (env->map_size_bytes >= MAP_BYTES_MAX)
        return MDB_MAP_FULL;
    pthread_rwlock_wrlock(&env->readers);
    int code = mdb_env_set_mapsize(env->env, env->map_size_bytes * 2);
    if (code == MDB_SUCCESS)
        env->map_size_bytes *= 2;
    pthread_rwlock_unlock(&env->readers);
    return code;
}

// After a failed write of its meta page LMDB refuses everything until it is opened again.
static enum mor_status reopen(struct mor_state_env *env, struct mor_error *err)
{
    pthread_rwlock_wrlock(&env->readers);
    if (env->env != NULL)
        mdb_env_close(env->env);
    env->env = NULL;
    enum mor_status status = check_and_open(env, err);
    pthread_rwlock_unlock(&env->readers);
    return status;
}

struct write_call {
    struct mor_state_env *env;
    mor_state_env_work *work;
    void (*published)(void *context);
    bool exclusive;
    void *context;
};

static int commit(struct write_call *call, MDB_txn *txn)
{
    if (call->exclusive)
        pthread_rwlock_wrlock(&call->env->readers);
    struct mor_error fault = MOR_ERROR_INIT;
    int code = MDB_SUCCESS;
    if (mor_fault("state.before_commit", &fault) != MOR_OK) {
        mdb_txn_abort(txn);
        code = EIO;
    }
    if (code == MDB_SUCCESS)
        code = mdb_txn_commit(txn);
    bool publish = code == MDB_SUCCESS && call->published != NULL;
    if (publish && !call->exclusive)
        pthread_rwlock_wrlock(&call->env->readers);
    if (publish)
        call->published(call->context);
    if (publish || call->exclusive)
        pthread_rwlock_unlock(&call->env->readers);
    return code;
}

static int write_once(struct write_call *call)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(call->env->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS)
        return code;
    code = call->work(call->context, txn, call->env->dbi);
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return code;
    }
    return commit(call, txn);
}

enum mor_status mor_state_env_write(struct mor_state_env *env, mor_state_env_work *work,
                                    void (*published)(void *context), bool exclusive, void *context,
                                    struct mor_error *err)
{
    MOR_LOCKED(&env->write_mutex);
    if (env->env == NULL)
        MOR_TRY(reopen(env, err));
    struct write_call call = {env, work, published, exclusive, context};
    int code = write_once(&call);
    while (code == MDB_MAP_FULL) {
        code = grow(env);
        if (code == MDB_SUCCESS)
            code = write_once(&call);
    }
    if (code == MDB_SUCCESS)
        return MOR_OK;
    enum mor_status status = mor_state_env_error(env, code, "could not write the state", err);
    MDB_txn *probe; // whether the environment can still be used is only known by trying
    if (code == MDB_PANIC || mdb_txn_begin(env->env, NULL, 0, &probe) != MDB_SUCCESS) {
        struct mor_error again = MOR_ERROR_INIT;
        if (reopen(env, &again) == MOR_DATA) {
            *err = again;
            return MOR_DATA;
        }
    } else {
        mdb_txn_abort(probe);
    }
    return status;
}

// ---- read ---------------------------------------------------------------------------------------

enum mor_status mor_state_env_read(struct mor_state_env *env, MDB_txn **ret_txn,
                                   struct mor_error *err)
{
    pthread_rwlock_rdlock(&env->readers);
    int code = env->env == NULL ? MDB_PANIC : mdb_txn_begin(env->env, NULL, MDB_RDONLY, ret_txn);
    if (code == MDB_SUCCESS)
        return MOR_OK;
    pthread_rwlock_unlock(&env->readers);
    return mor_state_env_error(env, code, "could not read the state", err);
}

void mor_state_env_read_end(struct mor_state_env *env, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    pthread_rwlock_unlock(&env->readers);
}
