// Test tool over the Parquet module: prints a file as JSON lines, or copies it through the reader
// and the writer. Used by integration/parquet/*.py.
//
//   pq_tool cat FILE
//   pq_tool describe FILE [json]
//   pq_tool copy IN OUT [codec=zstd|snappy|gzip|lz4_raw|none] [level=N] [page=1|2] [rows=N]
//   [page_rows=N]
//           [page_bytes=N] [profile=compatible|conservative|compact] [crc=1] [threads=N]
//           [decimal_int=1] [bloom=PATH] [encoding=PATH:NAME] [batch=N]
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moraine/column.h"
#include "moraine/parquet.h"

static enum mor_status read_fd(void *context, int64_t offset, void *ret_bytes, size_t size_bytes,
                               struct mor_error *err)
{
    int fd = *(int *)context;
    for (size_t done = 0; done < size_bytes;) {
        ssize_t n =
            pread(fd, (char *)ret_bytes + done, size_bytes - done, (off_t)(offset + (int64_t)done));
        if (n < 0)
            return mor_error_set_errno(err, errno, "could not read");
        if (n == 0)
            return mor_error_set(err, MOR_DATA, "the file ends too early");
        done += (size_t)n;
    }
    return MOR_OK;
}

static enum mor_status write_fd(void *context, const void *bytes, size_t size_bytes,
                                struct mor_error *err)
{
    int fd = *(int *)context;
    for (size_t done = 0; done < size_bytes;) {
        ssize_t n = write(fd, (const char *)bytes + done, size_bytes - done);
        if (n < 0)
            return mor_error_set_errno(err, errno, "could not write");
        done += (size_t)n;
    }
    return MOR_OK;
}

static int fail(const char *what, const struct mor_error *err)
{
    fprintf(stderr, "%s: %s: %s (offset %lld)\n", what, mor_status_name(err->status), err->message,
            (long long)err->file_offset);
    return 1;
}

static struct mor_parquet_reader *open_reader(const char *path, int *fd,
                                              struct mor_byte_source *source)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_parquet_reader *reader = NULL;
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &info) != 0) {
        perror(path);
        exit(1);
    }
    *source = (struct mor_byte_source){.context = fd, .size_bytes = info.st_size, .read = read_fd};
    if (mor_parquet_reader_open(source, NULL, &reader, &err) != MOR_OK)
        exit(fail(path, &err));
    return reader;
}

static int cat(const char *path)
{
    int fd;
    struct mor_byte_source source;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_parquet_reader *reader = open_reader(path, &fd, &source);
    const struct mor_schema *schema = mor_parquet_reader_schema(reader);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    struct mor_buffer line = {0};
    for (;;) {
        if (mor_parquet_reader_next(reader, 1000, batch, NULL, &err) != MOR_OK)
            return fail(path, &err);
        if (batch->row_count == 0)
            break;
        if (mor_batch_validate(batch, &err) != MOR_OK)
            return fail(path, &err);
        for (size_t row = 0; row < batch->row_count; row++) {
            mor_buffer_reset(&line);
            mor_buffer_append_u8(&line, '[');
            for (size_t i = 0; i < batch->column_count; i++) {
                if (i > 0)
                    mor_buffer_append_u8(&line, ',');
                mor_vector_format_json(&batch->columns[i], row, &line);
            }
            mor_buffer_append_text(&line, "]\n");
            fwrite(line.data, 1, line.size_bytes, stdout);
        }
    }
    mor_buffer_done(&line);
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
    close(fd);
    return 0;
}

static int describe(const char *path, bool json)
{
    int fd;
    struct mor_byte_source source;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_parquet_reader *reader = open_reader(path, &fd, &source);
    struct mor_buffer text = {0};
    if (mor_parquet_describe(reader, json, &text, &err) != MOR_OK)
        return fail(path, &err);
    fwrite(text.data, 1, text.size_bytes, stdout);
    mor_buffer_done(&text);
    mor_parquet_reader_free(reader);
    close(fd);
    return 0;
}

struct settings {
    struct mor_parquet_writer_options options;
    struct mor_parquet_column_options columns[64];
    size_t batch;
};

static enum mor_parquet_encoding encoding_of(const char *name)
{
    static const char *const names[] = {"auto",         "plain",       "dictionary", "delta",
                                        "delta_length", "delta_bytes", "split",      "rle"};
    for (size_t i = 0; i < 8; i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum mor_parquet_encoding)i;
    }
    fprintf(stderr, "unknown encoding %s\n", name);
    exit(2);
}

static void take_setting(struct settings *s, char *text)
{
    struct mor_parquet_writer_options *o = &s->options;
    char *value = strchr(text, '=');
    if (!value) {
        fprintf(stderr, "not a setting: %s\n", text);
        exit(2);
    }
    *value++ = 0;
    size_t number = (size_t)strtoull(value, NULL, 10);
    static const char *const codecs[] = {"none", "snappy", "gzip", "lz4_raw", "zstd"};
    static const char *const profiles[] = {"compatible", "conservative", "compact"};
    if (strcmp(text, "codec") == 0) {
        for (size_t i = 0; i < 5; i++)
            o->codec = strcmp(value, codecs[i]) == 0 ? (enum mor_parquet_codec)i : o->codec;
        o->codec_level = 0;
    } else if (strcmp(text, "level") == 0) {
        o->codec_level = (int32_t)number;
    } else if (strcmp(text, "page") == 0) {
        o->data_page_version = (int32_t)number;
    } else if (strcmp(text, "rows") == 0) {
        o->row_group_rows_max = number;
    } else if (strcmp(text, "page_rows") == 0) {
        o->page_rows_max = number;
    } else if (strcmp(text, "page_bytes") == 0) {
        o->page_bytes_max = number;
    } else if (strcmp(text, "dictionary_bytes") == 0) {
        o->dictionary_bytes_max = number;
    } else if (strcmp(text, "profile") == 0) {
        for (size_t i = 0; i < 3; i++)
            o->profile = strcmp(value, profiles[i]) == 0 ? (enum mor_parquet_profile)i : o->profile;
    } else if (strcmp(text, "crc") == 0) {
        o->write_checksums = number != 0;
    } else if (strcmp(text, "threads") == 0) {
        o->thread_count = number;
    } else if (strcmp(text, "decimal_int") == 0) {
        o->decimal_as_integer = number != 0;
    } else if (strcmp(text, "batch") == 0) {
        s->batch = number;
    } else if (strcmp(text, "bloom") == 0) {
        s->columns[o->column_count++] =
            (struct mor_parquet_column_options){.path = value, .bloom_filter = true};
    } else if (strcmp(text, "encoding") == 0) {
        char *name = strchr(value, ':');
        *name++ = 0;
        s->columns[o->column_count++] =
            (struct mor_parquet_column_options){.path = value, .encoding = encoding_of(name)};
    } else {
        fprintf(stderr, "unknown setting %s\n", text);
        exit(2);
    }
}

static int copy(const char *from, const char *to, char **settings, int count)
{
    int fd, out;
    struct mor_byte_source source;
    struct mor_error err = MOR_ERROR_INIT;
    struct settings s = {.options = MOR_PARQUET_WRITER_OPTIONS, .batch = 65536};
    for (int i = 0; i < count; i++)
        take_setting(&s, settings[i]);
    s.options.columns = s.columns;
    struct mor_parquet_reader *reader = open_reader(from, &fd, &source);
    const struct mor_schema *schema = mor_parquet_reader_schema(reader);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    struct mor_parquet_writer *writer = NULL;
    out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct mor_byte_sink sink = {.context = &out, .write = write_fd, .read = read_fd};
    if (mor_parquet_writer_open(schema, &sink, &s.options, &writer, &err) != MOR_OK)
        return fail(to, &err);
    mor_parquet_writer_add_metadata(writer, "copied.from", from);
    for (;;) {
        if (mor_parquet_reader_next(reader, s.batch, batch, NULL, &err) != MOR_OK)
            return fail(from, &err);
        if (batch->row_count == 0)
            break;
        if (mor_batch_validate(batch, &err) != MOR_OK)
            return fail(from, &err);
        if (mor_parquet_writer_append(writer, batch, 0, batch->row_count, &err) != MOR_OK)
            return fail(to, &err);
    }
    if (mor_parquet_writer_finish(writer, &err) != MOR_OK)
        return fail(to, &err);
    mor_parquet_writer_free(writer);
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
    close(out);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "cat") == 0)
        return cat(argv[2]);
    if (argc >= 3 && strcmp(argv[1], "describe") == 0)
        return describe(argv[2], argc > 3 && strcmp(argv[3], "json") == 0);
    if (argc >= 4 && strcmp(argv[1], "copy") == 0)
        return copy(argv[2], argv[3], argv + 4, argc - 4);
    fprintf(stderr, "usage: pq_tool cat FILE | pq_tool describe FILE [json] | pq_tool copy IN OUT "
                    "[name=value...]\n");
    return 2;
}
