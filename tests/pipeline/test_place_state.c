// The local state of a table whose rows have places: what other instances commit, and what
// rewriting moves.
#include "changes_fixture.h"
#include "local_state.h"
#include "moraine/maintain.h"

#define IDS 50

static const int32_t required[] = {VERSION, REGION};

struct place_states {
    struct fixture base;
    char *state_dir;
    struct mor_local_state *other; // of another instance
    uint64_t random;
    int64_t offset;
};

static void open_other(struct place_states *f, size_t names_max)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_state_outcome outcome;
    const struct mor_local_state_options options = {
        .state_dir = f->state_dir,
        .topic = "events",
        .location = f->base.folder,
        .index = true,
        .names_max = names_max,
        .rebuild = {.table = f->base.table,
                    .location = f->base.folder,
                    .rows = mor_table_schema(f->base.table),
                    .ordering_column = VERSION,
                    .required_columns = required,
                    .required_count = 2,
                    .topic = "events"}};
    assert_ok(mor_local_state_open(&options, f->base.table, &f->other, &outcome, &err));
}

static void set_up_states(struct place_states *f)
{
    *f = (struct place_states){.random = 5, .state_dir = check_folder()};
    fixture_format = MOR_FORMAT_ICEBERG;
    set_up(&f->base, true, true, true);
    open_other(f, 0);
}

static void tear_down_states(struct place_states *f)
{
    mor_local_state_free(f->other);
    tear_down(&f->base);
    free(f->state_dir);
}

static void random_commit(struct place_states *f)
{
    static const char *const regions[] = {"A", "B", "C"};
    for (int i = 0; i < 30; i++) {
        f->random = f->random * 6364136223846793005u + 1442695040888963407u;
        int64_t id = (int64_t)(f->random >> 33) % IDS;
        int64_t version = ++f->offset / 10 + (int64_t)(f->random >> 50) % 20;
        add_row(&f->base.batches[id % LANES], id, version, regions[(f->random >> 45) % 3],
                f->offset, f->random % 4 == 0 ? ROW_DELETE : 0);
    }
    (void)commit(&f->base);
}

// ---- what the table says ------------------------------------------------------------------------

struct place_of_key {
    struct mor_hash128 key;
    char file[256];
    uint32_t position;
};
struct places {
    struct mor_state *state;
    struct place_of_key *keys;
    size_t count;
};

static enum mor_status note_places(void *context, const struct mor_key_change *changes,
                                   size_t count, struct mor_error *err)
{
    (void)err;
    struct places *places = context;
    places->keys = realloc(places->keys, (places->count + count) * sizeof *places->keys);
    for (size_t i = 0; i < count; i++) {
        struct place_of_key *place = &places->keys[places->count++];
        place->key = changes[i].key;
        place->position = (uint32_t)changes[i].entry.location;
        (void)snprintf(
            place->file, sizeof place->file, "%s",
            mor_state_name_text(places->state, (uint32_t)(changes[i].entry.location >> 32)));
    }
    return MOR_OK;
}

// Every row of the table is where `known` says its key is, and no other key has a row.
static void check_places(struct place_states *f, const struct mor_known_keys *known)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    struct mor_slice *slices;
    size_t count, live = 0;
    struct places places = {.state = known->state};
    mor_arena_init(&arena, 0, NULL);
    assert_ok(mor_table_slices(f->base.table, NULL, &arena, &slices, &count, &err));
    assert_ok(mor_key_slices_visit(known->state, &f->other->rebuild, slices, count, note_places,
                                   &places, &err));
    for (size_t i = 0; i < places.count; i++) {
        struct mor_state_entry entry;
        assert_ok(mor_known_keys_lookup(known, &places.keys[i].key, 1, &entry, &err));
        assert_true(entry.location != MOR_STATE_NOWHERE);
        assert_int_equal((uint32_t)entry.location, places.keys[i].position);
        assert_string_equal(mor_state_name_text(known->state, (uint32_t)(entry.location >> 32)),
                            places.keys[i].file);
    }
    for (int64_t id = 0; id < IDS; id++)
        add_row(&f->base.batches[0], id, 1, "A", 0, 0);
    close_batch(&f->base, 0);
    for (int64_t id = 0; id < IDS; id++) {
        struct mor_state_entry entry;
        assert_ok(mor_known_keys_lookup(known, &f->base.batches[0].keys[id], 1, &entry, &err));
        live += entry.location != MOR_STATE_NOWHERE;
    }
    next_commit(&f->base);
    assert_int_equal(live, places.count);
    free(places.keys);
    mor_arena_done(&arena);
}

static enum mor_status catch_up(struct place_states *f, struct mor_error *ret_err)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    char *text, version[64];
    struct mor_ledger ledger;
    mor_arena_init(&arena, 0, NULL);
    assert_ok(mor_table_property(f->base.table, LEDGER_PROPERTY, true, &arena, &text, &err));
    assert_ok(mor_ledger_parse(text, &ledger, &err));
    enum mor_status status = mor_local_state_catch_up(f->other, &ledger, text, ret_err);
    if (status == MOR_OK) {
        assert_ok(mor_local_state_version(f->other, version, &err));
        assert_true(mor_local_state_is_at(f->other, &ledger, version));
        check_places(f, &(struct mor_known_keys){f->other->state, NULL});
    }
    mor_ledger_done(&ledger);
    mor_arena_done(&arena);
    return status;
}

static void rewrite(struct place_states *f)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    struct mor_compact_report report;
    const struct mor_compact_options options = {.everything = true};
    assert_ok(mor_table_open_rewrite(f->base.folder, "upkeep", NULL, &table, &err));
    assert_ok(mor_compact(table, &options, &report, &err));
    mor_table_free(table);
    assert_true(report.done > 0);
}

// ---- tests --------------------------------------------------------------------------------------

static void a_state_follows_commits_and_rewrites_of_others(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct place_states f;
    set_up_states(&f);
    for (int i = 0; i < 3; i++)
        random_commit(&f);
    assert_ok(catch_up(&f, &err)); // from nothing
    for (int i = 0; i < 12; i++) {
        for (int commits = 0; commits < i % 3; commits++)
            random_commit(&f);
        if (i % 4 == 3) {
            mor_local_state_free(f.other);
            open_other(&f, 0);
        }
        assert_ok(catch_up(&f, &err));
    }
    rewrite(&f); // the ledger is the same as before
    assert_ok(catch_up(&f, &err));
    tear_down_states(&f);
}

// The fixture's own state does not follow rewrites: its commits come from one that does.
static void take_over(struct place_states *f)
{
    mor_state_free(f->base.state);
    f->base.state = f->other->state;
}

static void a_rewrite_between_commits_is_taken_in_after_them(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct place_states f;
    set_up_states(&f);
    for (int i = 0; i < 4; i++)
        random_commit(&f);
    assert_ok(catch_up(&f, &err));
    // an instance that is behind: commits, a rewrite, and again
    MOR_AUTO_FREE char *late_dir = check_folder();
    struct mor_local_state *follower = f.other;
    char *kept = f.state_dir;
    f.state_dir = late_dir;
    open_other(&f, 0);
    struct mor_local_state *late = f.other;
    assert_ok(catch_up(&f, &err));
    f.state_dir = kept;
    f.other = follower;
    take_over(&f);
    for (int i = 0; i < 3; i++) {
        random_commit(&f);
        rewrite(&f);
        assert_ok(catch_up(&f, &err));
    }
    random_commit(&f);
    f.other = late;
    assert_ok(catch_up(&f, &err));
    // what lies over an open batch says the same
    f.other = follower;
    assert_ok(catch_up(&f, &err));
    rewrite(&f);
    f.other = late;
    struct mor_arena arena;
    char *text, version[64];
    struct mor_ledger ledger;
    struct mor_key_overlay overlay = {0};
    mor_arena_init(&arena, 0, NULL);
    assert_ok(mor_table_property(f.base.table, LEDGER_PROPERTY, true, &arena, &text, &err));
    assert_ok(mor_ledger_parse(text, &ledger, &err));
    assert_ok(mor_local_state_version(late, version, &err));
    assert_false(mor_local_state_is_at(late, &ledger, version)); // although the ledger is the same
    assert_ok(mor_local_state_overlay(late, &ledger, version, &overlay, &err));
    check_places(&f, &(struct mor_known_keys){late->state, &overlay});
    mor_key_overlay_done(&overlay);
    mor_ledger_done(&ledger);
    mor_arena_done(&arena);
    mor_local_state_free(late);
    f.other = follower;
    f.base.state = NULL; // the follower's
    tear_down_states(&f);
}

static void a_state_that_knows_too_many_files_starts_anew(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct place_states f;
    set_up_states(&f);
    random_commit(&f);
    mor_local_state_free(f.other);
    open_other(&f, 10);
    assert_ok(catch_up(&f, &err)); // with a few files to begin with
    enum mor_status status = MOR_OK;
    for (int i = 0; i < 40 && status == MOR_OK; i++) {
        random_commit(&f);
        status = catch_up(&f, &err);
    }
    assert_int_equal(status, MOR_NOT_FOUND);
    assert_true(strstr(err.message, "files, most of them gone") != NULL);
    err = MOR_ERROR_INIT;
    assert_ok(mor_local_state_reset(f.other, &err));
    assert_ok(catch_up(&f, &err));
    assert_ok(catch_up(&f, &err)); // the files that are left are no reason to begin again
    tear_down_states(&f);
}

static void a_key_of_two_rows_stops_a_rebuild_with_words(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct place_states f;
    set_up_states(&f);
    for (int64_t id = 0; id < 5; id++)
        add_row(&f.base.batches[0], id, 1, "A", id, 0);
    (void)commit(&f.base);
    // somebody who does not know the keys adds some of them again
    mor_state_free(f.base.state);
    free(f.base.state_folder);
    f.base.state_folder = check_folder();
    open_state(&f.base);
    add_row(&f.base.batches[0], 3, 2, "B", 5, 0);
    add_row(&f.base.batches[0], 9, 2, "B", 6, 0);
    add_row(&f.base.batches[0], 4, 2, "A", 7, 0);
    (void)commit(&f.base);
    assert_int_equal(catch_up(&f, &err), MOR_FATAL);
    assert_non_null(strstr(err.message, "2 rows of the table have the key of another row"));
    assert_true(strstr(err.message, "id=3,") != NULL || strstr(err.message, "id=4,") != NULL);
    // and again, until they are gone
    err = MOR_ERROR_INIT;
    assert_int_equal(catch_up(&f, &err), MOR_NOT_FOUND);
    err = MOR_ERROR_INIT;
    assert_ok(mor_local_state_reset(f.other, &err));
    assert_int_equal(catch_up(&f, &err), MOR_FATAL);
    tear_down_states(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_follows_commits_and_rewrites_of_others),
        cmocka_unit_test(a_rewrite_between_commits_is_taken_in_after_them),
        cmocka_unit_test(a_state_that_knows_too_many_files_starts_anew),
        cmocka_unit_test(a_key_of_two_rows_stops_a_rebuild_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
