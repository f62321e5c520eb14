#include "changes_fixture.h"

#include "dedup.h"
#include "local_state.h"

static const int32_t required[] = {VERSION, REGION};

// The state of another instance of the fixture's topic.
static struct mor_local_state *open_other(const struct fixture *fixture, const char *state_dir)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_local_state *local;
    struct mor_state_outcome outcome;
    const struct mor_local_state_options options = {
        .state_dir = state_dir,
        .topic = "events",
        .location = fixture->folder,
        .index = true,
        .rebuild = {.table = fixture->table,
                    .location = fixture->folder,
                    .rows = mor_table_schema(fixture->table),
                    .ordering_column = VERSION,
                    .required_columns = required,
                    .required_count = 2,
                    .topic = "events"}};
    assert_ok(mor_local_state_open(&options, fixture->table, &local, &outcome, &err));
    return local;
}

// The table's ledger and its text, as a committer reads them.
static struct mor_ledger read_ledger(struct fixture *fixture, char **ret_property)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_ledger ledger;
    char *text;
    assert_ok(mor_table_property(fixture->table, LEDGER_PROPERTY, true, &arena, &text, &err));
    assert_ok(mor_ledger_parse(text, &ledger, &err));
    *ret_property = mor_strdup(text);
    mor_arena_done(&arena);
    return ledger;
}

static enum mor_status catch_up(struct fixture *fixture, struct mor_local_state *local,
                                struct mor_error *err)
{
    char *property;
    struct mor_ledger ledger = read_ledger(fixture, &property);
    enum mor_status status = mor_local_state_catch_up(local, &ledger, property, err);
    if (status == MOR_OK)
        assert_true(mor_local_state_is_at(local, &ledger, ""));
    mor_ledger_done(&ledger);
    free(property);
    return status;
}

// Both states know the same of the keys 0 .. count.
static void check_same(struct fixture *fixture, const struct mor_local_state *other, int64_t count)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_lane_batch *batch = &fixture->batches[0];
    for (int64_t id = 0; id < count; id++)
        add_row(batch, id, 1, "A", 0, 0);
    close_batch(fixture, 0);
    for (int64_t id = 0; id < count; id++) {
        struct mor_state_entry mine, theirs;
        assert_ok(mor_state_lookup(fixture->state, &batch->keys[id], 1, &mine, &err));
        assert_ok(mor_state_lookup(other->state, &batch->keys[id], 1, &theirs, &err));
        assert_true(mine.ordering == theirs.ordering);
        assert_int_equal(mine.location == MOR_STATE_NOWHERE, theirs.location == MOR_STATE_NOWHERE);
        if (mine.location != MOR_STATE_NOWHERE)
            assert_string_equal(mor_state_name_text(fixture->state, (uint32_t)mine.location),
                                mor_state_name_text(other->state, (uint32_t)theirs.location));
    }
    next_commit(fixture);
}

static void random_commit(struct fixture *fixture, uint64_t *random)
{
    static int64_t offset;
    static const char *const regions[] = {"A", "B", "C"};
    for (int i = 0; i < 30; i++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        int64_t id = (int64_t)(*random >> 33) % 50;
        add_row(&fixture->batches[id % LANES], id, (int64_t)(*random >> 50) % 99,
                regions[(*random >> 45) % 3], ++offset, *random % 4 == 0 ? ROW_DELETE : 0);
    }
    (void)commit(fixture);
}

static void a_state_follows_what_others_commit_and_starts_from_nothing(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    MOR_AUTO_FREE char *state_dir = check_folder();
    uint64_t random = 5;
    for (int i = 0; i < 3; i++)
        random_commit(&fixture, &random);
    struct mor_local_state *other = open_other(&fixture, state_dir);
    assert_ok(catch_up(&fixture, other, &err)); // from nothing
    check_same(&fixture, other, 50);
    for (int i = 0; i < 8; i++) {
        for (int commits = 0; commits < i % 3; commits++)
            random_commit(&fixture, &random);
        if (i % 4 == 3) {
            mor_local_state_free(other);
            other = open_other(&fixture, state_dir);
        }
        assert_ok(catch_up(&fixture, other, &err));
        check_same(&fixture, other, 50);
    }
    mor_local_state_free(other);
    tear_down(&fixture);
}

static void an_overlay_has_what_the_state_lacks(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    MOR_AUTO_FREE char *state_dir = check_folder();
    add_row(&fixture.batches[0], 1, 1, "A", 0, 0);
    (void)commit(&fixture);
    struct mor_local_state *other = open_other(&fixture, state_dir);
    assert_ok(catch_up(&fixture, other, &err));
    add_row(&fixture.batches[0], 1, 2, "B", 1, 0);
    (void)commit(&fixture);
    add_row(&fixture.batches[0], 1, 3, "B", 1, ROW_DELETE);
    (void)commit(&fixture);

    char *property;
    struct mor_ledger ledger = read_ledger(&fixture, &property);
    struct mor_key_overlay overlay = {0};
    assert_ok(mor_local_state_overlay(other, &ledger, "", &overlay, &err));
    assert_int_equal(overlay.count, 1);
    add_row(&fixture.batches[0], 1, 1, "A", 0, 0);
    close_batch(&fixture, 0);
    const struct mor_known_keys known = {other->state, &overlay};
    struct mor_state_entry entry;
    assert_ok(mor_known_keys_lookup(&known, &fixture.batches[0].keys[0], 1, &entry, &err));
    assert_true(entry.location == MOR_STATE_NOWHERE);
    assert_true(entry.ordering == ((uint64_t)3 ^ UINT64_C(1) << 63));
    mor_key_overlay_done(&overlay);
    mor_ledger_done(&ledger);
    free(property);
    mor_local_state_free(other);
    tear_down(&fixture);
}

static void a_state_that_is_too_far_behind_is_told_to_start_anew(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    MOR_AUTO_FREE char *state_dir = check_folder();
    uint64_t random = 9;
    random_commit(&fixture, &random);
    struct mor_local_state *other = open_other(&fixture, state_dir);
    assert_ok(catch_up(&fixture, other, &err));
    for (int i = 0; i < 4; i++)
        random_commit(&fixture, &random);
    char *property;
    struct mor_ledger ledger = read_ledger(&fixture, &property);
    ledger.keys.from = 3; // the changes of commit 2 are gone
    assert_fails(mor_local_state_catch_up(other, &ledger, property, &err), MOR_NOT_FOUND,
                 "kept from commit 3");
    err = MOR_ERROR_INIT;
    ledger.keys.from = 0; // somebody committed without an index
    assert_int_equal(mor_local_state_catch_up(other, &ledger, property, &err), MOR_NOT_FOUND);
    err = MOR_ERROR_INIT;
    ledger.keys.from = 1;
    assert_ok(mor_local_state_reset(other, &err));
    assert_ok(mor_local_state_catch_up(other, &ledger, property, &err));
    check_same(&fixture, other, 50);
    mor_ledger_done(&ledger);
    free(property);
    mor_local_state_free(other);
    tear_down(&fixture);
}

static void what_was_committed_without_an_index_is_seen_in_the_table(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    MOR_AUTO_FREE char *state_dir = check_folder();
    for (int64_t id = 0; id < 3; id++)
        add_row(&fixture.batches[0], id, 1, "A", id, 0);
    (void)commit(&fixture);
    struct mor_local_state *other = open_other(&fixture, state_dir);
    assert_ok(catch_up(&fixture, other, &err));
    mor_state_free(fixture.state);
    fixture.state = NULL;
    add_row(&fixture.batches[0], 1, 0, NULL, 9, ROW_TOMBSTONE | ROW_DELETE);
    (void)commit(&fixture);
    assert_int_equal(catch_up(&fixture, other, &err), MOR_NOT_FOUND);
    err = MOR_ERROR_INIT;
    assert_ok(mor_local_state_reset(other, &err));
    assert_ok(catch_up(&fixture, other, &err));
    for (int64_t id = 0; id < 3; id++)
        add_row(&fixture.batches[0], id, 1, "A", 0, 0);
    close_batch(&fixture, 0);
    for (int64_t id = 0; id < 3; id++) {
        struct mor_state_entry entry;
        assert_ok(mor_state_lookup(other->state, &fixture.batches[0].keys[id], 1, &entry, &err));
        assert_int_equal(entry.location != MOR_STATE_NOWHERE, id != 1);
    }
    mor_local_state_free(other);
    tear_down(&fixture);
}

static void attachments_that_nobody_needs_are_dropped_a_round_later(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    MOR_AUTO_FREE char *state_dir = check_folder();
    uint64_t random = 13;
    for (int i = 0; i < 5; i++)
        random_commit(&fixture, &random);
    struct mor_local_state *other = open_other(&fixture, state_dir);
    char *property;
    struct mor_ledger ledger = read_ledger(&fixture, &property);
    ledger.keys.from = 4;
    static const size_t left[] = {5, 2, 2};
    for (size_t round = 0; round < 3; round++) {
        other->tidy_at_ms = 0;
        assert_ok(mor_local_state_tidy(other, &ledger, &err));
        struct mor_arena arena;
        mor_arena_init(&arena, 0, NULL);
        struct mor_attachment *attachments;
        size_t count;
        assert_ok(mor_table_attachments(fixture.table, mor_key_attachments.name, NULL, &arena,
                                        &attachments, &count, &err));
        assert_int_equal(count, left[round]);
        mor_arena_done(&arena);
    }
    mor_ledger_done(&ledger);
    free(property);
    mor_local_state_free(other);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_follows_what_others_commit_and_starts_from_nothing),
        cmocka_unit_test(an_overlay_has_what_the_state_lacks),
        cmocka_unit_test(a_state_that_is_too_far_behind_is_told_to_start_anew),
        cmocka_unit_test(what_was_committed_without_an_index_is_seen_in_the_table),
        cmocka_unit_test(attachments_that_nobody_needs_are_dropped_a_round_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
