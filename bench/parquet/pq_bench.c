// Writes a Parquet file from batches in memory and reads it back, timing both.
//
//   pq_bench SOURCE TARGET ROW_GROUP_ROWS RUNS [PROFILE] [PAGE_VERSION] [THREADS]
//
// Prints one line per run: what, seconds wall, seconds CPU, rows, bytes of the file. Decoding
// SOURCE into memory is not timed.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/parquet.h"

#define BATCH_ROWS 65536

static enum mor_status read_fd(void *context, int64_t offset, void *ret_bytes, size_t size_bytes,
                               struct mor_error *err)
{
    for (size_t done = 0; done < size_bytes;) {
        ssize_t n = pread(*(int *)context, (char *)ret_bytes + done, size_bytes - done,
                          (off_t)(offset + (int64_t)done));
        if (n <= 0)
            return mor_error_set_errno(err, errno, "could not read");
        done += (size_t)n;
    }
    return MOR_OK;
}

static enum mor_status write_fd(void *context, const void *bytes, size_t size_bytes,
                                struct mor_error *err)
{
    for (size_t done = 0; done < size_bytes;) {
        ssize_t n = write(*(int *)context, (const char *)bytes + done, size_bytes - done);
        if (n < 0)
            return mor_error_set_errno(err, errno, "could not write");
        done += (size_t)n;
    }
    return MOR_OK;
}

static double cpu_seconds(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

struct clocks {
    int64_t wall_ns;
    double cpu;
};

static struct clocks now(void)
{
    return (struct clocks){mor_clock_mono_ns(), cpu_seconds()};
}

static void report(const char *what, struct clocks start, int64_t rows, int64_t bytes)
{
    struct clocks end = now();
    printf("%s %.4f %.4f %lld %lld\n", what, (double)(end.wall_ns - start.wall_ns) * 1e-9,
           end.cpu - start.cpu, (long long)rows, (long long)bytes);
    fflush(stdout);
}

static void check(enum mor_status status, const struct mor_error *err)
{
    if (status == MOR_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static struct mor_parquet_reader *open_reader(const char *path, int *fd)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_parquet_reader *reader = NULL;
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &info) != 0) {
        perror(path);
        exit(1);
    }
    struct mor_byte_source source = {.context = fd, .size_bytes = info.st_size, .read = read_fd};
    check(mor_parquet_reader_open(&source, NULL, &reader, &err), &err);
    return reader;
}

static void write_once(const char *path, const struct mor_schema *schema,
                       struct mor_batch **batches, size_t count,
                       const struct mor_parquet_writer_options *options)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_parquet_writer *writer = NULL;
    struct clocks start = now();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct mor_byte_sink sink = {.context = &fd, .write = write_fd};
    check(mor_parquet_writer_open(schema, &sink, options, &writer, &err), &err);
    for (size_t i = 0; i < count; i++)
        check(mor_parquet_writer_append(writer, batches[i], 0, batches[i]->row_count, &err), &err);
    check(mor_parquet_writer_finish(writer, &err), &err);
    report("write", start, mor_parquet_writer_row_count(writer),
           mor_parquet_writer_size_bytes(writer));
    mor_parquet_writer_free(writer);
    close(fd);
}

static void read_once(const char *path)
{
    struct mor_error err = MOR_ERROR_INIT;
    int fd;
    struct clocks start = now();
    struct mor_parquet_reader *reader = open_reader(path, &fd);
    struct mor_batch *batch = mor_batch_new(mor_parquet_reader_schema(reader), NULL);
    int64_t rows = 0;
    for (;;) {
        check(mor_parquet_reader_next(reader, BATCH_ROWS, batch, NULL, &err), &err);
        if (batch->row_count == 0)
            break;
        rows += (int64_t)batch->row_count;
    }
    report("read", start, rows, 0);
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: pq_bench SOURCE TARGET ROW_GROUP_ROWS RUNS [PROFILE] "
                        "[PAGE_VERSION] [THREADS]\n");
        return 2;
    }
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.row_group_rows_max = (size_t)atoll(argv[3]);
    options.profile = argc > 5 ? (enum mor_parquet_profile)atoi(argv[5]) : MOR_PARQUET_COMPATIBLE;
    options.data_page_version = argc > 6 ? atoi(argv[6]) : 1;
    options.thread_count = argc > 7 ? (size_t)atoi(argv[7]) : 1;
    struct mor_error err = MOR_ERROR_INIT;
    int fd;
    struct mor_parquet_reader *reader = open_reader(argv[1], &fd);
    const struct mor_schema *schema = mor_parquet_reader_schema(reader);
    size_t count = 0, capacity = (size_t)mor_parquet_reader_row_count(reader) / 1000 + 16;
    struct mor_batch **batches = mor_calloc(capacity, sizeof *batches);
    for (;; count++) {
        batches[count] = mor_batch_new(schema, NULL);
        check(mor_parquet_reader_next(reader, BATCH_ROWS, batches[count], NULL, &err), &err);
        if (batches[count]->row_count == 0)
            break;
    }
    for (int run = 0; run < atoi(argv[4]); run++) {
        write_once(argv[2], schema, batches, count, &options);
        read_once(argv[2]);
    }
    for (size_t i = 0; i <= count; i++)
        mor_batch_free(batches[i]);
    free(batches);
    mor_parquet_reader_free(reader);
    close(fd);
    return 0;
}
