// Streaming writes and ranged reads of local files.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_local.h"

// Writers above hand over pages and headers of any size; small ones are gathered to this size so
// that a system call is worth it.
#define SINK_BUFFER_BYTES (256u << 10)

struct local_sink {
    struct mor_sink sink;
    struct mor_store_local *local; // borrowed
    int parent_fd;
    int fd;
    char *key;
    char name[MOR_LOCAL_NAME_SIZE];
    char temporary_name[MOR_LOCAL_NAME_SIZE]; // "" = nothing to remove
    size_t buffered;
    uint8_t *buffer;
    int64_t written_bytes;
};

static enum mor_status sink_flush(struct local_sink *sink, struct mor_error *err)
{
    enum mor_status status =
        mor_local_write_all(sink->fd, sink->buffer, sink->buffered, sink->key, err);
    sink->written_bytes += (int64_t)sink->buffered;
    sink->buffered = 0;
    return status;
}

static enum mor_status local_sink_write(struct mor_sink *base, const void *bytes, size_t size_bytes,
                                        struct mor_error *err)
{
    struct local_sink *sink = (struct local_sink *)base;
    if (sink->buffered + size_bytes <= SINK_BUFFER_BYTES) {
        if (size_bytes > 0)
            memcpy(sink->buffer + sink->buffered, bytes, size_bytes);
        sink->buffered += size_bytes;
        return MOR_OK;
    }
    MOR_TRY(sink_flush(sink, err));
    if (size_bytes <= SINK_BUFFER_BYTES / 2) {
        memcpy(sink->buffer, bytes, size_bytes);
        sink->buffered = size_bytes;
        return MOR_OK;
    }
    MOR_TRY(mor_local_write_all(sink->fd, bytes, size_bytes, sink->key, err));
    sink->written_bytes += (int64_t)size_bytes;
    return MOR_OK;
}

static enum mor_status local_sink_complete(struct mor_sink *base, struct mor_error *err)
{
    struct local_sink *sink = (struct local_sink *)base;
    MOR_TRY(sink_flush(sink, err));
    free(sink->buffer);
    sink->buffer = NULL;
    // a hint: blocks are allocated now, so that one commit of the file system's journal is enough
    // for all files that are waiting for their fsync
    (void)!sync_file_range(sink->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return MOR_OK;
}

static enum mor_status local_sink_finish(struct mor_sink *base, bool deferred,
                                         struct mor_error *err)
{
    struct local_sink *sink = (struct local_sink *)base;
    if (sink->buffer)
        MOR_TRY(sink_flush(sink, err));
    // nothing but the name to keep of an empty file, and names are made durable by their directory
    if (sink->written_bytes > 0)
        MOR_TRY(mor_local_fsync(sink->fd, sink->key, err));
    int failed = close(sink->fd);
    sink->fd = -1;
    if (failed)
        return mor_error_set_errno(err, errno, "could not close '%s'", sink->key);
    MOR_TRY(mor_local_publish(sink->local, sink->parent_fd, sink->key, sink->temporary_name,
                              sink->name, err));
    sink->temporary_name[0] = '\0';
    return deferred ? MOR_OK : mor_local_sync(&sink->local->store, err);
}

static void local_sink_free(struct mor_sink *base)
{
    struct local_sink *sink = (struct local_sink *)base;
    if (sink->fd >= 0)
        close(sink->fd);
    if (sink->temporary_name[0])
        unlinkat(sink->parent_fd, sink->temporary_name, 0);
    close(sink->parent_fd);
    free(sink->key);
    free(sink->buffer);
    free(sink);
}

static const struct mor_sink_ops local_sink_ops = {
    .write = local_sink_write,
    .complete = local_sink_complete,
    .finish = local_sink_finish,
    .free = local_sink_free,
};

enum mor_status mor_local_create(struct mor_store *store, const char *key,
                                 struct mor_sink **ret_sink, struct mor_error *err)
{
    struct mor_store_local *local = mor_local_of(store);
    char name[MOR_LOCAL_NAME_SIZE], temporary_name[MOR_LOCAL_NAME_SIZE];
    int parent_fd = -1, fd = -1;
    MOR_TRY(mor_local_open_parent(local, key, true, &parent_fd, name, err));
    enum mor_status status = mor_local_create_temporary(local, parent_fd, temporary_name, &fd, err);
    if (status != MOR_OK) {
        close(parent_fd);
        return mor_error_wrap(err, "could not create '%s'", key);
    }
    struct local_sink *sink = mor_calloc(1, sizeof *sink);
    sink->sink.ops = &local_sink_ops;
    sink->local = local;
    sink->parent_fd = parent_fd;
    sink->fd = fd;
    sink->key = mor_strdup(key);
    memcpy(sink->name, name, sizeof name);
    memcpy(sink->temporary_name, temporary_name, sizeof temporary_name);
    sink->buffer = mor_alloc(SINK_BUFFER_BYTES);
    *ret_sink = &sink->sink;
    return MOR_OK;
}

// ---- reading ------------------------------------------------------------------------------------

struct local_reader {
    struct mor_reader reader;
    int fd;
    char *key;
};

static enum mor_status local_reader_read(struct mor_reader *base, int64_t offset, void *ret_bytes,
                                         size_t size_bytes, struct mor_error *err)
{
    struct local_reader *reader = (struct local_reader *)base;
    if (offset < 0 || (uint64_t)size_bytes > INT64_MAX ||
        offset > reader->reader.size_bytes - (int64_t)size_bytes) {
        enum mor_status status =
            mor_error_set(err, MOR_DATA, "'%s' has %lld bytes, wanted %zu at %lld", reader->key,
                          (long long)reader->reader.size_bytes, size_bytes, (long long)offset);
        err->file_offset = offset;
        return status;
    }
    uint8_t *next = ret_bytes;
    while (size_bytes > 0) {
        ssize_t count = pread(reader->fd, next, size_bytes, offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return mor_error_set_errno(err, errno, "could not read '%s' at %lld", reader->key,
                                       (long long)offset);
        if (count == 0)
            return mor_error_set(err, MOR_DATA, "'%s' was cut while it was read", reader->key);
        next += count;
        offset += count;
        size_bytes -= (size_t)count;
    }
    return MOR_OK;
}

static void local_reader_free(struct mor_reader *base)
{
    struct local_reader *reader = (struct local_reader *)base;
    close(reader->fd);
    free(reader->key);
    free(reader);
}

static const struct mor_reader_ops local_reader_ops = {
    .read = local_reader_read,
    .free = local_reader_free,
};

enum mor_status mor_local_open_object(struct mor_store *store, const char *key,
                                      struct mor_reader **ret_reader, struct mor_error *err)
{
    struct mor_store_local *local = mor_local_of(store);
    char name[MOR_LOCAL_NAME_SIZE];
    int parent_fd = -1;
    MOR_TRY(mor_local_open_parent(local, key, false, &parent_fd, name, err));
    int fd = openat(parent_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int error = errno;
    close(parent_fd);
    if (fd < 0)
        return mor_error_set_errno(err, error, "could not open '%s' in '%s'", key, store->location);
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return mor_error_set(err, MOR_FATAL, "'%s' in '%s' is not a file", key, store->location);
    }
    struct local_reader *reader = mor_calloc(1, sizeof *reader);
    reader->reader.ops = &local_reader_ops;
    reader->reader.size_bytes = st.st_size;
    reader->fd = fd;
    reader->key = mor_strdup(key);
    *ret_reader = &reader->reader;
    return MOR_OK;
}
