// A table whose rows say where in Kafka they come from, with the ledger that belongs to it; and
// hands that damage it.
#ifndef MORAINE_TESTS_VERIFY_TEST_H
#define MORAINE_TESTS_VERIFY_TEST_H

#include <dirent.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "moraine/base/record.h"
#include "moraine/base/uuid.h"
#include "moraine/storage.h"
#include "moraine/verify.h"

#define RIG_PARTITIONS 3

struct rig {
    char root[64];
    char location[96];
    struct mor_error err;
    struct mor_schema *schema;
    struct mor_table *table; // open for writing
    bool keyed, provenance;
    int64_t next[RIG_PARTITIONS]; // -1 = not begun
    char cluster[64], topic_id[64];
    int64_t commit_count;
    char *ledger; // newest, NULL = none
};

static const char *const rig_keys[] = {"id"};
static const struct mor_partition_field rig_partition[] = {{"region", MOR_TRANSFORM_IDENTITY, 0}};

// version: of a Hudi table 6 or 9, of an Iceberg table 2 or 3.
static inline void rig_open(struct rig *rig, bool keyed, bool provenance, int version)
{
    *rig = (struct rig){.err = MOR_ERROR_INIT, .keyed = keyed, .provenance = provenance};
    snprintf(rig->root, sizeof rig->root, "/tmp/moraine-verify-XXXXXX");
    assert_non_null(mkdtemp(rig->root));
    snprintf(rig->location, sizeof rig->location, "%s/t", rig->root);
    rig->schema = mor_schema_new("t");
    mor_schema_add(rig->schema, NULL, "id", MOR_TYPE_STRING, true);
    mor_schema_add(rig->schema, NULL, "region", MOR_TYPE_STRING, true);
    mor_schema_add(rig->schema, NULL, "n", MOR_TYPE_INT64, true);
    if (provenance) {
        mor_schema_add(rig->schema, NULL, "_kafka_partition", MOR_TYPE_INT32, true);
        mor_schema_add(rig->schema, NULL, "_kafka_offset", MOR_TYPE_INT64, true);
    }
    struct mor_table_options options = {
        .format = version < 6 ? MOR_FORMAT_ICEBERG : MOR_FORMAT_HUDI,
        .location = rig->location,
        .schema = rig->schema,
        .key_columns = keyed ? rig_keys : NULL,
        .key_column_count = keyed,
        .ordering_column = keyed ? "n" : NULL,
        .partition_fields = rig_partition,
        .partition_field_count = 1,
        .bucket_count = keyed ? 1 : 0,
        .hudi_table_version = version < 6 ? 0 : version,
        .format_version = version < 6 ? version : 0,
        .instance = "test",
    };
    if (mor_table_open_write(&options, &rig->table, &rig->err) != MOR_OK)
        fail_msg("%s", rig->err.message);
    for (int i = 0; i < RIG_PARTITIONS; i++)
        rig->next[i] = -1;
}

static inline void rig_close(struct rig *rig)
{
    mor_table_free(rig->table);
    mor_schema_free(rig->schema);
    free(rig->ledger);
    MOR_AUTO_FREE char *command = mor_asprintf("rm -rf '%s'", rig->root);
    assert_int_equal(system(command), 0);
}

// Rows [0, count) of one commit, from one Kafka partition; the id of row i is id_first + i.
struct rig_commit {
    int32_t partition;
    int64_t start, count;
    int64_t id_first;
    const char *region;
    int64_t stated_more; // the ledger counts so many inserted rows more (and as many fewer gaps)
    int64_t gaps;        // offsets without a record at the end of the range
    struct mor_hash128 digest;
};

static inline struct mor_batch *rig_batch(const struct rig *rig, const struct rig_commit *commit)
{
    struct mor_batch *batch = mor_batch_new(mor_table_schema(rig->table), NULL);
    for (int64_t i = 0; i < commit->count; i++) {
        char id[32];
        int64_t offset = commit->start + i;
        snprintf(id, sizeof id, "id-%07lld", (long long)(commit->id_first + i));
        mor_vector_append_bytes(&batch->columns[0], id, strlen(id));
        mor_vector_append_bytes(&batch->columns[1], commit->region, strlen(commit->region));
        mor_vector_append_fixed(&batch->columns[2], &offset);
        if (rig->provenance) {
            mor_vector_append_fixed(&batch->columns[3], &commit->partition);
            mor_vector_append_fixed(&batch->columns[4], &offset);
        }
        batch->row_count++;
    }
    return batch;
}

static inline char *rig_ledger(const struct rig *rig, const struct mor_uuid *id,
                               const struct rig_commit *commit)
{
    char batch[MOR_UUID_TEXT_SIZE], offsets[256] = "";
    mor_uuid_format(id, batch);
    for (int i = 0; i < RIG_PARTITIONS; i++)
        if (rig->next[i] >= 0)
            snprintf(offsets + strlen(offsets), sizeof offsets - strlen(offsets),
                     "%s\"%d\":[%lld,0]", *offsets ? "," : "", i, (long long)rig->next[i]);
    int64_t read = commit->count + commit->stated_more;
    return mor_asprintf(
        "{\"v\":1,\"batch\":\"%s\",\"instance\":\"test\",\"cluster\":\"%s\",\"topic\":\"t\","
        "\"topic_id\":\"%s\",\"ranges\":{\"%d\":[%lld,%lld]},\"offsets\":{%s},\"watermark_ms\":%"
        "lld,"
        "\"watermarks_ms\":{},\"rows\":{\"read\":%lld,\"inserted\":%lld,\"updated\":0,\"deleted\":"
        "0,"
        "\"duplicate\":0,\"late_dropped\":0,\"dead\":0,\"filtered\":0,\"gap\":%lld},"
        "\"digest\":{\"%d\":\"%016llx%016llx\"}}",
        batch, rig->cluster, rig->topic_id, commit->partition, (long long)commit->start,
        (long long)(commit->start + commit->count + commit->gaps), offsets,
        (long long)(1000 * rig->commit_count), (long long)read, (long long)read,
        (long long)(commit->gaps - commit->stated_more), commit->partition,
        (unsigned long long)commit->digest.high, (unsigned long long)commit->digest.low);
}

static inline void rig_commit(struct rig *rig, struct rig_commit commit)
{
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    if (!commit.region)
        commit.region = "eu";
    if (mor_write_begin(rig->table, &id, &write, &rig->err) != MOR_OK)
        fail_msg("%s", rig->err.message);
    struct mor_batch *batch = rig_batch(rig, &commit);
    struct mor_row_ref *rows = mor_calloc((size_t)commit.count + 1, sizeof *rows);
    for (int64_t i = 0; i < commit.count; i++)
        rows[i].row = (uint32_t)i;
    struct mor_router *router = mor_router_new(rig->table);
    uint32_t *groups = mor_calloc((size_t)commit.count + 1, sizeof *groups);
    struct mor_change_group group = {.upserts = rows, .upsert_count = (size_t)commit.count};
    if (commit.count > 0) {
        mor_router_route(router, batch, 0, (size_t)commit.count, NULL, groups, NULL);
        mor_router_group(router, groups[0], &group.partition, &group.bucket);
        struct mor_batch *const batches[] = {batch};
        const struct mor_change_set set = {
            .batches = batches, .batch_count = 1, .groups = &group, .group_count = 1};
        if (mor_write_group(write, &set, 0, &rig->err) != MOR_OK)
            fail_msg("%s", rig->err.message);
    }
    rig->commit_count++;
    rig->next[commit.partition] = commit.start + commit.count + commit.gaps;
    char *ledger = rig_ledger(rig, &id, &commit);
    const struct mor_property property = {"moraine", ledger};
    struct mor_commit_result result;
    if (mor_write_commit(write, &property, 1, &result, &rig->err) != MOR_OK)
        fail_msg("%s", rig->err.message);
    mor_write_free(write);
    free(rig->ledger);
    rig->ledger = ledger;
    free(groups);
    free(rows);
    mor_router_free(router);
    mor_batch_free(batch);
}

// ---- verifying ----------------------------------------------------------------------------------

static inline struct mor_verify_report *rig_verify(struct rig *rig,
                                                   const struct mor_verify_options *options)
{
    const struct mor_verify_options none = {0};
    struct mor_table *table = NULL;
    struct mor_verify_report *report = NULL;
    if (mor_table_open_read(rig->location, NULL, &table, &rig->err) != MOR_OK ||
        mor_verify_table(table, options ? options : &none, &report, &rig->err) != MOR_OK)
        fail_msg("%s", rig->err.message);
    mor_table_free(table);
    return report;
}

static inline const struct mor_verify_finding *rig_find(const struct mor_verify_report *report,
                                                        const char *kind)
{
    for (size_t i = 0; i < report->finding_count; i++)
        if (strcmp(report->findings[i].kind, kind) == 0)
            return &report->findings[i];
    return NULL;
}

static inline void rig_show(const struct mor_verify_report *report, const char *expected)
{
    MOR_AUTO_BUFFER text = {0};
    mor_verify_report_text(report, &text);
    fail_msg("expected '%s':\n%s", expected, mor_buffer_terminate(&text));
}

static inline int64_t rig_number(const struct mor_verify_report *report,
                                 enum mor_verify_check_name check, const char *name)
{
    for (size_t i = 0; i < report->checks[check].number_count; i++)
        if (strcmp(report->checks[check].numbers[i].name, name) == 0)
            return report->checks[check].numbers[i].value;
    return 0;
}

static inline void rig_expect_right(struct rig *rig)
{
    struct mor_verify_report *report = rig_verify(rig, NULL);
    if (report->wrong_count > 0)
        rig_show(report, "no finding");
    mor_verify_report_free(report);
}

// A finding of this kind whose text, file or commit holds the words, and no finding of a kind that
// is not among `kinds` (NULL at the end).
static inline void rig_expect(struct rig *rig, const char *const *kinds, const char *words)
{
    struct mor_verify_report *report = rig_verify(rig, NULL);
    const struct mor_verify_finding *finding = rig_find(report, kinds[0]);
    if (!finding || finding->is_warning || report->wrong_count == 0)
        rig_show(report, kinds[0]);
    else if (!strstr(finding->text, words) && !strstr(finding->file, words))
        rig_show(report, words);
    for (size_t i = 0; i < report->finding_count; i++) {
        bool expected = report->findings[i].is_warning;
        for (size_t k = 0; kinds[k]; k++)
            expected |= strcmp(report->findings[i].kind, kinds[k]) == 0;
        if (!expected)
            rig_show(report, kinds[0]);
    }
    mor_verify_report_free(report);
}
#define RIG_EXPECT(rig_, words_, ...)                                                              \
    rig_expect(rig_, (const char *const[]){__VA_ARGS__, NULL}, words_)

// ---- damaging -----------------------------------------------------------------------------------

// Path of the file number `index` (negative: from the end) that matches the pattern below the
// table; the caller frees.
static inline char *rig_path(const struct rig *rig, const char *pattern, int index)
{
    MOR_AUTO_FREE char *whole = mor_asprintf("%s/%s", rig->location, pattern);
    glob_t found;
    assert_int_equal(glob(whole, 0, NULL, &found), 0);
    size_t at = index >= 0 ? (size_t)index : found.gl_pathc - (size_t)-index;
    assert_true(at < found.gl_pathc);
    char *path = mor_strdup(found.gl_pathv[at]);
    globfree(&found);
    return path;
}

static inline void rig_load(const char *path, struct mor_buffer *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct stat info;
    assert_int_equal(fstat(fileno(file), &info), 0);
    mor_buffer_reset(bytes);
    mor_buffer_reserve(bytes, (size_t)info.st_size + 1);
    bytes->size_bytes = fread(bytes->data, 1, (size_t)info.st_size, file);
    assert_int_equal(bytes->size_bytes, info.st_size);
    fclose(file);
}

static inline void rig_store(const char *path, const struct mor_buffer *bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    const void *data = bytes->size_bytes > 0 ? (const void *)bytes->data : "";
    assert_int_equal(fwrite(data, 1, bytes->size_bytes, file), bytes->size_bytes);
    assert_int_equal(fclose(file), 0);
}

static inline void rig_copy(const char *from, const char *to)
{
    MOR_AUTO_BUFFER bytes = {0};
    rig_load(from, &bytes);
    rig_store(to, &bytes);
}

// Replaces the last occurrence of `from` by `to`, of the same length unless the file is text.
static inline void rig_edit(const char *path, const char *from, const char *to)
{
    MOR_AUTO_BUFFER bytes = {0}, edited = {0};
    rig_load(path, &bytes);
    size_t size = strlen(from), at = bytes.size_bytes - size + 1;
    while (at > 0 && memcmp(bytes.data + at - 1, from, size) != 0)
        at--;
    if (at == 0)
        fail_msg("'%s' is not in %s", from, path);
    mor_buffer_append(&edited, bytes.data, at - 1);
    mor_buffer_append_text(&edited, to);
    mor_buffer_append(&edited, bytes.data + at - 1 + size, bytes.size_bytes - (at - 1) - size);
    rig_store(path, &edited);
}

#endif
