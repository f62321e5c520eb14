// Dead letters in a local file of JSON lines:
// {"topic":…,"partition":…,"offset":…,"timestamp_ms":…,"time":"…","stage":"decode","reason":"…",
//          "schema_id":…,"key":"<base64>" or null,"value":"<base64>" or null,"headers":[…]}
#include "dead_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

struct letter_file {
    struct mor_letter_sink sink;
    char *path;
    char *instance;
    int fd;
    int64_t committed_bytes;
};

// The letter as a JSON object of its columns; Kafka's timestamp in milliseconds, as Kafka has it.
static void append_line(struct mor_buffer *lines, const struct mor_batch *letters, size_t row)
{
    mor_buffer_append_u8(lines, '{');
    for (size_t i = 0; i < letters->column_count; i++) {
        mor_buffer_printf(lines, "%s\"%s\":", i > 0 ? "," : "",
                          i == LETTER_TIMESTAMP ? "timestamp_ms"
                                                : letters->schema->root.children[i].name);
        if (i == LETTER_TIMESTAMP && !mor_vector_is_null(&letters->columns[i], row))
            mor_buffer_printf(lines, "%lld",
                              (long long)(mor_vector_i64(&letters->columns[i], row) / 1000));
        else
            mor_vector_format_json(&letters->columns[i], row, lines);
    }
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

static enum mor_status cut(const struct letter_file *file, int64_t size_bytes,
                           struct mor_error *err)
{
    if (ftruncate(file->fd, size_bytes) != 0)
        return mor_error_set_errno(err, errno, "could not cut '%s' to %lld bytes", file->path,
                                   (long long)size_bytes);
    return MOR_OK;
}

static enum mor_status write_lines(const struct letter_file *file, const struct mor_buffer *lines,
                                   struct mor_error *err)
{
    size_t done = 0;
    while (done < lines->size_bytes) {
        ssize_t wrote = pwrite(file->fd, lines->data + done, lines->size_bytes - done,
                               file->committed_bytes + (int64_t)done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return mor_error_set_errno(err, wrote < 0 ? errno : ENOSPC, "could not write to '%s'",
                                       file->path);
        done += (size_t)wrote;
    }
    if (fdatasync(file->fd) != 0)
        return mor_error_set_errno(err, errno, "could not make '%s' durable", file->path);
    return MOR_OK;
}

// Replaces everything after the committed length, so every attempt starts alike.
static enum mor_status file_write(struct mor_letter_sink *sink, const struct mor_letter_rows *rows,
                                  size_t count, const struct mor_range *ranges, size_t range_count,
                                  struct mor_ledger *after, struct mor_error *err)
{
    (void)ranges;
    (void)range_count;
    struct letter_file *file = (struct letter_file *)sink;
    MOR_AUTO_BUFFER lines = {0};
    for (size_t i = 0; i < count; i++)
        for (size_t row = rows[i].first; row < rows[i].first + rows[i].count; row++)
            append_line(&lines, rows[i].batch, row);
    if (lines.size_bytes > 0) {
        MOR_TRY(mor_fault("dead_letter.write", err));
        MOR_TRY(cut(file, file->committed_bytes, err));
        MOR_TRY(write_lines(file, &lines, err));
    }
    mor_ledger_set_letters(after, file->instance,
                           file->committed_bytes + (int64_t)lines.size_bytes);
    return MOR_OK;
}

static void file_committed(struct mor_letter_sink *sink, const struct mor_ledger *after)
{
    struct letter_file *file = (struct letter_file *)sink;
    file->committed_bytes = mor_ledger_letters(after, file->instance);
}

static void file_free(struct mor_letter_sink *sink)
{
    struct letter_file *file = (struct letter_file *)sink;
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file->instance);
    free(file);
}

static const struct mor_letter_sink_ops file_ops = {file_write, file_committed, file_free};

// Lines that no commit of the table knows: their commit never came, or the table is a new one. They
// are kept under another name, so that a record stands in the file once.
static enum mor_status set_aside(const struct letter_file *file, struct mor_error *err)
{
    struct stat facts;
    if (lstat(file->path, &facts) != 0 || facts.st_size == 0)
        return MOR_OK; // opening the file tells what is wrong with it
    MOR_AUTO_FREE char *aside = mor_asprintf("%s.%lld", file->path, (long long)mor_clock_wall_ms());
    if (rename(file->path, aside) != 0)
        return mor_error_set_errno(err, errno, "could not set '%s' aside", file->path);
    return MOR_OK;
}

static enum mor_status open_file(struct letter_file *file, int64_t committed_bytes,
                                 struct mor_error *err)
{
    if (committed_bytes < 0)
        MOR_TRY(set_aside(file, err));
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat facts;
    if (file->fd < 0 || fstat(file->fd, &facts) != 0)
        return mor_error_set_errno(err, errno, "could not open the dead letters '%s'", file->path);
    bool says = committed_bytes >= 0 && committed_bytes <= facts.st_size;
    file->committed_bytes = says ? committed_bytes : facts.st_size;
    return says && committed_bytes < facts.st_size ? cut(file, committed_bytes, err) : MOR_OK;
}

enum mor_status mor_letter_file_open(const char *state_dir, const char *instance, const char *topic,
                                     const struct mor_ledger *ledger,
                                     struct mor_letter_sink **ret_sink, struct mor_error *err)
{
    MOR_AUTO_FREE char *directory = mor_asprintf("%s/dead_letters", state_dir);
    MOR_TRY(make_directory(state_dir, err));
    MOR_TRY(make_directory(directory, err));
    struct letter_file *file = mor_calloc(1, sizeof *file);
    file->sink.ops = &file_ops;
    file->path = mor_asprintf("%s/%s.jsonl", directory, topic);
    file->instance = mor_strdup(instance);
    enum mor_status status = open_file(file, mor_ledger_letters(ledger, instance), err);
    if (status == MOR_OK)
        status = sync_directory(directory, err);
    if (status == MOR_OK)
        status = sync_directory(state_dir, err); // the directory may be new
    if (status != MOR_OK) {
        file_free(&file->sink);
        return status;
    }
    *ret_sink = &file->sink;
    return MOR_OK;
}
