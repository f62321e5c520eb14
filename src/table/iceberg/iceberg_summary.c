#include "iceberg_summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void iceberg_summary_done(struct iceberg_summary *summary)
{
    mor_map_done(&summary->partitions);
}

static void note_partition(struct iceberg_summary *summary, int32_t spec_id, size_t count,
                           const struct iceberg_value *values)
{
    MOR_AUTO_BUFFER key = {0};
    mor_buffer_append_le32(&key, (uint32_t)spec_id);
    for (size_t i = 0; i < count; i++) {
        mor_buffer_append_le32(&key, values[i].bytes ? (uint32_t)values[i].size_bytes : UINT32_MAX);
        mor_buffer_append(&key, values[i].bytes, values[i].bytes ? values[i].size_bytes : 0);
    }
    mor_map_put(&summary->partitions, key.data, key.size_bytes, NULL);
}

void iceberg_summary_count(struct iceberg_summary *summary, int32_t spec_id,
                           size_t partition_field_count, const struct iceberg_data_file *file,
                           bool added)
{
    struct iceberg_file_counts *counts = added ? &summary->added : &summary->removed;
    bool vector = iceberg_file_is_vector(file);
    note_partition(summary, spec_id, partition_field_count, file->partition);
    counts->size_bytes += vector ? file->content_size_bytes : file->file_size_bytes;
    switch (file->content) {
    case ICEBERG_DATA:
        counts->data_files++;
        counts->records += file->record_count;
        break;
    case ICEBERG_POSITION_DELETES:
        counts->delete_files++;
        counts->vectors += vector ? 1 : 0;
        counts->position_delete_files += vector ? 0 : 1;
        counts->position_deletes += file->record_count;
        break;
    case ICEBERG_EQUALITY_DELETES:
        counts->delete_files++;
        counts->equality_delete_files++;
        counts->equality_deletes += file->record_count;
        break;
    }
}

static void put_count(json_t *json, const char *key, int64_t count)
{
    if (count > 0)
        json_object_set_new(json, key, json_sprintf("%lld", (long long)count));
}

// A total goes on from the parent's; what the parent does not know stays unknown.
static void put_total(json_t *json, const json_t *parent, const char *key, int64_t added,
                      int64_t removed)
{
    int64_t total = 0;
    if (parent) {
        const char *text = iceberg_json_text(parent, key);
        char *end = NULL;
        errno = 0;
        total = text ? strtoll(text, &end, 10) : -1;
        if (!text || end == text || *end != '\0' || errno != 0 || total < 0)
            return;
    }
    total += added - removed;
    if (total >= 0)
        json_object_set_new(json, key, json_sprintf("%lld", (long long)total));
}

static const char *operation_of(const struct iceberg_summary *summary)
{
    const struct iceberg_file_counts *added = &summary->added, *removed = &summary->removed;
    bool deletes = added->delete_files > 0 || removed->data_files > 0 || removed->delete_files > 0;
    if (!deletes)
        return "append";
    return added->data_files > 0 ? "overwrite" : "delete";
}

json_t *iceberg_summary_make(const struct iceberg_summary *summary, const char *operation,
                             const json_t *parent)
{
    const struct iceberg_file_counts *added = &summary->added, *removed = &summary->removed;
    json_t *json = json_pack("{s:s}", "operation", operation ? operation : operation_of(summary));
    put_count(json, "added-data-files", added->data_files);
    put_count(json, "deleted-data-files", removed->data_files);
    put_count(json, "added-records", added->records);
    put_count(json, "deleted-records", removed->records);
    put_count(json, "added-files-size", added->size_bytes);
    put_count(json, "removed-files-size", removed->size_bytes);
    put_count(json, "added-delete-files", added->delete_files);
    put_count(json, "removed-delete-files", removed->delete_files);
    put_count(json, "added-position-delete-files", added->position_delete_files);
    put_count(json, "removed-position-delete-files", removed->position_delete_files);
    put_count(json, "added-dvs", added->vectors);
    put_count(json, "removed-dvs", removed->vectors);
    put_count(json, "added-equality-delete-files", added->equality_delete_files);
    put_count(json, "removed-equality-delete-files", removed->equality_delete_files);
    put_count(json, "added-position-deletes", added->position_deletes);
    put_count(json, "removed-position-deletes", removed->position_deletes);
    put_count(json, "added-equality-deletes", added->equality_deletes);
    put_count(json, "removed-equality-deletes", removed->equality_deletes);
    put_count(json, "changed-partition-count", (int64_t)summary->partitions.count);
    put_total(json, parent, "total-records", added->records, removed->records);
    put_total(json, parent, "total-files-size", added->size_bytes, removed->size_bytes);
    put_total(json, parent, "total-data-files", added->data_files, removed->data_files);
    put_total(json, parent, "total-delete-files", added->delete_files, removed->delete_files);
    put_total(json, parent, "total-position-deletes", added->position_deletes,
              removed->position_deletes);
    put_total(json, parent, "total-equality-deletes", added->equality_deletes,
              removed->equality_deletes);
    return json;
}
