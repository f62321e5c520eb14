#include "dead_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moraine/base/base64.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

struct mor_dead_letters {
    char *path;
    int fd;
    int64_t committed_bytes;
};

static void append_bytes(struct mor_buffer *lines, const char *name, const uint8_t *bytes,
                         size_t size_bytes)
{
    mor_buffer_printf(lines, ",\"%s\":", name);
    if (bytes == NULL) {
        mor_buffer_append_text(lines, "null");
    } else {
        mor_buffer_append_u8(lines, '"');
        mor_base64_encode(bytes, size_bytes, lines);
        mor_buffer_append_u8(lines, '"');
    }
}

// Reasons quote bytes of the record, so everything outside printable ASCII is written as an escape.
static void append_reason(struct mor_buffer *lines, const char *reason)
{
    mor_buffer_append_text(lines, ",\"reason\":\"");
    for (const unsigned char *at = (const unsigned char *)reason; *at != 0; at++) {
        if (*at == '"' || *at == '\\')
            mor_buffer_printf(lines, "\\%c", *at);
        else if (*at < 0x20 || *at >= 0x7F)
            mor_buffer_printf(lines, "\\u%04x", *at);
        else
            mor_buffer_append_u8(lines, *at);
    }
    mor_buffer_append_u8(lines, '"');
}

void mor_dead_letter_format(struct mor_buffer *lines, const char *topic,
                            const struct mor_record *record, const char *stage, const char *reason)
{
    char now[48];
    mor_format_timestamp(mor_clock_wall_ms() * 1000, now, sizeof now);
    mor_buffer_printf(
        lines,
        "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"timestamp_ms\":%lld,\"time\":\"%s\","
        "\"stage\":\"%s\"",
        topic, record->partition, (long long)record->offset, (long long)record->timestamp_ms, now,
        stage);
    append_reason(lines, reason);
    append_bytes(lines, "key", record->key, record->key_size_bytes);
    append_bytes(lines, "value", record->value, record->value_size_bytes);
    mor_buffer_append_text(lines, "}\n");
}

static enum mor_status make_directory(const char *path, struct mor_error *err)
{
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return mor_error_set_errno(err, errno, "could not make directory '%s'", path);
    return MOR_OK;
}

static enum mor_status sync_directory(const char *path, struct mor_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mor_error_set_errno(err, errno, "could not open directory '%s'", path);
    int failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    return failed != 0 ? mor_error_set_errno(err, failed, "could not sync directory '%s'", path)
                       : MOR_OK;
}

static enum mor_status cut(struct mor_dead_letters *letters, int64_t size_bytes,
                           struct mor_error *err)
{
    if (ftruncate(letters->fd, size_bytes) != 0)
        return mor_error_set_errno(err, errno, "could not cut '%s' to %lld bytes", letters->path,
                                   (long long)size_bytes);
    return MOR_OK;
}

enum mor_status mor_dead_letters_open(const char *state_dir, const char *topic,
                                      int64_t committed_bytes,
                                      struct mor_dead_letters **ret_letters, struct mor_error *err)
{
    MOR_AUTO_FREE char *directory = mor_asprintf("%s/dead_letters", state_dir);
    MOR_TRY(make_directory(state_dir, err));
    MOR_TRY(make_directory(directory, err));
    struct mor_dead_letters *letters = mor_calloc(1, sizeof *letters);
    letters->path = mor_asprintf("%s/%s.jsonl", directory, topic);
    letters->fd = open(letters->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat facts;
    enum mor_status status;
    if (letters->fd < 0 || fstat(letters->fd, &facts) != 0) {
        status =
            mor_error_set_errno(err, errno, "could not open the dead letters '%s'", letters->path);
    } else {
        bool says = committed_bytes >= 0 && committed_bytes <= facts.st_size;
        letters->committed_bytes = says ? committed_bytes : facts.st_size;
        status =
            says && committed_bytes < facts.st_size ? cut(letters, committed_bytes, err) : MOR_OK;
        if (status == MOR_OK)
            status = sync_directory(directory, err);
    }
    if (status != MOR_OK) {
        mor_dead_letters_free(letters);
        return status;
    }
    *ret_letters = letters;
    return MOR_OK;
}

void mor_dead_letters_free(struct mor_dead_letters *letters)
{
    if (letters == NULL)
        return;
    if (letters->fd >= 0)
        close(letters->fd);
    free(letters->path);
    free(letters);
}

int64_t mor_dead_letters_bytes(const struct mor_dead_letters *letters)
{
    return letters->committed_bytes;
}

enum mor_status mor_dead_letters_write(struct mor_dead_letters *letters,
                                       const struct mor_buffer *lines, int64_t *ret_bytes,
                                       struct mor_error *err)
{
    MOR_TRY(mor_fault("dead_letter.write", err));
    MOR_TRY(cut(letters, letters->committed_bytes, err));
    size_t done = 0;
    while (done < lines->size_bytes) {
        ssize_t wrote = pwrite(letters->fd, lines->data + done, lines->size_bytes - done,
                               letters->committed_bytes + (int64_t)done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return mor_error_set_errno(err, wrote < 0 ? errno : ENOSPC, "could not write to '%s'",
                                       letters->path);
        done += (size_t)wrote;
    }
    if (fdatasync(letters->fd) != 0)
        return mor_error_set_errno(err, errno, "could not make '%s' durable", letters->path);
    *ret_bytes = letters->committed_bytes + (int64_t)lines->size_bytes;
    return MOR_OK;
}

void mor_dead_letters_committed(struct mor_dead_letters *letters, int64_t bytes)
{
    letters->committed_bytes = bytes;
}
