// The public functions of rewriting and expiring that only hand over to the table's format.
#include "table_format.h"

enum mor_status mor_rewrite_begin(struct mor_table *table, enum mor_rewrite_kind kind,
                                  struct mor_rewrite **ret_rewrite, struct mor_error *err)
{
    enum mor_status status = table->ops->rewrite_begin(table, kind, ret_rewrite, err);
    return status == MOR_OK
               ? MOR_OK
               : mor_error_wrap(err, "could not begin to rewrite table '%s'", table->name);
}

void mor_rewrite_slices(const struct mor_rewrite *rewrite, const struct mor_slice **ret_slices,
                        size_t *ret_count)
{
    rewrite->table->ops->rewrite_slices(rewrite, ret_slices, ret_count);
}

int64_t mor_rewrite_reserved_count(const struct mor_rewrite *rewrite)
{
    return rewrite->reserved_count;
}

const struct mor_schema *mor_rewrite_schema(const struct mor_rewrite *rewrite)
{
    return rewrite->table->ops->rewrite_schema(rewrite);
}

enum mor_status mor_rewrite_file_open(struct mor_rewrite *rewrite,
                                      const struct mor_slice *const *slices, size_t slice_count,
                                      size_t row_group_bytes_max,
                                      struct mor_rewrite_file **ret_file, struct mor_error *err)
{
    return rewrite->table->ops->rewrite_file_open(rewrite, slices, slice_count, row_group_bytes_max,
                                                  ret_file, err);
}

enum mor_status mor_rewrite_file_append(struct mor_rewrite_file *file,
                                        const struct mor_batch *batch, struct mor_error *err)
{
    return file->rewrite->table->ops->rewrite_file_append(file, batch, err);
}

int64_t mor_rewrite_file_size_bytes(const struct mor_rewrite_file *file)
{
    return file->rewrite->table->ops->rewrite_file_size_bytes(file);
}

enum mor_status mor_rewrite_file_finish(struct mor_rewrite_file *take_file,
                                        const struct mor_rewrite_counts *counts,
                                        struct mor_error *err)
{
    return take_file->rewrite->table->ops->rewrite_file_finish(take_file, counts, err);
}

void mor_rewrite_file_free(struct mor_rewrite_file *file)
{
    if (file)
        file->rewrite->table->ops->rewrite_file_free(file);
}

enum mor_status mor_rewrite_commit(struct mor_rewrite *rewrite,
                                   struct mor_rewrite_result *ret_result, struct mor_error *err)
{
    struct mor_table *table = rewrite->table;
    enum mor_status status = table->ops->rewrite_commit(rewrite, ret_result, err);
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "could not publish rewritten files of table '%s'",
                                             table->name);
}

void mor_rewrite_free(struct mor_rewrite *rewrite)
{
    if (rewrite)
        rewrite->table->ops->rewrite_free(rewrite);
}

enum mor_status mor_table_expire(struct mor_table *table, const struct mor_retention *retention,
                                 bool dry_run, struct mor_arena *arena,
                                 struct mor_expiry *ret_expiry, struct mor_error *err)
{
    enum mor_status status = table->ops->expire(table, retention, dry_run, arena, ret_expiry, err);
    return status == MOR_OK
               ? MOR_OK
               : mor_error_wrap(err, "could not expire files of table '%s'", table->name);
}

enum mor_status mor_table_data_files(struct mor_table *table, struct mor_arena *arena,
                                     struct mor_slice **ret_files, size_t *ret_count,
                                     struct mor_error *err)
{
    return table->ops->data_files(table, arena, ret_files, ret_count, err);
}
