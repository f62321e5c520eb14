// Locks that end with their process, and the temporary names of processes that ended.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/base/hash.h"
#include "store_local.h"

#define LOCK_POLL_MS          5 // a look costs some 10 us; what waits here mostly waits for a commit
#define LOCK_HOLDER_BYTES_MAX 400
#define FOREIGN_AGE_MS        (24 * 3600 * 1000LL)
#define CLEAN_DEPTH_MAX       64

struct local_lock {
    struct mor_lock lock;
    struct mor_store_local *local; // borrowed
    int fd;
    char *key;
};

static bool still_named(struct mor_store_local *local, const char *key, int fd)
{
    struct stat mine, named;
    char name[MOR_LOCAL_NAME_SIZE];
    int parent_fd = -1;
    struct mor_error ignored = MOR_ERROR_INIT;
    if (fstat(fd, &mine) != 0 ||
        mor_local_open_parent(local, key, false, &parent_fd, name, &ignored) != MOR_OK)
        return false;
    bool same = fstatat(parent_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
    close(parent_fd);
    return same;
}

static enum mor_status local_lock_check(const struct mor_lock *base, struct mor_error *err)
{
    const struct local_lock *lock = (const struct local_lock *)base;
    if (still_named(lock->local, lock->key, lock->fd))
        return MOR_OK;
    return mor_error_set(err, MOR_FENCED, "the lock file '%s' in '%s' was removed or replaced",
                         lock->key, lock->local->store.location);
}

static void local_lock_free(struct mor_lock *base)
{
    struct local_lock *lock = (struct local_lock *)base;
    // the file stays: removing it would let two processes hold locks on two files of one name
    close(lock->fd);
    free(lock->key);
    free(lock);
}

static const struct mor_lock_ops local_lock_ops = {
    .check = local_lock_check,
    .free = local_lock_free,
};

static enum mor_status report_holder(struct mor_store *store, int fd, const char *key,
                                     struct mor_error *err)
{
    char holder[LOCK_HOLDER_BYTES_MAX + 1];
    ssize_t length = pread(fd, holder, LOCK_HOLDER_BYTES_MAX, 0);
    holder[length > 0 ? length : 0] = '\0';
    for (char *c = holder; *c; c++) {
        if ((unsigned char)*c < ' ')
            *c = ' ';
    }
    return mor_error_set(err, MOR_RETRY, "'%s' in '%s' is held by %s", key, store->location,
                         length > 0 ? holder : "another process");
}

// One attempt. *ret_fd stays -1 when the file was replaced in between (try again).
static enum mor_status lock_once(struct mor_store *store, const char *key, int *ret_fd,
                                 struct mor_error *err)
{
    struct mor_store_local *local = mor_local_of(store);
    char name[MOR_LOCAL_NAME_SIZE];
    int parent_fd = -1;
    MOR_TRY(mor_local_open_parent(local, key, true, &parent_fd, name, err));
    int fd = openat(parent_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    int error = errno;
    close(parent_fd);
    if (fd < 0)
        return mor_error_set_errno(err, error, "could not open the lock file '%s' in '%s'", key,
                                   store->location);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        error = errno;
        enum mor_status status =
            error == EWOULDBLOCK ? report_holder(store, fd, key, err)
                                 : mor_error_set_errno(err, error, "could not lock '%s' in '%s'",
                                                       key, store->location);
        close(fd);
        return status;
    }
    if (!still_named(local, key, fd)) {
        close(fd);
        return MOR_OK;
    }
    *ret_fd = fd;
    return MOR_OK;
}

enum mor_status mor_local_lock(struct mor_store *store, const char *key, const char *holder,
                               int64_t wait_ms, struct mor_lock **ret_lock, struct mor_error *err)
{
    int64_t deadline_ms = mor_clock_mono_ms() + wait_ms;
    int fd = -1;
    while (fd < 0) {
        enum mor_status status = lock_once(store, key, &fd, err);
        if (status == MOR_RETRY && mor_clock_mono_ms() < deadline_ms) {
            // flock has no timed wait
            usleep(LOCK_POLL_MS * 1000);
            continue;
        }
        if (status != MOR_OK)
            return status;
    }
    size_t length = strnlen(holder, LOCK_HOLDER_BYTES_MAX);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, holder, length, 0) < 0) {
        int error = errno;
        close(fd);
        return mor_error_set_errno(err, error, "could not write the lock file '%s' in '%s'", key,
                                   store->location);
    }
    struct local_lock *lock = mor_calloc(1, sizeof *lock);
    lock->lock.ops = &local_lock_ops;
    lock->local = mor_local_of(store);
    lock->fd = fd;
    lock->key = mor_strdup(key);
    *ret_lock = &lock->lock;
    return MOR_OK;
}

// ---- temporary names ----------------------------------------------------------------------------

// Field 22 of /proc/<pid>/stat: start time in clock ticks since boot; 0 when there is no such
// process.
static unsigned long long process_start(long pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    char *next = strrchr(text, ')'); // the name before it may hold anything
    unsigned long long start = 0;
    for (int field = 2; next && field < 22; field++)
        next = strchr(next + 1, ' ');
    if (next)
        start = strtoull(next, NULL, 10);
    return start;
}

// Tells apart the machines, boots and process namespaces that write to one directory: only in our
// own a process id means something.
static uint32_t host_token(void)
{
    char text[256] = "";
    size_t length = 0;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t count = read(fd, text, 64);
        length = count > 0 ? (size_t)count : 0;
        close(fd);
    }
    ssize_t count = readlink("/proc/self/ns/pid", text + length, 64);
    length += count > 0 ? (size_t)count : 0;
    if (length == 0 && gethostname(text, sizeof text - 1) == 0)
        length = strlen(text);
    return (uint32_t)mor_hash64(text, length);
}

void mor_local_temporary_stem(char *ret_stem, size_t capacity)
{
    snprintf(ret_stem, capacity, MOR_LOCAL_TEMPORARY_PREFIX "%08x-%ld-%llu-", host_token(),
             (long)getpid(), process_start((long)getpid()));
}

bool mor_local_is_temporary(const char *name)
{
    size_t length = strlen(name), suffix = strlen(MOR_LOCAL_TEMPORARY_SUFFIX);
    return length > suffix &&
           strncmp(name, MOR_LOCAL_TEMPORARY_PREFIX, strlen(MOR_LOCAL_TEMPORARY_PREFIX)) == 0 &&
           strcmp(name + length - suffix, MOR_LOCAL_TEMPORARY_SUFFIX) == 0;
}

static bool is_abandoned(const char *name, int64_t modified_ms)
{
    char *next = NULL;
    unsigned long host = strtoul(name + strlen(MOR_LOCAL_TEMPORARY_PREFIX), &next, 16);
    if (*next != '-')
        return false;
    long pid = strtol(next + 1, &next, 10);
    if (*next != '-')
        return false;
    unsigned long long start = strtoull(next + 1, &next, 10);
    if (*next != '-')
        return false;
    if (host != host_token())
        return mor_clock_wall_ms() - modified_ms > FOREIGN_AGE_MS;
    return process_start(pid) != start;
}

// Takes fd.
static enum mor_status clean_directory(int fd, int depth, int64_t *count, struct mor_error *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int error = errno;
        close(fd);
        return mor_error_set_errno(err, error, "could not list a directory");
    }
    enum mor_status status = MOR_OK;
    const struct dirent *entry;
    while (status == MOR_OK && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        struct stat st;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth < CLEAN_DEPTH_MAX) {
            int child_fd =
                openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            if (child_fd >= 0)
                status = clean_directory(child_fd, depth + 1, count, err);
        } else if (S_ISREG(st.st_mode) && mor_local_is_temporary(name) &&
                   is_abandoned(name, st.st_mtim.tv_sec * 1000)) {
            if (unlinkat(dirfd(dir), name, 0) == 0)
                (*count)++;
        }
    }
    closedir(dir);
    return status;
}

enum mor_status mor_local_clean_temporary(struct mor_store *store, int64_t *ret_count,
                                          struct mor_error *err)
{
    int fd = -1;
    MOR_TRY(mor_local_open_directory(mor_local_of(store), "", false, &fd, err));
    enum mor_status status = clean_directory(fd, 0, ret_count, err);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not clean '%s'", store->location);
}
