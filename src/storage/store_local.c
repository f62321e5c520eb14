#include "store_local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

// openat2 keeps the kernel from following anything out of the root; where it is missing (old
// kernels, some sandboxes) the last component at least is never a symbolic link.
static int open_beneath(int root_fd, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags, .resolve = RESOLVE_BENEATH};
    long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = openat(root_fd, path, flags | O_NOFOLLOW);
    return (int)fd;
}

static enum mor_status make_directories(struct mor_store_local *local, const char *directory,
                                        struct mor_error *err)
{
    MOR_AUTO_FREE char *path = mor_strdup(directory);
    for (char *slash = path;;) {
        slash = strchrnul(slash, '/');
        char saved = *slash;
        *slash = '\0';
        if (mkdirat(local->root_fd, path, 0777) != 0 && errno != EEXIST)
            return mor_error_set_errno(err, errno, "could not make the directory '%s' in '%s'",
                                       path, local->store.location);
        *slash = saved;
        if (saved == '\0')
            return MOR_OK;
        slash++;
    }
}

enum mor_status mor_local_open_directory(struct mor_store_local *local, const char *key,
                                         bool create, int *ret_fd, struct mor_error *err)
{
    const char *path = *key ? key : ".";
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int fd = open_beneath(local->root_fd, path, flags);
    if (fd < 0 && errno == ENOENT && create) {
        MOR_TRY(make_directories(local, path, err));
        fd = open_beneath(local->root_fd, path, flags);
    }
    if (fd < 0)
        return mor_error_set_errno(err, errno, "could not open the directory '%s' in '%s'", path,
                                   local->store.location);
    *ret_fd = fd;
    return MOR_OK;
}

enum mor_status mor_local_open_parent(struct mor_store_local *local, const char *key, bool create,
                                      int *ret_fd, char ret_name[MOR_LOCAL_NAME_SIZE],
                                      struct mor_error *err)
{
    const char *slash = strrchr(key, '/');
    const char *name = slash ? slash + 1 : key;
    // the key was checked: a segment has at most 255 bytes
    memcpy(ret_name, name, strlen(name) + 1);
    if (mor_local_is_temporary(ret_name))
        return mor_error_set(err, MOR_FATAL, "object key '%s' has the form of a temporary name",
                             key);
    MOR_AUTO_FREE char *directory = mor_strndup(key, slash ? (size_t)(slash - key) : 0);
    return mor_local_open_directory(local, directory, create, ret_fd, err);
}

enum mor_status mor_local_create_temporary(struct mor_store_local *local, int parent_fd,
                                           char ret_name[MOR_LOCAL_NAME_SIZE], int *ret_fd,
                                           struct mor_error *err)
{
    uint64_t number = atomic_fetch_add(&local->temporary_next, 1);
    snprintf(ret_name, MOR_LOCAL_NAME_SIZE, "%s%llu" MOR_LOCAL_TEMPORARY_SUFFIX,
             local->temporary_stem, (unsigned long long)number);
    int fd =
        openat(parent_fd, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return mor_error_set_errno(err, errno, "could not create a temporary file in '%s'",
                                   local->store.location);
    *ret_fd = fd;
    return MOR_OK;
}

enum mor_status mor_local_write_all(int fd, const void *bytes, size_t size_bytes, const char *what,
                                    struct mor_error *err)
{
    const uint8_t *next = bytes;
    while (size_bytes > 0) {
        ssize_t written = write(fd, next, size_bytes);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            return mor_error_set_errno(err, errno, "could not write '%s'", what);
        }
        next += written;
        size_bytes -= (size_t)written;
    }
    return MOR_OK;
}

enum mor_status mor_local_fsync(int fd, const char *what, struct mor_error *err)
{
    MOR_TRY(mor_fault("storage.fsync", err));
    while (fsync(fd) != 0) {
        if (errno != EINTR)
            return mor_error_set_errno(err, errno, "could not make '%s' durable", what);
    }
    return MOR_OK;
}

// Gives a name to what lies under another one, unless it is taken; 0 or an errno.
static int rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
    if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    // a file system without rename-no-replace: a hard link refuses to replace as well
    if (linkat(from_fd, from, to_fd, to, 0) != 0)
        return errno;
    unlinkat(from_fd, from, 0);
    return 0;
}

enum mor_status mor_local_publish(struct mor_store_local *local, int parent_fd, const char *key,
                                  const char *temporary_name, const char *name,
                                  struct mor_error *err)
{
    MOR_TRY(mor_fault("storage.publish", err));
    int error = rename_new(parent_fd, temporary_name, parent_fd, name);
    if (error == EEXIST)
        return mor_error_set(err, MOR_CONFLICT, "'%s' exists already", key);
    if (error != 0)
        return mor_error_set_errno(err, error, "could not publish '%s'", key);
    // not before: a sync of another thread in between would take the mark without the name
    mor_local_mark(local, key);
    return MOR_OK;
}

// Renames when the source is there; 0 or an errno. No directory is made for nothing.
static enum mor_status move_beneath(struct mor_store_local *local, const char *from, const char *to,
                                    int *ret_error, struct mor_error *err)
{
    char from_name[MOR_LOCAL_NAME_SIZE], to_name[MOR_LOCAL_NAME_SIZE];
    int from_fd = -1, to_fd = -1;
    enum mor_status status = mor_local_open_parent(local, from, false, &from_fd, from_name, err);
    *ret_error = ENOENT;
    if (status == MOR_NOT_FOUND)
        return MOR_OK;
    if (status != MOR_OK)
        return status;
    if (faccessat(from_fd, from_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        status = mor_local_open_parent(local, to, true, &to_fd, to_name, err);
        if (status == MOR_OK) {
            *ret_error = rename_new(from_fd, from_name, to_fd, to_name);
            close(to_fd);
        }
    } else {
        *ret_error = errno;
    }
    close(from_fd);
    return status;
}

static enum mor_status local_move(struct mor_store *store, const char *from, const char *to,
                                  struct mor_error *err)
{
    struct mor_store_local *local = mor_local_of(store);
    int error = 0;
    MOR_TRY(mor_fault("storage.move", err));
    MOR_TRY(move_beneath(local, from, to, &error, err));
    // also when somebody else moved it, whose name may not be durable yet
    if (error == 0 || error == ENOENT || error == EEXIST)
        mor_local_mark(local, to);
    if (error == EEXIST)
        return mor_error_set(err, MOR_CONFLICT, "'%s' exists already", to);
    if (error != 0)
        return mor_error_set_errno(err, error, "could not move '%s' to '%s'", from, to);
    return MOR_OK;
}

// ---- durability of names ------------------------------------------------------------------------

void mor_local_mark(struct mor_store_local *local, const char *key)
{
    const char *slash = strrchr(key, '/');
    size_t length = slash ? (size_t)(slash - key) : 0;
    MOR_LOCKED(&local->mutex);
    mor_map_put(&local->pending, key, length, NULL);
    // the first time also the way to it, because whoever made these directories may have crashed
    while (length > 0) {
        bool added = false;
        mor_map_put(&local->known, key, length, &added);
        if (!added)
            break;
        while (length > 0 && key[length - 1] != '/')
            length--;
        length -= length > 0;
        mor_map_put(&local->pending, key, length, NULL);
    }
}

static enum mor_status sync_directory(struct mor_store_local *local, const char *directory,
                                      struct mor_error *err)
{
    int fd = -1;
    enum mor_status status = mor_local_open_directory(local, directory, false, &fd, err);
    if (status == MOR_NOT_FOUND)
        return MOR_OK; // removed since: there are no entries to keep
    if (status != MOR_OK)
        return status;
    status = mor_local_fsync(fd, *directory ? directory : local->store.location, err);
    close(fd);
    return status;
}

enum mor_status mor_local_sync(struct mor_store *store, struct mor_error *err)
{
    struct mor_store_local *local = mor_local_of(store);
    pthread_mutex_lock(&local->mutex);
    // a sync under way may hold names that this caller published
    while (local->syncing)
        pthread_cond_wait(&local->synced, &local->mutex);
    local->syncing = true;
    struct mor_map taken = local->pending;
    local->pending = (struct mor_map){0};
    pthread_mutex_unlock(&local->mutex);

    enum mor_status status = MOR_OK;
    size_t done = 0;
    for (; done < taken.count && status == MOR_OK; done++)
        status = sync_directory(local, taken.entries[done].key, err);

    pthread_mutex_lock(&local->mutex);
    if (status != MOR_OK) {
        for (size_t i = done - 1; i < taken.count; i++)
            mor_map_put(&local->pending, taken.entries[i].key, taken.entries[i].key_size, NULL);
    }
    local->syncing = false;
    pthread_cond_broadcast(&local->synced);
    pthread_mutex_unlock(&local->mutex);
    mor_map_done(&taken);
    return status;
}

// ---- whole objects ------------------------------------------------------------------------------

static enum mor_status local_put_new(struct mor_store *store, const char *key, const void *bytes,
                                     size_t size_bytes, bool deferred, struct mor_error *err)
{
    struct mor_sink *sink = NULL;
    MOR_TRY(mor_local_create(store, key, &sink, err));
    enum mor_status status = sink->ops->write(sink, bytes, size_bytes, err);
    if (status == MOR_OK)
        status = sink->ops->finish(sink, true, err);
    sink->ops->free(sink);
    if (status != MOR_OK || deferred)
        return status;
    status = mor_fault("storage.put_published", err);
    if (status == MOR_OK)
        status = mor_local_sync(store, err);
    if (status == MOR_OK)
        return MOR_OK;
    // the name is there, but a power failure may take it away again
    mor_error_wrap(err, "'%s' was published, its durability is not known", key);
    err->status = MOR_UNKNOWN;
    return MOR_UNKNOWN;
}

static enum mor_status local_replace(struct mor_store *store, const char *key, const void *bytes,
                                     size_t size_bytes, struct mor_error *err)
{
    struct mor_store_local *local = mor_local_of(store);
    char name[MOR_LOCAL_NAME_SIZE], temporary_name[MOR_LOCAL_NAME_SIZE];
    int parent_fd = -1, fd = -1;
    MOR_TRY(mor_local_open_parent(local, key, true, &parent_fd, name, err));
    enum mor_status status = mor_local_create_temporary(local, parent_fd, temporary_name, &fd, err);
    if (status == MOR_OK) {
        status = mor_local_write_all(fd, bytes, size_bytes, key, err);
        if (status == MOR_OK)
            status = mor_local_fsync(fd, key, err);
        if (close(fd) != 0 && status == MOR_OK)
            status = mor_error_set_errno(err, errno, "could not close '%s'", key);
        if (status == MOR_OK && renameat(parent_fd, temporary_name, parent_fd, name) != 0)
            status = mor_error_set_errno(err, errno, "could not replace '%s'", key);
        if (status != MOR_OK)
            unlinkat(parent_fd, temporary_name, 0);
        else
            mor_local_mark(local, key);
    }
    close(parent_fd);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "'%s'", key);
}

static enum mor_status local_info(struct mor_store *store, const char *key,
                                  struct mor_object_info *ret_info, struct mor_error *err)
{
    struct mor_store_local *local = mor_local_of(store);
    char name[MOR_LOCAL_NAME_SIZE];
    int parent_fd = -1;
    MOR_TRY(mor_local_open_parent(local, key, false, &parent_fd, name, err));
    struct stat st;
    int failed = fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW);
    int error = errno;
    close(parent_fd);
    if (failed)
        return mor_error_set_errno(err, error, "could not look at '%s' in '%s'", key,
                                   store->location);
    *ret_info = (struct mor_object_info){
        .size_bytes = st.st_size,
        .modified_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
        .is_prefix = S_ISDIR(st.st_mode),
    };
    return MOR_OK;
}

static enum mor_status local_get(struct mor_store *store, const char *key, size_t limit_bytes,
                                 struct mor_buffer *ret_bytes, struct mor_error *err)
{
    struct mor_reader *reader = NULL;
    MOR_TRY(mor_local_open_object(store, key, &reader, err));
    enum mor_status status = MOR_OK;
    size_t size_bytes = (size_t)reader->size_bytes;
    if (size_bytes > limit_bytes) {
        status = mor_error_set(err, MOR_DATA, "'%s' in '%s' has %zu bytes, the limit is %zu", key,
                               store->location, size_bytes, limit_bytes);
    } else {
        size_t before = ret_bytes->size_bytes;
        mor_buffer_reserve(ret_bytes, size_bytes + 1);
        status = reader->ops->read(reader, 0, ret_bytes->data + before, size_bytes, err);
        if (status == MOR_OK)
            ret_bytes->size_bytes = before + size_bytes;
    }
    reader->ops->free(reader);
    return status;
}

static enum mor_status local_remove(struct mor_store *store, const char *key, bool durable,
                                    struct mor_error *err)
{
    struct mor_store_local *local = mor_local_of(store);
    MOR_TRY(mor_fault("storage.delete", err));
    char name[MOR_LOCAL_NAME_SIZE];
    int parent_fd = -1;
    enum mor_status status = mor_local_open_parent(local, key, false, &parent_fd, name, err);
    if (status == MOR_NOT_FOUND)
        return MOR_OK;
    if (status != MOR_OK)
        return status;
    int failed = unlinkat(parent_fd, name, 0);
    int error = errno;
    close(parent_fd);
    if (failed && error != ENOENT)
        return mor_error_set_errno(err, error, "could not delete '%s' in '%s'", key,
                                   store->location);
    mor_local_mark(local, key);
    return durable ? mor_local_sync(store, err) : MOR_OK;
}

// ---- listing ------------------------------------------------------------------------------------

struct listing {
    struct mor_arena *arena;
    struct mor_object_info *objects;
    size_t count, capacity;
    bool recursive, names_only;
};

static void listing_add(struct listing *listing, const struct mor_object_info *object)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? listing->capacity * 2 : 64;
        struct mor_object_info *grown = mor_arena_alloc(listing->arena, capacity * sizeof *grown);
        if (listing->count > 0)
            memcpy(grown, listing->objects, listing->count * sizeof *grown);
        listing->objects = grown;
        listing->capacity = capacity;
    }
    listing->objects[listing->count++] = *object;
}

#define LIST_DEPTH_MAX 64

static void list_name(struct listing *listing, const char *prefix, const char *name, bool is_prefix)
{
    struct mor_object_info object = {
        .key = mor_arena_printf(listing->arena, "%s%s%s", prefix, *prefix ? "/" : "", name),
        .is_prefix = is_prefix,
    };
    listing_add(listing, &object);
}

static enum mor_status list_directory(struct listing *listing, int fd, const char *prefix,
                                      int depth, struct mor_error *err);

static enum mor_status list_entry(struct listing *listing, int fd, const char *prefix,
                                  const char *name, int depth, struct mor_error *err)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return MOR_OK; // went away while we listed
        return mor_error_set_errno(err, errno, "could not look at '%s%s%s'", prefix,
                                   *prefix ? "/" : "", name);
    }
    struct mor_object_info object = {
        .key = mor_arena_printf(listing->arena, "%s%s%s", prefix, *prefix ? "/" : "", name),
        .size_bytes = st.st_size,
        .modified_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
        .is_prefix = S_ISDIR(st.st_mode),
    };
    if (S_ISREG(st.st_mode) || (object.is_prefix && !listing->recursive)) {
        listing_add(listing, &object);
        return MOR_OK;
    }
    if (!object.is_prefix)
        return MOR_OK; // sockets, links: not ours
    if (depth >= LIST_DEPTH_MAX)
        return mor_error_set(err, MOR_DATA, "directories below '%s' are nested more than %d deep",
                             object.key, LIST_DEPTH_MAX);
    int child_fd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (child_fd < 0)
        return errno == ENOENT ? MOR_OK
                               : mor_error_set_errno(err, errno, "could not list '%s'", object.key);
    return list_directory(listing, child_fd, object.key, depth + 1, err);
}

// Takes fd.
static enum mor_status list_directory(struct listing *listing, int fd, const char *prefix,
                                      int depth, struct mor_error *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int error = errno;
        close(fd);
        return mor_error_set_errno(err, error, "could not list '%s'", prefix);
    }
    enum mor_status status = MOR_OK;
    while (status == MOR_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno != 0)
                status = mor_error_set_errno(err, errno, "could not list '%s'", prefix);
            break;
        }
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || mor_local_is_temporary(name))
            continue;
        if (listing->names_only && (entry->d_type == DT_REG || entry->d_type == DT_DIR))
            list_name(listing, prefix, name, entry->d_type == DT_DIR);
        else
            status = list_entry(listing, dirfd(dir), prefix, name, depth, err);
    }
    closedir(dir);
    return status;
}

static enum mor_status local_list(struct mor_store *store, const char *prefix, bool recursive,
                                  bool names_only, struct mor_arena *arena,
                                  struct mor_object_info **ret_objects, size_t *ret_count,
                                  struct mor_error *err)
{
    struct listing listing = {.arena = arena, .recursive = recursive, .names_only = names_only};
    int fd = -1;
    enum mor_status status = mor_local_open_directory(mor_local_of(store), prefix, false, &fd, err);
    if (status == MOR_OK)
        status = list_directory(&listing, fd, prefix, 0, err);
    else if (status == MOR_NOT_FOUND)
        status = MOR_OK;
    if (status != MOR_OK)
        return status;
    *ret_objects = listing.objects;
    *ret_count = listing.count;
    return MOR_OK;
}

// ---- open and close -----------------------------------------------------------------------------

static void local_free(struct mor_store *store)
{
    struct mor_store_local *local = mor_local_of(store);
    close(local->root_fd);
    pthread_mutex_destroy(&local->mutex);
    pthread_cond_destroy(&local->synced);
    mor_map_done(&local->pending);
    mor_map_done(&local->known);
    free(local);
}

static const struct mor_store_ops local_ops = {
    .free = local_free,
    .get = local_get,
    .info = local_info,
    .put_new = local_put_new,
    .replace = local_replace,
    .sync = mor_local_sync,
    .move = local_move,
    .remove = local_remove,
    .clean_temporary = mor_local_clean_temporary,
    .list = local_list,
    .create = mor_local_create,
    .open_object = mor_local_open_object,
    .lock = mor_local_lock,
};

// Makes the root and what is missing above it, each durable in its parent.
static enum mor_status make_root(const char *path, struct mor_error *err)
{
    MOR_AUTO_FREE char *part = mor_strdup(path);
    for (char *slash = part + 1; *part; slash++) {
        slash = strchrnul(slash, '/');
        char saved = *slash;
        *slash = '\0';
        if (mkdir(part, 0777) == 0) {
            MOR_AUTO_FREE char *parent = mor_asprintf("%s/..", part);
            int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (fd < 0)
                return mor_error_set_errno(err, errno, "could not open '%s'", parent);
            enum mor_status status = mor_local_fsync(fd, parent, err);
            close(fd);
            if (status != MOR_OK)
                return status;
        } else if (errno != EEXIST) {
            return mor_error_set_errno(err, errno, "could not make the directory '%s'", part);
        }
        *slash = saved;
        if (saved == '\0')
            break;
    }
    return MOR_OK;
}

enum mor_status mor_store_local_open(const char *path, const char *location, bool create,
                                     struct mor_store **ret_store, struct mor_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && create) {
        MOR_TRY(make_root(path, err));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return mor_error_set_errno(err, errno, "could not open the location '%s'", location);
    struct mor_store_local *local = mor_calloc(1, sizeof *local);
    local->store.ops = &local_ops;
    local->store.location = mor_strdup(location);
    local->root_fd = fd;
    pthread_mutex_init(&local->mutex, NULL);
    pthread_cond_init(&local->synced, NULL);
    mor_local_temporary_stem(local->temporary_stem, sizeof local->temporary_stem);
    // two stores of one process on one root must not meet in a temporary name
    static atomic_uint_fast64_t store_number;
    atomic_init(&local->temporary_next, atomic_fetch_add(&store_number, 1) << 40);
    *ret_store = &local->store;
    return MOR_OK;
}
