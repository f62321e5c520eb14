// The moment in which a rewrite becomes the table. What was merged took a while; changes that came
// in meanwhile stay on top of the new base file:
//
// Versions 8 and 9: a log belongs to the greatest base instant that is not after its completion, so
// logs completed after this rewrite's instant go to the new base by themselves. One that was
// completed with an earlier time than this instant, by another instance with a slower clock, and is
// not in the new base would be lost: that file group is left out.
//
// Version 6: a log belongs to the base whose instant it is named by, so the logs that came in are
// published once more under the new name, byte for byte: their blocks' instants are completed. They
// come before the base file: a reader that meets the moment in between takes them with the old
// base, twice, which changes nothing; without them it would miss rows.
#include "hudi/hudi_rewrite.h"

#include "moraine/base/fault.h"

#define ATTEMPTS_MAX 32

static const char *name_of(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash ? slash + 1 : key;
}

// ---- what still fits ----------------------------------------------------------------------------

static bool has_delta(const struct mor_slice *slice, const char *key)
{
    for (size_t i = 0; i < slice->delta_count; i++) {
        if (strcmp(slice->delta_keys[i], key) == 0)
            return true;
    }
    return false;
}

static bool same_base(const struct mor_slice *a, const struct mor_slice *b)
{
    return a->base_key && b->base_key ? strcmp(a->base_key, b->base_key) == 0
                                      : !a->base_key && !b->base_key;
}

// Whether every log that the new base does not hold will be read on top of it.
static bool logs_stay(struct hudi_rewrite *rewrite, const struct mor_slice *planned,
                      const struct mor_slice *now)
{
    const struct hudi_table *table = hudi_rewrite_table(rewrite);
    size_t known = 0;
    for (size_t i = 0; i < now->delta_count; i++) {
        struct hudi_file file;
        if (!hudi_file_parse(name_of(now->delta_keys[i]), &rewrite->arena, &file))
            return false;
        bool in_base = has_delta(planned, now->delta_keys[i]);
        known += in_base;
        if (table->version < 8)
            continue;
        const char *completion = hudi_timeline_completion(&table->timeline, file.instant);
        if ((strcmp(completion, rewrite->instant) < 0) != in_base)
            return false;
    }
    // a log that was appended to, by another engine, is not what was merged
    bool same_size = now->delta_count > known || now->delta_size_bytes == planned->delta_size_bytes;
    return known == planned->delta_count && same_size;
}

static const struct mor_slice *find_slice(const struct mor_map *slices,
                                          const struct mor_slice *planned)
{
    MOR_AUTO_FREE char *key = hudi_data_key(planned->partition, planned->file_group);
    const struct mor_map_entry *entry = mor_map_find_text(slices, key);
    return entry ? entry->value.pointer : NULL;
}

// Clustering: a source that is not in the table as it was spoils every file with rows of it, and so
// the other sources of those files.
static void spread_misfits(struct hudi_rewrite *rewrite)
{
    struct mor_map spoiled = {0};
    bool more = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < rewrite->file_count; i++) {
            struct hudi_rewrite_file *file = rewrite->files[i];
            bool fits = file->fits;
            for (size_t k = 0; k < file->source_count; k++)
                fits &= !mor_map_find(&spoiled, &file->sources[k], sizeof file->sources[k]);
            more |= fits != file->fits;
            file->fits = fits;
            for (size_t k = 0; k < file->source_count && !fits; k++) {
                bool added;
                mor_map_put(&spoiled, &file->sources[k], sizeof file->sources[k], &added);
                more |= added;
            }
        }
    }
    mor_map_done(&spoiled);
}

// Compares what the new files were made of with the table as it is.
static enum mor_status find_fitting(struct hudi_rewrite *rewrite, size_t *ret_count,
                                    struct mor_error *err)
{
    struct hudi_table *table = hudi_rewrite_table(rewrite);
    struct mor_slice *slices = NULL;
    size_t slice_count = 0;
    struct mor_map by_group = {0};
    MOR_TRY(hudi_slices(&table->table, NULL, &rewrite->arena, &slices, &slice_count, err));
    for (size_t i = 0; i < slice_count; i++) {
        MOR_AUTO_FREE char *key = hudi_data_key(slices[i].partition, slices[i].file_group);
        mor_map_put_text(&by_group, key, NULL)->value.pointer = &slices[i];
    }
    for (size_t i = 0; i < rewrite->file_count; i++) {
        struct hudi_rewrite_file *file = rewrite->files[i];
        file->fits = true;
        for (size_t k = 0; k < file->source_count && file->fits; k++) {
            const struct mor_slice *planned = file->sources[k];
            const struct mor_slice *now = file->now = find_slice(&by_group, planned);
            bool same_deltas = now && now->delta_count == planned->delta_count;
            file->fits = now && same_base(planned, now) && logs_stay(rewrite, planned, now) &&
                         (rewrite->kind == MOR_REWRITE_MERGE || same_deltas);
        }
    }
    mor_map_done(&by_group);
    if (rewrite->kind == MOR_REWRITE_CLUSTER)
        spread_misfits(rewrite);
    *ret_count = 0;
    for (size_t i = 0; i < rewrite->file_count; i++)
        *ret_count += rewrite->files[i]->fits;
    return MOR_OK;
}

// ---- logs that came in --------------------------------------------------------------------------

// Version 6: stages the logs of `file`'s slice that the new base does not hold, under its name.
static enum mor_status stage_logs(struct hudi_rewrite *rewrite, struct hudi_rewrite_file *file,
                                  struct mor_error *err)
{
    const struct mor_slice *planned = file->sources[0];
    struct mor_store *store = rewrite->rewrite.table->store;
    int32_t version = 0;
    json_decref(file->logs);
    file->logs = json_array();
    for (size_t i = 0; i < file->now->delta_count; i++) {
        const char *key = file->now->delta_keys[i];
        struct hudi_file log;
        if (has_delta(planned, key) || !hudi_file_parse(name_of(key), &rewrite->arena, &log))
            continue;
        int64_t size = 0;
        const char *staged = hudi_change_stage_key(&rewrite->change);
        MOR_TRY(mor_store_copy(store, key, staged, &size, err));
        MOR_AUTO_FREE char *name =
            mor_asprintf(".%s_%s.log.%d_%s", file->file_id, rewrite->instant, ++version, log.token);
        MOR_AUTO_FREE char *to = hudi_data_key(planned->partition, name);
        hudi_change_add(&rewrite->change, staged, to, size);
        json_array_append_new(file->logs, json_string(name));
    }
    return MOR_OK;
}

// ---- publishing ---------------------------------------------------------------------------------

static enum mor_status stage_all(struct hudi_rewrite *rewrite, struct mor_buffer *completed,
                                 struct mor_error *err)
{
    struct hudi_change *change = &rewrite->change;
    change->slot.move_count = 0; // of an attempt before
    MOR_TRY(hudi_rewrite_put_plan(rewrite, err));
    for (size_t i = 0; i < rewrite->file_count; i++) {
        struct hudi_rewrite_file *file = rewrite->files[i];
        if (!file->fits)
            continue;
        if (hudi_rewrite_table(rewrite)->version < 8 && rewrite->kind == MOR_REWRITE_MERGE)
            MOR_TRY(stage_logs(rewrite, file, err));
        MOR_AUTO_FREE char *to = hudi_data_key(file->sources[0]->partition, file->name);
        hudi_change_add(change, file->staged, to, file->size_bytes);
    }
    return hudi_rewrite_completed(rewrite, completed, err);
}

static enum mor_status attempt(struct hudi_rewrite *rewrite, struct mor_rewrite_result *result,
                               struct mor_error *err)
{
    struct hudi_table *table = hudi_rewrite_table(rewrite);
    size_t count = 0;
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(hudi_instance_check(table, err));
    MOR_TRY(hudi_base_settle(table, NULL, err));
    MOR_TRY(hudi_base_follow(table, err));
    MOR_TRY(find_fitting(rewrite, &count, err));
    *result = (struct mor_rewrite_result){.left_out = (int64_t)(rewrite->file_count - count)};
    if (count == 0)
        return MOR_OK;
    MOR_AUTO_BUFFER completed = {0};
    MOR_TRY(stage_all(rewrite, &completed, err));
    MOR_TRY(mor_fault("hudi.rewrite_staged", err));
    MOR_TRY(hudi_change_decide(&rewrite->change, &table->head, table->timeline.last, &completed,
                               NULL, NULL, err));
    memcpy(result->version, rewrite->instant, HUDI_TIME_SIZE);
    for (size_t i = 0; i < rewrite->file_count; i++) {
        if (rewrite->files[i]->fits) {
            result->file_count++;
            result->bytes_written += rewrite->files[i]->size_bytes;
        }
    }
    return MOR_OK;
}

// What was staged for nothing: files that did not fit, and all of attempts that came too late.
static void remove_unused(struct hudi_rewrite *rewrite)
{
    const struct hudi_slot *slot = &rewrite->change.slot;
    struct mor_map used = {0};
    for (size_t i = 0; i < slot->move_count; i++)
        mor_map_put_text(&used, slot->moves[i].from, NULL);
    for (size_t i = 0; i < rewrite->change.staged_count; i++) {
        // what cannot be removed now goes when the instance opens the table again
        struct mor_error ignored = MOR_ERROR_INIT;
        if (!mor_map_find_text(&used, rewrite->change.staged[i]))
            (void)!mor_store_delete(rewrite->rewrite.table->store, rewrite->change.staged[i], false,
                                    &ignored);
    }
    mor_map_done(&used);
}

enum mor_status hudi_rewrite_commit(struct mor_rewrite *base, struct mor_rewrite_result *ret_result,
                                    struct mor_error *err)
{
    struct hudi_rewrite *rewrite = (struct hudi_rewrite *)base;
    struct hudi_table *table = hudi_rewrite_table(rewrite);
    struct mor_rewrite_result result = {0};
    enum mor_status status = MOR_CONFLICT;
    // with the turn, no other instance writes for nothing meanwhile
    hudi_turn_take(table);
    for (int i = 0; i < ATTEMPTS_MAX && status == MOR_CONFLICT; i++) {
        *err = MOR_ERROR_INIT;
        status = attempt(rewrite, &result, err);
    }
    hudi_turn_release(table);
    if (status != MOR_OK)
        return status;
    if (result.file_count == 0)
        return mor_error_set(err, MOR_CONFLICT, "every file group was rewritten by somebody else");
    remove_unused(rewrite);
    *ret_result = result;
    return MOR_OK;
}
