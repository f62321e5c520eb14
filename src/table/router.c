// Rows to table partitions and buckets: the hot path of every keyed topic.
#include <string.h>

#include "moraine/base/map.h"
#include "partition_path.h"
#include "record_key.h"
#include "table_format.h"

#define SEGMENT_BYTES_MAX 255
// Room for the file name in the store's longest key.
#define PARTITION_BYTES_MAX 1000

struct mor_router {
    const struct mor_table *table;
    struct mor_map partitions; // raw partition values -> index into paths, -1 = they are no path
    struct mor_map by_path;    // path -> index: null and empty values share one
    char **paths;
    size_t path_count, path_capacity;
    struct mor_buffer raw;      // partition values of this row
    struct mor_buffer last_raw; // of the row before, whose partition is last_partition
    int64_t last_partition;
    struct mor_buffer key;
    struct mor_buffer path;
    bool partition_in_key; // tombstones know their partition
};

struct mor_router *mor_router_new(const struct mor_table *table)
{
    struct mor_router *router = mor_calloc(1, sizeof *router);
    router->table = table;
    router->last_partition = -1;
    router->partition_in_key = true;
    for (size_t i = 0; i < table->partition_column_count; i++) {
        bool in_key = false;
        for (size_t k = 0; k < table->key_column_count; k++)
            in_key |= table->key_columns[k] == table->partition_columns[i].column;
        router->partition_in_key &= in_key;
    }
    return router;
}

void mor_router_free(struct mor_router *router)
{
    if (!router)
        return;
    for (size_t i = 0; i < router->path_count; i++)
        free(router->paths[i]);
    free(router->paths);
    mor_map_done(&router->partitions);
    mor_map_done(&router->by_path);
    mor_buffer_done(&router->raw);
    mor_buffer_done(&router->last_raw);
    mor_buffer_done(&router->key);
    mor_buffer_done(&router->path);
    free(router);
}

// ---- partitions ---------------------------------------------------------------------------------

// Values that lie in one partition give the same bytes: the unit of a transform, else the text.
static void raw_partition(const struct mor_table *table, const struct mor_vector *columns,
                          size_t row, struct mor_buffer *raw)
{
    mor_buffer_reset(raw);
    for (size_t i = 0; i < table->partition_column_count; i++) {
        const struct mor_partition_column *field = &table->partition_columns[i];
        const struct mor_vector *vector = &columns[field->column];
        if (mor_vector_is_null(vector, row)) {
            mor_buffer_append_u8(raw, 0);
        } else if (field->transform != MOR_TRANSFORM_IDENTITY &&
                   field->transform <= MOR_TRANSFORM_HOUR) {
            int64_t unit = mor_transform_unit(field->transform, vector, row);
            mor_buffer_append_u8(raw, 1);
            mor_buffer_append(raw, &unit, sizeof unit);
        } else {
            mor_buffer_append_u8(raw, 2);
            size_t start = raw->size_bytes;
            mor_buffer_append_le32(raw, 0);
            if (field->transform == MOR_TRANSFORM_IDENTITY)
                mor_vector_format_text(vector, row, raw);
            else
                table->ops->transform_text(field, vector, row, raw);
            uint32_t length = (uint32_t)(raw->size_bytes - start - sizeof length);
            memcpy(raw->data + start, &length, sizeof length);
        }
    }
}

static const char *segment_problem(const struct mor_buffer *path, size_t start)
{
    return path->size_bytes - start > SEGMENT_BYTES_MAX
               ? "a partition value is too long for a directory name"
               : NULL;
}

static const char *append_segment(const struct mor_table *table,
                                  const struct mor_partition_column *field, const uint8_t **raw,
                                  struct mor_buffer *path)
{
    size_t start = path->size_bytes;
    mor_buffer_append_text(path, field->path_name);
    mor_buffer_append_u8(path, '=');
    size_t value_start = path->size_bytes;
    uint8_t kind = *(*raw)++;
    if (kind == 1) {
        int64_t unit;
        memcpy(&unit, *raw, sizeof unit);
        *raw += sizeof unit;
        mor_transform_format(field->transform, unit, path);
    } else if (kind == 2) {
        uint32_t length;
        memcpy(&length, *raw, sizeof length);
        *raw += sizeof length;
        if (memchr(*raw, '\0', length))
            return "a partition value holds a zero byte";
        if (mor_table_has_places(table)) {
            mor_partition_append(*raw, length, path);
            *raw += length;
            return segment_problem(path, start);
        }
        if (table->escape_partition_values)
            mor_partition_escape(*raw, length, path);
        else
            mor_buffer_append(path, *raw, length);
        *raw += length;
    }
    if (path->size_bytes == value_start)
        mor_buffer_append_text(path, MOR_PARTITION_NULL);
    return segment_problem(path, start);
}

// Builds the path of the values in router->raw; NULL or why there is none.
static const char *build_path(struct mor_router *router)
{
    const uint8_t *raw = router->raw.data;
    mor_buffer_reset(&router->path);
    for (size_t i = 0; i < router->table->partition_column_count; i++) {
        if (i > 0)
            mor_buffer_append_u8(&router->path, '/');
        const char *problem = append_segment(router->table, &router->table->partition_columns[i],
                                             &raw, &router->path);
        if (problem)
            return problem;
    }
    if (router->path.size_bytes > PARTITION_BYTES_MAX)
        return "the partition path is too long";
    return NULL;
}

static int64_t add_path(struct mor_router *router)
{
    size_t buckets = router->table->bucket_count > 0 ? (size_t)router->table->bucket_count : 1;
    if (build_path(router) != NULL)
        return -1;
    const char *path = mor_buffer_terminate(&router->path);
    struct mor_map_entry *known = mor_map_find_text(&router->by_path, path);
    if (known)
        return known->value.number;
    if (router->path_count >= (MOR_GROUP_ANY_PARTITION - 1) / buckets)
        return -1;
    if (router->path_count == router->path_capacity) {
        router->path_capacity = router->path_capacity ? router->path_capacity * 2 : 16;
        router->paths = mor_realloc(router->paths, router->path_capacity * sizeof *router->paths);
    }
    router->paths[router->path_count] = mor_strdup(path);
    mor_map_put_text(&router->by_path, path, NULL)->value.number = (int64_t)router->path_count;
    return (int64_t)router->path_count++;
}

static int64_t partition_of(struct mor_router *router, const struct mor_vector *columns, size_t row)
{
    raw_partition(router->table, columns, row, &router->raw);
    // neighbours in a batch mostly share their partition
    if (router->last_partition >= 0 && router->raw.size_bytes == router->last_raw.size_bytes &&
        (router->raw.size_bytes == 0 ||
         memcmp(router->raw.data, router->last_raw.data, router->raw.size_bytes) == 0))
        return router->last_partition;
    bool added = false;
    static const uint8_t nothing[1];
    const void *raw = router->raw.size_bytes > 0 ? router->raw.data : nothing;
    struct mor_map_entry *entry =
        mor_map_put(&router->partitions, raw, router->raw.size_bytes, &added);
    if (added)
        entry->value.number = add_path(router);
    router->last_partition = entry->value.number;
    mor_buffer_reset(&router->last_raw);
    mor_buffer_append(&router->last_raw, router->raw.data, router->raw.size_bytes);
    return router->last_partition;
}

// ---- rows ---------------------------------------------------------------------------------------

static uint32_t route_row(struct mor_router *router, const struct mor_vector *columns, size_t row,
                          bool key_only, struct mor_hash128 *ret_key)
{
    const struct mor_table *table = router->table;
    uint32_t bucket = 0;
    if (table->keyed) {
        int32_t hash = 0;
        mor_buffer_reset(&router->key);
        if (mor_record_key_append(table, columns, row, &router->key,
                                  table->bucket_count > 0 ? &hash : NULL) != NULL)
            return MOR_GROUP_INVALID;
        if (ret_key)
            *ret_key = mor_hash128(router->key.data, router->key.size_bytes);
        if (table->bucket_count > 0)
            bucket = (uint32_t)mor_record_key_bucket(hash, table->bucket_count);
        if (key_only && !router->partition_in_key)
            return MOR_GROUP_ANY_PARTITION | bucket;
        if (!key_only && table->ordering_column >= 0 &&
            mor_vector_is_null(&columns[table->ordering_column], row))
            return MOR_GROUP_INVALID;
    }
    int64_t partition = partition_of(router, columns, row);
    if (partition < 0)
        return MOR_GROUP_INVALID;
    return (uint32_t)partition * (uint32_t)(table->bucket_count > 0 ? table->bucket_count : 1) +
           bucket;
}

void mor_router_route(struct mor_router *router, const struct mor_batch *batch, size_t first,
                      size_t count, const bool *keys_only, uint32_t *ret_groups,
                      struct mor_hash128 *ret_keys)
{
    for (size_t i = 0; i < count; i++)
        ret_groups[i] = route_row(router, batch->columns, first + i, keys_only && keys_only[i],
                                  ret_keys ? &ret_keys[i] : NULL);
}

void mor_router_explain(struct mor_router *router, const struct mor_batch *batch, size_t row,
                        struct mor_error *err)
{
    const struct mor_table *table = router->table;
    const char *problem = NULL;
    if (table->keyed) {
        mor_buffer_reset(&router->key);
        problem = mor_record_key_append(table, batch->columns, row, &router->key, NULL);
        if (!problem && table->ordering_column >= 0 &&
            mor_vector_is_null(&batch->columns[table->ordering_column], row))
            problem = "the ordering column is null";
    }
    if (!problem) {
        raw_partition(table, batch->columns, row, &router->raw);
        problem = build_path(router);
    }
    mor_error_set(err, MOR_DATA, "%s", problem ? problem : "the table has too many partitions");
}

void mor_router_group(const struct mor_router *router, uint32_t group, const char **ret_partition,
                      int32_t *ret_bucket)
{
    const struct mor_table *table = router->table;
    if (group & MOR_GROUP_ANY_PARTITION) {
        *ret_partition = NULL;
        *ret_bucket = (int32_t)(group & ~MOR_GROUP_ANY_PARTITION);
        return;
    }
    uint32_t buckets = (uint32_t)(table->bucket_count > 0 ? table->bucket_count : 1);
    *ret_partition = router->paths[group / buckets];
    *ret_bucket = table->bucket_count > 0 ? (int32_t)(group % buckets) : -1;
}
