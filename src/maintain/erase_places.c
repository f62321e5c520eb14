// Deleting rows by their place. What a data file holds never changes, so it is read once, however
// often others commit meanwhile.
#include <string.h>

#include "erase.h"

#define ATTEMPTS_MAX 32
#define FRESH_MAX    16 // files that may be read while a commit is begun

// The places of a data file that are asked for, ascending, removed ones included.
struct found {
    uint32_t *positions;
    size_t count, capacity;
};

struct places {
    struct erasing *erasing;
    struct mor_schema *wanted; // to choose by, and the place
    struct mor_map files;      // key of a data file -> struct found
    size_t fresh;              // files that were read in this attempt
};

static void add_places(struct places *places, const struct mor_batch *batch, struct found *found)
{
    struct erasing *erasing = places->erasing;
    const struct mor_vector *column = &batch->columns[batch->column_count - 1];
    size_t count = mor_erase_choose(erasing, batch);
    if (found->count + count > found->capacity) {
        found->capacity = 2 * (found->count + count);
        found->positions =
            mor_realloc(found->positions, found->capacity * sizeof *found->positions);
    }
    for (size_t i = 0; i < count; i++)
        found->positions[found->count++] =
            (uint32_t)mor_vector_i64(column, erasing->chosen[i]); // the low half
}

static enum mor_status read_file(struct places *places, const struct mor_slice *slice,
                                 struct found *found, struct mor_error *err)
{
    const struct mor_erase_options *options = places->erasing->options;
    struct mor_slice whole = *slice;
    whole.delta_count = 0;
    const struct mor_slice_options wanted = {
        .wanted = places->wanted, .filter = options->filter, .budget = options->budget};
    struct mor_slice_reader *reader = NULL;
    MOR_TRY(mor_slice_reader_open(places->erasing->table, &whole, &wanted, &reader, err));
    struct mor_batch *batch = mor_batch_new(places->wanted, options->budget);
    enum mor_status status;
    while ((status = mor_slice_reader_next(reader, batch, err)) == MOR_OK && batch->row_count > 0)
        add_places(places, batch, found);
    mor_batch_free(batch);
    mor_slice_reader_free(reader);
    return status;
}

// What is known of the slice's file; read when it is not known yet.
static enum mor_status find_places(struct places *places, const struct mor_slice *slice,
                                   struct found **ret_found, struct mor_error *err)
{
    struct mor_map_entry *entry = mor_map_put_text(&places->files, slice->base_key, NULL);
    struct found *found = entry->value.pointer;
    if (!found) {
        found = mor_calloc(1, sizeof *found);
        enum mor_status status = read_file(places, slice, found, err);
        if (status != MOR_OK) {
            free(found->positions);
            free(found);
            return status;
        }
        places->fresh++;
        // reading may have added entries
        mor_map_put_text(&places->files, slice->base_key, NULL)->value.pointer = found;
    }
    *ret_found = found;
    return MOR_OK;
}

// The places that stand in this version of the table, as removals in the arena.
static enum mor_status list_removals(struct places *places, const char *version,
                                     struct mor_arena *arena, struct mor_change_set *set,
                                     int64_t *ret_rows, struct mor_error *err)
{
    struct mor_table *table = places->erasing->table;
    struct mor_slice *slices = NULL;
    size_t count = 0;
    *ret_rows = 0;
    *set = (struct mor_change_set){0};
    MOR_TRY(mor_table_slices(table, version, arena, &slices, &count, err));
    struct mor_change_removal *removals = mor_arena_alloc(arena, (count + 1) * sizeof *removals);
    set->removals = removals;
    for (size_t i = 0; i < count; i++) {
        struct found *found = NULL;
        struct mor_position_set *gone = NULL;
        MOR_TRY(find_places(places, &slices[i], &found, err));
        if (found->count == 0)
            continue;
        MOR_TRY(mor_table_removed_rows(table, &slices[i], NULL, &gone, err));
        uint32_t *positions = mor_arena_alloc(arena, found->count * sizeof *positions);
        size_t kept = 0;
        for (size_t k = 0; k < found->count; k++) {
            if (!gone || !mor_position_set_has(gone, found->positions[k]))
                positions[kept++] = found->positions[k];
        }
        mor_position_set_free(gone);
        *ret_rows += (int64_t)kept;
        if (kept > 0)
            removals[set->removal_count++] =
                (struct mor_change_removal){slices[i].base_key, positions, kept};
    }
    return MOR_OK;
}

static enum mor_status commit(struct places *places, struct mor_write *write,
                              struct mor_arena *arena, struct mor_error *err)
{
    struct erasing *erasing = places->erasing;
    struct mor_change_set set;
    struct mor_commit_result result;
    int64_t rows;
    const char *version = mor_write_base_version(write);
    if (!*version)
        return MOR_OK; // a table without commits
    places->fresh = 0;
    MOR_TRY(list_removals(places, version, arena, &set, &rows, err));
    if (places->fresh > FRESH_MAX)
        return mor_error_set(err, MOR_CONFLICT, "the table changed while its files were read");
    erasing->report.rows = rows;
    if (rows == 0)
        return MOR_OK;
    for (size_t i = 0; i < set.removal_count; i++)
        MOR_TRY(mor_write_removal(write, &set, i, err));
    MOR_TRY(mor_write_commit(write, NULL, 0, &result, err));
    erasing->report.commits++;
    return MOR_OK;
}

static enum mor_status attempt(struct places *places, struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_change_set set;
    struct mor_write *write = NULL;
    struct mor_uuid id = mor_uuid_v7();
    mor_arena_init(&arena, 0, NULL);
    // most of the reading, while others may commit
    enum mor_status status =
        list_removals(places, NULL, &arena, &set, &places->erasing->report.rows, err);
    if (status == MOR_OK && !places->erasing->options->dry_run)
        status = mor_write_begin(places->erasing->table, &id, &write, err);
    if (status == MOR_OK && write)
        status = commit(places, write, &arena, err);
    if (write)
        mor_write_free(write);
    mor_arena_done(&arena);
    return status;
}

enum mor_status mor_erase_places(struct erasing *erasing, struct mor_error *err)
{
    struct places places = {.erasing = erasing, .wanted = mor_erase_columns(erasing)};
    mor_schema_add_copy(places.wanted, NULL, mor_table_column(erasing->table, MOR_COLUMN_PLACE));
    enum mor_status status = MOR_CONFLICT;
    for (int i = 0; i < ATTEMPTS_MAX && status == MOR_CONFLICT; i++) {
        *err = MOR_ERROR_INIT;
        status = attempt(&places, err);
    }
    for (size_t i = 0; i < places.files.count; i++) {
        struct found *found = places.files.entries[i].value.pointer;
        if (found)
            free(found->positions);
        free(found);
    }
    mor_map_done(&places.files);
    mor_schema_free(places.wanted);
    return status;
}
