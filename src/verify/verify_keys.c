#include "verify_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void mor_verify_keys_init(struct mor_verify_keys *keys, const char *folder, size_t bytes_max,
                          struct mor_budget *budget)
{
    *keys =
        (struct mor_verify_keys){.folder = folder, .part_bytes_max = bytes_max / VERIFY_KEY_PARTS};
    for (size_t i = 0; i < VERIFY_KEY_PARTS; i++) {
        mor_buffer_init(&keys->parts[i], budget);
        keys->files[i] = -1;
    }
}

void mor_verify_keys_done(struct mor_verify_keys *keys)
{
    for (size_t i = 0; i < VERIFY_KEY_PARTS; i++) {
        mor_buffer_done(&keys->parts[i]);
        if (keys->files[i] >= 0)
            (void)close(keys->files[i]);
    }
}

// A file that has no name, so that it ends with the process.
static enum mor_status open_part(struct mor_verify_keys *keys, size_t part, struct mor_error *err)
{
    MOR_AUTO_FREE char *name = mor_asprintf("%s/moraine-verify-XXXXXX", keys->folder);
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return mor_error_set_errno(err, errno, "could not create a file in '%s'", keys->folder);
    if (unlink(name) != 0) {
        int failed = errno;
        (void)close(fd);
        return mor_error_set_errno(err, failed, "could not unlink '%s'", name);
    }
    keys->files[part] = fd;
    return MOR_OK;
}

static enum mor_status spill(struct mor_verify_keys *keys, size_t part, struct mor_error *err)
{
    struct mor_buffer *bytes = &keys->parts[part];
    if (keys->files[part] < 0)
        MOR_TRY(open_part(keys, part, err));
    for (size_t at = 0; at < bytes->size_bytes;) {
        ssize_t wrote = write(keys->files[part], bytes->data + at, bytes->size_bytes - at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return mor_error_set_errno(err, errno, "could not write hashes of keys to '%s'",
                                       keys->folder);
        at += (size_t)wrote;
    }
    keys->file_bytes[part] += (int64_t)bytes->size_bytes;
    mor_buffer_reset(bytes);
    return MOR_OK;
}

enum mor_status mor_verify_keys_add(struct mor_verify_keys *keys, struct mor_hash128 hash,
                                    uint32_t place, struct mor_error *err)
{
    size_t part = hash.high >> 58;
    struct mor_verify_key key = mor_verify_key_of(hash, place);
    mor_buffer_append(&keys->parts[part], &key, sizeof key);
    return keys->parts[part].size_bytes < keys->part_bytes_max ? MOR_OK : spill(keys, part, err);
}

// Brings what was spilled back behind what is in memory.
static enum mor_status gather(struct mor_verify_keys *keys, size_t part, struct mor_error *err)
{
    struct mor_buffer *bytes = &keys->parts[part];
    mor_buffer_reserve(bytes, (size_t)keys->file_bytes[part]);
    for (int64_t at = 0; at < keys->file_bytes[part];) {
        ssize_t got = pread(keys->files[part], bytes->data + bytes->size_bytes,
                            (size_t)(keys->file_bytes[part] - at), at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return mor_error_set_errno(err, got < 0 ? errno : EIO,
                                       "could not read hashes of keys back from '%s'",
                                       keys->folder);
        bytes->size_bytes += (size_t)got;
        at += got;
    }
    return MOR_OK;
}

static int by_hash(const void *a, const void *b)
{
    const struct mor_verify_key *x = a, *y = b;
    if (x->high != y->high)
        return x->high < y->high ? -1 : 1;
    if (x->low != y->low)
        return x->low < y->low ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

enum mor_status mor_verify_keys_doubles(struct mor_verify_keys *keys,
                                        void (*visit)(void *context,
                                                      const struct mor_verify_key *same,
                                                      size_t count),
                                        void *context, struct mor_error *err)
{
    for (size_t part = 0; part < VERIFY_KEY_PARTS; part++) {
        MOR_TRY(gather(keys, part, err));
        struct mor_buffer *bytes = &keys->parts[part];
        struct mor_verify_key *rows = (struct mor_verify_key *)(void *)bytes->data;
        size_t count = bytes->size_bytes / sizeof *rows;
        if (count > 1)
            qsort(rows, count, sizeof *rows, by_hash);
        for (size_t first = 0, next; first < count; first = next) {
            next = first + 1;
            while (next < count && rows[next].high == rows[first].high &&
                   rows[next].low == rows[first].low)
                next++;
            if (next - first > 1)
                visit(context, &rows[first], next - first);
        }
        mor_buffer_done(bytes);
    }
    return MOR_OK;
}
